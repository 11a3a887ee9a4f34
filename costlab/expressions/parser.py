"""From a text to its tree: precedence as in Python, and a kind for every part."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from costlab.costs.quantities import TIME_BOUNDS
from costlab.errors import ExpressionError, suggestion
from costlab.expressions.expression import Expression
from costlab.expressions.mistakes import MistakeError, located
from costlab.expressions.nodes import (
    STRENGTHS,
    Chain,
    Constant,
    Node,
    Prefix,
    Selector,
    ValueType,
    Variable,
    leaves,
)
from costlab.expressions.tokens import SUFFIXES, UNITS, Token, exact, tokens

_DEEPEST = 40
"""Parentheses and signs in each other: far from what Python's stack holds."""

_KEYWORDS = {"and", "or", "not", "True", "False"}
_MEANING: dict[ValueType, str] = {"number": "a number", "truth": "true or false", "word": "a word"}
_WANTED: dict[ValueType, str] = {
    "number": "a number is wanted, such as macs",
    "truth": "compare it, as in macs < 120 M",
    "word": "a word in quotes is wanted",
}
_SIGNS = "+ - * / // %, < <= > >= == !=, and, or, not"


@dataclass(frozen=True)
class Names:
    """The names that a text may use, and what each gives."""

    kinds: Mapping[str, ValueType]
    of_layers: Collection[str] = ()
    """Those that take ``[...]`` and stand behind the dot of another table."""
    tables: Collection[str] = ()
    """The other tables: names before a dot."""
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    """Names that mean something, but not here, and why not."""


def condition(text: str, names: Names) -> Expression:
    """A text that is true or false. Raises ``ExpressionError``, which points at the place."""
    return _parsed(text, names, "truth")


def number(text: str, names: Names) -> Expression:
    """A text that is a number. Raises ``ExpressionError``, which points at the place."""
    return _parsed(text, names, "number")


def require_known(text: str, names: Names) -> None:
    """Raises ``ExpressionError`` for a name that is none of these, whatever kinds they are of."""
    with located(text):
        depth, before = 0, ""
        for token in tokens(text):
            depth += (token.text == "[") - (token.text == "]")
            is_name = token.form == "name" and token.text not in _KEYWORDS
            if is_name and not depth and before != "number" and token.text not in names.kinds:
                raise _Parser(text, names).unknown(token)
            before = token.form


def listed(text: str) -> list[str]:
    """The texts of a list, which commas part: ``macs[conv, linear], -c5`` are two.

    Raises ``ExpressionError``.
    """
    with located(text):
        depth, begin, parts = 0, 0, list[str]()
        for token in tokens(text):
            depth += (token.text in ("(", "[")) - (token.text in (")", "]"))
            if token.form == "end" or (token.text == "," and depth == 0):
                parts.append(text[begin : token.place].strip())
                begin = token.place + 1
    return [part for part in parts if part]


def _parsed(text: str, names: Names, wanted: ValueType) -> Expression:
    if not isinstance(text, str):
        raise ExpressionError(f"write it in words, such as 'macs < 120 M', not {text!r}")
    with located(text):
        node = _Parser(text, names).whole()
        _require(node, wanted)
    return Expression(text, node)


def _require(node: Node, wanted: ValueType) -> None:
    if node.kind != wanted:
        raise MistakeError(f"this is {_MEANING[node.kind]}: {_WANTED[wanted]}", node.place)


