"""Numbers of 8 bits, and layers of ``torch.ao.nn.quantized``, whose weights are packed.

A layer counts as the one that it was made of: what comes in between, such as another scale of its
result, is left out. Its packed weights are params.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from costlab import formatting
from costlab.errors import ShapeError
from costlab.ops.broadcast import Add, Multiply
from costlab.ops.conv import Conv
from costlab.ops.conv_transpose import ConvTranspose
from costlab.ops.dense import Linear
from costlab.ops.element_functions import EACH
from costlab.ops.elementwise import ReLU, Scale
from costlab.ops.lookup import Embedding
from costlab.ops.pointwise import Pair, Pointwise
from costlab.ops.recurrent import Recurrent
from costlab.trace.eight_bits import QUANTIZED
from costlab.trace.registry import rule, rules
from costlab.trace.rules.lookup import together
from costlab.trace.rules.recurrent import layers_of
from costlab.trace.tape import Tape
from costlab.trace.tensors import META


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
    scales = [tensor for tensor in (*more, *named.values()) if isinstance(tensor, Tensor)]
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
            tuple(setting[-rank:])
            for setting in (packed.stride(), packed.padding(), packed.dilation())
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


def _packed_sequence(cell: str) -> Any:
    def sequence(on: Tape, input: Tensor, *args: Any, **named: Any) -> Any:
        is_packed = isinstance(args[0], Tensor) and isinstance(args[1], (Tensor, tuple, list))
        hx, packed, bias, layers, _, _, both, *first = (
            args[1:] if is_packed and not isinstance(args[2], bool) else args
        )
        ways = [name for n in range(layers) for name in (f"l{n}", f"l{n}_reverse")[: 1 + both]]
        weights = [
            _unpacked_cell(on, cell_packed, way)
            for cell_packed, way in zip(packed, ways, strict=True)
        ]
        _require_width(input, weights[0][0])
        return layers_of(on, cell, input, hx, weights, bias, both, bool(first and first[0]))

    return sequence


def _require_width(input: Tensor, weight: Tensor) -> None:
    if input.shape[-1] != weight.shape[1]:
        raise ShapeError(
            f"its input {formatting.shape(input.shape)} has {input.shape[-1]} features, its "
            f"weight is for {weight.shape[1]}"
        )


def _unpacked_cell(on: Tape, packed: Any, way: str) -> list[Tensor]:
    """What stands for the weights and biases of one direction of a layer, in torch's order."""
    (_, _, _, _, products), _ = packed.__getstate__()
    both = [product.unpack() for product in products]
    named = [(f"weight_{what}_{way}", own[0]) for what, own in zip(("ih", "hh"), both, strict=True)]
    named += [(f"bias_{what}_{way}", own[1]) for what, own in zip(("ih", "hh"), both, strict=True)]
    return [on.parameter(name, packed, tensor) for name, tensor in named if tensor is not None]


def _packed_cell(cell: str) -> Any:
    def step(
        on: Tape, input: Tensor, hx: Any, w_ih: Any, w_hh: Any, b_ih: Tensor, b_hh: Tensor
    ) -> Any:
        weights = [on.parameter("weight_ih", w_ih, w_ih.unpack()[0])]
        weights += [on.parameter("weight_hh", w_hh, w_hh.unpack()[0])]
        weights += [on.parameter("bias_ih", w_ih, b_ih), on.parameter("bias_hh", w_hh, b_hh)]
        begins = tuple(hx) if isinstance(hx, (tuple, list)) else (hx,)
        _require_width(input, weights[0])
        op = Recurrent(cell, weights[1].shape[1], True, 0, input.shape[0])
        result = on.record(op, (input,), (*weights, *begins))
        if cell != "lstm":
            return result
        return result, on.further(result, torch.empty_like(result))

    return step


for _name in ("lstm", "gru", "rnn_tanh", "rnn_relu"):
    rule(f"quantized_{_name}")(_packed_sequence(_name))
    rule(f"quantized::quantized_{_name}_cell_dynamic")(_packed_cell(_name))


def _rows(on: Tape, packed: Any, indices: Tensor) -> Tensor:
    """The rows of a packed table, as numbers of 32 bits."""
    table = on.parameter("weight", packed, packed.unpack())
    return on.record(Embedding(*table.shape), (indices,), (table,), torch.float32)


def _lookup(on: Tape, weight: Any, indices: Tensor, pruned_weights: bool = False) -> Any:
    return NotImplemented if pruned_weights else _rows(on, weight, indices)


def _lookup_of_bags(
    on: Tape,
    weight: Any,
    indices: Tensor,
    offsets: Tensor | None = None,
    scale_grad_by_freq: bool = False,
    mode: int = 0,
    pruned_weights: bool = False,
    per_sample_weights: Tensor | None = None,
    compressed_indices_mapping: Tensor | None = None,
    include_last_offset: bool = False,
) -> Any:
    """Sums, whatever ``mode`` says: torch has no other ones."""
    if pruned_weights or compressed_indices_mapping is not None:
        return NotImplemented
    rows = _rows(on, weight, indices)
    if per_sample_weights is not None:
        shapes = (tuple(rows.shape), (*per_sample_weights.shape, 1))
        rows = on.record(Multiply(), (rows, per_sample_weights), shapes=shapes)
    return together(on, rows, indices, offsets, "sum", include_last_offset)


for _name in ("byte", "4bit"):
    rule(f"quantized::embedding_{_name}")(_lookup)
    rule(f"quantized::embedding_bag_{_name}")(_lookup_of_bags)
