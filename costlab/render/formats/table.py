"""Tables for a terminal: fitted to its width, coloured only if asked."""

from __future__ import annotations

from typing import NamedTuple

from costlab.formatting import printable
from costlab.render.cells import Cell, Share, text_of
from costlab.render.document import Column, Equation, Line, Paragraph, Showable, Style, Table
from costlab.render.format import Format, Screen, writing
from costlab.render.widths import padded, wrapped
from costlab.render.widths import width as cells

_GAP = 2
_LONGEST, _USUAL, _SHORTEST = 12, 8, 3
"""Characters of a bar: at most, what columns that are worth less leave to it, and at least."""

_EIGHTHS = " ▏▎▍▌▋▊▉"

_BEFORE_BARS = 3
"""Columns of a priority up to this are worth more than bars."""

_CODES: dict[Style, str] = {
    "page": "1",
    "title": "1",
    "section": "1",
    "strong": "1",
    "dim": "2",
    "good": "32",
    "bad": "31",
}


def _text(result: Showable, screen: Screen) -> str:
    """The document in lines of the screen's width, where words and numbers allow it."""
    width, color, made, bars, _ = screen
    lines: list[str] = []
    left_out: list[str] = []
    for block in result.document():
        if isinstance(block, Paragraph):
            lines += [""] * (block.style in ("page", "title"))
            lines += [_styled(text, block.style, color) for text in _wrapped(block.text, width)]
        elif isinstance(block, Equation):
            lines += ["", *_equation(block, width), ""]
        elif block.lines:
            drawn, missing = _draw(block, width, color, bars)
            lines += ["", *drawn, ""]
            left_out += missing
    if left_out:
        names = ", ".join(dict.fromkeys(left_out))
        more = "a wider terminal, COLUMNS=160 or --format csv has them"
        note = f"Left out at {width} columns: {names} ({more})."
        lines += [_styled(text, "dim", color) for text in _wrapped(note, width)]
    if made:
        lines += ["", *_wrapped(str(made), width)]
    single = [text for text, before in zip(lines, ["", *lines], strict=False) if text or before]
    return "\n".join(single).strip("\n") + "\n"


class _TextLine(NamedTuple):
    """A line of a table whose cells are text."""

    cells: tuple[str, ...]
    details: tuple[str, ...]
    style: Style
    about: tuple[tuple[int, ...], ...] = ()

    def of(self, columns: list[int], first: bool) -> _TextLine:
        """With the details about these columns; with those about all of them, if they are first."""
        about = self.about or ((),) * len(self.details)
        chosen = [
            detail
            for detail, places in zip(self.details, about, strict=True)
            if (first if not places else set(places) & set(columns))
        ]
        return self._replace(details=tuple(chosen), about=())


def _in_text(line: Line) -> _TextLine:
    first, *others = (printable(text_of(cell)) for cell in line.cells)
    details = tuple(map(printable, line.details))
    return _TextLine(("  " * line.level + first, *others), details, line.style, line.about)


def _equation(block: Equation, width: int) -> list[str]:
    name = f"{block.name} = "
    return wrapped(name + block.text, width, indent=" " * len(name))


