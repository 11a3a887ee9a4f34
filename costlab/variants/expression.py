"""The small language of conditions and goals: parsed, and never evaluated as Python.

``macs < 120e6 and params <= 160e3``, ``macs / params``, ``c1 + c3 + c5 + cp == 256``, ``aux``,
``stem == 'plain'``. Numbers are exact: a quotient is kept as two whole numbers, ``120e6`` is a
whole number, and ``0.1`` one tenth.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, TypeAlias

import numpy as np

from costlab.arithmetic import Ratio
from costlab.errors import ExpressionError, suggestion
from costlab.variants.interval import Interval

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


_HINTS = {"=": "equal is ==", "&": "write and", "|": "write or", "!": "write not, or !="}
_BINARY = {*_SUMS, *_WHOLE, ast.Mult, ast.Div}
_UNARY: dict[type[ast.unaryop], Kind] = {ast.USub: "number", ast.Not: "truth"}
_CONSTANTS: dict[type, Kind] = {bool: "truth", int: "number", float: "number", str: "word"}


@dataclass(frozen=True)
class Expression:
    """A parsed text: ``names`` are those that it reads."""

    text: str
    node: ast.expr
    names: frozenset[str]

    def __call__(self, values: Mapping[str, Any]) -> Any:
        """Its value: a number (``Ratio`` for a quotient) or a truth, of ints, arrays or bounds."""
        return _value(self.node, self.text, values)


def condition(text: str, kinds: Mapping[str, Kind]) -> Expression:
    """A text that is true or false. Raises ``ExpressionError``, which points at the place."""
    return _parsed(text, kinds, "truth")


def goal(text: str, kinds: Mapping[str, Kind]) -> Expression:
    """A text that is a number. Raises ``ExpressionError``, which points at the place."""
    return _parsed(text, kinds, "number")


def _parsed(text: str, kinds: Mapping[str, Kind], wanted: Kind) -> Expression:
    text = " ".join(text.split())
    try:
        node = ast.parse(text, mode="eval").body
    except SyntaxError as error:
        if not error.offset:  # as Python says that it has come to the end
            raise _problem("something is missing", text, len(text)) from None
        place = min(error.offset - 1, len(text))
        hint = _HINTS.get(text[place : place + 1])
        raise _problem(f"{error.msg}{(hint and f' ({hint})') or ''}", text, place) from None
    except (ValueError, RecursionError, MemoryError):
        raise ExpressionError(f"cannot read {text[:60]!r}: it is no condition or number") from None
    _expect(node, text, kinds, wanted)
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
            return _CONSTANTS[type(constant)]
        case ast.Name(id=name) if name in kinds:
            return kinds[name]
        case ast.Name(id=name):
            what = f"unknown name {name!r}{suggestion(name, list(kinds))};"
            raise _problem(what, text, _at(node, text))
        case ast.UnaryOp(op=sign, operand=inner) if type(sign) in _UNARY:
            _expect(inner, text, kinds, _UNARY[type(sign)])
            return _UNARY[type(sign)]
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _BINARY:
            for side in (left, right):
                _expect(side, text, kinds, "number")
            if type(sign) in _WHOLE and not _is_divisor(right):
                raise _problem("// and % take a whole number from 1;", text, _at(right, text))
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


def _is_divisor(node: ast.expr) -> bool:
    """Whether it can never be 0."""
    return isinstance(node, ast.Constant) and type(node.value) is int and node.value >= 1


def _value(node: ast.expr, text: str, values: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant(value=int() | str() as constant):  # also True and False
            return constant
        case ast.Constant():
            return _exact(ast.get_source_segment(text, node) or "")
        case ast.Name(id=name):
            return values[name]
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            return _not(_value(inner, text, values))
        case ast.UnaryOp(operand=inner):
            return _sum(operator.sub, 0, _value(inner, text, values))
        case ast.BinOp(left=left, op=sign, right=right):
            a, b = _value(left, text, values), _value(right, text, values)
            return _calculated(sign, a, b)
        case ast.BoolOp(op=op, values=parts):
            truths = [_value(part, text, values) for part in parts]
            joined = truths[0]
            for truth in truths[1:]:
                joined = joined & truth if isinstance(op, ast.And) else joined | truth
            return joined
        case ast.Compare(left=left, ops=signs, comparators=others):
            sides = [_value(each, text, values) for each in (left, *others)]
            pairs = zip(signs, sides, sides[1:], strict=False)
            holds: Any = True
            for comparison, a, b in pairs:
                holds = holds & _compared(_COMPARISONS[type(comparison)], a, b)
            return holds
    raise AssertionError(ast.dump(node))


def _exact(text: str) -> Any:
    number = Fraction(text.replace("_", ""))
    whole = number.denominator == 1
    return int(number) if whole else Ratio(number.numerator, number.denominator)


def _calculated(sign: ast.operator, a: Any, b: Any) -> Any:
    if type(sign) in _SUMS:
        return _sum(_SUMS[type(sign)], a, b)
    if type(sign) in _WHOLE:
        if not _plain(a, b):
            raise ExpressionError("// and % are for whole numbers, not for quotients or fractions")
        return _WHOLE[type(sign)](a, b)
    (n, d), (m, e) = _parts(a), _parts(b)
    if isinstance(sign, ast.Mult):
        return n * m if _plain(a, b) else Ratio(n * m, d * e)
    turn = _sign(m)  # denominators stay positive
    return Ratio(n * e * turn, d * m * turn)


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
    return rule(n * e, m * d) & (d * e > 0)  # nothing is known of what is divided by 0


def _sign(value: Any) -> Any:
    if isinstance(value, Interval):
        return Interval(-1, 1)
    return np.sign(value) if isinstance(value, np.ndarray) else (value > 0) - (value < 0)


def _not(value: Any) -> Any:
    return not value if isinstance(value, bool) else ~value
