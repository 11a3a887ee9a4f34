"""The only formatter of numbers: what people read goes through here.

Machine formats (CSV, JSON, frames) hold plain integers and never come here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from fractions import Fraction

TIMES = "×"
MINUS = "−"

Scale: TypeAlias = Literal["exact", "auto", "K", "M", "G", "T"]
"""How large numbers are written: all digits, a prefix each, or all in one unit."""

_SCALES = ((10**3, "K"), (10**6, "M"), (10**9, "G"), (10**12, "T"))


ASCII = str.maketrans(
    {
        "×": "x",
        "÷": "/",
        "−": "-",
        "·": "*",
        "→": "->",
        "≥": ">=",
        "≤": "<=",
        "≈": "~",
        "⌊": "floor(",
        "⌋": ")",
        "█": "#",
        "µ": "u",
        **{power: f"^{n}" for n, power in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")},
    }
)


def in_ascii(text: str) -> str:
    """The text in ASCII: signs such as × are spelled out, any other character becomes ``?``."""
    return text.translate(ASCII).encode("ascii", "replace").decode()


def printable(text: str) -> str:
    """The text with control characters spelled out, so that a name cannot steer the terminal."""
    return (
        text
        if text.isprintable()
        else "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    )


def integer(n: int) -> str:
    """``120422400`` as ``120,422,400``."""
    return f"{n:,}".replace("-", MINUS)


def scaled(n: int) -> str:
    """Three significant digits and a decimal prefix: ``120422400`` as ``120 M``.

    Rounding is half-up on exact integers, and carries: 999,999 is ``1.00 M``, not ``1000 K``.
    """
    if n < 1000:
        return str(n)
    for scale, letter in _SCALES:
        for digits in (2, 1, 0):
            if _round(n * 10**digits, scale) < 1000:
                return f"{_fixed(n, scale, digits)} {letter}"
    return f"{_fixed(n, scale, 0)} {letter}"


def in_scale(n: int, scale: Scale) -> str:
    """``118013952`` as ``118,013,952``, ``118 M`` (auto), or ``118.014`` (of M).

    Something is never shown as nothing: 100 is ``<0.001`` M.
    """
    if scale == "exact":
        return integer(n)
    if scale == "auto":
        return scaled(n)
    unit = {letter: number for number, letter in _SCALES}[scale]
    text = _fixed(n, unit, 3)
    return "<0.001" if n and text == "0.000" else text


def both(n: int, noun: str) -> str:
    """Exact, and scaled where that is shorter: ``12,443,648 MACs (12.4 M)``."""
    exact = plural(n, noun.removesuffix("s"))
    return f"{exact} ({scaled(n)})" if n >= 1000 else exact


def percent(part: int, whole: int) -> str:
    """A share with one decimal; something is never shown as nothing: 1 of 10,000 is ``<0.1%``."""
    if whole == 0:
        return "-"
    if part in (0, whole):
        return "100%" if part else "0%"
    if _round(part * 1000, whole) == 0:
        return "<0.1%"
    if _round(part * 1000, whole) == 1000:
        return ">99.9%"
    return f"{_fixed(part * 100, whole, 1)}%"


def fraction(value: int | Fraction) -> str:
    """An exact number for people: whole, or with three decimals: ``8.711``, ``−582,671``."""
    sign, size = (MINUS, -value) if value < 0 else ("", value)
    if size.denominator == 1:
        return f"{sign}{integer(int(size))}"
    return f"{sign}{_fixed(size.numerator, size.denominator, 3)}"


def share(part: Fraction) -> str:
    """A share as a percentage: ``8.1%``; less than a tenth of a percent says so."""
    return percent(part.numerator, part.denominator)


def difference(reference: int, other: int, unit: str = "") -> str:
    """What ``other`` has more, with its sign: ``+338,688``, ``−175,415,296``, ``0``."""
    sign = "+" if other > reference else MINUS if other < reference else ""
    return f"{sign}{amount(abs(other - reference), unit)}"


def far_apart(reference: int, other: int) -> bool:
    """Whether a change is said as a factor: from 3 on, of what is neither new nor gone."""
    low, high = sorted((reference, other))
    return low > 0 and high >= 3 * low


def change(reference: int, other: int, factor: bool = False) -> str:
    """How ``other`` compares with ``reference``: ``−57.8 %``, ``÷9.68``, ``same``.

    Up to a factor of 3 it is a percentage, else a factor, wherever a report says it; ``factor``
    asks for one, where others beside it are. Something is never shown as nothing: one more
    than a million is ``+0.0001 %``.
    """
    if other == reference:
        return "same"
    if not other or not reference:
        return "gone" if not other else "new"
    low, high = sorted((reference, other))
    if factor or far_apart(reference, other):
        sign = TIMES if other > reference else "÷"
        digits = 2 if high < 100 * low else 0
        while _round((high - low) * 10**digits, low) == 0:
            digits += 1
        return f"{sign}{_fixed(high, low, digits)}"
    digits = 1
    while not _round((high - low) * 100 * 10**digits, reference):
        digits += 1
    sign = "+" if other > reference else MINUS
    return f"{sign}{_fixed((high - low) * 100, reference, digits)} %"


def shape(dims: Iterable[int]) -> str:
    """``(1, 192, 28, 28)`` as ``1×192×28×28``, that of a single number as ``scalar``.

    A size that is a sum of symbols stands in brackets: ``1×8×(H - 2)``.
    """
    texts = map(str, dims)
    return TIMES.join(f"({text})" if " " in text else text for text in texts) or "scalar"


def shapes(tensors: Iterable[Iterable[int]]) -> str:
    """Several shapes: ``1×64×28×28 + 1×32×28×28``."""
    return " + ".join(shape(dims) for dims in tensors)


def duration(seconds: float) -> str:
    """``42 s``, ``3 min 20 s`` or ``2 h 5 min``."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def seconds(value: Fraction) -> str:
    """A short time in three digits: ``1.23 ms``, ``45.6 µs``; nothing of something is ``<1 ps``."""
    if not value:
        return "0"
    if value < 0:
        return f"{MINUS}{seconds(-value)}"
    if value * 10**12 < 1:
        return "<1 ps"
    scale, unit = next((scale, unit) for scale, unit in _TIMES if value * scale >= 1)
    amount = value * scale
    digits = 2 if amount < 10 else 1 if amount < 100 else 0
    return f"{_fixed(amount.numerator, amount.denominator, digits)} {unit}"