class _Parser:
    """Reads tokens from left to right; ``_next`` is the one to read, ``_end`` where one ended."""

    def __init__(self, text: str, names: Names) -> None:
        self._tokens, self._names = iter(tokens(text)), names
        self._next = next(self._tokens)
        self._depth = self._end = 0

    def whole(self) -> Node:
        """The tree of all the text."""
        node = self._expression(0)
        if self._next.form != "end":
            raise self._unexpected()
        return node

    def _take(self) -> Token:
        token = self._next
        self._next = next(self._tokens, token)
        self._end = token.place + len(token.text)
        return token

    def _takes(self, *texts: str) -> bool:
        """Whether the next token is one of these signs or keywords; then it is taken."""
        if self._next.form == "word" or self._next.text not in texts:
            return False
        self._take()
        return True

    def _needed(self, text: str) -> None:
        if not self._takes(text):
            raise MistakeError(f"{text} is missing", self._next.place)

    def _unexpected(self) -> MistakeError:
        token = self._next
        if token.form == "end":
            return MistakeError("something is missing", token.place)
        if token.form == "sign" and token.text not in ("(", "["):
            return MistakeError(f"unexpected {token.text!r}", token.place)
        return MistakeError(f"a sign is missing before this: one of {_SIGNS}", token.place)

    def _expression(self, weakest: int) -> Node:
        """What signs of at least this strength join."""
        left = self._operand()
        while (strength := self._strength()) >= max(weakest, 1):
            chain = []
            while self._strength() == strength:
                sign = self._take().text
                right = self._expression(strength + 1)
                _require_divisor(sign, right)
                chain.append((sign, right))
            left = Chain(left, tuple(chain), (left.span[0], self._end))
            _require_kinds(left)
        return left

    def _strength(self) -> int:
        return 0 if self._next.form == "word" else STRENGTHS.get(self._next.text, 0)

    def _operand(self) -> Node:
        token = self._next
        if self._depth == _DEEPEST:
            raise MistakeError(
                f"more than {_DEEPEST} parentheses or signs in each other", token.place
            )
        self._depth += 1
        node = replace(self._prefixed(token), span=(token.place, self._end))
        self._depth -= 1
        return node

    def _prefixed(self, token: Token) -> Node:
        if self._takes("-"):
            return self._prefix("-", "number", token.place, STRENGTHS["*"] + 1)
        if self._takes("not"):
            return self._prefix("not", "truth", token.place, STRENGTHS["=="])
        if self._takes("("):
            node = self._expression(0)
            self._needed(")")
            return node
        if self._takes("True", "False"):
            return Constant(token.text == "True", "truth", token.place)
        if token.form == "number":
            return self._number(self._take())
        if token.form == "word":
            return Constant(self._take().text[1:-1], "word", token.place)
        if token.form == "name" and token.text not in _KEYWORDS:
            return self._reference(self._take())
        raise MistakeError(_no_operand(token), token.place)

    def _prefix(self, sign: str, wanted: ValueType, place: int, strength: int) -> Node:
        operand = self._expression(strength)
        _require(operand, wanted)
        return Prefix(sign, operand, place)

    def _number(self, token: Token) -> Node:
        value, unit = exact(token), ""
        if self._next.form == "name" and self._next.text not in _KEYWORDS:
            suffix = self._take()
            if suffix.text not in SUFFIXES:
                raise MistakeError(
                    f"unexpected {suffix.text!r} after a number: write K, M, G or T for 10^3, "
                    "10^6, 10^9 or 10^12, ms and the like for times, MB and the like for bytes, "
                    "or a sign between the two",
                    suffix.place,
                )
            value *= SUFFIXES[suffix.text]
            unit = suffix.text if suffix.text in UNITS else ""
        if self._next.text == ",":
            raise MistakeError(
                "a number has no commas: write 1_000_000, 1000000 or 1 M", self._next.place
            )
        return Constant(value, "number", token.place, unit)

    def _reference(self, token: Token) -> Node:
        table, begin = "", token.place
        if self._takes("."):
            table, token = self._table(token), self._name("write a quantity after the dot")
        name, names = token.text, self._names
        if name not in names.kinds:
            raise self.unknown(token)
        selective = bool(table) or self._next.text == "["
        if selective and name not in names.of_layers:
            raise MistakeError(f"{name} is not counted by layers, as macs is", token.place)
        selectors = self._selectors() if self._takes("[") else ()
        return Variable(name, table, selectors, names.kinds[name], begin)

    def unknown(self, token: Token) -> MistakeError:
        """What is said of a name that is none of those that may be used."""
        name, names = token.text, self._names
        if name in names.elsewhere:
            return MistakeError(f"{name}: {names.elsewhere[name]}", token.place)
        if name in names.tables:
            return MistakeError(f"{name} is a model: write {name}.macs or the like", token.place)
        close = suggestion(name, [*names.kinds, *names.elsewhere], ", ".join(names.kinds))
        return MistakeError(f"unknown name {name!r}{close}", token.place)

    def _table(self, token: Token) -> str:
        if token.text in self._names.elsewhere:
            raise MistakeError(f"{token.text}: {self._names.elsewhere[token.text]}", token.place)
        if token.text not in self._names.tables:
            close = suggestion(token.text, [*self._names.tables])
            raise MistakeError(f"{token.text!r} is no other model{close}", token.place)
        return token.text

    def _name(self, otherwise: str) -> Token:
        if self._next.form != "name":
            raise MistakeError(otherwise, self._next.place)
        return self._take()

    def _selectors(self) -> tuple[Selector, ...]:
        selectors = [self._selector()]
        while self._takes(","):
            selectors.append(self._selector())
        self._needed("]")
        return tuple(selectors)

    def _selector(self) -> Selector:
        token = self._next
        if token.form == "word":
            return Selector("path", self._take().text[1:-1], token.place)
        wanted = "write an operation, such as conv, or a path, in quotes if it is more than names"
        names = [self._name(wanted).text]
        while self._takes("."):
            names.append(self._name(wanted).text)
        if names[0] == "op" and len(names) == 2:
            return Selector("operation", names[1], token.place)
        return Selector("name", ".".join(names), token.place)


