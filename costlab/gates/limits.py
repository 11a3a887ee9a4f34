"""The limits of one model: each as a value, what it may be, and the room between them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from typing import Any, NamedTuple

from costlab import formatting
from costlab.alignment import Pair
from costlab.costs.of_runs import OF_RUNS
from costlab.costs.quantities import TIME_BOUNDS, WITHOUT_DEVICE
from costlab.costs.table import CostTable
from costlab.expressions import tables
from costlab.expressions.expression import Expression, Values
from costlab.expressions.nodes import Chain, Node, Prefix, Variable
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

    A limit that joins conditions has them as ``parts``, each with its own ``text``, and ``joint``
    is the word or sign between.
    """

    text: str
    place: Place
    holds: bool
    names: tuple[str, ...] = ()
    """The names in it: quantities."""
    sign: str = ""
    unit: str = ""
    """``ps`` where it compares times; else they are numbers of what the text says."""
    value: Fraction | None = None
    bound: Fraction | None = None
    causes: tuple[Causes, ...] = ()
    """The layers that made it fail; of what joins conditions, those of its parts."""
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
    def numbers(self) -> tuple[Fraction | None, Fraction | None, Fraction | None]:
        """The value, the limit and the room, as far as there are such."""
        return self.value, self.bound, self.room

    @property
    def where(self) -> str:
        """At how many variants of a range it holds or fails, and which of them this is."""
        if (worst := self.worst) is None:
            return ""
        which = "the first at" if self.room is None else "the least room at"
        if self.holds:
            all_of_them = formatting.of_all(worst.variants, worst.variants, "variant").lower()
            return f"at {all_of_them}, {which} {worst.at}"
        which = which if self.room is None else "by most at"
        failing = formatting.of_all(worst.failing, worst.variants, "variant").lower()
        return f"at {failing}, {which} {worst.at}"

    @property
    def line(self) -> str:
        """What is wrong, in a line."""
        where = f" {self.where}" if self.where else ""
        return f"{self.text} fails{where}" + (f": {self._reason}" if self._reason else "")

    @property
    def _reason(self) -> str:
        if self.joint in ("and", "or"):
            return "; ".join(
                ", ".join(filter(None, (part._reason or part.text, part.where)))
                for part in self.parts
                if not part.holds
            )
        if self.value is None or self.bound is None:
            return ""
        value, bound = (formatting.amount(n, self.unit) for n in (self.value, self.bound))
        by = "" if self.room is None else f", by {formatting.amount(abs(self.room), self.unit)}"
        return f"{value} is not {_WORDS[self.sign]} {bound}{by}"


def limit(text: str, based: bool, timed: bool = True) -> Expression:
    """The limit in a text, which may name ``base`` if there is one, and times if on a device.

    Raises ``ExpressionError``.
    """
    others, elsewhere = (("base",), {}) if based else ((), {"base": _NO_BASE})
    if not timed:
        elsewhere = {**elsewhere, **WITHOUT_DEVICE}
    more = TIME_BOUNDS if timed else ()
    names = tables.names(others, elsewhere, training_cost=True, more=more, of_run=OF_RUNS)
    return condition(text, names)


def judged(
    expression: Expression,
    place: Place,
    table: CostTable,
    base: CostTable | None,
    pairs: Callable[[], Sequence[Pair]],
    chosen: Mapping[str, Any] | None = None,
) -> Judged:
    """A limit, on a table and its baseline. Raises ``ExpressionError``.

    ``pairs`` are the layers of both, aligned; ``chosen`` are sizes and choices that it may name.
    """
    values = tables.values(table, {} if base is None else {"base": base}, chosen)
    return _judged(
        expression,
        place,
        values,
        lambda comparison: _causes(comparison, values, table, base, pairs),
    )


def joined(expression: Expression, place: Place, joint: str, parts: Sequence[Judged]) -> Judged:
    """What joins these conditions by ``and`` or ``or``."""
    holds = all(part.holds for part in parts) if joint == "and" else any(p.holds for p in parts)
    caused = dict.fromkeys(causes for part in parts for causes in part.causes)
    return Judged(
        expression.written,
        place,
        holds,
        _names(expression),
        causes=tuple(caused),
        joint=joint,
        parts=tuple(parts),
    )


def all_of(expression: Expression) -> list[Expression]:
    """What has to hold, one by one."""
    return _parts(expression, "and")


def _parts(expression: Expression, joint: str) -> list[Expression]:
    """What that word joins, also inside of brackets; the whole if it joins nothing."""
    sign, parts = expression.joined()
    return (
        [inner for part in parts for inner in _parts(part, joint)]
        if sign == joint
        else [expression]
    )


def _judged(
    expression: Expression,
    place: Place,
    values: Values,
    blamed: Callable[[Expression], Iterable[Causes]],
) -> Judged:
    """``blamed`` are the layers that made a comparison fail."""
    holds, names = expression.one(values) is True, _names(expression)
    if (compared := _compared(expression, values)) is not None:
        own, sign, value, bound = compared
        unit = "ps" if _power_of_time(own.node) == 1 else ""
        limited, caused = _whole(bound, sign, value), () if holds else tuple(blamed(expression))
        return Judged(expression.written, place, holds, names, sign, unit, value, limited, caused)
    joint, parts = expression.joined()
    if joint in ("and", "or"):
        if holds:
            blamed = _nobody
        of_parts = [_judged(part, place, values, blamed) for part in _parts(expression, joint)]
        return joined(expression, place, joint, of_parts)
    of_parts = [_judged(part, place, values, _nobody) for part in parts]
    return Judged(expression.written, place, holds, names, joint=joint, parts=tuple(of_parts))


def _nobody(_: Expression) -> Iterable[Causes]:
    return ()


def _names(expression: Expression) -> tuple[str, ...]:
    return tuple(variable.name for variable in expression.variables)


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
    """The layers behind a comparison that fails."""
    compared = _compared(failed, values)
    assert compared is not None
    own, sign, value, bound = compared
    too_much = sign in ("<", "<=") or value > bound
    caused = causes(own.variables, too_much, table, base, pairs)
    if sign != "!=" and caused.layers:
        yield caused


def _power_of_time(node: Node) -> int | None:
    """1 for a time, 0 for a plain number, None for what has another quantity in it."""
    match node:
        case Variable(name=name):
            return 1 if name in TIME_BOUNDS else None
        case Prefix(operand=operand):
            return _power_of_time(operand)
        case Chain(first=first, rest=rest):
            power = _power_of_time(first)
            for sign, operand in rest:
                other = _power_of_time(operand)
                if power is None or other is None:
                    return None
                if sign == "*":
                    power += other
                elif sign in ("/", "//"):
                    power -= other
                else:
                    power = max(power, other)  # what is added to a time is one
            return power
    return 0


def _is_own(side: Expression) -> bool:
    return any(not name.table for name in side.variables)


def _whole(bound: Fraction, sign: str, value: Fraction) -> Fraction:
    """The bound for a whole number: at most 1,020.4 is at most 1,020."""
    if value.denominator > 1 or sign not in ("<=", ">="):
        return bound
    return Fraction(floor(bound) if sign == "<=" else ceil(bound))
