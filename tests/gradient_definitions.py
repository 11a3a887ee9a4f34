"""The backward pass of each operation as a definition that is executed: gradients, by names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from cases.built import per_axis
from cases.reductions import NORMS, spots
from cases.traced import kernel_of, mask
from gradients_of_samples import SAMPLED
from gradients_of_solutions import SOLVED
from oracle import Array, backwards, backwards_recurrent, backwards_windows, index
from oracle.backwards import Elements
from oracle.backwards_windows import adaptive_windows, windows
from oracle.functions import _taps

from costlab.graph.op import Op
from costlab.ops.adaptive_pool import AdaptiveAvgPool, AdaptiveMaxPool
from costlab.ops.attention import Attention, PackedAttention
from costlab.ops.broadcast import Add, Multiply
from costlab.ops.conv import Conv
from costlab.ops.conv_transpose import ConvTranspose
from costlab.ops.dense import Linear, Matmul, RadialBasis
from costlab.ops.elementwise import Affine, ReLU, Scale, Tanh
from costlab.ops.layer_norm import GroupNorm, InstanceNorm, LayerNorm, RMSNorm
from costlab.ops.lookup import Embedding
from costlab.ops.movement import Identity, Movement
from costlab.ops.norm import BatchNorm, LocalResponseNorm
from costlab.ops.pointwise import Pair, Pointwise, PReLU
from costlab.ops.pool import AvgPool, MaxPool
from costlab.ops.recurrent import Recurrent
from costlab.ops.reduce import Cumulative, Reduce, Scatter, Variance
from costlab.ops.resample import Fold, Interpolate
from costlab.ops.select import Sort
from costlab.ops.softmax import LogSoftmax, Softmax
from costlab.ops.zero_cost import Concat, Dropout, Flatten

X, Y, W, B = ("operand", 0), ("operand", 1), ("weight", 0), ("weight", 1)
Gradients = dict[tuple[str, int], Array]


def shift(t: Elements, dy: Array, axis: int) -> Array:
    """Of a bias along an axis."""
    axis %= dy.ndim
    return t.total(dy, tuple(i for i in range(dy.ndim) if i != axis)).ravel()


def of_x(rule: Callable[[Elements, Any, Array, Array, Array], Array]) -> Any:
    """The backward pass of an operation of one input without parameters."""

    def run(t: Elements, op: Any, _: Any, inputs: Any, y: Array, dy: Array, wanted: Any) -> Any:
        return {X: rule(t, op, inputs[0], y, dy)} if X in wanted else {}

    return run


def biased(axis: int) -> Any:
    """Of an operation with multiply-adds: the bias alone, if there is one."""

    def run(t: Elements, op: Any, _: Any, inputs: Any, y: Array, dy: Array, wanted: Any) -> Any:
        return {B: shift(t, dy, axis)} if B in wanted and op.bias else {}

    return run


def matmul(t: Elements, op: Any, _: Any, inputs: Any, y: Array, dy: Array, wanted: Any) -> Any:
    a, b = inputs
    given = {}
    if X in wanted:
        given[X] = t.collected(dy @ b.swapaxes(-1, -2), a.shape)
    if Y in wanted:
        given[Y] = t.collected(a.swapaxes(-1, -2) @ dy, b.shape)
    return given


def batch_norm(
    t: Elements, op: Any, module: Any, inputs: Any, y: Array, dy: Array, wanted: Any
) -> Any:
    (x,) = inputs
    along = (-1, *[1] * (x.ndim - 2))
    mean, var = (each.numpy().reshape(along) for each in (module.running_mean, module.running_var))
    root = 1 / np.sqrt(var + op.eps)
    scale = module.weight.detach().numpy().reshape(along) if op.affine else 1.0
    given = {X: t.product(dy, scale * root)} if X in wanted else {}
    if W in wanted:
        given[W] = t.product(shift(t, t.product(dy, t.less(x, mean)), 1), root.ravel())
    if B in wanted:
        given[B] = shift(t, dy, 1)
    return given


def affine(t: Elements, op: Any, module: Any, inputs: Any, y: Array, dy: Array, wanted: Any) -> Any:
    (x,) = inputs
    scale = module.weight.detach().numpy().reshape(-1, *[1] * (x.ndim - 2))
    given = {X: t.product(dy, scale)} if X in wanted else {}
    if W in wanted:
        given[W] = shift(t, t.product(dy, x), 1)
    if B in wanted:
        given[B] = shift(t, dy, 1)
    return given


def together(times: bool) -> Any:
    def run(t: Elements, op: Any, _: Any, inputs: Any, y: Array, dy: Array, wanted: Any) -> Any:
        so_far = [inputs[0]]
        for more in inputs[1:]:
            so_far.append(so_far[-1] * more if times else so_far[-1] + more)
        given = {}
        for number in reversed(range(1, len(inputs))):
            before, own = so_far[number - 1], inputs[number]
            if ("operand", number) in wanted:
                of_own = t.product(dy, before) if times else dy
                given["operand", number] = t.collected(of_own, own.shape)
            if not wanted & {("operand", n) for n in range(number)}:
                return given
            dy = t.collected(t.product(dy, own) if times else dy, before.shape)
        return given | {X: dy}

    return run


def pair(t: Elements, op: Any, _: Any, inputs: Any, y: Array, dy: Array, wanted: Any) -> Any:
    if len(inputs) == 1:
        return with_number(t, op, inputs[0], y, dy) if X in wanted else {}
    values, signs = list(inputs), [1.0] * len(inputs)
    if op.function in ("pow", "xlogy"):  # as the case does
        number = ("pow", "xlogy").index(op.function)
        values[number], signs[number] = np.abs(values[number]) + 0.1, np.sign(values[number])
    given = {}
    rules = backwards.PAIRS if len(inputs) == 2 else backwards.THREE
    for number, rule in enumerate(rules[op.function]):
        if ("operand", number) in wanted:
            result = rule(t, *np.broadcast_arrays(*values), y, dy) * signs[number]
            given["operand", number] = t.collected(result, inputs[number].shape)
    return given


def with_number(t: Elements, op: Any, x: Array, y: Array, dy: Array) -> Gradients:
    sign: Any = 1.0
    if op.function == ("xlogy" if op.number_first else "pow"):  # as the case does
        x, sign = np.abs(x) + 0.1, np.sign(x)
    is_raised = op.function == ("pow" if op.number_first else "xlogy")
    number = 0.6 if is_raised else 0.5
    if op.number_first:
        return {X: backwards.NUMBER_FIRST[op.function](t, number, x, y, dy) * sign}
    return {X: backwards.WITH_NUMBER[op.function](t, x, number, y, dy) * sign}


def pointwise(t: Elements, op: Any, x: Array, y: Array, dy: Array) -> Array:
    sign: Any = 1.0
    if op.function in ("log", "log2", "log10", "sqrt", "rsqrt", "lgamma", "digamma"):
        x, sign = np.abs(x) + 0.1, np.sign(x)  # as the case does
    elif op.function == "acosh":
        x, sign = np.abs(x) + 1.1, np.sign(x)
    elif op.function == "logit":
        x, sign = np.abs(x) / 2 + 0.1, np.sign(x) / 2
    gradient: Array = backwards.EACH[op.function](t, x, y, dy) * sign
    return gradient


def prelu(t: Elements, op: Any, module: Any, inputs: Any, y: Array, dy: Array, wanted: Any) -> Any:
    (x,) = inputs
    if not wanted & {X, W}:
        return {}
    t.cmp += x.size
    slope = module.weight.detach().numpy()
    slope = slope if op.slopes == 1 else slope.reshape(-1, *[1] * (x.ndim - 2))
    given = {X: np.where(x > 0, dy, t.product(dy, slope))} if X in wanted else {}
    if W in wanted:
        below = np.where(x > 0, 0.0, t.product(dy, x))
        axes = tuple(range(x.ndim)) if op.slopes == 1 else None
        given[W] = shift(t, below, 1) if axes is None else t.total(below, axes).ravel()
    return given


def norm(t: Elements, op: Any, module: Any, inputs: Any, y: Array, dy: Array, wanted: Any) -> Any:
    (x,) = inputs
    shape, own = x.shape, getattr(module, "weight", None)
    axes: tuple[int, ...]
    scale = None if own is None else own.detach().numpy()
    if isinstance(op, (GroupNorm, InstanceNorm)):
        parts = op.channel_groups if isinstance(op, GroupNorm) else shape[1]
        inside = (shape[0], parts, -1)
        x, dy = x.reshape(inside), dy.reshape(inside)
        if scale is not None:
            spread = np.broadcast_to(scale.reshape(1, -1, *[1] * (len(shape) - 2)), shape)
            scale = spread.reshape(inside)
        axes = (2,)
    else:
        axes = tuple(range(x.ndim - op.axes, x.ndim))
    eps = np.finfo(float).eps if isinstance(op, RMSNorm) else 1e-5
    of_input, of_scale = backwards.normalised(
        t, x, dy, scale, axes, not isinstance(op, RMSNorm), eps, wanted
    )
    given = {} if of_input is None else {X: of_input.reshape(shape)}
    dy = dy.reshape(shape)
    for name, whole in ((W, of_scale), (B, dy if B in wanted else None)):
        if whole is None:
            continue
        if isinstance(op, (GroupNorm, InstanceNorm)):
            given[name] = shift(t, whole.reshape(shape), 1)
        else:
            outside = tuple(range(len(shape) - op.axes))
            given[name] = t.total(whole, outside).reshape(shape[len(shape) - op.axes :])
    return given


def pool(t: Elements, op: Any, x: Array, y: Array, dy: Array) -> Array:
    rank = x.ndim - 2
    if isinstance(op, (AdaptiveAvgPool, AdaptiveMaxPool)):
        taken = list(adaptive_windows(x, dy.shape[2:]))
        if isinstance(op, AdaptiveMaxPool):
            return backwards_windows.max_pool(t, x, dy, taken)
        return backwards_windows.avg_pool(t, x, dy, taken, len)
    stride = op.kernel_size if op.stride is None else op.stride
    kernel, stride, padding = (per_axis(n, rank) for n in (op.kernel_size, stride, op.padding))
    dilation = per_axis(getattr(op, "dilation", 1), rank)
    taken = list(windows(x, kernel, stride, padding, dilation, op.ceil_mode))
    if isinstance(op, MaxPool):
        return backwards_windows.max_pool(t, x, dy, taken)

    def divisor(taps: Any) -> int:
        if op.divisor_override:
            return 0 if op.divisor_override == 1 else int(op.divisor_override)
        edges = padding if op.count_include_pad else (0,) * rank
        return sum(
            all(-p <= i < n + p for i, n, p in zip(tap, x.shape[2:], edges, strict=True))
            for tap in taps
        )

    return backwards_windows.avg_pool(t, x, dy, taken, divisor)


def radial(t: Elements, op: Any, module: Any, inputs: Any, y: Array, dy: Array, wanted: Any) -> Any:
    if X not in wanted:
        return {}
    centres = module.centres.numpy()
    apart = t.less(inputs[0][..., None, :], centres)
    return {X: t.product(2.0, t.total(t.product(dy[..., None], apart), (-2,))[..., 0, :])}


def reduced(t: Elements, op: Any, x: Array, y: Array, dy: Array) -> Array:
    axes = tuple(range(x.ndim)) if op.dims is None else tuple(d % x.ndim for d in op.dims)
    kept = tuple(1 if i in axes else d for i, d in enumerate(x.shape))
    y, dy = y.reshape(kept), dy.reshape(kept)
    many = x.size // dy.size
    if isinstance(op, Variance):
        mean = t.quotient(t.total(x, axes), many)
        share = t.product(dy, 2 / (many - 1 if many > 1 else 1))
        return t.product(t.less(x, mean), share)
    if op.function in ("norm", *NORMS):
        return backwards.norm(t, x, y, dy, NORMS.get(op.function, 2))
    if op.function in ("max", "min"):
        return t.where(x == y, dy, 0.0)
    if op.function == "prod":
        return t.quotient(t.product(dy, y), x)
    if op.function == "logsumexp":
        return t.product(t.of(np.exp, t.less(x, y)), dy)
    dy = t.quotient(dy, many) if op.function == "mean" else dy
    spread = np.broadcast_to(dy, x.shape)
    return t.where(np.isnan(x), 0.0, spread) if op.function == "nansum" else spread


def running(t: Elements, op: Any, x: Array, y: Array, dy: Array) -> Array:
    if op.function in ("cummax", "cummin"):
        return of_extremes(t, op, x, dy)
    whole = t.product(dy, y) if op.function == "cumprod" else dy
    if op.function == "logcumsumexp":
        whole = t.quotient(dy, t.of(np.exp, y))
    rows = np.moveaxis(whole, op.dim, -1).copy()
    for i in reversed(range(rows.shape[-1] - 1)):
        rows[..., i] = t.sum(rows[..., i], rows[..., i + 1])
    sums = np.moveaxis(rows, -1, op.dim)
    if op.function == "logcumsumexp":
        return t.product(sums, t.of(np.exp, x))
    return t.quotient(sums, x) if op.function == "cumprod" else sums


def of_extremes(t: Elements, op: Any, x: Array, dy: Array) -> Array:
    find = np.argmax if op.function == "cummax" else np.argmin
    dx = np.zeros(x.shape)
    own, of_own, given = (np.moveaxis(array, op.dim, -1) for array in (x, dx, dy))
    for *row, i in np.ndindex(*own.shape):
        place = int(find(own[index(*row)][: i + 1]))
        t.scattered(of_own, [index(*row, place)], [float(given[index(*row, i)])])
    return dx


def in_order(t: Elements, op: Any, x: Array, y: Array, dy: Array) -> Array:
    """Each element of the result is one of x, and no two are the same."""
    dx = np.zeros(x.shape)
    for here, gradient in zip(y.ravel(), dy.ravel(), strict=True):
        dx[x == here] = gradient
    return dx


def recurrent(
    t: Elements, op: Any, module: Any, inputs: Any, y: Array, dy: Array, wanted: Any
) -> Any:
    names = {X: "x", **{("weight", n): name for n, name in enumerate("wubd")}}
    weights = [own.detach().numpy() for own in module.parameters()]
    zeros = np.zeros((inputs[0].shape[1], op.hidden))
    given = backwards_recurrent.recurrent(
        t, op.cell, inputs[0], weights, (zeros, zeros), dy, {names[one] for one in wanted}
    )
    return {one: given[names[one]] for one in wanted}


def scattered(t: Elements, op: Any, _: Any, inputs: Any, y: Array, dy: Array, wanted: Any) -> Any:
    places = spots(inputs[0].shape, inputs[1].shape)
    if op.function == "prod" and wanted & {X, Y}:
        dy = t.product(dy, y)
    given = {}
    for name, x, taken in ((X, inputs[0], None), (Y, inputs[1], places)):
        if name in wanted:
            own, result = (
                each if taken is None else np.take_along_axis(each, taken, 0) for each in (dy, y)
            )
            if op.function in ("amax", "amin"):
                own = t.where(x == result, own, 0.0)
            given[name] = t.quotient(own, x) if op.function == "prod" else own
    return given


def interpolated(t: Elements, op: Any, x: Array, y: Array, dy: Array) -> Array:
    weights = [_taps(n, m, op.mode) for n, m in zip(x.shape[2:], op.size, strict=True)]
    dx = np.zeros(x.shape)
    for here in np.ndindex(*dy.shape):
        share = float(dy[here])
        taps: list[tuple[tuple[int, ...], float]] = [((), 1.0)]
        for axis, i in enumerate(here[2:]):
            taps = [((*p, s), w * v) for p, w in taps for s, v in weights[axis][i]]
        for place, weight in taps:
            part = share if op.taps == 1 else t.times(share, weight)
            t.scattered(dx, [(*here[:2], *place)], [part])
    return dx


def embedded(
    t: Elements, op: Any, module: Any, inputs: Any, y: Array, dy: Array, wanted: Any
) -> Any:
    if W not in wanted:
        return {}
    rows = (np.abs(inputs[0]) * 1000).astype(int) % op.size
    table = np.zeros((op.size, op.width))
    for here in np.ndindex(*dy.shape):
        t.scattered(table, [(int(rows[here[:-1]]), here[-1])], [float(dy[here])])
    return {W: table}


def attending(
    t: Elements, op: Any, module: Any, inputs: Any, y: Array, dy: Array, wanted: Any
) -> Any:
    own = None if module.mask is None else module.mask.detach().numpy()
    q, k, v = inputs
    return backwards.attention(t, q, k, v, dy, own, op.grouped, wanted)


def packed(t: Elements, op: Any, _: Any, inputs: Any, y: Array, dy: Array, wanted: Any) -> Any:
    """Each sequence by itself, heads first."""
    given = {number: np.zeros(x.shape) for number, x in enumerate(inputs)}
    first, second = 0, 0
    for queries, keys in op.lengths:
        rows = (slice(first, first + queries), *[slice(second, second + keys)] * 2)
        q, k, v, dy_own = (
            x[row].swapaxes(0, 1) for x, row in zip((*inputs, dy), (*rows, rows[0]), strict=True)
        )
        part = backwards.attention(t, q, k, v, dy_own, mask(op, queries, keys), True, wanted)
        for (_, number), gradient in part.items():
            given[number][rows[number]] = gradient.swapaxes(0, 1)
        first, second = first + queries, second + keys
    return {("operand", n): array for n, array in given.items() if ("operand", n) in wanted}


def concat(t: Elements, op: Any, _: Any, inputs: Any, y: Array, dy: Array, wanted: Any) -> Any:
    ends = np.cumsum([x.shape[op.dim] for x in inputs])[:-1]
    parts = np.split(dy, ends, op.dim)
    return {("operand", n): part for n, part in enumerate(parts) if ("operand", n) in wanted}


def selected(t: Elements, op: Any, x: Array, y: Array, dy: Array) -> Array:
    dx = np.zeros(x.shape)
    for i, channel in enumerate(op.channels):
        dx[:, channel] += dy[:, i]
    return dx


def folded(t: Elements, op: Any, x: Array, y: Array, dy: Array) -> Array:
    kernel = kernel_of(op, x.shape[2])
    dx = np.zeros(x.shape)
    across = op.size[1] - kernel[1] + 1
    for n, channel, j in np.ndindex(*x.shape):
        tap, spot = channel % op.window, divmod(j, across)
        place = (spot[0] + tap // kernel[1], spot[1] + tap % kernel[1])
        dx[n, channel, j] = dy[index(n, channel // op.window, *place)]
    return dx


DEFINED: dict[type[Op], Any] = {
    Conv: biased(1),
    ConvTranspose: biased(1),
    Linear: biased(-1),
    Matmul: matmul,
    RadialBasis: radial,
    BatchNorm: batch_norm,
    LocalResponseNorm: of_x(
        lambda t, op, x, y, dy: backwards.lrn(t, x, y, dy, op.size, (op.alpha, op.beta, op.k))
    ),
    ReLU: of_x(lambda t, op, x, y, dy: t.where(y > 0, dy, 0.0)),
    Tanh: of_x(lambda t, op, x, y, dy: t.product(dy, t.less(1.0, t.product(y, y)))),
    Scale: of_x(lambda t, op, x, y, dy: t.product(dy, op.by)),
    Affine: affine,
    Softmax: of_x(lambda t, op, x, y, dy: backwards.softmax(t, y, dy, op.dim)),
    LogSoftmax: of_x(lambda t, op, x, y, dy: backwards.log_softmax(t, y, dy, op.dim)),
    MaxPool: of_x(pool),
    AvgPool: of_x(pool),
    AdaptiveAvgPool: of_x(pool),
    AdaptiveMaxPool: of_x(pool),
    Add: together(times=False),
    Multiply: together(times=True),
    Pair: pair,
    Pointwise: of_x(pointwise),
    PReLU: prelu,
    LayerNorm: norm,
    RMSNorm: norm,
    GroupNorm: norm,
    InstanceNorm: norm,
    Reduce: of_x(reduced),
    Variance: of_x(reduced),
    Cumulative: of_x(running),
    Sort: of_x(in_order),
    Recurrent: recurrent,
    Scatter: scattered,
    Interpolate: of_x(interpolated),
    Embedding: embedded,
    Attention: attending,
    PackedAttention: packed,
    **SAMPLED,
    **SOLVED,
    Concat: concat,
    Fold: of_x(folded),
    Flatten: of_x(lambda t, op, x, y, dy: dy.reshape(x.shape)),
    Identity: of_x(lambda t, op, x, y, dy: dy),
    Dropout: of_x(lambda t, op, x, y, dy: dy),
    Movement: of_x(lambda t, op, x, y, dy: np.transpose(dy)),
}
BY_PARTS = {Conv: {B}, ConvTranspose: {B}, Linear: {B}}
"""Those of which other gradients are multiply-adds (see `test_gradients`)."""
