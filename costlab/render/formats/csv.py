"""CSV that opens in a spreadsheet: a header, plain integers, ASCII signs."""

from __future__ import annotations

from io import TextIOWrapper
from itertools import chain, repeat
from typing import Any, BinaryIO

from costlab import formatting
from costlab.formatting import printable
from costlab.render.document import Showable
from costlab.render.format import Format, Screen

_ROWS = 2**14
"""Rows that are held as Python's own values at once."""


def write(result: Showable, file: BinaryIO, screen: Screen) -> None:
    """A line a record, a batch of them at a time; further columns say what all of them share.

    What the numbers depend on beside the model (``run``), and what one MAC is, if there are any.
    How the file was made stands in the first line alone, since a sweep has millions.
    """
    import csv  # where it is needed: a first answer does not wait for it

    text = TextIOWrapper(file, encoding="utf-8", newline="")
    writer = csv.writer(text, lineterminator="\n")
    units, head = result.units(), True
    shared = {"run": units.remark, "mac_unit": units.mac}
    more = [(name, _literal(text)) for name, text in shared.items() if text]
    origin = [_literal(f"{result.title}: {screen.made}")] if screen.made else []
    for batch in result.batches():
        if head:
            names = [name for name, _ in more] + ["made_by"] * len(origin)
            writer.writerow([*batch, *names] if batch else [])
            head = False
        length = len(next(iter(batch.values()), ()))
        for start in range(0, length, _ROWS):
            columns = [_cells(values[start : start + _ROWS]) for values in batch.values()]
            constant = [repeat(text) for _, text in more]
            first = [chain(origin, repeat(""))] * len(origin)
            writer.writerows(zip(*columns, *constant, *first, strict=False))
            origin = [""] * len(origin)
    text.flush()
    text.detach()  # the file is not ours to close


def _cells(values: Any) -> list[Any]:
    """Plain values; text that a spreadsheet would run as a formula is quoted by an apostrophe."""
    plain = values if isinstance(values, list) else values.tolist()
    return [_literal(value) if isinstance(value, str) else value for value in plain]


def _literal(value: str) -> str:
    text = printable(value).translate(formatting.ASCII)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


FORMAT = Format("csv", ("csv",), "a spreadsheet", "records", write)
