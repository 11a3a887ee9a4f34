"""Interleaved timing: every contender once a round, so that a busy moment hits all of them."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from statistics import median
from time import perf_counter
from typing import NamedTuple

from tabulate import tabulate


def nothing() -> None:
    """Prepare nothing."""


class Contender(NamedTuple):
    """What is timed, and what comes before it in each round, untimed."""

    run: Callable[[], object]
    prepare: Callable[[], object] = nothing


def rounds(description: str | None) -> int:
    """How many rounds the command line asks for."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15, metavar="N")
    return max(1, int(parser.parse_args().rounds))


def interleaved(contenders: Mapping[str, Contender], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each run by contender, after one untimed round."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for current in range(rounds + 1):
        for name, (run, prepare) in contenders.items():
            prepare()
            start = perf_counter()
            run()
            elapsed = perf_counter() - start
            if current:
                times[name].append(elapsed * 1e3)
    return times


def repeated(
    contenders: Mapping[str, Contender], rounds: int, least: float = 20
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Milliseconds of the first run of each round, and of the runs that follow it at once.

    Each contender runs until ``least`` milliseconds have passed. Where one run takes longer than
    that, it is both: what was before it matters little.
    """
    first: dict[str, list[float]] = {name: [] for name in contenders}
    again: dict[str, list[float]] = {name: [] for name in contenders}
    for current in range(rounds + 1):
        for name, (run, _) in contenders.items():
            runs: list[float] = []
            while sum(runs) < least:
                start = perf_counter()
                run()
                runs.append((perf_counter() - start) * 1e3)
            if current:
                first[name].append(runs[0])
                again[name] += runs[1:] or runs
    return first, again


def table(
    times: Mapping[str, list[float]],
    reference: str,
    said: Mapping[str, str] | None = None,
    *,
    digits: int = 1,
) -> str:
    """Median, minimum, the ratio of medians to the reference, and what each said, if asked."""
    base = median(times[reference])
    figure = f",.{digits}f"
    lines = [
        [
            name,
            format(median(runs), figure),
            format(min(runs), figure),
            format(median(runs) / base, ",.2f"),
            *([said[name]] if said else []),
        ]
        for name, runs in times.items()
    ]
    headers = ["", "median ms", "min ms", f"/ {reference}", *(["said"] if said else [])]
    align = ("left", *["right"] * (len(headers) - 1))
    return tabulate(lines, headers=headers, disable_numparse=True, colalign=align)
