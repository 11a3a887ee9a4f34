"""Foreign counters: what they raise, how long they take, and what they leave behind is theirs."""

from __future__ import annotations

import importlib
import logging
import random
import sys
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules import module as hooks

import costlab
from costlab.counters import CounterTotal, reconcilable, thop
from costlab.errors import how_to_install
from costlab.isolation import sandbox
from costlab.torch_private import unseen_by_modes


def problem(monkeypatch: pytest.MonkeyPatch, does: Callable[[], Any], **how: Any) -> str:
    """What is said of a counter that does this; another one is counted as ever."""

    def total(module: nn.Module, inputs: tuple[Tensor, ...]) -> CounterTotal:
        does()
        return CounterTotal("1", 0)

    costlab.reconcile("pointwise", against=["fvcore"])  # imported: done at once
    monkeypatch.setattr(thop, "COUNTER", replace(thop.COUNTER, total=total))
    thops, fvcores = costlab.reconcile("pointwise", against=["thop", "fvcore"], **how).accounts
    assert fvcores.total is not None
    assert (fvcores.residual, fvcores.problem) == (0, "")
    assert thops.total is None
    return thops.problem


def test_a_counter_that_fails_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        try:
            raise KeyError("why")
        except KeyError as error:
            raise RuntimeError("two\nlines") from error

    said = "it failed with RuntimeError: two; lines, from KeyError: 'why'"
    assert problem(monkeypatch, broken) == said
    assert problem(monkeypatch, lambda: sys.exit(3)) == "it failed with SystemExit: 3"


def test_a_counter_that_hangs_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def hangs() -> None:
        while True:
            try:
                time.sleep(0.01)
            except Exception:
                continue

    threads = threading.active_count()
    said = "it was not done after 2 seconds"
    assert problem(monkeypatch, hangs, timeout=2) == said
    while threading.active_count() > threads:  # until the watch has gone
        time.sleep(0.01)


