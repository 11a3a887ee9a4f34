"""Modules of steps that a test draws: windows, branches, and whatever else asks for sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

SIDES = {"N": st.integers(1, 4), "H": st.integers(1, 80), "W": st.integers(1, 80)}
POINTS = st.fixed_dictionaries(SIDES)


def windows(x: Tensor, side: int, shift: int) -> Tensor:
    """Attention in windows of that side, as Swin does it."""
    x = x.permute(0, 2, 3, 1)
    n, h, w, c = x.shape
    x = F.pad(x, (0, 0, 0, (side - w % side) % side, 0, (side - h % side) % side))
    _, high, wide, _ = x.shape
    if shift:
        x = torch.roll(x, (-shift, -shift), (1, 2))
    rows, columns = high // side, wide // side
    x = x.view(n, rows, side, columns, side, c).permute(0, 1, 3, 2, 4, 5)
    x = x.reshape(n * rows * columns, side * side, c)
    x = F.scaled_dot_product_attention(x, x, x)
    x = x.view(n, rows, columns, side, side, c).permute(0, 1, 3, 2, 4, 5)
    x = x.reshape(n, high, wide, c)[:, :h, :w, :].contiguous()
    return x.permute(0, 3, 1, 2)


def unshuffled(x: Tensor, side: int) -> Tensor:
    high, wide = x.shape[2] // side * side, x.shape[3] // side * side
    x = F.pixel_unshuffle(x[:, :, :high, :wide], side)
    return x[:, ::side] if side > 1 else x


def assigned(x: Tensor, parts: int) -> Tensor:
    """The last rows in the place of the first ones."""
    result, rows = torch.zeros_like(x), x.shape[2] // parts
    result[:, :, :rows] = x[:, :, x.shape[2] - rows :]
    return result + x


def written(x: Tensor, columns: int) -> Tensor:
    """Parts are changed in place, of which the others know nothing."""
    x = x + 1
    left, right = x[..., :columns], x[..., columns:]
    left.mul_(2)
    x[:, ::2].relu_()
    return x * right.mean((2, 3), keepdim=True)


STEPS: dict[str, Callable[[Any, Tensor, int], Tensor]] = {
    "conv": lambda net, x, n: net.conv(x, n),
    "strided": lambda net, x, n: F.conv2d(x, net.weight(x, 3), stride=n, padding=1),
    "even": lambda net, x, n: F.conv2d(x, net.weight(x, 2), stride=2),
    "max_pool": lambda net, x, n: F.max_pool2d(x, n, ceil_mode=n == 2),
    "avg_pool": lambda net, x, n: F.avg_pool2d(x, 3, stride=n, padding=1),
    "adaptive": lambda net, x, n: F.adaptive_avg_pool2d(x, (n, None)),
    "twice": lambda net, x, n: F.interpolate(x, scale_factor=2),
    "to": lambda net, x, n: F.interpolate(x, size=(x.shape[2] + n, x.shape[3] // n)),
    "windows": lambda net, x, n: windows(x, 2 * n + 1, n - 1),
    "unshuffle": lambda net, x, n: unshuffled(x, n),
    "slice": lambda net, x, n: x[:, :, n::n, :-n],
    "halves": lambda net, x, n: torch.cat(x.chunk(2, 2), 3) if x.shape[2] % 2 == 0 else x,
    "branch": lambda net, x, n: F.relu(x) if x.shape[2] > 8 * n else x + 1,
    "shorter": lambda net, x, n: x if x.shape[2] == x.shape[3] else x[..., :-1],
    "flat": lambda net, x, n: x.flatten(2).transpose(1, 2).softmax(1).transpose(1, 2).view(
        x.shape
    ),
    "tokens": lambda net, x, n: torch.einsum("nchw,ndhw->ncd", x, x)[..., None],
    "matmul": lambda net, x, n: x @ x.transpose(2, 3),
    "roll": lambda net, x, n: torch.roll(x, n, 2),
    "stack": lambda net, x, n: torch.stack([x, x], 2).flatten(1, 2),
    "repeat": lambda net, x, n: x.repeat(1, 1, n, 1),
    "mean": lambda net, x, n: x.mean((2, 3), keepdim=True).expand(-1, -1, *x.shape[2:]) * x,
    "loop": lambda net, x, n: sum((x[:, :, i : i + 1] for i in range(x.shape[3] // 16)), x),
    "outer": lambda net, x, n: x * torch.arange(x.shape[3]).float(),
    "norm": lambda net, x, n: F.group_norm(x, 1),
    "assigned": lambda net, x, n: assigned(x, n),
    "written": lambda net, x, n: written(x, n),
    "gate": lambda net, x, n: x * torch.zeros_like(x).sigmoid(),
    "pad": lambda net, x, n: F.pad(x, (0, max(x.shape[2], x.shape[3]) - x.shape[3], n, 0)),
}  # fmt: skip


class Drawn(nn.Module):
    """Steps that a test has drawn."""

    def __init__(self, steps: list[tuple[str, int]]) -> None:
        super().__init__()
        self.steps = steps

    def weight(self, x: Tensor, side: int) -> Tensor:
        return torch.empty(4, x.shape[1], side, side)

    def conv(self, x: Tensor, n: int) -> Tensor:
        return F.conv2d(x, torch.empty(4, x.shape[1], n, n), padding=n // 2)

    def forward(self, x: Tensor) -> Tensor:
        for name, number in self.steps:
            x = STEPS[name](self, x, number)
        return x


PROGRAMS = st.lists(
    st.tuples(st.sampled_from(list(STEPS)), st.integers(1, 3)), min_size=1, max_size=6
)
