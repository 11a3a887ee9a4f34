"""The bounds of a network on a device, as a result."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from costlab import formatting
from costlab.costs.quantities import MAC_UNIT
from costlab.costs.remarks import NO_OPERATION, lower_bound
from costlab.costs.rows import Row
from costlab.costs.table import CostTable
from costlab.devices.device import BANDWIDTH
from costlab.devices.ledger import rate_text
from costlab.render.cells import Number, Share
from costlab.render.document import (
    Column,
    Document,
    Line,
    Page,
    Paragraph,
    Record,
    Table,
    Units,
)
from costlab.render.result import Result
from costlab.roofline.bounds import Bound, BoundedRows

if TYPE_CHECKING:
    from costlab.render.plots import Roofs

_DEFINITIONS = (
    "needed_macs: the multiply-adds that no kernel can leave out, without those of taps on padding "
    "and of what a mask may hide",
    "least_ps: picoseconds that it takes at least, rounded down: the larger of compute_ps "
    "(needed_macs at the device's rate) and memory_ps (bytes at its bandwidth); of several layers "
    "the sum of theirs",
    "binds: compute or memory, whichever is larger; both where it is not the same for all layers",
    "least_read_bytes and least_written_bytes: what a layer has to take from memory and to give "
    "back to it, each piece of memory once",
    "fused: weights and inputs are read once, outputs are written once, and nothing between",
)


@dataclass(frozen=True, repr=False)
class Bounds(Result):
    """The time that a network takes at least on a device, layer by layer and as a whole."""

    bounded: BoundedRows
    depth: int | None = None

    @property
    def table(self) -> CostTable:
        """The costs that it is made of."""
        return self.bounded.table

    @property
    def model(self) -> str:
        """The network's name."""
        return self.table.model

    @property
    def device(self) -> str:
        """The device's name."""
        return self.bounded.roofline.device.id

    @property
    def one_by_one(self) -> Bound:
        """All layers one after the other."""
        return self.bounded.one_by_one(self.table.rows)

    @property
    def fused(self) -> Bound:
        """The whole as one."""
        return self.bounded.fused

    @property
    def remark(self) -> str:
        """How the network was run, where the numbers depend on it."""
        return self.table.remark

    def to_depth(self, depth: int | None) -> Bounds:
        """The same by scopes of that depth."""
        return replace(self, depth=depth)

    def headline(self) -> str:
        return (
            f"{self.model} on {self.device}: at least {_time(self.fused.least)} fused, "
            f"{_time(self.one_by_one.least)} layer by layer"
        )

    def document(self) -> Document:
        roofline = self.bounded.roofline
        types = roofline.dtype or "the types it has"
        return (
            Paragraph(f"{self.model} on {self.device}: at least", "title"),
            Paragraph(f"{roofline.device.name}, in {types}: {self._rates()}."),
            Paragraph(self.table.graph.ends),
            self._table(self.one_by_one, self.fused),
            *lower_bound(self.table.uncounted),
            Paragraph(self._verdict() if self.table.rows else NO_OPERATION),
            *self._remarks(),
            Paragraph(
                f"{self._needed()}; at least = the larger of 2·needed MACs / rate and bytes / "
                "bandwidth; no launches, no element-wise arithmetic, and a cache may make memory "
                "faster (docs/time.md). both = compute binds some layers, memory others.",
                "dim",
            ),
        )

    def _verdict(self) -> str:
        """The times of the whole, and what binds."""
        whole, fused = self.one_by_one.least, self.fused
        computed = sum(bound.least for bound in self._bounds() if bound.binds == "compute")
        return (
            f"Layers one by one take at least {_time(whole)}; "
            f"{formatting.percent(computed, whole)} of it in layers that compute binds. Fused, "
            "with weights, inputs and outputs moved once, at least "
            f"{_time(fused.least)}, and {fused.binds or 'nothing'} binds."
        )

    def _needed(self) -> str:
        """What its multiply-adds are, beside those of every other command."""
        counted, needed = self.fused.macs, self.fused.needed
        if counted == needed:
            return "needed MACs = those that no kernel can leave out: here all"
        return (
            "needed MACs = those that no kernel can leave out: "
            f"{formatting.percent(needed, counted)} of {counted:,} MACs, without taps on padding "
            "and what a mask may hide"
        )

    def page(self) -> Page:
        title, *rest = self.document()
        return (title, *self._roofs(), *rest)

    def _roofs(self) -> Iterable[Roofs]:
        """Layers that multiply below the device's roofs, and the whole fused."""
        from costlab.render.plots import Roof, RoofPoint, Roofs  # where a page is written

        device, roofline = self.bounded.roofline.device, self.bounded.roofline
        named = [(row.path, self.bounded.of_rows[row.path][1]) for row in self._multiplying()]
        points = tuple(
            RoofPoint(path, float(bound.intensity), float(bound.needed / bound.seconds))
            for path, bound in [*named, ("all, fused", self.fused)]
            if bound.intensity and bound.least
        )
        if not (points and device.memory):
            return ()
        roofs = tuple(Roof(rate_text(rate, of), float(rate / 2)) for of, rate in self._peaks())
        slope = float(device.memory[-1][1])
        return (Roofs(f"Roofline of {self.model} on {roofline.words}", slope, roofs, points),)

    def _bounds(self) -> Iterable[Bound]:
        return (bound for _, bound in self.bounded.of_rows.values())

    def _peaks(self) -> Iterable[tuple[str, Fraction]]:
        """The rates of the types that are multiplied, where they are known."""
        roofline = self.bounded.roofline
        rates = {roofline.type_of(row): roofline.rate(row) for row in self._multiplying()}
        return ((of, rate) for of, rate in sorted(rates.items()) if rate is not None)

    def _multiplying(self) -> list[Row]:
        return [row for row in self.table.rows if row.macs]

    def _rates(self) -> str:
        device = self.bounded.roofline.device
        rates = [f"{rate_text(rate, of)} on {of}" for of, rate in self._peaks()]
        if memory := device.memory:
            rates.append(f"{rate_text(memory[-1][1], BANDWIDTH)} of memory")
        return ", ".join(rates) or "nothing that it has a rate of"

    def _remarks(self) -> Iterable[Paragraph]:
        device = self.bounded.roofline.device
        if not device.memory:
            yield Paragraph(
                f"The bandwidth of {device.id} is not known: only compute is in it.", "bad"
            )
        if self.bounded.without_rate:
            yield Paragraph(no_rate(device.id, self.bounded.without_rate), "bad")
        convolved = {
            self.bounded.roofline.type_of(row)
            for row in self._multiplying()
            if row.layer.op.kind in ("conv", "conv_transpose")
        }
        if device.rate("tf32") and "float32" in convolved:
            yield Paragraph(
                "As float32; torch lets cuDNN's convolutions compute in tf32, which is faster: "
                "--dtype tf32."
            )

    def _table(self, whole: Bound, fused: Bound) -> Table:
        lines = [
            Line(
                (
                    part.path.rpartition(".")[2],
                    part.operation,
                    *_cells(self.bounded.one_by_one(part.rows), whole, share=True),
                ),
                level=part.level,
                path=part.path,
                style="" if part.layer else "strong",
            )
            for part in self.table.groups(self.depth)
        ]
        for name, bound in (("one by one", whole), ("fused", fused)):
            lines.append(Line((name, "", *_cells(bound, whole)), style="strong"))
        return Table(
            (
                Column("layer", right=False),
                Column("operation", right=False, priority=2),
                Column("MACs", priority=3),
                Column("needed MACs"),
                Column("read", priority=4),
                Column("written", priority=4),
                Column("bytes"),
                Column("MACs/byte", priority=1),
                Column("at least"),
                Column("binds", right=False),
                Column("share", priority=3),
                Column("compute", priority=4),
                Column("memory", priority=4),
            ),
            tuple(lines),
        )

    def records(self) -> list[Record]:
        return [
            {
                "path": part.path,
                "operation": part.operation,
                **_numbers(self.bounded.one_by_one(part.rows)),
            }
            for part in self.table.leaves(self.depth)
        ]

    def data(self) -> dict[str, Any]:
        roofline = self.bounded.roofline
        bandwidth = roofline.device.rate(BANDWIDTH)
        return {
            "model": self.model,
            "device": self.device,
            "dtype": roofline.dtype,
            "input": [list(shape) for shape in self.table.graph.inputs],
            "complete": self.table.complete,
            "bandwidth": None if bandwidth is None else int(bandwidth.value),
            "one_by_one": _numbers(self.one_by_one),
            "fused": _numbers(self.fused),
            "rows": self.records(),
        }

    def units(self) -> Units:
        return Units(definitions=_DEFINITIONS, mac=MAC_UNIT, remark=self.remark)


