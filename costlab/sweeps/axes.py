"""The axes of a sweep, and the grid of all combinations, cut into blocks that fit a cache."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import lcm, prod
from operator import index
from typing import Any, TypeAlias

import numpy as np

from costlab.catalog.registry import TOO_LARGE
from costlab.errors import ChoiceError
from costlab.graph.arithmetic import Ratio, as_ratio
from costlab.models.catalog_name import DIMENSIONS, Named

Vary: TypeAlias = Mapping[str, "str | Iterable[Any]"]
"""Names, tied with ``=`` where several have one value, and their values or how to write them."""

_NUMBER = r"-?(?:[0-9]{1,24}(?:\.[0-9]{0,12})?|\.[0-9]{1,12})"
_RANGE = re.compile(rf"({_NUMBER}):({_NUMBER})(?::({_NUMBER}))?")
_LARGEST = 2**63 - 1
_MOST_LISTED = 10**6
"""Values of an axis that are kept one by one: all but those of one range of whole numbers."""

_MOST_NETWORKS = 10**5
"""Networks that are built one by one, for choices of which each value is a network of its own."""


@dataclass(frozen=True)
class Axis:
    """Names that take the same value, and the values, in order.

    With ``many`` the rules take all values at once, as an array; else each builds a network.
    """

    names: tuple[str, ...]
    values: range | tuple[Any, ...]
    many: bool

    def plain(self, position: int) -> Any:
        """One value as a model takes it."""
        value = self.values[position]
        return float(value) if isinstance(value, Fraction) else value

    def ends(self) -> Any:
        """The least and the largest value, as ``numbers``."""
        values = self.values
        few = (values[0], values[-1]) if isinstance(values, range) else values
        return self._array((min(few), max(few)), exact=False)

    def at(self, positions: Any, exact: bool = False) -> Any:
        """The values at these positions, as ``numbers``."""
        return self._array([self.values[position] for position in positions], exact)

    def numbers(self, start: int, stop: int, exact: bool = False) -> Any:
        """These values as an array, of Python's own ints if ``exact``; or as a ratio of arrays."""
        values = self.values[start:stop]
        if isinstance(values, range) and not exact:
            return np.arange(values.start, values.stop, values.step, dtype=np.int64)
        return self._array(values, exact)

    def _array(self, values: Sequence[Any], exact: bool) -> Any:
        if isinstance(values[0], Fraction):
            below = lcm(*(value.denominator for value in values))
            return Ratio(_array([int(value * below) for value in values], exact), below)
        return _array(values, exact)


def _array(values: Sequence[int], exact: bool) -> Any:
    return np.array(values, dtype=object if exact else np.int64)


@dataclass(frozen=True)
class GridBlock:
    """A stretch of the grid: from ``start``, ``shape`` of it, and which values of each axis."""

    start: int
    shape: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Grid:
    """All combinations, in the order of the axes, the last one fastest.

    A block has at most ``limit`` of them: one value of each axis before the one that it cuts, a
    span of that, and all of those after it. So blocks follow each other as their numbers do.
    """

    axes: tuple[Axis, ...]
    limit: int

    @cached_property
    def lengths(self) -> tuple[int, ...]:
        """How many values each axis has."""
        return tuple(len(axis.values) for axis in self.axes)

    @cached_property
    def size(self) -> int:
        """How many combinations there are."""
        return prod(self.lengths)

    @cached_property
    def cut(self) -> int:
        """The axis that blocks cut."""
        first = sum(not axis.many for axis in self.axes)
        first = min(first, len(self.axes) - 1)
        return next(
            i for i in range(first, len(self.axes)) if prod(self.lengths[i + 1 :]) <= self.limit
        )

    @cached_property
    def blocks(self) -> int:
        """How many blocks there are."""
        return prod(self.lengths[: self.cut]) * self._spans

    @property
    def _inner(self) -> int:
        return prod(self.lengths[self.cut + 1 :])

    @property
    def _step(self) -> int:
        return max(1, self.limit // self._inner) if self.axes[self.cut].many else 1

    @property
    def _spans(self) -> int:
        return -(-self.lengths[self.cut] // self._step)

    def block(self, number: int) -> GridBlock:
        """The block of that number."""
        outer, piece = divmod(number, self._spans)
        start = piece * self._step
        stop = min(start + self._step, self.lengths[self.cut])
        fixed = [(i, i + 1) for i in _positions(outer, self.lengths[: self.cut])]
        rest = self.lengths[self.cut + 1 :]
        return GridBlock(
            (outer * self.lengths[self.cut] + start) * self._inner,
            (stop - start, *rest),
            (*fixed, (start, stop), *((0, length) for length in rest)),
        )

    def points(self, block: GridBlock) -> Iterator[GridBlock]:
        """The block's variants, each as a block."""
        for number in range(block.start, block.start + prod(block.shape)):
            spans = tuple((i, i + 1) for i in _positions(number, self.lengths))
            yield GridBlock(number, (1,) * len(block.shape), spans)

    def open(self, block: GridBlock, exact: bool = False) -> dict[str, Any]:
        """The block's values by name: one as it is, several as an array along their own axis."""
        values: dict[str, Any] = {}
        for axis_number, (axis, (start, stop)) in enumerate(
            zip(self.axes, block.spans, strict=True)
        ):
            if stop - start == 1:
                value: Any = axis.plain(start)
            else:
                sides = [1] * len(block.shape)
                sides[axis_number - self.cut] = stop - start
                value = _reshaped(axis.numbers(start, stop, exact), tuple(sides))
            values |= dict.fromkeys(axis.names, value)
        return values

    def positions(self, indices: Any) -> tuple[Any, ...]:
        """For each axis, the positions of its values in the combinations of these numbers."""
        positions: tuple[Any, ...] = np.unravel_index(indices, self.lengths)
        return positions


def _positions(number: int, lengths: Sequence[int]) -> list[int]:
    positions = []
    for length in reversed(lengths):
        number, position = divmod(number, length)
        positions.append(position)
    return positions[::-1]


def _reshaped(value: Any, shape: tuple[int, ...]) -> Any:
    if isinstance(value, Ratio):
        return Ratio(value.numerator.reshape(shape), value.denominator)
    return value.reshape(shape)


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