def _draw(table: Table, width: int, color: bool, bars: bool) -> tuple[list[str], list[str]]:
    """The table's printed lines, and the heads of the columns that were left out."""
    columns = tuple(column._replace(head=printable(column.head)) for column in table.columns)
    lines = tuple(map(_in_text, table.lines))
    widths = [
        max(cells(text) for text in (column.head, *(line.cells[i] for line in lines)))
        for i, column in enumerate(columns)
    ]
    shares = _shares(table) if bars else []
    shown = _shown(columns, widths, width)
    narrower = [wide + (i in shares) * (1 + _USUAL) for i, wide in enumerate(widths)]
    with_bars = _shown(columns, narrower, width)
    if {i for i in shown if columns[i].priority <= _BEFORE_BARS} <= {*with_bars}:
        shown = with_bars
    missing = [c.head for i, c in enumerate(columns) if i not in shown]

    beside = max((cells(d) for line in lines for d in line.details), default=0)
    one_each = all(len(line.details) <= 1 for line in lines)
    if beside and one_each and not missing and _total([*widths, beside]) <= width:
        # There is room: the details become a column of their own.
        columns = (*columns, Column(table.details, right=False))
        lines = tuple(
            line._replace(cells=(*line.cells, *(line.details or ("",))), details=(), about=())
            for line in lines
        )
        shown.append(len(widths))
        widths.append(beside)

    shares = [i for i in shares if i in shown]
    room = width - _total([widths[i] for i in shown])
    length = min(_LONGEST, room // max(len(shares), 1) - 1)
    if length >= _SHORTEST:
        columns, lines = _with_bars(table, columns, lines, shares, length)

    drawn: list[str] = []
    above: set[int] = set()  # lines that an earlier piece has
    for group in _stacks(columns, shown, widths, width):
        there = []
        for number, line in enumerate(lines):
            if any(line.cells[i] for i in group[1:]) or not any(line.cells[1:]):
                there.append(line.of(group, first=number not in above))
                above.add(number)
        drawn += [""] * bool(drawn) + _grid(columns, tuple(there), group, width, color)
    return drawn, missing


def _shown(columns: tuple[Column, ...], widths: list[int], width: int) -> list[int]:
    """The columns that there is room for: first those that are always shown."""
    shown = [i for i, column in enumerate(columns) if not column.priority]
    for i, column in sorted(enumerate(columns), key=lambda item: item[1].priority):
        if not column.priority:
            continue
        if _total([widths[j] for j in [*shown, i]]) > width:
            break  # what is worth less does not take its place
        shown = sorted([*shown, i])
    return shown


def _shares(table: Table) -> list[int]:
    """The columns with shares, which may have bars."""
    return [
        i
        for i in range(len(table.columns))
        if any(isinstance(line.cells[i], Share) for line in table.lines)
    ]


def _with_bars(
    table: Table,
    columns: tuple[Column, ...],
    lines: tuple[_TextLine, ...],
    shares: list[int],
    length: int,
) -> tuple[tuple[Column, ...], tuple[_TextLine, ...]]:
    """The table with a bar behind each share; that of the largest one has that length."""
    for i in shares:
        parts = [_part(line.cells[i]) for line in table.lines]
        most = max((part for part in parts if part < 1), default=0)
        wide = max(cells(line.cells[i]) for line in lines)
        lines = tuple(
            line._replace(
                cells=(
                    *line.cells[:i],
                    f"{padded(line.cells[i], wide, right=True)} {bar}",
                    *line.cells[i + 1 :],
                )
            )
            for line, part in zip(lines, parts, strict=True)
            for bar in [padded(_bar(part, most, length), length)]
        )
        columns = (*columns[:i], columns[i]._replace(right=False), *columns[i + 1 :])
    return columns, lines


def _part(cell: Cell) -> float:
    """Of a whole; 0 where it is not known."""
    return (cell.part or 0) / cell.whole if isinstance(cell, Share) and cell.whole else 0.0


def _bar(part: float, most: float, length: int) -> str:
    """As long as the part is beside the largest one; what is the whole has none."""
    if not 0 < part <= most:
        return ""
    eighths = max(1, round(8 * length * part / most))
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _stacks(
    columns: tuple[Column, ...], shown: list[int], widths: list[int], width: int
) -> list[list[int]]:
    """Columns too many for the width continue below, each time after the first column."""
    together: list[list[int]] = []
    for i in shown[1:]:
        if columns[i].joined and together:
            together[-1].append(i)
        else:
            together.append([i])
    stacks = [shown[:1]]
    for group in together:
        if len(stacks[-1]) > 1 and _total([widths[j] for j in [*stacks[-1], *group]]) > width:
            stacks.append(shown[:1])
        stacks[-1] += group
    return stacks


def _grid(
    columns: tuple[Column, ...],
    lines: tuple[_TextLine, ...],
    shown: list[int],
    width: int,
    color: bool,
) -> list[str]:
    heads = tuple(column.head for column in columns)
    rows = [[cells[i] for i in shown] for cells in (heads, *(line.cells for line in lines))]
    widths = [max(map(cells, column)) for column in zip(*rows, strict=True)]
    head, *body = (_aligned(row, widths, [columns[i].right for i in shown]) for row in rows)
    rule = _aligned(["-" * width for width in widths], widths, [False] * len(widths))
    indent = max((cells(line.cells[0]) for line in lines), default=0) + _GAP
    drawn = [_styled(head, "strong", color), rule]
    for line, row in zip(lines, body, strict=True):
        drawn.append(_styled(row, line.style, color))
        for detail in line.details:
            room = max(width - indent, 24)
            texts = wrapped(printable(detail), room, indent="  ", break_words=True)
            drawn += [_styled(" " * indent + text, "dim", color) for text in texts]
    return drawn


def _aligned(cells: list[str], widths: list[int], right: list[bool]) -> str:
    texts = [
        padded(cell, width, at_right)
        for cell, width, at_right in zip(cells, widths, right, strict=True)
    ]
    return (" " * _GAP).join(texts).rstrip()


def _total(widths: list[int]) -> int:
    return sum(widths) + _GAP * (len(widths) - 1)


def _wrapped(text: str, width: int) -> list[str]:
    return wrapped(printable(text), width) or [""]


def _styled(text: str, style: Style, color: bool) -> str:
    code = _CODES.get(style)
    return f"\x1b[{code}m{text}\x1b[0m" if color and code and text else text


FORMAT = Format("table", ("txt", "table"), "a terminal", "document", writing(_text))
