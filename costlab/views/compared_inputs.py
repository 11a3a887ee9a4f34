"""The inputs of models side by side: what has one of its own says what the others take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from costlab.costs.table import CostTable
from costlab.errors import ChoiceError
from costlab.graph import Graph
from costlab.graph.op import Shape
from costlab.graph.sizes import Sizes
from costlab.graph.values import FLOAT32
from costlab.models.arguments import sizes_of
from costlab.models.reference import Model, Reference, reference, resolve


def _whole(model: Model | CostTable) -> Graph:
    """The graph of what has its input; all of a report: a part of it may take something else."""
    if isinstance(model, CostTable):
        return model.graph
    read = reference(model)
    return resolve(getattr(read, "whole", read)).graph


def require_on(size: Shape | Sizes, model: Model | CostTable) -> None:
    """That a model which has its input has this one. Raises ``ChoiceError``."""
    graph = _whole(model)
    if isinstance(size, Sizes):
        given = (*size.positional, *size.named.values()) or graph.inputs
        asked = [size.batched(shape) for shape in given]
    else:
        asked = [size]
    if graph.inputs and sorted(asked) != sorted(graph.inputs):
        name = model if isinstance(model, str) else graph.name
        raise ChoiceError(
            f"{name} is fixed at {graph.entering}: leave the input size and the batch out, or "
            "save it anew on that input"
        )


def input_beside(
    models: Sequence[Model | CostTable], known: Sequence[Reference | None]
) -> dict[str, Any]:
    """The inputs of a table, graph or saved report among the models, if one has any."""
    for model, read in zip(models, known, strict=True):
        if read is not None and read.accepts:
            continue
        graph = _whole(model)
        inputs = [value for value in graph.values if value.kind == "input"]
        if inputs:
            types = [value.dtype.name for value in inputs]
            size = Sizes(tuple([value.shape for value in inputs]))
            plain = {value.dtype for value in inputs} == {FLOAT32}
            return {"input_size": sizes_of(size), **({} if plain else {"input_type": types})}
    return {}
