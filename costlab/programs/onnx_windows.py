"""Operators of ONNX on windows and places: convolutions, pooling, and what is sampled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch.nn import functional

from costlab import formatting
from costlab.errors import ShapeError
from costlab.programs.onnx_operators import (
    Attributes,
    of_space,
    operator,
    padded,
)
from costlab.programs.onnx_sizes import sizes
from costlab.programs.onnx_values import numbers, tensor
from costlab.programs.program import NotFollowedError


def _pads(
    attributes: Attributes, size: Sequence[int], kernel: Sequence[int]
) -> tuple[list[int], list[int]]:
    """The padding before and behind each axis."""
    axes = len(kernel)
    kind = attributes.get("auto_pad", "NOTSET")
    if kind in ("NOTSET", "VALID"):
        own = list(attributes.get("pads", ())) if kind == "NOTSET" else []
        own = own or [0] * (2 * axes)
        return own[:axes], own[axes:]
    strides = attributes.get("strides", [1] * axes)
    dilations = attributes.get("dilations", [1] * axes)
    before, behind = [], []
    for length, width, stride, dilation in zip(size, kernel, strides, dilations, strict=True):
        wanted = -(-length // stride)
        total = max(0, (wanted - 1) * stride + (width - 1) * dilation + 1 - length)
        less, more = total // 2, total - total // 2
        before.append(less if kind == "SAME_UPPER" else more)
        behind.append(more if kind == "SAME_UPPER" else less)
    return before, behind


def _require_kernel(attributes: Attributes, weight: Any) -> None:
    """Raises ``ShapeError`` where a layer says another kernel than its weight has."""
    kernel = list(weight.shape[2:])
    noted = attributes.get("kernel_shape", kernel)
    if noted != kernel:
        own, there = formatting.shape(tuple(noted)), formatting.shape(tuple(weight.shape))
        raise ShapeError(f"{attributes['operator']} has a kernel of {own} and a weight of {there}")


@operator("Conv")
def _conv(attributes: Attributes, x: Any, weight: Any, bias: Any = None) -> Any:
    x, weight, bias = tensor(x), tensor(weight), tensor(bias)
    _require_kernel(attributes, weight)
    kernel, axes = weight.shape[2:], weight.dim() - 2
    before, behind = _pads(attributes, x.shape[2:], kernel)
    if before != behind:
        x, before = padded(x, before, behind), [0] * axes
    return of_space("conv{}d", axes)(
        x,
        weight,
        bias,
        attributes.get("strides", [1] * axes),
        before,
        attributes.get("dilations", [1] * axes),
        attributes.get("group", 1),
    )


def _pads_of_output(
    attributes: Attributes, size: Sequence[int], kernel: Sequence[int], more: Sequence[int]
) -> tuple[list[int], list[int]]:
    """What a transposed convolution leaves out of its output before and behind each axis."""
    axes, kind = len(kernel), attributes.get("auto_pad", "NOTSET")
    strides = attributes.get("strides", [1] * axes)
    wanted = list(attributes.get("output_shape", ()))[-axes:]
    if kind.startswith("SAME") and not wanted:
        wanted = [length * stride for length, stride in zip(size, strides, strict=True)]
    if not wanted:
        pads = list(attributes.get("pads", ())) if kind == "NOTSET" else []
        pads = pads or [0] * (2 * axes)
        return pads[:axes], pads[axes:]
    dilations = attributes.get("dilations", [1] * axes)
    before, behind = [], []
    for axis in range(axes):
        whole = strides[axis] * (size[axis] - 1) + more[axis]
        total = whole + (kernel[axis] - 1) * dilations[axis] + 1 - wanted[axis]
        less = total // 2
        before.append(less if kind == "SAME_UPPER" else total - less)
        behind.append(total - before[-1])
    return before, behind


@operator("ConvTranspose")
def _conv_transpose(attributes: Attributes, x: Any, weight: Any, bias: Any = None) -> Any:
    x, weight, bias = tensor(x), tensor(weight), tensor(bias)
    _require_kernel(attributes, weight)
    axes = weight.dim() - 2
    strides = attributes.get("strides", [1] * axes)
    dilations = attributes.get("dilations", [1] * axes)
    more = list(attributes.get("output_padding", [0] * axes))
    before, behind = _pads_of_output(attributes, x.shape[2:], weight.shape[2:], more)
    pads = list(map(min, before, behind))
    evened = [m + low - high for m, low, high in zip(more, before, behind, strict=True)]
    is_cut = not all(0 <= m < max(s, d) for m, s, d in zip(evened, strides, dilations, strict=True))
    if not is_cut:  # torch has less padding behind as more of the output
        pads, more = before, evened
    convolved = of_space("conv_transpose{}d", axes)
    group = attributes.get("group", 1)
    y: Any = convolved(x, weight, None if is_cut else bias, strides, pads, more, group, dilations)
    if not is_cut:
        return y
    for axis, (pad, low, high) in enumerate(zip(pads, before, behind, strict=True), 2):
        y = y.narrow(axis, low - pad, y.shape[axis] - (low - pad) - (high - pad))
    return y if bias is None else y + bias.reshape(-1, *[1] * axes)


@operator("MaxPool", "AveragePool")
def _pool(attributes: Attributes, x: Any) -> Any:
    kernel = list(attributes["kernel_shape"])
    axes = len(kernel)
    strides = attributes.get("strides", [1] * axes)
    before, behind = _pads(attributes, x.shape[2:], kernel)
    is_max = attributes["operator"] == "MaxPool"
    if not is_max and set(attributes.get("dilations", ())) - {1}:
        raise NotFollowedError("average pooling with dilations")
    counts_padding = bool(attributes.get("count_include_pad", 0))
    if before != behind or any(2 * n > k for n, k in zip(before, kernel, strict=True)):
        x = padded(x, before, behind, value=float("-inf") if is_max else 0.0)
        before, counts_padding = [0] * axes, True
    ceil = bool(attributes.get("ceil_mode", 0))
    if is_max:
        dilations = attributes.get("dilations", [1] * axes)
        several = attributes["results"] > 1
        largest = of_space("max_pool{}d", axes)
        return largest(x, kernel, strides, before, dilations, ceil, several)
    return of_space("avg_pool{}d", axes)(x, kernel, strides, before, ceil, counts_padding)


@operator("GlobalAveragePool", "GlobalMaxPool")
def _global_pool(attributes: Attributes, x: Any) -> Any:
    kind = "avg" if attributes["operator"] == "GlobalAveragePool" else "max"
    axes = x.dim() - 2
    return of_space(f"adaptive_{kind}_pool{{}}d", axes)(x, [1] * axes)


_RESIZED = {
    **{("nearest", axes): "nearest" for axes in (1, 2, 3)},
    **{("linear", axes): mode for axes, mode in enumerate(("linear", "bilinear", "trilinear"), 1)},
    ("cubic", 2): "bicubic",
}
"""Modes of torch by ONNX's and the axes of the space: what is not here, torch does not have."""


