"""Layers with packed weights of 8 bits: the MACs of the layers that they were made of."""

from __future__ import annotations

from tempfile import NamedTemporaryFile
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
    assert [row.params for row in ours.rows] == [row.params for row in table.rows]
    names = [value.name for value in ours.graph.values if value.kind == "parameter"]
    assert names in (["0.bias", "0.weight", "2.weight"], ["0.weight", "0.bias", "2.weight"])


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


class Net(nn.Module):
    """What quantisation in eager mode has modules for."""

    def __init__(self) -> None:
        super().__init__()
        self.quant, self.dequant = quantization.QuantStub(), quantization.DeQuantStub()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.norm, self.relu, self.pool = nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)
        self.line = nn.Conv1d(8, 8, 3, padding=1)
        self.up = nn.ConvTranspose2d(8, 4, 3, stride=2, output_padding=1)
        self.head = nn.Linear(4, 10)
        self.joined: Any = torch.ao.nn.quantized.FloatFunctional()

    def forward(self, x: torch.Tensor) -> Any:
        x = self.pool(self.relu(self.norm(self.conv(self.quant(x)))))
        y = self.line(x.flatten(2)).view(x.shape)
        x = self.joined.add_relu(self.joined.add_scalar(self.joined.mul(x, y), 1.0), x)
        x = self.up(torch.sigmoid(self.joined.cat([x[:, :4], y[:, 4:]], 1)))
        return self.dequant(self.head(x.mean((2, 3))))


@pytest.mark.parametrize("real", [False, True])
def test_a_network_of_8_bits_has_the_macs_and_params_of_the_plain_one(real: bool) -> None:
    plain = Net().eval()
    plain.qconfig = quantization.default_qconfig
    quantization.fuse_modules(plain, [["conv", "norm", "relu"]], inplace=True)
    module = quantization.prepare(plain)
    x = torch.rand(2, 3, 8, 8)
    module(x)
    quantization.convert(module, inplace=True)
    ours = costlab.analyze(module, inputs=x, real=real)
    table = costlab.analyze(plain, inputs=x, real=real)
    assert ours.complete
    kinds = ("quantize", "dequantize")
    assert [(row.label, row.macs, row.params) for row in ours.rows if row.label not in kinds] == [
        (row.label, row.macs, row.params) for row in table.rows
    ]
    assert ours.graph.outputs == ((2, 10),)
    assert ours.total.params == sum(parameter.numel() for parameter in plain.parameters())
    ours.graph.check()
    assert library_of(ours) == ours.total.count


def library_of(table: costlab.CostTable) -> Any:
    """The counts of the report that it writes, read again."""
    with NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        file.write(table.to_json())
        file.flush()
        return costlab.analyze(file.name).total.count


@pytest.mark.parametrize("real", [False, True])
def test_what_quantises_and_back(real: bool) -> None:
    scales, zeros = torch.rand(3), torch.zeros(3, dtype=torch.int64)

    def forward(_: Any, x: torch.Tensor) -> Any:
        whole = torch.quantize_per_tensor(x, 0.1, 0, torch.qint8).dequantize()
        parts = torch.quantize_per_channel(whole, scales, zeros, 0, torch.quint8).dequantize()
        return torch.fake_quantize_per_tensor_affine(parts, 0.1, 0, 0, 255)

    table = costlab.analyze(Fn(forward), inputs=torch.rand(3, 4), real=real)
    assert table.complete
    assert table.total.count.other == 12 * (5 + 2 + 5 + 2 + 7)
