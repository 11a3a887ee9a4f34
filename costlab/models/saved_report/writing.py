"""A graph as the JSON of a saved report."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from typing import Any

from costlab.graph import Graph, Layer
from costlab.graph.opcount import Gradient, GradientScalars, OpCount
from costlab.ops.recorded import Recorded


def graph_data(
    graph: Graph, costs: Iterable[tuple[OpCount | None, int]], training_cost: bool = False
) -> dict[str, Any]:
    """The graph for JSON; ``costs`` are its layers' counts, if known, and activations.

    With ``training_cost`` a layer says what its backward pass can compute.
    """
    return {
        "connected": graph.connected,
        "values": [
            {
                "shape": list(value.shape),
                "dtype": value.dtype.name,
                "itemsize": value.dtype.size,
                "kind": value.kind,
                "name": value.name,
                "shares": value.shares,
                "detached": value.detached,
            }
            for value in graph.values
        ],
        "layers": [
            _layer_data(layer, *cost) | (_gradients(layer) if training_cost else {})
            for layer, cost in zip(graph.layers, costs, strict=True)
        ],
        "returns": list(graph.returns),
        "classes": [{"path": path, "class": name} for path, name in graph.classes.items()],
    }


def _layer_data(layer: Layer, count: OpCount | None, activations: int) -> dict[str, Any]:
    op: Any = layer.op
    contraction = op.contraction(layer.output, *layer.inputs)
    factors = contraction.factors() if contraction else []
    outer = len(contraction.outer) if contraction else 0
    recorded = isinstance(op, Recorded)
    return {
        "path": layer.path,
        "op": op.label(*layer.inputs),
        "detail": op.detail,
        "kind": op.kind,
        "attributes": dict(op.attributes) if recorded else _attributes(op),
        "operands": list(layer.operands),
        "input": [list(shape) for shape in layer.inputs],
        "weights": list(layer.weights),
        "results": list(layer.results),
        "output": list(layer.output),
        "count": None if count is None else count._asdict(),
        "outer": factors[:outer],
        "inner": factors[outer:],
        "activations": activations,
    }


def _positions(part: Gradient | GradientScalars, layer: Layer) -> dict[str, list[int] | None]:
    """Of which operands and weights it is, where no positions are said of all; of which results."""
    of_each = ((part.operands, layer.operands), (part.weights, layer.weights))
    operands, weights = (
        list(range(len(numbers)) if some is None else some) for some, numbers in of_each
    )
    results = None if part.results is None else list(part.results)
    return {"operands": operands, "weights": weights, "results": results}


def _gradients(layer: Layer) -> dict[str, Any]:
    """The contractions of its backward pass; None without a rule."""
    gradients = layer.op.gradients(layer.output, *layer.inputs)
    scalars = layer.op.gradient_scalars(layer.output, *layer.inputs)
    kept = {
        "keeps": layer.op.keeps,
        "takes_part": layer.op.takes_part,
        "joins_results": layer.op.joins_results,
        "checkpoint": layer.checkpoint and layer.checkpoint._asdict(),
        "gradient_scalars": None
        if scalars is None or layer.own_backward
        else [
            {
                **_positions(part, layer),
                "count": None if part.scalars is None else part.scalars._asdict(),
            }
            for part in scalars
        ],
    }
    if gradients is None or layer.own_backward:
        return {"gradients": None, **kept}
    return {
        **kept,
        "gradients": [
            {
                **_positions(gradient, layer),
                "outer": gradient.contraction.factors()[: len(gradient.contraction.outer)],
                "inner": gradient.contraction.factors()[len(gradient.contraction.outer) :],
            }
            for gradient in gradients
        ],
    }


def _attributes(op: Any) -> dict[str, Any]:
    """The attributes that are numbers, words, or tuples of these."""
    known: dict[str, Any] = {}
    if is_dataclass(op):
        known = {field.name: getattr(op, field.name) for field in fields(op)}
    plain = (bool, int, float, str, type(None))
    return {
        name: value
        for name, value in known.items()
        if isinstance(value, plain)
        or (type(value) is tuple and all(isinstance(item, plain) for item in value))
    }
