"""What torch refuses, of calls that rules answer: shapes by torch's own checks, types by trying.

A rule that is not ``checked`` (`registry.rule`) is asked only after torch has taken the call on
``meta``. There, torch checks shapes and not always types, so a call of other types than float32 is
tried once, on tensors of one element.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import product, repeat
from typing import Any

import torch
from torch import Tensor

from costlab import formatting
from costlab.errors import ShapeError
from costlab.ops.element_functions import EACH, PAIR
from costlab.ops.reduce import ARITHMETIC, RUNNING
from costlab.trace.eight_bits import has_quantized
from costlab.trace.symbolic_numbers import at_hint
from costlab.trace.tensors import nested, tensors


def type_name(dtype: torch.dtype) -> str:
    """A type as users write it: ``float32``."""
    return str(dtype).removeprefix("torch.")


def require_alike(input: Tensor, *others: Tensor | None) -> None:
    """Refuse tensors of several types. Raises ``ShapeError``."""
    for other in others:
        if other is not None and other.dtype is not input.dtype and not autocast():
            raise ShapeError(
                f"its input {formatting.shape(input.shape)} is {type_name(input.dtype)}, what it "
                f"is taken with {formatting.shape(other.shape)} is {type_name(other.dtype)}: "
                "expected one type"
            )


def require_norm_types(input: Tensor, *own: Tensor | None) -> None:
    """Refuse what torch does not normalise: weights of float32 take shorter types too."""
    types = {tensor.dtype for tensor in own if tensor is not None}
    if not input.is_floating_point():
        raise ShapeError(f"its input is {type_name(input.dtype)}, expected floating-point numbers")
    if types <= {input.dtype} or (
        types == {torch.float32} and input.dtype in (torch.float16, torch.bfloat16)
    ):
        return
    require_alike(input, *own)


def require_length(what: str, tensor: Tensor | None, length: int) -> None:
    """Refuse a vector of another length. Raises ``ShapeError``."""
    if tensor is not None and tuple(tensor.shape) != (length,):
        shape = formatting.shape(tensor.shape) if tensor.dim() else "a single number"
        raise ShapeError(f"its {what} is {shape}, expected {length}")


def autocast() -> bool:
    """Whether torch makes types alike by itself."""
    return torch.is_autocast_enabled("cuda") or torch.is_autocast_enabled("cpu")


def has_other_types(args: Iterable[Any], kwargs: dict[str, Any]) -> bool:
    """Whether a call has tensors that are not float32, or asks for a type."""
    for value in args:
        if isinstance(value, Tensor):
            if value.dtype is not torch.float32:
                return True
        elif (
            isinstance(value, (tuple, list))
            and value
            and type(value[0]) is not int
            and has_other_types(value, {})
        ):
            return True
    return bool(kwargs) and ("dtype" in kwargs or has_other_types(kwargs.values(), {}))


ODD = frozenset(f"bitwise_{what}" for what in ("and", "or", "xor", "not")) | {
    "bitwise_left_shift",
    "bitwise_right_shift",
    "lshift",
    "rshift",
}
"""Calls that do not take float32."""


def require_in_place(target: Tensor, result: Tensor) -> None:
    """Refuse a result that its place cannot hold. Raises ``ShapeError``."""
    if result.shape != target.shape:
        raise ShapeError(
            f"in place, {formatting.shape(target.shape)} cannot become "
            f"{formatting.shape(result.shape)}"
        )
    if result.dtype is not target.dtype and not torch.can_cast(result.dtype, target.dtype):
        raise ShapeError(
            f"in place, {type_name(target.dtype)} cannot become {type_name(result.dtype)}"
        )


TAKEN: dict[Any, None] = {}
"""Calls that torch has taken on ``meta``: networks repeat their layers."""


def signature(function: Any, args: Any, kwargs: Any) -> Any:
    """All of a call that torch can refuse; None where that has no hash."""
    if len(TAKEN) > 4096:
        TAKEN.clear()
    key = (function, _signature(args), _signature(kwargs))
    try:
        hash(key)
    except TypeError:
        return None
    return key


def _signature(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.shape, value.dtype
    if isinstance(value, (tuple, list)):
        return tuple([_signature(item) for item in value])
    if isinstance(value, dict):
        return tuple([(key, _signature(item)) for key, item in value.items()])
    return value, type(value)


_taken: dict[Any, str] = {}
"""By function, types of its tensors and kinds of its other arguments: torch's error, or ``""``."""


def require_types(name: str, function: Any, args: Any, kwargs: dict[str, Any]) -> None:
    """Refuse types that torch refuses for such a call. Raises ``ShapeError``."""
    if name not in _TRIED:
        return
    try:
        key = (function, _types(args), _types(kwargs))
        problem = _taken.get(key)
    except TypeError:  # what has no hash
        return
    if problem is None:
        problem = _taken[key] = _problem(name, function, args, kwargs)
    if problem and not autocast():
        raise ShapeError(f"{name} of {', '.join(_names(args, kwargs))}: {problem}")


