"""What is asked of a GPU, which is not there: torch's ``meta`` device and fakes stand for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import costlab
from costlab.devices.files import called_by_torch, devices
from costlab.errors import ChoiceError
from costlab.models.reference import Run as How
from costlab.roofline import this
from costlab.roofline.bounds import InTf32, Roofline
from costlab.timing import samples
from costlab.timing.measure import _in_tf32, _peak_memory, _rates, _where
from costlab.timing.subjects import Subject, _all_on, subject

BRANCH = "reduced/branch5x5"
RATES = {"types": {"float32": 100}, "how": {"float32": "a guess"}, "bytes": {"16": 10}}


@pytest.fixture(autouse=True)
def gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A machine with a GPU of which nothing is measured; its name, which may be changed."""
    name = ["NVIDIA H200"]
    monkeypatch.setenv("COSTLAB_CACHE", str(tmp_path))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: name[0])
    monkeypatch.setattr(this, "_measured", lambda threads, on: RATES)
    return name


def test_a_gpu_is_used_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert this.place() == this.place("cuda") == "cuda"
    assert this.place("cpu") == "cpu"
    with pytest.raises(ChoiceError, match="there is no mps to run on: give cpu or cuda"):
        this.place("mps")
    assert this.this_device().name.startswith("NVIDIA H200, torch")
    assert "NVIDIA" not in this.this_device(on="cpu").name
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert this.place() == "cpu"
    for built, why in (("12.8", ""), (None, ", which torch .* is built without")):
        monkeypatch.setattr(torch.version, "cuda", built)
        with pytest.raises(ChoiceError, match=f"there is no cuda to run on{why}: give cpu"):
            costlab.bounds("lenet5", device="this:cuda")


def test_a_module_is_timed_where_it_is() -> None:
    on_cpu: Any = torch.nn.Linear(1, 1)
    on_meta: Any = torch.nn.Linear(1, 1, device="meta")
    assert [_where(m) for m in ([on_cpu], ["naive", on_cpu], ["naive"])] == ["cpu", "cpu", ""]
    assert [_where(m) for m in ([on_meta], [on_meta, on_cpu])] == ["", ""]
    with pytest.raises(ChoiceError, match=r"is on meta, not on cpu: move both there$"):
        costlab.time(on_meta, inputs=(torch.zeros(1, 1),), on="cpu")


