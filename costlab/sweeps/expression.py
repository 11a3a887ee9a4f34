"""The small language of conditions and goals: parsed, and never evaluated as Python.

``macs < 120e6 and params <= 160e3``, ``macs / params``, ``c1 + c3 + c5 + cp == 256``, ``aux``,
``stem == 'plain'``. Numbers are exact: a quotient is kept as two whole numbers, ``120e6`` is a
whole number, and ``0.1`` one tenth.
"""

from __future__ import annotations

import ast
import operator
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from typing import Any, Literal, TypeAlias

import numpy as np

from costlab.errors import ExpressionError, suggestion
from costlab.graph.arithmetic import Ratio
from costlab.sweeps.interval import Interval

Kind: TypeAlias = Literal["number", "truth", "word"]

_SUMS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
}
_WHOLE: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


_LONGEST = 1000
_HINTS = {
    "invalid decimal literal": "120 million is 120e6",
    "=": "equal is ==",
    "&": "write and",
    "|": "write or",
    "!": "write not, or !=",
}
_BINARY = {*_SUMS, *_WHOLE, ast.Mult, ast.Div}
_UNARY: dict[type[ast.unaryop], Kind] = {ast.USub: "number", ast.Not: "truth"}
_CONSTANTS: dict[type, Kind] = {bool: "truth", int: "number", float: "number", str: "word"}


@dataclass(frozen=True)
class Expression:
    """A parsed text: ``names`` are those that it reads."""

    text: str
    node: ast.expr
    names: frozenset[str]

    def __call__(self, values: Mapping[str, Any]) -> tuple[Any, Any]:
        """Its value, and where there is one: not where something is divided by 0.

        A number (``Ratio`` for a quotient) or a truth, of ints, arrays or bounds.
        """
        at = _Evaluation(self.text, values)
        return at.value(self.node), at.known


def condition(text: str, kinds: Mapping[str, Kind]) -> Expression:
    """A text that is true or false. Raises ``ExpressionError``, which points at the place."""
    return _parsed(text, kinds, "truth")


def goal(text: str, kinds: Mapping[str, Kind]) -> Expression:
    """A text that is a number. Raises ``ExpressionError``, which points at the place."""
    return _parsed(text, kinds, "number")


def _parsed(text: str, kinds: Mapping[str, Kind], wanted: Kind) -> Expression:
    text = " ".join(text.split())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about 5and, which Python reads all the same
            node = ast.parse(text, mode="eval").body
        if sum(1 for _ in ast.walk(node)) > _LONGEST:
            raise _problem("this is too long", text, 0)
        _expect(node, text, kinds, wanted)
    except SyntaxError as error:
        if not error.offset:  # as Python says that it has come to the end
            raise _problem("something is missing", text, len(text)) from None
        place = min(error.offset - 1, len(text))
        hint = _HINTS.get(text[place : place + 1]) or _HINTS.get(error.msg)
        raise _problem(f"{error.msg}{(hint and f' ({hint})') or ''}", text, place) from None
    except (ValueError, RecursionError, MemoryError):
        raise ExpressionError(f"cannot read {text[:60]!r}: it is no condition or number") from None
    names = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
    return Expression(text, node, frozenset(names))


def _problem(what: str, text: str, place: int) -> ExpressionError:
    rest = text[place:]
    where = f"at column {place + 1}, before {rest!r}" if rest else "at the end"
    return ExpressionError(f"{what} {where}, in {text!r}")


def _at(node: ast.expr, text: str) -> int:
    return len(text.encode()[: node.col_offset].decode())


def _expect(node: ast.expr, text: str, kinds: Mapping[str, Kind], wanted: Kind) -> None:
    if (kind := _kind(node, text, kinds)) != wanted:
        meant = {
            "truth": "compare it, as in macs < 120e6",
            "number": "a number is wanted, such as macs",
            "word": "a word in quotes is wanted",
        }
        raise _problem(f"this is a {kind}: {meant[wanted]};", text, _at(node, text))


