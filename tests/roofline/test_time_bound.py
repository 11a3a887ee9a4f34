"""The bound as a quantity: in compare, sweep, formula and check it is what `bounds` says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import Run
from torch import Tensor, nn

import costlab
from costlab.errors import ChoiceError, ExpressionError
from costlab.render.formats import render
from costlab.render.plots import Roofs
from costlab.roofline.quantity import on_device
from costlab.roofline.windows import along

H100: dict[str, Any] = {"device": "h100-sxm", "dtype": "bfloat16"}


def least(model: str, size: tuple[int, ...] | None = None) -> int:
    return costlab.bounds(model, size, **H100).one_by_one.least


def both(model: Any, size: tuple[int, ...] | None = None) -> tuple[int, int]:
    """What layers one by one take at least, and what they do fused."""
    bounds = costlab.bounds(model, size, **H100)
    return bounds.one_by_one.least, bounds.fused.least


class Views(nn.Module):
    """Whether some of these are views depends on which sizes are 1, or how long a slice is."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 6, 3, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        turned = x.transpose(1, 2).reshape(x.shape[0], -1)
        kept = torch.relu(x.permute(0, 2, 3, 1)).contiguous()
        cut = x[:, :, :3].reshape(x.shape[0], -1)
        return turned, kept, cut, torch.relu(self.conv(x)).flatten(1)


def test_compare_has_bound_beside_bound() -> None:
    comparison = costlab.compare("naive", "reduced", trace=False, **H100)
    totals = comparison.data()["totals"]
    both_models = list(zip(totals["time_bound"], totals["time_bound_fused"], strict=True))
    assert both_models == [both("naive"), both("reduced")]
    text = " ".join(comparison.to_text(200).split())
    assert "On h100-sxm in bfloat16 at least: naive 1.46 µs layer by layer, 577 ns fused" in text
    assert "−1.2 % layer by layer, −46.6 % fused; MACs −57.8 %" in text
    assert "time_bound" in comparison.to_csv()
    assert "time bound" in comparison.to_html()
    assert "time_bound" not in costlab.compare("naive", "reduced", trace=False).to_csv()


@pytest.mark.parametrize("model", ["reduced", "resnet50/conv3_1", "mobilenet-v1"])
def test_a_sweep_has_it_of_each_variant(model: str) -> None:
    frame = costlab.sweep(model, {"H=W": "96,128"}, minimize="time_bound", **H100)
    for variant in frame.to_dict("records"):
        size = tuple(int(variant[name]) for name in "NCHW")
        whole = costlab.analyze(model.partition("/")[0], size)
        part = whole.at(model.partition("/")[2]) if "/" in model else whole
        assert (variant["time_bound"], variant["time_bound_fused"]) == both(part)
    best = costlab.sweep("reduced", {"c5r": "8,16,64"}, where="time_bound < 1.45 us", **H100)
    assert list(best["c5r"]) == [8, 16]


def test_a_formula_has_it_at_every_size() -> None:
    formula = costlab.formula("naive/branch5x5", **H100)
    for side in (1, 2, 3, 28):
        at = formula.at(C=192, H=side, W=side)
        whole = costlab.analyze("naive", (1, 192, side, side))
        assert (int(at.time_bound), int(at.time_bound_fused)) == both(whole.at("branch5x5"))
    assert "time_bound" in formula.to_text()


def test_a_sweep_of_ones_own_model_has_it_whatever_is_a_view_there() -> None:
    vary = {"N": "1,2", "H": "1,3,4", "W": "1,2"}
    frame = costlab.sweep(Views(), vary, input_size="N,4,H,W", **H100)
    assert len(frame) == 12
    for variant in frame.to_dict("records"):
        size = (variant["N"], 4, variant["H"], variant["W"])
        assert (variant["time_bound"], variant["time_bound_fused"]) == both(Views(), size)
        table = costlab.analyze(Views(), size)
        assert variant["read_bytes"] == table.total.read_bytes
        assert variant["written_bytes"] == table.total.written_bytes


