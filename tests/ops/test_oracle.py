"""Every rule against its definition, executed; and the executed definition against torch."""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass

import numpy as np
import pytest
import torch
from cases import CASES, operations
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracle import Array, Tally
from sampled import examples

from costlab.graph import Net
from costlab.graph.op import Op, Shape
from costlab.graph.opcount import OpCount
from costlab.ops.conv import Conv

EXAMPLES = settings(
    max_examples=examples(20),
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def count(op: Op, output: Shape, shapes: tuple[Shape, ...]) -> OpCount:
    scalars, contraction = op.scalars(output, *shapes), op.contraction(output, *shapes)
    assert scalars is not None
    return scalars.with_macs(contraction.macs) if contraction else scalars


def built(op: Op, shapes: tuple[Shape, ...]) -> torch.nn.Module:
    """In double precision and evaluation mode, with weights and statistics that are not trivial."""
    torch.manual_seed(0)
    make = CASES[type(op)].module
    module = (make(op, shapes) if make else op.module(*shapes)).double().eval()
    with torch.no_grad():
        for tensor in (*module.parameters(), *module.buffers()):
            if tensor.is_floating_point():
                tensor.uniform_(0.5, 1.5)
    return module


def executed(op: Op, shapes: tuple[Shape, ...], module: torch.nn.Module) -> tuple[Array, Tally]:
    rng = np.random.default_rng(0)
    inputs = [rng.uniform(-1, 1, shape) for shape in shapes]
    tally = Tally()
    result = CASES[type(op)].execute(tally, op, module, inputs)
    with torch.no_grad(), warnings.catch_warnings():
        # torch says that an even kernel with padding="same" copies its input; so be it.
        warnings.filterwarnings("ignore", message="Using padding='same'")
        expected = module(*map(torch.from_numpy, inputs))
    torch.testing.assert_close(torch.from_numpy(np.array(result)), expected)
    return result, tally


def check(op: Op, shapes: tuple[Shape, ...]) -> None:
    """The rule says what the execution did; the execution gives what torch gives."""
    module = built(op, shapes)
    result, tally = executed(op, shapes, module)
    output = op.output(*shapes)
    assert output == result.shape
    assert count(op, output, shapes)._asdict() == asdict(tally)
    for ours, theirs in (
        (op.parameters(*shapes), module.parameters()),
        (
            op.buffers(*shapes),
            (buffer for buffer in module.buffers() if buffer.is_floating_point()),
        ),
    ):
        assert sorted(shape for _, shape in ours) == sorted(
            tuple(tensor.shape) for tensor in theirs
        )


def test_every_operation_has_a_case() -> None:
    assert set(CASES) == operations()


@pytest.mark.parametrize("kind", CASES, ids=lambda kind: kind.__name__)
def test_a_rule_counts_what_its_definition_does(kind: type[Op]) -> None:
    @EXAMPLES
    @given(CASES[kind].draw)
    def draws(drawn: tuple[Op, tuple[Shape, ...]]) -> None:
        op, shapes = drawn
        # what can be drawn can be built, and all its conditions hold
        net = Net("net", *shapes)
        net.add("layer", op, *net.inputs)
        check(op, shapes)

    draws()


@dataclass(frozen=True, slots=True)
class Forgetful(Conv):
    """A convolution that does not count its bias."""

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        return OpCount()


def test_a_wrong_rule_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CASES, Forgetful, CASES[Conv])  # type: ignore[misc]
    check(Forgetful(2, 3, bias=False), ((1, 2, 5, 5),))
    with pytest.raises(AssertionError, match="add"):
        check(Forgetful(2, 3, bias=True), ((1, 2, 5, 5),))


@given(st.integers(1, 60), st.integers(1, 60))
@settings(max_examples=examples(100), derandomize=True)
def test_adaptive_windows_of_one_axis(size: int, out: int) -> None:
    """The windows' elements, listed one by one; where ``out`` divides ``size`` they tile it."""
    from costlab.ops.adaptive_pool import AdaptiveAvgPool

    elements = sum(
        1
        for i in range(out)
        for place in range(size)
        if i * size // out <= place < -(-(i + 1) * size // out)
    )
    counted = AdaptiveAvgPool(out).scalars((1, 1, out), (1, 1, size))
    assert counted == OpCount(add=elements - out, div=out)
    if size % out == 0:
        assert counted.add == size - out
