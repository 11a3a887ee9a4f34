"""Measured times: how they are taken and told, and that none is below its bound."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import Run
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

import costlab
from costlab.devices.device import Device, DeviceFigure
from costlab.devices.ledger import DeviceLedger
from costlab.devices.verdict import judge
from costlab.errors import ChoiceError, ReportError, TraceError
from costlab.models.reference import Run as How
from costlab.render.formats import render
from costlab.roofline import this
from costlab.timing import others
from costlab.timing.result import Timing
from costlab.timing.samples import Interval
from costlab.timing.subjects import subject

FAST = Device(
    "fast",
    "faster than all",
    "",
    "",
    (DeviceFigure("float32", derived="1e18"), DeviceFigure("bandwidth", derived="1e18")),
)
SLOW = Device(
    "slow",
    "slower than all",
    "",
    "",
    (DeviceFigure("float32", derived="1000"), DeviceFigure("bandwidth", derived="1000")),
)
BRANCH = "reduced/branch5x5"
LITTLE: dict[str, Any] = {"threads": 1, "on": "cpu", "limit": 0.2}


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Device]:
    """This machine, measured for these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COSTLAB_CACHE", str(tmp_path_factory.mktemp("cache")))
        one_type = this._CPU_WORK._replace(types=("float32",))  # the only one that is run here
        patch.setattr(this, "_CPU_WORK", one_type)
        yield this.this_device(threads=1, on="cpu")


def test_no_time_is_below_its_bound(machine: Device) -> None:
    """Of whole networks, and of each layer alone; the rates are those of this machine, just now."""
    for name in (BRANCH, "naive"):
        timing = costlab.time(name, by_layer=True, **LITTLE)
        assert timing.below_bound == ()
        assert len(timing.timed[0].layers) >= 4


@pytest.fixture(scope="module")
def too_fast() -> Timing:
    """A time beside a bound that is far too large."""
    return costlab.time(BRANCH, by_layer=True, depth=1, device=SLOW, **LITTLE)


def test_a_time_below_its_bound_is_a_fault_that_is_said(too_fast: Timing) -> None:
    assert too_fast.below_bound[0] == BRANCH
    assert f"{BRANCH}/conv" in too_fast.below_bound
    text = too_fast.to_text(200)
    assert f"{BRANCH} was faster than its bound by the rates of slow: is it" in text
    assert "at the rates of slow; [..]" in text  # which no list of devices has
    assert " 0.00 times" not in text
    measured = replace(too_fast, device=this.THIS)
    assert f"{BRANCH} was faster than its bound: a fault in it, please report." in measured.warnings


def test_a_machine_that_was_measured_too_slow_is_measured_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[bool] = []

    def measured(threads: int, on: str, *, again: bool = False) -> Device:
        asked.append(again)
        return FAST if again else SLOW

    monkeypatch.setattr("costlab.timing.measure.this_device", measured)
    monkeypatch.setattr("costlab.roofline.this.this_device", measured)
    timing = costlab.time(BRANCH, **LITTLE)
    assert asked == [False, True]
    assert timing.below_bound == ()
    assert timing.device == FAST.id


def test_models_are_compared_with_the_first_one() -> None:
    timing = costlab.time(BRANCH, "lenet5", device=FAST, **LITTLE)
    first, second = timing.timed
    assert first.ratio == Interval(1, 1, 1)
    assert first.runs == second.runs >= 10
    assert second.ratio.low <= second.ratio.median <= second.ratio.high
    assert "lenet5 takes " in timing.headline()
    assert "of its MACs." in timing.headline()
    assert timing.made_with()["torch"] == torch.__version__.partition("+")[0]