_TIMES = ((1, "s"), (10**3, "ms"), (10**6, "µs"), (10**9, "ns"), (10**12, "ps"))


def amount(value: int | Fraction, unit: str = "") -> str:
    """A number; one of picoseconds (``ps``) as the time that it is."""
    if unit != "ps":
        return fraction(value)
    from fractions import Fraction  # for a time: a first answer does not wait for it

    return seconds(Fraction(value, 10**12))


def plural(n: int, noun: str) -> str:
    """``1 layer``, ``2 layers``."""
    return f"{integer(n)} {noun}{'' if n == 1 else 's'}"


def of_all(n: int, number: int, noun: str) -> str:
    """To begin a sentence: ``1 of 3 limits``, ``All 3 limits``, ``The limit``."""
    if n < number:
        return f"{integer(n)} of {plural(number, noun)}"
    return f"The {noun}" if number == 1 else f"All {plural(number, noun)}"


def _round(n: int, d: int) -> int:
    """``n / d`` to the nearest integer, halves up, exactly."""
    return (2 * n + d) // (2 * d)


def _fixed(n: int, d: int, digits: int) -> str:
    """``n / d`` with a fixed number of decimals, exactly."""
    whole, rest = divmod(_round(n * 10**digits, d), 10**digits)
    return f"{whole:,}.{rest:0{digits}}" if digits else f"{whole:,}"
