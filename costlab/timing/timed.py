"""What was measured of a model and of its layers, each beside what it takes at least."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from costlab.roofline.bounds import Bound

if TYPE_CHECKING:
    from costlab.graph.op import Shape
    from costlab.timing.samples import Interval


@dataclass(frozen=True)
class LayerTime:
    """A layer alone: its time in seconds, and what it takes at least."""

    path: str
    time: Interval
    bound: Bound

    @property
    def factor(self) -> float:
        """How many times as long as at least."""
        return _factor(self.time, self.bound)


@dataclass(frozen=True)
class Timed:
    """A model: its time in seconds, how that compares with the first model's, and its bound.

    ``peak`` are the bytes of memory in a run, None where they are not known; ``inputs`` the shapes
    of what it was run on.
    """

    model: str
    macs: int
    time: Interval
    ratio: Interval
    runs: int
    bound: Bound
    peak: int | None
    layers: tuple[LayerTime, ...] = ()
    inputs: tuple[Shape, ...] = ()

    @property
    def factor(self) -> float:
        """How many times as long as at least."""
        return _factor(self.time, self.bound)


def _factor(time: Interval, bound: Bound) -> float:
    """How many times as long as at least; 0 for what takes nothing at least."""
    return time.median / float(bound.seconds) if bound.least else 0.0