def _no_operand(token: Token) -> str:
    if token.form == "end":
        return "something is missing"
    if token.text == "*":  # as the second of **
        return "a number is missing before *; there are no powers"
    return f"a number or a name is missing before {token.text}"


def _require_kinds(chain: Chain) -> None:
    """Raises ``MistakeError`` if something in it is not what its signs join."""
    operands = [chain.first, *(operand for _, operand in chain.rest)]
    compares = chain.strength == STRENGTHS["=="]
    wanted: ValueType = chain.first.kind if compares else chain.kind
    for operand in operands:
        _require(operand, wanted)
    if compares and wanted == "number":
        _require_units([leaf for operand in operands for leaf in leaves(operand)])
    elif compares:
        for sign, _ in chain.rest:
            if sign not in ("==", "!="):
                raise MistakeError(f"only numbers are compared by {sign}", chain.place)


def _require_units(leaves: list[Variable | Constant]) -> None:
    """Raises ``MistakeError`` for a time or bytes with which no time, or no bytes, are compared."""
    names = [leaf.name for leaf in leaves if isinstance(leaf, Variable)]
    for leaf in leaves:
        if not isinstance(leaf, Constant) or not leaf.unit or not names:
            continue
        unit = UNITS[leaf.unit]
        if unit not in map(_unit_of, names):
            raise MistakeError(
                f"{leaf.unit} is a unit of {unit}, which {' and '.join(dict.fromkeys(names))} is "
                "not: write a count as 1 G, a time as 2 ms, what ends in _bytes as 2 MB",
                leaf.place,
            )


def _unit_of(name: str) -> str:
    return "bytes" if name.endswith("_bytes") else "time" if name in TIME_BOUNDS else ""


def _require_divisor(sign: str, node: Node) -> None:
    """Raises ``MistakeError`` for ``//`` and ``%`` by what may be 0, negative, or a fraction."""
    whole = isinstance(node, Constant) and node.kind == "number" and _is_whole(node)
    if sign in ("//", "%") and not whole:
        raise MistakeError(f"{sign} takes a whole number from 1 on its right", node.place)


def _is_whole(node: Constant) -> bool:
    value = node.value
    return not isinstance(value, (bool, str)) and value.denominator == 1 and value >= 1
