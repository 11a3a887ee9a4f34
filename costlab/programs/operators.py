"""The functions that a program may call: torch's own operators, and arithmetic on sizes.

A file names its functions. What is called here by a name from a file can neither run code of the
file, nor read or write another one, nor take memory without bound.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch.nn import functional

from costlab.errors import ShapeError
from costlab.torch_private import HigherOrderOperator, OpOverload
from costlab.trace.control_flow import is_followed
from costlab.trace.registry import rules
from costlab.trace.users import name_of, rule_for


def _words(text: str) -> list[str]:
    return text.split()


_OWN = ("aten", "prims", "prim")
_OF_FILES = ("from_file",)
"""Operators that open files."""
_LARGEST = 2**63
"""Sizes are below that: torch's own are."""

CHECKS = frozenset(
    _words("""
    _assert_scalar _assert_tensor_metadata _assert_async sym_constrain_range
    sym_constrain_range_for_size _functional_assert_async _functional_sym_constrain_range
    _functional_assert_scalar _functional_sym_constrain_range_for_size
    """)
)
"""Operators that only check something, and give nothing that counts."""


def _bounded(function: Callable[..., Any]) -> Callable[..., Any]:
    """Arithmetic on sizes. Raises ``ShapeError`` for numbers that can be none."""

    @wraps(function)
    def compute(*args: Any) -> Any:
        is_power = function in (operator.pow, operator.lshift)
        if any(isinstance(argument, int) and abs(argument) >= _LARGEST for argument in args) or (
            is_power and abs(args[1]) > 64
        ):
            raise ShapeError("the program computes with sizes that no tensor has")
        return function(*args)

    return compute


_ARITHMETIC: dict[str, Callable[..., Any]] = {
    f"_operator.{name}": _bounded(getattr(operator, name))
    for name in _words(
        "add sub mul floordiv mod truediv pow neg pos eq ne le lt ge gt and_ or_ lshift rshift"
    )
} | {
    "_operator.getitem": operator.getitem,
    "math.trunc": _bounded(math.trunc),
    "math.ceil": _bounded(math.ceil),
    "math.floor": _bounded(math.floor),
    "torch.sym_not": torch.sym_not,
    "torch.sym_int": _bounded(torch.sym_int),
    "torch.sym_float": _bounded(torch.sym_float),
    "torch.sym_ite": torch.sym_ite,
    "torch.sym_max": torch.sym_max,
    "torch.sym_min": torch.sym_min,
    "torch.sym_sqrt": _bounded(math.sqrt),
    "torch._sym_sqrt": _bounded(math.sqrt),
}


def operator_named(target: Any) -> Any:
    """The function of that name in a file; the name itself if nothing here is called so.

    Raises ``ValueError`` for what is no name.
    """
    if not isinstance(target, str):
        raise ValueError(f"{target!r} names no operator")
    if target in _ARITHMETIC:
        return _ARITHMETIC[target]
    home, *names = target.removeprefix("torch.ops.").split(".")
    if not target.startswith("torch.ops.") or len(names) not in (1, 2):
        return target
    operator: Any = getattr(torch.ops, home, None)
    for name in names:
        operator = getattr(operator, name, None)
    if not isinstance(operator, (OpOverload, HigherOrderOperator)):
        return target
    return operator


def name_of_operator(target: Any) -> str:
    """Its name for people, with that of its library if it is not torch's."""
    if isinstance(target, HigherOrderOperator):
        return str(target.name())
    if isinstance(target, OpOverload):
        return str(target._schema.name).removeprefix("aten::")
    if isinstance(target, str):
        return target.removeprefix("torch.ops.").removesuffix(".default").replace(".", "::", 1)
    return str(getattr(target, "__name__", target))


def is_known(target: Any) -> bool:
    """Whether it is called: an operator of torch's, or one that has a rule."""
    if isinstance(target, HigherOrderOperator):
        return is_followed(target)
    if not isinstance(target, OpOverload):
        return not isinstance(target, str)
    home, _, name = target._schema.name.partition("::")
    if home in _OWN:
        return name not in _OF_FILES
    return rule_for(target) is not None or name_of(target) in rules()


