"""What varies in a sweep, read as its axes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fractions import Fraction
from math import lcm, prod
from operator import index
from typing import Any, TypeAlias

import numpy as np

from costlab.catalog.registry import TOO_LARGE
from costlab.errors import ChoiceError
from costlab.graph.arithmetic import as_ratio
from costlab.models.catalog_name import DIMENSIONS, Named
from costlab.sweeps.grid import Axis

Vary: TypeAlias = Mapping[str, "str | Iterable[Any]"]
"""Names, tied with ``=`` where several have one value, and their values or how to write them."""

_NUMBER = r"-?(?:[0-9]{1,24}(?:\.[0-9]{0,12})?|\.[0-9]{1,12})"
_RANGE = re.compile(rf"({_NUMBER}):({_NUMBER})(?::({_NUMBER}))?")
_LARGEST = 2**63 - 1
_MOST_LISTED = 10**6
"""Values of an axis that are kept one by one: all but those of one range of whole numbers."""

_MOST_NETWORKS = 10**5
"""Networks that are built one by one, for choices of which each value is a network of its own."""


def read_axes(model: Named, vary: Vary) -> tuple[Axis, ...]:
    """The axes that ``vary`` asks for: words and switches first, then numbers, in its order.

    Raises ``UnknownNameError`` for a name, and ``ChoiceError`` for values that it does not take.
    """
    if not isinstance(vary, Mapping):
        raise ChoiceError('what varies is a dict of names and values, such as {"c5r": "4:64:4"}')
    parsed: list[Axis] = []
    varied: set[str] = set()
    for written, values in vary.items():
        names = tuple(name.strip() for name in written.split("="))
        for name in names:
            if name in varied or name in model.choices:
                raise ChoiceError(f"{name} is given twice: give it once")
            varied.add(name)
        parsed.append(_axis(model, names, values))
    if (sizing := varied & model.architecture.sizing) and varied & DIMENSIONS.keys():
        raise ChoiceError(f"{min(sizing)} is the size of the input: vary it, or the input")
    if not parsed:
        raise ChoiceError("nothing varies: give a name and values, such as c5r=4:64:4")
    if prod(len(axis.values) for axis in parsed) > _LARGEST:
        raise ChoiceError("the grid has more than 2^63 variants: give fewer values")
    if prod(len(axis.values) for axis in parsed if not axis.many) > _MOST_NETWORKS:
        raise ChoiceError(
            f"more than {_MOST_NETWORKS:,} networks are to be built: give fewer values"
        )
    return tuple(sorted(parsed, key=lambda axis: axis.many))


def _axis(model: Named, names: tuple[str, ...], values: str | Iterable[Any]) -> Axis:
    kinds = {_kind(model.published(name)) for name in names}
    if len(kinds) > 1:
        raise ChoiceError(f"{' and '.join(names)} do not take the same values: vary each by itself")
    (kind,) = kinds
    if isinstance(values, str):
        read = _read(names[0], values, kind)
    elif not isinstance(values, Iterable):
        raise ChoiceError(f"{names[0]} takes several values, such as [{values!r}], not {values!r}")
    elif isinstance(values, range) and kind is int:
        read = values
    else:
        read = tuple(dict.fromkeys(_value(names[0], value, kind) for value in values))
    if next(iter(read), None) is None:
        raise ChoiceError(f"{names[0]} has no values: a range is lo:hi:step, hi included")
    _check(model, names, read)
    entry = model.architecture
    many = all(name in DIMENSIONS or entry.takes_many(name) for name in names)
    return Axis(names, read, many)


def _check(model: Named, names: tuple[str, ...], values: range | tuple[Any, ...]) -> None:
    """Raises what a model raises for a value that it does not take, whatever the others are."""
    for value in (values[0], values[-1]) if isinstance(values, range) else values:
        if isinstance(value, Fraction):
            as_ratio(value)  # raises for what is no multiplier
        for name in names:
            if name not in DIMENSIONS:
                plain = float(value) if isinstance(value, Fraction) else value
                model.architecture.checked(name, plain)
            elif abs(value) >= TOO_LARGE:
                raise ChoiceError(f"{name}={value} is too large: give one below {TOO_LARGE:,}")
    if isinstance(values[0], Fraction):
        below = lcm(*(value.denominator for value in values))
        if max(values) * below >= TOO_LARGE:
            raise ChoiceError(
                f"the values of {names[0]} need too large a common denominator: give fewer digits"
            )


def _kind(published: Any) -> type:
    return Fraction if isinstance(published, float) else type(published)


def _read(name: str, text: str, kind: type) -> range | tuple[Any, ...]:
    """``16:192:16``, ``14,28,56`` or both."""
    parts: list[range | tuple[Any, ...]] = []
    for part in (word.strip() for word in text.split(",")):
        if kind in (int, Fraction) and (match := _RANGE.fullmatch(part)):
            parts.append(_range(name, part, [match[1], match[2], match[3] or "1"], kind))
        else:
            parts.append((_value(name, part, kind),))
    if len(parts) == 1:
        return parts[0]
    if sum(map(len, parts)) > _MOST_LISTED:
        raise _too_many(name)
    return tuple(dict.fromkeys(value for values in parts for value in values))


def _too_many(name: str) -> ChoiceError:
    return ChoiceError(f"{name} has more than {_MOST_LISTED:,} values: give a larger step")


def _range(name: str, part: str, words: list[str], kind: type) -> range | tuple[Fraction, ...]:
    low, high, step = map(Fraction, words)
    if step <= 0 or low > high:
        raise ChoiceError(
            f"{name}={part} has no values: a range is lo:hi:step, from lo up to hi, hi included"
        )
    if kind is Fraction:
        if (high - low) // step >= _MOST_LISTED:
            raise _too_many(name)
        return tuple(low + i * step for i in range(int((high - low) // step) + 1))
    numbers = [_value(name, word, kind) for word in words]
    return range(numbers[0], numbers[1] + 1, numbers[2])


def _value(name: str, value: Any, kind: type) -> Any:
    """The value as its kind. Raises ``ChoiceError``."""
    try:
        if kind is bool:
            if isinstance(value, (bool, np.bool_)):
                return bool(value)
            return {"True": True, "False": False}[value.strip().capitalize()]
        if kind is Fraction and re.fullmatch(_NUMBER, str(value)):
            return Fraction(str(value))
        if kind is int and not isinstance(value, bool):
            return int(value) if isinstance(value, str) else index(value)
        if kind is str and isinstance(value, str):
            return value.strip("'\"")
    except (KeyError, ValueError, TypeError, AttributeError, ZeroDivisionError):
        pass
    takes = {
        int: "whole numbers, such as 16:64:16 or 14,28,56",
        Fraction: "numbers, such as 0.25:1:0.25 or 0.5,0.75",
        bool: "True or False",
        str: "words",
    }[kind]
    raise ChoiceError(f"{name} takes {takes}, not {value!r}")
