"""Definitions of what a traced module may call, executed like those of `oracle`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import product

import numpy as np
from oracle import Array, Tally, grid, softmax

Each = Callable[[Tally, float], float]


def special(f: Callable[[float], float]) -> Each:
    return lambda t, x: t.function(f, x)


def clip(t: Tally, x: float, low: float, high: float) -> float:
    return -t.larger(-t.larger(x, low), -high)


def sigmoid(t: Tally, x: float) -> float:
    return t.over(1.0, t.plus(1.0, t.function(math.exp, t.times(-1.0, x))))


def softplus(t: Tally, x: float) -> float:
    return t.function(math.log, t.plus(1.0, t.function(math.exp, x)))


def below(t: Tally, x: float, value: Callable[[], float]) -> float:
    """``x``, or below 0 a value that every element computes."""
    other = value()
    return x if t.larger(x, 0.0) > 0 else other


def expm1(t: Tally, x: float) -> float:
    return t.plus(t.function(math.exp, x), -1.0)


def gelu_tanh(t: Tally, x: float) -> float:
    cube = t.times(t.times(x, x), x)
    inner = t.times(math.sqrt(2 / math.pi), t.plus(x, t.times(0.044715, cube)))
    return t.times(t.times(0.5, x), t.plus(1.0, t.function(math.tanh, inner)))


def gelu(t: Tally, x: float) -> float:
    root = t.times(x, 1 / math.sqrt(2))
    return t.times(t.times(0.5, x), t.plus(1.0, t.function(math.erf, root)))


def compared(f: Callable[[float], float]) -> Each:
    def each(t: Tally, x: float) -> float:
        t.cmp += 1
        return float(f(x))

    return each


def sign(t: Tally, x: float) -> float:
    t.cmp += 2
    return float(np.sign(x))


def shrunk(t: Tally, x: float, soft: bool) -> float:
    t.cmp += 2
    if soft:
        t.add += 1
        return float(np.sign(x) * max(abs(x) - 0.5, 0))
    return x if abs(x) > 0.5 else 0.0


def sinc(t: Tally, x: float) -> float:
    t.cmp += 1
    angle = t.times(math.pi, x)
    return t.over(t.function(math.sin, angle), angle or 1.0) if x else 1.0


def logit(t: Tally, x: float) -> float:
    return t.function(math.log, t.over(x, t.plus(1.0, -x)))


def no_nan(t: Tally, x: float) -> float:
    """Whether it is NaN, and within the finite numbers."""
    t.cmp += 3
    return float(np.nan_to_num(x))


SELU, ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717

FUNCTIONS: dict[str, Each] = {
    "neg": lambda t, x: t.times(-1.0, x),
    "square": lambda t, x: t.times(x, x),
    "reciprocal": lambda t, x: t.over(1.0, x),
    "abs": lambda t, x: t.larger(x, -x),
    "sign": sign,
    "sgn": sign,
    "deg2rad": lambda t, x: t.times(math.pi / 180, x),
    "rad2deg": lambda t, x: t.times(180 / math.pi, x),
    "clamp": lambda t, x: clip(t, x, -0.5, 0.5),
    "clamp_min": lambda t, x: t.larger(x, 0.0),
    "clamp_max": lambda t, x: -t.larger(-x, -0.0),
    "threshold": compared(lambda x: x if x > 0.1 else 0.0),
    "hardtanh": lambda t, x: clip(t, x, -1.0, 1.0),
    "relu6": lambda t, x: clip(t, x, 0.0, 6.0),
    "leaky_relu": lambda t, x: below(t, x, lambda: t.times(0.01, x)),
    "hardshrink": lambda t, x: shrunk(t, x, soft=False),
    "softshrink": lambda t, x: shrunk(t, x, soft=True),
    "hardsigmoid": lambda t, x: t.over(clip(t, t.plus(x, 3.0), 0.0, 6.0), 6.0),
    "hardswish": lambda t, x: t.times(x, t.over(clip(t, t.plus(x, 3.0), 0.0, 6.0), 6.0)),
    "sigmoid": sigmoid,
    "logsigmoid": lambda t, x: t.times(-1.0, softplus(t, t.times(-1.0, x))),
    "silu": lambda t, x: t.times(x, sigmoid(t, x)),
    "softsign": lambda t, x: t.over(x, t.plus(1.0, t.larger(x, -x))),
    "softplus": softplus,
    "mish": lambda t, x: t.times(x, t.function(math.tanh, softplus(t, x))),
    "elu": lambda t, x: below(t, x, lambda: t.times(1.0, expm1(t, x))),
    "selu": lambda t, x: t.times(SELU, below(t, x, lambda: t.times(ALPHA, expm1(t, x)))),
    "celu": lambda t, x: below(
        t, x, lambda: t.times(1.0, t.plus(t.function(math.exp, t.over(x, 1.0)), -1.0))
    ),
    "gelu": gelu,
    "gelu_tanh": gelu_tanh,
    "tanhshrink": lambda t, x: t.plus(x, -t.function(math.tanh, x)),
    "floor": compared(np.floor),
    "ceil": compared(np.ceil),
    "round": compared(np.round),
    "trunc": compared(np.trunc),
    "frac": lambda t, x: t.plus(x, -compared(np.trunc)(t, x)),
    "logical_not": compared(lambda x: x == 0),
    "bitwise_not": compared(lambda x: x == 0),
    "isnan": compared(np.isnan),
    "isinf": compared(np.isinf),
    "isneginf": compared(np.isneginf),
    "isposinf": compared(np.isposinf),
    "isfinite": compared(np.isfinite),
    "signbit": compared(np.signbit),
    "nan_to_num": no_nan,
    "logit": logit,
    "sinc": sinc,
    "exp": special(np.exp),
    "exp2": special(np.exp2),
    "expm1": special(np.expm1),
    "log": special(np.log),
    "log2": special(np.log2),
    "log10": special(np.log10),
    "log1p": special(np.log1p),
    "sqrt": special(np.sqrt),
    "rsqrt": special(lambda x: 1 / math.sqrt(x)),
    "sin": special(np.sin),
    "cos": special(np.cos),
    "tan": special(np.tan),
    "asin": special(np.arcsin),
    "acos": special(np.arccos),
    "atan": special(np.arctan),
    "sinh": special(np.sinh),
    "cosh": special(np.cosh),
    "asinh": special(np.arcsinh),
    "acosh": special(lambda x: math.acosh(max(x, 1.0))),
    "atanh": special(np.arctanh),
    "erf": special(math.erf),
    "erfc": special(math.erfc),
    "erfinv": special(lambda x: _inverted(math.erf, x)),
    "lgamma": special(math.lgamma),
    "digamma": special(lambda x: (math.lgamma(x + 1e-5) - math.lgamma(x - 1e-5)) / 2e-5),
    "erfcx": special(lambda x: math.exp(x * x) * math.erfc(x)),
    "i0": special(np.i0),
}
"""Each function of one element, by its usual formula."""


def _inverted(f: Callable[[float], float], y: float) -> float:
    low, high = -6.0, 6.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if f(middle) < y else (low, middle)
    return low


def choose(f: Callable[[float, float], float]) -> Callable[[Tally, float, float], float]:
    def two(t: Tally, a: float, b: float) -> float:
        t.cmp += 1
        return float(f(a, b))

    return two


def divided(f: Callable[[float, float], float]) -> Callable[[Tally, float, float], float]:
    def two(t: Tally, a: float, b: float) -> float:
        t.div += 1
        return float(f(a, b))

    return two


def powered(f: Callable[[float, float], float]) -> Callable[[Tally, float, float], float]:
    def two(t: Tally, a: float, b: float) -> float:
        t.special += 1
        return float(f(a, b))

    return two


def heaviside(t: Tally, a: float, b: float) -> float:
    t.cmp += 2
    return float(np.heaviside(a, b))


def ldexp(t: Tally, a: float, b: float) -> float:
    return t.times(a, t.function(lambda power: 2**power, b))


def hypot(t: Tally, a: float, b: float) -> float:
    return t.function(math.sqrt, t.plus(t.times(a, a), t.times(b, b)))


def xlogy(t: Tally, a: float, b: float) -> float:
    t.cmp += 1
    value = t.times(a, t.function(math.log, b))
    return value if a else 0.0


def logaddexp(t: Tally, a: float, b: float, base: float) -> float:
    most = t.larger(a, b)
    less = t.plus(min(a, b), -most)
    one = t.plus(1.0, t.function(lambda x: base**x, less))
    return t.plus(most, t.function(lambda x: math.log(x, base), one))


PAIRS: dict[str, Callable[[Tally, float, float], float]] = {
    "add": Tally.plus,
    "sub": lambda t, a, b: t.plus(a, -b),
    "mul": Tally.times,
    "div": Tally.over,
    "floor_divide": divided(lambda a, b: math.floor(a / b)),
    "remainder": divided(lambda a, b: a - b * math.floor(a / b)),
    "fmod": divided(math.fmod),
    "maximum": Tally.larger,
    "minimum": lambda t, a, b: -t.larger(-a, -b),
    "fmax": Tally.larger,
    "fmin": lambda t, a, b: -t.larger(-a, -b),
    "copysign": choose(math.copysign),
    "heaviside": heaviside,
    "bitwise_left_shift": lambda t, a, b: t.times(a, 2**b),
    "bitwise_right_shift": lambda t, a, b: float(math.floor(t.over(a, 2**b))),
    "ldexp": ldexp,
    "hypot": hypot,
    "xlogy": xlogy,
    "logaddexp": lambda t, a, b: logaddexp(t, a, b, math.e),
    "logaddexp2": lambda t, a, b: logaddexp(t, a, b, 2.0),
    "eq": choose(lambda a, b: a == b),
    "ne": choose(lambda a, b: a != b),
    "lt": choose(lambda a, b: a < b),
    "le": choose(lambda a, b: a <= b),
    "gt": choose(lambda a, b: a > b),
    "ge": choose(lambda a, b: a >= b),
    "where": choose(lambda a, b: a if a > 0 else b),
    "logical_and": choose(lambda a, b: bool(a) and bool(b)),
    "logical_or": choose(lambda a, b: bool(a) or bool(b)),
    "logical_xor": choose(lambda a, b: bool(a) != bool(b)),
    "bitwise_and": choose(lambda a, b: a > 0 and b > 0),
    "bitwise_or": choose(lambda a, b: a > 0 or b > 0),
    "bitwise_xor": choose(lambda a, b: (a > 0) != (b > 0)),
    "masked_fill": choose(lambda a, b: 0.0 if b > 0 else a),
    "pow": powered(lambda a, b: a**b),
    "atan2": powered(math.atan2),
    "lerp": lambda t, a, b: t.plus(a, t.times(0.25, t.plus(b, -a))),
    "addcmul": lambda t, a, b: t.plus(0.0, t.times(a, b)),
    "addcdiv": lambda t, a, b: t.plus(0.0, t.over(a, b)),
}
"""Each function of two elements."""


def pair(t: Tally, f: Callable[[Tally, float, float], float], inputs: list[Array]) -> Array:
    """Broadcast; a number in place of the second input is 0.5."""
    a, b = inputs if len(inputs) == 2 else (inputs[0], np.array(0.5))
    shape = np.broadcast_shapes(a.shape, b.shape)
    left, right = np.broadcast_to(a, shape), np.broadcast_to(b, shape)
    out = np.zeros(shape)
    for here in grid(map(range, shape)):
        out[here] = f(t, float(left[here]), float(right[here]))
    return out


def prelu(t: Tally, x: Array, slopes: Array) -> Array:
    out = np.zeros(x.shape)
    for here in grid(map(range, x.shape)):
        slope = float(slopes[here[1] if len(slopes) > 1 else 0])
        value = float(x[here])
        out[here] = below(t, value, lambda value=value, slope=slope: t.times(slope, value))  # type: ignore[misc]
    return out


def log_softmax(t: Tally, x: Array, dim: int) -> Array:
    out = np.zeros(x.shape)
    rows, results = np.moveaxis(x, dim, -1), np.moveaxis(out, dim, -1)
    for here in grid(map(range, rows.shape[:-1])):
        row = [float(value) for value in rows[here]]
        largest = row[0]
        for value in row[1:]:
            largest = t.larger(largest, value)
        shifted = [t.plus(value, -largest) for value in row]
        logarithm = t.function(math.log, total(t, [t.function(math.exp, s) for s in shifted]))
        for i, value in enumerate(shifted):
            results[(*here, i)] = t.plus(value, -logarithm)
    return out


def total(t: Tally, values: Iterable[float]) -> float:
    first, *others = values
    for value in others:
        first = t.plus(first, value)
    return first


def summed(t: Tally, values: Iterable[float]) -> float:
    """A sum that starts at zero, as the norms' convention has it."""
    result = 0.0
    for value in values:
        result = t.plus(result, value)
    return result