class Asks(nn.Module):
    """Code that asks for a value."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.sum() > 0:
            return x
        result: torch.Tensor = self.linear(x)
        return result


def test_what_asks_for_values_is_followed_on_real_tensors() -> None:
    with pytest.raises(TraceError, match="real=True"):
        costlab.time(Asks(), input_size=(2, 4), device=FAST, **LITTLE)
    (timed,) = costlab.time(Asks(), input_size=(2, 4), device=FAST, real=True, **LITTLE).timed
    assert timed.macs == 32
    layers = (
        costlab.time(Asks(), input_size=(2, 4), device=FAST, real=True, by_layer=True, **LITTLE)
        .timed[0]
        .layers
    )
    assert [layer.path for layer in layers] == ["linear"]  # what runs is what was counted


class Counts(nn.Module):
    """Notes how often it ran, and in which mode."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.runs: list[tuple[bool, bool]] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.linear(x)
        return result


def test_a_module_is_left_as_it_was() -> None:
    module = nn.Sequential(Counts(), nn.Dropout(), nn.BatchNorm1d(4)).train()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    timing = costlab.time(module, input_size=(2, 4), by_layer=True, device=FAST, **LITTLE)
    assert module.training
    assert all(torch.equal(before[name], now) for name, now in module.state_dict().items())
    assert not any(one._forward_pre_hooks for one in module.modules())
    assert {layer.path for layer in timing.timed[0].layers} == {"0.linear", "1", "2"}
    lazy = nn.LazyLinear(3)
    costlab.time(lazy, input_size=(2, 4), device=FAST, **LITTLE)
    assert is_lazy(lazy.weight)
    assert is_lazy(lazy.bias)


def test_a_module_runs_where_it_is_timed() -> None:
    """``meta`` stands for another device, as CUDA is."""
    with pytest.raises(ChoiceError, match=r"is on cpu, not on meta: move both there, or time th"):
        subject(nn.Linear(4, 4), (2, 4), How(), "meta")
    alone = subject(nn.ReLU(), (2, 4), How(), "meta")
    assert [tensor.device.type for tensor in alone.args] == ["meta"]
    inputs = (torch.rand(2, 4),)
    with pytest.raises(ChoiceError, match="or its input is on cpu, not on meta"):
        subject(nn.ReLU(), None, How(inputs), "meta")


def test_a_module_of_code_is_moved(tmp_path: Path) -> None:
    code = tmp_path / "mine.py"
    code.write_text("from torch import nn\nnet = lambda: nn.Linear(4, 4)\n", encoding="utf-8")
    moved = subject(f"{code}:net", (2, 4), How(), "meta")
    assert {tensor.device.type for tensor in (*moved.args, *moved.module.parameters())} == {"meta"}


def test_what_cannot_be_timed(tmp_path: Path) -> None:
    with pytest.raises(ChoiceError, match="give the models"):
        costlab.time(device=FAST)
    with pytest.raises(ChoiceError, match="there is no cuda-1 to run on: give cpu"):
        costlab.time("lenet5", on="cuda-1", device=FAST)
    with pytest.raises(ChoiceError, match="tpu-v4 has no rate of float32: leave --device out"):
        costlab.time("lenet5", on="cpu", device="tpu-v4")
    saved = tmp_path / "saved.json"
    saved.write_text(costlab.analyze("lenet5").to_json(), encoding="utf-8")
    with pytest.raises(ChoiceError, match="give the model that it was made from"):
        costlab.time(str(saved), device=FAST, **LITTLE)


def test_layers_that_ran_too_few_times_beside_others_are_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(others.Others, "share", lambda self: 0.5)
    monkeypatch.setattr("costlab.timing.measure._LAYER_LIMIT", 0.0)
    monkeypatch.setattr("costlab.timing.measure._LAYER_NARROW", -1.0)
    notes = costlab.time(BRANCH, by_layer=True, device=FAST, narrow=100.0, **LITTLE).notes
    text = "\n".join(notes)  # a machine that is busy indeed may have others said, too
    assert "The machine was busy: others took 50 % of its processors. Ratios" in text
    assert (
        f"The machine was busy while layers of {BRANCH} ran alone: others took 50 % of its "
        "processors."
    ) in notes
    assert f"Too few runs of 4 of 4 layers of {BRANCH} alone: " in text


