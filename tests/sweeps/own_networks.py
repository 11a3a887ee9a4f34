"""Networks of users, whose code does other things at other sizes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Branches(nn.Module):
    """Sizes decide what is computed, and some are refused."""

    def __init__(
        self, width: int = 4, depth: int = 1, norm: str = "bn", scale: float = 1.0
    ) -> None:
        super().__init__()
        if norm == "gn" and width % 4:
            raise ValueError("4 groups need a width that they divide")
        width = int(width * scale)
        self.stem = nn.Conv2d(3, width, 3, stride=2, padding=1)
        self.body = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv2d(width, width, 3, padding=1),
                    nn.BatchNorm2d(width) if norm == "bn" else nn.GroupNorm(4, width),
                )
                for _ in range(depth)
            )
        )
        self.head = nn.Linear(width, 5)

    def forward(self, x: Tensor) -> Any:
        if x.shape[2] > 20:
            x = F.avg_pool2d(x, 2)
        if x.shape[3] % 3 == 1:
            x = F.pad(x, (0, 2))
        x = F.max_pool2d(self.body(self.stem(x)), 3)
        return self.head(x.mean((2, 3)))


class Fixed(nn.Module):
    """A size becomes a plain number, so it is another network at each."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 1)

    def forward(self, x: Tensor) -> Any:
        small = F.interpolate(x, size=int(x.shape[2] * 0.7))
        return self.conv(small) + 1


class Tokens(nn.Module):
    """A table of positions, attention, and a recurrent layer, on ids."""

    def __init__(self, d_model: int = 8, nhead: int = 2) -> None:
        super().__init__()
        self.words = nn.Embedding(11, d_model)
        self.positions = nn.Parameter(torch.zeros(6, d_model))
        self.layer = nn.TransformerEncoderLayer(d_model, nhead, 16, batch_first=True)
        self.lstm = nn.LSTM(d_model, 3, batch_first=True)

    def forward(self, ids: Tensor) -> Any:
        x = self.words(ids) + self.positions[: ids.shape[1]]
        return self.lstm(self.layer(x))[0]
