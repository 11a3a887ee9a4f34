"""How a file of the catalog registers an architecture, and how one becomes a graph."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from costlab import units
from costlab.errors import ChoiceError, ShapeError, UnknownNameError
from costlab.graph import Graph, Net
from costlab.op import Shape, is_whole

Definition = TypeVar("Definition", bound=Callable[..., Any])

ARCHITECTURES: dict[str, Architecture] = {}

_KINDS = {int: "a whole number", bool: "True or False", str: "a word in quotes"}
_TOO_LARGE = 10**12


@dataclass(frozen=True)
class Architecture:
    """A network of the literature: what it is, where it is published, and its choices.

    ``choices`` are the keyword arguments of its definition with the published values as defaults.
    """

    name: str
    define: Callable[..., Any]
    input: Shape
    summary: str
    source: str
    choices: dict[str, Any]

    @property
    def description(self) -> str:
        """The definition's docstring on one line: shapes, and what the choices mean."""
        return " ".join((inspect.getdoc(self.define) or "").replace("``", "").split())

    def graph(self, input_size: Shape | None = None, **choices: Any) -> Graph:
        """The network as a graph, on ``input_size`` (default: the published one, batch 1).

        Raises ``UnknownNameError``, ``ChoiceError`` or ``ShapeError``.
        """
        for name, value in choices.items():
            self._check(name, value)
        size = self.input if input_size is None else tuple(input_size)
        if not all(is_whole(d) for d in size):
            raise ShapeError(f"input size {_listed(size)} of {self.name}: give whole numbers")
        if len(size) != len(self.input):
            raise ShapeError(
                f"input size {_listed(size)} has {units.plural(len(size), 'number')}, "
                f"{self.name} takes {len(self.input)}: batch, channels, height, width, "
                f"such as {_listed(self.input)}"
            )
        key = tuple(
            (name, choices[name])
            for name, published in self.choices.items()
            if name in choices and not _same(choices[name], published)
        )
        try:
            hash((size, key))
        except TypeError:  # numpy arrays as dimensions
            return _graph.__wrapped__(self.name, size, key)
        return _graph(self.name, size, key)

    def _check(self, name: str, value: Any) -> None:
        if name not in self.choices:
            raise UnknownNameError(f"choice of {self.name}", name, self.choices)
        kind = type(self.choices[name])
        literal = isinstance(value, (bool, int, float, complex, str, bytes, list, tuple, dict, set))
        if value is None or (literal and type(value) is not kind):
            raise ChoiceError(
                f"{name} of {self.name} takes {_KINDS[kind]}, such as "
                f"{name}={self.choices[name]!r}, not {value!r}"
            )
        if isinstance(value, int) and abs(value) >= _TOO_LARGE:
            raise ChoiceError(f"{name} of {self.name} is beyond reason: try one below {_TOO_LARGE}")


def architecture(*, input: Shape, summary: str, source: str) -> Callable[[Definition], Definition]:
    """Register a definition ``(net, x, *, choice=published value, ...) -> value or values``.

    Its name is the function's, with hyphens.
    """

    def register(define: Definition) -> Definition:
        name = define.__name__.replace("_", "-")
        parameters = list(inspect.signature(define).parameters.values())[2:]
        choices = {p.name: p.default for p in parameters}
        ARCHITECTURES[name] = Architecture(name, define, input, summary, source, choices)
        return define

    return register


@lru_cache(maxsize=256)
def _graph(name: str, size: Shape, choices: tuple[tuple[str, Any], ...]) -> Graph:
    """Graphs never change, so one that was built serves again."""
    chosen = ", ".join(f"{key}={value!r}" for key, value in choices)
    entry = ARCHITECTURES[name]
    net = Net(f"{name}({chosen})" if chosen else name, size)
    outputs = entry.define(net, *net.inputs, **dict(choices))
    return net.graph(outputs, about=f"{entry.summary}. {entry.source}.")


def _same(value: Any, published: Any) -> bool:
    return type(value) is type(published) and bool(value == published)


def _listed(size: Shape) -> str:
    return ",".join(str(d) for d in size)


def forget() -> None:
    """Forget the graphs that were built, as benchmarks of a first call need it."""
    _graph.cache_clear()