def normalised(
    t: Tally,
    groups: list[list[tuple[int, ...]]],
    x: Array,
    scale: Array | None,
    shift: Array | None,
    centred: bool = True,
    eps: float = 1e-5,
) -> Array:
    """Each group of places by its own mean and root; scale and shift have the input's shape."""
    out = np.zeros(x.shape)
    for group in groups:
        values = [float(x[here]) for here in group]
        if centred:
            mean = summed(t, values) / len(values)
            values = [t.plus(value, -mean) for value in values]
        squares = summed(t, [t.times(value, value) for value in values])
        root = t.function(lambda v: 1 / math.sqrt(v), squares / len(values) + eps)
        for here, value in zip(group, values, strict=True):
            result = t.times(value, root)
            if scale is not None:
                result = t.times(result, float(scale[here]))
            if shift is not None:
                result = t.plus(result, float(shift[here]))
            out[here] = result
    return out


COMBINED: dict[str, Callable[[Tally, float, float], float]] = {
    "sum": Tally.plus,
    "mean": Tally.plus,
    "prod": Tally.times,
    "max": Tally.larger,
    "min": lambda t, a, b: -t.larger(-a, -b),
    "any": choose(lambda a, b: bool(a) or bool(b)),
    "all": choose(lambda a, b: bool(a) and bool(b)),
    "norm": Tally.plus,
    "norm_1": Tally.plus,
    "norm_inf": Tally.larger,
    "norm_p": Tally.plus,
    "nansum": Tally.plus,
    "count_nonzero": Tally.plus,
    "logsumexp": Tally.plus,
}
EACH_OF: dict[str, Each] = {
    "norm": lambda t, v: t.times(v, v),
    "norm_1": lambda t, v: t.larger(v, -v),
    "norm_inf": lambda t, v: t.larger(v, -v),
    "norm_p": lambda t, v: t.function(lambda x: x**3, t.larger(v, -v)),
    "nansum": compared(lambda v: 0.0 if math.isnan(v) else v),
    "count_nonzero": compared(lambda v: v != 0),
    "logsumexp": special(math.exp),
}
"""What is done to each element first; the norm of order p is of order 3."""
AFTER: dict[str, Each] = {
    "norm": special(math.sqrt),
    "norm_p": special(lambda x: x ** (1 / 3)),
    "logsumexp": special(math.log),
}
"""What is done to the result."""


