"""The grid of a sweep: all combinations of its axes, cut into blocks that fit a cache."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import lcm, prod
from typing import Any

import numpy as np

from costlab.graph.arithmetic import Ratio


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
