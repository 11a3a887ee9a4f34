"""Answers by rules are those of torch's own stand-ins, for every operation of some networks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import costlab
from costlab.footprint import answers
from costlab.footprint.asked import Answer, Asked
from costlab.footprint.usual import _RULES, usual


class Mixed(nn.Module):
    """What the networks of the catalog do not call."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2, bias=False, groups=1)
        self.up = nn.ConvTranspose2d(8, 6, 3, stride=2, output_padding=1)
        self.grouped = nn.Conv2d(6, 6, 3, padding=2, dilation=2, groups=3)
        self.norm = nn.LayerNorm([7, 8])
        self.pool = nn.AdaptiveAvgPool2d((7, 8))
        self.head = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        y = self.pool(self.grouped(self.up(self.conv(x[..., 2:]))))
        y = self.head(self.norm(y)).squeeze(0)
        for function in (torch.sigmoid, torch.tanh, torch.exp, torch.neg, torch.rsqrt):
            y = function(y)
        y = nn.functional.silu(nn.functional.gelu(nn.functional.hardtanh(y)))
        y = (y * y - y) / (y + y)
        aten = torch.ops.aten
        for scaled in (aten.add, aten.sub, aten.mul, aten.div):
            y = scaled.Scalar(y, 2)
        for scaled in (aten.add_, aten.sub_, aten.mul_, aten.div_):
            y = scaled.Scalar(y, 0.5)
        y = torch.bmm(y, y.transpose(1, 2)).clone()
        y = y.mul(2.0).sub_(y).div_(y).mul_(y).add_(y)
        y = nn.functional.hardtanh(nn.functional.silu(y.relu_(), inplace=True), inplace=True)
        return nn.functional.avg_pool2d(y @ y[0], 2)


class Convolved(nn.Module):
    """Convolutions of what lies in memory in other ways, and of gradients that do."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(2, 3, 3, groups=1) for _ in range(4))
        self.lines = nn.Conv1d(2, 3, 3)

    def forward(self, x: Tensor) -> list[Tensor]:
        parts = [x[:, :2], x[:, 2:], x[:, ::2].transpose(2, 3), x.flip(1)[:, 1:3]]
        made = [conv(part) for conv, part in zip(self.convs, parts, strict=True)]
        lines = self.lines(x[:, 1:3, 3]), self.lines(x[:, 0, :, :2].transpose(1, 2))
        return [torch.cat(made, 1), made[0].movedim(1, -1).contiguous(), torch.cat(lines, 2)]


class Resampled(nn.Module):
    """What ``F.interpolate`` calls, and gradients: expanded, in a row, of parts, by channels."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.empty(1))

    def forward(self, x: Tensor) -> list[Tensor]:
        small = x * self.scale
        smooth = {3: ("linear",), 4: ("bilinear", "bicubic"), 5: ("trilinear",)}
        results = [small[:, 1:], small[0], small.diagonal(), small.unfold(2, 2, 1)]
        results += [part * 2 for part in results]
        for axes in (3, 4, 5):
            y = small.reshape(2, 4, *[2] * (axes - 3), -1)
            for mode in ("nearest", "nearest-exact", *smooth[axes]):
                larger = nn.functional.interpolate(y, scale_factor=1.5, mode=mode)
                results += [larger, larger * 2, torch.cat([larger, larger], 1)]
                results.append(larger.movedim(1, -1).contiguous())
            if axes == 4:
                for mode in smooth[axes]:
                    size = (3, 5)
                    results.append(nn.functional.interpolate(y, size, mode=mode, antialias=True))
        return results


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The operations that rules have answered, each as torch itself does."""
    monkeypatch.setattr(answers, "_KNOWN", {})
    own, names = Asked.answer, set[str]()

    def both(
        self: Asked, func: Any, args: Any, kwargs: dict[str, Any], arguments: list[Tensor]
    ) -> Answer:
        answer = own(self, func, args, kwargs, arguments)
        if not kwargs and usual(func, args, arguments):
            names.add(str(func))
            by_torch = self.answer_of_torch(func, args, kwargs, arguments)
            assert answer == by_torch, (func, [tuple(tensor.shape) for tensor in arguments])
        return answer

    monkeypatch.setattr(Asked, "answer", both)
    return names


def test_rules_answer_as_torch_does(seen: set[str]) -> None:
    for training in (False, True):
        costlab.memory(Mixed(), (1, 3, 20, 20), training=training)
        for model in ("googlenet", "resnet50", "inception-v3", "alexnet"):
            costlab.memory(model, training=training)
        costlab.memory(Resampled(), (2, 4, 2, 4), training=training)
        costlab.memory(Convolved(), (2, 4, 9, 9), training=training)
    costlab.memory(nn.LSTM(4, 5, 2, bidirectional=True), (3, 2, 4))  # its workspace torch knows not
    assert seen == set(_RULES)