def reduced(t: Tally, function: str, x: Array, dims: tuple[int, ...] | None, keep: bool) -> Array:
    axes = range(x.ndim) if dims is None else [d % x.ndim for d in dims]
    kept = [i for i in range(x.ndim) if i not in axes]
    out = np.zeros([x.shape[i] for i in kept])
    for here in grid(map(range, out.shape)):
        values = []
        for there in grid([range(x.shape[a]) for a in sorted(axes)]):
            index = [0] * x.ndim
            for a, i in [*zip(kept, here, strict=True), *zip(sorted(axes), there, strict=True)]:
                index[a] = i
            values.append(float(x[tuple(index)]))
        out[here] = _one(t, function, values)
    return np.expand_dims(out, tuple(sorted(axes))) if keep else out


def _one(t: Tally, function: str, values: list[float]) -> float:
    if function in ("argmax", "argmin"):
        best = 0
        for i, value in enumerate(values[1:], 1):
            t.cmp += 1
            if (value > values[best]) == (function == "argmax") and value != values[best]:
                best = i
        return float(best)
    if function in EACH_OF:
        values = [EACH_OF[function](t, v) for v in values]
    if function == "var":
        mean = t.over(total(t, values), len(values))
        squares = [t.plus(v, -mean) for v in values]
        return t.over(total(t, [t.times(s, s) for s in squares]), max(len(values) - 1, 0) or 1)
    result = values[0]
    for value in values[1:]:
        result = COMBINED[function](t, result, value)
    if function == "mean":
        return t.over(result, len(values))
    return AFTER[function](t, result) if function in AFTER else result


