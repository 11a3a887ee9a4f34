"""What a network takes at least: its bytes against what is really touched, its times by hand."""

from __future__ import annotations

import json
import random
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import Run
from torch import nn

import costlab
from costlab.devices.device import Device, DeviceFigure
from costlab.devices.files import device_named
from costlab.errors import FigureError, UnknownNameError
from costlab.roofline.traffic import needed_macs, traffic

SLOW = Device(
    "slow",
    "100 operations and 10 bytes a second",
    "CPU",
    "",
    (
        DeviceFigure("float32", derived="100"),
        DeviceFigure("bfloat16", derived="200"),
        DeviceFigure("bandwidth", derived="10"),
    ),
)


def convolutions(number: int) -> list[tuple[nn.Conv2d, int]]:
    """Random convolutions with positive weights, and the size of their input."""
    chosen = random.Random(21)
    found: list[tuple[nn.Conv2d, int]] = []
    while len(found) < number:
        kernel, stride, dilation = (chosen.randint(1, 4) for _ in range(3))
        padding, size = chosen.randint(0, 3), chosen.randint(4, 17)
        if size + 2 * padding <= dilation * (kernel - 1):
            continue
        conv = nn.Conv2d(2, 4, kernel, stride, padding, dilation, groups=2, bias=False)
        found.append((conv, size))
    return found


@pytest.mark.parametrize("case", range(60))
def test_a_convolution_reads_what_its_windows_touch(case: int) -> None:
    """Gradients say which elements of the input an output depends on; ones count the products."""
    conv, size = convolutions(60)[case]
    conv = conv.double()
    nn.init.ones_(conv.weight)
    x = torch.ones(1, 2, size, size, dtype=torch.float64, requires_grad=True)
    result = conv(x)
    result.sum().backward()
    assert x.grad is not None
    touched = int((x.grad != 0).sum())
    (row,) = costlab.analyze(conv, (1, 2, size, size)).rows
    assert needed_macs(row) == int(result.sum())
    whole = costlab.bounds(conv, (1, 2, size, size), device=SLOW, dtype="float32").fused
    assert conv.weight.grad is not None
    assert whole.read == 4 * (touched + int((conv.weight.grad != 0).sum()))
    assert whole.written == 4 * result.numel()


@pytest.mark.parametrize("case", range(30))
def test_a_transposed_convolution_needs_what_its_output_shows(case: int) -> None:
    """What is cropped may be left out: ones count the products that are not."""
    chosen = random.Random(case)
    kernel, stride, dilation = (chosen.randint(1, 4) for _ in range(3))
    padding, size = chosen.randint(0, 3), chosen.randint(2, 9)
    while (size - 1) * stride - 2 * padding + dilation * (kernel - 1) < 0:
        size += 1  # so that there is an output
    conv = nn.ConvTranspose2d(2, 4, kernel, stride, padding, 0, 2, False, dilation).double()
    nn.init.ones_(conv.weight)
    x = torch.ones(1, 2, size, size, dtype=torch.float64, requires_grad=True)
    result = conv(x)
    result.sum().backward()
    assert x.grad is not None
    assert conv.weight.grad is not None
    (row,) = costlab.analyze(conv, (1, 2, size, size)).rows
    assert needed_macs(row) == int(result.sum())
    read = costlab.bounds(conv, (1, 2, size, size), device=SLOW, dtype="float32").fused.read
    needed = int((x.grad != 0).sum())
    weights = int((conv.weight.grad != 0).sum())
    assert read in (4 * weights, 4 * (weights + needed))
    assert read == 4 * (weights + needed) or dilation > 1 or padding >= kernel


def test_bounds_take_no_more_than_what_is_counted() -> None:
    """What is read and written by convention is more only where some of it may be left out."""
    for name in ("googlenet", "resnet50", "mobilenet-v1", "alexnet", "reduced"):
        table = costlab.analyze(name)
        for row in table.rows:
            least = traffic(row, table.graph.values, lambda dtype: dtype.size)
            assert least.read <= row.read_bytes
            assert least.written == row.written_bytes
            assert needed_macs(row) <= row.macs
            strided = row.label == "conv2d" and row.layer.op.attribute("stride") == 2
            assert least.read == row.read_bytes or (strided and row.detail.startswith("1×1"))


class Hidden(nn.Module):
    """Attention in which half is hidden, samples that may be outside, views that overlap."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = nn.functional.scaled_dot_product_attention(x, x, x, is_causal=True)
        z: torch.Tensor = y[:, :6] * y[:, 2:]
        return z


def test_what_may_be_left_out_is_in_no_bound() -> None:
    result = costlab.bounds(Hidden(), (2, 8, 4), device=SLOW)
    attention, product = (
        result.bounded.of_rows[row.path] for row in result.table.rows if row.flops
    )
    assert (attention[1].macs, attention[1].needed) == (2 * 8 * 8 * 8, 0)
    assert attention[1].compute == 0
    assert product[0].read == 4 * 2 * 6 * 4  # each view is so large, and they overlap


class Moves(nn.Module):
    """Views, copies, operations in place and a lookup."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(1000, 4)
        self.unused = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x.relu()  # reads and writes 24 elements
        y.add_(1)  # the same, in place
        z = y[:, :2].transpose(1, 2)  # nothing
        z = z.contiguous()  # 2·2·3 elements, of the 24
        rows = self.table(torch.zeros(3, dtype=torch.int64))  # 3 rows of 4
        result: torch.Tensor = z.expand(2, -1, -1)[..., :1] + rows[:, :1]
        return result