def test_what_cudnn_computes_is_held_against_tf32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which torch lets it do unless it is told not to; of the rest only if it is asked for."""
    table = costlab.analyze("lenet5")
    exact = costlab.bounds("lenet5", device="h200-sxm").bounded
    assert [_in_tf32("cpu"), _in_tf32("cuda")] == ["", "cudnn"]
    monkeypatch.setattr(torch.backends.cuda, "matmul", SimpleNamespace(allow_tf32=True))
    assert _in_tf32("cuda") == "all"
    kinds_of: dict[InTf32, set[str]] = {"cudnn": {"conv"}, "all": {"conv", "linear"}}
    for which, kinds in kinds_of.items():
        line = Roofline(exact.roofline.device, in_tf32=which)
        faster = {
            row.layer.op.kind
            for row in table.rows
            if line.compute(row, row.macs) < exact.roofline.compute(row, row.macs)
        }
        assert faster == kinds
    without = costlab.bounds("lenet5", device="p40").bounded.roofline
    line = Roofline(without.device, in_tf32="all")
    assert [line.least(row) for row in table.rows] == [without.least(row) for row in table.rows]


def test_a_gpu_that_was_not_measured_is_looked_up_by_its_name() -> None:
    device, unsure = this.known_device(1, "cuda")
    assert (device.id, unsure) == ("h200-sxm", "")
    assert not this.cache_file().exists()
    assert this.this_device(on="cuda").id == "this"
    device, unsure = this.known_device(1, "cuda")  # now it is measured
    assert (device.id, unsure) == ("this", "")
    assert device.peak("float32").value == 110


@pytest.mark.parametrize("name", ["NVIDIA GeForce GT 1030", "NVIDIA H200 MIG 1g.18gb", "H2"])
def test_a_gpu_that_the_ledger_does_not_have_is_measured(gpu: list[str], name: str) -> None:
    gpu[0] = name
    assert [this.known_device(1, "cuda")[0].id, this.known_device(1, "cuda")[1]] == ["this", ""]


def test_a_name_that_means_several_is_not_guessed(gpu: list[str]) -> None:
    gpu[0] = "Orin"
    device, unsure = this.known_device(1, "cuda")
    assert device.id == "this"
    assert unsure.startswith("Orin is jetson-orin-nano or jetson-agx-orin: its rates were measured")


@pytest.mark.parametrize(
    ("name", "device"),
    [
        ("NVIDIA H100 80GB HBM3", "h100-sxm"),
        ("NVIDIA H100 PCIe", "h100-pcie"),
        ("NVIDIA A100-SXM4-80GB", "a100-sxm"),
        ("A100-SXM4-40GB", "a100-sxm-40gb"),
        ("Tesla V100-SXM2-32GB", "v100-sxm2"),
        ("GeForce RTX 2080 Ti", "rtx-2080-ti"),
        ("NVIDIA GeForce RTX 4090", "rtx-4090"),
        ("AMD Instinct MI300X", "mi300x"),
    ],
)
def test_names_of_torch(name: str, device: str) -> None:
    assert [known.id for known in called_by_torch(name)] == [device]


def test_all_names_but_orins_mean_one_device() -> None:
    names = {name for device in devices() for name in device.torch_names}
    assert {name for name in names if len(called_by_torch(name)) > 1} == {"Orin"}
    assert not called_by_torch("")


def test_a_gpu_from_the_call_to_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its bound is of the ledger, says which, and its machine is not that entry."""
    monkeypatch.setattr("costlab.timing.measure.place", lambda on: "meta")
    monkeypatch.setattr("costlab.timing.measure._LAYER_LIMIT", 0.0)
    net = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Tanh())  # quick on meta
    timing = costlab.time(net, input_size=(2, 4), by_layer=True, threads=1, limit=0.1)
    assert (timing.on, timing.machine, timing.device) == ("meta", "NVIDIA H200", "h200-sxm")
    assert timing.timed[0].bound == costlab.bounds(net, (2, 4), device="h200-sxm").fused
    assert [layer.path for layer in timing.timed[0].layers] == ["0", "1"]
    text = timing.to_text(200)
    assert "On NVIDIA H200; meta, torch" in text
    assert "at the rates of h200-sxm (costlab devices h200-sxm)" in text