def _kind(node: ast.expr, text: str, kinds: Mapping[str, Kind]) -> Kind:
    """What a node gives. Raises ``ExpressionError`` where it is none of the language."""
    match node:
        case ast.Constant(value=constant) if type(constant) in _CONSTANTS:
            _require_reasonable(node, text)
            return _CONSTANTS[type(constant)]
        case ast.Name(id=name):
            if name not in kinds:
                what = f"unknown name {name!r}{suggestion(name, list(kinds))};"
                raise _problem(what, text, _at(node, text))
            return kinds[name]
        case ast.UnaryOp(op=sign, operand=inner) if type(sign) in _UNARY:
            _expect(inner, text, kinds, _UNARY[type(sign)])
            return _UNARY[type(sign)]
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _BINARY:
            for side in (left, right):
                _expect(side, text, kinds, "number")
            _require_divisor(sign, right, text)
            return "number"
        case ast.BoolOp(values=parts):
            for part in parts:
                _expect(part, text, kinds, "truth")
            return "truth"
        case ast.Compare(left=left, ops=signs, comparators=others) if all(
            type(sign) in _COMPARISONS for sign in signs
        ):
            kind = _kind(left, text, kinds)
            for other in others:
                _expect(other, text, kinds, kind)
            if kind != "number" and not all(
                isinstance(each, (ast.Eq, ast.NotEq)) for each in signs
            ):
                raise _problem("only numbers are smaller or larger;", text, _at(node, text))
            return "truth"
    raise _problem(
        "this is no part of the language (+ - * / // %, == < and the like, and or not);",
        text,
        _at(node, text),
    )


def _require_reasonable(node: ast.Constant, text: str) -> None:
    """Raises ``ExpressionError`` for a number whose fraction is an endless row of zeros."""
    digits = (ast.get_source_segment(text, node) or "").lower().split("e")[0]
    number = node.value
    if isinstance(number, float) and re.search("[1-9]", digits) and not 1e-300 < number < 1e300:
        raise _problem("this number is beyond reason;", text, _at(node, text))


def _require_divisor(sign: ast.operator, node: ast.expr, text: str) -> None:
    """Raises ``ExpressionError`` for ``//`` and ``%`` by what may be 0."""
    whole = isinstance(node, ast.Constant) and type(node.value) is int and node.value >= 1
    if type(sign) in _WHOLE and not whole:
        raise _problem("// and % take a whole number from 1;", text, _at(node, text))


class _Evaluation:
    """One evaluation; ``known`` is where nothing has been divided by 0 so far."""

    def __init__(self, text: str, values: Mapping[str, Any]) -> None:
        self._text, self._values = text, values
        self.known: Any = True

    def value(self, node: ast.expr) -> Any:
        """What a node is."""
        match node:
            case ast.Constant(value=int() | str() as constant):  # also True and False
                return constant
            case ast.Constant():
                return _exact(ast.get_source_segment(self._text, node) or "")
            case ast.Name(id=name):
                return self._values[name]
            case ast.UnaryOp(op=ast.Not(), operand=inner):
                return _not(self.value(inner))
            case ast.UnaryOp(operand=inner):
                return _sum(operator.sub, 0, self.value(inner))
            case ast.BinOp(left=left, op=sign, right=right):
                return self._calculated(sign, self.value(left), self.value(right))
            case ast.BoolOp(op=op, values=parts):
                join = operator.and_ if isinstance(op, ast.And) else operator.or_
                return reduce(join, map(self.value, parts))
            case ast.Compare(left=left, ops=signs, comparators=others):
                sides = [self.value(each) for each in (left, *others)]
                pairs = zip(signs, sides, sides[1:], strict=False)
                return reduce(
                    operator.and_, (_compared(_COMPARISONS[type(is_)], a, b) for is_, a, b in pairs)
                )
        raise AssertionError(ast.dump(node))

    def _calculated(self, sign: ast.operator, a: Any, b: Any) -> Any:
        if type(sign) in _SUMS:
            return _sum(_SUMS[type(sign)], a, b)
        if type(sign) in _WHOLE:
            if not _plain(a, b):
                raise ExpressionError("// and % are for whole numbers, not for quotients")
            return _WHOLE[type(sign)](a, b)
        (n, d), (m, e) = _parts(a), _parts(b)
        if isinstance(sign, ast.Mult):
            return n * m if _plain(a, b) else Ratio(n * m, d * e)
        self.known = self.known & (m != 0)
        turn = _sign(m)  # denominators stay positive
        return Ratio(n * e * turn, d * m * turn)


def _exact(text: str) -> Any:
    number = Fraction(text.replace("_", ""))
    whole = number.denominator == 1
    return int(number) if whole else Ratio(number.numerator, number.denominator)


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


def _sign(value: Any) -> Any:
    if isinstance(value, Interval):
        return Interval(-1, 1)
    return np.sign(value) if isinstance(value, np.ndarray) else (value > 0) - (value < 0)


def _not(value: Any) -> Any:
    return not value if isinstance(value, bool) else ~value
