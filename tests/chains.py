"""Small networks that are compared."""

from __future__ import annotations

import re
from typing import Any

from torch import Tensor, nn

import costlab as library
from costlab.views.compare import Comparison

SIZE = (1, 3, 16, 16)


NUMBER = re.compile(r"\d{1,3}(?:,\d{3})*|\d+")


def integer(text: str) -> int:
    assert NUMBER.fullmatch(text), text
    return int(text.replace(",", ""))


def conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def compared(*modules: nn.Module, **how: Any) -> Comparison:
    return library.compare(*modules, input_size=SIZE, trace=False, **how)


class Chain(nn.Module):
    """Modules by their names, one after the other."""

    def __init__(self, **modules: nn.Module) -> None:
        super().__init__()
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, x: Tensor) -> Tensor:
        for module in self.children():
            x = module(x)
        return x
