"""A model of the catalog as the module that is built of it, on ``meta``, to be run on shapes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from costlab.models.catalog_name import DIMENSIONS, Named
from costlab.models.module import Made

if TYPE_CHECKING:
    from torch import nn

SIZES = ("N", "H", "W")
"""What may be a symbol of a module that is built: its weights are for one C."""


class Built(Made):
    """The module of a model with these choices and input dimensions, all of which are numbers.

    It runs at other sizes too, where its weights allow that.
    """

    def __init__(self, named: Named, values: Mapping[str, Any]) -> None:
        self.text, self.part = named.text, named.part
        self._named, self._values = named._replace(part=""), dict(values)

    def module(self, choices: dict[str, Any]) -> nn.Module:
        """The module. Raises ``ShapeError`` or ``ChoiceError`` where there is no such model."""
        import torch

        from costlab.modules.block import built_module

        with torch.device("meta"):
            return built_module(self._named.sized({**self._values, **choices}))


def without_sizing(named: Named, values: Mapping[str, Any]) -> dict[str, Any]:
    """All choices and dimensions, without those choices that are another word for dimensions."""
    sizing = named.architecture.sizing
    return {name: value for name, value in named.values(values).items() if name not in sizing}


def shape_of(values: Mapping[str, Any]) -> tuple[Any, ...]:
    """The dimensions of the input, in their order."""
    return tuple(values[side] for side in DIMENSIONS)
