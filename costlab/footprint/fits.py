"""The largest batch that fits into a size of memory, as a result."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

from costlab import formatting
from costlab.footprint.batches import Line as ByBatch
from costlab.footprint.batches import Peak
from costlab.render.cells import Number
from costlab.render.document import Column, Line, Paragraph, Table


class Alternative(NamedTuple):
    """With what other settings which batch is the largest that fits, and its peak in bytes."""

    what: str
    batch: int
    peak: int


class Fits(NamedTuple):
    """How large a batch may be: of the largest that fits, and of the next, the peak in bytes."""

    size: int
    batch: int
    peak: int
    next_peak: int
    alternatives: tuple[Alternative, ...] = ()
    formula: Peak | None = None
    """The peak by the batch; None if the batch was found by runs."""

    def document(self) -> list[Paragraph | Table]:
        """For people: the batch, how it is known, and what lets a larger one fit."""
        whole, now, next_ = map(formatting.integer, (self.size, self.peak, self.next_peak))
        over = formatting.integer(self.next_peak - self.size)
        columns = (Column("with", right=False), Column("largest batch"), Column("bytes"))
        lines = tuple(
            Line((other.what, Number(other.batch, "batch"), Number(other.peak, "bytes")))
            for other in self.alternatives
        )
        return [
            Paragraph(
                f"The largest batch that fits into {whole} bytes is {self.batch:,}: it takes "
                f"{now}; {self.batch + 1:,} would take {next_}, {over} too many.",
                "strong",
            ),
            Paragraph(self._reason()),
            *([Table(columns, lines)] if lines else []),
        ]

    def _reason(self) -> str:
        if self.formula is None:
            return "Found by runs of both, not by a formula of the batch."
        first, *lines = self.formula.lines
        text = f"The peak of a batch of N is {_text(first)} bytes"
        for below, line in pairwise((first, *lines)):
            text += f"; from N = {_begin(below, line):,} {_text(line)}"
        return f"{text}. Batches of {self.batch:,} and {self.batch + 1:,} were run, too."

    def data(self) -> dict[str, Any]:
        """For programs."""
        lines = () if self.formula is None else self.formula.lines
        return {
            "size_bytes": self.size,
            "batch": self.batch,
            "peak_bytes": self.peak,
            "next_peak_bytes": self.next_peak,
            "peak_is_most_of": [{"bytes": line.fixed, "bytes_each": line.each} for line in lines],
            "alternatives": [
                {"with": other.what, "batch": other.batch, "peak_bytes": other.peak}
                for other in self.alternatives
            ],
        }


def _text(line: ByBatch) -> str:
    return f"{formatting.integer(line.fixed)} + {formatting.integer(line.each)}·N"


def _begin(below: ByBatch, above: ByBatch) -> int:
    """The first batch at which a steeper line is above another one."""
    return (below.fixed - above.fixed) // (above.each - below.each) + 1
