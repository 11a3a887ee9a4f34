"""Modules that mix every operation, drawn at random: every unit of every counter is explained."""

from __future__ import annotations

from typing import Any

import collection
import pytest
import torch
from cases import CASES, operations
from cases.base import Drawn
from cases.traced import Attending
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from sampled import examples
from torch import Tensor, nn

import costlab
from costlab.graph.op import Op
from costlab.ops.attention import Attention
from costlab.ops.sparse import SparseProduct

EXAMPLES = settings(
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    phases=[Phase.generate],
)

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # the counters' own
    pytest.mark.usefixtures("quiet"),
]


class Mixed(nn.Module):
    """Several modules, each on inputs of its own."""

    def __init__(self, drawn: list[Drawn]) -> None:
        super().__init__()
        self.each = nn.ModuleList(made(*one) for one in drawn)
        self.counts = [len(shapes) for _, shapes in drawn]

    def forward(self, *inputs: Tensor) -> tuple[Any, ...]:
        given = iter(inputs)
        return tuple(
            module(*(next(given) for _ in range(count)))
            for module, count in zip(self.each, self.counts, strict=True)
        )


def made(op: Op, shapes: tuple[tuple[int, ...], ...]) -> nn.Module:
    make = CASES[type(op)].module
    module = op.module(*shapes) if make is None else make(op, shapes)
    if isinstance(module, Attending) and module.mask is not None:
        module.mask = module.mask.detach()  # torch records no constant that learns
    return module


def values_have_more_heads(op: Op, shapes: tuple[tuple[int, ...], ...]) -> bool:
    """Or batches; what is known of it is expected in test_conventions.py."""
    if not isinstance(op, Attention):
        return False
    queries, keys, values = (shape[:-2] for shape in shapes)
    return any(v > max(q, k) for q, k, v in zip(queries, keys, values, strict=True))


def check(drawn: list[Drawn]) -> None:
    kinds = {getattr(op, "cell", "mask" if getattr(op, "masked", False) else "") for op, _ in drawn}
    assume(not kinds >= {"lstm", "mask"})
    assume(not any(values_have_more_heads(*one) for one in drawn))
    # masks of the cases are in double precision, in which oneDNN computes no LSTM
    dtype = torch.float64 if "mask" in kinds else torch.float32
    inputs = tuple(torch.zeros(shape, dtype=dtype) for _, shapes in drawn for shape in shapes)
    found = costlab.reconcile(Mixed(drawn).to(dtype).eval(), inputs=inputs)
    left = collection.unexplained(found)
    if any(isinstance(op, SparseProduct) for op, _ in drawn):
        left.pop("fvcore", None)  # torch.jit.trace takes no sparse constants
    assert left == {}


@pytest.mark.more
@pytest.mark.parametrize("kind", sorted(operations(), key=str))
@settings(EXAMPLES, max_examples=20)
@given(data=st.data())
def test_every_unit_of_a_drawn_operation_is_explained(kind: type[Op], data: st.DataObject) -> None:
    check([data.draw(CASES[kind].draw)])


@settings(EXAMPLES, max_examples=examples(25))
@given(drawn=st.lists(st.one_of(*(case.draw for case in CASES.values())), min_size=2, max_size=8))
def test_every_unit_of_drawn_operations_together_is_explained(drawn: list[Drawn]) -> None:
    check(drawn)
