"""What functions of one and of two elements cost, by their names, and the types of results."""

from __future__ import annotations

from costlab.graph.opcount import OpCount

_SIGMOID = OpCount(mul=1, add=1, div=1, special=1)  # 1 / (1 + exp(-x))
_ROUND = OpCount(cmp=1)
_FUNCTION = OpCount(special=1)

EACH: dict[str, OpCount] = {
    "neg": OpCount(mul=1),
    "square": OpCount(mul=1),
    "reciprocal": OpCount(div=1),
    "abs": OpCount(cmp=1),
    "sign": OpCount(cmp=2),
    "sgn": OpCount(cmp=2),
    "deg2rad": OpCount(mul=1),
    "rad2deg": OpCount(mul=1),
    "clamp": OpCount(cmp=2),
    "clamp_min": OpCount(cmp=1),
    "clamp_max": OpCount(cmp=1),
    "threshold": OpCount(cmp=1),
    "hardtanh": OpCount(cmp=2),
    "relu6": OpCount(cmp=2),
    "leaky_relu": OpCount(cmp=1, mul=1),
    "hardshrink": OpCount(cmp=2),
    "softshrink": OpCount(cmp=2, add=1),
    "hardsigmoid": OpCount(add=1, cmp=2, div=1),  # relu6(x + 3) / 6
    "hardswish": OpCount(mul=1, add=1, cmp=2, div=1),
    "sigmoid": _SIGMOID,
    "logsigmoid": OpCount(mul=2, add=1, special=2),  # -log(1 + exp(-x))
    "silu": _SIGMOID + OpCount(mul=1),
    "softsign": OpCount(cmp=1, add=1, div=1),
    "softplus": OpCount(add=1, special=2),  # log(1 + exp(x))
    "mish": OpCount(mul=1, add=1, special=3),  # x·tanh(softplus(x))
    "elu": OpCount(cmp=1, add=1, mul=1, special=1),  # x, or alpha·(exp(x) - 1) below 0
    "selu": OpCount(cmp=1, add=1, mul=2, special=1),
    "celu": OpCount(cmp=1, add=1, mul=1, div=1, special=1),
    "gelu": OpCount(mul=3, add=1, special=1),  # 0.5·x·(1 + erf(x·0.7071))
    "gelu_tanh": OpCount(mul=6, add=2, special=1),  # 0.5·x·(1 + tanh(0.798·(x + 0.0447·x³)))
    "tanhshrink": OpCount(add=1, special=1),
    "floor": _ROUND,
    "ceil": _ROUND,
    "round": _ROUND,
    "trunc": _ROUND,
    "frac": OpCount(add=1, cmp=1),
    "logical_not": OpCount(cmp=1),
    "bitwise_not": OpCount(cmp=1),
    "isnan": OpCount(cmp=1),
    "isinf": OpCount(cmp=1),
    "isneginf": OpCount(cmp=1),
    "isposinf": OpCount(cmp=1),
    "isfinite": OpCount(cmp=1),
    "signbit": OpCount(cmp=1),
    "nan_to_num": OpCount(cmp=3),
    "logit": OpCount(add=1, div=1, special=1),  # log(x / (1 - x))
    "sinc": OpCount(mul=1, cmp=1, div=1, special=1),  # sin(πx) / πx, or 1 at 0
    **dict.fromkeys(
        [
            "exp",
            "exp2",
            "expm1",
            "log",
            "log2",
            "log10",
            "log1p",
            "sqrt",
            "rsqrt",
            "sin",
            "cos",
            "tan",
            "asin",
            "acos",
            "atan",
            "sinh",
            "cosh",
            "asinh",
            "acosh",
            "atanh",
            "erf",
            "erfc",
            "erfinv",
            "lgamma",
            "digamma",
            "erfcx",
            "i0",
        ],
        _FUNCTION,
    ),
}
"""What a function of one element costs, in its usual formula."""


PAIR: dict[str, OpCount] = {
    **dict.fromkeys(("add", "sub"), OpCount(add=1)),
    "mul": OpCount(mul=1),
    **dict.fromkeys(("div", "floor_divide", "remainder", "fmod"), OpCount(div=1)),
    **dict.fromkeys(
        [
            "maximum",
            "minimum",
            "fmax",
            "fmin",
            "copysign",
            "eq",
            "ne",
            "lt",
            "le",
            "gt",
            "ge",
            "where",
            "logical_and",
            "logical_or",
            "logical_xor",
            "bitwise_and",
            "bitwise_or",
            "bitwise_xor",
            "masked_fill",
        ],
        OpCount(cmp=1),
    ),
    **dict.fromkeys(("pow", "atan2"), OpCount(special=1)),
    "heaviside": OpCount(cmp=2),
    "bitwise_left_shift": OpCount(mul=1),
    "bitwise_right_shift": OpCount(div=1),
    "ldexp": OpCount(mul=1, special=1),  # a·2ᵇ
    "hypot": OpCount(mul=2, add=1, special=1),
    "xlogy": OpCount(mul=1, cmp=1, special=1),  # 0 where a is 0
    "logaddexp": OpCount(add=3, cmp=1, special=2),  # max + log(1 + exp(min - max))
    "logaddexp2": OpCount(add=3, cmp=1, special=2),
    "lerp": OpCount(mul=1, add=2),  # a + w·(b - a)
    "addcmul": OpCount(mul=1, add=1),
    "addcdiv": OpCount(div=1, add=1),
}
"""What combining two elements costs; with a number in place of a tensor too."""


BOOLEAN = frozenset(
    [
        "eq",
        "ne",
        "lt",
        "le",
        "gt",
        "ge",
        "logical_and",
        "logical_or",
        "logical_xor",
        "logical_not",
        "isnan",
        "isinf",
        "isneginf",
        "isposinf",
        "isfinite",
        "signbit",
    ]
)
"""Functions whose results are true or false."""

FLOATING = frozenset(
    (
        "div",
        "reciprocal",
        "softsign",
        "deg2rad",
        "rad2deg",
        "atan2",
        "copysign",
        "xlogy",
        "ldexp",
    )
)
"""Functions that give floating-point numbers of whole ones, as those with ``special`` ones do."""
