"""What gradients of functions of one and of two elements take, by their names.

For each element, from the gradient ``dy`` of the result, and from what is kept: x, y, or both.
Where a function has two formulas, such as below and above 0, each element takes the longer one.
"""

from __future__ import annotations

from costlab.graph.opcount import OpCount
from costlab.ops.element_functions import EACH

_SIGMOID = EACH["sigmoid"]
_WHERE = OpCount(cmp=1)  # dy on one side, 0 on the other
_BETWEEN = OpCount(cmp=2)

OF_EACH: dict[str, OpCount] = {
    "neg": OpCount(mul=1),
    "square": OpCount(mul=2),
    "reciprocal": OpCount(mul=3),  # -dy·y·y
    "abs": OpCount(cmp=2, mul=1),  # dy·sign(x)
    "deg2rad": OpCount(mul=1),
    "rad2deg": OpCount(mul=1),
    "clamp": _BETWEEN,
    "clamp_min": _WHERE,
    "clamp_max": _WHERE,
    "threshold": _WHERE,
    "hardtanh": _BETWEEN,
    "relu6": _BETWEEN,
    "leaky_relu": OpCount(cmp=1, mul=1),
    "hardshrink": _BETWEEN,
    "softshrink": _BETWEEN,
    "hardsigmoid": OpCount(cmp=2, div=1),
    "hardswish": OpCount(mul=1, add=1, cmp=2, div=1),  # dy·(x/3 + 0.5)
    "sigmoid": OpCount(mul=2, add=1),  # dy·y·(1 - y)
    "logsigmoid": OpCount(mul=1, add=1, div=1, special=1),  # dy / (1 + exp(x))
    "silu": _SIGMOID + OpCount(mul=3, add=2),  # dy·s·(1 + x·(1 - s))
    "softsign": OpCount(cmp=1, add=1, mul=1, div=1),  # dy / (1 + |x|)²
    "softplus": _SIGMOID + OpCount(mul=1),  # dy·sigmoid(x)
    "mish": _SIGMOID + OpCount(mul=4, add=3, special=3),  # dy·(t + x·s·(1 - t²))
    "elu": OpCount(cmp=1, add=1, mul=1),  # dy·(y + alpha) below 0
    "selu": OpCount(cmp=1, add=1, mul=1),
    "celu": OpCount(cmp=1, mul=1, div=1, special=1),  # dy·exp(x / alpha) below 0
    "gelu": OpCount(mul=7, add=2, special=2),  # dy·(0.5·(1 + erf(x·0.7071)) + x·0.3989·exp(-x²/2))
    "gelu_tanh": OpCount(mul=12, add=5, special=1),
    "tanhshrink": OpCount(mul=2, special=1),  # dy·tanh(x)²
    "floor": OpCount(),
    "ceil": OpCount(),
    "round": OpCount(),
    "trunc": OpCount(),
    "sign": OpCount(),
    "nan_to_num": OpCount(cmp=3),  # dy where x is finite
    "frac": OpCount(),
    "exp": OpCount(mul=1),  # dy·y
    "exp2": OpCount(mul=2),
    "expm1": OpCount(mul=1, add=1),
    "log": OpCount(div=1),
    "log2": OpCount(mul=1, div=1),
    "log10": OpCount(mul=1, div=1),
    "log1p": OpCount(add=1, div=1),
    "sqrt": OpCount(mul=1, div=1),  # dy / (2·y)
    "rsqrt": OpCount(mul=4),  # -0.5·dy·y³
    "sin": OpCount(mul=1, special=1),
    "cos": OpCount(mul=2, special=1),
    "tan": OpCount(mul=2, add=1),  # dy·(1 + y·y)
    "asin": OpCount(mul=1, add=1, div=1, special=1),  # dy / sqrt(1 - x·x)
    "acos": OpCount(mul=2, add=1, div=1, special=1),
    "atan": OpCount(mul=1, add=1, div=1),
    "sinh": OpCount(mul=1, special=1),
    "cosh": OpCount(mul=1, special=1),
    "erf": OpCount(mul=4, special=1),  # dy·1.128·exp(-(x·x))
    "erfc": OpCount(mul=4, special=1),
    "logit": OpCount(mul=1, add=1, div=1),  # dy / (x·(1 - x))
    "sinc": OpCount(mul=2, add=1, cmp=1, div=1, special=1),  # dy·(cos(π·x) - y) / x, 0 at 0
    "asinh": OpCount(mul=1, add=1, div=1, special=1),  # dy / sqrt(x·x + 1)
    "acosh": OpCount(mul=1, add=1, div=1, special=1),
    "atanh": OpCount(mul=1, add=1, div=1),  # dy / (1 - x·x)
    "erfinv": OpCount(mul=3, special=1),  # dy·0.886·exp(y·y)
    "erfcx": OpCount(mul=3, add=1),  # dy·(2·x·y - 1.128)
    "lgamma": OpCount(mul=1, special=1),  # dy·digamma(x)
    "digamma": OpCount(mul=1, special=1),
    "i0": OpCount(mul=1, special=1),  # dy·i1(x)
}

