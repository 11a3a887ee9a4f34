"""What costlab asks of a library that has models by names."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from costlab.errors import CodeError, said_of
from costlab.graph.op import Shape

if TYPE_CHECKING:
    from torch import nn


IMAGES, WORDS = ("N", "C", "H", "W"), ("N", "S")
"""What dimensions are called where they vary."""


class HubInput(NamedTuple):
    """The shape of an input, its type, where ``""`` is that of the parameters, and names.

    ``names`` are what its dimensions are called where they vary, if they have names. ``listed``
    says that forward takes a list, of the items of a batch.
    """

    shape: Shape
    dtype: str = ""
    names: tuple[str, ...] = ()
    listed: bool = False

    def varying(self, varied: Callable[[str], bool]) -> tuple[Any, ...]:
        """The shape with those names in it that are asked for."""
        if not self.names:
            return self.shape
        named = zip(self.names, self.shape, strict=True)
        return tuple(name if varied(name) else size for name, size in named)


class Hub(Protocol):
    """A library; a file of this folder for each, with its ``HUB``."""

    def names(self) -> list[str]:
        """The models that it has; none of which it is not known."""

    def build(self, name: str, choices: dict[str, Any]) -> nn.Module:
        """A model without weights."""

    def defaults(self, name: str) -> Mapping[str, Any]:
        """The choices that are known of it, and what each is by default."""

    def inputs(self, name: str, module: nn.Module) -> dict[str, HubInput]:
        """What it is called with, by the names of forward's arguments; empty if not known."""

    def printed(self, name: str, module: nn.Module | None = None) -> str:
        """What the library prints of it, for people; ``""`` for nothing.

        Of a ``module`` that was built it says why that is another one, or nothing.
        """


def hub_named(name: str) -> Hub:
    """The hub of that name; its library is imported when it is asked."""
    hub: Hub = import_module(f"costlab.hubs.{name}").HUB
    return hub


def require_library(package: str) -> None:
    """Raises ``CodeError`` for a library that is not there, and says how to get it."""
    there = sys.modules[package] if package in sys.modules else find_spec(package)
    if there is None:
        raise CodeError(f"{package} is not installed: pip install {package}")


def library(package: str) -> Any:
    """The library. Raises ``CodeError``."""
    require_library(package)
    try:
        return import_module(package)
    except Exception as error:  # such as a build for another torch
        raise CodeError(f"{package} cannot be imported: {said_of(error)}") from error
