"""Quotients of sizes, rounded down: one floor for a floor of a floor, none where it is whole."""

from __future__ import annotations

from math import gcd, inf
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from costlab.symbols.size import Monomial, Size


def quotient(above: Size, below: Size) -> Any:
    """``⌊above / below⌋``."""
    of = above.of
    if not below.hint:
        raise ZeroDivisionError("division by 0")
    if len(below.terms) == 1:  # c·m: what it divides comes out
        ((monomial, factor),) = below.terms.items()
        if factor < 0:
            return quotient(-above, -below)
        whole: dict[Monomial, int] = {}
        left: dict[Monomial, int] = {}
        for term, times in above.terms.items():
            rest = _without(term, monomial)
            if rest is not None and times % factor == 0:
                whole[rest] = times // factor
            else:
                left[term] = times
        if whole and monomial:
            of.require_not_zero(below)
        out = of.built(whole)
        remainder = type(above)(of, left, above.hint - out.hint * below.hint)
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
    exact_below, times_below = of.known.without_quotients(below)
    if times > 1 or times_below > 1:  # ⌊8·⌊d/8⌋/d⌋ is 1 where d is a multiple of 8
        above, below = times_below * exact, times * exact_below
    above, below = without_common(above, below)
    if len(below.terms) == 1 and () in below.terms:
        return quotient(above, below)
    if (whole := _exact(above, below)) is not None:
        return whole
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


def _exact(above: Size, below: Size) -> Size | None:
    """What ``below`` times gives ``above``, if there is that: N, of ``N·a + N`` over ``a + 1``.

    By long division: the highest product of what is left has the highest one of ``below`` in it.
    """
    highest = max(below.terms, key=_rank)
    times: dict[Monomial, int] = {}
    while above.terms:
        term = max(above.terms, key=_rank)
        rest = _without(term, highest)
        if rest is None or above.terms[term] % below.terms[highest]:
            return None
        times[rest] = above.terms[term] // below.terms[highest]
        above = above - above.of.built({rest: times[rest]}) * below
    return above.of.built(times)


def _rank(monomial: Monomial) -> tuple[int, Monomial]:
    """By degree, then by atoms: what is higher stays so when both are multiplied by the same."""
    return len(monomial), monomial[::-1]


def _over(size: Size, number: int) -> Size:
    return type(size)(size.of, {m: c // number for m, c in size.terms.items()}, size.hint // number)


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


def first_positive(size: Size) -> Size:
    """A size or its opposite: the one whose first term is above 0."""
    return -size if size.key[-1][1] < 0 else size
