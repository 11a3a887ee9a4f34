"""Scalar operations of backward passes against definitions that are executed, and torch."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch
from cases import CASES, operations
from cases.base import Draw, Drawn
from cases.traced import First
from gradient_definitions import BY_PARTS, DEFINED, X
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from oracle import backwards, backwards_recurrent
from oracle.backwards import Elements
from sampled import examples

from costlab.graph.op import Op, Shape
from costlab.graph.opcount import OpCount
from costlab.ops.derivatives import OF_EACH, OF_NUMBER_FIRST, OF_ONE, OF_PAIR, OF_THREE
from costlab.ops.factorize import Factorize
from costlab.ops.pointwise import Pair, Pointwise
from costlab.ops.pool import MaxPool
from costlab.ops.recurrent import Recurrent
from costlab.ops.reduce import BACKWARD, Reduce

RULED: dict[type[Op], Any] = {
    Pointwise: OF_EACH,
    Pair: OF_PAIR,
    Reduce: BACKWARD,
}
"""The functions of which there are rules."""


@st.composite
def ruled(draw: Draw, kind: type[Op]) -> Drawn:
    """A configuration with a rule."""
    op, shapes = draw(CASES[kind].draw)
    if kind in RULED:
        functions = RULED[kind]
        if isinstance(op, Pair) and len(shapes) == 1:
            functions = OF_NUMBER_FIRST if op.number_first else OF_ONE
        if isinstance(op, Pair) and len(shapes) == 3:
            functions = OF_THREE
        op = replace(op, function=draw(st.sampled_from(sorted(functions))))
    if isinstance(op, Factorize):  # what LU's take has no rule
        ((*batch, rows, _),) = shapes
        return Factorize("cholesky"), ((*batch, rows, rows),)
    if isinstance(op, Recurrent):
        op = replace(op, sequences=shapes[0][1])
    if kind is Reduce and op.function == "prod" and op.dims:  # torch's takes one axis, or all
        op = replace(op, dims=op.dims[:1])
    return op, shapes


@pytest.mark.filterwarnings("ignore:.*even kernel lengths:UserWarning")
@pytest.mark.parametrize("kind", DEFINED, ids=lambda kind: kind.__name__)
def test_a_backward_pass_takes_what_its_definition_executes(kind: type[Op]) -> None:
    @settings(
        max_examples=examples(50 if kind in (Pointwise, Pair) else 10),
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(ruled(kind))
    def draws(drawn: tuple[Op, tuple[Shape, ...]]) -> None:
        op, shapes = drawn
        torch.manual_seed(0)
        make = CASES[kind].module
        module = (make(op, shapes) if make else op.module(*shapes)).double().eval()
        random = np.random.default_rng(0)
        inputs = [random.uniform(-1, 1, shape) for shape in shapes]
        tensors = [torch.from_numpy(x).requires_grad_() for x in inputs]
        result = module(*tensors)
        if kind is MaxPool:  # for a window without an element torch writes beside the gradient
            assume(bool(result.isfinite().all()))
        dy = random.uniform(-1, 1, result.shape)
        own = {X: tensors[0]} | {("operand", n): x for n, x in enumerate(tensors)}
        own |= {
            ("weight", n): w for n, w in enumerate(getattr(module, "taken", module.parameters)())
        }
        y = result.detach().numpy()
        if result.requires_grad:
            result.backward(torch.from_numpy(dy))
        parts = op.gradient_scalars(op.output(*shapes), *shapes)
        assert parts is not None
        names = [name for name in own if name in BY_PARTS.get(kind, own)]
        for wanted in (set(some) for n in range(len(names) + 1) for some in combinations(names, n)):
            t = Elements()
            given = DEFINED[kind](t, op, module, inputs, y, dy, wanted)
            computed = OpCount(*vars(t).values())
            expected = OpCount()
            for scalars, operands, weights, _ in parts:
                of = {("operand", n) for n in operands or ()} | {
                    ("weight", n) for n in weights or ()
                }
                if of & wanted and scalars is not None:
                    expected += scalars
            assert expected == computed, (op, shapes, wanted)
            for name, gradient in given.items():
                of_torch = own[name].grad
                of_torch = torch.zeros_like(own[name]) if of_torch is None else of_torch
                np.testing.assert_allclose(gradient, of_torch.numpy(), atol=1e-9)

    draws()


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn_tanh", "rnn_relu"])
@pytest.mark.parametrize("wanted", [{"h"}, {"h", "c"}, {"x", "h", "c"}])
def test_a_first_state_that_learns_gets_its_gradient(cell: str, wanted: set[str]) -> None:
    steps, batch, width, hidden = 3, 2, 4, 5
    op = Recurrent(cell, hidden, sequences=batch)
    torch.manual_seed(0)
    layer = First(op, width).layer.double()
    x = torch.rand(steps, batch, width, dtype=torch.float64)
    h, c = torch.rand(2, 1, batch, hidden, dtype=torch.float64)
    for tensor in (x, h, c):
        tensor.requires_grad_()
    result = layer(x, (h, c) if cell == "lstm" else h)[0]
    dy = torch.rand_like(result)
    result.backward(dy)
    weights = [own.detach().numpy() for own in layer.parameters()]
    first = (h.detach()[0].numpy(), c.detach()[0].numpy())
    t = Elements()
    known = x.detach().numpy()
    given = backwards_recurrent.recurrent(t, cell, known, weights, first, dy.numpy(), wanted)
    of_torch = {"x": x.grad, "h": h.grad, "c": c.grad}
    for name in wanted - ({"c"} if cell != "lstm" else set()):
        gradient = of_torch[name]
        assert gradient is not None
        np.testing.assert_allclose(given[name], gradient.numpy().reshape(given[name].shape))
    shape = (steps, batch, width)
    positions = {("weight", 4 + "hc".index(name)) for name in wanted & {"h", "c"}}
    parts = op.gradient_scalars(op.output(shape), shape)
    expected = OpCount()
    for scalars, operands, of_weights, _ in parts:
        of = {("operand", n) for n in operands or ()} if "x" in wanted else set()
        if (of | {("weight", n) for n in of_weights or ()} & positions) and scalars is not None:
            expected += scalars
    assert expected == OpCount(*vars(t).values())


def test_each_function_with_a_gradient_is_executed() -> None:
    assert set(backwards.EACH) == set(OF_EACH)
    assert set(backwards.PAIRS) == set(OF_PAIR)
    assert set(backwards.THREE) == set(OF_THREE)
    assert set(backwards.WITH_NUMBER) == set(OF_ONE)
    assert set(backwards.NUMBER_FIRST) == set(OF_NUMBER_FIRST)


def test_what_has_no_rule_is_not_counted() -> None:
    of_4 = [Pointwise("sgn"), Pair("atan2"), Reduce("count_nonzero")]
    assert [op.gradient_scalars((4,), (4,)) for op in of_4] == [None] * 3


def test_what_has_a_rule_has_a_definition() -> None:
    """But what is like another, or is executed in `test_backward_states`."""
    with_rules = {kind for kind in operations() if kind.gradient_scalars is not Op.gradient_scalars}
    assert {kind.__name__ for kind in with_rules - DEFINED.keys()} <= {
        "FractionalMaxPool",
        "Leaf",
        "Projection",
        "Recorded",
        "Select",
    }
