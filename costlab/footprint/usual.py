"""Answers for the usual: what common operations give for contiguous tensors of float32 on the CPU.

To ask torch's `FakeTensorMode` takes a millisecond, which is most of what a first run takes. These
are what it says, by rules (`tests/footprint/test_usual.py` asks both), or by the kernel on ``meta``
where that says the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import torch
from torch import Tensor

from costlab.footprint.kernels import lstm_workspace
from costlab.footprint.shapes import Layout
from costlab.isolation.dynamo_aside import dynamo_aside
from costlab.trace.symbolic_numbers import equal

CPU = torch.device("cpu")

IN_PLACE = "in place"
"""The first argument is the result."""


def usual(func: Any, args: Sequence[Any], arguments: list[Tensor]) -> list[Layout | None] | str:
    """The layouts of the results, None for none; or ``IN_PLACE``; or nothing if torch is asked."""
    name = str(func)
    rule = _RULES.get(name)
    if rule is None:
        return ""
    floats = arguments
    if name in _WITH_INDICES:
        floats = [tensor for tensor in arguments if tensor.dtype is not torch.int64]
    if not floats or not all(map(_is_usual, floats)):
        return ""
    if name in _OF_PARTS:
        strides_matter = not all(map(_is_in_order, arguments))
    else:
        strides_matter = not all(map(is_in_a_row, arguments))
    if strides_matter and name not in _OF_ANY_STRIDES:
        return ""
    return rule(func, args, arguments)


def _is_usual(tensor: Tensor) -> bool:
    return tensor.dtype is torch.float32 and tensor.layout is torch.strided and tensor.device == CPU


def is_in_a_row(tensor: Tensor) -> bool:
    """Whether a tensor is contiguous; of sizes that are symbols, whatever these are."""
    strides = tensor.stride()
    if all(type(stride) is int for stride in (*strides, *tensor.shape)):
        return tensor.is_contiguous()
    return _same(strides, contiguous(tensor.shape).strides)


def _is_in_order(tensor: Tensor) -> bool:
    """Whether elements lie as in a contiguous tensor, perhaps as a part of a larger one."""
    if is_in_a_row(tensor):
        return True
    strides = [
        stride for stride, size in zip(tensor.stride(), tensor.shape, strict=True) if size > 1
    ]
    return all(strides) and all(a > b for a, b in pairwise(strides))


def _has_channels_last(tensor: Tensor) -> bool:
    """Whether torch takes a tensor for one whose channels lie side by side, by its strides."""
    if tensor.dim() not in (4, 5) or is_in_a_row(tensor):
        return False
    strides, sizes = tensor.stride(), tensor.shape
    if type(strides[1]) is int and not strides[1]:
        return False
    least = 0
    for axis in (1, *range(tensor.dim() - 1, 1, -1), 0):
        if strides[axis] < least or (axis == 0 and least == strides[1]):
            return False
        least = strides[axis] * (sizes[axis] if sizes[axis] > 1 else 1)
    return True


def _same(one: Sequence[Any], other: Sequence[Any]) -> bool:
    """Whether two shapes are the same, also where sizes are symbols: whatever these are."""
    return len(one) == len(other) and all(map(equal, one, other))


_Rule: TypeAlias = "Callable[[Any, Any, list[Tensor]], list[Layout | None] | str]"


def contiguous(shape: Sequence[int]) -> Layout:
    """A contiguous tensor of that shape."""
    strides = [1]
    for size in reversed(shape[1:]):
        strides.append(strides[-1] * (max(size, 1) if type(size) is int else size))
    return Layout(tuple(shape), tuple(reversed(strides[: len(shape)])), torch.float32, CPU)


def _like(func: Any, args: Any, arguments: list[Tensor]) -> list[Layout | None] | str:
    """One result like the arguments, if these are all alike."""
    first = arguments[0].shape
    return [contiguous(first)] if all(_same(tensor.shape, first) for tensor in arguments) else ""


def _in_place(func: Any, args: Any, arguments: list[Tensor]) -> list[Layout | None] | str:
    first = arguments[0].shape
    return IN_PLACE if all(_same(tensor.shape, first) for tensor in arguments) else ""


def _scaled(func: Any, args: Any, arguments: list[Tensor]) -> list[Layout | None] | str:
    """As the tensor is, if the other argument is a number."""
    numbers = all(type(value) in (int, float) for value in args[1:])
    return [contiguous(arguments[0].shape)] if numbers else ""


def _scaled_in_place(func: Any, args: Any, arguments: list[Tensor]) -> list[Layout | None] | str:
    return IN_PLACE if _scaled(func, args, arguments) else ""


def _on_meta(func: Any, args: Any, arguments: list[Tensor]) -> list[Layout | None] | str:
    """What the kernel on ``meta`` gives.

    Nothing is imported on the way: an error that is caught there would keep the frames of the model
    below it, and what these hold.
    """
    with torch.no_grad(), dynamo_aside():
        result = func(*_meta(args))
    return [
        Layout(tuple(item.shape), item.stride(), item.dtype, CPU)
        for item in (result if isinstance(result, tuple) else (result,))
    ]


def _meta(value: Any) -> Any:
    if isinstance(value, Tensor):
        return torch.empty(value.shape, device="meta")
    return list(map(_meta, value)) if isinstance(value, (list, tuple)) else value


def _like_second(func: Any, args: Any, arguments: list[Tensor]) -> list[Layout | None] | str:
    return [contiguous(arguments[1].shape)]


def _resampled(func: Any, args: Any, arguments: list[Tensor]) -> list[Layout | None] | str:
    x = arguments[0].shape
    return [contiguous((*x[:2], *args[1]))] if len(args[1]) == len(x) - 2 else ""


def _resampled_backward(func: Any, args: Any, arguments: list[Tensor]) -> list[Layout | None] | str:
    (gradient,) = arguments
    if str(func) not in _AS_THE_GRADIENT or not _has_channels_last(gradient):
        return [contiguous(args[2])]
    batch, channels, *sides = args[2]
    by_rows = contiguous((batch, *sides, channels)).strides
    strides = (by_rows[0], by_rows[-1], *by_rows[1:-1])
    return [Layout(tuple(args[2]), strides, torch.float32, CPU)]


def _sized(func: Any, args: Any, arguments: list[Tensor]) -> list[Layout | None] | str:
    """What the second argument says: the gradient of a part is one of the whole."""
    return [contiguous(args[1])]


def _addmm(func: Any, args: Any, arguments: list[Tensor]) -> list[Layout | None] | str:
    bias, left, right = arguments
    fits = _same(left.shape[1:], right.shape[:1]) and _same(bias.shape, right.shape[1:])
    return [contiguous((left.shape[0], right.shape[1]))] if fits else ""


def _convolution(func: Any, args: Any, arguments: list[Tensor]) -> list[Layout | None] | str:
    """In a row, unless channels lie side by side: by ``x`` and the weight, whatever the kernel."""
    by_channels = any(map(_has_channels_last, arguments[:2]))
    return "" if by_channels else _on_meta(func, args, arguments)


def _convolution_backward(
    func: Any, args: Any, arguments: list[Tensor]
) -> list[Layout | None] | str:
    gradient, x, weight = arguments
    if any(map(_has_channels_last, (x, weight))):
        return ""
    shapes = x.shape, weight.shape, (gradient.shape[1],)
    return [
        contiguous(shape) if wanted else None
        for shape, wanted in zip(shapes, args[-1], strict=True)
    ]


def _batch_norm(func: Any, args: Any, arguments: list[Tensor]) -> list[Layout | None] | str:
    x, training = arguments[0], args[5]
    if not all(_same(tensor.shape, x.shape[1:2]) for tensor in arguments[1:]):
        return ""
    channels = (x.shape[1],) if training else (0,)
    return [contiguous(x.shape), contiguous(channels), contiguous(channels)]


def _batch_norm_backward(
    func: Any, args: Any, arguments: list[Tensor]
) -> list[Layout | None] | str:
    x, wanted = args[1], args[-1]
    if not all(wanted):
        return ""
    channels = contiguous((x.shape[1],))
    return [contiguous(x.shape), channels, channels]


def _layer_norm(func: Any, args: Any, arguments: list[Tensor]) -> list[Layout | None] | str:
    x, normalized = args[0], len(args[1])
    shape = x.shape[x.dim() - normalized :]
    own = (tuple(args[1]), *(tensor.shape for tensor in arguments[1:]))
    if not all(_same(tensor, shape) for tensor in own):
        return ""
    rows = contiguous((*x.shape[: x.dim() - normalized], *[1] * normalized))
    return [contiguous(x.shape), rows, rows]


def _lstm(func: Any, args: Any, arguments: list[Tensor]) -> list[Layout | None] | str:
    x, hidden = args[0].shape, args[5].shape
    workspace = Layout((lstm_workspace(args),), (1,), torch.uint8, CPU)
    return [contiguous((*x[:2], hidden[1])), contiguous(hidden), contiguous(hidden), workspace]


_LIKE = (
    *("relu", "gelu", "silu", "sigmoid", "tanh", "neg", "exp", "rsqrt", "clone", "hardtanh"),
    *("gelu_backward", "silu_backward", "threshold_backward", "tanh_backward"),
    *("sigmoid_backward",),
)
_LIKE_TENSOR = ("add", "sub", "mul", "div")
_IN_PLACE = ("relu_", "silu_", "hardtanh_")
_ON_META = (
    *("mm", "bmm", "cat", "avg_pool2d", "avg_pool2d_backward"),
    *("sum", "max_pool2d_with_indices", "_adaptive_avg_pool2d", "_adaptive_avg_pool2d_backward"),
)

RESAMPLING = (
    *(f"{name}{n}d" for name in ("upsample_nearest", "_upsample_nearest_exact") for n in (1, 2, 3)),
    *("upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d", "upsample_bicubic2d"),
    *("_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa"),
)
"""What ``F.interpolate`` calls."""

_AS_THE_GRADIENT = {
    f"aten.{name}_backward.default"
    for name in (
        *("upsample_nearest2d", "_upsample_nearest_exact2d", "upsample_bilinear2d"),
        *("_upsample_bilinear2d_aa", "upsample_trilinear3d"),
    )
}
"""Of these the channels of what they give lie side by side, where those of the gradient do."""

_OF_WHOLES = ("slice_backward", "select_backward", "diagonal_backward", "unfold_backward")

_RULES: dict[str, _Rule] = {
    **{f"aten.{name}.default": _sized for name in _OF_WHOLES},
    **{f"aten.{name}.default": _resampled for name in RESAMPLING},
    **{f"aten.{name}_backward.default": _resampled_backward for name in RESAMPLING},
    **{f"aten.{name}.default": _like for name in _LIKE},
    **{f"aten.{name}.Tensor": _like for name in _LIKE_TENSOR},
    **{f"aten.{name}.default": _in_place for name in _IN_PLACE},
    **{f"aten.{name}_.Tensor": _in_place for name in _LIKE_TENSOR},
    **{f"aten.{name}.default": _on_meta for name in _ON_META},
    **{f"aten.{name}.Scalar": _scaled for name in _LIKE_TENSOR},
    **{f"aten.{name}_.Scalar": _scaled_in_place for name in _LIKE_TENSOR},
    "aten.pow.Tensor_Scalar": _scaled,
    "aten.bernoulli_.float": _scaled_in_place,
    "aten.sum.dim_IntList": _on_meta,
    "aten.max_pool2d_with_indices_backward.default": _like_second,
    "aten.addmm.default": _addmm,
    "aten.convolution.default": _convolution,
    "aten.convolution_backward.default": _convolution_backward,
    "aten.native_batch_norm.default": _batch_norm,
    "aten.native_batch_norm_backward.default": _batch_norm_backward,
    "aten.native_layer_norm.default": _layer_norm,
    "aten.mkldnn_rnn_layer.default": _lstm,
}

_WITH_INDICES = {"aten.max_pool2d_with_indices_backward.default"}
_OF_PARTS = {"aten.threshold_backward.default", "aten.add.Tensor", "aten.add_.Tensor"}
_OF_ANY_STRIDES = {
    *("aten.mm.default", "aten.bmm.default", "aten.addmm.default"),
    *("aten.convolution.default", "aten.convolution_backward.default"),
    *(f"aten.{name}_backward.default" for name in RESAMPLING),
    *(f"aten.{name}.default" for name in _OF_WHOLES),
}
