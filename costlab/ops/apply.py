"""Modules for the operations that ``torch.nn`` has none for.

Only ``Op.module`` imports this file, since it imports torch.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from costlab.graph.op import Op


class Apply(nn.Module):
    """An operation, by a function of the tuple of its inputs; picklable if the function is."""

    def __init__(self, op: Op, function: Callable[[tuple[Tensor, ...]], Tensor]) -> None:
        super().__init__()
        self.op = op
        self.function = function

    def extra_repr(self) -> str:
        return f"{self.op.name} {self.op.detail}".rstrip()

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.function(inputs)


class PerChannel(nn.Module):
    """A trainable scale and shift for each channel of ``[N, C, ..]``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        shape = (1, -1, *[1] * (x.dim() - 2))
        return x * self.weight.view(shape) + self.bias.view(shape)


class Distances(nn.Module):
    """Squared distances of ``[.., in]`` to fixed centres ``[out, in]`` of -1 and 1."""

    centres: Tensor

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        signs = torch.arange(out_features * in_features).view(out_features, in_features) % 3 - 1
        self.register_buffer("centres", signs.sign().float() + (signs == 0))

    def forward(self, x: Tensor) -> Tensor:
        return (x.unsqueeze(-2) - self.centres).square().sum(-1)
