"""Bytes on shapes beside those of real tensors, polled: equal, in inference and in training."""

from __future__ import annotations

from copy import deepcopy
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
import torch
import transformer_models
from collection import built, size
from holding import Real, for_real
from holding_modules import CASES, Checkpointed
from sampled import sampled
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import costlab
from costlab.errors import TraceError
from costlab.footprint.result import Memory

OTHERS = ("squeezenet_v1_0", "shufflenetv2_w1", "dpn68", "nasnet_4a1056")


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
def test_the_bytes_of_modules(case: str, training: bool) -> None:
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
        ("lenet5", (2, 1, 32, 32)),  # which makes indices out of numbers
        ("naive", (1, 192, 28, 28)),
        ("reduced", (2, 192, 28, 28)),
        ("googlenet", (2, 3, 224, 224)),
        ("resnet50", (2, 3, 64, 64)),
        ("mobilenet-v1", (2, 3, 64, 64)),
        ("inception-v3", (1, 3, 139, 139)),
    ],
)
def test_the_bytes_of_the_catalog(model: str, input_size: tuple[int, ...], training: bool) -> None:
    memory = costlab.memory(model, input_size, training=training)
    module = costlab.build(model, input_size)
    assert numbers(memory) == for_real(module, torch.zeros(input_size), training=training)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", sampled(OTHERS, *OTHERS[:2]))
def test_the_bytes_of_networks_of_others(name: str, training: bool) -> None:
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
        (nn.Embedding(20, 4, sparse=True), torch.zeros(3, dtype=torch.int64), "sparse"),
    ],
)
def test_what_is_not_seen_is_said(module: nn.Module, inputs: Any, why: str) -> None:
    memory = costlab.memory(module, inputs=inputs, training=True)
    assert not memory.complete
    assert why in " ".join(memory.to_text().split())
    assert "≥" in memory.to_text()
    if isinstance(module, nn.LSTM):
        assert numbers(memory).peak < for_real(module, inputs, training=True).peak
    assert costlab.memory(module, inputs=inputs).complete


class CutOff(nn.Module):
    """A body that is run with gradients, and cut off; its own ``train`` keeps it as it is."""

    def __init__(self, stays: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
        self.head, self.stays = nn.Linear(8, 4), stays

    def train(self, mode: bool = True) -> CutOff:
        super().train(mode)
        self.body.train(mode and not self.stays)
        return self

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).detach().mean((2, 3)))  # type: ignore[no-any-return]


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize("stays", [False, True])
def test_what_was_kept_for_nothing_goes_when_it_is_cut_off(stays: bool, real: bool) -> None:
    x = torch.rand(2, 3, 8, 8)
    ours = numbers(costlab.memory(CutOff(stays), inputs=x, training=True, real=real))
    measured = for_real(CutOff(stays), x, training=True)
    assert ours[:2] == measured[:2]
    assert ours.saved == 2 * 8 * 4  # the mean: hooks saw what the body kept, too


class HoldsSparse(nn.Module):
    def __init__(self, edges: Tensor) -> None:
        super().__init__()
        self.linear, self.part = nn.Linear(6, 5), nn.Identity()
        self.part.register_buffer("edges", edges)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x)  # type: ignore[no-any-return]


@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize("kind", ["coo", "csr", "csc", "bsr"])
def test_a_sparse_tensor_that_is_given_has_the_bytes_of_its_parts(kind: str) -> None:
    whole, ints, floats = torch.eye(6), 8, 4
    edges, bytes_there = {
        "coo": (whole.to_sparse(), (2 * 6) * ints + 6 * floats),
        "csr": (whole.to_sparse_csr(), (7 + 6) * ints + 6 * floats),
        "csc": (whole.to_sparse_csc(), (7 + 6) * ints + 6 * floats),
        "bsr": (whole.to_sparse_bsr((2, 2)), (4 + 3) * ints + 3 * 4 * floats),
    }[kind]
    memory = costlab.memory(HoldsSparse(edges), (3, 6))
    assert memory.complete
    assert memory.total["buffers_bytes"] == bytes_there


