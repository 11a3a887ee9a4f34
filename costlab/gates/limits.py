"""The limits of one model: each as a value, what it may be, and the room between them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, floor
from typing import Any, NamedTuple

from costlab import formatting
from costlab.alignment import Pair
from costlab.costs.quantities import TIME_BOUNDS
from costlab.costs.table import CostTable
from costlab.expressions import tables
from costlab.expressions.expression import Expression, Values
from costlab.expressions.parser import condition
from costlab.gates.causes import Causes, causes
from costlab.gates.settings import Place

_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_WORDS = {
    "<": "less than",
    "<=": "at most",
    ">": "more than",
    ">=": "at least",
    "==": "exactly",
    "!=": "anything but",
}
_NO_DEVICE = (
    'on which device? give one, as device = "h100-sxm" or --device h100-sxm (costlab devices lists '
    "them)"
)
_NO_BASE = 'there is no baseline: give one, as baseline = "base.json" or --baseline base.json'


class Worst(NamedTuple):
    """The variant of a range at which a limit fails most, or has the least room.

    It fails at ``failing`` of ``variants``.
    """

    point: Mapping[str, Any]
    failing: int
    variants: int

    @property
    def at(self) -> str:
        """``N=1, H=W=512``: what it is."""
        by_value: dict[str, list[str]] = {}
        for name, value in self.point.items():
            by_value.setdefault(str(value), []).append(name)
        return ", ".join(f"{'='.join(names)}={value}" for value, names in by_value.items())


@dataclass(frozen=True)
class Judged:
    """A condition, and whether it holds. Of a comparison, ``value`` is the side of the model.

    A limit that joins conditions by ``and`` is as many of these, each with its own ``text``. One
    that joins them otherwise has them as ``parts``, and ``joint`` is the word or sign between.
    """

    text: str
    place: Place
    holds: bool
    names: tuple[str, ...] = ()
    """The names in it: quantities."""
    sign: str = ""
    value: Fraction | None = None
    bound: Fraction | None = None
    causes: tuple[Causes, ...] = ()
    """The layers that made it fail; several where ``or`` joins conditions, none of which holds."""
    joint: str = ""
    parts: tuple[Judged, ...] = ()
    worst: Worst | None = None
    """Where it is judged, if it is to hold for a range."""

    @property
    def room(self) -> Fraction | None:
        """How much more, or less, the value may be; below 0 where it fails."""
        if self.value is None or self.bound is None or self.sign in ("==", "!="):
            return None
        room = self.bound - self.value
        return room if self.sign.startswith("<") else -room

    @property
    def where(self) -> str:
        """At how many variants of a range it holds or fails, and which of them this is."""
        if (worst := self.worst) is None:
            return ""
        which = "the first at" if self.room is None else "the least room at"
        if self.holds:
            return f"at all {worst.variants:,} variants, {which} {worst.at}"
        which = which if self.room is None else "by most at"
        return f"at {worst.failing:,} of {worst.variants:,} variants, {which} {worst.at}"

    @property
    def line(self) -> str:
        """What is wrong, in a line."""
        where = f" {self.where}" if self.where else ""
        return f"{self.text} fails{where}" + (f": {self._reason}" if self._reason else "")

    @property
    def _reason(self) -> str:
        if self.joint in ("and", "or"):
            return "; ".join(part._reason or part.text for part in self.parts if not part.holds)
        if self.value is None or self.bound is None:
            return ""
        value, bound = formatting.fraction(self.value), formatting.fraction(self.bound)
        by = "" if self.room is None else f", by {formatting.fraction(abs(self.room))}"
        return f"{value} is not {_WORDS[self.sign]} {bound}{by}"


def limit(text: str, based: bool, timed: bool = True) -> Expression:
    """The limit in a text, which may name ``base`` if there is one, and times if on a device.

    Raises ``ExpressionError``.
    """
    others, elsewhere = (("base",), {}) if based else ((), {"base": _NO_BASE})
    if not timed:
        elsewhere = {**elsewhere, **dict.fromkeys(TIME_BOUNDS, _NO_DEVICE)}
    more = TIME_BOUNDS if timed else ()
    return condition(text, tables.names(others, elsewhere, training_cost=True, more=more))


def judged(
    expression: Expression,
    place: Place,
    table: CostTable,
    base: CostTable | None,
    pairs: Callable[[], Sequence[Pair]],
    chosen: Mapping[str, Any] | None = None,
) -> Iterable[Judged]:
    """The conditions of a limit, on a table and its baseline. Raises ``ExpressionError``.

    ``pairs`` are the layers of both, aligned; ``chosen`` are sizes and choices that it may name.
    """
    values = tables.values(table, {} if base is None else {"base": base}, chosen)
    for single in all_of(expression):
        one = _judged(single, place, values)
        if one.holds:
            yield one
        else:
            caused = dict.fromkeys(_causes(single, values, table, base, pairs))
            yield replace(one, causes=tuple(caused))


def all_of(expression: Expression) -> Iterator[Expression]:
    """What has to hold, one by one."""
    sign, parts = expression.joined()
    if sign != "and":
        yield expression
    else:
        for part in parts:
            yield from all_of(part)


def _judged(single: Expression, place: Place, values: Values) -> Judged:
    """Without what made it fail."""
    names = tuple(variable.name for variable in single.variables)
    one = Judged(single.written, place, single.one(values) is True, names)
    if (compared := _compared(single, values)) is not None:
        _, sign, value, bound = compared
        return replace(one, sign=sign, value=value, bound=_whole(bound, sign, value))
    joint, parts = single.joined()
    return replace(one, joint=joint, parts=tuple(_judged(part, place, values) for part in parts))


def _compared(
    single: Expression, values: Values
) -> tuple[Expression, str, Fraction, Fraction] | None:
    """The side of the model in a comparison, the sign, its value, and what that may be."""
    sides = single.sides()
    if sides is None:
        return None
    left, sign, right = sides
    if not _is_own(left) and _is_own(right):
        left, sign, right = right, _TURNED[sign], left
    return left, sign, Fraction(left.one(values)), Fraction(right.one(values))


def _causes(
    failed: Expression,
    values: Values,
    table: CostTable,
    base: CostTable | None,
    pairs: Callable[[], Sequence[Pair]],
) -> Iterator[Causes]:
    """The layers behind a condition that fails; of ``a or b``, those behind either."""
    joint, parts = failed.joined()
    if joint in ("and", "or"):
        for part in parts:
            if part.one(values) is False:
                yield from _causes(part, values, table, base, pairs)
        return
    compared = _compared(failed, values)
    if compared is not None:
        own, sign, value, bound = compared
        too_much = sign in ("<", "<=") or value > bound
        caused = causes(own.variables, too_much, table, base, pairs)
        if sign != "!=" and caused.layers:
            yield caused


def _is_own(side: Expression) -> bool:
    return any(not name.table for name in side.variables)


def _whole(bound: Fraction, sign: str, value: Fraction) -> Fraction:
    """The bound for a whole number: at most 1,020.4 is at most 1,020."""
    if value.denominator > 1 or sign not in ("<=", ">="):
        return bound
    return Fraction(floor(bound) if sign == "<=" else ceil(bound))