@operator("Resize", "Upsample")
def _resize(attributes: Attributes, x: Any, *inputs: Any) -> Any:
    if attributes.get("axes"):
        raise NotFollowedError("only some axes are resized")
    roi_scales_sizes = (None, *inputs) if attributes["operator"] == "Upsample" else inputs
    _, scales, lengths, *_ = (*roi_scales_sizes, None, None, None)
    wanted: list[Any] = [] if lengths is None else sizes(lengths)
    if not wanted:
        wanted = [
            length * int(factor) if factor == int(factor) else int(length * factor + 1e-6)
            for length, factor in zip(x.shape, numbers(scales), strict=True)
        ]
    if wanted[:2] != list(x.shape[:2]):
        raise NotFollowedError("more than the space is resized")
    axes, mode = x.dim() - 2, attributes.get("mode", "nearest")
    places = attributes.get("coordinate_transformation_mode", "half_pixel")
    if places == "tf_crop_and_resize":
        raise NotFollowedError("a region is resized")
    how: dict[str, Any] = {"mode": _RESIZED[mode, axes]}
    if mode != "nearest":
        how["align_corners"] = places == "align_corners"
    if attributes.get("antialias") and mode != "nearest":
        if axes != 2:
            raise NotFollowedError("torch smooths images alone")
        how["antialias"] = True
    return functional.interpolate(x, wanted[2:], **how)


@operator("GridSample")
def _grid_sample(attributes: Attributes, x: Any, grid: Any) -> Any:
    own = str(attributes.get("mode", "linear"))
    mode = {"linear": "bilinear", "cubic": "bicubic"}.get(own, own)  # as torch calls them
    corners = bool(attributes.get("align_corners", 0))
    return functional.grid_sample(x, grid, mode, attributes.get("padding_mode", "zeros"), corners)
