"""Kernels of attention that are called by their own names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import pytest
import torch
from torch import Tensor, library
from wrapped import Fn

import costlab

ATEN: Any = torch.ops.aten
FLASH: Any = torch.ops.flash_attn
varlen_attn: Any = pytest.importorskip("torch.nn.attention.varlen").varlen_attn
STARTS = torch.tensor([0, 5, 6, 16], dtype=torch.int32)
PAIRS = 5 * 5 + 1 + 10 * 10
WHOLE, PACKED = torch.rand(2, 16, 4, 8), torch.rand(16, 4, 8)
LIBRARY: Any = library.Library
SCHEMAS = {
    "_flash_attn_forward": "(Tensor q, Tensor k, Tensor v, float dropout_p, float softmax_scale, "
    "bool causal, int window_size_left, int window_size_right, float softcap, "
    "Tensor? alibi_slopes, bool return_softmax) -> (Tensor, Tensor, Tensor, Tensor)",
    "_flash_attn_varlen_forward": "(Tensor q, Tensor k, Tensor v, Tensor cu_seqlens_q, "
    "Tensor cu_seqlens_k, int max_seqlen_q, int max_seqlen_k, float dropout_p, "
    "float softmax_scale, bool causal, int window_size_left=-1, int window_size_right=-1, "
    "float softcap=0.0, Tensor? alibi_slopes=None, bool return_softmax=False, "
    "Tensor? block_table=None, Tensor? leftpad_k=None, Tensor? seqused_k=None, "
    "bool zero_tensors=False) -> (Tensor, Tensor, Tensor, Tensor)",
}


@pytest.fixture(scope="module", autouse=True)
def _operators() -> Iterator[None]:
    """Operators of flash_attn's names, with its signatures, where it is not installed."""
    if find_spec("flash_attn"):
        yield
        return
    room = LIBRARY("flash_attn", "DEF")
    for name, schema in SCHEMAS.items():
        room.define(name + schema)
        room.impl(name, lambda q, *more: (torch.empty_like(q),) * 4, "Meta")
    yield
    room._destroy()


def _whole(q: Tensor, *how: Any) -> Any:
    return FLASH._flash_attn_forward(q, q, q, 0.0, 0.1, *how, -1, -1, 0.0, None, False)


def _varlen(q: Tensor, starts: Tensor = STARTS, **how: Any) -> Any:
    return FLASH._flash_attn_varlen_forward(q, q, q, starts, starts, 10, 10, 0.0, 0.1, False, **how)


def _flash(q: Tensor, k: Tensor, starts: Any, causal: bool = False, **how: Any) -> Any:
    named = (starts, starts, 16, 16, 0.0, causal, False)
    return ATEN._flash_attention_forward(q, k, k, *named, **how)


KERNELS: dict[str, tuple[Callable[[Tensor], Any], Tensor, int, bool]] = {
    "flash": (lambda q: _flash(q, q, None), WHOLE, 512, False),
    "flash, causal": (lambda q: _flash(q, q, None, True), WHOLE, 512, True),
    "flash, few heads of keys": (lambda q: _flash(q, q[:, :, :2], None), WHOLE, 512, False),
    "flash of sequences": (lambda q: _flash(q, q, STARTS), PACKED, PAIRS, False),
    "efficient": (
        lambda q: ATEN._efficient_attention_forward(q, q, q, *[None] * 5, 0.0, 1),
        WHOLE,
        512,
        True,
    ),
    "efficient of sequences": (
        lambda q: ATEN._efficient_attention_forward(q, q, q, None, STARTS, STARTS, 10, 10, 0.0, 0),
        PACKED[None],
        PAIRS,
        False,
    ),
    "varlen": (lambda q: varlen_attn(q, q, q, STARTS, STARTS, 10, 10), PACKED, PAIRS, False),
    "varlen in a window": (
        lambda q: varlen_attn(q, q, q, STARTS, STARTS, 10, 10, window_size=(4, 0)),
        PACKED,
        PAIRS,
        True,
    ),
    "flash_attn": (lambda q: _whole(q, False), WHOLE, 512, False),
    "flash_attn, causal": (lambda q: _whole(q, True)[0], WHOLE, 512, True),
    "flash_attn of sequences": (_varlen, PACKED, PAIRS, False),
}


@pytest.mark.parametrize("name", KERNELS)
def test_kernels_are_attention(name: str) -> None:
    kernel, q, pairs, masked = KERNELS[name]
    table = costlab.analyze(Fn(lambda _, q: kernel(q)), inputs=q)
    assert table.complete
    (row,) = (row for row in table.rows if row.label == "attention")
    scores, rows = 4 * pairs, q.numel() // 8
    assert row.macs == scores * (8 + 8)
    assert row.count is not None
    assert row.count.add == 2 * scores - rows + scores * masked
    assert row.output == tuple(q.shape[-3:]) or row.output == (2, 4, 16, 8)
    assert table.graph.outputs[0] == tuple(q.shape)
    table.graph.check()


def test_starts_of_sequences_that_are_given_decide() -> None:
    module = Fn(lambda _, q, starts: _varlen(q, starts)[0])
    table = costlab.analyze(module, inputs=(PACKED, STARTS))
    assert table.total.macs == 4 * PAIRS * 16
    assert table.trace is not None
    assert [(d.question, d.inputs) for d in table.trace.graph.decisions] == [
        ("lengths of sequences", ("input 2",))
    ]
    unknown = costlab.analyze(module, inputs=(PACKED, STARTS.to("meta")))
    assert [row.label for row in unknown.uncounted] == ["_flash_attn_varlen_forward"]


def test_sequences_that_do_not_fit_are_refused() -> None:
    short = Fn(lambda _, q: varlen_attn(q, q, q, STARTS, STARTS, 10, 10))
    with pytest.raises(costlab.TraceError, match="the sequences have 16 queries, there are 8"):
        costlab.analyze(short, inputs=PACKED[:8])
