"""A module whose sizes are symbols: what is written, where it is followed, and what comes of it.

The dimensions of inputs that are names are symbols, and so are constructor arguments that are. The
module is followed once at a point (``near``): what its code asks of a size is answered by the
number there, and kept as a guard.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from costlab.errors import (
    CodeError,
    CostlabError,
    ShapeError,
    TraceError,
    UnknownNameError,
    ValuesError,
)
from costlab.graph import Graph
from costlab.graph.sizes import Sizes
from costlab.models.arguments import shape_of, sizes_of
from costlab.models.module import MadeOnce
from costlab.models.reference import AS_PUBLISHED, Reference, Run
from costlab.models.symbolic_choices import Choice, read_model, usual_value
from costlab.models.symbolic_layout import laid_out

if TYPE_CHECKING:
    from costlab.symbols.assumptions import Assumptions, Guard

SymbolicSize: TypeAlias = "str | Iterable[Any] | Mapping[str, Any]"
"""``"N,3,H,W"``, the same as a tuple of ints and names, several of them, or by keywords."""

_RAN = re.compile(" raised | cannot be built")
_SIDES = (224, 256, 64, 32, 299, 128, 28, 16, 8)
"""Sizes of images that are tried, in this order, where nothing else is said."""

_TRIED = (1, 3, 4, 16, 77, 128, 512)
"""Numbers that are tried for one symbol, where it fails at the usual ones."""


@dataclass(frozen=True)
class SymbolicSizes:
    """A module that is followed with symbols; ``near`` has numbers for some of them.

    ``choices`` are the arguments of its constructor that have symbols.
    """

    model: Reference
    inputs: Sizes
    choices: Mapping[str, Choice] = field(default_factory=dict)
    near: Mapping[str, int] = field(default_factory=dict)
    run: Run = AS_PUBLISHED
    layout: bool = False
    """Whether it is to say what is a view and what a copy."""

    @cached_property
    def sizes(self) -> tuple[str, ...]:
        """The symbols of the inputs, in their order."""
        return names_in(self.inputs)

    @cached_property
    def symbols(self) -> tuple[str, ...]:
        """All symbols, those of arguments last."""
        chosen = [name for choice in self.choices.values() for name in choice.names]
        return tuple(dict.fromkeys((*self.sizes, *chosen)))

    def followed(self) -> Followed:
        """What the module does with these sizes. Raises what ``trace.follow`` raises."""
        for name in self.near:
            if name not in self.symbols:
                raise UnknownNameError(
                    "symbol", name, self.symbols, "near is a number for a name of the input size"
                )
            require_size(f"near {name}", self.near[name])
        from costlab.symbols.assumptions import Assumptions

        first: CostlabError | None = None
        for side in _SIDES:
            hints = self._hints(side)
            try:
                return self.at(Assumptions(hints))
            except (ShapeError, TraceError, CodeError) as error:
                first = first or error
                if not self._varies_with_side() or isinstance(error, CodeError):
                    break
        assert first is not None
        if isinstance(first, CodeError) and not _RAN.search(str(first)):
            raise first  # no code was run
        hints = self._hints(_SIDES[0])
        if at := ", ".join(f"{name}={value}" for name, value in hints.items()):
            instead = "" if isinstance(first, ValuesError) else self._instead(hints)
            if "SymIntArrayRef expected" in str(first):
                instead = f"write torch.empty(...) for torch.Tensor(...); {instead}"
            first.args = (f"{first}; it was followed at {at}{': ' if instead else ''}{instead}",)
        raise first

    def require_at(self, values: Mapping[str, Any]) -> None:
        """Raises for numbers that no formula of it takes: known before it is followed."""
        for name, value in values.items():
            if name not in self.symbols:
                raise UnknownNameError("symbol", name, self.symbols)
            require_size(name, value)

    def _instead(self, hints: Mapping[str, int]) -> str:
        """What to do where it cannot be followed, as far as something is seen to help."""
        chosen = [name for name in self.symbols if name not in self.sizes]
        if not self.problem(hints):
            if not chosen:
                return "give other sizes with near (--near)"
            name, number = chosen[0], hints[chosen[0]]
            return f"with numbers it can be: give {name} as one ({number}), or sweep over it"
        for name in self.symbols:
            for number in _TRIED:
                if number != hints[name] and not self.problem({**hints, name: number}):
                    return f"give other sizes with near, such as {name}={number} (--near)"
        return ""

    def problem(self, values: Mapping[str, int]) -> str:
        """Why it does not run with these numbers; nothing if it does."""
        try:
            self._network(values, self.run)
        except CostlabError as error:
            return str(error)
        return ""

    def _varies_with_side(self) -> bool:
        return self._hints(_SIDES[0]) != self._hints(_SIDES[1])

    @cached_property
    def _defaults(self) -> Mapping[str, Any]:
        """What arguments are by default."""
        return getattr(self.model, "defaults", {}) if self.choices else {}

    def _hints(self, side: int) -> dict[str, int]:
        hints: dict[str, int] = {}
        for shape in (*self.inputs.positional, *self.inputs.named.values()):
            for place, dimension in enumerate(shape):
                if isinstance(dimension, str):
                    hints.setdefault(dimension, _usual(place, len(shape), side))
        for name in self.symbols:
            if name not in hints or any(choice.alone == name for choice in self.choices.values()):
                hints[name] = usual_value(name, self.choices, self._defaults)
        return {**hints, **self.near}

    def _network(self, values: Mapping[str, Any], run: Run) -> Graph:
        """The network with numbers, or sizes, for the symbols."""
        sizes = sizes_of(with_numbers(self.inputs, values))
        model: Any = self.model
        if not self.choices:
            return model.network(sizes, run, {}).graph  # type: ignore[no-any-return]
        from costlab.trace.symbolic_modules import made_of_symbols

        chosen = {name: choice.at(values) for name, choice in self.choices.items()}
        if not run.symbolic:
            return MadeOnce(model, chosen, run).network(sizes, run, {}).graph
        with made_of_symbols(run.symbolic):
            made = model.made(chosen)
        return model.of_model(made, sizes, run).graph  # type: ignore[no-any-return]

    def at(self, of: Assumptions) -> Followed:
        """What it does at the hints of these symbols, which learn of what code asks until then."""
        from costlab.trace.like_ints import sizes_like_ints
        from costlab.trace.symbolic_numbers import shared_sizes, sym_int

        hints = of.hints
        with sizes_like_ints():
            symbols = {name: sym_int(size) for name, size in of.symbols.items()}
            graph = self._network(symbols, replace(self.run, symbolic=of)).resized(shared_sizes())
            of.settle()
        of.where = str
        followed, numbers = Followed(graph, of), self._network(hints, self.run)
        if difference := _difference(followed.at(hints), numbers):
            raise TraceError(
                f"{graph.name} does something else with a size that is a symbol than with its "
                f"number, at {difference}: count it at sizes that are numbers, with analyze"
            )
        return Followed(laid_out(graph, numbers, of), of) if self.layout else followed


@dataclass(frozen=True)
class Followed:
    """A graph whose sizes are expressions of symbols, and what was assumed of these."""

    graph: Graph
    of: Assumptions

    @property
    def guards(self) -> list[Guard]:
        """The conditions under which the code does what was followed."""
        return list(self.of.guards.values())

    def at(self, values: Mapping[str, Any]) -> Graph:
        """The graph with values for the symbols: ints, arrays, bounds, symbols of sympy."""
        from costlab.symbols.size import Size

        known: dict[int, Any] = {}

        def value(size: Any) -> Any:
            if isinstance(size, Size):
                return size.at(values, known)
            if isinstance(size, tuple) and any(value(item) is not item for item in size):
                return tuple(value(item) for item in size)
            return size

        return self.graph.resized(value)


def symbolic_sizes(
    model: Any,
    size: SymbolicSize,
    symbols: Iterable[str] = (),
    near: Mapping[str, int] | None = None,
    run: Run = AS_PUBLISHED,
) -> SymbolicSizes:
    """The module that ``model`` names, holds or makes, with an input size that has names."""
    inputs = read_sizes(size)
    known, choices = read_model(model, symbols, names_in(inputs))
    return SymbolicSizes(known, inputs, choices, near or {}, run)


def require_size(name: str, value: Any) -> None:
    """Raises ``ShapeError`` for what is no size."""
    if type(value) is not int or value < 1:
        raise ShapeError(f"{name}={value}: a size is a whole number from 1")


def with_numbers(sizes: Sizes, numbers: Mapping[str, Any]) -> Sizes:
    """Sizes with numbers in place of names."""

    def shape(dimensions: Iterable[Any]) -> Any:
        return tuple(numbers[d] if isinstance(d, str) else d for d in dimensions)

    named = {name: shape(size) for name, size in sizes.named.items()}
    return Sizes(tuple(map(shape, sizes.positional)), named)


def names_in(sizes: Sizes) -> tuple[str, ...]:
    """The names of dimensions, in the order of the inputs."""
    shapes: list[Any] = [*sizes.positional, *sizes.named.values()]
    return tuple(dict.fromkeys(d for shape in shapes for d in shape if isinstance(d, str)))


def read_sizes(size: Any) -> Sizes:
    """``"N,3,H,W"`` and its like as sizes. Raises ``ShapeError``."""
    if isinstance(size, Sizes):
        return size
    if isinstance(size, str):
        return Sizes((_read(size),))
    if isinstance(size, Mapping):
        return Sizes(named={name: _read(shape) for name, shape in size.items()})
    several = list(size) if isinstance(size, (list, tuple)) else list(shape_of(size))
    if several and all(_is_shape(shape) for shape in several):
        return Sizes(tuple(map(_read, several)))
    return Sizes((_read(several),))


def parse_symbolic_sizes(texts: Iterable[str], batch: int | None = None) -> Sizes | None:
    """``["N,3,H=W=S", "mask=N,T"]`` as sizes; nothing as None. Raises ``ShapeError``."""
    if batch is not None:
        raise ShapeError("where sizes vary, the batch is one of them: write it in the input size")
    positional, named = [], {}
    for text in texts:
        name, equals, dimensions = text.partition("=")
        if equals and "," not in name:
            named[name.strip()] = _read(dimensions)
        else:
            positional.append(_read(text))
    return Sizes(tuple(positional), named) if positional or named else None


def has_names(size: Any) -> bool:
    """Whether a dimension of an input size is a name."""
    if isinstance(size, str):
        return True
    if isinstance(size, Sizes):
        return has_names([*size.positional, *size.named.values()])
    if isinstance(size, Mapping):
        return any(map(has_names, size.values()))
    return isinstance(size, (list, tuple)) and any(map(has_names, size))


def _is_shape(value: Any) -> bool:
    return isinstance(value, (list, tuple)) or (isinstance(value, str) and "," in value)


def _read(shape: Any) -> tuple[Any, ...]:
    """A shape of whole numbers and names; ``H=W=S`` is S twice. Raises ``ShapeError``."""
    words = shape.split(",") if isinstance(shape, str) else list(shape)
    words = [name for word in words for name in _equal(word)]
    dimensions: list[Any] = []
    for word in words:
        text = word.strip() if isinstance(word, str) else word
        if isinstance(text, str) and re.fullmatch("[0-9]{1,12}", text):
            text = int(text)
        if not ((type(text) is int and text >= 1) or (isinstance(text, str) and _is_name(text))):
            raise ShapeError(
                f"cannot read the dimension {word!r} of the input size: write whole numbers from "
                "1, and names for symbols, such as N,3,H,W"
            )
        dimensions.append(text)
    return tuple(dimensions)


def _equal(word: Any) -> list[Any]:
    """The sizes of ``H=W=S``: two that are S."""
    *names, size = word.split("=") if isinstance(word, str) else [word]
    return [size] * max(len(names), 1) if all(_is_name(name.strip()) for name in names) else [word]


def _is_name(text: str) -> bool:
    return text.isidentifier() and not text.startswith("_")


def _usual(place: int, rank: int, side: int) -> int:
    """A sensible size: a batch of 2, images of that side, 64 of anything else."""
    if place == 0 and rank > 1:
        return 2
    return side if rank >= 4 and place >= 2 else 64


def _difference(one: Graph, two: Graph) -> str:
    """The first layer in which two graphs differ, or ``""``."""
    for first, second in zip(one.layers, two.layers, strict=False):
        if (first.path, first.op, first.inputs, first.output) != (
            second.path,
            second.op,
            second.inputs,
            second.output,
        ):
            return first.path
    if len(one.layers) != len(two.layers):
        return max(one.layers, two.layers, key=len)[min(len(one.layers), len(two.layers))].path
    shapes = zip(one.values, two.values, strict=True)
    return "its values" if any(a.shape != b.shape for a, b in shapes) else ""
