"""Times of several functions, measured in turns, with intervals of their medians."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import comb
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

from torch.utils.benchmark import Timer

from costlab.timing.others import Others

FEWEST = 10
"""Rounds at least: an interval of fewer says little."""
_SHORTEST = 5e-3
"""How long a round of one function takes at least, in seconds."""
BUSY = 0.1
"""What others may take of the processors before it is said."""


class Interval(NamedTuple):
    """A median, and where it is with 95 % confidence."""

    median: float
    low: float
    high: float

    @property
    def width(self) -> float:
        """Half of the interval, as a share of the median."""
        return (self.high - self.low) / (2 * self.median) if self.median else 0.0


def interval(values: Sequence[float]) -> Interval:
    """The median and its interval: of order statistics, whatever the distribution is."""
    ordered, number = sorted(values), len(values)
    below, total = 0, 2**number
    rank = 0
    while rank < number // 2 and 40 * (below + comb(number, rank)) <= total:
        below += comb(number, rank)
        rank += 1
    first = max(rank - 1, 0)
    return Interval(median(ordered), ordered[first], ordered[number - 1 - first])


@dataclass
class Samples:
    """Seconds of each function, by round; and what there is to know of them."""

    seconds: list[list[float]]
    enough: bool = False
    """Whether the intervals are as narrow as was asked."""
    busy: float = 0.0
    """What others took of the processors meanwhile, as a share of all of them."""
    notes: list[str] = field(default_factory=list)

    def of(self, number: int) -> Interval:
        """The time of a function."""
        return interval(self.seconds[number])

    def ratio(self, number: int) -> Interval:
        """How many times as long it takes as the first one, round by round."""
        pairs = zip(self.seconds[number], self.seconds[0], strict=True)
        return interval([mine / first for mine, first in pairs])


def in_turns(
    runs: Sequence[Callable[[], Any]],
    threads: int,
    narrow: float = 0.02,
    limit: float = 30.0,
    warm: float = 0.0,
) -> Samples:
    """Run all functions once a round, until the interval of each is ``narrow`` or time is over.

    ``narrow`` is half of the interval as a share of the median, ``limit`` are seconds for all, of
    more than ``FEWEST`` rounds, and ``warm`` those that each runs before at least. torch's timer
    waits for a GPU before it reads the clock, on all of its streams.
    """
    timers = [Timer("run()", globals={"run": run}, num_threads=threads) for run in runs]
    start = perf_counter()
    numbers = [_warmed_up(timer, warm) for timer in timers]
    others = Others(threads)
    samples = Samples([[] for _ in runs])
    while True:
        for seconds, timer, number in zip(samples.seconds, timers, numbers, strict=True):
            seconds.append(timer.timeit(number).mean)
        done = len(samples.seconds[0])
        if done < FEWEST:
            continue
        over = perf_counter() - start > limit
        if over or done % 5 == 0:
            samples.enough = all(samples.of(n).width <= narrow for n in range(len(runs)))
            if samples.enough or over:
                break
    samples.busy = others.share()
    samples.notes = _notes(samples, narrow)
    return samples


def _warmed_up(timer: Timer, warm: float) -> int:
    """Runs a function until it is warm; gives how many times make a round long enough."""
    start = perf_counter()
    timer.timeit(2)
    taken = min(timer.timeit(1).mean for _ in range(3))
    number = max(1, round(_SHORTEST / max(taken, 1e-7)))
    while perf_counter() - start < warm:
        timer.timeit(number)
    return number


def busy(share: float, when: str = "") -> str:
    """That others took so much of the processors."""
    return f"The machine was busy{when}: others took {100 * share:.0f} % of its processors."


def _notes(samples: Samples, narrow: float) -> list[str]:
    """What makes the numbers weaker than they look."""
    notes = []
    if samples.busy > BUSY:
        notes.append(f"{busy(samples.busy)} Ratios stand better than times, since runs took turns.")
    if not samples.enough:
        widest = max(samples.of(n).width for n in range(len(samples.seconds)))
        notes.append(
            f"Too few runs: an interval is still ±{100 * widest:.3g} %, not ±{100 * narrow:g} %; "
            "--limit gives more time."
        )
    third = len(samples.seconds[0]) // 3
    drift = max(median(s[-third:]) / median(s[:third]) for s in samples.seconds)
    if drift > 1.1:
        notes.append(
            f"Runs became slower, by {100 * (drift - 1):.0f} %: the processor may have been "
            "throttled, or others came."
        )
    return notes