def test_what_moves_nothing_has_no_bytes() -> None:
    result = costlab.bounds(Moves(), (2, 4, 3), device=SLOW)
    of = {
        path.rpartition(".")[2]: (moved.read, moved.written)
        for path, (moved, _) in result.bounded.of_rows.items()
    }
    assert of["relu"] == (96, 96)
    assert of["add"] == (96, 96)
    assert of["transpose"] == (0, 0)
    assert of["contiguous"] == (48, 48)
    read, written = of["embedding"]
    assert written == 48
    assert read <= 48  # of the table's 16,000
    assert result.fused.read <= 96 + 48
    assert result.fused.macs == 0


def test_the_times_of_a_linear_layer_by_hand() -> None:
    layer = nn.Linear(8, 4)
    result = costlab.bounds(layer, (2, 8), device=SLOW)
    bound = result.fused
    assert bound.macs == bound.needed == 64
    assert (bound.read, bound.written) == (4 * (16 + 32 + 4), 4 * 8)
    assert bound.compute == 2 * 64 * 10**10
    assert bound.memory == 240 * 10**11
    assert bound.seconds == 24
    assert bound.binds == "memory"
    assert bound.intensity == Fraction(64, 240)
    half = costlab.bounds(layer, (2, 8), device=SLOW, dtype="bfloat16").fused
    assert (2 * half.compute, 2 * half.memory) == (bound.compute, bound.memory)


def test_layers_one_by_one_take_no_less_than_fused() -> None:
    for name in ("googlenet", "mobilenet-v1", "resnet50", "alexnet"):
        for device in ("h100-sxm", "v100-sxm2", "rtx-4090"):
            result = costlab.bounds(name, device=device)
            assert result.one_by_one.least >= result.fused.least
            assert result.one_by_one.macs == result.fused.macs == result.table.total.macs
            assert result.one_by_one.bytes >= result.fused.bytes


def test_a_whole_networks_weights_inputs_and_outputs_are_moved_once() -> None:
    result = costlab.bounds("googlenet", device="h100-sxm")
    params, image, classes = result.table.total.params, 3 * 224 * 224, 1000
    assert result.fused.read == 4 * (params + image)
    assert result.fused.written == 4 * classes


def test_a_tied_weight_is_read_once_when_fused_and_twice_one_by_one() -> None:
    layer = nn.Linear(16, 16, bias=False)
    result = costlab.bounds(nn.Sequential(layer, layer), (1, 16), device=SLOW)
    assert result.fused.read == 4 * (256 + 16)
    assert result.one_by_one.read == 2 * 4 * (256 + 16)


def test_scopes_are_the_sums_of_their_layers() -> None:
    result = costlab.bounds("googlenet", device="t4", dtype="float16", depth=1)
    rows = result.records()
    exact = result.one_by_one
    assert sum(row["macs"] for row in rows) == exact.macs
    assert sum(row["least_read_bytes"] for row in rows) == exact.read
    assert sum(row["least_ps"] for row in rows) == exact.least


def test_types_that_a_device_has_no_rate_of() -> None:
    with pytest.raises(FigureError, match="tpu-v4 has no rate of float32: give --dtype"):
        costlab.bounds("lenet5", device="tpu-v4")
    assert costlab.bounds("lenet5", device="tpu-v4", dtype="bfloat16").fused.least
    with pytest.raises(UnknownNameError, match="unknown type of numbers 'bf16': did you mean 'bfl"):
        costlab.bounds("lenet5", device="tpu-v4", dtype="bf16")
    with pytest.raises(FigureError, match="v100-sxm2 has no rate of int8"):
        costlab.bounds("lenet5", device="v100-sxm2", dtype="int8")
    with pytest.raises(UnknownNameError, match="costlab devices"):
        costlab.bounds("lenet5", device="tpu-v44")


