"""Models side by side on a device: bound beside bound, in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

from costlab import formatting
from costlab.costs.table import CostTable
from costlab.roofline.bounds import Bound, BoundedRows, Roofline
from costlab.roofline.result import no_rate


def side_by_side(
    labels: Sequence[str], tables: Sequence[CostTable], line: Roofline
) -> Iterable[str]:
    """What each takes at least, and how that compares with the MACs of the first."""
    rows = [BoundedRows(table, line) for table in tables]
    alone = [bounded.one_by_one(bounded.table.rows) for bounded in rows]
    fused = [bounded.fused for bounded in rows]
    times = [
        f"{label} {_time(one.least)} layer by layer, {_time(whole.least)} fused"
        + (f" ({whole.binds} binds)" if whole.binds else "")
        for label, one, whole in zip(labels, alone, fused, strict=True)
    ]
    yield f"On {line.words} at least: {'; '.join(times)}."
    if types := sorted({of for bounded in rows for of in bounded.without_rate}):
        yield no_rate(line.device.id, types)
    for label, one, whole in zip(labels[1:], alone[1:], fused[1:], strict=True):
        parts = [
            f"{_change(first, other)} {how}"
            for how, first, other in (
                ("layer by layer", alone[0], one),
                ("fused", fused[0], whole),
            )
        ]
        yield (
            f"Bounds of {label} against {labels[0]}: {', '.join(parts)}; MACs "
            f"{formatting.change(alone[0].macs, one.macs)}."
        )
    if len(labels) > 1:
        yield "How times compare may be more or less than either: costlab time measures them."


def _change(first: Bound, other: Bound) -> str:
    return formatting.change(first.least, other.least)


def _time(picoseconds: int) -> str:
    return formatting.seconds(Fraction(picoseconds, 10**12))
