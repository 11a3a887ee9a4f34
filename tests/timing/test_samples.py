"""Runs in turns: when they end, intervals of their medians, and what is said of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from costlab.timing import others
from costlab.timing.samples import Samples, _notes, in_turns, interval


@pytest.mark.parametrize(
    ("number", "low", "high"), [(1, 0, 0), (5, 0, 4), (10, 1, 8), (20, 5, 14), (100, 39, 60)]
)
def test_intervals_of_medians_are_of_order_statistics(number: int, low: int, high: int) -> None:
    """As in tables: the 2nd and 9th of 10, the 6th and 15th of 20, the 40th and 61st of 100."""
    found = interval([float(value) for value in reversed(range(number))])
    assert (found.low, found.high) == (low, high)
    assert found.median == (number - 1) / 2


def test_functions_take_turns() -> None:
    order: list[str] = []
    runs = [lambda: order.append("a"), lambda: order.append("b")]
    samples = in_turns(runs, threads=1, narrow=1.0, limit=1.0)
    assert len(samples.seconds[0]) == len(samples.seconds[1]) >= 10
    rounds = "".join(order).split("ab")  # each a that follows a b begins a round
    assert "".join(order).count("ba") >= 10, len(rounds)


def test_a_limit_ends_it_after_ten_rounds() -> None:
    samples = in_turns([lambda: None], threads=1, narrow=-1.0, limit=0.0)
    assert len(samples.seconds[0]) == 10
    assert not samples.enough


def test_a_busy_machine_throttling_and_too_few_runs_are_said() -> None:
    steady = Samples([[1.0] * 30], enough=True)
    assert _notes(steady, 0.02) == []
    busy = Samples([[1.0] * 30], enough=True, busy=0.5)
    assert "machine was busy: others took 50 %" in _notes(busy, 0.02)[0]
    slower = Samples([[1.0] * 20 + [1.5] * 10], enough=True)
    assert "became slower, by 50 %" in _notes(slower, 0.02)[0]
    few = Samples([[1.0, 2.0] * 5])
    assert "Too few runs" in _notes(few, 0.02)[0]


def test_what_others_take_of_the_processors(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    counted = iter([others._Seconds(100.0, 5.0, 10.0), others._Seconds(120.0, 13.0, 20.0)])
    with monkeypatch.context() as patch:
        patch.setattr(others, "_seconds", lambda: next(counted))
        assert others.Others(threads=1).share() == (20 - 8) / (10 * 4)
    monkeypatch.setattr(others, "_STAT", tmp_path / "none")
    monkeypatch.setattr(os, "getloadavg", lambda: (3.0, 0.0, 0.0), raising=False)
    assert others.Others(threads=1).share() == 0.5
    assert others.Others(threads=8).share() == 0
