"""Cases for the operations of the catalog's networks: costlab builds their modules."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from oracle import Array, Tally, layers
from torch import nn

from cases.base import Case, Draw, Drawn, Inputs, shaped, small, stacks
from costlab.graph.op import Op
from costlab.ops.adaptive_pool import AdaptiveAvgPool, AdaptiveMaxPool
from costlab.ops.broadcast import Add, Multiply
from costlab.ops.conv import Conv
from costlab.ops.conv_transpose import ConvTranspose
from costlab.ops.dense import Linear, Matmul, RadialBasis
from costlab.ops.elementwise import Affine, ReLU, Scale, Tanh
from costlab.ops.movement import Identity
from costlab.ops.norm import BatchNorm, LocalResponseNorm
from costlab.ops.pool import AvgPool, MaxPool
from costlab.ops.recurrent import Projection
from costlab.ops.softmax import Softmax
from costlab.ops.zero_cost import Concat, Dropout, Flatten, Select


def sizes(draw: Draw, rank: int, each: st.SearchStrategy[int]) -> int | tuple[int, ...]:
    """One number, or one for each axis."""
    size: int | tuple[int, ...] = draw(st.one_of(each, st.tuples(*[each] * rank)))
    return size


def per_axis(value: Any, rank: int) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value,) * rank


def extent(rank: int) -> st.SearchStrategy[int]:
    """Sizes of an axis: fewer where there are more axes, so that the loops stay short."""
    return st.integers(1, {1: 12, 2: 7, 3: 4}[rank])


@st.composite
def conv(draw: Draw, transposed: bool) -> Drawn:
    rank = draw(small)
    groups = draw(small)
    kernel = sizes(draw, rank, st.integers(1, 3 if rank < 3 else 2))
    dilation = sizes(draw, rank, st.integers(1, 2))
    stride: Any = sizes(draw, rank, small)
    padding: Any = sizes(draw, rank, st.integers(0, 2))
    reach = [
        d * (k - 1) + 1
        for k, d in zip(per_axis(kernel, rank), per_axis(dilation, rank), strict=True)
    ]
    if not transposed:
        padding = draw(st.one_of(st.just(padding), st.sampled_from(["same", "valid"])))
        stride = 1 if padding == "same" else stride
    pads = per_axis(0 if isinstance(padding, str) else padding, rank)
    room = [0 if transposed or padding == "same" else reach[a] - 2 * pads[a] for a in range(rank)]
    shape = [max(1, low) + draw(extent(rank)) - 1 for low in room]
    out, bias = groups * draw(small), draw(st.booleans())
    x = (draw(st.integers(1, 2)), groups * draw(st.integers(1, 2)), *shape)
    if not transposed:
        return Conv(out, kernel, stride, padding, dilation, groups, bias), (x,)
    limits = [
        max(s, d) - 1 for s, d in zip(per_axis(stride, rank), per_axis(dilation, rank), strict=True)
    ]
    extra = tuple(draw(st.integers(0, limit)) for limit in limits)
    length = [
        (shape[a] - 1) * per_axis(stride, rank)[a] - 2 * pads[a] + reach[a] + extra[a]
        for a in range(rank)
    ]
    if min(length) < 1:
        padding = 0
    return ConvTranspose(out, kernel, stride, padding, extra, groups, bias, dilation), (x,)


@st.composite
def pool(draw: Draw, average: bool) -> Drawn:
    rank = draw(small)
    kernel = sizes(draw, rank, st.integers(1, 4 if rank < 3 else 3))
    stride = draw(st.one_of(st.none(), st.just(sizes(draw, rank, small))))
    dilation = 1 if average else sizes(draw, rank, st.integers(1, 2))
    kernels, dilations = per_axis(kernel, rank), per_axis(dilation, rank)
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernels)
    if draw(st.booleans()):
        padding = (min(padding),) * rank
    shape = [
        # torch's three-dimensional average refuses inputs smaller than its window, padded or not
        max(1, d * (k - 1) + 1 - 2 * p * (not average or rank < 3)) + draw(extent(rank)) - 1
        for k, p, d in zip(kernels, padding, dilations, strict=True)
    ]
    x = (draw(st.integers(1, 2)), draw(small), *shape)
    ceil = draw(st.booleans())
    if average:
        divisor = draw(st.one_of(st.none(), small)) if rank > 1 else None
        return AvgPool(kernel, stride, padding, ceil, draw(st.booleans()), divisor), (x,)
    return MaxPool(kernel, stride, padding, dilation, ceil), (x,)


@st.composite
def adaptive(draw: Draw, kind: type[AdaptiveAvgPool | AdaptiveMaxPool]) -> Drawn:
    rank = draw(small)
    x = (draw(st.integers(1, 2)), draw(small), *[draw(extent(rank)) for _ in range(rank)])
    return kind(sizes(draw, rank, st.integers(1, 5))), (x,)


@st.composite
def matmul(draw: Draw) -> Drawn:
    m, n, k = (draw(st.integers(1, 4)) for _ in range(3))
    a, b = stacks(draw, 2)
    return Matmul(), ((*a, m, k), (*b, k, n))


@st.composite
def together(draw: Draw, op: Op) -> Drawn:
    inputs = stacks(draw, draw(st.integers(2, 4)))
    return op, tuple((*shape, 2) for shape in inputs)


@st.composite
def select(draw: Draw) -> Drawn:
    shape = draw(st.lists(small, min_size=2, max_size=4))
    channels = draw(st.lists(st.integers(0, shape[1] - 1), min_size=1, max_size=4))
    return Select(tuple(channels)), (tuple(shape),)


@st.composite
def concat(draw: Draw) -> Drawn:
    shape = draw(st.lists(small, min_size=2, max_size=4))
    dim = draw(st.integers(-len(shape), len(shape) - 1))
    lengths = draw(st.lists(small, min_size=1, max_size=3))
    inputs = []
    for length in lengths:
        shape[dim] = length
        inputs.append(tuple(shape))
    return Concat(dim), tuple(inputs)


def arrays(module: Any) -> tuple[Array, Any]:
    """Weight and bias of a convolution or linear layer; the bias may be None."""
    bias = module.bias
    return module.weight.detach().numpy(), None if bias is None else bias.detach().numpy()


def run_conv(tally: Tally, op: Conv, module: nn.Module, inputs: Inputs) -> Array:
    rank = inputs[0].ndim - 2
    padding = op.padding if isinstance(op.padding, str) else per_axis(op.padding, rank)
    return layers.conv(
        tally,
        inputs[0],
        *arrays(module),
        stride=per_axis(op.stride, rank),
        padding=padding,
        dilation=per_axis(op.dilation, rank),
        groups=op.groups,
    )


def run_transposed(tally: Tally, op: ConvTranspose, module: nn.Module, inputs: Inputs) -> Array:
    rank = inputs[0].ndim - 2
    return layers.conv_transpose(
        tally,
        inputs[0],
        *arrays(module),
        stride=per_axis(op.stride, rank),
        padding=per_axis(op.padding, rank),
        output_padding=per_axis(op.output_padding, rank),
        dilation=per_axis(op.dilation, rank),
        groups=op.groups,
    )


def run_pool(tally: Tally, op: MaxPool | AvgPool, _: nn.Module, inputs: Inputs) -> Array:
    rank = inputs[0].ndim - 2
    stride = op.kernel_size if op.stride is None else op.stride
    kernel, stride, padding = (per_axis(n, rank) for n in (op.kernel_size, stride, op.padding))
    window = (inputs[0], kernel, stride, padding)
    if isinstance(op, MaxPool):
        dilation = per_axis(op.dilation, rank)
        return layers.max_pool(tally, *window, dilation, op.ceil_mode)
    how = (op.ceil_mode, op.count_include_pad, op.divisor_override)
    return layers.avg_pool(tally, *window, *how)


def run_batch_norm(tally: Tally, op: BatchNorm, module: Any, inputs: Inputs) -> Array:
    mean, var = module.running_mean.numpy(), module.running_var.numpy()
    one, zero = np.ones(len(mean)), np.zeros(len(mean))
    weight = module.weight.detach().numpy() if op.affine else one
    bias = module.bias.detach().numpy() if op.affine else zero
    scale = weight / np.sqrt(var + op.eps)
    return layers.batch_norm(tally, inputs[0], scale, bias - mean * scale)


BUILT: dict[type[Op], Case] = {
    Conv: Case(conv(transposed=False), run_conv),
    ConvTranspose: Case(conv(transposed=True), run_transposed),
    Linear: Case(
        shaped(lambda draw, _: Linear(draw(small), draw(st.booleans()))),
        lambda tally, op, module, inputs: layers.linear(tally, inputs[0], *arrays(module)),
    ),
    Projection: Case(
        shaped(lambda draw, _: Projection(draw(small), 1)),
        lambda tally, op, module, inputs: layers.linear(tally, inputs[0], *arrays(module)),
        lambda op, shapes: nn.Linear(shapes[0][-1], op.out_features, bias=False),
    ),
    Matmul: Case(matmul(), lambda tally, op, module, inputs: layers.matmul(tally, *inputs)),
    BatchNorm: Case(
        shaped(lambda draw, _: BatchNorm(affine=draw(st.booleans())), most=5), run_batch_norm
    ),
    LocalResponseNorm: Case(
        shaped(lambda draw, _: LocalResponseNorm(draw(st.integers(1, 5)), 0.1, 0.75, 2.0), least=3),
        lambda tally, op, module, inputs: layers.lrn(
            tally, inputs[0], op.size, op.alpha, op.beta, op.k
        ),
    ),
    ReLU: Case(
        shaped(lambda draw, _: ReLU()),
        lambda tally, op, module, inputs: layers.relu(tally, *inputs),
    ),
    Scale: Case(
        shaped(lambda draw, _: Scale(0.3)),
        lambda tally, op, module, inputs: layers.each(lambda x: tally.times(x, op.by), *inputs),
    ),
    Tanh: Case(
        shaped(lambda draw, _: Tanh()),
        lambda tally, op, module, inputs: layers.each(
            lambda x: tally.function(np.tanh, x), *inputs
        ),
    ),
    Affine: Case(
        shaped(lambda draw, _: Affine()),
        lambda tally, op, module, inputs: layers.batch_norm(tally, inputs[0], *arrays(module)),
    ),
    RadialBasis: Case(
        shaped(lambda draw, _: RadialBasis(draw(small))),
        lambda tally, op, module, inputs: layers.radial_basis(
            tally,
            inputs[0],
            module.centres.numpy(),
        ),
    ),
    Softmax: Case(
        shaped(lambda draw, rank: Softmax(draw(st.integers(-rank, rank - 1)))),
        lambda tally, op, module, inputs: layers.softmax(tally, inputs[0], op.dim),
    ),
    MaxPool: Case(pool(average=False), run_pool),
    AvgPool: Case(pool(average=True), run_pool),
    AdaptiveAvgPool: Case(
        adaptive(AdaptiveAvgPool),
        lambda tally, op, module, inputs: layers.adaptive_avg_pool(
            tally, inputs[0], per_axis(op.output_size, inputs[0].ndim - 2)
        ),
    ),
    AdaptiveMaxPool: Case(
        adaptive(AdaptiveMaxPool),
        lambda tally, op, module, inputs: layers.adaptive_max_pool(
            tally, inputs[0], per_axis(op.output_size, inputs[0].ndim - 2)
        ),
    ),
    Add: Case(
        together(Add()),
        lambda tally, op, module, inputs: layers.elementwise(tally.plus, inputs),
    ),
    Multiply: Case(
        together(Multiply()),
        lambda tally, op, module, inputs: layers.elementwise(tally.times, inputs),
    ),
    Select: Case(select(), lambda tally, op, module, inputs: inputs[0][:, list(op.channels)]),
    Concat: Case(concat(), lambda tally, op, module, inputs: np.concatenate(inputs, op.dim)),
    Flatten: Case(
        shaped(lambda draw, _: Flatten()),
        lambda tally, op, module, inputs: inputs[0].reshape(len(inputs[0]), -1),
    ),
    Dropout: Case(shaped(lambda draw, _: Dropout()), lambda tally, op, module, inputs: inputs[0]),
    Identity: Case(shaped(lambda draw, _: Identity()), lambda tally, op, module, inputs: inputs[0]),
}
