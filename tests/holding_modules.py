"""Modules whose memory is of interest: what is kept, given anew, shared, or computed again."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint


class Checkpointed(nn.Module):
    """A part whose forward runs again in the backward pass."""

    def __init__(self, reentrant: bool) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(8, 32), nn.Linear(32, 4)
        self.part = nn.Sequential(nn.Linear(32, 64), nn.GELU(), nn.Linear(64, 32))
        self.reentrant = reentrant

    def forward(self, x: Tensor) -> Any:
        y = checkpoint(self.part, F.relu(self.first(x)), use_reentrant=self.reentrant)
        return self.last(y)


class Sequences(nn.Module):
    """A loss whose states depend on values: how many labels the longest sequence has."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.loss = nn.Linear(4, 6), nn.CTCLoss(reduction="sum")

    def forward(self, x: Tensor, labels: Tensor, steps: Tensor, lengths: Tensor) -> Any:
        return self.loss(self.linear(x).log_softmax(-1), labels, steps, lengths)


class InPlaceAndViews(nn.Module):
    """Operations in place, views, and a copy that ``contiguous`` makes; several outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn, self.last = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3)

    def forward(self, x: Tensor) -> dict[str, Any]:
        y = self.last(F.relu_(self.bn(self.conv(x))))
        y += 1
        y.mul_(2)
        copied = y.transpose(1, 2).contiguous()
        halves = copied.flatten(1).chunk(2, 1)
        return {"sums": (y.view(y.shape[0], -1).sum(1), halves[0].sum(1)), "copied": copied}


class LaidOutAnew(nn.Module):
    """A tensor whose layout changes when operations have taken it already."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Any:
        y = x.detach() * 2
        several = [y + 1]
        y.t_()
        several.append(y.contiguous() + 1)
        y.data = x.detach()[:, :2] * 3
        several.append(y + 1)
        y.unsqueeze_(0).resize_(2, 2)
        several.append(y + 1)
        return self.linear(x), several


class Frozen(nn.Module):
    """The first layer and a bias do not learn."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = nn.Linear(8, 16), nn.Linear(16, 16), nn.Linear(16, 2)
        for parameter in (*self.first.parameters(), self.second.bias):
            parameter.requires_grad_(False)

    def forward(self, x: Tensor) -> Any:
        return self.third(torch.tanh(self.second(self.first(x).relu())))


class Tied(nn.Module):
    """One weight in two places."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.last = nn.Embedding(50, 16), nn.Linear(16, 50, bias=False)
        self.last.weight = self.embedding.weight

    def forward(self, x: Tensor) -> Any:
        return self.last(self.embedding(x))


class _Exp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = x.exp()
        ctx.save_for_backward(y, x * 2)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        y, twice = ctx.saved_tensors
        return gradients[0] * y + twice * 0


class OwnFunction(nn.Module):
    """A function with a backward of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Any:
        return _Exp.apply(self.linear(x)).softmax(-1)  # type: ignore[no-untyped-call]


class Attention(nn.Module):
    """``scaled_dot_product_attention``."""

    def __init__(self, causal: bool) -> None:
        super().__init__()
        self.project, self.causal = nn.Linear(16, 48), causal

    def forward(self, x: Tensor) -> Any:
        q, k, v = self.project(x).view(*x.shape[:2], 3, 4, 4).permute(2, 0, 3, 1, 4)
        return F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)


class Masked(nn.Module):
    """A decoder that is not told whether its own mask is the causal one, and looks."""

    def __init__(self, causal: bool) -> None:
        super().__init__()
        layer = nn.TransformerDecoderLayer(16, 4, 32, batch_first=True)
        self.decoder, self.causal = nn.TransformerDecoder(layer, 2), causal

    def forward(self, x: Tensor, memory: Tensor) -> Any:
        masked = torch.ones(x.shape[1], x.shape[1]).triu(1 if self.causal else 2)
        mask = torch.zeros_like(masked).masked_fill(masked == 1, -torch.inf)
        return self.decoder(x, memory, tgt_mask=mask)


class Autocast(nn.Module):
    """Mixed types."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.conv = nn.Linear(8, 16), nn.Conv1d(4, 4, 3)

    def forward(self, x: Tensor) -> Any:
        with torch.autocast("cpu", torch.bfloat16):
            return self.conv(self.linear(x)).softmax(-1)


