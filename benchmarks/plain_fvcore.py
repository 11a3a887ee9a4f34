"""What a person would write to compare the two modules with fvcore: the rival of process.py.

python benchmarks/plain_fvcore.py
"""

import torch
from fvcore.nn import FlopCountAnalysis
from torch import nn


def conv(channels: int, out: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, out, kernel, padding=kernel // 2), nn.BatchNorm2d(out))


class Naive(nn.Module):
    """1x1, 3x3, 5x5 and pooling side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.branch1x1 = conv(192, 64, 1)
        self.branch3x3 = conv(192, 128, 3)
        self.branch5x5 = conv(192, 32, 5)
        self.branchpool = nn.MaxPool2d(3, stride=1, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        branches = [self.branch1x1(x), self.branch3x3(x), self.branch5x5(x), self.branchpool(x)]
        return torch.cat(branches, 1)


class Reduced(nn.Module):
    """The same with 1x1 convolutions before the 3x3 and the 5x5 and after the pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.branch1x1 = conv(192, 64, 1)
        self.branch3x3 = nn.Sequential(conv(192, 96, 1), conv(96, 128, 3))
        self.branch5x5 = nn.Sequential(conv(192, 16, 1), conv(16, 32, 5))
        self.branchpool = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), conv(192, 32, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        branches = [self.branch1x1(x), self.branch3x3(x), self.branch5x5(x), self.branchpool(x)]
        return torch.cat(branches, 1)


x = torch.zeros(1, 192, 28, 28)
print("naive", FlopCountAnalysis(Naive().eval(), x).total())
print("reduced", FlopCountAnalysis(Reduced().eval(), x).total())