def test_a_counter_that_takes_long_to_import_is_a_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    code = "import time\nwhile True:\n    time.sleep(0.01)\n"
    (tmp_path / "long_counter.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    fvcore = importlib.import_module("costlab.counters.fvcore")
    monkeypatch.setattr(fvcore, "COUNTER", replace(fvcore.COUNTER, package="long_counter"))
    (account,) = costlab.reconcile("pointwise", against=["fvcore"], timeout=0.5).accounts
    assert account.problem == "it was not done after 0.5 seconds"


def test_a_counter_that_catches_everything_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def stubborn() -> None:
        try:
            while True:
                time.sleep(0.01)
        except BaseException:
            while True:
                time.sleep(0.01)

    assert "not done" in problem(monkeypatch, stubborn, timeout=2)


def test_what_is_nearly_late_is_done_or_late_and_not_interrupted_afterwards() -> None:
    for _ in range(40):
        with suppress(TimeoutError):
            assert sandbox.run_within(0.01, lambda: time.sleep(0.0099)) is None
    time.sleep(0.05)


@pytest.mark.parametrize("seconds", [60, 0.05])
def test_under_a_profiler_it_ends_too(seconds: float) -> None:
    """Python 3.11 turned in a circle for ever at the next call."""

    def run() -> int:
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            pass
        return 1

    sys.setprofile(lambda *_: None)
    try:
        if seconds == 60:
            assert sandbox.run_within(seconds, run) == 1
        else:
            with pytest.raises(TimeoutError):
                sandbox.run_within(seconds, run)
        assert sum(map(abs, range(-9, 9))) == 81
    finally:
        sys.setprofile(None)


def test_a_counter_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = replace(thop.COUNTER, package="no_such_package")
    monkeypatch.setattr(thop, "COUNTER", missing)
    named = costlab.reconcile("pointwise", against=["fvcore", "thop"])
    account = named.accounts[1]
    assert account.problem == f"not installed: {how_to_install('counters')}"
    assert not named.explained  # it was asked for
    assert "1 of 2 are explained: 1 counter did not run (thop)." in named.to_markdown()
    everyone = costlab.reconcile("pointwise")
    assert everyone.explained
    assert "Every unit is explained" in everyone.to_markdown()  # by those that are there


@pytest.mark.parametrize("version", ["2.2.3", "9.0"])
def test_a_counter_is_known_by_what_was_imported(
    version: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Another tool has thop's import name; where both are installed, its files are found first."""
    (tmp_path / "thop").mkdir()
    installed = tmp_path / f"ultralytics_thop-{version}.dist-info"
    installed.mkdir()
    metadata = f"Metadata-Version: 2.1\nName: ultralytics-thop\nVersion: {version}\n"
    (installed / "METADATA").write_text(metadata)
    (installed / "top_level.txt").write_text("thop\n")
    source = f"__version__ = {version!r}\ndef profile(*_, **more): return 2304, 0, {{}}\n"
    (tmp_path / "thop" / "__init__.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.partition(".")[0] == "thop"]:
        monkeypatch.delitem(sys.modules, name)
    asked = ["thop", "ultralytics_thop"]
    absent, there = costlab.reconcile("pointwise", against=asked).accounts
    other = f"not installed: what is imported as thop is {version} (ultralytics-thop)"
    assert (absent.total, absent.problem) == (None, other)
    assert there.total is not None
    assert (there.total.version, there.residual) == (version, 0)
    unknown = (
        f"what is imported as thop is {version}, and its terms are known of "
        "ultralytics_thop 2.2: others may not fit"
    )
    assert there.remark == ("" if version == "2.2.3" else unknown)
    everyone = {account.counter for account in costlab.reconcile("pointwise").accounts}
    assert "ultralytics_thop" in everyone
    assert "thop" not in everyone
    monkeypatch.undo()
    importlib.invalidate_caches()
    sys.modules.pop("thop", None)
    there, absent = costlab.reconcile("pointwise", against=asked).accounts
    assert (there.remark, there.residual) == ("", 0)
    assert absent.problem.startswith("not installed: what is imported as thop is 0.1.1")


def test_what_a_counter_leaves_changed_is_put_back(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    functions = (F.relu, torch.add, torch.Tensor.add, nn.Module.forward)

    def untidy() -> None:
        print("noise")
        print("noise", file=sys.stderr)
        warnings.warn("noise", stacklevel=1)
        logging.warning("noise")
        torch.manual_seed(7)
        random.seed(7)
        for home, name in ((F, "relu"), (torch, "add"), (torch.Tensor, "add")):
            setattr(home, name, abs)
        nn.Module.forward = abs
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        hooks.register_module_forward_hook(lambda *_: None)
        raise ValueError

    registered, own = dict(hooks._global_forward_hooks), "add" in vars(torch.Tensor)
    handlers, state, drawn = logging.root.handlers[:], torch.get_rng_state(), random.getstate()
    assert problem(monkeypatch, untidy) == "it failed with ValueError"
    assert (F.relu, torch.add, torch.Tensor.add, nn.Module.forward) == functions
    assert ("add" in vars(torch.Tensor)) is own  # ptflops, run by itself, leaves it there
    assert torch.equal(torch.get_rng_state(), state)
    assert random.getstate() == drawn
    assert torch.get_default_dtype() == torch.float32
    assert torch.is_grad_enabled()
    assert logging.root.handlers == handlers
    assert hooks._global_forward_hooks == registered
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", reconcilable())
def test_a_model_that_raises_leaves_nothing_behind(name: str) -> None:
    """Some of them replace functions of torch, and do not put them back if the model raises."""

    class Raises(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            with unseen_by_modes():  # a run on shapes does not show itself
                followed = x.is_meta
            if not followed:
                raise ValueError("no\nmore")
            return F.relu(x)

    homes = (torch, F, torch.Tensor)
    before = [dict(vars(home)) for home in homes]
    (account,) = costlab.reconcile(Raises(), (1, 3), against=[name]).accounts
    assert account.problem.startswith("not installed") or "no; more" in account.problem
    for home, names in zip(homes, before, strict=True):
        changed = [key for key in names if vars(home)[key] is not names[key]]
        assert changed == []
    assert vars(torch.Tensor).keys() == before[2].keys()
