"""A number as a source prints it: its value, and what its last digit stands for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from costlab.errors import FigureError

_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5}
"""Scales, as powers of the kilo of a figure."""

_SCALES = {
    **dict.fromkeys(["k", "kilo", "thousand"], "K"),
    **dict.fromkeys(["m", "mn", "mln", "mio", "mega", "million", "millions"], "M"),
    **dict.fromkeys(["g", "b", "bn", "bln", "giga", "billion", "billions"], "G"),
    **dict.fromkeys(["t", "tn", "tera", "trillion", "trillions"], "T"),
    **dict.fromkeys(["p", "peta"], "P"),
}
_TENS = {"万": 4, "萬": 4, "亿": 8, "億": 8, "lakh": 5, "crore": 7}
"""Scales that are powers of ten, whatever kilo is."""

_UNITS = r"""
    macs? | madds? | maccs? | mult[-i]*adds? | multiply[- ]adds? | multiply[- ]accumulates?
  | flops? | ops | operations? | params? | parameters? | weights? | activations? | bytes?
"""
"""What may stand behind a number, and changes nothing: the figure's `unit` says what it is."""

_ABOUT = r"≈ | ~ | ∼ | ≃ | about | around | approx\.? | approximately | roughly | circa | ca\.?"
_NUMBER = re.compile(
    rf"""
    (?: (?:{_ABOUT}) \s* )?
    (?P<whole> \d{{1,3}} (?:,\d{{3}})+ | \d+ )
    (?: \.(?P<decimals>\d+) )?
    (?:
        e\+?(?P<e>\d+)
      | \s*[×x·*]\s*10 (?: (?:\^|\*\*) (?P<tens>\d+) | (?P<raised>[⁰¹²³⁴⁵⁶⁷⁸⁹]+) )
    )?
    \s* (?P<scale> {"|".join(sorted([*_SCALES, *_TENS], key=len, reverse=True))} )?
    (?: (?P<bytes>(?<=[kmgtp])b) | \s* (?:{_UNITS}) | \s*(?P<percent>%) | \s*[×x] )?
    """,
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_MOST_DIGITS = 40
_TIMES = re.compile(r"\s*[×x]\s*")


@dataclass(frozen=True)
class Printed:
    """A printed number: ``mantissa / 10**decimals`` in units of ``scale`` (K, M, G, T, P or none).

    ``tens`` is a power of ten that it is printed with, as 8 in ``1.2×10^8`` and in ``1.2亿``.
    ``precision`` is what one step of the last known digit is worth, in that scale, where it is not
    the last decimal: 650,000 that is known to tens of thousands, 23.830 that is known to 0.01.
    """

    mantissa: int
    decimals: int
    scale: str = ""
    precision: Fraction | None = None
    percent: bool = False
    tens: int = 0

    def unit(self, kilo: int = 1000) -> Fraction:
        """The factor of the printed scale: 1000 for K."""
        scale = Fraction(kilo) ** _POWERS[self.scale] * Fraction(10) ** self.tens
        return scale / (100 if self.percent else 1)

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


def printed_number(text: str, scale: str = "", precision: str = "", unit: str = "") -> Printed:
    """The number that ``text`` is: ``"≈120M"``, ``"1.5 billion"``, ``"94.86%"``.

    ``scale`` is that of a column's head, where the number itself has none; ``unit`` is what the
    figure counts. What is not understood to its end is refused: a scale that was overlooked would
    be a number that is wrong by powers of ten. Raises ``FigureError``.
    """
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        raise FigureError(f"cannot read the printed number {text!r}: {_hint(text)}")
    whole, decimals = match["whole"].replace(",", ""), match["decimals"] or ""
    power = match["e"] or match["tens"] or (match["raised"] or "").translate(_RAISED)
    if len(whole) + len(decimals) > _MOST_DIGITS or len(power) > 2:
        raise FigureError(f"the printed number {text[:20]!r}.. has too many digits")
    word = (match["scale"] or "").lower()
    if match["bytes"] and unit and not re.search(r"bytes?\b|[KMGT]i?B\b", unit):
        raise FigureError(f"{text!r} is a number of bytes, and its unit is {unit!r}")
    if power and (word or scale):
        raise FigureError(f"{text!r} has a power of ten, and {word or scale!r} beside it: give one")
    letter = _SCALES.get(word, "") if word or power else scale
    if letter not in _POWERS:
        raise FigureError(f"unknown scale {letter!r}: known are {', '.join(filter(None, _POWERS))}")
    return Printed(
        int(whole + decimals),
        len(decimals),
        letter,
        _precision(precision) if precision else None,
        match["percent"] is not None,
        int(power or _TENS.get(word, 0)),
    )


def _hint(text: str) -> str:
    """What to write in its place."""
    if re.match(r"\s*[<>≤≥]", text):
        return 'give it without the sign, and relation = "less than" or "more than"'
    return "write one number as 120422400, 120,422,400, 120.4M, 1.5 billion, 1.2e8 or 94.86%"


def _precision(text: str) -> Fraction:
    if not re.fullmatch(r"[0-9]{1,20}(\.[0-9]{1,20})?", text) or not Fraction(text):
        raise FigureError(f"cannot read the precision {text!r}: write it as 0.01 or 1000")
    return Fraction(text)


def printed_shape(text: str) -> tuple[int, ...]:
    """``"28×28×416"`` as numbers. Raises ``FigureError``."""
    parts = _TIMES.split(text.strip())
    if not all(re.fullmatch("[0-9]{1,12}", part) for part in parts):
        raise FigureError(f"cannot read the shape {text!r}: write it as 28×28×416")
    return tuple(int(part) for part in parts)
