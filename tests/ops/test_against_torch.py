"""The same random configurations, built and run: torch's shapes, torch's counter, fvcore's.

Where a counter is known to be wrong, a strict expectation says so: it fails when the counter is
mended. Versions: torch 2.13.0, fvcore 0.1.5.post20221221.
"""

from __future__ import annotations

import warnings

import pytest
import torch
from cases import CASES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sampled import examples

from costlab.counters import measure
from costlab.errors import ShapeError
from costlab.graph import Graph, Net
from costlab.graph.op import Op, Shape
from costlab.modules.block import empty, zero_inputs
from costlab.ops.conv import Conv
from costlab.ops.conv_transpose import ConvTranspose
from costlab.ops.dense import Linear, Matmul
from costlab.ops.pool import AvgPool, MaxPool

EXAMPLES = settings(
    max_examples=examples(15),
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

Drawn = tuple[Op, tuple[Shape, ...]]


def graph(op: Op, shapes: tuple[Shape, ...]) -> Graph:
    net = Net("net", *shapes)
    return net.graph(net.add("layer", op, *net.inputs))


def counted(counter: str, op: Op, shapes: tuple[Shape, ...]) -> int:
    net = graph(op, shapes)
    with warnings.catch_warnings():
        # said by torch for an even kernel with padding="same", and by its tracer
        warnings.filterwarnings("ignore", message="Using padding='same'")
        measurement = measure(counter, empty(net), zero_inputs(net))
    macs = measurement.values["macs"]["layer"]
    assert isinstance(macs, int)
    return macs


def ours(op: Op, shapes: tuple[Shape, ...]) -> int:
    contraction = op.contraction(op.output(*shapes), *shapes)
    return contraction.macs if contraction else 0


def fvcore_is_wrong(op: Op, shapes: tuple[Shape, ...]) -> bool:
    """The traps that have an expectation below."""
    if isinstance(op, Conv):
        return isinstance(op.padding, str)
    if isinstance(op, Matmul):
        a, b = shapes
        return a[:-2] != b[:-2]
    return False


BUILT = [kind for kind, case in CASES.items() if case.module is None]
"""What costlab can build; what only traced modules have is compared in test_trace.py."""


@pytest.mark.parametrize("kind", BUILT, ids=lambda kind: kind.__name__)
def test_counters_agree_on_drawn_configurations(kind: type[Op]) -> None:
    @EXAMPLES
    @given(CASES[kind].draw)
    def draws(drawn: Drawn) -> None:
        op, shapes = drawn
        assert counted("torch", op, shapes) == ours(op, shapes)
        if not fvcore_is_wrong(op, shapes):
            assert counted("fvcore", op, shapes) == ours(op, shapes)

    draws()


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_fvcore_counts_nothing_for_padding_by_name(padding: str) -> None:
    """It has no handle for ``aten::_convolution_mode``, which such a convolution traces to."""
    op, shapes = Conv(4, 3, padding=padding), ((1, 2, 6, 6),)
    assert counted("fvcore", op, shapes) == 0
    assert counted("torch", op, shapes) == ours(op, shapes) > 0


def test_fvcore_miscounts_a_broadcast_matmul() -> None:
    """Its handle ``matmul_flop_jit`` reads the first operand's batch only."""
    shapes = ((3, 4), (5, 4, 2))
    assert ours(Matmul(), shapes) == 5 * 3 * 2 * 4
    assert counted("fvcore", Matmul(), shapes) != ours(Matmul(), shapes)
    assert counted("torch", Matmul(), shapes) == ours(Matmul(), shapes)


def torch_takes(op: Op, shapes: tuple[Shape, ...]) -> bool:
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = op.module(*shapes)(*(torch.zeros(shape) for shape in shapes))
    except (RuntimeError, ValueError):
        return False
    return bool(result.numel() > 0)  # it lets some transposed convolutions crop all they made


def we_take(op: Op, shapes: tuple[Shape, ...]) -> bool:
    try:
        graph(op, shapes)
    except ShapeError:
        return False
    return True


size = st.integers(1, 6)


@settings(EXAMPLES, max_examples=examples(100))
@given(
    st.one_of(
        st.builds(
            lambda k, s, p, d, x: (Conv(2, k, s, p, d), ((1, 2, *x),)),
            size,
            st.integers(1, 3),
            st.integers(0, 3),
            st.integers(1, 3),
            st.tuples(size, size),
        ),
        st.builds(
            lambda out, c, g: (Conv(out, 1, groups=g), ((1, c, 2, 2),)),
            st.integers(1, 6),
            st.integers(1, 6),
            st.integers(1, 4),
        ),
        st.builds(
            lambda k, s, p, e, d, x: (ConvTranspose(2, k, s, p, e, dilation=d), ((1, 2, *x),)),
            size,
            size,
            size,
            st.integers(0, 3),
            st.integers(1, 3),
            st.tuples(size, size),
        ),
        st.builds(
            lambda k, s, p, d, ceil, x: (MaxPool(k, s, p, d, ceil), ((1, 2, *x),)),
            size,
            size,
            st.integers(0, 4),
            st.integers(1, 3),
            st.booleans(),
            st.tuples(size, size),
        ),
        st.builds(
            lambda k, s, p, ceil, x: (AvgPool(k, s, p, ceil), ((1, 2, *x),)),
            size,
            size,
            st.integers(0, 4),
            st.booleans(),
            st.tuples(size, size),
        ),
        st.builds(
            lambda a, b: (Matmul(), (tuple(a), tuple(b))),
            st.lists(st.integers(1, 2), min_size=2, max_size=4),
            st.lists(st.integers(1, 2), min_size=2, max_size=4),
        ),
        st.builds(lambda out: (Linear(out), ((1, 2),)), size),
    )
)
def test_we_refuse_what_torch_refuses(drawn: Drawn) -> None:
    op, shapes = drawn
    assert we_take(op, shapes) == torch_takes(op, shapes)