def running(t: Tally, function: str, x: Array, dim: int) -> Array:
    out = x.copy()
    rows = np.moveaxis(out, dim, -1)
    for here in grid(map(range, rows.shape[:-1])):
        for i in range(1, rows.shape[-1]):
            before, value = float(rows[(*here, i - 1)]), float(rows[(*here, i)])
            rows[(*here, i)] = RUNNING[function](t, before, value)
    return out


RUNNING: dict[str, Callable[[Tally, float, float], float]] = {
    "cumsum": Tally.plus,
    "cumprod": Tally.times,
    "cummax": Tally.larger,
    "cummin": lambda t, a, b: -t.larger(-a, -b),
}


def scattered(t: Tally, function: str, target: Array, source: Array, places: Array) -> Array:
    """Each element of the source into a place of the first axis."""
    combine = {"sum": t.plus, "prod": t.times, "amax": t.larger}
    out = target.copy()
    for here in grid(map(range, source.shape)):
        there = (int(places[here]), *here[1:])
        a, b = float(out[there]), float(source[here])
        out[there] = -t.larger(-a, -b) if function == "amin" else combine[function](a, b)
    return out


def fractional_max_pool(
    t: Tally, x: Array, window: tuple[int, ...], size: tuple[int, ...]
) -> Array:
    """The windows' places for a draw of one half, as torch computes them; the last one is last."""
    starts = []
    for full, k, n in zip(x.shape[2:], window, size, strict=True):
        step = (full - k) / (n - 1) if n > 1 else 0.0
        starts.append([int((i + 0.5) * step) - int(0.5 * step) for i in range(n - 1)] + [full - k])
    out = np.zeros((*x.shape[:2], *size))
    for n, channel, spot in product(*map(range, x.shape[:2]), grid(map(range, size))):
        corner = [starts[axis][i] for axis, i in enumerate(spot)]
        largest = -math.inf
        for number, tap in enumerate(grid(map(range, window))):
            value = float(x[(n, channel, *map(sum, zip(corner, tap, strict=True)))])
            largest = t.larger(largest, value) if number else value
        out[(n, channel, *spot)] = largest
    return out


