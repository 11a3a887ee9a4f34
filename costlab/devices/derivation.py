"""What a rate follows from: ``132 SMs · 128 lanes · 2 · 1980 MHz``, ``384 bits · 21 Gb/s``."""

from __future__ import annotations

import re
from fractions import Fraction
from math import prod

from costlab.errors import FigureError

_UNITS = {
    "MHz": Fraction(10**6),
    "GHz": Fraction(10**9),
    "Gb/s": Fraction(10**9),
    "TFLOPS": Fraction(10**12),
    "bits": Fraction(1, 8),
}
"""What a unit is worth. ``bits`` are those of a bus, and its rate is in bytes; what is counted
(SMs, lanes, cores) is worth 1."""

_FACTOR = re.compile(
    r"(?P<number>\d{1,15}(?:\.\d{1,9})?(?:e\d{1,2})?)"
    r"(?: ?/ ?(?P<divisor>[1-9]\d{0,14}))?"
    r"(?: (?P<unit>[A-Za-z][A-Za-z/ -]{0,30}))?"
)


def derived_rate(text: str) -> Fraction:
    """The number: products of factors between ``·``, added at `` + ``. Raises ``FigureError``."""
    terms = (map(_factor, term.split("·")) for term in text.split(" + "))
    return sum((prod(factors, start=Fraction(1)) for factors in terms), Fraction(0))


def _factor(text: str) -> Fraction:
    match = _FACTOR.fullmatch(text.strip())
    unit = match["unit"] if match else None
    if match is None or (unit is not None and unit not in _UNITS and re.search("/|Hz", unit)):
        raise FigureError(
            f"cannot read {text.strip()!r} in a derivation: write it as "
            "132 SMs · 128 lanes · 2 · 1980 MHz, or 384 bits · 21 Gb/s"
        )
    number = Fraction(match["number"]) / int(match["divisor"] or 1)
    return number * (_UNITS.get(unit, 1) if unit else 1)
