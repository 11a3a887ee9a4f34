"""The base of all results: what every one of them can be turned into."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from costlab.formatting import printable
from costlab.render.document import Document, Finding, Page, Paragraph, Record, Units
from costlab.render.format import Screen
from costlab.render.formats import render

if TYPE_CHECKING:
    import pandas as pd


class Result(ABC):
    """A value that shows itself as text, Markdown, CSV, JSON and as a pandas frame."""

    @abstractmethod
    def document(self) -> Document:
        """The result for people: paragraphs, tables and equations."""

    def page(self) -> Page:
        """The result for a browser: its document, unless a result has more to show there."""
        return self.document()

    @abstractmethod
    def records(self) -> list[Record]:
        """Flat rows with integers and text."""

    @abstractmethod
    def data(self) -> dict[str, Any]:
        """The result for programs, as JSON has it."""

    def findings(self) -> Iterable[Finding]:
        """What is wrong, and where; nothing, unless a result judges."""
        return ()

    def batches(self) -> Iterable[Mapping[str, Any]]:
        """The records as columns; a result that is large gives them in pieces."""
        records = self.records()
        yield {name: [record[name] for record in records] for name in (records or [{}])[0]}

    def units(self) -> Units:
        """The units of the numbers in records and data; none, unless a result says more."""
        return Units()

    def made_with(self) -> Mapping[str, str]:
        """The versions of the tools that took part in it, beside costlab."""
        return {}

    def to_text(self, width: int = 80, color: bool = False) -> str:
        """Tables for a terminal."""
        return render(self, "table", Screen(width, color))

    def to_markdown(self) -> str:
        """Markdown for GitHub."""
        return render(self, "markdown")

    def to_html(self) -> str:
        """A page for a browser, whole in itself."""
        return render(self, "html")

    def to_latex(self) -> str:
        """LaTeX for a paper."""
        return render(self, "latex")

    def to_csv(self) -> str:
        """CSV for a spreadsheet."""
        return render(self, "csv")

    def to_json(self) -> str:
        """JSON, the format of record."""
        return render(self, "json")

    def to_frame(self) -> pd.DataFrame:
        """A pandas frame with a row a record; columns with gaps are ``Int64``."""
        import pandas as pd

        frame: pd.DataFrame = pd.DataFrame.from_records(self.records()).convert_dtypes()
        return frame

    @property
    def title(self) -> str:
        """What it is about: the first line of its document."""
        return next(block.text for block in self.document() if isinstance(block, Paragraph))

    def headline(self) -> str:
        """What it says, in one line; its title, unless a result says more."""
        return self.title

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {printable(self.headline())}>"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from costlab.render.notebook import fragment

        return fragment(self.document())

    def _repr_markdown_(self) -> str:
        return self.to_markdown()

    def __str__(self) -> str:
        return self.to_text().rstrip("\n")
