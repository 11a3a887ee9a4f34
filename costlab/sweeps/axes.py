"""What varies in a sweep, read as its axes."""

from __future__ import annotations

import re
from ast import literal_eval
from collections.abc import Iterable, Mapping
from fractions import Fraction
from math import lcm, prod
from operator import index
from typing import Any, TypeAlias

import numpy as np

from costlab.catalog.registry import TOO_LARGE
from costlab.errors import ChoiceError, shown
from costlab.graph.arithmetic import as_ratio
from costlab.sweeps.grid import Axis
from costlab.sweeps.subject import Kind, Subject

Vary: TypeAlias = Mapping[str, "str | Iterable[Any]"]
"""Names, tied with ``=`` where several have one value, and their values or how to write them."""

_NUMBER = r"-?(?:[0-9]{1,24}(?:\.[0-9]{0,12})?|\.[0-9]{1,12})"
_RANGE = re.compile(rf"({_NUMBER}):({_NUMBER})(?::({_NUMBER}))?")
_LARGEST = 2**63 - 1
_MOST_LISTED = 10**6
"""Values of an axis that are kept one by one: all but those of one range of whole numbers."""

_MOST_NETWORKS = 10**5
"""Networks that are built one by one, for choices of which each value is a network of its own."""


def read_axes(model: Subject, vary: Vary) -> tuple[Axis, ...]:
    """The axes that ``vary`` asks for: words and switches first, then numbers, in its order.

    Raises ``UnknownNameError`` for a name, and ``ChoiceError`` for values that it does not take.
    """
    parsed: list[Axis] = []
    varied: set[str] = set()
    for written, values in vary.items():
        names = tuple(name.strip() for name in str(written).split("="))
        for name in names:
            if name in varied:
                raise ChoiceError(f"{name} is given twice: give it once")
            varied.add(name)
        parsed.append(_axis(model, names, values))
    model.check_names(varied)
    if not parsed:
        raise ChoiceError("nothing varies: give a name and values, such as c5r=4:64:4")
    if prod(len(axis.values) for axis in parsed) > _LARGEST:
        raise ChoiceError("the grid has more than 2^63 variants: give fewer values")
    if prod(len(axis.values) for axis in parsed if not axis.many) > _MOST_NETWORKS:
        raise ChoiceError(
            f"more than {_MOST_NETWORKS:,} networks are to be built: give fewer values"
        )
    return tuple(sorted(parsed, key=lambda axis: axis.many))


def require_ranges(vary: Vary) -> None:
    """Raises ``ChoiceError`` for an empty range, and a number left out, whatever it is of."""
    for written, values in vary.items() if isinstance(vary, Mapping) else ():
        parts = [part.strip() for part in values.split(",")] if isinstance(values, str) else []
        for part in parts:
            if match := _RANGE.fullmatch(part):
                _require_values(written, part, match[1], match[2], match[3] or "1")
        if "" in parts and any(re.fullmatch(f"{_NUMBER}(:.*)?", part) for part in parts):
            raise ChoiceError(f"{written}={values}: a value is missing beside a comma")


def _require_values(name: str, part: str, *words: str) -> tuple[Fraction, Fraction, Fraction]:
    """The numbers of a range that has some."""
    low, high, step = map(Fraction, words)
    if step <= 0:
        raise ChoiceError(f"{name}={part} has no values: its step {step} is not above 0")
    if low > high:
        raise ChoiceError(
            f"{name}={part} has no values: a range is lo:hi:step, from lo up to hi, hi included"
        )
    return low, high, step


def _axis(model: Subject, names: tuple[str, ...], values: str | Iterable[Any]) -> Axis:
    known = {model.kinds(name) for name in names}
    if len({kinds[0] for kinds in known}) > 1:
        raise ChoiceError(f"{' and '.join(names)} do not take the same values: vary each by itself")
    kinds = min(known, key=len)
    if not isinstance(values, str):
        if not isinstance(values, Iterable):
            raise ChoiceError(
                f"{names[0]} takes several values, such as [{values!r}], not {values!r}"
            )
        if not isinstance(values, range):
            values = tuple(values)
    read = _first_that_fits(names[0], values, kinds)
    if next(iter(read), None) is None and not len(read):
        raise ChoiceError(f"{names[0]} has no values: a range is lo:hi:step, hi included")
    _check(model, names, read)
    return Axis(names, read, all(map(model.takes_many, names)))


