"""What a result shows: the meeting point of results and formats.

A result (a cost table, a comparison, a cross-check) says what it shows as a document for people,
as flat records, and as data. A format in ``render/formats/`` writes one of the three. Neither
knows the other, so a new result needs no format and a new format no result.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeAlias

from costlab.render.cells import Cell

if TYPE_CHECKING:
    from costlab.render.diagram import Graphs
    from costlab.render.plots import Levels, Roofs, Scatter, Spans, Waterfall
    from costlab.render.tree import Tree
    from costlab.render.verdict_plots import Agreement, Ratios

Style: TypeAlias = Literal["", "page", "title", "section", "strong", "dim", "good", "bad"]

Record: TypeAlias = dict[str, Any]
"""A flat row: column names to ints, strings or shapes."""


class Paragraph(NamedTuple):
    """A line of prose; with ``link``, the address of a file or page, it is a link."""

    text: str
    style: Style = ""
    link: str = ""


class Column(NamedTuple):
    """A column's head.

    ``priority`` 0 is always shown; others are added, lowest first, until one does not fit.
    A ``joined`` column says something of the column before it and stays beside it.
    """

    head: str
    right: bool = True
    priority: int = 0
    joined: bool = False


class Line(NamedTuple):
    """A row of cells: a format indents its first cell by ``level``, or writes ``path`` in it.

    ``details`` are further lines about the row, such as its derivation; ``link`` is the address of
    a page about it. ``about`` has for each detail the columns that it is about, if not all: a table
    that is broken in pieces shows it with those.
    """

    cells: tuple[Cell, ...]
    level: int = 0
    path: str = ""
    details: tuple[str, ...] = ()
    style: Style = ""
    link: str = ""
    about: tuple[tuple[int, ...], ...] = ()


class Table(NamedTuple):
    """Columns and lines; ``details`` is the heading of the lines' details.

    ``folded`` is a table's name where it is more than the answer: a comment folds it under that.
    """

    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    details: str = ""
    folded: str = ""


class Equation(NamedTuple):
    """``name = ...``: for people, as LaTeX, and as Python code with these sympy symbols.

    ``symbols`` says of each whether it is a whole number; all are positive.
    """

    name: str
    text: str
    latex: str
    code: str
    symbols: tuple[tuple[str, bool], ...]


Element: TypeAlias = Paragraph | Table | Equation
Document: TypeAlias = tuple[Element, ...]
Page: TypeAlias = (
    "tuple[Element | Tree | Graphs | Agreement | Levels | Ratios | Roofs | Scatter | Spans"
    " | Waterfall, ...]"
)


class Finding(NamedTuple):
    """Something that is wrong, for tools that show it where it was written: ``line`` of ``file``.

    ``file`` is ``""`` and ``line`` 0 where it was in no file.
    """

    file: str
    line: int
    title: str
    text: str


class Units(NamedTuple):
    """The units of the numbers in records and data.

    ``of`` has a unit for each column, ``definitions`` are sentences, ``mac`` says what a MAC is.
    ``remark`` is what else the numbers depend on, if they do.
    """

    of: Mapping[str, str] = {}
    definitions: tuple[str, ...] = ()
    mac: str = ""
    remark: str = ""


class Showable(Protocol):
    """What every result offers to the formats."""

    def document(self) -> Document:
        """For people."""

    @property
    def title(self) -> str:
        """What it is about, for files that have no place for more."""

    def page(self) -> Page:
        """For a browser: the document, with what can be folded, sorted and drawn there."""

    def headline(self) -> str:
        """What it says, in one line."""

    def records(self) -> list[Record]:
        """For spreadsheets and frames: one flat row a record, all with the same keys."""

    def data(self) -> dict[str, Any]:
        """For programs: nested, with integers."""

    def findings(self) -> Iterable[Finding]:
        """What is wrong, if it is a result that judges."""

    def batches(self) -> Iterable[Mapping[str, Any]]:
        """The records as columns, lists or arrays, in pieces that fit into memory."""

    def units(self) -> Units:
        """The units of the numbers in records and data."""

    def made_with(self) -> Mapping[str, str]:
        """The versions of the tools that took part in it, beside costlab."""