def _batch_norm(
    input: Any, weight: Any, bias: Any, mean: Any, var: Any, *settings: Any, **named: Any
) -> Any:
    return functional.batch_norm(input, mean, var, weight, bias, *settings[:3], **named)


def _instance_norm(
    input: Any, weight: Any, bias: Any, mean: Any, var: Any, *settings: Any, **named: Any
) -> Any:
    return functional.instance_norm(input, mean, var, weight, bias, *settings[:3], **named)


def _interpolated(mode: str) -> Callable[..., Any]:
    """``upsample_*.vec`` of torch as ``F.interpolate``."""

    def interpolate(input: Any, size: Any, *settings: Any) -> Any:
        *corners, factors = settings
        align = corners[0] if corners else None
        return functional.interpolate(
            input, size, None if size is not None else factors, mode, align_corners=align
        )

    return interpolate


_MODES = {
    "nearest": "nearest",
    "_nearest_exact": "nearest-exact",
    "linear": "linear",
    "bilinear": "bilinear",
    "trilinear": "trilinear",
    "bicubic": "bicubic",
}


_AS_WRITTEN: dict[str, Callable[..., Any]] = {
    **{
        name: getattr(torch, name)
        for name in _words(
            """
            adaptive_avg_pool1d adaptive_max_pool1d avg_pool1d bilinear conv1d conv2d conv3d
            conv_transpose1d conv_transpose2d conv_transpose3d dropout einsum group_norm gru
            gru_cell layer_norm log_softmax lstm lstm_cell matmul max_pool1d max_pool2d max_pool3d
            prelu rms_norm rnn_relu rnn_relu_cell rnn_tanh rnn_tanh_cell selu softmax
            """
        )
        if hasattr(torch, name)  # rms_norm is younger than others
    },
    **{
        name: getattr(functional, name)
        for name in _words(
            "adaptive_avg_pool2d adaptive_avg_pool3d linear relu6 scaled_dot_product_attention"
        )
    },
    **{
        f"{'_' * name.startswith('_')}upsample_{name.lstrip('_')}{axes}d.vec": _interpolated(mode)
        for name, mode in _MODES.items()
        for axes in (1, 2, 3)
    },
    **{f"to.{kind}": torch.Tensor.to for kind in ("device", "dtype", "other")},
    "batch_norm": _batch_norm,
    "instance_norm": _instance_norm,
}
"""Operators that consist of others: called as users write them, they are the one layer they are."""


def called(target: Any) -> Callable[..., Any]:
    """What is called for an operator."""
    if not isinstance(target, OpOverload):
        return target  # type: ignore[no-any-return]
    home, _, name = target._schema.name.partition("::")
    if home != "aten":
        return target  # type: ignore[no-any-return]
    overload = f"{name}.{target._schema.overload_name}"
    function: Callable[..., Any] = _AS_WRITTEN.get(name, _AS_WRITTEN.get(overload, target))
    return function


MOST_PIECES = 100_000


def require_few(name: str, args: Any) -> None:
    """Raises ``ShapeError`` for a call that would give more tensors than any network takes."""
    if name in _IN_PIECES and isinstance(args[0], torch.Tensor):
        size = args[1] if name != "unbind" and isinstance(args[1], int) else 1
        if max(args[0].shape, default=0) > MOST_PIECES * max(size, 1):
            raise ShapeError(f"{name} would give more than {MOST_PIECES:,} tensors")


_IN_PIECES = ("unbind", "split", "split_copy", "unsafe_split", "unbind_copy")


def _with_gradients(enabled: bool, function: Callable[..., Any], *args: Any) -> Any:
    with torch.set_grad_enabled(enabled):
        return function(*args)


def _with_autocast(
    device: str, dtype: Any, enabled: bool, cached: Any, function: Callable[..., Any], *args: Any
) -> Any:
    with torch.autocast(device, dtype, enabled, cached):
        return function(*args)


INLINED: dict[str, Callable[..., Any]] = {
    "wrap_with_set_grad_enabled": _with_gradients,
    "wrap_with_autocast": _with_autocast,
}
"""What torch has for ``with`` around a part of a program."""