def _first_that_fits(name: str, values: Any, kinds: tuple[Kind, ...]) -> range | tuple[Any, ...]:
    """The values as the first kind that all of them are. Raises what the first says."""
    first: ChoiceError | None = None
    for kind in kinds:
        try:
            if isinstance(values, str):
                return _read(name, values, kind)
            if isinstance(values, range) and kind == "whole number":
                return values
            return tuple(dict.fromkeys(_value(name, value, kind) for value in values))
        except ChoiceError as error:
            first = first or error
    assert first is not None
    raise first


def _check(model: Subject, names: tuple[str, ...], values: range | tuple[Any, ...]) -> None:
    """Raises what a model raises for a value that it does not take, whatever the others are."""
    for value in (values[0], values[-1]) if isinstance(values, range) else values:
        for name in names:
            model.check(name, float(value) if isinstance(value, Fraction) else value)
        if isinstance(value, Fraction) and model.takes_many(names[0]):
            as_ratio(value)  # raises for what is no multiplier
    if isinstance(values[0], Fraction) and model.takes_many(names[0]):
        below = lcm(*(value.denominator for value in values))
        if max(values) * below >= TOO_LARGE:
            raise ChoiceError(
                f"the values of {names[0]} need too large a common denominator: give fewer digits"
            )


def _read(name: str, text: str, kind: Kind) -> range | tuple[Any, ...]:
    """``16:192:16``, ``14,28,56`` or both."""
    parts: list[range | tuple[Any, ...]] = []
    for part in map(str.strip, _apart(text) if kind == "literal" else text.split(",")):
        if kind in ("whole number", "number") and (match := _RANGE.fullmatch(part)):
            parts.append(_range(name, part, [match[1], match[2], match[3] or "1"], kind))
        else:
            parts.append((_value(name, part, kind),))
    if len(parts) == 1:
        return parts[0]
    if sum(map(len, parts)) > _MOST_LISTED:
        raise _too_many(name)
    return tuple(dict.fromkeys(value for values in parts for value in values))


def _apart(text: str) -> list[str]:
    """The literals between commas: those inside of brackets are not between them."""
    words, depth = [""], 0
    for letter in text:
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and not depth:
            words.append("")
        else:
            words[-1] += letter
    return words


def _too_many(name: str) -> ChoiceError:
    return ChoiceError(f"{name} has more than {_MOST_LISTED:,} values: give a larger step")


def _range(name: str, part: str, words: list[str], kind: Kind) -> range | tuple[Fraction, ...]:
    low, high, step = _require_values(name, part, *words)
    if kind == "number":
        if (high - low) // step >= _MOST_LISTED:
            raise _too_many(name)
        return tuple(low + i * step for i in range(int((high - low) // step) + 1))
    numbers = [_value(name, word, kind) for word in words]
    return range(numbers[0], numbers[1] + 1, numbers[2])


def _value(name: str, value: Any, kind: Kind) -> Any:
    """The value as its kind. Raises ``ChoiceError``."""
    try:
        if kind == "truth":
            if isinstance(value, (bool, np.bool_)):
                return bool(value)
            return {"True": True, "False": False}[value.strip().capitalize()]
        if kind == "number" and re.fullmatch(_NUMBER, str(value)):
            return Fraction(str(value))
        if kind == "whole number" and not isinstance(value, bool):
            return int(value) if isinstance(value, str) else index(value)
        if kind == "word" and isinstance(value, str):
            return value.strip("'\"")
        if kind == "literal":
            literal = literal_eval(value) if isinstance(value, str) else value
            hash(literal)
            return literal
    except (
        KeyError,
        ValueError,
        TypeError,
        AttributeError,
        ZeroDivisionError,
        SyntaxError,
        MemoryError,
        RecursionError,
    ):
        pass
    raise ChoiceError(f"{name} takes {_TAKES[kind]}, not {shown(value)}")


_TAKES: dict[Kind, str] = {
    "whole number": "whole numbers, such as 16:64:16 or 14,28,56",
    "number": "numbers, such as 0.25:1:0.25 or 0.5,0.75",
    "truth": "True or False",
    "word": "words",
    "literal": "values that do not change, such as (2,2,2) in place of [2,2,2]",
}
