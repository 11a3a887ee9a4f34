"""What a person would write to compare the two modules with fvcore: the rival of process.py."""

import torch
from fvcore.nn import FlopCountAnalysis
from torch import nn


def conv(channels: int, out: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, out, kernel, padding=kernel // 2), nn.BatchNorm2d(out))


class Branches(nn.Module):
    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


naive = Branches(
    conv(192, 64, 1), conv(192, 128, 3), conv(192, 32, 5), nn.MaxPool2d(3, stride=1, padding=1)
)
reduced = Branches(
    conv(192, 64, 1),
    nn.Sequential(conv(192, 96, 1), conv(96, 128, 3)),
    nn.Sequential(conv(192, 16, 1), conv(16, 32, 5)),
    nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), conv(192, 32, 1)),
)

x = torch.zeros(1, 192, 28, 28)
for name, module in (("naive", naive), ("reduced", reduced)):
    print(name, FlopCountAnalysis(module.eval(), x).total())
