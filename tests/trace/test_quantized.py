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


class Steps(nn.Module):
    """A recurrent layer and what its output goes through."""

    def __init__(self, kind: Any, **how: Any) -> None:
        super().__init__()
        self.steps = kind(8, 16, **how)

    def forward(self, x: Any) -> Any:
        return self.steps(x)


STEPS = {
    "LSTM": Steps(nn.LSTM, batch_first=True),
    "LSTM both ways": Steps(nn.LSTM, num_layers=2, bidirectional=True),
    "GRU": Steps(nn.GRU),
    "GRU both ways": Steps(nn.GRU, num_layers=2, bidirectional=True, batch_first=True),
    "LSTMCell": Steps(nn.LSTMCell),
    "GRUCell": Steps(nn.GRUCell),
    "RNNCell": Steps(nn.RNNCell),
    "RNNCell with ReLU": Steps(nn.RNNCell, nonlinearity="relu"),
}


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("packed", [False, True])
def test_recurrent_layers_with_packed_weights(name: str, packed: bool, real: bool) -> None:
    plain = STEPS[name]
    kinds = {nn.LSTM, nn.GRU, nn.LSTMCell, nn.GRUCell, nn.RNNCell}
    x: Any = torch.rand((3, 8) if "Cell" in name else (5, 3, 8))
    if packed:
        if "Cell" in name:
            return
        x = nn.utils.rnn.pack_padded_sequence(x, torch.tensor([5, 4, 2]))
    wanted = costlab.analyze(plain, inputs=(x,), real=real)
    for dtype in (torch.qint8, torch.float16):
        if "Cell" in name and dtype is torch.float16:
            continue  # which torch makes and cannot run
        module = quantization.quantize_dynamic(plain, kinds, dtype=dtype)
        ours = costlab.analyze(module, inputs=(x,), real=real)
        assert ours.complete
        assert [(r.label, r.count, r.output, r.params) for r in ours.rows] == [
            (r.label, r.count, r.output, r.params) for r in wanted.rows
        ]
        assert ours.graph.outputs == wanted.graph.outputs
        ours.graph.check()


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize("kind", [nn.Embedding, nn.EmbeddingBag])
def test_a_packed_table(kind: Any, real: bool) -> None:
    how = {"mode": "sum"} if kind is nn.EmbeddingBag else {}
    plain: Any = nn.Sequential(kind(10, 8, **how))
    inputs = torch.tensor([[0, 1], [2, 3]])
    wanted = costlab.analyze(plain, inputs=inputs, real=real)
    plain.qconfig = quantization.float_qparams_weight_only_qconfig
    module = quantization.convert(quantization.prepare(plain))
    ours = costlab.analyze(module, inputs=inputs, real=real)
    assert ours.complete
    assert [(r.label, r.count, r.params) for r in ours.rows] == [
        (r.label, r.count, r.params) for r in wanted.rows
    ]


def _of_8_bits(*shape: int) -> torch.Tensor:
    return torch.zeros(shape).to(torch.float8_e4m3fn)


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize("rows", [False, True])
def test_products_of_8_bits_in_both_spellings(rows: bool, real: bool) -> None:
    scaled_mm = getattr(nn.functional, "scaled_mm", None)
    if scaled_mm is None:
        pytest.skip("this torch has no F.scaled_mm")
    recipe = getattr(nn.functional.ScalingType, "RowWise" if rows else "TensorWise")
    a, b = _of_8_bits(16, 128), _of_8_bits(32, 128)
    scales = (torch.ones(16, 1), torch.ones(1, 32)) if rows else (torch.ones(()), torch.ones(()))
    dtype = torch.bfloat16

    def new(m: Any, a: Any, b: Any, one: Any, other: Any) -> Any:
        return scaled_mm(a, b.t(), one, recipe, other, recipe, output_dtype=dtype)

    def old(m: Any, a: Any, b: Any, one: Any, other: Any) -> Any:
        return torch._scaled_mm(a, b.t(), one, other, out_dtype=dtype)

    tables = [costlab.analyze(Fn(f), inputs=(a, b, *scales), real=real) for f in (new, old)]
    for table in tables:
        assert table.complete
        assert table.total.macs == 16 * 128 * 32
        assert table.total.flops - 2 * table.total.macs == 2 * 16 * 32


def test_scales_of_blocks_multiply_the_operands() -> None:
    a, b = _of_8_bits(256, 256).to("meta"), _of_8_bits(128, 256).to("meta")
    scales = torch.empty(256, 2, device="meta"), torch.empty(2, 1, device="meta")
    table = costlab.analyze(
        Fn(
            lambda m, *x: torch._scaled_mm_v2(
                x[0], x[1].t(), [x[2]], [3], [], [x[3]], [4], [], None, torch.bfloat16
            )
        ),
        inputs=(a, b, *scales),
    )
    assert table.total.macs == 256 * 256 * 128
    assert table.total.other == 256 * 256 + 256 * 128


@pytest.mark.parametrize("wrong", ["inner", "rank", "type", "bias"])
def test_wrong_products_of_8_bits_are_refused(wrong: str) -> None:
    a, b, bias = _of_8_bits(16, 128), _of_8_bits(32, 128), torch.zeros(32)
    if wrong == "inner":
        b = _of_8_bits(32, 64)
    elif wrong == "rank":
        a = a[None]
    elif wrong == "type":
        a = torch.zeros(16, 128)
    else:
        bias = torch.zeros(31)
    one = torch.ones(())

    def product(m: Any, *x: Any) -> Any:
        return torch._scaled_mm(x[0], x[1].t(), x[2], x[2], bias=x[3], out_dtype=torch.float32)

    with pytest.raises((RuntimeError, ValueError)):
        product(None, a, b, one, bias)
    with pytest.raises(costlab.TraceError, match="_scaled_mm"):
        costlab.analyze(Fn(product), inputs=(a, b, one, bias))
