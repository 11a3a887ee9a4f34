"""Finds the largest batch whose bytes fit into a size, and what lets a larger one fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from costlab.errors import ChoiceError, CostlabError
from costlab.footprint.batches import Peak, peak_of
from costlab.footprint.fits import Alternative, Fits
from costlab.footprint.largest import largest
from costlab.footprint.result import Memory
from costlab.footprint.settings import Settings

_Found = TypeVar("_Found")


@dataclass(frozen=True)
class Fitting:
    """A size of memory, and what there is to put into it: the memory ``at`` a batch."""

    name: str
    at: Callable[[int, Settings], Memory]
    size: int

    def largest(self, settings: Settings, others: dict[str, Settings], start: int) -> Memory:
        """The memory of the largest batch that fits; ``others`` may let larger ones fit.

        Raises ``ChoiceError`` where not even a batch of 1 fits.
        """
        batch, formula = self._fitting(settings, start)
        if not batch:
            raise self._too_large(settings, others)
        more = []
        for what, other in others.items():
            larger, _ = _if_it_runs(partial(self._fitting, other, batch)) or (0, None)
            if larger:
                more.append(Alternative(what, larger, self._peak(larger, other)))
        peaks = self._peak(batch, settings), self._peak(batch + 1, settings)
        fits = Fits(self.size, batch, *peaks, tuple(more), formula)
        return replace(self.at(batch, settings), fits=fits)

    def _peak(self, batch: int, settings: Settings) -> int:
        return self.at(batch, settings).peak_bytes

    def _fitting(self, settings: Settings, start: int) -> tuple[int, Peak | None]:
        """The largest batch, or 0, and the formula that it is found by."""
        formula = self._formula(settings, start)
        batch = formula.largest(self.size) if formula else None
        if formula and batch:
            peaks = [self._peak(batch, settings), self._peak(batch + 1, settings)]
            by_formula = [formula.at(batch), formula.at(batch + 1)]
            if peaks == by_formula and peaks[0] <= self.size < peaks[1]:
                return batch, formula
        return largest(lambda batch: self._peak(batch, settings), self.size, start), None

    def _formula(self, settings: Settings, start: int) -> Peak | None:
        """The peak by the batch, from two runs; None where that cannot be said."""
        first = self.at(start, settings)
        if first.round_to > 1:  # what is rounded up grows in steps
            return None
        second = self.at(start + 1, settings)
        beside = [memory.peak_bytes - memory.timeline.peak for memory in (first, second)]
        return peak_of(first.timeline, second.timeline, start, (beside[0], beside[1]))

    def _too_large(self, settings: Settings, others: dict[str, Settings]) -> ChoiceError:
        least = self._peak(1, settings)
        instead = "; ".join(
            f"with {what} {peak:,}"
            for what, other in others.items()
            if (peak := _if_it_runs(partial(self._peak, 1, other)))
        )
        return ChoiceError(
            f"{self.name} does not fit into {self.size:,} bytes: with batch 1 it takes "
            f"{least:,}, {least - self.size:,} too many" + (f" ({instead})" if instead else "")
        )


def _if_it_runs(fitted: Callable[[], _Found]) -> _Found | None:
    """What is found with other settings; None for those that the model cannot be run with."""
    try:
        return fitted()
    except CostlabError:
        return None
