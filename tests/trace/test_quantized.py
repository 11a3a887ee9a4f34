"""Layers with packed weights of 8 bits: the MACs of the layers that they were made of."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from wrapped import Fn

import costlab

pytestmark = pytest.mark.filterwarnings("ignore")

quantization: Any = torch.ao.quantization


@pytest.mark.parametrize("real", [False, True])
def test_a_linear_layer_that_quantises_its_input(real: bool) -> None:
    plain = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4, bias=False))
    module = quantization.quantize_dynamic(plain, {nn.Linear}, dtype=torch.qint8)
    ours = costlab.analyze(module, inputs=torch.rand(3, 8), real=real)
    table = costlab.analyze(plain, (3, 8))
    assert ours.complete
    assert [(r.label, r.count) for r in ours.rows] == [(r.label, r.count) for r in table.rows]


@pytest.mark.parametrize("name", ["conv2d", "conv2d_relu"])
def test_a_convolution_with_packed_weights(name: str) -> None:
    plain = nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2)
    weight = torch.quantize_per_tensor(plain.weight.detach(), 0.1, 0, torch.qint8)
    ops: Any = torch.ops.quantized
    packed = ops.conv2d_prepack(weight, plain.bias, [2, 2], [1, 1], [1, 1], 2)

    def forward(module: Any, x: torch.Tensor) -> Any:
        y = torch.quantize_per_tensor(x, 0.1, 0, torch.quint8)
        return getattr(ops, name)(y, packed, 0.1, 0).dequantize()

    x = torch.rand(2, 4, 9, 9)
    ours = costlab.analyze(Fn(forward), inputs=x, real=True)
    (row,) = (row for row in ours.rows if row.label == "conv2d")
    (wanted,) = costlab.analyze(plain, inputs=x).rows
    assert row.count == wanted.count
    assert row.output == wanted.output
    assert ("relu" in [row.label for row in ours.rows]) == name.endswith("relu")