class OfEdges(nn.Module):
    """What comes in, or a table, summed along the edges of a graph."""

    def __init__(self, values: bool = False) -> None:
        super().__init__()
        self.linear, self.table = nn.Linear(4, 3), nn.Parameter(torch.rand(6, 4))
        self.register_buffer("edges", torch.eye(6).to_sparse())
        self.values = nn.Parameter(torch.ones(6)) if values else None

    def forward(self, x: Tensor) -> Tensor:
        edges: Any = self.edges
        if self.values is not None:
            edges = torch.sparse_coo_tensor(edges.indices(), self.values, (6, 6))
        return self.linear(torch.sparse.mm(edges, self.table)) + torch.sparse.mm(edges, x)  # type: ignore[no-any-return]


@pytest.mark.parametrize("training", [False, True])
def test_products_with_a_sparse_tensor(training: bool) -> None:
    x = torch.rand(6, 3)
    memory = costlab.memory(OfEdges(), inputs=x, training=training)
    ours, real = numbers(memory), for_real(OfEdges(), x, training=training)
    assert ours._replace(peak=0) == real._replace(peak=0)
    if not training:
        assert memory.complete
        assert ours.peak == real.peak
    else:  # the sparse tensor is turned, which copies it
        assert "≥" in memory.to_text()
        assert ours.peak < real.peak


@pytest.mark.filterwarnings("ignore:Sparse")
def test_what_has_no_answer_backwards_says_where_and_what_to_try() -> None:
    module = nn.Sequential(nn.Linear(3, 3), OfEdges(values=True))
    with pytest.raises(TraceError, match=r"^1, backwards, cannot be run: .*real=True or --real"):
        costlab.memory(module, inputs=torch.rand(6, 3), training=True)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    ("size", "how"),
    [
        ((1, 1, 1, 1), {}),
        ((37, 5, 9, 4), {"num_layers": 2, "bidirectional": True, "dropout": 0.2}),
        ((7, 3, 256, 64), {"bias": False}),
        ((3, 40, 20, 192), {"batch_first": True}),
    ],
)
def test_the_workspace_of_an_lstm(
    size: tuple[int, int, int, int], how: dict[str, Any], training: bool
) -> None:
    module, inputs = nn.LSTM(*size[2:], **how), torch.randn(size[:3])
    memory = costlab.memory(module, inputs=inputs, training=training)
    assert memory.complete
    assert numbers(memory) == for_real(module, inputs, training=training)


@pytest.mark.skipif(
    not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="oneDNN computes none of bfloat16"
)
def test_the_workspace_of_half_precision_is_not_known() -> None:
    memory = costlab.memory(nn.LSTM(6, 8), (5, 2, 6), training=True, dtype="bfloat16")
    assert not memory.complete
    assert "oneDNN's LSTM keeps a workspace" in " ".join(memory.to_text().split())


def test_an_lstm_in_evaluation_mode_keeps_one_if_something_else_learns() -> None:
    class Read(nn.Module):
        """Reads what a frozen LSTM gives, which does not go back."""

        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.head = (
                nn.LSTM(6, 8).requires_grad_(requires_grad=False),
                nn.Linear(8, 2),
            )

        def train(self, mode: bool = True) -> Read:
            super().train(mode)
            self.lstm.train(mode=False)
            return self

        def forward(self, x: Tensor) -> Any:
            with torch.no_grad():
                first = self.lstm(x)[0]
            return self.head(self.lstm(x)[0] + first)

    module, inputs = Read().train(), torch.randn(5, 2, 6)
    memory = costlab.memory(module, inputs=inputs, training=True)
    assert memory.complete
    assert numbers(memory) == for_real(module, inputs, training=True)


def test_an_lstm_that_does_not_learn_takes_no_workspace() -> None:
    module, inputs = nn.LSTM(6, 8, 2, bidirectional=True), torch.randn(5, 2, 6)
    memory = costlab.memory(module, inputs=inputs)
    assert memory.complete
    assert numbers(memory) == for_real(module, inputs)


def _of_torch() -> dict[str, tuple[nn.Module, tuple[Any, ...]]]:
    """Every kind of module of ``torch.nn``, from the tests of traces."""
    path = Path(__file__).parents[1] / "trace" / "test_nn_modules.py"
    spec = spec_from_file_location("modules_of_torch", path)
    assert spec is not None
    assert spec.loader is not None
    home = module_from_spec(spec)
    spec.loader.exec_module(home)
    cases: dict[str, tuple[nn.Module, tuple[Any, ...]]] = home.CASES
    return cases


OF_TORCH = _of_torch()


