"""Definitions of functions of single elements, and of two, executed like those of `layers`."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from oracle.tally import Array, Tally, grid

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


SCALE, ZERO_POINT = 0.25, 3
"""Of numbers of 8 bits."""


def quantized(t: Tally, x: float) -> float:
    t.cmp += 1
    near = float(np.round(t.over(x, SCALE)))
    return clip(t, t.plus(near, ZERO_POINT), 0.0, 255.0)


def dequantized(t: Tally, x: float) -> float:
    return t.times(t.plus(x, -ZERO_POINT), SCALE)


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
    "quantize": quantized,
    "dequantize": dequantized,
    "fake_quantize": lambda t, x: dequantized(t, quantized(t, x)),
    "floor": compared(np.floor),
    "ceil": compared(np.ceil),
    "round": compared(np.round),
    "trunc": compared(np.trunc),
    "frac": lambda t, x: t.plus(x, -compared(np.trunc)(t, x)),
    "logical_not": compared(lambda x: x == 0),
    "bitwise_not": compared(lambda x: x == 0),
    "isnan": compared(np.isnan),
    "isinf": compared(np.isinf),
    "isneginf": compared(lambda x: x == -math.inf),
    "isposinf": compared(lambda x: x == math.inf),
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
    "acosh": special(math.acosh),
    "atanh": special(np.arctanh),
    "erf": special(math.erf),
    "erfc": special(math.erfc),
    "erfinv": special(lambda x: _inverted(math.erf, x)),
    "lgamma": special(math.lgamma),
    "digamma": special(lambda x: (math.lgamma(x + 1e-5) - math.lgamma(x - 1e-5)) / 2e-5),
    "erfcx": special(lambda x: math.exp(x * x) * math.erfc(x)),
    "i0": special(lambda x: float(np.i0(x))),
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


PAIRS: dict[str, Callable[..., float]] = {
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
    "lerp": lambda t, a, b, weight=0.25: t.plus(a, t.times(weight, t.plus(b, -a))),
    "addcmul": lambda t, a, b, c: t.plus(a, t.times(b, c)),
    "addcdiv": lambda t, a, b, c: t.plus(a, t.over(b, c)),
}
"""Each function of two elements, or of three."""


def pair(t: Tally, f: Callable[..., float], inputs: list[Array]) -> Array:
    """Broadcast."""
    together = np.broadcast_arrays(*inputs)
    out = np.zeros(together[0].shape)
    for here in grid(map(range, out.shape)):
        out[here] = f(t, *(float(one[here]) for one in together))
    return out


def prelu(t: Tally, x: Array, slopes: Array) -> Array:
    out = np.zeros(x.shape)
    for here in grid(map(range, x.shape)):
        slope = float(slopes[here[1] if len(slopes) > 1 else 0])
        value = float(x[here])
        out[here] = below(t, value, lambda value=value, slope=slope: t.times(slope, value))  # type: ignore[misc]
    return out
