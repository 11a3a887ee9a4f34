"""What an optimizer's step computes and keeps, for parameters that get gradients."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from costlab import formatting
from costlab.graph import Graph
from costlab.graph.backward import learning
from costlab.graph.opcount import OpCount
from costlab.render.document import Paragraph


class Step(NamedTuple):
    """A step of an optimizer, for each element of a parameter."""

    operations: OpCount
    state: int
    """Elements that it keeps between two steps."""


STEPS = {
    # p − lr·g
    "sgd": Step(OpCount(mul=1, add=1), 0),
    # b = μ·b + g; p − lr·b
    "momentum": Step(OpCount(mul=2, add=2), 1),
    # m + (g − m)·(1−β₁); β₂·v + (1−β₂)·g·g; p − lr'·m / (√v / c + ε)
    "adam": Step(OpCount(mul=5, add=5, div=2, special=1), 2),
    # the same, of p·(1 − lr·decay)
    "adamw": Step(OpCount(mul=6, add=5, div=2, special=1), 2),
}
"""By the formulas that torch has, with momentum but no dampening, without Nesterov or AMSGrad."""


def steps(graph: Graph) -> dict[str, dict[str, int]]:
    """The operations of a step of each optimizer, and the elements that it keeps."""
    elements = sum(graph.values[number].elements for number in learning(graph))
    return {
        name: {
            "elements": elements,
            **{kind: number * elements for kind, number in step.operations._asdict().items()},
            "state": step.state * elements,
        }
        for name, step in STEPS.items()
    }


def of_optimizers(graph: Graph) -> Iterable[Paragraph]:
    """The same in a sentence."""
    counted: dict[str, dict[str, Any]] = steps(graph)
    elements = counted["sgd"]["elements"]
    parts = [
        f"{name} {formatting.integer(step.operations.other * elements)}"
        + (f" (and keeps {formatting.integer(step.state * elements)} elements)" * bool(step.state))
        for name, step in STEPS.items()
    ]
    yield Paragraph(
        f"An optimizer's step takes, for {formatting.both(elements, 'params')} that get gradients, "
        f"these operations more: {', '.join(parts)}."
    )
