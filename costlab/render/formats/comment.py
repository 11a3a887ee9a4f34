"""A comment on a pull request: the answer, and the rest folded; whatever its size, GitHub takes it.

It begins with a hidden marker, by which a script finds the comment that it wrote before.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from costlab.formatting import printable
from costlab.render.cells import text_of
from costlab.render.document import Equation, Line, Paragraph, Showable, Style, Table
from costlab.render.format import Format, Screen, writing
from costlab.render.formats.markdown import escape

LARGEST = 65_000
"""UTF-16 units of a comment; GitHub takes no 65,536."""

_MARKS: dict[Style, str] = {"good": "✅ ", "bad": "❌ "}
_LONGEST = 500
"""Characters of a text or cell."""
_KEPT = 8_000
"""What is kept at most for the paragraphs below a table that does not fit."""
_REST = "_More does not fit into a comment: costlab prints all of it._"
_FOLDED = "</details>"


def marker(title: str) -> str:
    """What a comment about that begins with; nobody sees it."""
    return f"<!-- costlab: {re.sub(r'[^A-Za-z0-9]+', ' ', title)[:100].strip()} -->"


def _text(result: Showable, screen: Screen) -> str:
    """As many lines as GitHub takes. Rows go first: what is said below a table is its summary."""
    lines = list(_lines(result.document()))
    below = sum(_size(line) for line in lines if not _is_row(line))
    written, room, cut, folded = [""], LARGEST - _size(_REST) - _size(_FOLDED), False, False
    for line in lines:
        below -= 0 if _is_row(line) else _size(line)
        if _is_row(line) and (cut or _size(line) + min(below, _KEPT) > room):
            cut = True
            continue
        if _size(line) > room:
            written += [_FOLDED] * folded
            cut = True
            break
        room -= _size(line)
        written.append(line)
        folded = (folded or line.startswith("<details>")) and line != _FOLDED
    return "\n".join([*written, *(["", _REST] if cut else [])]).strip("\n") + "\n"


def _is_row(line: str) -> bool:
    return line.startswith("| ")


def _lines(document: Iterable[Paragraph | Table | Equation]) -> Iterator[str]:
    """The Markdown; what stands under a section is folded, and tables that ask for it."""
    folded = marked = False
    for block in document:
        ends = isinstance(block, Paragraph) and block.style in ("section", "title", "page", "dim")
        if ends and folded:
            folded = False
            yield from ("", _FOLDED)
        yield ""
        if isinstance(block, Table):
            folds = bool(block.folded) and not folded
            yield from [_summary(block.folded), ""] * folds
            yield from _table(block)
            yield from ["", _FOLDED] * folds
        elif isinstance(block, Equation):
            yield _clipped(f"{block.name} = {block.text}")
        elif block.style == "section":
            folded = True
            yield _summary(block.text)
        elif block.style in ("title", "page"):
            if not marked:
                marked = True
                yield marker(block.text)
            yield f"### {_clipped(block.text)}"
        else:
            text = _MARKS.get(block.style, "") + _clipped(block.text)
            yield f"**{text}**" if block.style in ("strong", "good", "bad") else text
    if folded:
        yield from ("", _FOLDED)


def _summary(text: str) -> str:
    """In HTML, in which Markdown's backslashes would be shown, and people are mentioned."""
    import html  # where it is needed: a first answer does not wait for it

    escaped = html.escape(_cut(text)).replace("@", "<span>@</span>")
    return f"<details><summary>{escaped}</summary>"


def _table(table: Table) -> Iterator[str]:
    """A line for each row: cells are not padded, since a comment has no space to lose."""
    detailed = any(line.details for line in table.lines)
    heads = [column.head for column in table.columns] + [table.details] * detailed
    rights = [column.right for column in table.columns] + [False] * detailed
    yield _row(map(_clipped, heads))
    yield _row("--:" if right else ":--" for right in rights)
    for line in table.lines:
        yield _row(_cells(line) + ["<br>".join(map(_clipped, line.details))] * detailed)


def _cells(line: Line) -> list[str]:
    first, *others = map(text_of, line.cells)
    cells = [_clipped(line.path or first), *map(_clipped, others)]
    if line.style == "strong":
        cells = [f"**{cell}**" if cell else "" for cell in cells]
    return [_MARKS.get(line.style, "") + cells[0], *cells[1:]]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _clipped(text: str) -> str:
    """The text as Markdown takes it literally, cut if it is long; it mentions nobody."""
    return escape(_cut(text))


def _cut(text: str) -> str:
    text = printable(text)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _size(line: str) -> int:
    """With the end of the line."""
    return len(line.encode("utf-16-le")) // 2 + 1


FORMAT = Format("comment", (), "a pull request's comment", "document", writing(_text))
