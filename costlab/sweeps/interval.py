"""Bounds of whole numbers, to know beforehand whether 64 bits are enough for all of them.

The rules run on these as on ints, symbols and arrays. A bound beyond int64 is an ``OverflowError``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

LARGEST = 2**63 - 1


class Unsure:
    """A truth that depends on which number it is."""

    def __bool__(self) -> bool:
        raise TypeError("it depends on the number")

    def __and__(self, other: object) -> Unsure:
        return self

    __rand__ = __or__ = __ror__ = __and__

    def __invert__(self) -> Unsure:
        return self


class Interval:
    """Some whole number from ``low`` to ``high``."""

    __slots__ = ("high", "low")

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, low: int, high: int) -> None:
        if low < -LARGEST or high > LARGEST:
            raise OverflowError
        self.low, self.high = low, high

    def __add__(self, other: Any) -> Interval:
        return _over(lambda a, b: a + b, self, other)

    def __sub__(self, other: Any) -> Interval:
        return _over(lambda a, b: a - b, self, other)

    def __rsub__(self, other: Any) -> Interval:
        return _over(lambda a, b: b - a, self, other)

    def __mul__(self, other: Any) -> Interval:
        return _over(lambda a, b: a * b, self, other)

    __radd__, __rmul__ = __add__, __mul__

    def __floordiv__(self, other: Any) -> Interval:
        return _over(lambda a, b: a // b, self, _divisor(other))

    def __rfloordiv__(self, other: Any) -> Interval:
        return _interval(other) // self

    def __mod__(self, other: Any) -> Interval:
        return Interval(0, _divisor(other).high - 1)

    def __rmod__(self, other: Any) -> Interval:
        return _interval(other) % self

    def __neg__(self) -> Interval:
        return Interval(-self.high, -self.low)

    def __abs__(self) -> Interval:
        least = 0 if self.low <= 0 <= self.high else min(abs(self.low), abs(self.high))
        return Interval(least, max(abs(self.low), abs(self.high)))

    def sign(self) -> Interval:
        """-1, 0 or 1."""
        return Interval((self.low > 0) - (self.low < 0), (self.high > 0) - (self.high < 0))

    def _compared(self, surely: bool, never: bool) -> Any:
        return True if surely else False if never else Unsure()

    def __lt__(self, other: Any) -> Any:
        b = _interval(other)
        return self._compared(self.high < b.low, self.low >= b.high)

    def __le__(self, other: Any) -> Any:
        b = _interval(other)
        return self._compared(self.high <= b.low, self.low > b.high)

    def __gt__(self, other: Any) -> Any:
        b = _interval(other)
        return self._compared(self.low > b.high, self.high <= b.low)

    def __ge__(self, other: Any) -> Any:
        b = _interval(other)
        return self._compared(self.low >= b.high, self.high < b.low)

    def __eq__(self, other: object) -> Any:
        return Unsure()

    def __ne__(self, other: object) -> Any:
        return Unsure()


def _interval(value: Any) -> Interval:
    return value if isinstance(value, Interval) else Interval(value, value)


def _divisor(value: Any) -> Interval:
    """Divisors below 1 are of networks that do not exist, and are dropped."""
    value = _interval(value)
    return Interval(max(value.low, 1), max(value.high, 1))


def _over(rule: Callable[[int, int], int], a: Interval, b: Any) -> Interval:
    """The rule's bounds: it is monotonous in each number, so they are at the corners."""
    b = _interval(b)
    corners = [rule(x, y) for x in (a.low, a.high) for y in (b.low, b.high)]
    return Interval(min(corners), max(corners))
