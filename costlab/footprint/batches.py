"""The peak as a formula of the batch, from two runs that do the same.

Where both have the same operations, and the same pieces of memory from and to the same moments,
each piece is a number of bytes and a number for each one of the batch more: two runs give both.
The peak is the most of all moments, and so the most of some straight lines.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from costlab.footprint.timeline import Timeline


class Line(NamedTuple):
    """Bytes of a batch: ``fixed``, and ``each`` for each of it."""

    fixed: int
    each: int

    def at(self, batch: int) -> int:
        """The bytes of that batch."""
        return self.fixed + self.each * batch


class Peak(NamedTuple):
    """The peak of each batch from 1: the most of these lines, each of which is it somewhere."""

    lines: tuple[Line, ...]

    def at(self, batch: int) -> int:
        """The peak of that batch."""
        return max(line.at(batch) for line in self.lines)

    def largest(self, size: int) -> int | None:
        """The largest batch whose peak is at most ``size``, or 0; None if it never grows."""
        ends = [(size - line.fixed) // line.each for line in self.lines if line.each > 0]
        return max(min(ends), 0) if ends else None


def peak_of(first: Timeline, second: Timeline, batch: int, beside: tuple[int, int]) -> Peak | None:
    """The peak by the runs of a batch and of the next one; None if these do not do the same.

    ``beside`` are the bytes that each run has beside what it makes.
    """
    if _course(first) != _course(second):
        return None
    lines = set()
    for live, live_next in zip(first.live, second.live, strict=True):
        size, more = live + beside[0], live_next + beside[1]
        of_batch = more - size
        lines.add(Line(size - of_batch * batch, of_batch))
    return Peak(tuple(highest(lines)))


def _course(timeline: Timeline) -> tuple[object, ...]:
    """What happened in a run, whatever the sizes were."""
    return timeline.moments, [(piece.born, piece.died) for piece in timeline.pieces]


def highest(lines: Collection[Line]) -> list[Line]:
    """Those that are above all others at some batch from 1, by the batches at which they are."""
    now = max(lines, key=lambda line: (line.at(1), line.each))
    ordered = [now]
    while steeper := [line for line in lines if line.each > now.each]:
        # The first batch at which each one is above the line that is highest now.
        above = {line: (now.fixed - line.fixed) // (line.each - now.each) + 1 for line in steeper}
        batch = min(above.values())
        now = max(
            (line for line in steeper if above[line] == batch),
            key=lambda line: (line.at(batch), line.each),
        )
        ordered.append(now)
    return ordered
