"""Devices and their rates, with verdicts, as results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from fractions import Fraction
from pathlib import Path
from typing import Any

from costlab import formatting
from costlab.devices.device import (
    BANDWIDTH,
    DEVICE_VERDICTS,
    TYPES,
    Device,
)
from costlab.devices.files import device_named, devices, figures, toml
from costlab.devices.verdict import JudgedRate, judge
from costlab.errors import FigureError
from costlab.render.document import (
    Column,
    Document,
    Element,
    Line,
    Paragraph,
    Record,
    Table,
    Units,
)
from costlab.render.result import Result

TABLES = Path(__file__).parent / "tables"
"""Others' tables of devices."""

_MEANING = {
    "reproduced": "what units and clocks make, rounded to the printed digits",
    "truncated": "the same, if digits are cut and not rounded",
    "another figure": "what is printed is another number, as said",
    "not reproduced": "it is not, and no explanation was found",
    "not derived": "units or clocks are not known",
    "not printed": "only derived",
    "measured": "on this machine, and taken a tenth higher",
}
_UNITS = Units(
    {"printed_rate": "operations or bytes a second", "derived_rate": "operations or bytes a second"}
)
_SHOWN = ("float32", "bfloat16", "float16", "int8", BANDWIDTH)


@dataclass(frozen=True, repr=False)
class DeviceList(Result):
    """Devices, a line each: what they do in a second, without sparsity."""

    chosen: tuple[Device, ...]

    def document(self) -> Document:
        lines = [
            Line((device.id, device.kind, *(_rate(device, of) for of in _SHOWN), device.name))
            for device in self.chosen
        ]
        heads = [Column(of, priority=number // 2) for number, of in enumerate(_SHOWN)]
        return (
            Paragraph("Devices", "title"),
            Table(
                (
                    Column("device", right=False),
                    Column("kind", right=False, priority=3),
                    *(
                        column._replace(priority=0 if column.head == BANDWIDTH else column.priority)
                        for column in heads
                    ),
                    Column("name", right=False, priority=4),
                ),
                tuple(lines),
            ),
            Paragraph(
                f"{formatting.plural(len(self.chosen), 'device')}. Operations a second (a "
                "multiply-add is two) and bytes a second, with all weights; the larger of what is "
                "printed and derived."
            ),
            Paragraph(
                "Where each number comes from: costlab devices NAME. Published tables that are "
                "judged: costlab devices torch.",
                "dim",
            ),
        )

    def records(self) -> list[Record]:
        return [
            {
                "device": device.id,
                "name": device.name,
                "maker": device.maker,
                "kind": device.kind,
                **{of: _whole(device, of) for of in (*TYPES, BANDWIDTH)},
            }
            for device in self.chosen
        ]

    def data(self) -> dict[str, Any]:
        return {"devices": self.records()}

    def units(self) -> Units:
        return Units(dict.fromkeys(TYPES, "operations a second") | {BANDWIDTH: "bytes a second"})


@dataclass(frozen=True, repr=False)
class DeviceLedger(Result):
    """Rates of devices with what they are derived from and the verdicts."""

    rows: tuple[JudgedRate, ...]

    @property
    def as_recorded(self) -> bool:
        """Whether every verdict is the recorded one."""
        return all(row.as_recorded for row in self.rows)

    def document(self) -> Document:
        blocks: list[Element] = [Paragraph("Rates of devices", "title")]
        groups: dict[tuple[str, str], list[JudgedRate]] = {}
        for row in self.rows:
            groups.setdefault((row.table, row.device.id), []).append(row)
        for (table, _), rows in groups.items():
            device = rows[0].device
            blocks.append(Paragraph(f"{device.id}: {device.name}", "section"))
            if table:
                blocks.append(Paragraph(f"as {table} has it"))
            elif device.source:
                blocks.append(Paragraph(device.source.name))
                blocks.append(Paragraph(device.source.url, link=device.source.url))
                copy = device.copy or "no copy: figures are as good as their derivation"
                blocks.append(Paragraph(f"compared with: {copy}", "dim"))
            blocks.append(_table(rows))
        return (*blocks, *self._summary())

    def _summary(self) -> Iterable[Paragraph]:
        for row in self.rows:
            if not row.as_recorded:
                yield Paragraph(
                    f"{row.device.id}, {row.figure.id}: the verdict is {row.verdict!r}, recorded "
                    f"is {row.figure.verdict!r}.",
                    "bad",
                )
        counts = Counter(row.verdict for row in self.rows)
        known = [word for word in DEVICE_VERDICTS if counts[word]]
        yield Paragraph(
            f"{formatting.plural(len(self.rows), 'figure')}: "
            f"{', '.join(f'{counts[word]} {word}' for word in known)}."
        )
        if without := sum(not row.held for row in self.rows):
            yield Paragraph(
                f"{without} of them {'is' if without == 1 else 'are'} not held against a copy (no "
                "copy): none that has the figure was found, so it is as good as its derivation.",
                "bad",
            )
        yield Paragraph("; ".join(f"{word}: {_MEANING[word]}" for word in known) + ".")

    def records(self) -> list[Record]:
        return [
            {
                "device": row.device.id,
                "table": row.table,
                "of": row.figure.of,
                "sparse": row.figure.sparse,
                "printed": row.figure.printed,
                "derived": row.figure.derived,
                "printed_rate": _number(row.printed),
                "derived_rate": _number(row.derived),
                "verdict": row.verdict,
                "recorded": row.figure.verdict,
                "because": row.figure.because,
                "note": row.figure.note,
                "source": row.device.source.url if row.device.source else "",
                "read": row.device.copy,
                "held": row.held,
            }
            for row in self.rows
        ]

    def data(self) -> dict[str, Any]:
        return {"figures": self.records(), "as_recorded": self.as_recorded}

    def units(self) -> Units:
        return _UNITS


def table_names() -> list[str]:
    """Others' tables that are judged."""
    return sorted(path.stem for path in TABLES.glob("*.toml"))


def device_list() -> DeviceList:
    """All devices that costlab knows."""
    return DeviceList(devices())


def device_ledger(names: Sequence[str] = ()) -> DeviceLedger:
    """The figures of devices, with verdicts; of all, and of others' tables, without names.

    A name is that of a device, a pattern of several (``"rtx-*"``), a table (``"torch"``), or a file
    (``"mine.toml"``). Raises ``UnknownNameError`` or ``FigureError``.
    """
    rows: list[JudgedRate] = []
    for name in names or ("*", *table_names()):
        if name in table_names():
            rows += _of_table(TABLES / f"{name}.toml")
        elif matching := [device for device in devices() if fnmatchcase(device.id, name)]:
            rows += [judge(device, figure) for device in matching for figure in device.figures]
        elif "*" in name:
            raise FigureError(f"no device is called {name!r}: costlab devices lists them")
        else:
            device = device_named(name)
            rows += [judge(device, figure) for figure in device.figures]
    return DeviceLedger(tuple(rows))


def _of_table(path: Path) -> Iterable[JudgedRate]:
    """What a table says of devices, judged by what we derive, or have printed by the maker."""
    data = toml(path)
    for name, told in data["devices"].items():
        device = device_named(name)
        for figure in figures(told["figures"], f"{path}, {name}"):
            rate = device.figure(figure.of, figure.sparse)
            derived = rate.derived or rate.printed if rate else ""
            if rate is None and (sparse := device.figure(figure.of, sparse=True)):
                derived = f"{sparse.derived} · 1/2"
            yield judge(device, replace(figure, derived=derived), data["name"])


def _table(rows: Sequence[JudgedRate]) -> Table:
    return Table(
        (
            Column("rate", right=False),
            Column("printed"),
            Column("derived"),
            Column("verdict", right=False),
        ),
        tuple(
            Line(
                (row.figure.id, row.figure.printed, _shown(row), _verdict(row)),
                path=row.figure.id,
                details=_details(row),
                style="" if row.as_recorded else "bad",
            )
            for row in rows
        ),
        "derivation",
    )


def _verdict(row: JudgedRate) -> str:
    return row.verdict if row.held else f"{row.verdict}, no copy"


def _details(row: JudgedRate) -> tuple[str, ...]:
    figure = row.figure
    lines = [figure.derived] if figure.derived and row.verdict != "measured" else []
    if row.verdict in ("not reproduced", "another figure") and row.difference:
        more = "more" if row.difference > 0 else "less"
        lines.append(f"derived is {formatting.share(abs(row.difference))} {more} than printed")
    if row.verdict == "another figure":
        lines.append(f"because: {figure.because}")
    if figure.note:
        lines.append(f"note: {figure.note}")
    return tuple(lines)


def _shown(row: JudgedRate) -> str:
    return "" if row.derived is None else rate_text(row.derived, row.figure.of)


def rate_text(rate: Fraction, of: str) -> str:
    """``989 TFLOPS``, ``3.35 TB/s``: three digits."""
    unit = "B/s" if of == BANDWIDTH else "OPS" if of.startswith("int") else "FLOPS"
    scaled = formatting.scaled(round(rate))
    return f"{scaled}{unit}" if scaled[-1].isalpha() else f"{scaled} {unit}"


def _rate(device: Device, of: str) -> str:
    rate = device.rate(of)
    if rate is None:
        return ""
    return f"{formatting.scaled(round(rate.value))}{'B/s' if of == BANDWIDTH else ''}"


def _whole(device: Device, of: str) -> int | None:
    rate = device.rate(of)
    return None if rate is None else round(rate.value)


def _number(value: Fraction | None) -> int | None:
    return None if value is None else round(value)
