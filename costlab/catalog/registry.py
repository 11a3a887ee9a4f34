"""How a file of the catalog registers an architecture, and how one becomes a graph."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeAlias, TypeVar

from costlab import formatting
from costlab.errors import ChoiceError, ShapeError, UnknownNameError, shown
from costlab.graph import Graph, Net
from costlab.graph.arithmetic import Ratio, as_ratio
from costlab.graph.op import Shape, is_whole

Definition = TypeVar("Definition", bound=Callable[..., Any])

ARCHITECTURES: dict[str, Architecture] = {}

Variants: TypeAlias = Mapping[str, Mapping[str, str]]
"""For a choice between named networks: the name of each, and what it is."""

_KINDS = {
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    str: "a word in quotes",
}
TOO_LARGE = 10**12
"""Numbers of choices and sizes of inputs are below."""


@dataclass(frozen=True)
class Architecture:
    """A network of the literature: what it is, where it is published, and its choices.

    ``choices`` are the keyword arguments of its definition with the published values as defaults;
    ``variants`` says which words a choice takes, and what they mean. ``sized`` gives the published
    input from choices, where it depends on them; ``sizing`` are the choices that do nothing else.
    """

    name: str
    define: Callable[..., Any]
    input: Shape
    summary: str
    source: str
    choices: dict[str, Any]
    variants: Variants = field(default_factory=dict)
    sized: Callable[..., Shape] | None = None
    sizing: frozenset[str] = frozenset()

    @property
    def description(self) -> str:
        """The definition's docstring on one line: shapes, and what the choices mean."""
        return " ".join((inspect.getdoc(self.define) or "").replace("``", "").split())

    def graph(self, input_size: Shape | None = None, **choices: Any) -> Graph:
        """The network as a graph, on ``input_size`` (default: the published one, batch 1).

        Raises ``UnknownNameError``, ``ChoiceError`` or ``ShapeError``.
        """
        choices = {name: self.checked(name, value) for name, value in choices.items()}
        if input_size is not None and (sizing := self.sizing & choices.keys()):
            raise ChoiceError(
                f"{min(sizing)} of {self.name} is the size of its input: give it or an input size"
            )
        size = self.published_input(choices) if input_size is None else tuple(input_size)
        if not all(is_whole(d) for d in size):
            raise ShapeError(f"input size {_listed(size)} of {self.name}: give whole numbers")
        if len(size) != len(self.input):
            raise ShapeError(
                f"input size {_listed(size)} has {formatting.plural(len(size), 'number')}, "
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

    def takes_many(self, name: str) -> bool:
        """Whether the definition takes many values of a choice at once, as an array or a symbol.

        Other choices are words, switches, and numbers that decide which layers there are: each of
        their values builds another network.
        """
        import numpy as np

        published = self.choices[name]
        if isinstance(published, (bool, str)):
            return False
        many: Any = np.array([published, published])
        if isinstance(published, float):
            ratio = as_ratio(published)
            many = Ratio(np.array([ratio.numerator, ratio.numerator]), ratio.denominator)
        try:
            self.graph(**{name: many})
        except (TypeError, ValueError):  # no truth: the definition branches on it
            return False
        return True

    def about(self, choices: Mapping[str, Any]) -> str:
        """For people: the network with these choices, its variants, and where it is published."""
        sentences = [self.summary, self.source]
        for choice, words in self.variants.items():
            chosen = choices.get(choice, self.choices[choice])
            others = " or ".join(f'{choice}="{word}"' for word in words if word != chosen)
            sentences.append(f'Here {choice}="{chosen}": {words[chosen]} (also: {others})')
        return ". ".join(sentences) + "."

    def published_input(self, choices: Mapping[str, Any]) -> Shape:
        """The input that was published with these choices."""
        if self.sized is None:
            return self.input
        names = inspect.signature(self.sized).parameters
        return self.sized(**{name: choices[name] for name in names if name in choices})

    def checked(self, name: str, value: Any) -> Any:
        """The value in the choice's own type. Raises ``UnknownNameError`` or ``ChoiceError``."""
        if name not in self.choices:
            raise UnknownNameError(f"choice of {self.name}", name, self.choices)
        kind = type(self.choices[name])
        if kind is float and type(value) is int:
            value = float(value)
        literal = isinstance(value, (bool, int, float, complex, str, bytes, list, tuple, dict, set))
        if type(value) is not kind and (literal or not _stands_for_many(value)):
            raise ChoiceError(
                f"{name} of {self.name} takes {_KINDS[kind]}, such as "
                f"{name}={self.choices[name]!r}, not {shown(value)}"
            )
        if name in self.variants and value not in self.variants[name]:
            raise UnknownNameError(f"{name} of {self.name}", value, self.variants[name])
        if isinstance(value, (int, float)) and not abs(value) < TOO_LARGE:
            raise ChoiceError(f"{name} of {self.name} is too large: give one below {TOO_LARGE:,}")
        return value


def architecture(
    *,
    input: Shape | Callable[..., Shape],
    summary: str,
    source: str,
    variants: Variants | None = None,
) -> Callable[[Definition], Definition]:
    """Register a definition ``(net, x, *, choice=published value, ...) -> value or values``.

    Its name is the function's, with hyphens. ``input`` is the published shape, or a function that
    gives it from choices; what such a function takes and the definition does not, is a choice too,
    and cannot be given together with an input size.
    """

    def register(define: Definition) -> Definition:
        name = define.__name__.replace("_", "-")
        sized = input if callable(input) else None
        choices = dict(_defaults(define)[2:])
        sizes = dict(_defaults(sized)) if sized else {}
        ARCHITECTURES[name] = Architecture(
            name,
            define,
            input() if callable(input) else input,
            summary,
            source,
            choices | sizes,
            variants or {},
            sized,
            frozenset(sizes.keys() - choices.keys()),
        )
        return define

    return register


@lru_cache(maxsize=256)
def _graph(name: str, size: Shape, choices: tuple[tuple[str, Any], ...]) -> Graph:
    """Graphs never change, so one that was built serves again."""
    chosen = ", ".join(f"{key}={_in_words(value)}" for key, value in choices)
    entry = ARCHITECTURES[name]
    net = Net(f"{name}({chosen})" if chosen else name, size)
    arguments = {key: value for key, value in choices if key not in entry.sizing}
    outputs = entry.define(net, *net.inputs, **arguments)
    return net.graph(outputs, about=entry.about(dict(choices)))


def _stands_for_many(value: Any) -> bool:
    """Whether it may be an array of choices, or a symbol; of torch's tensors counts are no ints."""
    is_number = isinstance(value, Ratio) or hasattr(type(value), "__mul__")
    return is_number and not hasattr(value, "__torch_function__")


def _in_words(value: Any) -> str:
    """Of an array, which a sweep gives many times, not its numbers: to write them takes long."""
    return "..." if hasattr(value, "ndim") else repr(value)


def _defaults(function: Callable[..., Any]) -> list[tuple[str, Any]]:
    return [(p.name, p.default) for p in inspect.signature(function).parameters.values()]


def _same(value: Any, published: Any) -> bool:
    return type(value) is type(published) and bool(value == published)


def _listed(size: Shape) -> str:
    return ",".join(str(d) for d in size)


def forget() -> None:
    """Forget the graphs that were built, as benchmarks of a first call need it."""
    _graph.cache_clear()
