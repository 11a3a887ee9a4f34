"""A whole number that carries its expression: a polynomial of symbols, floors, maxima and minima.

One expression has one form, so that equal sizes are mostly seen to be equal: sums and products are
multiplied out, ``a mod b`` is ``a - b·⌊a/b⌋``, and a floor of a floor is one floor, since
``⌊(⌊x⌋ + n)/k⌋ = ⌊(x + n)/k⌋`` for whole n and k. Beside it stands the number that it is at one
point, the hint, which is all that decides where code asks (`Assumptions.asked`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from math import gcd, inf
from typing import TYPE_CHECKING, Any, TypeAlias

from costlab.graph.arithmetic import larger, smaller

if TYPE_CHECKING:
    from costlab.symbols.assumptions import Assumptions

Monomial: TypeAlias = tuple[int, ...]
"""The numbers of the atoms of a product, in order: ``a²·b`` is ``(a, a, b)``, a number ``()``."""


class Atom:
    """What a polynomial is made of: a symbol, or an operation on sizes that is no polynomial.

    ``kind`` is ``symbol``, ``floor`` (of a quotient), ``max``, ``min``, ``abs``, or ``most``, the
    largest of several sums.
    """

    __slots__ = ("arguments", "bounds", "hint", "kind", "name", "number")

    def __init__(
        self, number: int, kind: str, name: str, arguments: tuple[Size, ...], hint: int
    ) -> None:
        self.number, self.kind, self.name = number, kind, name
        self.arguments, self.hint = arguments, hint
        self.bounds: tuple[int, float, float] | None = None
        """The least and the largest value, after how much had been learnt."""


class Size:
    """A whole number with its expression; see above. Python's operators give others."""

    __slots__ = ("_key", "hint", "of", "terms")

    def __init__(self, of: Assumptions, terms: dict[Monomial, int], hint: int) -> None:
        self.of, self.terms, self.hint = of, terms, hint
        self._key: tuple[tuple[Monomial, int], ...] | None = None

    @property
    def key(self) -> tuple[tuple[Monomial, int], ...]:
        """The same for what is the same expression."""
        if self._key is None:
            self._key = tuple(sorted(self.terms.items()))
        return self._key

    @property
    def number(self) -> int | None:
        """The number that it is, whatever the symbols are; None if it depends on them."""
        if not self.terms:
            return 0
        return self.terms.get(()) if len(self.terms) == 1 else None

    def _lifted(self, other: Any) -> Size | None:
        if isinstance(other, Size):
            return other
        return self.of.constant(int(other)) if isinstance(other, int) else None

    # Arithmetic.

    def __add__(self, other: Any) -> Any:
        more = self._lifted(other)
        return NotImplemented if more is None else _sum(self, more, 1)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        more = self._lifted(other)
        return NotImplemented if more is None else _sum(self, more, -1)

    def __rsub__(self, other: Any) -> Any:
        more = self._lifted(other)
        return NotImplemented if more is None else _sum(more, self, -1)

    def __mul__(self, other: Any) -> Any:
        more = self._lifted(other)
        if more is None:
            return NotImplemented
        if more.number == 1:
            return self
        if self.number == 1:
            return more
        terms: dict[Monomial, int] = {}
        for one, times in self.terms.items():
            for two, factor in more.terms.items():
                product = tuple(sorted(one + two)) if one and two else one or two
                terms[product] = terms.get(product, 0) + times * factor
        return Size(self.of, {m: c for m, c in terms.items() if c}, self.hint * more.hint)

    __rmul__ = __mul__

    def __neg__(self) -> Size:
        return Size(self.of, {m: -c for m, c in self.terms.items()}, -self.hint)

    def __pos__(self) -> Size:
        return self

    def __pow__(self, power: int) -> Any:
        if type(power) is not int or power < 0:
            return NotImplemented
        result: Any = self.of.constant(1)
        for _ in range(power):
            result = result * self
        return result

    def __floordiv__(self, other: Any) -> Any:
        below = self._lifted(other)
        return NotImplemented if below is None else quotient(self, below)

    def __rfloordiv__(self, other: Any) -> Any:
        above = self._lifted(other)
        return NotImplemented if above is None else quotient(above, self)

    def __mod__(self, other: Any) -> Any:
        below = self._lifted(other)
        return NotImplemented if below is None else self - below * quotient(self, below)

    def __rmod__(self, other: Any) -> Any:
        above = self._lifted(other)
        return NotImplemented if above is None else above - self * quotient(above, self)

    def __abs__(self) -> Size:
        least, most = self.of.bounds(self)
        if least >= 0:
            return self
        return -self if most <= 0 else self.of.made("abs", (_first_positive(self),))

    # Questions: answered at the hint, and kept as a condition where the answer depends on symbols.

    def __lt__(self, other: Any) -> Any:
        return self._asked(other, lambda more: self.of.at_least_zero(more - self - 1))

    def __le__(self, other: Any) -> Any:
        return self._asked(other, lambda more: self.of.at_least_zero(more - self))

    def __gt__(self, other: Any) -> Any:
        return self._asked(other, lambda more: self.of.at_least_zero(self - more - 1))

    def __ge__(self, other: Any) -> Any:
        return self._asked(other, lambda more: self.of.at_least_zero(self - more))

    def __eq__(self, other: object) -> Any:
        return self._asked(other, lambda more: self.of.is_zero(self - more))

    def __ne__(self, other: object) -> Any:
        return self._asked(other, lambda more: not self.of.is_zero(self - more))

    def _asked(self, other: Any, question: Callable[[Size], bool]) -> Any:
        more = self._lifted(other)
        return NotImplemented if more is None else question(more)

    def __hash__(self) -> int:
        return hash(self.key)

    def __bool__(self) -> bool:
        return not self.of.is_zero(self)

    def __index__(self) -> int:
        return self.of.fixed(self)

    __int__ = __index__

    # What it is for.

    def at(self, values: Mapping[str, Any], known: dict[int, Any]) -> Any:
        """The same with ``values`` for symbols: ints, arrays, bounds, or symbols of sympy.

        ``known`` has the values of atoms by their numbers, and is filled.
        """
        total: Any = 0
        for monomial, factor in self.terms.items():
            product: Any = factor
            for number in monomial:
                product = product * self.of.atom_at(number, values, known)
            total = total + product
        return total

    @property
    def symbols(self) -> frozenset[str]:
        """The names of the symbols that it depends on."""
        return frozenset().union(*(self.of.names(n) for m in self.terms for n in m))

    def __repr__(self) -> str:
        return self.of.text(self)

    def __format__(self, how: str) -> str:
        return repr(self)


