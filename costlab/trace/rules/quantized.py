"""Numbers of 8 bits, and layers of ``torch.ao.nn.quantized``, whose weights are packed.

A layer counts as the one that it was made of: what comes in between, such as another scale of its
result, is left out. Its packed weights are params.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from costlab.ops.broadcast import Add, Multiply
from costlab.ops.conv import Conv
from costlab.ops.conv_transpose import ConvTranspose
from costlab.ops.dense import Linear
from costlab.ops.element_functions import EACH
from costlab.ops.elementwise import ReLU, Scale
from costlab.ops.pointwise import Pair, Pointwise
from costlab.trace.eight_bits import QUANTIZED
from costlab.trace.registry import rule, rules
from costlab.trace.tape import META, Tape


@rule("quantize_per_tensor")
def quantize_per_tensor(
    on: Tape, input: Tensor, scale: Any, zero_point: Any, dtype: torch.dtype
) -> Any:
    if not isinstance(input, Tensor):
        return NotImplemented
    return on.record(Pointwise("quantize"), (input,), dtype=dtype)


@rule("quantize_per_channel")
def quantize_per_channel(
    on: Tape, input: Tensor, scales: Tensor, zero_points: Tensor, axis: int, dtype: torch.dtype
) -> Any:
    return on.record(Pointwise("quantize"), (input,), (scales, zero_points), dtype)


@rule("dequantize")
def dequantize(on: Tape, input: Tensor) -> Any:
    if not isinstance(input, Tensor):
        return NotImplemented
    if input.dtype not in QUANTIZED:
        result = torch.empty(input.shape, dtype=torch.float32, device=META)
        return on.moved("dequantize", (input,), result)
    return on.record(Pointwise("dequantize"), (input,), dtype=torch.float32)


@rule("fake_quantize_per_tensor_affine", "fake_quantize_per_channel_affine")
def fake_quantize(on: Tape, input: Tensor, *more: Any, **named: Any) -> Any:
    scales = [each for each in (*more, *named.values()) if isinstance(each, Tensor)]
    return on.record(Pointwise("fake_quantize"), (input,), scales)


def _unpacked(on: Tape, packed: Any) -> tuple[Tensor, Tensor | None]:
    """What stands for the weight and the bias that are packed."""
    weight, bias = packed.unpack()
    own = None if bias is None else on.parameter("bias", packed, bias)
    return on.parameter("weight", packed, weight), own


def _linear(relu: bool, dtype: torch.dtype | None) -> Any:
    def linear(on: Tape, input: Tensor, packed: Any, *more: Any, **named: Any) -> Any:
        weight, bias = _unpacked(on, packed)
        op = Linear(weight.shape[0], bias is not None)
        result = on.record(op, (input,), (weight, bias), dtype or input.dtype)
        return _and_relu(on, result, relu)

    return linear


def _conv(rank: int, relu: bool, dtype: torch.dtype | None) -> Any:
    def conv(on: Tape, input: Tensor, packed: Any, *more: Any, **named: Any) -> Any:
        weight, bias = _unpacked(on, packed)
        groups, kernel = packed.groups(), tuple(weight.shape[2:])[-rank:]
        stride, padding, dilation = (
            tuple(each[-rank:]) for each in (packed.stride(), packed.padding(), packed.dilation())
        )
        op: Conv | ConvTranspose
        if packed.transpose():
            further = tuple(packed.output_padding()[-rank:])
            op = ConvTranspose(
                *(weight.shape[1] * groups, kernel, stride, padding, further, groups),
                *(bias is not None, dilation),
            )
        else:
            op = Conv(weight.shape[0], kernel, stride, padding, dilation, groups, bias is not None)
        result = on.record(op, (input,), (weight, bias), dtype or input.dtype)
        return _and_relu(on, result, relu)

    return conv


def _and_relu(on: Tape, result: Tensor, relu: bool) -> Tensor:
    """The ReLU that is one with a layer."""
    return on.record(ReLU(), (result,)) if relu else result


for _name, _relu in (("", False), ("_relu", True)):
    rule(f"quantized::linear{_name}_dynamic")(_linear(_relu, torch.float32))
    rule(f"quantized::linear{_name}_dynamic_fp16")(_linear(_relu, torch.float32))
    rule(f"quantized::linear{_name}")(_linear(_relu, torch.quint8))
    for _rank in (1, 2, 3):
        rule(f"quantized::conv{_rank}d{_name}")(_conv(_rank, _relu, None))
rule("quantized::linear_dynamic_fp16")(_linear(False, torch.float32))
for _rank in (1, 2, 3):
    rule(f"quantized::conv{_rank}d_dynamic")(_conv(_rank, False, torch.float32))
    rule(f"quantized::conv_transpose{_rank}d")(_conv(_rank, False, None))
    rule(f"quantized::conv_transpose{_rank}d_dynamic")(_conv(_rank, False, torch.float32))


def _two(op: Any, relu: bool) -> Any:
    def two(on: Tape, qa: Tensor, qb: Tensor, *more: Any, **named: Any) -> Any:
        return _and_relu(on, on.record(op, (qa, qb)), relu)

    return two


def _scalar(op: Any, relu: bool) -> Any:
    def scalar(on: Tape, qa: Tensor, b: Any) -> Any:
        if isinstance(b, Tensor):
            return NotImplemented
        return _and_relu(on, on.record(op(b), (qa,)), relu)

    return scalar


def _cat(relu: bool) -> Any:
    def cat(on: Tape, qx: Any, dim: int, *more: Any, **named: Any) -> Any:
        return _and_relu(on, rules()["cat"](on, qx, dim), relu)

    return cat


for _name, _relu in (("", False), ("_relu", True)):
    rule(f"quantized::add{_name}")(_two(Add(), _relu))
    rule(f"quantized::mul{_name}")(_two(Multiply(), _relu))
    rule(f"quantized::add_scalar{_name}")(_scalar(lambda b: Pair("add"), _relu))
    rule(f"quantized::mul_scalar{_name}")(_scalar(Scale, _relu))
    rule(f"quantized::cat{_name}")(_cat(_relu))


@rule("quantized::matmul")
def matmul(on: Tape, qa: Tensor, qb: Tensor, *more: Any) -> Any:
    return rules()["matmul"](on, qa, qb)


def _activation(function: str) -> Any:
    def activation(on: Tape, input: Tensor, *more: Any, **named: Any) -> Any:
        return on.record(Pointwise(function), (input,))

    return activation


for _name in EACH:
    rule(f"quantized::{_name}")(_activation(_name))
