"""Kernels of attention that are called by their own names: torch's, and those of flash_attn."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from costlab.ops.attention import Attention, PackedAttention
from costlab.trace.registry import rule
from costlab.trace.rules.attention import attention
from costlab.trace.tape import Tape
from costlab.trace.tensors import META


@rule("_scaled_dot_product_flash_attention", "_scaled_dot_product_flash_attention_for_cpu")
def flash(
    on: Tape,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *more: Any,
    attn_mask: Tensor | None = None,
    scale: float | None = None,
) -> Any:
    """What torch chooses for attention, called by its own name: attention, and its logarithms."""
    return attention(on, query, key, value, attn_mask, dropout_p, is_causal)


@rule(
    "_scaled_dot_product_efficient_attention",
    "_scaled_dot_product_cudnn_attention",
    "_scaled_dot_product_fused_attention_overrideable",
)
def efficient(
    on: Tape,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_bias: Tensor | None = None,
    *more: Any,
    is_causal: bool = False,
    **named: Any,
) -> Any:
    return attention(on, query, key, value, attn_bias, is_causal=is_causal)


def _length_first(
    on: Tape, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, masked: bool
) -> Any:
    """Attention of ``[batch, length, heads, width]``."""
    if query.dim() != 4:
        return NotImplemented
    shapes = tuple(tuple(tensor.transpose(1, 2).shape) for tensor in (query, key, value))
    result = torch.empty((*query.shape[:-1], value.shape[-1]), dtype=query.dtype, device=META)
    op = Attention(masked or mask is not None, key.shape[2] != query.shape[2])
    return on.record(op, (query, key, value), (mask,), shapes=shapes, result=result)


def packed_attention(
    on: Tape,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    starts: tuple[Tensor, Tensor],
    mask: Tensor | None,
    masked: bool,
) -> Any:
    """Attention of sequences ``[total length, heads, width]``, which start there.

    Where it is not known where, it is uncounted. Those of a batch of 1 are without it.
    """
    ends = [on.value_of(starts_of_one, "lengths of sequences") for starts_of_one in starts]
    if ends[0] is None or ends[1] is None:
        return NotImplemented
    queries, keys = (boundaries.diff().tolist() for boundaries in ends if boundaries is not None)
    op = PackedAttention(tuple(zip(queries, keys, strict=True)), masked or mask is not None)
    shapes = tuple(tuple(tensor.shape[-3:]) for tensor in (query, key, value))
    result = torch.empty((*query.shape[:-1], value.shape[-1]), dtype=query.dtype, device=META)
    weights = (mask, *dict.fromkeys(starts))
    return on.record(op, (query, key, value), weights, shapes=shapes, result=result)


def _attention(
    on: Tape,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    starts: tuple[Tensor | None, Tensor | None],
    mask: Tensor | None = None,
    masked: bool = False,
) -> Any:
    first, second = starts
    if first is None and second is None:
        return _length_first(on, query, key, value, mask, masked)
    if first is None or second is None:
        return NotImplemented
    return packed_attention(on, query, key, value, (first, second), mask, masked)


@rule("_flash_attention_forward")
def flash_forward(
    on: Tape,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    cum_seq_q: Tensor | None,
    cum_seq_k: Tensor | None,
    max_q: int,
    max_k: int,
    dropout_p: float,
    is_causal: bool,
    *more: Any,
    seqused_k: Tensor | None = None,
    alibi_slopes: Tensor | None = None,
    block_table: Tensor | None = None,
    **named: Any,
) -> Any:
    if seqused_k is not None or block_table is not None:
        return NotImplemented  # keys are elsewhere, or not all are used
    return _attention(on, query, key, value, (cum_seq_q, cum_seq_k), alibi_slopes, is_causal)


@rule("_cudnn_attention_forward")
def cudnn_forward(
    on: Tape,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_bias: Tensor | None,
    cum_seq_q: Tensor | None,
    cum_seq_k: Tensor | None,
    max_q: int,
    max_k: int,
    compute_log_sumexp: bool,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *more: Any,
    **named: Any,
) -> Any:
    if cum_seq_q is None and cum_seq_k is None:
        return attention(on, query, key, value, attn_bias, is_causal=is_causal)
    return _attention(on, query, key, value, (cum_seq_q, cum_seq_k), attn_bias, is_causal)


@rule("_efficient_attention_forward")
def efficient_forward(
    on: Tape,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bias: Tensor | None,
    cu_seqlens_q: Tensor | None,
    cu_seqlens_k: Tensor | None,
    max_seqlen_q: int | None,
    max_seqlen_k: int | None,
    dropout_p: float,
    custom_mask_type: int,
    *more: Any,
    seqlen_k: Tensor | None = None,
    **named: Any,
) -> Any:
    if seqlen_k is not None:
        return NotImplemented
    starts = (cu_seqlens_q, cu_seqlens_k)
    return _attention(on, query, key, value, starts, bias, custom_mask_type != 0)


@rule("torch_attn::_varlen_attn")
def varlen(
    on: Tape,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    cu_seq_q: Tensor,
    cu_seq_k: Tensor | None,
    max_q: int,
    max_k: int,
    is_causal: bool = False,
    scale: float | None = None,
    window_size: Any = None,
    enable_gqa: bool = False,
    seqused_k: Tensor | None = None,
    block_table: Tensor | None = None,
    num_splits: int | None = None,
) -> Any:
    """``torch.nn.attention.varlen.varlen_attn``. What a window hides counts."""
    if cu_seq_k is None or seqused_k is not None or block_table is not None:
        return NotImplemented
    masked = is_causal or any(side != -1 for side in window_size or ())
    result = packed_attention(on, query, key, value, (cu_seq_q, cu_seq_k), None, masked)
    if result is NotImplemented:
        return NotImplemented
    logarithms = torch.empty(query.shape[1::-1], dtype=torch.float32, device=META)
    seed = torch.empty(2, dtype=torch.uint64, device=META)
    return result, on.further(result, logarithms), on.further(result, seed)


@rule("flash_attn::_flash_attn_forward")
def flash_attn(
    on: Tape,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    dropout_p: float,
    softmax_scale: float,
    causal: bool,
    window_size_left: int,
    window_size_right: int,
    softcap: float,
    alibi_slopes: Tensor | None,
    return_softmax: bool,
) -> Any:
    """What ``flash_attn_func`` and its kin call. What a window hides counts."""
    if softcap or return_softmax:
        return NotImplemented
    masked = causal or (window_size_left, window_size_right) != (-1, -1)
    result = _length_first(on, q, k, v, alibi_slopes, masked)
    batch, length, heads = q.shape[:3]
    return result if result is NotImplemented else _beside(on, result, (batch, heads, length))


@rule("flash_attn::_flash_attn_varlen_forward")
def flash_attn_varlen(
    on: Tape,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    max_seqlen_q: int,
    max_seqlen_k: int,
    dropout_p: float,
    softmax_scale: float,
    causal: bool,
    window_size_left: int = -1,
    window_size_right: int = -1,
    softcap: float = 0.0,
    alibi_slopes: Tensor | None = None,
    return_softmax: bool = False,
    block_table: Tensor | None = None,
    leftpad_k: Tensor | None = None,
    seqused_k: Tensor | None = None,
    zero_tensors: bool = False,
) -> Any:
    """What ``flash_attn_varlen_func`` and its kin call."""
    elsewhere = any(option is not None for option in (block_table, leftpad_k, seqused_k))
    if softcap or return_softmax or elsewhere:
        return NotImplemented
    masked = causal or (window_size_left, window_size_right) != (-1, -1)
    result = packed_attention(on, q, k, v, (cu_seqlens_q, cu_seqlens_k), alibi_slopes, masked)
    length, heads = q.shape[:2]
    return result if result is NotImplemented else _beside(on, result, (heads, length))


def _beside(on: Tape, result: Tensor, logarithms: tuple[int, ...]) -> tuple[Tensor, ...]:
    """What flash_attn gives beside its result: logarithms, no scores, the state of a generator."""
    others = (
        torch.empty(logarithms, dtype=torch.float32, device=META),
        torch.empty(0, dtype=result.dtype, device=META),
        torch.empty(2, dtype=torch.int64, device=META),
    )
    return (result, *(on.further(result, other) for other in others))