def sum_of(sizes: Iterable[Any]) -> Any:
    """The sum of many, in time that grows with their terms, not with those of the sum."""
    plain, hint, terms, of = 0, 0, dict[Monomial, int](), None
    for size in sizes:
        if isinstance(size, Size):
            of, hint = size.of, hint + size.hint
            for monomial, factor in size.terms.items():
                terms[monomial] = terms.get(monomial, 0) + factor
        else:
            plain += size
    if of is None:
        return plain
    terms[()] = terms.get((), 0) + plain
    return Size(of, {m: c for m, c in terms.items() if c}, hint + plain)


def _sum(one: Size, two: Size, sign: int) -> Size:
    terms = dict(one.terms)
    for monomial, factor in two.terms.items():
        both = terms.get(monomial, 0) + sign * factor
        if both:
            terms[monomial] = both
        else:
            terms.pop(monomial, None)
    return Size(one.of, terms, one.hint + sign * two.hint)


def quotient(above: Size, below: Size) -> Any:
    """``⌊above / below⌋``."""
    of = above.of
    if not below.hint:
        raise ZeroDivisionError("division by 0")
    if len(below.terms) == 1:  # c·m: what it divides comes out
        ((monomial, factor),) = below.terms.items()
        if factor < 0:
            return quotient(-above, -below)
        whole, left = dict[Monomial, int](), dict[Monomial, int]()
        for term, times in above.terms.items():
            rest = _without(term, monomial)
            if rest is not None and times % factor == 0:
                whole[rest] = times // factor
            else:
                left[term] = times
        if whole and monomial:
            of.require_not_zero(below)
        out = of.built(whole)
        remainder = Size(of, left, above.hint - out.hint * below.hint)
        if not left:
            return out
        if not monomial:
            return out + _floor(remainder, factor)
        return out + _of_expression(remainder, below)
    return _of_expression(above, below)


def _of_expression(above: Size, below: Size) -> Any:
    of = above.of
    of.require_not_zero(below)
    exact, times = of.known.without_quotients(above)
    if times > 1:  # ⌊8·⌊d/8⌋/d⌋ is 1 where d is a multiple of 8
        above, below = exact, times * below
    above, below = without_common(above, below)
    if len(below.terms) == 1 and () in below.terms:
        return quotient(above, below)
    if (same := _multiple(above, below)) is not None:
        return of.constant(same)
    least, most = of.bounds(above)
    least_below = of.bounds(below)[0]
    if least >= 0 and most < least_below:
        return of.constant(0)
    return of.made("floor", (above, below))