def _types(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.dtype, value.dim()
    if isinstance(value, (tuple, list)):
        return tuple([_types(item) for item in value])
    if isinstance(value, dict):
        return tuple([(key, _types(item)) for key, item in value.items()])
    return value if isinstance(value, (torch.dtype, str)) else type(value)


def _names(args: Any, kwargs: Any) -> list[str]:
    return [type_name(tensor.dtype) for tensor in tensors((args, kwargs))]


FLOATS = frozenset((torch.float32, torch.float64, torch.float16, torch.bfloat16))
"""Types that every call on windows, norm and activation takes."""


def _problem(name: str, function: Any, args: Any, kwargs: Any) -> str:
    """Why torch does not take these types, tried on few elements; ``""`` if it is not the types."""
    if has_quantized((args, kwargs)):
        return ""  # there are no such tensors of ones
    args, kwargs = _TINY[name](args, kwargs) if name in _TINY else (args, kwargs)
    args, kwargs = _with_numbers((args, kwargs))
    count = len(tensors((args, kwargs)))
    for size in (1, 2, 3):
        problem = _tried(function, args, kwargs, size, repeat(None))
        if not problem or (name not in ODD and any(f"'{kind}'" in problem for kind in _LACKING)):
            return ""
        for types in product((None, torch.float32, torch.int64), repeat=count):
            if count < 5 and not _tried(function, args, kwargs, size, types):
                return problem
    return ""  # such a call is not to be had so small


def _with_numbers(value: Any) -> Any:
    """Nested arguments with numbers for sizes that are symbols: what these are decides no type."""
    if isinstance(value, (tuple, list)):
        return type(value)([_with_numbers(item) for item in value])
    if isinstance(value, dict):
        return {key: _with_numbers(item) for key, item in value.items()}
    return at_hint(value)


def _tried(
    function: Any, args: Any, kwargs: Any, size: int, types: Iterable[torch.dtype | None]
) -> str:
    """What torch says to tensors of that size along each axis, of these types; None is its own."""
    given = iter(types)

    def make(tensor: Tensor) -> Tensor:
        return torch.ones([size] * tensor.dim(), dtype=next(given) or tensor.dtype)

    try:
        function(*nested(make, args), **nested(make, kwargs))
    except Exception as error:
        return " ".join(str(error).split()) or type(error).__name__
    return ""


_LACKING = ("Half", "BFloat16", "ComplexHalf", "Float8_e4m3fn", "Float8_e5m2")
"""Types for which the CPU lacks what other devices have, as torch's errors name them."""


def _window_of_one(args: Any, kwargs: Any) -> Any:
    return (args[0] if args else kwargs["input"], 1), {}


def _two_windows_of_one(args: Any, kwargs: Any) -> Any:
    return (args[0] if args else kwargs["input"], 1, 1), {}


def _convolution_of_one(args: Any, kwargs: Any) -> Any:
    rank = args[1].dim() - 2
    ones, zeros = (1,) * rank, (0,) * rank
    return (*args[:3], ones, zeros, ones, False, zeros, 1), {}


def _weighted(args: Any, kwargs: Any) -> Any:
    return args[:3], {key: kwargs[key] for key in ("weight", "bias") if key in kwargs}


def _over_ones(args: Any, kwargs: Any) -> Any:
    return (args[0], [1] * len(args[1]), *args[2:]), kwargs


_TINY: dict[str, Callable[[Any, Any], Any]] = {
    "convolution": _convolution_of_one,
    "fold": _two_windows_of_one,
    "rms_norm": _over_ones,
    **{f"conv{rank}d": _weighted for rank in (1, 2, 3)},
    **{f"conv_transpose{rank}d": _weighted for rank in (1, 2, 3)},
    **{
        f"fractional_max_pool{rank}d{more}": _two_windows_of_one
        for rank in (2, 3)
        for more in ("", "_with_indices")
    },
    **{
        f"{kind}_pool{rank}d{more}": _window_of_one
        for kind in ("max", "avg", "adaptive_avg", "adaptive_max")
        for rank in (1, 2, 3)
        for more in ("", "_with_indices")
    },
}
"""How the other arguments are changed, so that a call takes tensors of one element."""

_TRIED = {
    *EACH,
    *PAIR,
    *ARITHMETIC,
    *RUNNING,
    *_TINY,
    *ODD,
    *("relu", "tanh", "gelu", "softmax", "log_softmax", "glu", "prelu", "sum", "mean", "norm"),
    *("dropout", "alpha_dropout", "layer_norm", "group_norm", "interpolate", "matmul", "linear"),
    *("var", "std", "var_mean", "std_mean", "max", "min", "amax", "amin", "aminmax", "dist"),
    *("radd", "rsub", "rmul", "rdiv", "rpow", "rfloordiv", "rmod", "cross", "lerp", "addmm"),
    *("vector_norm", "linalg_norm", "mse_loss", "smooth_l1_loss", "huber_loss", "bmm", "mm"),
    *("soft_margin_loss", "trace", "cholesky", "cholesky_ex", "cholesky_solve", "lu_factor"),
    *("lu_factor_ex", "solve", "solve_ex", "inv", "inv_ex", "det", "slogdet", "logdet"),
    *("binary_cross_entropy", "binary_cross_entropy_with_logits", "cat", "outer", "ger", "mv"),
    *("dropout1d", "dropout2d", "dropout3d", "embedding"),
    *("scaled_dot_product_attention", "grid_sample"),
    *("log_sigmoid", "rrelu", "cross_entropy", "nll_loss"),
    *("dot", "vdot", "inner", "baddbmm", "addbmm", "addmv", "addr", "local_response_norm"),
    *(
        "cummax",
        "cummin",
        "feature_dropout",
        "rmatmul",
        "bilinear",
        "embedding",
    ),
}
"""Calls that are safe to try: of some others torch reads outside of its memory."""
