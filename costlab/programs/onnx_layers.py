"""Operators of ONNX that are layers: with weights, or on windows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch
from torch.nn import functional

from costlab import formatting
from costlab.errors import ShapeError
from costlab.programs.onnx_operators import (
    OPERATORS,
    Attributes,
    Operator,
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
    said = attributes.get("kernel_shape", kernel)
    if said != kernel:
        own, there = formatting.shape(tuple(said)), formatting.shape(tuple(weight.shape))
        raise ShapeError(f"{attributes['operator']} has a kernel of {own} and a weight of {there}")


@operator("Conv")
def _conv(attributes: Attributes, x: Any, weight: Any, bias: Any = None) -> Any:
    x, weight, bias = tensor(x), tensor(weight), tensor(bias)
    _require_kernel(attributes, weight)
    kernel, axes = weight.shape[2:], weight.dim() - 2
    before, behind = _pads(attributes, x.shape[2:], kernel)
    if before != behind:
        x, before = padded(x, before, behind), [0] * axes
    function = (functional.conv1d, functional.conv2d, functional.conv3d)[axes - 1]
    return function(
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
    more = list(attributes.get("output_padding", [0] * axes))
    before, behind = _pads_of_output(attributes, x.shape[2:], weight.shape[2:], more)
    more = [m + low - high for m, low, high in zip(more, before, behind, strict=True)]
    is_cut = min(more) < 0  # torch cuts off as much behind as before, or less
    function = (
        functional.conv_transpose1d,
        functional.conv_transpose2d,
        functional.conv_transpose3d,
    )[axes - 1]
    y: Any = function(
        x,
        weight,
        None if is_cut else bias,
        attributes.get("strides", [1] * axes),
        before,
        [max(0, size) for size in more],
        attributes.get("group", 1),
        attributes.get("dilations", [1] * axes),
    )
    if not is_cut:
        return y
    for axis, size in enumerate(more, 2):
        y = y.narrow(axis, 0, y.shape[axis] + min(0, size))
    return y if bias is None else y + bias.reshape(-1, *[1] * axes)


@operator("Gemm")
def _gemm(attributes: Attributes, a: Any, b: Any, c: Any = None) -> Any:
    a, b, c = tensor(a), tensor(b), tensor(c)
    a = a.t() if attributes.get("transA") else a
    alpha, beta = attributes.get("alpha", 1.0), attributes.get("beta", 1.0)
    if alpha == 1.0 and beta == 1.0 and (c is None or c.dim() == 1):
        return functional.linear(a, b if attributes.get("transB") else b.t(), c)
    b = b.t() if attributes.get("transB") else b
    if c is None:
        return (a @ b) * alpha
    return torch.addmm(c, a, b, beta=beta, alpha=alpha)


@operator("Einsum")
def _einsum(attributes: Attributes, *inputs: Any) -> Any:
    return torch.einsum(attributes["equation"], *map(tensor, inputs))


@operator("BatchNormalization")
def _batch_norm(attributes: Attributes, x: Any, weight: Any, bias: Any, mean: Any, var: Any) -> Any:
    mean, var, weight, bias = map(tensor, (mean, var, weight, bias))
    eps = attributes.get("epsilon", 1e-5)
    return functional.batch_norm(x, mean, var, weight, bias, False, 0.0, eps)


@operator("InstanceNormalization")
def _instance_norm(attributes: Attributes, x: Any, weight: Any, bias: Any) -> Any:
    weight, bias, eps = tensor(weight), tensor(bias), attributes.get("epsilon", 1e-5)
    return functional.instance_norm(x, None, None, weight, bias, True, 0.0, eps)


@operator("LayerNormalization")
def _layer_norm(attributes: Attributes, x: Any, weight: Any, bias: Any = None) -> Any:
    axis = attributes.get("axis", -1) % x.dim()
    eps = attributes.get("epsilon", 1e-5)
    how = (list(x.shape[axis:]), tensor(weight), tensor(bias), eps)
    if attributes["results"] > 1:  # the mean, and the inverse of the deviation
        return torch.native_layer_norm(x, *how)
    return functional.layer_norm(x, *how)


@operator("RMSNormalization")
def _rms_norm(attributes: Attributes, x: Any, weight: Any) -> Any:
    axis = attributes.get("axis", -1) % x.dim()
    eps = attributes.get("epsilon", 1e-5)
    return functional.rms_norm(x, list(x.shape[axis:]), tensor(weight), eps)


@operator("GroupNormalization")
def _group_norm(attributes: Attributes, x: Any, weight: Any, bias: Any) -> Any:
    groups, eps = attributes["num_groups"], attributes.get("epsilon", 1e-5)
    weight, bias = tensor(weight), tensor(bias)
    if weight.shape[0] == x.shape[1]:
        return functional.group_norm(x, groups, weight, bias, eps)
    own: Any = functional.group_norm(x, groups, None, None, eps)
    own = own.unflatten(1, (groups, -1))
    shape = (groups, *[1] * (x.dim() - 1))
    return (own * weight.reshape(shape) + bias.reshape(shape)).flatten(1, 2)


@operator("LRN")
def _lrn(attributes: Attributes, x: Any) -> Any:
    return functional.local_response_norm(
        x,
        attributes["size"],
        attributes.get("alpha", 1e-4),
        attributes.get("beta", 0.75),
        attributes.get("bias", 1.0),
    )


@operator("LpNormalization")
def _normalised(attributes: Attributes, x: Any) -> Any:
    return functional.normalize(x, attributes.get("p", 2), attributes.get("axis", -1))


def _softmax(function: Callable[..., Any]) -> Operator:
    def compute(attributes: Attributes, x: Any) -> Any:
        x = tensor(x)
        if attributes["opset"] >= 13:
            return function(x, attributes.get("axis", -1))
        axis = attributes.get("axis", 1) % x.dim()
        if prod(x.shape[axis:]) == x.shape[-1]:
            return function(x, -1)
        return function(x.flatten(axis), -1).reshape(x.shape)

    return compute


OPERATORS["Softmax"] = _softmax(torch.softmax)
OPERATORS["LogSoftmax"] = _softmax(torch.log_softmax)


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
        x = padded(x, before, behind, float("-inf") if is_max else 0.0)
        before, counts_padding = [0] * axes, True
    ceil = bool(attributes.get("ceil_mode", 0))
    if is_max:
        function = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)[axes - 1]
        dilations = attributes.get("dilations", [1] * axes)
        several = attributes["results"] > 1
        return function(x, kernel, strides, before, dilations, ceil, several)
    average = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)[axes - 1]
    return average(x, kernel, strides, before, ceil, counts_padding)


@operator("GlobalAveragePool", "GlobalMaxPool")
def _global_pool(attributes: Attributes, x: Any) -> Any:
    kind = "avg" if attributes["operator"] == "GlobalAveragePool" else "max"
    axes = x.dim() - 2
    return getattr(functional, f"adaptive_{kind}_pool{axes}d")(x, [1] * axes)


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
    axes = x.dim() - 2
    if wanted[:2] != list(x.shape[:2]) or axes < 1:
        raise NotFollowedError("more than the space is resized")
    mode = attributes.get("mode", "nearest")
    smooth = {"linear": ("linear", "bilinear", "trilinear")[axes - 1], "cubic": "bicubic"}
    places = attributes.get("coordinate_transformation_mode", "half_pixel")
    if places == "tf_crop_and_resize":
        raise NotFollowedError("a region is resized")
    how: dict[str, Any] = {"mode": smooth.get(mode, "nearest")}
    if mode in smooth:
        how["align_corners"] = places == "align_corners"
    if attributes.get("antialias") and mode in smooth:
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


_ACTIVATIONS = {"LSTM": ("Sigmoid", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}


@operator("LSTM", "GRU", "RNN")
def _recurrent(
    attributes: Attributes,
    x: Any,
    weight: Any,
    recurrence: Any,
    bias: Any = None,
    lengths: Any = None,
    *states: Any,
) -> Any:
    kind, hidden = attributes["operator"], attributes["hidden_size"]
    activations = {*attributes.get("activations", _ACTIVATIONS[kind])}
    is_relu = kind == "RNN" and activations == {"Relu"}
    if not is_relu and activations != {*_ACTIVATIONS[kind]}:
        raise NotFollowedError("other activations")
    if lengths is not None or any(state is not None for state in states[2:]):
        raise NotFollowedError("sequences of several lengths, or peepholes")
    first = bool(attributes.get("layout", 0))
    weight, recurrence, bias = tensor(weight), tensor(recurrence), tensor(bias)
    directions, gates = weight.shape[0], weight.shape[1]
    weights = []
    for n in range(directions):
        weights += [weight[n], recurrence[n]]
        weights += [] if bias is None else [bias[n, :gates], bias[n, gates:]]
    batch = x.shape[0 if first else 1]
    count = 2 if kind == "LSTM" else 1
    own = [tensor(state) for state in states[:count] if state is not None]
    own = [state.transpose(0, 1) if first else state for state in own]
    own = own or [x.new_zeros(directions, batch, hidden)] * count
    function: Any = {"LSTM": torch.lstm, "GRU": torch.gru, "RNN": torch.rnn_tanh}[kind]
    function = torch.rnn_relu if is_relu else function
    state = tuple(own) if count == 2 else own[0]
    settings = (bias is not None, 1, 0.0, False, directions == 2, first)
    result, *last = function(x, state, weights, *settings)
    result = result.unflatten(-1, (directions, hidden))
    if first:
        return (result, *(state.transpose(0, 1) for state in last))
    return (result.transpose(1, 2), *last)


@operator("Attention")
def _attention(attributes: Attributes, q: Any, k: Any, v: Any, mask: Any = None) -> Any:
    causal = bool(attributes.get("is_causal"))
    if causal and mask is not None:
        raise NotFollowedError("two masks")
    if q.dim() == 4:
        return functional.scaled_dot_product_attention(
            *(q, k, v, tensor(mask), 0.0, causal),
            enable_gqa=q.shape[1] != k.shape[1],
        )
    heads, kv_heads = attributes["q_num_heads"], attributes["kv_num_heads"]
    q = q.unflatten(-1, (heads, -1)).transpose(1, 2)
    k, v = (one.unflatten(-1, (kv_heads, -1)).transpose(1, 2) for one in (k, v))
    return _attention(attributes, q, k, v, mask).transpose(1, 2).flatten(2)
