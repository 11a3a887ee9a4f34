"""A number as a source prints it: its value, and what its last digit stands for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from costlab.errors import FigureError

_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}
_WORDS = {
    "k": "K",
    "m": "M",
    "b": "G",
    "bn": "G",
    "g": "G",
    "t": "T",
    "thousand": "K",
    "million": "M",
    "billion": "G",
}
_NUMBER = re.compile(r"(\d[\d,]*)(?:\.(\d+))?\s*([A-Za-z]*)")
_TIMES = re.compile(r"\s*[×x]\s*")


@dataclass(frozen=True)
class Printed:
    """A printed number: ``mantissa / 10**decimals`` in units of ``scale`` (K, M, G, T or none).

    ``precision`` is what one step of the last known digit is worth, in that scale, where it is not
    the last decimal: 650,000 that is known to tens of thousands, 23.830 that is known to 0.01.
    """

    mantissa: int
    decimals: int
    scale: str = ""
    precision: Fraction | None = None
    percent: bool = False

    def unit(self, kilo: int = 1000) -> Fraction:
        """The factor of the printed scale: 1000 for K."""
        return Fraction(kilo) ** _POWERS[self.scale] / (100 if self.percent else 1)

    def value(self, kilo: int = 1000) -> Fraction:
        """The number itself."""
        return Fraction(self.mantissa, 10**self.decimals) * self.unit(kilo)

    def step(self, kilo: int = 1000) -> Fraction:
        """The worth of one unit of the last printed digit."""
        if self.precision is not None:
            return self.precision * self.unit(kilo)
        return Fraction(1, 10**self.decimals) * self.unit(kilo)

    def rounds(self, exact: Fraction, kilo: int = 1000) -> bool:
        """Whether ``exact``, rounded to the printed digits, is the number; halves go both ways."""
        return abs(exact - self.value(kilo)) <= self.step(kilo) / 2

    def truncates(self, exact: Fraction, kilo: int = 1000) -> bool:
        """Whether ``exact``, its further digits cut off, is the number.

        Not with a single digit: 5 would then be anything below 6, and claim nothing.
        """
        return self.mantissa > 9 and self.value(kilo) <= exact < self.value(kilo) + self.step(kilo)


def number(text: str, scale: str = "", precision: str = "") -> Printed:
    """The only number in ``text``, such as ``"≈120M"``, ``"1.5 billion"`` or ``"94.86%"``.

    ``scale`` is that of a column's head, where the number itself has none. Raises ``FigureError``.
    """
    matches = _NUMBER.findall(text)
    if len(matches) != 1:
        raise FigureError(f"{text!r} has {len(matches)} numbers, a figure has one")
    integer_part, decimals, word = matches[0]
    letter = _WORDS.get(word.lower().removesuffix("b") or word.lower(), scale)
    if letter not in _POWERS:
        raise FigureError(f"unknown scale {letter!r}: known are {', '.join(filter(None, _POWERS))}")
    mantissa = int(integer_part.replace(",", "") + decimals)
    step = _precision(precision) if precision else None
    return Printed(mantissa, len(decimals), letter, step, "%" in text)


def _precision(text: str) -> Fraction:
    try:
        return Fraction(text)
    except ValueError:
        raise FigureError(f"cannot read the precision {text!r}: write it as 0.01 or 1000") from None


def shape(text: str) -> tuple[int, ...]:
    """``"28×28×416"`` as numbers. Raises ``FigureError``."""
    parts = _TIMES.split(text.strip())
    if not all(part.isdecimal() for part in parts):
        raise FigureError(f"cannot read the shape {text!r}: write it as 28×28×416")
    return tuple(int(part) for part in parts)