def test_a_type_that_the_ledger_has_no_rate_of_is_measured(
    gpu: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu[0] = "Tesla P40"
    rates = {**RATES, "types": {"bfloat16": 100}, "how": {"bfloat16": "a guess"}}
    monkeypatch.setattr(this, "_measured", lambda threads, on: rates)
    net = torch.nn.Linear(4, 4, dtype=torch.bfloat16)
    subjects = [subject(net, (2, 4), How(), "cpu")]
    assert _rates(subjects, "", 1, "cuda")[0].id == "this"
    with pytest.raises(ChoiceError, match="p40 has no rate of bfloat16: leave --device out"):
        _rates(subjects, "p40", 1, "cuda")


def test_a_type_that_was_not_measured_before_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a machine that an older costlab measured."""
    net = torch.nn.Linear(4, 4, dtype=torch.float16)
    subjects = [subject(net, (2, 4), How(), "cpu")]
    with pytest.raises(ChoiceError, match=r"this has no rate of float16: give --device, one that"):
        _rates(subjects, "", 1, "cpu")
    rates = {**RATES, "types": {"float16": 100}, "how": {"float16": "a guess"}}
    monkeypatch.setattr(this, "_measured", lambda threads, on: rates)
    assert _rates(subjects, "", 1, "cpu")[0].peak("float16").value == 110


def test_it_is_measured_by_work_that_fills_it() -> None:
    """On ``meta`` nothing is computed, so that what would be asked of a GPU can be seen here."""
    of_cpu, of_gpu = (
        [work() for work in this._products(torch.float16, on)] for on in ("cpu", "meta")
    )
    assert max(operations for _, operations, _ in of_gpu) == 2 * 8192**3
    for name, operations, run in [*of_cpu[-1:], *of_gpu]:
        result = run()
        if "product" in name:
            assert operations == 2 * result.shape[0] ** 3
        else:
            channels, kernel = result.shape[1], 29 - result.shape[2]
            assert operations == 2 * result.numel() * channels * kernel**2


def test_types_without_kernels_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def products(dtype: Any, on: str) -> Iterator[Callable[[], Any]]:
        def too_large() -> Any:
            raise torch.OutOfMemoryError("no memory")

        def no_kernel() -> Any:
            raise RuntimeError("not supported")

        yield too_large
        yield lambda: ("a product", 10, no_kernel if dtype is torch.float64 else bool)

    monkeypatch.undo()
    monkeypatch.setattr(this, "_products", products)
    monkeypatch.setattr(this, "_BYTES", (2**14,))
    monkeypatch.setattr(this, "_best", lambda run, threads: run() + 1)
    monkeypatch.setattr(this, "_moved", lambda size, threads, on: 1)
    rates = this._measured(1, "meta")
    assert rates["types"] == {"float32": 10, "bfloat16": 10, "float16": 10}
    assert rates["bytes"] == {"16384": 1}


def test_a_type_without_instructions_is_not_measured_for_minutes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.undo()
    seconds = {torch.float32: 1.0, torch.float16: 200.0}
    asked: list[Any] = []

    def products(dtype: Any, on: str) -> Iterator[Callable[[], Any]]:
        for _ in range(3):
            yield lambda: ("a product", 1000, lambda: dtype)

    def best(run: Callable[[], Any], threads: int) -> float:
        asked.append(run())
        return seconds.get(run(), 1.0)

    monkeypatch.setattr(this, "_products", products)
    monkeypatch.setattr(this, "_BYTES", ())
    monkeypatch.setattr(this, "_best", best)
    assert this._measured(1, "cpu")["types"]["float16"] == 5
    assert [asked.count(dtype) for dtype in (torch.float32, torch.float64, torch.float16)] == [
        *(3, 3, 1),
    ]


def test_peak_memory_is_that_of_one_run(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    one = subject(BRANCH, None, How(), "cpu")
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda: asked.append("reset"))
    monkeypatch.setattr(Subject, "run", lambda self: asked.append("run"))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: len(asked))
    assert _peak_memory(one, "cuda") == 2
    assert asked == ["reset", "run"]


def test_another_gpu_than_the_one_that_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    own: list[Any] = [SimpleNamespace(device=torch.device("cuda", 0))]
    _all_on("cuda", "net", own)
    second: Any = SimpleNamespace(device=torch.device("cuda", 1))
    with pytest.raises(ChoiceError, match="input is on cuda:1, and cuda:0 is waited for"):
        _all_on("cuda", "net", [*own, second])
    with pytest.raises(ChoiceError, match="is on cpu, not on cuda: move both there, or time"):
        _all_on("cuda", "net", [*own, torch.zeros(1)])


def test_it_is_warm_before_it_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that goes on by a second whenever it is read."""
    rounds: list[int] = []

    def timeit(number: int) -> Any:
        rounds.append(number)
        return SimpleNamespace(mean=1.0)

    timer: Any = SimpleNamespace(timeit=timeit)
    seconds = count()
    monkeypatch.setattr(samples, "perf_counter", lambda: float(next(seconds)))
    assert samples._warmed_up(timer, warm=0.0) == 1
    assert rounds == [2, 1, 1, 1]
    samples._warmed_up(timer, warm=3.0)
    assert rounds[4:] == [2, 1, 1, 1, 1, 1]
