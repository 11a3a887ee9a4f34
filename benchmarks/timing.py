"""Interleaved timing: every contender once a round, so that a busy moment hits all of them."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from time import perf_counter

from tabulate import tabulate

Contender = tuple[Callable[[], object], Callable[[], object]]
"""What prepares a run, untimed, and the run."""


def nothing() -> None:
    """Prepare nothing."""


def interleaved(contenders: dict[str, Contender], rounds: int) -> dict[str, list[float]]:
    """Seconds of each run by contender, after one untimed round."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for current in range(rounds + 1):
        for name, (prepare, run) in contenders.items():
            prepare()
            start = perf_counter()
            run()
            if current:
                times[name].append(perf_counter() - start)
    return times


def report(times: dict[str, list[float]], reference: str) -> str:
    """Median, minimum, and how many times the reference's median each takes."""
    base = median(times[reference])
    return tabulate(
        [
            [name, median(runs) * 1e3, min(runs) * 1e3, median(runs) / base]
            for name, runs in times.items()
        ],
        headers=["", "median ms", "min ms", f"times {reference}"],
        floatfmt=("", ".2f", ".2f", ".2f"),
    )