def no_rate(device: str, types: Sequence[str]) -> str:
    """What is missing in the bound of a network that multiplies such types."""
    return (
        f"{device} has no rate of {' and '.join(types)}: of what multiplies these, only bytes "
        "are in it."
    )


def _cells(bound: Bound, whole: Bound, share: bool = False) -> tuple[Any, ...]:
    """The cells of a line from its MACs on."""
    return (
        Number(bound.macs, "MACs"),
        Number(bound.needed, "MACs"),
        Number(bound.read, "bytes"),
        Number(bound.written, "bytes"),
        Number(bound.bytes, "bytes"),
        "" if bound.intensity is None else _short(bound.intensity),
        _time(bound.least),
        bound.binds,
        Share(bound.least, whole.least) if share else "",
        _time(bound.compute),
        _time(bound.memory),
    )


def _numbers(bound: Bound) -> dict[str, int | str]:
    return {
        "macs": bound.macs,
        "needed_macs": bound.needed,
        "least_read_bytes": bound.read,
        "least_written_bytes": bound.written,
        "compute_ps": bound.compute,
        "memory_ps": bound.memory,
        "least_ps": bound.least,
        "binds": bound.binds,
    }


def _time(picoseconds: int) -> str:
    return formatting.seconds(Fraction(picoseconds, 10**12))


def _short(value: Fraction) -> str:
    """``0``, ``0.41``, ``12.3``, ``123``."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{float(value):.{digits}f}" if value else "0"