_CHOSEN = (OpCount(cmp=1), OpCount(cmp=1))
_OF_LOG_OF_SUM = OpCount(mul=1, add=1, special=1)  # dy·exp(a - y)

OF_PAIR: dict[str, tuple[OpCount, OpCount]] = {
    "add": (OpCount(), OpCount()),
    "sub": (OpCount(), OpCount(mul=1)),
    "mul": (OpCount(mul=1), OpCount(mul=1)),
    "div": (OpCount(div=1), OpCount(mul=2, div=1)),  # dy / b, and -dy·y / b
    **dict.fromkeys(("maximum", "minimum", "fmax", "fmin"), _CHOSEN),
    "hypot": (OpCount(mul=1, div=1), OpCount(mul=1, div=1)),  # dy·a / y
    "pow": (
        OpCount(mul=2, add=1, special=1),  # dy·b·a^(b - 1)
        OpCount(mul=2, special=1),  # dy·y·log(a)
    ),
    "where": _CHOSEN,
    "masked_fill": (_WHERE, OpCount()),
    "atan2": (  # dy·b / (a·a + b·b), and -dy·a / (a·a + b·b)
        OpCount(mul=3, add=1, div=1),
        OpCount(mul=4, add=1, div=1),
    ),
    "floor_divide": (OpCount(), OpCount()),
    **dict.fromkeys(("fmod", "remainder"), (OpCount(), OpCount(mul=2, div=1))),  # -dy·[a / b]
    "copysign": (OpCount(mul=1, cmp=1, div=1), OpCount()),  # dy·(y / a), 0 where a is 0
    "ldexp": (OpCount(mul=1, special=1), OpCount(mul=2)),  # dy·2ᵇ, and dy·y·0.693
    "xlogy": (OpCount(mul=1, cmp=1, special=1), OpCount(mul=1, div=1)),  # dy·log(b), and dy·a / b
    **dict.fromkeys(("logaddexp", "logaddexp2"), (_OF_LOG_OF_SUM, _OF_LOG_OF_SUM)),
    "lerp": (OpCount(mul=1), OpCount(mul=1)),  # dy·(1 - w), a number, and dy·w
}
"""Of two tensors, for each element of the result; what was broadcast is summed beside that."""

OF_THREE: dict[str, tuple[OpCount, OpCount, OpCount]] = {
    "lerp": (OpCount(mul=1, add=1), OpCount(mul=1), OpCount(mul=1, add=1)),  # of w: dy·(b - a)
    "addcmul": (OpCount(), OpCount(mul=1), OpCount(mul=1)),
    "addcdiv": (OpCount(), OpCount(div=1), OpCount(mul=3, div=1)),  # of c: -dy·b / (c·c)
}
"""Of three tensors, likewise."""

_EITHER = {
    "add": OpCount(),
    **dict.fromkeys(("maximum", "minimum", "fmax", "fmin", "where"), _WHERE),
}

OF_ONE: dict[str, OpCount] = {
    **_EITHER,
    "sub": OpCount(),
    "div": OpCount(div=1),
    "pow": OpCount(mul=2, special=1),  # dy·(c·x^(c - 1))
    **{name: OF_PAIR[name][0] for name in ("floor_divide", "fmod", "remainder", "copysign")},
    "xlogy": OpCount(mul=1, cmp=1),  # dy·log(c)
}
"""Of a tensor and a number, in this order."""

OF_NUMBER_FIRST: dict[str, OpCount] = {
    **_EITHER,
    "sub": OpCount(mul=1),
    "div": OpCount(mul=2, div=1),  # -dy·y / x
    "pow": OpCount(mul=2),  # dy·y·log(c)
    **{name: OF_PAIR[name][1] for name in ("floor_divide", "remainder", "xlogy")},
}
"""Of a number and a tensor, in this order."""
