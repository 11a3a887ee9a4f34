"""Layers of ``torch.ao.nn.quantized``, whose weights are packed: the operators by full names."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from costlab.ops.conv import Conv
from costlab.ops.dense import Linear
from costlab.ops.elementwise import ReLU
from costlab.trace.registry import rule
from costlab.trace.tape import META, Tape


def _linear(relu: bool, dtype: torch.dtype) -> Any:
    def linear(on: Tape, input: Tensor, packed: Any, *more: Any, **named: Any) -> Any:
        weight, bias = packed.unpack()
        op = Linear(weight.shape[0], bias is not None)
        return _after(on, op, input, relu, dtype)

    return linear


def _conv(rank: int, relu: bool) -> Any:
    def conv(on: Tape, input: Tensor, packed: Any, *more: Any, **named: Any) -> Any:
        if packed.transpose():
            return NotImplemented
        weight, bias = packed.unpack()
        op = Conv(
            weight.shape[0],
            tuple(weight.shape[2:]),
            tuple(packed.stride()[-rank:]),
            tuple(packed.padding()[-rank:]),
            tuple(packed.dilation()[-rank:]),
            packed.groups(),
            bias is not None,
        )
        return _after(on, op, input, relu, input.dtype)

    return conv


def _after(on: Tape, op: Any, input: Tensor, relu: bool, dtype: torch.dtype) -> Tensor:
    """The layer, and the ReLU that is one with it."""
    shape = op.output(tuple(input.shape))
    result = on.record(op, (input,), result=torch.empty(shape, dtype=dtype, device=META))
    if relu:
        more = torch.empty(shape, dtype=dtype, device=META)
        result = on.record(ReLU(), (result,), result=more)
    return result


for _name, _relu in (("", False), ("_relu", True)):
    rule(f"quantized::linear{_name}_dynamic")(_linear(_relu, torch.float32))
    rule(f"quantized::linear{_name}")(_linear(_relu, torch.quint8))
    for _rank in (1, 2, 3):
        rule(f"quantized::conv{_rank}d{_name}")(_conv(_rank, _relu))
