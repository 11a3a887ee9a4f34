"""The tree of an expression: what a text says, with the character where each part begins.

A ``span`` is from where to where a part stands in the text, with parentheses around it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal, TypeAlias

ValueType: TypeAlias = Literal["number", "truth", "word"]

COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")

STRENGTHS: dict[str, int] = {
    "or": 1,
    "and": 2,
    **dict.fromkeys(COMPARISONS, 3),
    "+": 4,
    "-": 4,
    **dict.fromkeys(("*", "/", "//", "%"), 5),
}
"""How strongly a sign binds what stands on its sides."""


@dataclass(frozen=True)
class Selector:
    """One of the names in ``[...]``: an operation, a path, or a name that may be either."""

    form: Literal["name", "operation", "path"]
    text: str
    place: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Constant:
    """A number, ``True``, ``False``, or a word in quotes."""

    value: Fraction | bool | str
    kind: ValueType
    place: int
    unit: str = field(default="", compare=False)
    """As it is written behind a number."""
    span: tuple[int, int] = field(default=(0, 0), compare=False)


@dataclass(frozen=True)
class Variable:
    """A name whose value the user of the language supplies: ``base.macs[conv, "fc.*"]``.

    ``table`` is the name before the dot, or ``""``; without ``selectors`` all layers are meant.
    """

    name: str
    table: str = ""
    selectors: tuple[Selector, ...] = ()
    kind: ValueType = "number"
    place: int = field(default=0, compare=False)
    span: tuple[int, int] = field(default=(0, 0), compare=False)

    def __str__(self) -> str:
        return f"{self.table}.{self.name}" if self.table else self.name


@dataclass(frozen=True)
class Prefix:
    """``-x`` or ``not x``."""

    sign: str
    operand: Node
    place: int
    span: tuple[int, int] = field(default=(0, 0), compare=False)

    @property
    def kind(self) -> ValueType:
        """What its value is."""
        return "truth" if self.sign == "not" else "number"


@dataclass(frozen=True)
class Chain:
    """``a + b - c``, ``a < b <= c``, ``a and b and c``: parts joined by signs of one strength."""

    first: Node
    rest: tuple[tuple[str, Node], ...]
    span: tuple[int, int] = field(default=(0, 0), compare=False)

    @property
    def strength(self) -> int:
        """How strongly its signs bind, which is the same for all of them: see ``STRENGTHS``."""
        return STRENGTHS[self.rest[0][0]]

    @property
    def kind(self) -> ValueType:
        """What its value is."""
        return "number" if self.strength > STRENGTHS["<"] else "truth"

    @property
    def place(self) -> int:
        """Where it begins."""
        return self.first.place


Node: TypeAlias = Constant | Variable | Prefix | Chain


def leaves(node: Node) -> Iterator[Variable | Constant]:
    """Every name and constant in it, from left to right."""
    match node:
        case Variable() | Constant():
            yield node
        case Prefix(operand=operand):
            yield from leaves(operand)
        case Chain(first=first, rest=rest):
            yield from leaves(first)
            for _, operand in rest:
                yield from leaves(operand)


def variables(node: Node) -> Iterator[Variable]:
    """Every name in it that has to be supplied, from left to right."""
    return (leaf for leaf in leaves(node) if isinstance(leaf, Variable))
