"""A model as a real torch module."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from costlab.errors import ChoiceError
from costlab.graph import Graph, Layer
from costlab.graph.op import Op
from costlab.models.arguments import keywords_of
from costlab.models.reference import reference, resolve

if TYPE_CHECKING:
    from torch import nn


def build(model: str | Graph, input_size: Iterable[int] | None = None, **choices: Any) -> nn.Module:
    """A trainable module of the model, in training mode, with torch's default initialisation.

    Its module paths are the paths of ``analyze``: ``build("googlenet").inception_3a.branch5x5``.
    Arguments and errors are those of ``analyze``. ``input_size`` matters where a layer's params
    depend on it.
    """
    from costlab.modules.block import built_module

    with keywords_of(choices, build):
        known = reference(model)
        if "run" in known.accepts and "no input" not in known.accepts:
            name = model if isinstance(model, str) else type(model).__name__
            raise ChoiceError(f"{name} is a module, or code that makes one: use it as it is")
        graph = resolve(known, input_size, **choices).graph
    if missing := unbuildable(graph):
        raise ChoiceError(
            f"{graph.name} cannot be built: {missing.path} ({missing.op.label(*missing.inputs)}) "
            "has no torch module; only operations of the catalog have one, not those of saved "
            "reports and of modules that were followed"
        )
    return built_module(graph)


def unbuildable(graph: Graph) -> Layer | None:
    """The first layer whose operation has no module: saved ones, and those of modules only."""
    return next((layer for layer in graph.layers if type(layer.op).module is Op.module), None)