def test_what_was_measured_is_kept_and_let_go(
    machine: Device, costlab: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = this.this_device(threads=1, on="cpu")
    assert again == machine
    assert this.cache_file().exists()
    shown = costlab("bounds", "lenet5", "--device", "this:cpu", "--format", "json")
    if torch.get_num_threads() == 1:
        assert json.loads(shown.stdout)["device"] == "this"
    kept = this.cache_file().read_text(encoding="utf-8")
    assert "removed" in costlab("devices", "--forget").stdout
    assert not this.cache_file().exists()
    assert "there is no" in costlab("devices", "--forget").stdout
    this.cache_file().write_text(kept, encoding="utf-8")


def test_a_broken_cache_is_measured_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COSTLAB_CACHE", str(tmp_path))
    this.cache_file().write_text("{", encoding="utf-8")
    rates = {"types": {"float32": 100}, "how": {"float32": "a guess"}, "bytes": {"16": 10, "64": 5}}
    monkeypatch.setattr(this, "_measured", lambda threads, on: rates)
    found = this.this_device(threads=1, on="cpu")
    assert found.peak("float32").value == 110
    assert found.memory == ((0, Fraction(11)), (64, Fraction(11, 2)))
    shown = DeviceLedger(tuple(judge(found, rate) for rate in found.figures)).to_text(200)
    assert "2 figures: 2 measured." in shown
    assert "note: a guess" in shown
    assert "what fits into a cache, up to 11B/s" in shown
    faster = {"types": {"float32": 90}, "how": {"float32": "?"}, "bytes": {"16": 9, "64": 10}}
    monkeypatch.setattr(this, "_measured", lambda threads, on: faster)
    assert this.this_device(threads=1, on="cpu") == found
    more = this.this_device(threads=1, on="cpu", again=True)
    assert more.memory == ((0, Fraction(11)), (64, Fraction(11)))
    assert more.figure("float32") == found.figure("float32")
    assert this.this_device(threads=1, on="cpu") == more


def test_what_makes_a_file_weak_is_said_on_the_terminal(
    costlab: Run, too_fast: Timing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = replace(too_fast, notes=("Too few runs: very few.",))
    monkeypatch.setattr("costlab.timing.measure.time", lambda *_, **__: noted)
    shown = costlab("time", BRANCH)
    assert "Too few runs: very few." in shown.stdout
    assert shown.stderr == ""
    for more in (("-o", str(tmp_path / "time.json")), ("--format", "csv")):
        done = costlab("time", BRANCH, *more)
        assert done.returncode == 1
        first, second, *_ = done.stderr.splitlines()
        assert first == "costlab: Too few runs: very few."
        assert second.startswith(
            f"costlab: {BRANCH} was faster than its bound by the rates of slow"
        )


def test_a_file_with_times_is_no_model(costlab: Run, too_fast: Timing, tmp_path: Path) -> None:
    (tmp_path / "before.json").write_text(too_fast.to_json(), encoding="utf-8")
    done = costlab("compare", "before.json", "before.json", cwd=tmp_path)
    assert done.returncode == 2
    assert "costlab time MODEL --against before.json compares with them" in done.stderr


@pytest.mark.parametrize("format", ["table", "markdown", "csv", "json", "latex"])
def test_a_timing_in_all_formats(too_fast: Timing, format: str) -> None:
    assert "branch5x5" in render(too_fast, format)


def test_a_timing_for_programs(too_fast: Timing) -> None:
    data = json.loads(too_fast.to_json())
    assert data["models"][0]["least_ns"] > data["models"][0]["median_ns"]
    assert data["threads"] == 1
    assert data["versions"]["torch"] == torch.__version__
    assert [row["path"] for row in data["rows"]][:2] == ["", "reduce"]


def test_a_timing_is_held_against_a_saved_one(too_fast: Timing, tmp_path: Path) -> None:
    path = tmp_path / "time.json"
    data = json.loads(too_fast.to_json())
    assert data["models"][0]["input"] == [[1, 192, 28, 28]]
    data["models"][0] |= {"median_ns": 1, "low_ns": 1, "high_ns": 2, "input": [[8, 192, 28, 28]]}
    data["models"][0]["macs"] *= 8
    path.write_text(json.dumps(data | {"threads": 7}), encoding="utf-8")
    now = costlab.time(BRANCH, "lenet5", device=FAST, against=path, **LITTLE)
    other_input, other_macs, slower, missing, threads = now.against
    assert other_input == f"Not the same input of {BRANCH}: 8×192×28×28 then, 1×192×28×28 now."
    assert other_macs == f"Not the same MACs of {BRANCH}: 99,549,184 then, 12,443,648 now."
    assert f"{BRANCH}: input 1×192×28×28; lenet5: input 1×1×32×32" in now.to_text(500)
    path.write_text(now.to_json(), encoding="utf-8")
    assert not any(
        "Not the same" in line
        for line in costlab.time(BRANCH, device=FAST, against=path, **LITTLE).against
    )
    assert slower.endswith(f"times what it took in {path}; the intervals are apart.")
    assert missing == f"lenet5 is not in {path}."
    assert threads == "Not the same threads: 7 then, 1 now."
    assert slower in now.to_text(500)
    for text in ("{}", "no JSON", '{"models": [1]}'):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ReportError, match="has no times: give a file that"):
            costlab.time(BRANCH, device=FAST, against=path, **LITTLE)


class Writes(nn.Module):
    """Changes a buffer, a parameter and its input, in some of the ways that there are."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4))
        self.calls: Tensor
        self.register_buffer("calls", torch.zeros(()))
        self.kept = [torch.zeros(3)]

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.weight.data.mul_(2)
        self.kept[0][1:].copy_(x[:2])
        torch._foreach_add_([x], 1.0)
        return x * self.weight


def test_what_a_model_writes_to_is_what_it_was() -> None:
    net, x = Writes(), torch.zeros(4)
    costlab.time(net, inputs=(x,), limit=0.0, threads=1)
    assert net.weight.data.tolist() == [1.0] * 4
    assert (net.calls.item(), net.kept[0].tolist(), x.tolist()) == (0.0, [0.0] * 3, [0.0] * 4)


class Raises(nn.Module):
    """Only where it is run, not where it is followed."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.linear, self.error = nn.Linear(2, 2), error

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_inference_mode_enabled():
            raise self.error
        out: Tensor = self.linear(x)
        return out


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("no"), "Raises cannot be run: ValueError: no"),
        (torch.OutOfMemoryError("CUDA out of memory"), "Raises does not fit into memory: give a "),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "does not fit into memory"),
    ],
)
def test_what_cannot_be_run_says_why(error: Exception, said: str) -> None:
    with pytest.raises(ChoiceError, match=said):
        costlab.time(Raises(error), input_size=(1, 2), limit=0.0)


def test_a_saved_time_of_nothing_is_none(tmp_path: Path) -> None:
    nothing = {"model": BRANCH, "median_ns": 0, "low_ns": 0, "high_ns": 0}
    saved = {
        "models": [nothing],
        "machine": "",
        "threads": 1,
        "on": "cpu",
        "versions": {"torch": ""},
    }
    (tmp_path / "nothing.json").write_text(json.dumps(saved), encoding="utf-8")
    with pytest.raises(ReportError, match=r"nothing\.json has no times"):
        costlab.time(BRANCH, against=tmp_path / "nothing.json")


def test_this_machine_is_named_as_elsewhere(costlab: Run) -> None:
    done = costlab("time", BRANCH, "--device", "this:cuda")
    assert "there is no cuda to run on" in done.stderr
    assert done.returncode == 2