def test_a_formula_of_ones_own_model_has_it_where_views_are_what_they_were() -> None:
    formula = costlab.formula(Views(), input_size="N,4,H,W", **H100)
    for size in ((2, 4, 9, 3), (5, 4, 4, 2)):
        at = formula.at(N=size[0], H=size[2], W=size[3])
        assert (int(at.time_bound), int(at.time_bound_fused)) == both(Views(), size)
    assert set(formula.requires) == {"N ≥ 2", "H ≥ 4", "W ≥ 2"}
    assert costlab.formula(Views(), input_size="N,4,H,W").requires == ("H ≥ 3",)


def test_two_formulas_say_from_where_on_one_takes_less_at_least() -> None:
    """From 77 channels on the 1×1 of the 5×5 branch pays, layer by layer; fused from 17 on."""
    plain, reduced = (
        costlab.formula(f"{model}/branch5x5", at={"H": 28, "W": 28}, **H100)
        for model in ("naive", "reduced")
    )
    said = plain.compared(reduced).to_text(500)
    assert "reduced/branch5x5 has a smaller time bound from C = 77 on, naive/branch" in said
    assert "reduced/branch5x5 has a smaller time bound, fused from C = 17 on" in said
    for number, least in enumerate((77, 17)):
        for channels in (least - 1, least):
            of_plain, of_reduced = (
                both(costlab.analyze(model, (1, channels, 28, 28)).at("branch5x5"))[number]
                for model in ("naive", "reduced")
            )
            assert (of_reduced < of_plain) is (channels == least)
    elsewhere = costlab.formula("reduced/branch5x5", device="a100-sxm")
    assert "time bound" not in plain.compared(elsewhere).to_text(500)


