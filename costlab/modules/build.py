"""A model as a real torch module."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from costlab.graph import Graph
from costlab.models.reference import resolve

if TYPE_CHECKING:
    from torch import nn


def build(model: str | Graph, input_size: Iterable[int] | None = None, **choices: Any) -> nn.Module:
    """A trainable module of the model, in training mode, with torch's default initialisation.

    Its module paths are the paths of ``analyze``: ``build("googlenet").inception_3a.branch5x5``.
    Arguments and errors are those of ``analyze``. ``input_size`` matters where a layer's params
    depend on it.
    """
    from costlab.modules.block import built_module

    return built_module(resolve(model, input_size, **choices).graph)