def _learning(value: Any) -> Any:
    """Inputs whose gradients are wanted."""
    if isinstance(value, Tensor) and value.is_floating_point():
        return value.detach().clone().requires_grad_()
    if type(value) in (tuple, list):
        return type(value)(map(_learning, value))
    return value


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", OF_TORCH)
def test_the_bytes_of_every_module_of_torch(case: str) -> None:
    module, inputs = OF_TORCH[case]
    memory = costlab.memory(module, inputs=inputs)
    assert memory.complete
    assert numbers(memory) == for_real(module, *inputs)
    if "in place" in case or case == "SoftMarginLoss":  # torch refuses that its inputs learn
        return
    inputs = _learning(inputs)
    memory = costlab.memory(module, inputs=inputs, training=True)
    assert memory.complete
    assert numbers(memory) == for_real(module, *inputs, training=True)


class ByMask(nn.Module):
    """Picks rows by masks whose values are known: of several numbers, and of two axes."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.mask: Tensor
        self.register_buffer("mask", torch.tensor([True, False, True, True]))

    def forward(self, x: Tensor) -> Any:
        y = self.linear(x)
        few = torch.tensor([True, False, False, False])
        return y[self.mask], y[few], y[:, self.mask] * 2, y[self.mask.expand(4, 4)], y[few, None]


@pytest.mark.parametrize("training", [False, True])
def test_the_bytes_of_what_masks_pick(training: bool) -> None:
    module, x = ByMask(), torch.zeros(4, 4)
    memory = costlab.memory(module, inputs=x, training=training)
    assert numbers(memory) == for_real(module, x, training=training)


class ByLength(nn.Module):
    """What is computed depends on whole numbers that are given, or held."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(9, 4)
        self.steps: Tensor
        self.register_buffer("steps", torch.tensor(3))

    def forward(self, ids: Tensor, lengths: Tensor) -> Any:
        y = self.embedding(ids)[:, : int(lengths.max())]
        for _ in range(int(self.steps)):
            y = y * 2
        self.steps.add_(1)
        return y, lengths + 1


@pytest.mark.parametrize("training", [False, True])
def test_whole_numbers_decide(training: bool) -> None:
    module = ByLength()
    inputs = torch.zeros(2, 7, dtype=torch.int64), torch.tensor([2, 5])
    memory = costlab.memory(module, inputs=inputs, training=training)
    assert numbers(memory) == for_real(module, *inputs, training=training)
    assert memory.held.output[0] == (2, 5, 4)
    assert module.steps.item() == 3


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", ["gpt2", "t5", "vit", "swin", "convnext", "mamba"])
def test_the_bytes_of_models_of_transformers(name: str, training: bool) -> None:
    module = transformer_models.model(name)
    kwargs = transformer_models.TRANSFORMERS[name][-1]
    memory = costlab.memory(module, kwargs=kwargs, training=training)
    assert memory.complete
    assert numbers(memory) == for_real(module, training=training, **kwargs)


class Packs(nn.Module):
    """Sequences of lengths that are given or follow from such, and what a mask of these leaves."""

    def __init__(self, kind: type[nn.LSTM] | type[nn.GRU], sorted_by_length: bool) -> None:
        super().__init__()
        self.rnn = kind(5, 4, bidirectional=True, batch_first=True)
        self.sorted_by_length = sorted_by_length

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        lengths = lengths // 2
        packed = pack_padded_sequence(x * 2, lengths, True, self.sorted_by_length)
        padded, lengths = pad_packed_sequence(self.rnn(packed)[0], True, total_length=9)
        is_there = torch.arange(9) < lengths[:, None]
        return padded.masked_select(is_there[..., None]) * 2


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_lengths_that_are_given_have_their_values(
    kind: type[nn.LSTM] | type[nn.GRU], training: bool
) -> None:
    for lengths in torch.tensor([14, 9, 4]), torch.tensor([4, 14, 2]):
        module = Packs(kind, sorted_by_length=bool(lengths[0] == 14))
        x = torch.rand(3, 8, 5)
        ours = costlab.memory(module, inputs=(x, lengths), training=training)
        assert numbers(ours) == for_real(module, x, lengths, training=training)
        assert ours.complete


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_norms_of_weights_are_float32_in_half_precision(dtype: torch.dtype, training: bool) -> None:
    module = weight_norm(nn.Linear(6, 5).to(dtype))
    x = torch.rand(3, 6, dtype=dtype)
    ours = costlab.memory(module, inputs=x, training=training)
    assert numbers(ours) == for_real(module, x, training=training)