class Several(nn.Module):
    """Products of three types."""

    def __init__(self) -> None:
        super().__init__()
        self.narrow = nn.Linear(4, 4, bias=False).to(torch.bfloat16)
        self.whole = nn.Linear(4, 4, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        number = x.long() @ x.long().T
        product: torch.Tensor = self.whole(self.narrow(x.bfloat16()).float()) + number[:1]
        return product


def test_each_layer_is_at_the_rate_of_its_own_type() -> None:
    """Integers that a device has no rate of are said, and their bytes are in it all the same."""
    result = costlab.bounds(Several(), (4, 4), device=SLOW)
    half, whole, numbers = (
        next(bound for path, (_, bound) in result.bounded.of_rows.items() if path == name)
        for name in ("narrow", "whole", "matmul")
    )
    assert whole.compute == 2 * half.compute == 2 * 64 * 10**10
    assert (numbers.needed, numbers.compute) == (64, 0)
    assert numbers.least == numbers.memory > 0
    assert "slow has no rate of int64: of what multiplies these, only bytes" in result.to_text(200)
    assert "200 FLOPS on bfloat16, 100 FLOPS on float32" in result.to_text(200)


class Whole(nn.Module):
    """Multiplies integers."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.long() @ x.long().T


def test_what_has_no_rate_is_said_beside_every_bound() -> None:
    """Else a network whose multiplications are left out looks like one that has fewer."""
    models = Whole(), nn.Linear(4, 4)
    how: dict[str, Any] = {"input_size": (4, 4), "device": "h100-sxm"}
    assert "h100-sxm has no rate of int64: of what" in costlab.compare(*models, **how).to_text(200)
    missing = "without the arithmetic of integers or complex numbers that it has no rate of"
    checked = costlab.check(models[0], "time_bound < 1 ps", **how)
    followed = costlab.formula(models[0], input_size=("N", 4), device="h100-sxm")
    assert all(missing in result.to_text(400) for result in (checked, followed))


def test_where_convolutions_may_be_in_tf32_is_said() -> None:
    """torch's products are not, unless asked for; what a device has no rate of is not said."""
    assert "--dtype tf32" in costlab.bounds("lenet5", device="h100-sxm").to_text()
    for other in (
        costlab.bounds(nn.Linear(8, 8), (1, 8), device="h100-sxm"),
        costlab.bounds("lenet5", device="h100-sxm", dtype="bfloat16"),
        costlab.bounds("lenet5", device="v100-sxm2"),
    ):
        assert "tf32" not in other.to_text()


def test_an_unknown_bandwidth_is_said() -> None:
    result = costlab.bounds("lenet5", device="apple-a14-ane", dtype="float16")
    assert result.fused.memory == 0
    assert "bandwidth of apple-a14-ane is not known" in result.to_text()


@pytest.mark.parametrize("format", ["table", "markdown", "comment", "csv", "json", "latex"])
def test_the_command_in_all_formats(costlab: Run, format: str) -> None:
    args = ("bounds", "reduced/branch5x5", "--device", "h100-sxm", "--dtype", "bfloat16")
    done = costlab(*args, "--format", format)
    assert done.returncode == 0, done.stderr
    assert "memory" in done.stdout


def test_the_command_takes_a_device_of_ones_own(costlab: Run, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        "[[device]]\nid = 'box'\nname = 'My box'\nfigures = [\n"
        "{ of = 'float32', derived = '8 cores · 16 lanes · 2 · 3 GHz' },\n"
        "{ of = 'bandwidth', printed = '40 GB/s' },\n]",
        encoding="utf-8",
    )
    done = costlab("bounds", "naive", "--device", str(path), "--format", "json")
    data = json.loads(done.stdout)
    assert data["device"] == "box"
    assert data["bandwidth"] == 40 * 10**9
    assert data["fused"]["compute_ps"] < 2 * data["fused"]["macs"] * 1000 / 768
    assert {"least_ps", "least_read_bytes", "binds"} <= data["rows"][0].keys()


def test_a_faster_device_takes_no_longer() -> None:
    slow, fast = (costlab.bounds("vgg16", device=name) for name in ("k40", "h100-sxm"))
    assert fast.one_by_one.least < slow.one_by_one.least
    rate = device_named("k40").rate("bandwidth")
    assert rate is not None
    assert device_named("k40").memory == ((0, rate.value),)


def test_a_part_says_what_binds_its_layers() -> None:
    text = costlab.bounds("googlenet", device="h100-sxm", dtype="bfloat16", depth=1).to_text()
    binds = {line.split()[0]: line.split()[-1] for line in text.splitlines() if " µs" in line}
    assert (binds["conv1"], binds["conv2"], binds["one"]) == ("memory", "both", "both")


def test_a_line_is_of_the_macs_that_its_time_is_of() -> None:
    """Those of taps on padding are in no time; a wide table has both, and what is read apart."""
    result = costlab.bounds("naive", device=SLOW, depth=1)
    counted, needed = result.fused.macs, result.fused.needed
    assert needed == sum(needed_macs(row) for row in result.table.rows) < counted
    assert result.fused.compute == needed * 2 * 10**10
    text = result.to_text(200)
    (head,) = (line.split() for line in text.splitlines() if line.startswith("layer "))
    assert head[:7] == ["layer", "operation", "MACs", "needed", "MACs", "read", "written"]
    assert f"{counted:,}  {needed:,}" in text
    assert f"of {counted:,} MACs, without taps on padding" in text
    assert "that no kernel can leave out: here all" in costlab.bounds(
        "lenet5", device=SLOW
    ).to_text(200)


def test_what_binds_is_the_same_in_tables_and_in_files() -> None:
    result = costlab.bounds("naive", device="h100-sxm", depth=1)
    assert [row["binds"] for row in result.records()] == ["both"] * 3 + ["memory"] * 2
    assert (result.one_by_one.binds, result.fused.binds) == ("both", "compute")
