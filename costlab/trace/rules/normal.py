"""Normalisations."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from costlab import formatting
from costlab.errors import ShapeError
from costlab.ops.broadcast import Multiply
from costlab.ops.layer_norm import GroupNorm, InstanceNorm, LayerNorm, RMSNorm
from costlab.ops.norm import BatchNorm, LocalResponseNorm
from costlab.ops.pointwise import Pair
from costlab.ops.reduce import Reduce
from costlab.trace.arguments import whole
from costlab.trace.refusals import FLOATS, require_alike, require_norm_types
from costlab.trace.registry import rule
from costlab.trace.tape import Tape


@rule("batch_norm", checked=True)
def batch_norm(
    on: Tape,
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *cudnn: bool,
) -> Any:
    own = (weight, bias, running_mean, running_var)
    _require_channels(input, *own)
    if training:
        if input.numel() == input.shape[1]:
            raise ShapeError(
                f"its input {formatting.shape(input.shape)} has one value per channel, "
                "expected more in training"
            )
    elif running_mean is None or running_var is None:
        raise ShapeError("it has no running mean and variance, which it needs in evaluation")
    return on.apply(BatchNorm, (eps, weight is not None), input, input.dim(), own)


def _require_channels(input: Tensor, *own: Tensor | None) -> None:
    """Weights and statistics have an element for each channel, and types that torch takes."""
    if input.dim() < 2:
        raise ShapeError(f"its input is {formatting.shape(input.shape)}, expected channels")
    wanted, dtype, alike = (input.shape[1],), input.dtype, True
    for tensor in own:
        if tensor is not None:
            if tensor.shape != wanted and not (
                tensor.numel() == wanted[0] and any(tensor is parameter for parameter in own[:2])
            ):
                raise ShapeError(
                    f"its input {formatting.shape(input.shape)} has {wanted[0]} channels, "
                    f"its own tensors are for {formatting.shape(tensor.shape)}"
                )
            alike = alike and tensor.dtype is dtype
    if not alike or dtype not in FLOATS:
        require_norm_types(input, *own)


@rule("native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training")
def native_batch_norm(
    on: Tape, input: Tensor, weight: Tensor | None, bias: Tensor | None, *more: Any
) -> Any:
    statistics = [tensor for tensor in more[:2] if isinstance(tensor, Tensor)]
    op = BatchNorm(1e-5, weight is not None)
    return on.record(op, (input,), (weight, bias, *statistics))


@rule("layer_norm", "native_layer_norm", checked=True)
def layer_norm(
    on: Tape,
    input: Tensor,
    normalized_shape: Any,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Any:
    wanted = tuple([whole(size) for size in normalized_shape])
    axes = len(wanted)
    if not axes or input.shape[-axes:] != wanted:
        raise ShapeError(
            f"its input is {formatting.shape(input.shape)}, expected [.., "
            f"{formatting.shape(wanted)}]"
        )
    dtype = input.dtype
    for tensor in (weight, bias):
        if tensor is not None and tensor.shape != wanted:
            raise ShapeError(
                f"its weight or bias is {formatting.shape(tensor.shape)}, "
                f"expected {formatting.shape(wanted)}"
            )
        if tensor is not None and tensor.dtype is not dtype:
            require_norm_types(input, weight, bias)
    if dtype not in FLOATS:
        require_norm_types(input)
    attributes = (axes, weight is not None, bias is not None)
    return on.apply(LayerNorm, attributes, input, input.dim(), (weight, bias))


@rule("rms_norm", "_fused_rms_norm")
def rms_norm(
    on: Tape,
    input: Tensor,
    normalized_shape: Any,
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Any:
    return on.record(RMSNorm(len(tuple(normalized_shape)), weight is not None), (input,), (weight,))


@rule("group_norm")
def group_norm(
    on: Tape,
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Any:
    require_norm_types(input, weight, bias)
    return on.record(GroupNorm(num_groups, weight is not None), (input,), (weight, bias))


@rule("native_group_norm")
def native_group_norm(
    on: Tape, input: Tensor, weight: Tensor | None, bias: Tensor | None, *more: Any
) -> Any:
    *_, num_groups, _ = more
    return group_norm(on, input, num_groups, weight, bias)


@rule("instance_norm")
def instance_norm(
    on: Tape,
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *cudnn: bool,
) -> Any:
    require_norm_types(input, weight, bias)
    own_type = input.dtype if weight is None else weight.dtype
    if running_mean is not None and running_mean.dtype is own_type:
        require_alike(running_mean, running_var)  # of others torch makes this type
    if not use_input_stats:
        own = (weight, bias, running_mean, running_var)
        return on.record(BatchNorm(eps, weight is not None), (input,), own)
    return on.record(InstanceNorm(weight is not None), (input,), (weight, bias))


@rule("_weight_norm")
def weight_norm(on: Tape, v: Tensor, g: Tensor, dim: int = 0) -> Any:
    weight, _ = weight_norm_interface(on, v, g, dim)
    return weight


@rule("_weight_norm_interface")
def weight_norm_interface(on: Tape, v: Tensor, g: Tensor, dim: int = 0) -> tuple[Tensor, Tensor]:
    """``v · (g / ‖v‖)`` (Salimans and Kingma 2016)."""
    require_alike(v, g)
    if not v.dim():
        raise ShapeError("its weight is a single number, expected at least one axis")
    others = tuple(axis for axis in range(v.dim()) if axis != dim % v.dim())
    length = on.record(Reduce("norm", others, keepdim=True), (v,))
    return on.record(Multiply(), (v, on.record(Pair("div"), (g, length)))), length


@rule("local_response_norm")
def local_response_norm(
    on: Tape,
    input: Tensor,
    size: int,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 1.0,
) -> Any:
    return on.record(LocalResponseNorm(size, alpha, beta, k), (input,))
