"""A parsed text, and its value: exact, on ints, fractions, arrays or bounds of numbers."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, reduce
from typing import Any, TypeAlias

from costlab.expressions.mistakes import MistakeError, located
from costlab.expressions.nodes import (
    STRENGTHS,
    Chain,
    Constant,
    Node,
    Prefix,
    Variable,
    variables,
)
from costlab.graph.arithmetic import Ratio, larger

Values: TypeAlias = Callable[[Variable], Any]
"""What a name is: an int, ``Fraction``, ``Ratio``, bool, word, array, or bounds.

It may raise a ``MistakeError`` at a place of the variable.
"""

_COMPARED: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
_ADDED: dict[str, Callable[[Any, Any], Any]] = {"+": operator.add, "-": operator.sub}
_OTHERWISE = {"and": "or", "or": "and", "==": "!=", "!=": "=="}
"""How ``not`` joins what was joined by these."""
_JOINED: dict[str, Callable[[Any, Any], Any]] = {"and": operator.and_, "or": operator.or_}


@dataclass(frozen=True)
class Expression:
    """A text and its tree, whose names and kinds are known to fit."""

    text: str
    node: Node
    negated: bool = False
    """Whether it is a part of what is not so: the text has its ``not`` elsewhere."""

    @cached_property
    def written(self) -> str:
        """As its author wrote it, on one line and without parentheses around it."""
        node = self.node.operand if self.negated and isinstance(self.node, Prefix) else self.node
        begin, end = node.span
        if isinstance(node, Chain):
            begin, end = node.first.span[0], node.rest[-1][1].span[1]
        elif isinstance(node, Prefix):
            begin, end = node.place, node.operand.span[1]
        text = " ".join(self.text[begin:end].split())
        if not self.negated:
            return text
        return f"not ({text})" if _joins(node) else f"not {text}"

    @cached_property
    def variables(self) -> tuple[Variable, ...]:
        """The names that it reads, each once, in order."""
        return tuple(dict.fromkeys(variables(self.node)))

    def __call__(self, values: Values) -> tuple[Any, Any]:
        """Its value, and where there is one: not where something is divided by 0.

        A number (``Ratio`` for a quotient) or a truth, of ints, arrays or bounds.
        """
        with located(self.text):
            evaluation = _Evaluation(values)
            return evaluation.value(self.node), evaluation.known

    def one(self, values: Values) -> Fraction | bool:
        """Its value where every name is one number. Raises ``ExpressionError``."""
        with located(self.text):
            evaluation = _Evaluation(values)
            value = evaluation.value(self.node)
            if evaluation.divided_by_0 is not None:
                raise MistakeError("this is 0, and divides", evaluation.divided_by_0)
        return value if isinstance(value, bool) else Fraction(*_parts(value))

    def joined(self) -> tuple[str, tuple[Expression, ...]]:
        """What it consists of, and by what that is joined; without parts if it is one condition.

        ``and`` (also for ``a < b < c``), ``or``, and ``==`` or ``!=`` of what is true or false.
        """
        match self.node:
            case Prefix(sign="not", operand=operand):
                sign, parts = Expression(self.text, operand).joined()
                if sign in ("and", "or"):
                    parts = tuple(part._turned() for part in parts)
                return _OTHERWISE.get(sign, ""), parts
            case Chain(rest=((sign, _), *_)) as chain if sign in _JOINED:
                operands = (chain.first, *(operand for _, operand in chain.rest))
                return sign, tuple(self._parts(sign, operands))
            case Chain(rest=((sign, _), *more)) as chain if sign in _COMPARED:
                if more:
                    firsts = (chain.first, *(operand for _, operand in chain.rest))
                    pairs = zip(firsts, chain.rest, strict=False)
                    return "and", tuple(Expression(self.text, Chain(a, (b,))) for a, b in pairs)
                if chain.first.kind == "truth":
                    sides = (chain.first, chain.rest[0][1])
                    return sign, tuple(Expression(self.text, side) for side in sides)
        return "", ()

    def _parts(self, sign: str, operands: Iterable[Node]) -> Iterator[Expression]:
        """The operands; those that are joined by the same sign are as many."""
        for operand in operands:
            part = Expression(self.text, operand)
            inner, parts = part.joined()
            yield from parts if inner == sign else (part,)

    def _turned(self) -> Expression:
        """That it is not so; turned twice, it is as it was."""
        if self.negated and isinstance(self.node, Prefix):
            return Expression(self.text, self.node.operand)
        return Expression(self.text, Prefix("not", self.node, self.node.place), negated=True)

    def sides(self) -> tuple[Expression, str, Expression] | None:
        """The two numbers that it compares, and the sign between; None if it is something else.

        ``not a < b`` compares as ``a >= b`` does.
        """
        match self.node:
            case Prefix(sign="not", operand=operand):
                sides = Expression(self.text, operand).sides()
                return sides and (sides[0], _OPPOSITE[sides[1]], sides[2])
            case Chain(first=left, rest=((sign, right),)) if sign in _COMPARED:
                if left.kind == "number":
                    return Expression(self.text, left), sign, Expression(self.text, right)
        return None


def _joins(node: Node) -> bool:
    return isinstance(node, Chain) and node.strength < STRENGTHS["=="]


class _Evaluation:
    """One evaluation; ``known`` is where nothing has been divided by 0 so far."""

    def __init__(self, values: Values) -> None:
        self._values = values
        self.known: Any = True
        self.divided_by_0: int | None = None
        """The place of the first divisor that is the number 0."""

    def value(self, node: Node) -> Any:
        """What a node is."""
        match node:
            case Constant(value=constant):
                return _simplest(constant)
            case Variable():
                return _simplest(self._values(node))
            case Prefix(sign="not", operand=operand):
                truth = self.value(operand)
                return not truth if isinstance(truth, bool) else ~truth
            case Prefix(operand=operand):
                return _sum(operator.sub, 0, self.value(operand))
            case Chain():
                return self._chained(node)

    def _chained(self, chain: Chain) -> Any:
        if chain.strength == STRENGTHS["=="]:
            operands = [self.value(chain.first), *(self.value(part) for _, part in chain.rest)]
            signs = [sign for sign, _ in chain.rest]
            pairs = zip(signs, operands, operands[1:], strict=False)
            return reduce(operator.and_, (_compared(_COMPARED[s], a, b) for s, a, b in pairs))
        result = self.value(chain.first)
        for sign, operand in chain.rest:
            result = self._calculated(sign, result, self.value(operand), operand.place)
        return result

    def _calculated(self, sign: str, a: Any, b: Any, place: int) -> Any:
        if sign in _JOINED:
            return _JOINED[sign](a, b)
        if sign in _ADDED:
            return _sum(_ADDED[sign], a, b)
        if sign in ("//", "%"):
            return _floored(sign, a, b)
        (n, d), (m, e) = _parts(a), _parts(b)
        if sign == "*":
            return n * m if _plain(a, b) else Ratio(n * m, d * e)
        if isinstance(m, int) and m == 0 and self.divided_by_0 is None:
            self.divided_by_0 = place
        self.known = self.known & (m != 0)
        turn = _sign(m)  # denominators stay positive
        return Ratio(n * e * turn, d * m * turn)


def _simplest(value: Any) -> Any:
    """A fraction as a whole number, or as a ratio of two."""
    if not isinstance(value, Fraction):
        return value
    return int(value) if value.denominator == 1 else Ratio(value.numerator, value.denominator)


def _parts(value: Any) -> tuple[Any, Any]:
    return (value.numerator, value.denominator) if isinstance(value, Ratio) else (value, 1)


def _plain(a: Any, b: Any) -> bool:
    return not isinstance(a, Ratio) and not isinstance(b, Ratio)


def _sum(rule: Callable[[Any, Any], Any], a: Any, b: Any) -> Any:
    if _plain(a, b):
        return rule(a, b)
    (n, d), (m, e) = _parts(a), _parts(b)
    return Ratio(rule(n * e, m * d), d * e)


def _compared(rule: Callable[[Any, Any], Any], a: Any, b: Any) -> Any:
    if _plain(a, b):
        return rule(a, b)
    (n, d), (m, e) = _parts(a), _parts(b)
    return rule(n * e, m * d)


def _floored(sign: str, a: Any, whole: int) -> Any:
    """``//`` and ``%`` by a whole number from 1, as Python's fractions have them."""
    if not isinstance(a, Ratio):
        return a // whole if sign == "//" else a % whole
    n, d = a.numerator, a.denominator
    divisor = larger(d * whole, 1)  # the denominator is 0 where there is no value
    return n // divisor if sign == "//" else Ratio(n % divisor, d)


def _sign(value: Any) -> Any:
    if isinstance(value, int):
        return (value > 0) - (value < 0)
    if hasattr(value, "sign"):
        return value.sign()  # bounds
    import numpy  # here: only an array needs it

    return numpy.sign(value)
