"""Backward passes by definition: gradients from that of the result, and what they take.

Like the forward definitions they share no code with costlab. Whole arrays are calculated with, and
each element that an operation gives is counted in the `Elements`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from oracle.tally import Array, Axes, Tally

erf = np.vectorize(math.erf)


@np.vectorize
def digamma(x: float) -> float:
    """By its asymptotic series at 20 or more, and from there down: d(x) = d(x + 1) - 1/x."""
    less = 0.0
    while x < 20:
        less, x = less + 1 / x, x + 1
    series = 1 / (12 * x**2) - 1 / (120 * x**4) + 1 / (252 * x**6)
    return math.log(x) - 1 / (2 * x) - series - less


@np.vectorize
def trigamma(x: float) -> float:
    """Likewise: t(x) = t(x + 1) + 1/x²."""
    more = 0.0
    while x < 20:
        more, x = more + 1 / x**2, x + 1
    return 1 / x + 1 / (2 * x**2) + 1 / (6 * x**3) - 1 / (30 * x**5) + 1 / (42 * x**7) + more


@np.vectorize
def bessel_1(x: float) -> float:
    """The modified one of order 1, by its power series."""
    return sum(
        (x / 2) ** (2 * k + 1) / (math.factorial(k) * math.factorial(k + 1)) for k in range(20)
    )


class Elements(Tally):
    """Arithmetic on arrays, which counts elements of results."""

    def product(self, a: Any, *more: Any) -> Array:
        for b in more:
            a = np.multiply(a, b)
            self.mul += a.size
        return np.asarray(a)

    def sum(self, a: Any, *more: Any) -> Array:
        for b in more:
            a = np.add(a, b)
            self.add += a.size
        return np.asarray(a)

    def less(self, a: Any, b: Any) -> Array:
        result = np.subtract(a, b)
        self.add += result.size
        return np.asarray(result)

    def quotient(self, a: Any, b: Any) -> Array:
        result = np.divide(a, b)
        self.div += result.size
        return np.asarray(result)

    def where(self, condition: Any, a: Any, b: Any) -> Array:
        result: Array = np.where(condition, a, b)
        self.cmp += result.size
        return result

    def of(self, function: Callable[[Any], Any], a: Any) -> Array:
        result = np.asarray(function(a))
        self.special += result.size
        return result

    def power(self, a: Any, exponent: Any) -> Array:
        result = np.asarray(a**exponent)
        self.special += result.size
        return result

    def total(self, a: Array, axes: Axes) -> Array:
        """Sums over axes, which stay as 1."""
        result: Array = a.sum(axis=axes, keepdims=True)
        self.add += a.size - result.size
        return result

    def collected(self, a: Array, shape: Axes) -> Array:
        """The sum to a shape that was broadcast."""
        a = self.total(a, tuple(range(a.ndim - len(shape)))).reshape(a.shape[a.ndim - len(shape) :])
        return self.total(a, tuple(i for i, d in enumerate(shape) if d == 1))

    def scattered(self, target: Array, places: Iterable[Axes], values: Iterable[float]) -> None:
        for place, value in zip(places, values, strict=True):
            target[place] += value
            self.add += 1


def sigmoid(t: Elements, x: Array) -> Array:
    return t.quotient(1.0, t.sum(1.0, t.of(np.exp, t.product(-1.0, x))))


def _finite(t: Elements, x: Array, dy: Array) -> Array:
    below = t.where(x == np.inf, 0.0, t.where(x == -np.inf, 0.0, dy))
    return t.where(np.isnan(x), 0.0, below)


def mish(t: Elements, x: Array) -> Array:
    """The derivative, with tanh(softplus(x)) and sigmoid(x) computed again."""
    u = t.of(np.tanh, t.of(np.log, t.sum(1.0, t.of(np.exp, x))))
    slope = t.product(x, sigmoid(t, x), t.less(1.0, t.product(u, u)))
    return t.sum(u, slope)


def gelu(t: Elements, x: Array) -> Array:
    below = t.product(0.5, t.sum(1.0, t.of(erf, t.product(x, 1 / math.sqrt(2)))))
    density = t.of(np.exp, t.product(-0.5, t.product(x, x)))
    return t.sum(below, t.product(x, t.product(1 / math.sqrt(2 * math.pi), density)))


def gelu_tanh(t: Elements, x: Array) -> Array:
    root, cubic = math.sqrt(2 / math.pi), 0.044715
    square = t.product(x, x)
    u = t.of(np.tanh, t.product(root, t.sum(x, t.product(cubic, t.product(square, x)))))
    inner = t.product(root, t.sum(1.0, t.product(3 * cubic, square)))
    rising = t.product(t.product(0.5, x), t.less(1.0, t.product(u, u)), inner)
    return t.sum(t.product(0.5, t.sum(1.0, u)), rising)


def silu(t: Elements, x: Array) -> Array:
    s = sigmoid(t, x)
    return t.product(s, t.sum(1.0, t.product(x, t.less(1.0, s))))


SELU, SLOPE = 1.0507009873554805, 1.6732632423543772

EACH: dict[str, Callable[[Elements, Array, Array, Array], Array]] = {
    "neg": lambda t, x, y, dy: t.product(-1.0, dy),
    "square": lambda t, x, y, dy: t.product(dy, t.product(2.0, x)),
    "reciprocal": lambda t, x, y, dy: t.product(-1.0, dy, y, y),
    "abs": lambda t, x, y, dy: t.product(dy, t.where(x > 0, 1.0, t.where(x < 0, -1.0, 0.0))),
    "deg2rad": lambda t, x, y, dy: t.product(dy, math.pi / 180),
    "rad2deg": lambda t, x, y, dy: t.product(dy, 180 / math.pi),
    "clamp": lambda t, x, y, dy: t.where(x < -0.5, 0.0, t.where(x > 0.5, 0.0, dy)),
    "clamp_min": lambda t, x, y, dy: t.where(x < 0, 0.0, dy),
    "clamp_max": lambda t, x, y, dy: t.where(x > 0, 0.0, dy),
    "threshold": lambda t, x, y, dy: t.where(x > 0.1, dy, 0.0),
    "hardtanh": lambda t, x, y, dy: t.where(x < -1, 0.0, t.where(x > 1, 0.0, dy)),
    "relu6": lambda t, x, y, dy: t.where(x < 0, 0.0, t.where(x > 6, 0.0, dy)),
    "leaky_relu": lambda t, x, y, dy: t.where(x > 0, dy, t.product(0.01, dy)),
    "hardshrink": lambda t, x, y, dy: t.where(x > 0.5, dy, t.where(x < -0.5, dy, 0.0)),
    "softshrink": lambda t, x, y, dy: t.where(x > 0.5, dy, t.where(x < -0.5, dy, 0.0)),
    "hardsigmoid": lambda t, x, y, dy: t.where(
        x < -3, 0.0, t.where(x > 3, 0.0, t.quotient(dy, 6.0))
    ),
    "hardswish": lambda t, x, y, dy: t.where(
        x < -3, 0.0, t.where(x > 3, dy, t.product(dy, t.sum(t.quotient(x, 3.0), 0.5)))
    ),
    "sigmoid": lambda t, x, y, dy: t.product(dy, y, t.less(1.0, y)),
    "logsigmoid": lambda t, x, y, dy: t.product(dy, t.quotient(1.0, t.sum(1.0, t.of(np.exp, x)))),
    "silu": lambda t, x, y, dy: t.product(dy, silu(t, x)),
    "softsign": lambda t, x, y, dy: _softsign(t, x, dy),
    "softplus": lambda t, x, y, dy: t.product(dy, sigmoid(t, x)),
    "mish": lambda t, x, y, dy: t.product(dy, mish(t, x)),
    "elu": lambda t, x, y, dy: t.where(x > 0, dy, t.product(dy, t.sum(y, 1.0))),
    "selu": lambda t, x, y, dy: t.product(dy, t.where(x > 0, SELU, t.sum(y, SELU * SLOPE))),
    "celu": lambda t, x, y, dy: t.where(x > 0, dy, t.product(dy, t.of(np.exp, t.quotient(x, 1.0)))),
    "gelu": lambda t, x, y, dy: t.product(dy, gelu(t, x)),
    "gelu_tanh": lambda t, x, y, dy: t.product(dy, gelu_tanh(t, x)),
    "tanhshrink": lambda t, x, y, dy: _tanhshrink(t, x, dy),
    **dict.fromkeys(
        ("floor", "ceil", "round", "trunc", "sign"), lambda t, x, y, dy: np.zeros(x.shape)
    ),
    "nan_to_num": lambda t, x, y, dy: _finite(t, x, dy),
    "frac": lambda t, x, y, dy: dy,
    "exp": lambda t, x, y, dy: t.product(dy, y),
    "exp2": lambda t, x, y, dy: t.product(dy, y, math.log(2)),
    "expm1": lambda t, x, y, dy: t.product(dy, t.sum(y, 1.0)),
    "log": lambda t, x, y, dy: t.quotient(dy, x),
    "log2": lambda t, x, y, dy: t.quotient(dy, t.product(x, math.log(2))),
    "log10": lambda t, x, y, dy: t.quotient(dy, t.product(x, math.log(10))),
    "log1p": lambda t, x, y, dy: t.quotient(dy, t.sum(x, 1.0)),
    "sqrt": lambda t, x, y, dy: t.quotient(dy, t.product(2.0, y)),
    "rsqrt": lambda t, x, y, dy: t.product(-0.5, dy, y, y, y),
    "sin": lambda t, x, y, dy: t.product(dy, t.of(np.cos, x)),
    "cos": lambda t, x, y, dy: t.product(-1.0, dy, t.of(np.sin, x)),
    "tan": lambda t, x, y, dy: t.product(dy, t.sum(1.0, t.product(y, y))),
    "asin": lambda t, x, y, dy: t.quotient(dy, t.of(np.sqrt, t.less(1.0, t.product(x, x)))),
    "acos": lambda t, x, y, dy: t.quotient(
        t.product(-1.0, dy), t.of(np.sqrt, t.less(1.0, t.product(x, x)))
    ),
    "atan": lambda t, x, y, dy: t.quotient(dy, t.sum(1.0, t.product(x, x))),
    "sinh": lambda t, x, y, dy: t.product(dy, t.of(np.cosh, x)),
    "cosh": lambda t, x, y, dy: t.product(dy, t.of(np.sinh, x)),
    "erf": lambda t, x, y, dy: _erf(t, x, dy, 2 / math.sqrt(math.pi)),
    "erfc": lambda t, x, y, dy: _erf(t, x, dy, -2 / math.sqrt(math.pi)),
    "logit": lambda t, x, y, dy: t.quotient(dy, t.product(x, t.less(1.0, x))),
    "sinc": lambda t, x, y, dy: t.where(
        x == 0,
        0.0,
        t.quotient(t.product(dy, t.less(t.of(np.cos, t.product(math.pi, x)), y)), x),
    ),
    "asinh": lambda t, x, y, dy: t.quotient(dy, t.of(np.sqrt, t.sum(1.0, t.product(x, x)))),
    "acosh": lambda t, x, y, dy: t.quotient(dy, t.of(np.sqrt, t.less(t.product(x, x), 1.0))),
    "atanh": lambda t, x, y, dy: t.quotient(dy, t.less(1.0, t.product(x, x))),
    "erfinv": lambda t, x, y, dy: t.product(
        dy, math.sqrt(math.pi) / 2, t.of(np.exp, t.product(y, y))
    ),
    "erfcx": lambda t, x, y, dy: t.product(
        dy, t.less(t.product(2.0, x, y), 2 / math.sqrt(math.pi))
    ),
    "lgamma": lambda t, x, y, dy: t.product(dy, t.of(digamma, x)),
    "digamma": lambda t, x, y, dy: t.product(dy, t.of(trigamma, x)),
    "i0": lambda t, x, y, dy: t.product(dy, t.of(bessel_1, x)),
}
"""Functions of an element: x, the result y and its gradient."""


def _softsign(t: Elements, x: Array, dy: Array) -> Array:
    away = t.sum(1.0, t.where(x > 0, x, -x))
    return t.quotient(dy, t.product(away, away))


def _tanhshrink(t: Elements, x: Array, dy: Array) -> Array:
    u = t.of(np.tanh, x)
    return t.product(dy, u, u)


def _erf(t: Elements, x: Array, dy: Array, by: float) -> Array:
    return t.product(dy, by, t.of(np.exp, t.product(-1.0, t.product(x, x))))


def squares(t: Elements, a: Array, b: Array) -> Array:
    return t.sum(t.product(a, a), t.product(b, b))


Two = tuple[Callable[..., Array], Callable[..., Array]]

PAIRS: dict[str, Two] = {
    "add": (lambda t, a, b, y, dy: dy, lambda t, a, b, y, dy: dy),
    "sub": (lambda t, a, b, y, dy: dy, lambda t, a, b, y, dy: t.product(-1.0, dy)),
    "mul": (lambda t, a, b, y, dy: t.product(dy, b), lambda t, a, b, y, dy: t.product(dy, a)),
    "div": (
        lambda t, a, b, y, dy: t.quotient(dy, b),
        lambda t, a, b, y, dy: t.quotient(t.product(-1.0, dy, y), b),
    ),
    "maximum": (
        lambda t, a, b, y, dy: t.where(a > b, dy, 0.0),
        lambda t, a, b, y, dy: t.where(b > a, dy, 0.0),
    ),
    "minimum": (
        lambda t, a, b, y, dy: t.where(a < b, dy, 0.0),
        lambda t, a, b, y, dy: t.where(b < a, dy, 0.0),
    ),
    "hypot": (
        lambda t, a, b, y, dy: t.quotient(t.product(dy, a), y),
        lambda t, a, b, y, dy: t.quotient(t.product(dy, b), y),
    ),
}
"""Of two elements the gradients of the first and of the second."""
PAIRS |= {
    "fmax": PAIRS["maximum"],
    "fmin": PAIRS["minimum"],
    "pow": (
        lambda t, a, b, y, dy: t.product(dy, b, t.power(a, t.less(b, 1.0))),
        lambda t, a, b, y, dy: t.product(dy, y, t.of(np.log, a)),
    ),
    "where": (  # the first where it is above 0
        lambda t, a, b, y, dy: t.where(a > 0, dy, 0.0),
        lambda t, a, b, y, dy: t.where(a > 0, 0.0, dy),
    ),
    "atan2": (
        lambda t, a, b, y, dy: t.quotient(t.product(dy, b), squares(t, a, b)),
        lambda t, a, b, y, dy: t.quotient(t.product(-1.0, dy, a), squares(t, a, b)),
    ),
    "floor_divide": (lambda t, a, b, y, dy: 0 * dy, lambda t, a, b, y, dy: 0 * dy),
    "remainder": (
        lambda t, a, b, y, dy: dy,
        lambda t, a, b, y, dy: t.product(-1.0, dy, np.floor(t.quotient(a, b))),
    ),
    "fmod": (
        lambda t, a, b, y, dy: dy,
        lambda t, a, b, y, dy: t.product(-1.0, dy, np.trunc(t.quotient(a, b))),
    ),
    "copysign": (
        lambda t, a, b, y, dy: t.where(a == 0, 0.0, t.product(dy, t.quotient(y, a))),
        lambda t, a, b, y, dy: 0 * dy,
    ),
    "ldexp": (
        lambda t, a, b, y, dy: t.product(dy, t.of(np.exp2, b)),
        lambda t, a, b, y, dy: t.product(dy, y, math.log(2)),
    ),
    "xlogy": (
        lambda t, a, b, y, dy: t.where(a == 0, 0.0, t.product(dy, t.of(np.log, b))),
        lambda t, a, b, y, dy: t.quotient(t.product(dy, a), b),
    ),
    "logaddexp": (
        lambda t, a, b, y, dy: t.product(dy, t.of(np.exp, t.less(a, y))),
        lambda t, a, b, y, dy: t.product(dy, t.of(np.exp, t.less(b, y))),
    ),
    "logaddexp2": (
        lambda t, a, b, y, dy: t.product(dy, t.of(np.exp2, t.less(a, y))),
        lambda t, a, b, y, dy: t.product(dy, t.of(np.exp2, t.less(b, y))),
    ),
    "lerp": (  # by a quarter
        lambda t, a, b, y, dy: t.product(dy, 0.75),
        lambda t, a, b, y, dy: t.product(dy, 0.25),
    ),
    "masked_fill": (  # where the second is above 0
        lambda t, a, b, y, dy: t.where(b > 0, 0.0, dy),
        lambda t, a, b, y, dy: np.zeros(dy.shape),
    ),
}

THREE: dict[str, tuple[Callable[..., Array], ...]] = {
    "lerp": (
        lambda t, a, b, w, y, dy: t.product(dy, t.less(1.0, w)),
        lambda t, a, b, w, y, dy: t.product(dy, w),
        lambda t, a, b, w, y, dy: t.product(dy, t.less(b, a)),
    ),
    "addcmul": (
        lambda t, a, b, c, y, dy: dy,
        lambda t, a, b, c, y, dy: t.product(dy, c),
        lambda t, a, b, c, y, dy: t.product(dy, b),
    ),
    "addcdiv": (
        lambda t, a, b, c, y, dy: dy,
        lambda t, a, b, c, y, dy: t.quotient(dy, c),
        lambda t, a, b, c, y, dy: t.quotient(t.product(-1.0, dy, b), t.product(c, c)),
    ),
}
"""Of three elements the gradients of each."""

One = Callable[..., Array]
_EITHER = ("maximum", "minimum", "fmax", "fmin", "where")

WITH_NUMBER: dict[str, One] = {
    **{name: PAIRS[name][0] for name in ("add", "sub", "div", *_EITHER)},
    "pow": lambda t, x, c, y, dy: t.product(dy, t.product(c, t.power(x, c - 1))),
    **{name: PAIRS[name][0] for name in ("floor_divide", "fmod", "remainder", "copysign")},
    "xlogy": lambda t, x, c, y, dy: t.where(x == 0, 0.0, t.product(dy, math.log(c))),
}
"""Of an element and a number."""

NUMBER_FIRST: dict[str, One] = {
    **{name: PAIRS[name][1] for name in ("add", "sub", "div", *_EITHER)},
    "pow": lambda t, c, x, y, dy: t.product(dy, y, math.log(c)),
    **{name: PAIRS[name][1] for name in ("floor_divide", "remainder", "xlogy")},
}
"""Of a number and an element."""


def softmax(t: Elements, y: Array, dy: Array, dim: int) -> Array:
    return t.product(y, t.less(dy, t.total(t.product(dy, y), (dim,))))


def log_softmax(t: Elements, y: Array, dy: Array, dim: int) -> Array:
    return t.less(dy, t.product(t.of(np.exp, y), t.total(dy, (dim,))))


def lrn(t: Elements, x: Array, y: Array, dy: Array, size: int, how: tuple[float, ...]) -> Array:
    """Each element squared goes into the sums of the channels whose windows it is in."""
    alpha, beta, k = how
    squares = np.zeros(x.shape)
    weighted = np.zeros(x.shape)
    before, after = size // 2, size - 1 - size // 2
    for channel in range(x.shape[1]):
        window = slice(max(channel - before, 0), channel + after + 1)
        squares[:, channel] = (x[:, window] ** 2).sum(1)
    base = k + alpha / size * squares  # kept, and its power
    terms = t.quotient(t.product(dy, y), base)
    for channel in range(x.shape[1]):
        window = slice(max(channel - after, 0), channel + before + 1)
        weighted[:, channel] = terms[:, window].sum(1)
    t.add += x.size * (size - 1)  # windows that overhang the channels add zeros
    direct = t.quotient(dy, base**beta)
    return t.less(direct, t.product(t.product(2 * alpha * beta / size, x), weighted))


def normalised(
    t: Elements,
    x: Array,
    dy: Array,
    scale: Array | None,
    groups: Axes,
    centred: bool,
    eps: float,
    wanted: set[Any],
) -> tuple[Array | None, Array | None]:
    """Of the input, and of the scale before it is summed; ``groups`` are the axes of a group."""
    mean = x.mean(groups, keepdims=True) if centred else 0.0  # kept
    root = 1 / np.sqrt(((x - mean) ** 2).mean(groups, keepdims=True) + eps)  # kept
    if not wanted & {("operand", 0), ("weight", 0)}:
        return None, None
    normal = t.product(t.less(x, mean) if centred else x, root)
    of_input = None
    if ("operand", 0) in wanted:
        g = dy if scale is None else t.product(dy, scale)
        many = x.size // root.size
        along = t.quotient(t.total(t.product(g, normal), groups), many)
        rest = g
        if centred:
            rest = t.less(rest, t.quotient(t.total(g, groups), many))
        of_input = t.product(root, t.less(rest, t.product(normal, along)))
    of_scale = t.product(dy, normal) if ("weight", 0) in wanted else None
    return of_input, of_scale


def attention(
    t: Elements,
    q: Array,
    k: Array,
    v: Array,
    dy: Array,
    mask: Array | None,
    grouped: bool,
    wanted: set[Any],
) -> dict[Any, Array]:
    """The probabilities are kept; products of matrices are multiply-adds, and not counted here."""
    shapes = q.shape, k.shape, v.shape
    if grouped:
        k, v = (np.repeat(each, q.shape[-3] // each.shape[-3], axis=-3) for each in (k, v))
    scale = 1 / math.sqrt(q.shape[-1])
    scores = q @ k.swapaxes(-1, -2) * scale + (0.0 if mask is None else mask)
    weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    weights = np.broadcast_to(weights, (*dy.shape[:-1], k.shape[-2]))
    given: dict[Any, Array] = {}

    def back(number: int, whole: Array) -> None:
        shape = shapes[number]
        if grouped and number:
            heads = shape[-3]
            parted = whole.reshape(*whole.shape[:-3], heads, -1, *whole.shape[-2:])
            own = t.total(parted, (-3,)).reshape(*whole.shape[:-3], heads, *whole.shape[-2:])
            given["operand", number] = t.collected(own, shape)
        else:
            given["operand", number] = t.collected(whole, shape)

    if ("operand", 2) in wanted:
        back(2, weights.swapaxes(-1, -2) @ dy)
    if wanted & {("operand", 0), ("operand", 1), ("weight", 0)}:
        of_scores = softmax(t, weights, dy @ v.swapaxes(-1, -2), -1)
        if ("weight", 0) in wanted and mask is not None:
            given["weight", 0] = t.collected(of_scores, mask.shape)
    if wanted & {("operand", 0), ("operand", 1)}:
        of_scores = t.product(of_scores, scale)
        if ("operand", 0) in wanted:
            back(0, of_scores @ np.broadcast_to(k, (*dy.shape[:-2], *k.shape[-2:])))
        if ("operand", 1) in wanted:
            back(
                1, of_scores.swapaxes(-1, -2) @ np.broadcast_to(q, (*dy.shape[:-2], *q.shape[-2:]))
            )
    return given


def norm(t: Elements, x: Array, y: Array, dy: Array, order: float) -> Array:
    """Of ``Σ|x|^order`` and its root, y, or of the largest one."""
    if order == 2:
        return t.product(x, t.quotient(dy, y))
    if order == 1:
        return t.product(dy, t.where(x > 0, 1.0, t.where(x < 0, -1.0, 0.0)))
    if order == math.inf:
        sign = t.where(x > 0, 1.0, t.where(x < 0, -1.0, 0.0))
        return t.where(t.where(x > 0, x, -x) == y, t.product(dy, sign), 0.0)
    power = t.power(t.where(x > 0, x, -x), order - 2)
    return t.product(x, power, t.quotient(dy, t.power(y, order - 1)))
