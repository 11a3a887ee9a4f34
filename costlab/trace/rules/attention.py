"""Attention, alone and with the linear layers around it, as ``nn.MultiheadAttention`` has it."""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from torch import Tensor

from costlab.ops.attention import Attention
from costlab.ops.broadcast import Add
from costlab.ops.dense import Linear
from costlab.ops.reduce import Reduce
from costlab.ops.uncounted import Uncounted
from costlab.ops.zero_cost import Concat
from costlab.trace.refusals import require_alike, require_length
from costlab.trace.registry import rule
from costlab.trace.tape import Tape
from costlab.trace.tensors import META


@rule("scaled_dot_product_attention")
def attention(
    on: Tape,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    if attn_mask is not None and prod(attn_mask.shape[:-2]) > prod(query.shape[:-2]):
        return NotImplemented  # each query once for each mask
    grouped = (
        enable_gqa and query.dim() > 2 and not query.shape[-3] == key.shape[-3] == value.shape[-3]
    )
    masked = attn_mask is not None or is_causal
    op = Attention(masked, grouped, elements_of(attn_mask))
    return on.record(op, (query, key, value), (attn_mask,))


def elements_of(mask: Tensor | None) -> int | None:
    """The elements of a mask, if there is one."""
    return None if mask is None else prod(mask.shape)


@rule("multi_head_attention_forward")
def multi_head_attention(
    on: Tape,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> Any:
    """Queries, keys and values each through a linear layer, attention in heads, a linear layer.

    ``[length, batch, width]``, or without the batch.
    """
    if static_k is not None or static_v is not None or query.dim() not in (2, 3):
        return NotImplemented
    require_alike(
        *(query, key, value, in_proj_weight, q_proj_weight, k_proj_weight, v_proj_weight),
        *(in_proj_bias, out_proj_weight, out_proj_bias),
    )
    length, width = query.shape[0], query.shape[-1]
    if out_proj_bias is not None and prod(out_proj_bias.shape[-1:]) not in (
        1,
        out_proj_weight.shape[0],
    ):
        require_length("bias", out_proj_bias, out_proj_weight.shape[0])
    if tuple(out_proj_weight.shape) != (width, width) or (
        out_proj_bias is not None and out_proj_bias.dim() > 1
    ):
        return NotImplemented
    require_length("bias", out_proj_bias, width)
    batch = query.shape[1] if query.dim() == 3 else 1
    if key.shape[-1] != width and not use_separate_proj_weight:
        return NotImplemented
    weights = (
        (q_proj_weight, k_proj_weight, v_proj_weight)
        if use_separate_proj_weight
        else (in_proj_weight,) * 3
    )
    q, k, v = _projected(on, (query, key, value), weights, in_proj_bias, width)
    if bias_k is not None and bias_v is not None:
        k, v = (_longer(on, tensor, bias, width) for tensor, bias in ((k, bias_k), (v, bias_v)))
    if add_zero_attn:
        k, v = (_longer(on, tensor, None, width) for tensor in (k, v))
    mask = key_padding_mask if attn_mask is None else attn_mask
    if key_padding_mask is not None and attn_mask is not None:
        mask = _joined(on, attn_mask, key_padding_mask, batch, num_heads)
    keys = key.shape[0] + (bias_k is not None) + add_zero_attn
    heads = (batch, num_heads)
    shapes = tuple((*heads, n, width // num_heads) for n in (length, keys, keys))
    mixed = on.record(
        Attention(mask is not None or is_causal, mask_elements=elements_of(mask)),
        (q, k, v),
        (mask,),
        shapes=shapes,
        result=torch.empty(query.shape, dtype=query.dtype, device=META),
    )
    output = on.record(
        Linear(width, out_proj_bias is not None), (mixed,), (out_proj_weight, out_proj_bias)
    )
    if not need_weights:
        return output, None
    shape = (*heads, length, keys)
    shown = shape if not average_attn_weights else (batch, length, keys)
    scores = torch.empty(shown[3 - query.dim() :], dtype=query.dtype, device=META)
    if not average_attn_weights:
        return output, on.further(mixed, scores)
    return output, on.record(Reduce("mean", (1,)), (mixed,), shapes=(shape,), result=scores)


def _projected(
    on: Tape,
    inputs: tuple[Tensor, ...],
    weights: tuple[Tensor | None, ...],
    bias: Tensor | None,
    width: int,
) -> list[Tensor]:
    """The queries, keys and values; those of one input by one weight are one linear layer."""
    parts: list[Tensor] = []
    while len(parts) < 3:
        first = len(parts)
        alike = 1
        while (
            first + alike < 3
            and inputs[first + alike] is inputs[first]
            and weights[first + alike] is weights[first]
        ):
            alike += 1
        op = Linear(alike * width, bias is not None)
        parts += [on.record(op, inputs[first : first + 1], (weights[first], bias))] * alike
    return parts


def _longer(on: Tape, tensor: Tensor, bias: Tensor | None, width: int) -> Tensor:
    """Keys or values with one more of them: a learnt one, or zeros."""
    length, *batch, full = tensor.shape
    if full != width:  # part of a layer that gives queries, keys and values
        part = torch.empty((length, *batch, width), dtype=tensor.dtype, device=META)
        tensor = on.moved("chunk", (tensor,), part)
    one_more = torch.empty((1, *batch, width), dtype=tensor.dtype, device=META)
    if bias is None:
        longer = torch.empty((length + 1, *batch, width), dtype=tensor.dtype, device=META)
        return on.moved("pad", (tensor,), longer)
    return on.record(Concat(0), (tensor, on.moved("expand", (bias,), one_more)))


def _joined(on: Tape, mask: Tensor, padding: Tensor, batch: int, heads: int) -> Tensor:
    """Both masks as one: ``[length, keys]`` or ``[batch·heads, ..]``, and ``[batch, keys]``."""
    length, keys = mask.shape[-2:]
    of_mask = (batch, heads) if mask.dim() == 3 else (1, 1)
    shapes = ((*of_mask, length, keys), (batch, heads, 1, keys))
    each_head = torch.empty(shapes[1], dtype=padding.dtype, device=META)
    padding = on.moved("expand", (padding,), each_head)
    result = torch.empty((batch, heads, length, keys), device=META)
    return on.record(Add(), (mask, padding), shapes=shapes, result=result)


@rule("flex_attention")
def flex(
    on: Tape,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    score_mod: Any = None,
    block_mask: Any = None,
    scale: float | None = None,
    enable_gqa: bool = False,
    return_lse: bool = False,
    kernel_options: Any = None,
    *,
    return_aux: Any = None,
) -> Any:
    """Dense: what a block mask hides counts. What ``score_mod`` computes is uncounted."""
    if return_aux is not None:
        return NotImplemented
    changed: Tensor | None = None
    if score_mod is not None:
        scores = (*query.shape[:-1], key.shape[-2])
        used = [cell.cell_contents for cell in getattr(score_mod, "__closure__", None) or ()]
        changed = on.record(
            Uncounted("score_mod", scores),
            (query, key),
            [tensor for tensor in used if isinstance(tensor, Tensor)],
            result=torch.empty(scores, dtype=query.dtype, device=META),
        )
    grouped = enable_gqa and key.shape[-3] != query.shape[-3]
    op = Attention(block_mask is not None, grouped, elements_of(changed))
    result = on.record(op, (query, key, value), (changed,))
    if not return_lse:
        return result
    logarithms = torch.empty(query.shape[:-1], dtype=torch.float32, device=META)
    return result, on.further(result, logarithms)
