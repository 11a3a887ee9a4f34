"""Sizes as torch carries them: a ``SymInt`` whose node is a `Size` of ours.

Torch keeps such numbers in shapes, strides, arguments and constructors, calculates with them by the
methods of their nodes, and where it or any other code needs a plain number or an answer, it asks
the node. So nothing gets lost on the way: what is not followed is asked for, and leaves a guard.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from math import ceil, floor, trunc
from typing import Any

from costlab.symbols.fractions import Fraction
from costlab.symbols.size import Size
from costlab.symbols.truths import SIGNS, Joined, Not, Plain, Truth, compared
from costlab.torch_private import SymFloat, SymInt
from costlab.trace.symbolic_askers import about_memory, looks_for_strides


def sym_int(size: Any) -> Any:
    """A size as torch takes it."""
    if not isinstance(size, Size):
        return size
    number = size.number
    return SymInt(Node(size)) if number is None else number


def size_of(value: Any) -> Any:
    """What torch holds as a size of ours; anything else is itself."""
    if type(value) is SymInt:
        size = value.node.value
        number = size.number
        return size if number is None else number
    if isinstance(value, tuple) and any(size_of(item) is not item for item in value):
        return tuple([size_of(item) for item in value])
    return value


def shared_sizes() -> Callable[[Any], Any]:
    """`size_of` that gives one tuple for all that say the same."""
    known: dict[Any, Any] = {}

    def shared(value: Any) -> Any:
        own = size_of(value)
        try:
            return known.setdefault(signature(own), own) if type(own) is tuple else own
        except TypeError:  # something in it has no hash
            return own

    return shared


def signature(value: Any) -> Any:
    """The same, with a hash, for nested tuples of numbers and of expressions that are the same."""
    if type(value) is tuple:
        return tuple([signature(item) for item in value])
    if type(value) is SymInt:
        return value.node.value.key
    return value.key if type(value) is Size else (value, type(value))


def at_hint(value: Any) -> Any:
    """The number that a size, or a float of sizes, is at the hints; anything else is itself."""
    return value.node.value.hint if type(value) in (SymInt, SymFloat) else value


def equal(a: Any, b: Any) -> bool:
    """Whether two sizes are the same, also where they are symbols: whatever these are."""
    if type(a) is int and type(b) is int:
        return a == b
    difference = size_of(a) - size_of(b)
    return bool(difference.number == 0) if isinstance(difference, Size) else difference == 0


class Node:
    """A number, truth or fraction as torch asks for it: see ``torch.fx.experimental.sym_node``."""

    __slots__ = ("__weakref__", "_made", "_number", "value")

    constant = None
    _hint = None

    def __init__(self, value: Size | Truth | Fraction) -> None:
        self.value = value
        self._number = value.number if isinstance(value, Size) else None
        self._made: dict[Any, Any] = {}
        """What was made of it and another one: both, by the rule and the identity of that."""

    def __deepcopy__(self, memo: Any) -> Node:
        """It is itself also in a copy of a module: what is asked there is asked of the same."""
        return self

    # What it is.

    def is_int(self) -> bool:
        return isinstance(self.value, Size)

    def is_float(self) -> bool:
        return isinstance(self.value, Fraction)

    def is_bool(self) -> bool:
        return isinstance(self.value, Truth)

    def is_nested_int(self) -> bool:
        return False

    def nested_int(self) -> None:
        return None

    def is_symbolic(self) -> bool:
        return True

    def is_constant(self) -> bool:
        return self.maybe_as_int() is not None

    def has_hint(self) -> bool:
        return True

    @property
    def hint(self) -> Any:
        """Its value at the hints."""
        return self.value.hint

    @property
    def expr(self) -> Node:
        """What functions of torch hand back to ``shape_env``."""
        return self

    free_symbols: frozenset[Any] = frozenset()
    is_number = False

    @property
    def shape_env(self) -> Answers:
        """Who answers functions of torch that ask about it."""
        return Answers()

    def maybe_as_int(self) -> int | None:
        return self._number

    def maybe_as_float(self) -> None:
        return None

    def maybe_as_bool(self) -> bool | None:
        return self.value.decided() if isinstance(self.value, Truth) else None

    def clone(self) -> Node:
        return self

    def str(self) -> Any:
        return repr(self.value)

    _graph_repr = str  # noqa: A003

    # Plain ones.

    def wrap_int(self, number: int) -> Node:
        known, key = self.value.of.remembered, ("node", number)
        if key not in known:
            known[key] = Node(self.value.of.constant(number))
        return known[key]  # type: ignore[no-any-return]

    def wrap_bool(self, truth: bool) -> Node:
        return Node(Plain(self.value.of, truth))

    def wrap_float(self, number: float) -> Node:
        return Node(Fraction.plain(self.value.of, number))

    # Questions.

    def asked(self) -> Any:
        """The plain value, which leaves a guard."""
        return self.guard_int() if self.is_int() else self.value.asked()  # type: ignore[union-attr]

    def guard_int(self, file: Any = "", line: int = 0) -> int:
        value: Any = self.value
        return value.of.fixed(value)  # type: ignore[no-any-return]

    int_ = guard_int

    def guard_float(self, file: Any = "", line: int = 0) -> float:
        value: Any = self.value
        return value.asked()  # type: ignore[no-any-return]

    def guard_bool(self, file: Any = "", line: int = 0) -> bool:
        value: Any = self.value
        if value.of.general and looks_for_strides():
            return bool(value.hint)
        return value.asked()  # type: ignore[no-any-return]

    bool_ = expect_true = guard_size_oblivious = guard_bool

    def guard_or_false(self, file: Any = "", line: int = 0) -> bool:
        return self._guard_or(False)

    def guard_or_true(self, file: Any = "", line: int = 0) -> bool:
        return self._guard_or(True)

    def _guard_or(self, default: bool) -> bool:
        known = self.maybe_as_bool()
        if known is None:
            if self.value.of.general or about_memory():
                return default
            if self.value.of.either and self.hint is default:
                return bool(default)
            return self.guard_bool()
        return known

    def statically_known_true(self, file: Any = "", line: int = 0) -> bool:
        return self.maybe_as_bool() is True

    # Shapes of memory, which decide nothing that is counted.

    def is_contiguous(self, sizes: Any, strides: Any) -> Node:
        expected: Any = 1
        truth = True
        for size, stride in zip(reversed(sizes), reversed(strides), strict=True):
            if size.value.number == 1:
                continue
            truth = truth and not (stride.value - expected).terms
            expected = size.value * expected
        return self.wrap_bool(truth)

    def is_non_overlapping_and_dense(self, sizes: Any, strides: Any) -> Node:
        return self.is_contiguous(sizes, strides)

    def is_non_overlapping_and_dense_indicator(self, sizes: Any, strides: Any) -> Node:
        return self.wrap_int(int(self.is_contiguous(sizes, strides).guard_bool()))

    def _never(self, sizes: Any, strides: Any) -> Node:
        return self.wrap_bool(False)

    is_channels_last_contiguous_2d = is_channels_last_contiguous_3d = _never
    is_channels_last_strides_2d = is_channels_last_strides_3d = _never

    # Arithmetic.

    def _both(self, other: Node, rule: Callable[[Any, Any], Any]) -> Node:
        one, two = self.value, other.value
        if isinstance(one, Fraction) or isinstance(two, Fraction):
            one, two = Fraction.of_number(one), Fraction.of_number(two)
        return Node(rule(one, two))

    def _made_once(self, other: Node, rule: Callable[[Any, Any], Any]) -> Node:
        """What a rule makes that asks nothing; torch makes the same of each shape."""
        known = self._made.get((rule, id(other)))
        if known is None:
            known = self._made[rule, id(other)] = self._both(other, rule), other
        return known[0]

    def add(self, other: Node) -> Node:
        return self._made_once(other, operator.add)

    def sub(self, other: Node) -> Node:
        return self._made_once(other, operator.sub)

    def mul(self, other: Node) -> Node:
        return self._made_once(other, operator.mul)

    def mod(self, other: Node) -> Node:
        return self._both(other, operator.mod)

    def int_floordiv(self, other: Node) -> Node:
        return self._both(other, operator.floordiv)

    floordiv = int_floordiv

    def truediv(self, other: Node) -> Node:
        return Node(Fraction.of_number(self.value) / Fraction.of_number(other.value))

    int_truediv = float_truediv = truediv

    def pow_by_natural(self, other: Node) -> Node:
        value: Any = self.value
        return Node(value ** other.guard_int())

    def pow(self, other: Node) -> Node:
        whole = self.is_int() and other.is_int() and other.value.hint >= 0
        return self.pow_by_natural(other) if whole else self.float_pow(other)

    def float_pow(self, other: Node) -> Node:
        return Node(Fraction.of_number(self.value) ** Fraction.of_number(other.value))

    def neg(self) -> Node:
        value: Any = self.value
        return Node(-value)

    def pos(self) -> Node:
        return self

    def abs(self) -> Node:
        value: Any = self.value
        return Node(abs(value))

    def sym_max(self, other: Node) -> Node:
        return self._made_once(other, _larger)

    def sym_min(self, other: Node) -> Node:
        return self._made_once(other, _smaller)

    def sym_sum(self, nodes: Any) -> Node:
        total: Any = 0
        for node in nodes:
            total = total + node.value
        return Node(total)

    def sym_float(self) -> Node:
        return Node(Fraction.of_number(self.value))

    def sym_int(self) -> Node:
        return self.trunc() if self.is_float() else self

    def floor(self) -> Node:
        return self._rounded(floor)

    def ceil(self) -> Node:
        return self._rounded(ceil)

    def trunc(self) -> Node:
        return self._rounded(trunc)

    def round(self, digits: Any = None) -> Node:
        if self.is_int():
            return self
        number = round(self.guard_float(), digits)
        return self.wrap_float(number) if isinstance(number, float) else self.wrap_int(number)

    def is_integer(self) -> Node:
        if self.is_int():
            return self.wrap_bool(True)
        return self.wrap_bool(self.guard_float().is_integer())

    def _rounded(self, how: Any) -> Node:
        value: Any = self.value
        return self if self.is_int() else Node(value.rounded(how))

    # Comparisons.

    def _compared(self, other: Node, sign: Any) -> Node:
        one, two = self.value, other.value
        if isinstance(one, Fraction) or isinstance(two, Fraction):
            one, two = Fraction.of_number(one), Fraction.of_number(two)
            if one.above is None or two.above is None:
                return self.wrap_bool(SIGNS[sign](one.asked(), two.asked()))
            one, two = one.above * two.below, two.above * one.below
        elif isinstance(one, Truth) or isinstance(two, Truth):
            answers = [v.asked() if isinstance(v, Truth) else v for v in (one, two)]
            return self.wrap_bool(SIGNS[sign](*answers))
        return Node(compared(one - two, sign))

    def eq(self, other: Node) -> Node:
        return self._compared(other, "==")

    def ne(self, other: Node) -> Node:
        return self._compared(other, "!=")

    def lt(self, other: Node) -> Node:
        return self._compared(other, "<")

    def le(self, other: Node) -> Node:
        return self._compared(other, "<=")

    def gt(self, other: Node) -> Node:
        return self._compared(other, ">")

    def ge(self, other: Node) -> Node:
        return self._compared(other, ">=")

    def sym_and(self, other: Node) -> Node:
        return Node(Joined(all, (self.value, other.value)))

    def sym_or(self, other: Node) -> Node:
        return Node(Joined(any, (self.value, other.value)))

    and_ = sym_and
    or_ = sym_or

    def bitwise_and(self, other: Node) -> Node:
        if self.is_bool():
            return self.sym_and(other)
        return self.wrap_int(self.guard_int() & other.guard_int())

    def bitwise_or(self, other: Node) -> Node:
        if self.is_bool():
            return self.sym_or(other)
        return self.wrap_int(self.guard_int() | other.guard_int())

    def bitwise_xor(self, other: Node) -> Node:
        return self.wrap_int(self.guard_int() ^ other.guard_int())

    def lshift(self, other: Node) -> Node:
        return self.mul(self.wrap_int(1 << other.guard_int()))

    def rshift(self, other: Node) -> Node:
        return self.int_floordiv(self.wrap_int(1 << other.guard_int()))

    def sym_not(self) -> Node:
        return Node(Not(self.value))

    def sym_ite(self, then: Node, otherwise: Node) -> Node:
        return then if self.guard_bool() else otherwise


def _larger(one: Size, two: Size) -> Size:
    return one.of.extreme("max", one, two)


def _smaller(one: Size, two: Size) -> Size:
    return one.of.extreme("min", one, two)


class Answers:
    """What functions of torch ask that know of nodes with a ``shape_env``."""

    def evaluate_sym_node(
        self, node: Node, size_oblivious: bool = False, fallback_value: bool | None = None
    ) -> Any:
        """The answer, which leaves a guard."""
        if fallback_value is not None:
            return node._guard_or(fallback_value)
        return node.guard_int() if node.is_int() else node.guard_bool()

    def _maybe_evaluate_static(self, node: Node, **how: Any) -> bool | None:
        return node.maybe_as_bool()

    def optimization_hint(self, node: Node, fallback: Any = None) -> Any:
        """For speed only."""
        return node.hint

    guarding_hint_or_throw = optimization_hint
