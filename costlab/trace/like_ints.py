"""Sizes that depend on symbols, taken for ints by code that asks: by types, as keys, in text.

Torch's class of such numbers is changed for the time of a run, and ``math`` takes them. Numbers
that are not of ours are what they were, in other threads too.
"""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Callable
from typing import Any

import torch

from costlab.isolation.replaced import Shared
from costlab.symbols.fractions import Fraction
from costlab.symbols.truths import compared
from costlab.torch_private import SymFloat, SymInt
from costlab.trace.symbolic_numbers import Node, sym_int

_KNOWS_SIZES = ("torch.", "costlab.trace.symbolic")
"""Code that knows such numbers and is not to take them for ints; torch's modules do."""

_SAYS_ONLY = ("torch", "costlab", "logging", "warnings", "traceback")
"""Packages that make text of numbers only for people."""

_get = object.__getattribute__


def _is_ours(number: Any) -> bool:
    return type(_get(number, "node")) is Node


def _home() -> str:
    """The module of the code that asks what is asked of a number."""
    return sys._getframe(2).f_globals.get("__name__", "")  # type: ignore[no-any-return]


def _changes(kind: Any, plain: type) -> dict[str, Any]:
    """What numbers of that kind do while there are runs, where code asks as of a ``plain`` one."""
    own_hash, own_text = kind.__hash__, kind.__repr__

    def attribute(number: Any, name: str) -> Any:
        if name != "__class__" or not _is_ours(number):
            return _get(number, name)
        home = _home()
        if home == "torch" or (home.startswith(_KNOWS_SIZES) and not home.startswith("torch.nn.")):
            return kind
        return plain

    def hashed(number: Any) -> int:
        """As a key, it is the number that it is; we ourselves do not ask for that."""
        if not _is_ours(number):
            return own_hash(number)  # type: ignore[no-any-return]
        if _home().startswith("costlab."):
            raise TypeError("a size that depends on symbols has no hash")
        return hash(number.node.asked())

    def formatted(number: Any, how: str) -> str:
        if not _is_ours(number):
            return object.__format__(number, how)
        return format(_read(number, _home()), how)

    def text(number: Any) -> str:
        return str(_read(number, _home())) if _is_ours(number) else own_text(number)

    return {
        "__getattribute__": attribute,
        "__hash__": hashed,
        "__format__": formatted,
        "__str__": text,
        "__repr__": text,
    }


def _read(number: Any, home: str) -> Any:
    """The number that text is made of, which may be a name or a key, and decide: ``f"conv{n}"``."""
    value = number.node.value
    return value.hint if home.partition(".")[0] in _SAYS_ONLY else value.of.read(value)


def _direct(name: str, rule: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """What two sizes make, without torch's way there, which takes longer than the rule."""
    own = getattr(SymInt, f"__{name}__")

    def called(number: Any, other: Any) -> Any:
        node = _get(number, "node")
        if type(node) is Node:
            if type(other) is SymInt:
                second = _get(other, "node")
                if type(second) is Node:
                    return rule(node.value, second.value)
            elif type(other) is int:
                return rule(node.value, other)
        return own(number, other)

    return called


def _sum(rule: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda one, two: sym_int(rule(one, two))


def _order(sign: str) -> Callable[[Any, Any], Any]:
    return lambda one, two: torch.SymBool(Node(compared(one - two, sign)))  # type: ignore[no-untyped-call]


_SUMS = ("add", "sub", "mul", "floordiv", "mod")
_ORDERS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">="}

_of_two_sizes = {
    f"__{name}__": _direct(name, rule)
    for name, rule in (
        *((name, _sum(getattr(operator, name))) for name in _SUMS),
        *((name, _order(sign)) for name, sign in _ORDERS.items()),
    )
}


def _divmod(number: Any, other: Any) -> Any:
    return number // other, number % other


def _of_sizes(function: Callable[..., float]) -> Callable[..., Any]:
    """A function of ``math`` that takes sizes too, and gives a float that is made of them."""

    def called(number: Any, *more: Any) -> Any:
        if type(number) in (SymInt, SymFloat) and _is_ours(number):
            of_number = Fraction.of_number(number.node.value)
            return SymFloat(Node(of_number.applied(lambda value: function(value, *more))))
        return function(number, *more)

    return called


_FLOATS = ("sqrt", "log", "log2", "log10", "exp")

sizes_like_ints = Shared(
    (
        SymInt,
        {
            **_changes(SymInt, int),
            **_of_two_sizes,
            "__divmod__": _divmod,
        },
    ),
    (SymFloat, _changes(SymFloat, float)),
    (torch.SymBool, _changes(torch.SymBool, bool)),
    (math, {name: _of_sizes(getattr(math, name)) for name in _FLOATS}),
)
"""Let sizes be taken for ints until the last of all runs ends."""
