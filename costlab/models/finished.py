"""MODEL as a graph that is there already, such as one that a ``Net`` has built."""

from __future__ import annotations

from typing import Any, NamedTuple

from costlab.errors import ChoiceError
from costlab.graph import Graph
from costlab.graph.op import Shape
from costlab.graph.sizes import Sizes
from costlab.models.reference import Accepts, Network, Run


class Finished(NamedTuple):
    """A graph as it is."""

    graph: Graph

    @property
    def accepts(self) -> frozenset[Accepts]:
        return frozenset()

    def network(
        self, input_size: Shape | Sizes | None, run: Run, choices: dict[str, Any]
    ) -> Network:
        if choices or input_size is not None:
            what = "choices" if choices else "an input size"
            raise ChoiceError(
                f"{self.graph.name} is a finished graph: give {what} where it is made"
            )
        return Network(self.graph)


class _Graphs:
    priority = 0
    about = ""
    grammar: tuple[str, ...] = ()

    def read(self, model: object) -> Finished | None:
        return Finished(model) if isinstance(model, Graph) else None


FRONTEND = _Graphs()