@pytest.mark.parametrize("device", ["h100-sxm", "slow-memory.toml"])
def test_the_derivation_of_a_layer_is_its_time(
    device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("slow-memory.toml").write_text(
        '[[device]]\nid = "slow"\nname = "Slow"\nfigures = [\n'
        '  { of = "float32", derived = "100e12" }, { of = "bandwidth", derived = "1e9" },\n]\n',
        encoding="utf-8",
    )
    line, (bound, _) = on_device(device, "")
    rates = {"M": line.device.peak("float32").value, "b": line.device.memory[0][1]}
    seen = set()
    for row in costlab.analyze("alexnet").rows:
        match = re.fullmatch(
            "(2·)?([0-9,]+) (needed MACs|bytes) / [0-9.]+ .+", bound.derivation(row)
        )
        if match is None:
            assert (bound.of(row), bound.derivation(row)) == (0, row.operation)
            continue
        amount = int(match[2].replace(",", "")) * (2 if match[1] else 1)
        assert bound.of(row) == amount * 10**12 // rates[match[3].removeprefix("needed ")[0]]
        seen.add(match[3])
    assert seen == ({"bytes"} if "slow" in device else {"bytes", "needed MACs"})


def test_plain_numbers_of_times_say_what_they_are() -> None:
    """A sweep and a formula have all digits, a comparison the time."""
    assert "time bound (ps)" in costlab.formula("naive", **H100).to_text()
    assert (
        "time bound (ps)" not in costlab.compare("naive", "reduced", trace=False, **H100).to_text()
    )
    picoseconds = least("naive")
    assert f"{picoseconds:,} time bound (ps)" in costlab.formula("naive", **H100).to_text(900)
    page = costlab.compare("naive", "reduced", trace=False, **H100).to_html()
    assert str(picoseconds) in page
    assert "time bound (ps)" in page


def test_a_part_fused_is_that_part_alone() -> None:
    _, (_, fused) = on_device("h100-sxm", "bfloat16")
    table = costlab.analyze("googlenet")
    groups = [table.total, *table.to_depth(1).exported()]
    assert len(groups) == 23
    for group in groups:
        assert fused.of(group) == both(table.at(group.path) if group.path else table)[1]


def test_a_limit_on_it() -> None:
    assert costlab.check("googlenet", "time_bound <= 20 us", **H100).holds
    failed = costlab.check("googlenet", "time_bound[conv] * 2 <= 5000 ns", **H100)
    assert not failed.holds
    assert "time_bound" in failed.to_text()
    assert failed.data()["models"][0]["total"]["time_bound"] == least("googlenet")
    fused = costlab.check("googlenet", "time_bound_fused <= 4 us", **H100)
    (condition,) = fused.data()["models"][0]["limits"]
    assert condition["value"] == both("googlenet")[1]
    assert "layers" not in fused.to_text().partition("fails")[2]  # none of them is behind it
    for name in ("time_bound", "time_bound_fused"):
        with pytest.raises(ExpressionError, match="on which device"):
            costlab.check("googlenet", f"{name} <= 5 ms")
        with pytest.raises(ExpressionError, match="on which device"):
            costlab.sweep("reduced", {"c5r": "4:64:4"}, minimize=name)
        with pytest.raises(ChoiceError, match=f"{name}: on which device"):
            costlab.formula("naive", quantities=name)
        assert name in costlab.formula("naive", quantities=name, **H100).to_text()
    with pytest.raises(ChoiceError, match="on which device"):
        costlab.check("googlenet", "macs <= 5 G", dtype="bfloat16")
    assert "least on h100-sxm in bfloat16" in " ".join(fused.to_text().split())


def test_a_limit_in_a_file(costlab: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "costlab.toml").write_text(
        '[[check]]\nmodel = "reduced"\nlimits = "time_bound <= 1 us"\ndevice = "h100-sxm"\n'
        'dtype = "bfloat16"\nbaseline = "naive"\n',
        encoding="utf-8",
    )
    done = costlab("check", "--format", "json", cwd=tmp_path)
    assert done.returncode == 1
    (model,) = json.loads(done.stdout)["models"]
    assert model["total"]["time_bound"] == model["limits"][0]["value"] == least("reduced")
    assert model["base"]["time_bound"] == least("naive")


@pytest.mark.parametrize("size", range(1, 8))
def test_runs_of_places_are_those_of_the_windows_one_by_one(size: int) -> None:
    for number in (1, 2, 5):
        for taps in (1, 2, 3):
            for step in (1, 2, 3):
                for before in (-1, 0, 1, 3):
                    for apart in (1, 2, 3):
                        pairs = [
                            (tap, place)
                            for window in range(number)
                            for tap in range(taps)
                            if 0 <= (place := window * step - before + tap * apart) < size
                        ]
                        counted = along(size, number, taps, step, before, apart)
                        assert counted.pairs == len(pairs)
                        assert counted.places == len({place for _, place in pairs})
                        assert counted.used == len({tap for tap, _ in pairs})


def test_a_page_draws_layers_below_the_roof() -> None:
    result = costlab.bounds("reduced", **H100)
    (plot,) = (block for block in result.page() if isinstance(block, Roofs))
    (roof,) = plot.roofs
    assert {point.label for point in plot.points} == {
        *(row.path for row in result.table.rows if row.macs),
        "all, fused",
    }
    for point in plot.points:
        assert point.rate <= 1.0001 * min(roof.rate, plot.slope * point.intensity)  # of floats
        assert point.rate > 0.99 * min(roof.rate, plot.slope * point.intensity) or "all" in (
            point.label
        )
    assert costlab.bounds("reduced", **H100).to_html().count("<circle") == len(plot.points)


def test_a_picture_of_it() -> None:
    pytest.importorskip("matplotlib", reason="it draws pictures")
    assert "MACs for each byte" in render(costlab.bounds("reduced", **H100), "svg")
