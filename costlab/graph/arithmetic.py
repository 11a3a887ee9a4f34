"""Arithmetic for ints, sympy symbols and numpy arrays alike, so without a branch on a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from costlab.errors import ChoiceError

if TYPE_CHECKING:
    from fractions import Fraction


def smaller(a: int, b: int) -> int:
    """The smaller of the two, element by element."""
    return (a + b - abs(a - b)) // 2


def larger(a: int, b: int) -> int:
    """The larger of the two, element by element."""
    return (a + b + abs(a - b)) // 2


def least(a: Any, b: Any) -> Any:
    """The smaller of the two; of symbols in sympy's own form, which is shorter where it is nested.

    It costs more than ``smaller``, which is a polynomial but for one absolute value.
    """
    if not hasattr(a - b, "free_symbols"):
        return smaller(a, b)
    from sympy import Min  # which has been imported for the symbols

    return Min(a, b)


def most(a: Any, b: Any) -> Any:
    """The larger of the two, likewise."""
    if not hasattr(a - b, "free_symbols"):
        return larger(a, b)
    from sympy import Max

    return Max(a, b)


@dataclass(frozen=True, eq=False)
class Ratio:
    """A number such as a width multiplier, in whole numbers: ``numerator / denominator``.

    Either may be an int, a symbol or an array; denominators are positive. Ratios of many values
    have no truth, so comparing them is a ``TypeError``: a rule that needs it cannot take them.
    """

    numerator: Any
    denominator: Any

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise TypeError("cannot compare a ratio: it may hold many values")

    def of(self, whole: int) -> int:
        """The ratio times a whole number, rounded down: 0.5 of 7 is 3."""
        part: int = whole * self.numerator // self.denominator
        return part


def as_ratio(value: float | Fraction | Ratio) -> Ratio:
    """A number as it is written: 0.1 is one tenth, not the double next to it.

    Raises ``ChoiceError`` if it is not above 0.
    """
    if isinstance(value, Ratio):
        return value
    from fractions import Fraction  # models without a multiplier do not wait for it

    exact = value if isinstance(value, Fraction) else Fraction(str(value))
    if exact <= 0:
        raise ChoiceError(f"a multiplier is a number above 0, such as 0.5, not {value}")
    return Ratio(exact.numerator, exact.denominator)