def folded(t: Tally, x: Array, size: tuple[int, ...], kernel: tuple[int, ...]) -> Array:
    """Windows ``[N, C·k, windows]`` of stride 1 are added to an image of zeros."""
    taps = list(grid(map(range, kernel)))
    spots = list(grid([range(full - k + 1) for full, k in zip(size, kernel, strict=True)]))
    out = np.zeros((x.shape[0], x.shape[1] // len(taps), *size))
    for n, channel, (i, tap), (j, spot) in product(
        range(out.shape[0]), range(out.shape[1]), enumerate(taps), enumerate(spots)
    ):
        place = (n, channel, *map(sum, zip(spot, tap, strict=True)))
        out[place] = t.plus(float(out[place]), float(x[n, channel * len(taps) + i, j]))
    return out


def attention(t: Tally, q: Array, k: Array, v: Array, mask: Array | None, grouped: bool) -> Array:
    if grouped:
        k, v = (np.repeat(each, q.shape[-3] // each.shape[-3], axis=-3) for each in (k, v))
    whole = np.broadcast_shapes(*(each.shape[:-2] for each in (q, k, v)))
    q, k, v = (np.broadcast_to(each, (*whole, *each.shape[-2:])) for each in (q, k, v))
    scores = np.zeros((*q.shape[:-1], k.shape[-2]))
    for here in grid(map(range, scores.shape)):
        *stack, row, column = here
        score = 0.0
        for i in range(q.shape[-1]):
            score = t.mac(score, float(q[(*stack, row, i)]), float(k[(*stack, column, i)]))
        score = t.times(score, 1 / math.sqrt(q.shape[-1]))
        scores[here] = score if mask is None else t.plus(score, float(mask[row, column]))
    weights = softmax(t, scores, -1)
    out = np.zeros((*q.shape[:-1], v.shape[-1]))
    for here in grid(map(range, out.shape)):
        *stack, row, column = here
        value = 0.0
        for i in range(v.shape[-2]):
            value = t.mac(value, float(weights[(*stack, row, i)]), float(v[(*stack, i, column)]))
        out[here] = value
    return out


def recurrent(
    t: Tally, cell: str, x: Array, w: Array, u: Array, b: Array | None, c: Array | None
) -> Array:
    """``[T, N, In]`` through one layer, from a state of zeros."""
    hidden = u.shape[1]
    out = np.zeros((*x.shape[:2], hidden))
    for n in range(x.shape[1]):
        h, memory = [0.0] * hidden, [0.0] * hidden
        for step in range(x.shape[0]):
            inner = [_product(t, w[g], x[step, n], b, g) for g in range(len(w))]
            outer = [_product(t, u[g], np.array(h), c, g) for g in range(len(u))]
            h, memory = _cell(t, cell, inner, outer, h, memory)
            out[step, n] = h
    return out


def _product(t: Tally, row: Array, x: Array, bias: Array | None, gate: int) -> float:
    value = 0.0
    for a, b in zip(row, x, strict=True):
        value = t.mac(value, float(a), float(b))
    return value if bias is None else t.plus(value, float(bias[gate]))


def _cell(
    t: Tally,
    cell: str,
    inner: list[float],
    outer: list[float],
    h: list[float],
    memory: list[float],
) -> tuple[list[float], list[float]]:
    n = len(h)
    if cell == "gru":
        states = []
        for i in range(n):
            r = sigmoid(t, t.plus(inner[i], outer[i]))
            z = sigmoid(t, t.plus(inner[n + i], outer[n + i]))
            new = t.function(math.tanh, t.plus(inner[2 * n + i], t.times(r, outer[2 * n + i])))
            states.append(t.plus(t.times(t.plus(1.0, -z), new), t.times(z, h[i])))
        return states, memory
    gates = [t.plus(a, b) for a, b in zip(inner, outer, strict=True)]
    if cell == "rnn_relu":
        return [t.larger(g, 0.0) for g in gates], memory
    if cell == "rnn_tanh":
        return [t.function(math.tanh, g) for g in gates], memory
    states, memories = [], []
    for i in range(n):
        put, keep = sigmoid(t, gates[i]), sigmoid(t, gates[n + i])
        new, give = t.function(math.tanh, gates[2 * n + i]), sigmoid(t, gates[3 * n + i])
        memories.append(t.plus(t.times(keep, memory[i]), t.times(put, new)))
        states.append(t.times(give, t.function(math.tanh, memories[-1])))
    return states, memories


def interpolated(t: Tally, x: Array, size: tuple[int, ...], mode: str) -> Array:
    """Each output is the sum of its taps times their weights; one tap is a copy."""
    weights = [_taps(n, m, mode) for n, m in zip(x.shape[2:], size, strict=True)]
    out = np.zeros((*x.shape[:2], *size))
    for n, channel, spot in product(*map(range, x.shape[:2]), grid(map(range, size))):
        terms = []
        for taps in product(*(weights[a][i] for a, i in enumerate(spot))):
            where = tuple(place for place, _ in taps)
            value = float(x[(n, channel, *where)])
            weight = math.prod(w for _, w in taps)
            terms.append(value if mode == "nearest" else t.times(weight, value))
        out[(n, channel, *spot)] = total(t, terms)
    return out


def _taps(size: int, out: int, mode: str) -> list[list[tuple[int, float]]]:
    found = []
    for i in range(out):
        if mode == "nearest":
            found.append([(i * size // out, 1.0)])
            continue
        place = (i + 0.5) * size / out - 0.5
        if mode != "bicubic":
            place = max(place, 0.0)
        low = math.floor(place)
        w = place - low
        if mode == "bicubic":
            found.append(
                [(min(max(low + j, 0), size - 1), _cubic(abs(w - j))) for j in (-1, 0, 1, 2)]
            )
        else:
            found.append([(min(low, size - 1), 1 - w), (min(low + 1, size - 1), w)])
    return found


def _cubic(d: float, a: float = -0.75) -> float:
    if d <= 1:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1
    return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a
