"""Bytes on shapes beside those of real tensors, polled: equal, in inference and in training."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch
from collection import built, size
from holding import Real, for_real
from holding_modules import CASES, Checkpointed
from torch import nn

import costlab
from costlab.footprint.result import Memory


def numbers(memory: Memory) -> Real:
    total = memory.total
    return Real(total["peak_tensors_bytes"], total["gradients_bytes"], total["saved_bytes"])


@pytest.mark.parametrize(
    ("case", "training"),
    [
        (case, training)
        for case in CASES
        for training in (False, True)
        if training or "reentrant" not in case  # which warns where nothing learns
    ],
)
def test_modules(case: str, training: bool) -> None:
    module, *inputs = CASES[case]
    memory = costlab.memory(module, inputs=tuple(inputs), training=training)
    assert memory.complete
    assert numbers(memory) == for_real(module, *inputs, training=training)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("case", ["in place", "norms", "attention", "gru", "encoder", "loss"])
def test_what_if_in_half_precision(case: str, training: bool) -> None:
    module, *inputs = CASES[case]
    memory = costlab.memory(module, inputs=tuple(inputs), training=training, dtype="bfloat16")
    halves = [x.detach().bfloat16() if x.is_floating_point() else x for x in inputs]
    for own, half in zip(inputs, halves, strict=True):
        half.requires_grad_(own.requires_grad)
    half = deepcopy(module).bfloat16()
    assert numbers(memory) == for_real(half, *halves, training=training)
    bytes_of = [sum(t.nbytes for t in some) for some in (half.parameters(), half.buffers())]
    assert [memory.total["params_bytes"], memory.total["buffers_bytes"]] == bytes_of
    assert memory.total["inputs_bytes"] == sum(x.nbytes for x in halves)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    ("model", "input_size"),
    [
        ("naive", (1, 192, 28, 28)),
        ("reduced", (2, 192, 28, 28)),
        ("googlenet", (2, 3, 224, 224)),
        ("resnet50", (2, 3, 64, 64)),
        ("mobilenet-v1", (2, 3, 64, 64)),
        ("inception-v3", (1, 3, 139, 139)),
    ],
)
def test_the_catalog(model: str, input_size: tuple[int, ...], training: bool) -> None:
    memory = costlab.memory(model, input_size, training=training)
    module = costlab.build(model, input_size)
    assert numbers(memory) == for_real(module, torch.zeros(input_size), training=training)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", ["squeezenet_v1_0", "shufflenetv2_w1", "dpn68", "nasnet_4a1056"])
def test_networks_of_others(name: str, training: bool) -> None:
    module = built(name)
    shape = size(module)
    memory = costlab.memory(module, (2, *shape[1:]), training=training)  # still on meta
    real = module.to_empty(device="cpu")
    for tensor in (*real.parameters(), *real.buffers()):
        tensor.data.zero_()
    inputs = torch.zeros(2, *shape[1:])
    assert numbers(memory) == for_real(real, inputs, training=training)


def test_what_is_computed_again_is_not_kept() -> None:
    module = Checkpointed(False)
    kept = costlab.memory(module, (4, 8), training=True)
    plain = nn.Sequential(module.first, nn.ReLU(), module.part, module.last)
    all_kept = costlab.memory(plain, (4, 8), training=True)
    assert kept.total["saved_bytes"] < all_kept.total["saved_bytes"]
    again = [row for row in kept.records() if row["path"].startswith("part.")]
    assert len(again) == 3
    assert all(row["backward_live_bytes"] for row in again)


def test_real_tensors_give_the_same() -> None:
    module, *inputs = CASES["in place"]
    for training in (False, True):
        runs = [
            costlab.memory(module, inputs=tuple(inputs), training=training, real=real).to_json()
            for real in (False, True)
        ]
        assert runs[0] == runs[1]


@pytest.mark.parametrize(
    ("module", "inputs", "why"),
    [
        (nn.LSTM(6, 8), torch.randn(5, 2, 6), "oneDNN's LSTM keeps a workspace"),
        (nn.EmbeddingBag(20, 4), torch.zeros(3, 5, dtype=torch.int64), "EmbeddingBag"),
        (nn.Embedding(20, 4, sparse=True), torch.zeros(3, dtype=torch.int64), "sparse"),
    ],
)
def test_what_is_not_seen_is_said(module: nn.Module, inputs: Any, why: str) -> None:
    memory = costlab.memory(module, inputs=inputs, training=True)
    assert not memory.complete
    assert why in memory.to_text(width=200)
    assert "≥" in memory.to_text()
    if not isinstance(module, nn.Embedding):
        assert numbers(memory).peak < for_real(module, inputs, training=True).peak
    else:
        assert costlab.memory(module, inputs=inputs).complete


def test_an_lstm_that_does_not_learn_takes_no_workspace() -> None:
    module, inputs = nn.LSTM(6, 8, 2, bidirectional=True), torch.randn(5, 2, 6)
    memory = costlab.memory(module, inputs=inputs)
    assert memory.complete
    assert numbers(memory) == for_real(module, inputs)
