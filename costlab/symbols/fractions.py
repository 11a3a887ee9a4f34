"""Floats that are made of sizes."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, trunc
from typing import Any

from costlab.symbols.assumptions import Assumptions
from costlab.symbols.size import Size

_EXACT = 2**26
"""Up to here a quotient of whole numbers is rounded by floats as it is by fractions."""


class Fraction:
    """A float: ``above / below`` as long as floats say the same of it as fractions, else a number.

    ``h / 2``, ``h * 0.5`` and ``h / 7`` are. What is not is fixed: the sizes in it are what they
    are at the hints, and that is a guard.
    """

    __slots__ = ("above", "below", "of", "rounded_already", "value")

    def __init__(
        self,
        of: Assumptions,
        above: Size | None,
        below: int,
        value: float,
        rounded_already: bool = False,
    ) -> None:
        self.of, self.above, self.below, self.value = of, above, below, value
        self.rounded_already = rounded_already
        """Whether floats have rounded it, so that no more can be said of a further step."""

    @classmethod
    def plain(cls, of: Assumptions, number: float) -> Fraction:
        """A number."""
        above, below = number.as_integer_ratio() if abs(number) < _EXACT else (0, _EXACT)
        exact = below <= 2**10 and abs(above) < _EXACT
        return cls(of, of.constant(above) if exact else None, below, number)

    @classmethod
    def of_number(cls, value: Any) -> Fraction:
        """A size as a float."""
        if isinstance(value, Fraction):
            return value
        return cls(value.of, value, 1, float(value.hint))

    @property
    def hint(self) -> float:
        """The number at the hints."""
        return self.value

    def asked(self) -> float:
        """The number at the hints, and from now on always."""
        if self.above is not None and not self.of.general:  # what only refuses asks of no fraction
            self.of.fixed(self.above)
        return self.value

    def _fixed(self) -> float:
        return self.asked()

    def _both(self, other: Fraction, rule: Callable[[Any, Any], Any]) -> Fraction:
        return Fraction(self.of, None, 1, rule(self._fixed(), other._fixed()))

    def _is_exact(self) -> bool:
        return self.above is not None and not self.rounded_already

    def __add__(self, other: Fraction) -> Fraction:
        if not (self._is_exact() and other._is_exact()):
            return self._both(other, lambda a, b: a + b)
        assert self.above is not None
        assert other.above is not None
        above = self.above * other.below + other.above * self.below
        return Fraction(self.of, above, self.below * other.below, self.value + other.value)

    def __sub__(self, other: Fraction) -> Fraction:
        return self + -other

    def __neg__(self) -> Fraction:
        above = None if self.above is None else -self.above
        return Fraction(self.of, above, self.below, -self.value, self.rounded_already)

    def __mul__(self, other: Fraction) -> Fraction:
        if not (self._is_exact() and other._is_exact()):
            return self._both(other, lambda a, b: a * b)
        assert self.above is not None
        assert other.above is not None
        value = self.value * other.value
        return Fraction(self.of, self.above * other.above, self.below * other.below, value)

    def __truediv__(self, other: Fraction) -> Fraction:
        number = None if other.above is None else other.above.number
        if not (self._is_exact() and other._is_exact() and number):
            return self._both(other, lambda a, b: a / b)
        assert self.above is not None
        above, below = self.above * other.below, self.below * number
        if below < 0:
            above, below = -above, -below
        whole = all(factor % below == 0 for factor in above.terms.values())
        if whole:
            above, below = above // below, 1
        is_power = below & (below - 1) == 0
        return Fraction(self.of, above, below, self.value / other.value, not is_power)

    def __floordiv__(self, other: Fraction) -> Fraction:
        return self._both(other, lambda a, b: a // b)

    def __mod__(self, other: Fraction) -> Fraction:
        return self._both(other, lambda a, b: a % b)

    def __abs__(self) -> Fraction:
        return Fraction(self.of, None, 1, abs(self._fixed()))

    def __pow__(self, power: float) -> Fraction:
        return Fraction(self.of, None, 1, self._fixed() ** power)

    def rounded(self, how: Any) -> Size:
        """``math.floor``, ``ceil`` or ``trunc`` of it."""
        if self.above is None or abs(self.above.hint) > _EXACT * self.below:
            return self.of.constant(how(self._fixed()))
        self.of.at_least_zero(self.of.constant(_EXACT * self.below) - self.above)
        if how is ceil or (how is trunc and not self.of.at_least_zero(self.above)):
            return -((-self.above) // self.below)  # type: ignore[no-any-return]
        return self.above // self.below  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return f"{self.value}"
