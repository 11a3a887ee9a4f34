"""MODEL as a saved report: a cost table's JSON holds its graph, and is read as the same graph.

``writing`` and ``reading`` are that of the graph. docs/json.md has every key.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from costlab.errors import ChoiceError
from costlab.graph.op import Shape
from costlab.graph.sizes import Sizes
from costlab.models.arguments import read_as
from costlab.models.reference import Accepts, Network, Run

_FILE = re.compile(r"(?P<where>.*\.json)(/(?P<part>[^()/]*(/[^()]*)?))?", re.DOTALL)


class Saved(NamedTuple):
    """A report by its file, and a part of it."""

    text: str
    file: str
    part: str

    @property
    def accepts(self) -> frozenset[Accepts]:
        return frozenset()

    @property
    def whole(self) -> Saved:
        """The report without the part."""
        return self._replace(part="")

    def network(
        self, input_size: Shape | Sizes | None, run: Run, choices: dict[str, Any]
    ) -> Network:
        if choices or input_size is not None:
            raise ChoiceError(f"{self.text} is a saved report: it has its input and its choices")
        # Other models do not wait for it.
        from costlab.models.saved_report.reading import load_report

        graph = load_report(self.file)
        return Network(graph.part(self.part, shown=self.file) if self.part else graph)


class _Reports:
    priority = 2
    about = "a report that costlab show wrote"
    grammar = ("report.json",)

    def read(self, model: object) -> Saved | None:
        match = read_as(_FILE, model) if isinstance(model, str) else None
        return match and Saved(match.string, match["where"], match["part"] or "")


FRONTEND = _Reports()
