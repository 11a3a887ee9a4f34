"""A text cut into numbers, names, words in quotes and signs, each with its place."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Literal, NamedTuple

from costlab.expressions.mistakes import MistakeError

LONGEST = 4000
"""Characters that a text may have."""

_TIMES = {"ps": 1, "ns": 10**3, "us": 10**6, "µs": 10**6, "μs": 10**6, "ms": 10**9, "s": 10**12}
_BYTES = {"B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_BYTES |= {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
SUFFIXES = {"K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12} | _TIMES | _BYTES
"""What a letter behind a number is worth; times are in picoseconds, as ``time_bound`` is."""

UNITS = dict.fromkeys(_TIMES, "time") | dict.fromkeys(_BYTES, "bytes")
"""What is measured in a suffix; those that are not here are of any numbers."""

_DIGITS = 300
"""Numbers are below 10^300, and above 10^-300 or 0: others are typing errors, and slow."""

_TOKEN = re.compile(
    r"""
    (?P<number> (?: [0-9]+(?:_[0-9]+)* (?:\.[0-9]*)? | \.[0-9]+ ) (?:[eE][+-]?[0-9]+)? )
  | (?P<name> [^\W\d]\w* )
  | (?P<word> '[^']*' | "[^"]*" )
  | (?P<sign> // | [<>=!]= | [-+*/%<>()\[\],.] )
    """,
    re.VERBOSE,
)
_SPACE = re.compile(r"\s*")
_HINTS = {
    "=": "equal is ==",
    "&": "write and",
    "|": "write or",
    "!": "write not, or !=",
    "^": "there are no powers",
    "×": "write *",
    "·": "write *",
    "≤": "write <=",
    "≥": "write >=",
    "≠": "write !=",
    "'": "the word has no end",
    '"': "the word has no end",
}


class Token(NamedTuple):
    """One of them; ``end`` is the last, without text."""

    form: Literal["number", "name", "word", "sign", "end"]
    text: str
    place: int


def tokens(text: str) -> list[Token]:
    """All tokens of a text, and the end. Raises ``MistakeError``."""
    if len(text) > LONGEST:
        raise MistakeError(f"this is too long: the limit is {LONGEST:,} characters", 0)
    tokens_read: list[Token] = []
    place = _after_space(text, 0)
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            hint = _HINTS.get(text[place])
            raise MistakeError(f"unexpected {text[place]!r}{f': {hint}' if hint else ''}", place)
        tokens_read.append(Token(match.lastgroup, match.group(), place))  # type: ignore[arg-type]
        place = _after_space(text, match.end())
    return [*tokens_read, Token("end", "", len(text))]


def exact(token: Token) -> Fraction:
    """The number as it is written: ``0.1`` is one tenth. Raises ``MistakeError`` for a huge one."""
    digits, _, exponent = token.text.lower().replace("_", "").partition("e")
    whole, _, decimals = digits.partition(".")
    significant = (whole + decimals).lstrip("0")
    if not significant:
        return Fraction(0)
    power = _small(exponent) - len(decimals)
    if len(significant) + power > _DIGITS:
        raise MistakeError(f"this number is too large: the limit is 10^{_DIGITS}", token.place)
    if len(significant) + power < -_DIGITS:
        raise MistakeError(f"this number is too small: the limit is 10^-{_DIGITS}", token.place)
    return int(significant) * Fraction(10) ** power


def _small(exponent: str) -> int:
    """An exponent, or one that is beyond all limits too: Python refuses to read endless digits."""
    sign = -1 if exponent.startswith("-") else 1
    digits = exponent.lstrip("+-0")
    return sign * int(digits[:6] or 0) if len(digits) <= 6 else sign * 10**6


def _after_space(text: str, place: int) -> int:
    match = _SPACE.match(text, place)
    return match.end() if match else place
