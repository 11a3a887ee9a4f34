"""Numbers as points and as steps, for pages and pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from costlab import formatting


class Axis(NamedTuple):
    """What points have a number of: a choice or a quantity; less of it is better, or ``most``."""

    name: str
    heading: str
    values: tuple[int | float, ...]
    most: bool = False

    @property
    def better(self) -> str:
        """What is better: ``less MACs``."""
        return f"{'more' if self.most else 'less'} {self.heading}"


@dataclass(frozen=True)
class Scatter:
    """Points by two of their axes, ``x`` and ``y``; ``labels`` say which variant each is.

    ``alone`` says that only one thing was varied, which ``x`` may be. ``left`` is how many variants
    are not among the points; none of them is on the front of ``x`` and ``y``.
    """

    title: str
    axes: tuple[Axis, ...]
    labels: tuple[str, ...]
    x: int
    y: int
    alone: bool = False
    left: int = 0


def front(x: Axis, y: Axis) -> list[int]:
    """The numbers of the points that no other one beats in one, without being beaten in the other.

    The best by x come first; of equal points the first is there.
    """
    xs, ys = ([-value for value in axis.values] if axis.most else axis.values for axis in (x, y))
    best: list[int] = []
    for number in sorted(range(len(xs)), key=lambda n: (xs[n], ys[n])):
        if not best or ys[number] < ys[best[-1]]:
            best.append(number)
    return best


def evenly(number: int, most: int) -> range:
    """At most so many of the first numbers, evenly spaced."""
    return range(0, number, -(-number // most) or 1)


class Roof(NamedTuple):
    """How much can be done in a second at most, whatever is moved."""

    label: str
    rate: float


class RoofPoint(NamedTuple):
    """Something by its work for each byte, and its work in a second at most."""

    label: str
    intensity: float
    rate: float


@dataclass(frozen=True)
class Roofs:
    """A roofline: below the slope memory binds, below a roof arithmetic does.

    ``slope`` are bytes a second.
    """

    title: str
    slope: float
    roofs: tuple[Roof, ...]
    points: tuple[RoofPoint, ...]

    @property
    def ends(self) -> tuple[float, float]:
        """The least and the most work for a byte that is worth showing."""
        ridges = [roof.rate / self.slope for roof in self.roofs]
        known = [point.intensity for point in self.points] + ridges
        return min(known) / 2, max(known) * 4


class Span(NamedTuple):
    """Something measured: what is written of it, its interval and middle, and what is the least."""

    label: str
    text: str
    low: float
    middle: float
    high: float
    least: float


@dataclass(frozen=True)
class Spans:
    """Measured numbers on one scale from 0, each with its interval, and the bound beside it."""

    title: str
    spans: tuple[Span, ...]


class Step(NamedTuple):
    """A bar from one sum to the next: by how much, and why."""

    label: str
    begin: int
    end: int


@dataclass(frozen=True)
class Waterfall:
    """From one total to another: first what it begins with, at the end what it comes to."""

    title: str
    steps: tuple[Step, ...]

    @property
    def low(self) -> int:
        """Where the axis begins: not at 0, if that would hide every step."""
        sums = [step.end for step in self.steps]
        steps = self.steps[1:-1]
        if not steps or max(sums) - min(sums) >= max(sums) // 20:
            return 0
        return max(0, min(sums) - (max(sums) - min(sums)))


class Level(NamedTuple):
    """How much there is of each kind, at a moment that has a name."""

    label: str
    amounts: tuple[int, ...]


@dataclass(frozen=True)
class Levels:
    """How much there is of some kinds, one moment after the other; the most of it is marked."""

    title: str
    heading: str
    kinds: tuple[str, ...]
    """What the amounts are of; a single one needs no name."""
    moments: tuple[Level, ...]

    @property
    def sums(self) -> list[int]:
        """How much there is in all, at each moment."""
        return [sum(moment.amounts) for moment in self.moments]

    @property
    def peak(self) -> int:
        """The number of the first moment with the most."""
        return self.sums.index(max(self.sums))

    @property
    def peak_text(self) -> str:
        """How much there is at most, of what, and when."""
        most = formatting.integer(max(self.sums))
        return f"peak {most} {self.heading}: {self.moments[self.peak].label}"
