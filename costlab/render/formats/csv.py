"""CSV that opens in a spreadsheet: a header, plain integers, ASCII signs."""

from __future__ import annotations

import csv
import io
from typing import Any

from costlab import formatting
from costlab.formatting import printable
from costlab.render.document import Showable


def render(result: Showable, **style: Any) -> str:
    """A line a record; the last column says what one MAC is."""
    unit = {"mac_unit": result.units().mac}
    records = [record | unit for record in result.records()]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(records[0]) if records else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _cell(value) for key, value in record.items()} for record in records)
    return text.getvalue()


def _cell(value: Any) -> Any:
    """Text that a spreadsheet would run as a formula is quoted with an apostrophe."""
    if not isinstance(value, str):
        return value
    text = printable(value).translate(formatting.ASCII)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text