class Cache(nn.Module):
    """Keeps what it has computed, and lets go of the one before."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.calls = nn.Linear(8, 8), 0
        self.kept: list[Tensor] = []
        self.mean: Tensor
        self.register_buffer("mean", torch.zeros(8))

    def forward(self, x: Tensor) -> Any:
        self.calls += 1
        self.kept.append(self.linear(x).detach())
        self.mean.mul_(0.9)
        y = self.linear(x) + self.mean
        return F.dropout(y, 0.5, self.training) * torch.rand(8)


_IMAGE = (2, 4, 12, 12)


def _attending() -> tuple[nn.Module, Tensor, Tensor, Tensor]:
    x = torch.randn(2, 5, 16)
    return nn.MultiheadAttention(16, 4, batch_first=True), x, x, x


def _decoding(*masks: Tensor) -> tuple[Any, ...]:
    layer = nn.TransformerDecoderLayer(16, 4, 32, batch_first=True)
    return nn.TransformerDecoder(layer, 2), torch.randn(2, 5, 16), torch.randn(2, 6, 16), *masks


CASES: dict[str, tuple[Any, ...]] = {
    "checkpointed": (Checkpointed(False), torch.randn(4, 8)),
    "checkpointed, reentrant": (Checkpointed(True), torch.randn(4, 8)),
    "in place": (InPlaceAndViews(), torch.randn(2, 3, 9, 9)),
    "laid out anew": (LaidOutAnew(), torch.randn(3, 8)),
    "frozen": (Frozen(), torch.randn(3, 8)),
    "tied": (Tied(), torch.randint(0, 50, (2, 7))),
    "own function": (OwnFunction(), torch.randn(3, 8)),
    "attention": (Attention(False), torch.randn(2, 5, 16)),
    "causal attention": (Attention(True), torch.randn(2, 5, 16)),
    "multi-head attention": _attending(),
    "encoder": (nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), torch.randn(2, 5, 16)),
    "transformer": (
        nn.Transformer(16, 4, 1, 1, 32, batch_first=True),
        torch.randn(2, 5, 16),
        torch.randn(2, 6, 16),
    ),
    "decoder, causal": _decoding(nn.Transformer.generate_square_subsequent_mask(5)),
    "decoder, masked": _decoding(
        torch.ones(5, 5).triu(2) > 0,
        torch.zeros(5, 6) > 0,
        torch.zeros(2, 5, dtype=torch.bool),
        torch.zeros(2, 6, dtype=torch.bool),
    ),
    "decoder, own causal": (Masked(True), torch.randn(2, 5, 16), torch.randn(2, 6, 16)),
    "decoder, own mask": (Masked(False), torch.randn(2, 5, 16), torch.randn(2, 6, 16)),
    "gru": (nn.GRU(6, 8, 2, dropout=0.2), torch.randn(5, 2, 6)),
    "rnn": (nn.RNN(6, 8), torch.randn(5, 2, 6)),
    "lstm cell": (nn.LSTMCell(6, 8), torch.randn(2, 6)),
    "autocast": (Autocast(), torch.randn(2, 4, 8)),
    "cache": (Cache(), torch.randn(3, 8)),
    "weight norm": (parametrizations.weight_norm(nn.Linear(6, 5)), torch.randn(2, 6)),
    "spectral norm": (parametrizations.spectral_norm(nn.Linear(6, 5)), torch.randn(2, 6)),
    "norms of half precision": (
        nn.Sequential(
            nn.Conv2d(4, 8, 3).bfloat16(), nn.GroupNorm(2, 8), nn.BatchNorm2d(8), nn.LayerNorm(4)
        ),
        torch.randn(2, 4, 6, 6, dtype=torch.bfloat16),
    ),
    "norms": (
        nn.Sequential(
            nn.Conv2d(4, 8, 3),
            nn.GroupNorm(2, 8),
            nn.InstanceNorm2d(8, affine=True),
            nn.BatchNorm2d(8),
            nn.LayerNorm(10),
            nn.PReLU(8),
            nn.Upsample(scale_factor=2, mode="bilinear"),
        ),
        torch.randn(_IMAGE),
    ),
    "activations": (
        nn.Sequential(
            nn.Linear(8, 8),
            nn.GELU(),
            nn.SiLU(),
            nn.Mish(),
            nn.LeakyReLU(inplace=True),
            nn.Dropout(0.3),
            nn.LogSoftmax(-1),
            nn.GLU(),
            nn.RReLU(),
        ),
        torch.randn(2, 8),
    ),
    "convolutions": (
        nn.Sequential(
            nn.Conv2d(4, 8, 3, groups=4, padding="same"),
            nn.ConvTranspose2d(8, 4, 3, stride=2),
            nn.MaxPool2d(2),
            nn.AvgPool2d(2),
            nn.ReflectionPad2d(1),
            nn.PixelShuffle(2),
        ),
        torch.randn(_IMAGE),
    ),
    "channels last": (
        nn.Sequential(nn.Conv2d(4, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten()),
        torch.randn(_IMAGE).to(memory_format=torch.channels_last),
    ),
    "loss": (
        nn.CrossEntropyLoss(),
        torch.randn(4, 5, requires_grad=True),
        torch.randint(0, 5, (4,)),
    ),
    "ctc": (
        Sequences(),
        torch.randn(7, 2, 4),
        torch.ones(2, 5, dtype=torch.int64),
        torch.tensor([7, 6]),
        torch.tensor([3, 2]),
    ),
}
"""Modules, and what they take."""
