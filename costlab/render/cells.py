"""What stands in the cells of a table: values, which each format writes in its own way."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from costlab import formatting

if TYPE_CHECKING:
    from fractions import Fraction


class Number(NamedTuple):
    """An exact number of a ``unit``, or None where it is not known; a lower bound if so said.

    ``scale`` is how people read a whole number: exactly, unless they ask for a shorter form.
    """

    value: int | Fraction | None
    unit: str = ""
    at_least: bool = False
    scale: formatting.Scale = "exact"


class Share(NamedTuple):
    """A part of a whole; a part that is not known is None."""

    part: int | None
    whole: int


class Versus(NamedTuple):
    """How a value compares with a reference; None is not known.

    It is a percentage, or a factor if it is large or ``factor`` asks for one.
    """

    reference: int | None
    value: int | None
    factor: bool = False


class Difference(NamedTuple):
    """What a value has more than a reference; None is not known."""

    reference: int | None
    value: int | None
    unit: str = ""


class Shapes(NamedTuple):
    """Shapes of tensors."""

    shapes: tuple[tuple[int, ...], ...]


Cell: TypeAlias = str | Number | Share | Versus | Difference | Shapes


def text_of(cell: Cell) -> str:
    """The cell for people: ``≥120,422,400``, ``8.1%``, ``÷9.68``, ``1×192×28×28``."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, Shapes):
        return formatting.shapes(cell.shapes)
    if isinstance(cell, (Versus, Difference)):
        if cell.reference is None or cell.value is None:
            return "?"
        if isinstance(cell, Versus):
            return formatting.change(cell.reference, cell.value, cell.factor)
        return formatting.difference(cell.reference, cell.value, cell.unit)
    if isinstance(cell, Share):
        return "?" if cell.part is None else formatting.percent(cell.part, cell.whole)
    if cell.value is None:
        return "?"
    if isinstance(cell.value, int) and cell.unit != "ps":
        return f"{'≥' if cell.at_least else ''}{formatting.in_scale(cell.value, cell.scale)}"
    if cell.unit == "%":
        return f"{formatting.fraction(100 * cell.value)}%"
    return formatting.amount(cell.value, cell.unit)