def without_common(*sizes: Size) -> tuple[Size, ...]:
    """Sizes without the factors that all of them have, if these are above 0."""
    of = sizes[0].of
    terms = [term for size in sizes for term in size.terms.items()]
    if not terms:
        return sizes
    common = gcd(*(factor for _, factor in terms))
    shared = list(terms[0][0])
    for monomial, _ in terms:
        left, kept = list(monomial), []
        for number in shared:
            if number in left:
                left.remove(number)
                kept.append(number)
        shared = kept
    factors = tuple(number for number in shared if of.is_positive(number))
    if common == 1 and not factors:
        return sizes
    return tuple(
        of.built({_taken(m, factors): c // common for m, c in size.terms.items()}) for size in sizes
    )


def _taken(monomial: Monomial, factors: Monomial) -> Monomial:
    rest = _without(monomial, factors)
    assert rest is not None
    return rest


def _multiple(above: Size, below: Size) -> int | None:
    """The number that ``below`` times gives ``above``, if there is one."""
    first = next(iter(below.terms))
    times, rest = divmod(above.terms.get(first, 0), below.terms[first])
    return times if not rest and not (above - times * below).terms else None


def _over(size: Size, number: int) -> Size:
    return Size(size.of, {m: c // number for m, c in size.terms.items()}, size.hint // number)


def _floor(above: Size, below: int) -> Any:
    """``⌊above / below⌋`` of terms that ``below`` does not divide."""
    of = above.of
    if (constant := above.number) is not None:
        return of.constant(constant // below)
    lead = max(((m, c) for m, c in above.terms.items() if m), key=lambda term: term[0])
    if lead[1] < 0 and all(c < 0 for m, c in above.terms.items() if m):
        return -_plus((below - 1) - above, below)  # -⌊-a/k⌋ is ⌊(a + k - 1)/k⌋
    return _plus(above, below)


def _plus(above: Size, below: int) -> Any:
    of = above.of
    if below == 2 and (either := _either(above)) is not None:
        return either
    for monomial, factor in above.terms.items():
        if len(monomial) == 1 and factor == 1:
            atom = of.atoms[monomial[0]]
            if atom.kind == "floor" and (inner := atom.arguments[1].number):
                rest = above - of.of_atom(atom)
                return quotient(atom.arguments[0] + rest * inner, of.constant(below * inner))
    common = below
    for monomial, factor in above.terms.items():
        if monomial:
            common = gcd(common, factor)
    if common > 1:  # ⌊(4a + 3)/6⌋ is ⌊(2a + ⌊3/2⌋)/3⌋
        terms = {m: c // common for m, c in above.terms.items()}
        reduced = of.built({m: c for m, c in terms.items() if c})
        return quotient(reduced, of.constant(below // common))
    least, most = of.bounds(above)
    if least > -inf and least // below == most // below:
        return of.constant(int(least // below))
    if of.shows:
        return of.made("floor", (above, of.constant(below)))
    shift = above.terms.get((), 0) // below  # one form for ⌊(H - 5)/2⌋ and ⌊(H + 1)/2⌋ - 3
    kept = above - shift * below
    return of.made("floor", (kept, of.constant(below))) + shift


def _either(above: Size) -> Size | None:
    """``(a + b ± |a - b|)/2`` is the larger or the smaller one."""
    of = above.of
    for monomial, factor in above.terms.items():
        atom = of.atoms[monomial[0]] if len(monomial) == 1 else None
        if atom is not None and atom.kind == "abs" and factor in (1, -1):
            inside, rest = atom.arguments[0], above - factor * of.of_atom(atom)
            twice = rest + inside, rest - inside
            if all(c % 2 == 0 for side in twice for c in side.terms.values()):
                a, b = (_over(side, 2) for side in twice)
                return of.extreme("max" if factor == 1 else "min", a, b)
    return None


def _without(term: Monomial, factor: Monomial) -> Monomial | None:
    """A product divided by another one; None if that does not divide it."""
    left = list(term)
    for number in factor:
        if number not in left:
            return None
        left.remove(number)
    return tuple(left)


def _first_positive(size: Size) -> Size:
    return -size if size.key[-1][1] < 0 else size


def _most(*numbers: Any) -> Any:
    """The largest of several, element by element; of sizes, one that says so."""
    of = next((number.of for number in numbers if isinstance(number, Size)), None)
    return reduce(larger, numbers) if of is None else of.most(numbers)


RULES: Mapping[str, Callable[..., Any]] = {
    "floor": lambda above, below: above // below,
    "max": larger,
    "most": _most,
    "min": smaller,
    "abs": abs,
}
"""What the atoms are, in plain arithmetic on numbers of any kind."""
