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

    ``h / 2``, ``h * 0.5`` and ``h / 7`` are; ``sqrt(h)`` is a number that is made of ``h``. Who
    asks for that number fixes the sizes in it to what they are at the hints, which is a guard.
    Nobody asks for a bound of random numbers, or for a scale.
    """

    __slots__ = ("above", "below", "made_of", "of", "rounded_already", "value")

    def __init__(
        self,
        of: Assumptions,
        above: Size | None,
        below: int,
        value: float,
        rounded_already: bool = False,
        made_of: tuple[Size, ...] = (),
    ) -> None:
        self.of, self.above, self.below, self.value = of, above, below, value
        self.rounded_already = rounded_already
        """Whether floats have rounded it, so that no more can be said of a further step."""
        self.made_of = made_of if above is None else (above,)
        """The sizes that it depends on."""

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
        if not self.of.general:  # what only refuses asks of no fraction
            for size in self.made_of:
                self.of.fixed(size)
        return self.value

    def applied(self, rule: Callable[[Any], float]) -> Fraction:
        """What a function of floats makes of it."""
        return Fraction(self.of, None, 1, rule(self.value), made_of=self.made_of)

    def _both(self, other: Fraction, rule: Callable[[Any, Any], Any]) -> Fraction:
        made_of = tuple({size.key: size for size in (*self.made_of, *other.made_of)}.values())
        return Fraction(self.of, None, 1, rule(self.value, other.value), made_of=made_of)

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
        if self.above is None:
            return self.applied(lambda value: -value)
        return Fraction(self.of, -self.above, self.below, -self.value, self.rounded_already)

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
        return self.applied(abs)

    def __pow__(self, power: Fraction) -> Fraction:
        return self._both(power, lambda a, b: a**b)

    def rounded(self, how: Any) -> Size:
        """``math.floor``, ``ceil`` or ``trunc`` of it."""
        if self.above is None or abs(self.above.hint) > _EXACT * self.below:
            return self.of.constant(how(self.asked()))
        self.of.at_least_zero(self.of.constant(_EXACT * self.below) - self.above)
        if how is ceil or (how is trunc and not self.of.at_least_zero(self.above)):
            return -((-self.above) // self.below)  # type: ignore[no-any-return]
        return self.above // self.below  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return f"{self.value}"
