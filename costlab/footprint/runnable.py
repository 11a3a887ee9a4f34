"""The module that a MODEL means, and what it is called with for the size of an input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from costlab.errors import ChoiceError, ShapeError
from costlab.graph.op import Op, Shape
from costlab.graph.sizes import Sizes
from costlab.models.catalog_name import Named
from costlab.models.module import Held as HeldModule
from costlab.models.module import Made, owner_of
from costlab.models.reference import Model, Run, reference, resolve

if TYPE_CHECKING:
    from torch import nn

Size: TypeAlias = "Shape | Sizes | None"


@dataclass(frozen=True)
class Runnable:
    """A module, and what it is called with for the size of an input (None: as it is given)."""

    name: str
    module: nn.Module
    size: Size
    taken: Callable[[Size], tuple[tuple[Any, ...], dict[str, Any]]]
    part: str = ""
    """The submodule that is meant, if it is not the whole."""


def runnable(model: Model, shape: Size, run: Run, choices: dict[str, Any]) -> Runnable:
    """The module that MODEL means. Raises a ``CostlabError`` for one that cannot be run."""
    known = reference(model)
    if isinstance(known, HeldModule):
        if choices:
            raise ChoiceError("a module takes no choices: give them where it is made")
        return _of_module(type(known.module).__name__, known.module, shape, run)
    if isinstance(known, Made):
        part = known.part.strip("/").replace("/", ".")
        module = owner_of(known.made(choices, run.real, weightless=not run.real))
        whole = _of_module(known.text, module, *known.sized(module, shape, run))
        return replace(whole, part=part)
    graph = resolve(known, shape, run, **choices).graph
    if any(type(layer.op).module is Op.module for layer in graph.layers):
        raise ChoiceError(
            f"{graph.name} is a saved report, which cannot be run: give the model that it was "
            "made from"
        )
    if isinstance(known, Named) and (shape is None or isinstance(shape, Sizes)):
        shape = resolve(known._replace(part=""), shape, **choices).graph.inputs[0]
    import torch

    from costlab.modules.block import built_module
    from costlab.trace.given import given_to

    with torch.device("meta"):
        network = built_module(graph)

    def taken(size: Size) -> tuple[tuple[Any, ...], dict[str, Any]]:
        sized = graph if size == shape else resolve(known, size, run, **choices).graph
        return given_to(graph.name, (), Sizes(tuple(sized.inputs)), "", None, None)

    return Runnable(graph.name, network, shape, taken)


def _of_module(name: str, module: nn.Module, shape: Size, run: Run) -> Runnable:
    from costlab.trace.given import given_to
    from costlab.trace.misfits import taken_by

    def taken(size: Size) -> tuple[tuple[Any, ...], dict[str, Any]]:
        parameters, takes = module.parameters(), partial(taken_by, module)
        return given_to(name, parameters, size, run.input_type, run.inputs, run.kwargs, takes=takes)

    if shape == ():
        raise ShapeError("the input has no dimension: give its size, the batch first")
    return Runnable(name, module, shape, taken)
