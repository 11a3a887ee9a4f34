"""What is known of symbols beyond doubt: their bounds, and what they are multiples of."""

from __future__ import annotations

from collections.abc import Iterable
from math import gcd, inf, lcm, prod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from costlab.symbols.assumptions import Guard
    from costlab.symbols.size import Atom, Monomial, Size


class Bounds:
    """Of each symbol the least and the largest value, from what guards say; at first 1 and more."""

    def __init__(self, names: Iterable[str]) -> None:
        self._low: dict[str, float] = dict.fromkeys(names, 1)
        self._high: dict[str, float] = dict.fromkeys(names, inf)
        self._learnt = object()
        """What has been learnt: bounds of operations are kept until there is more."""
        self._steps: dict[int, set[int]] = {}
        """The numbers of which atoms are multiples, by the numbers of the atoms."""

    def of(self, size: Size) -> tuple[float, float]:
        """Between which numbers a size is beyond doubt."""
        number = size.number
        if number is not None:
            return number, number
        exact, times = self.without_quotients(size)
        if times > 1:
            low, high = self.of(exact)
            return _ceiling(low, times), _bottom(high, times)
        low, high = self._plain_bounds(size)
        # c·⌊p/k⌋ is c·(p - r)/k with a remainder r from 0 to k - 1: what is common goes
        spread_low, spread_high = 0, 0
        for monomial in sorted(size.terms, reverse=True):  # those that others are made of come last
            atom = size.of.atoms[monomial[0]] if len(monomial) == 1 else None
            factor = exact.terms.get(monomial, 0)  # another floor may have it in it, too
            if atom is None or atom.kind != "floor" or not factor:
                continue
            below = atom.arguments[1].number
            if below is None:
                continue
            exact = exact * below + factor * (atom.arguments[0] - below * size.of.of_atom(atom))
            spread_low, spread_high = spread_low * below, spread_high * below
            most = 0 if self.is_whole(atom) else factor * (below - 1)
            spread_low, spread_high = spread_low - max(most, 0), spread_high - min(most, 0)
            times *= below
        if times > 1:
            other_low, other_high = self._plain_bounds(exact)
            low = max(low, _ceiling(other_low + spread_low, times))
            high = min(high, _bottom(other_high + spread_high, times))
        if low < 0 < high or low == 0 or high == 0:
            risen_low, risen_high = self._bounds_from_edges(exact)
            low = max(low, _ceiling(risen_low + spread_low, times))
            high = min(high, _bottom(risen_high + spread_high, times))
        if times > 1 and low < 0 < high:  # ⌊H/2⌋·⌊W/2⌋ - ⌊H/2⌋, whose floors grow together too
            risen_low, risen_high = self._bounds_from_edges(size)
            low, high = max(low, risen_low), min(high, risen_high)
        return low, high

    def without_quotients(self, size: Size) -> tuple[Size, int]:
        """A multiple of a size, and of how much, in which what is whole is no floor: of 8·⌊d/8⌋ d.

        That is where d is known to be a multiple of 8.
        """
        times = 1
        if not self._steps:
            return size, times
        while (number := self._whole_floor(size)) is not None:
            above, below = size.of.atoms[number].arguments
            divisor = below.hint
            rewritten: Any = size.of.constant(0)
            for monomial, factor in size.terms.items():
                rest = list(monomial)
                if number in rest:
                    rest.remove(number)
                    rewritten = rewritten + above * size.of.built({tuple(rest): factor})
                else:
                    rewritten = rewritten + size.of.built({monomial: factor * divisor})
            size, times = rewritten, times * divisor
        return size, times

    def _whole_floor(self, size: Size) -> int | None:
        """The number of a floor in it that is of a whole number beyond doubt."""
        numbers = (number for monomial in size.terms for number in monomial)
        atoms = ((number, size.of.atoms[number]) for number in numbers)
        return next((n for n, a in atoms if a.kind == "floor" and self.is_whole(a)), None)

    def _bounds_from_edges(self, size: Size) -> tuple[float, float]:
        """The bounds of a polynomial whose terms grow together: ``H·W - H`` is 0 or more from 1 on.

        Each atom is its least value and a rise; where no rise takes away, the rest is the least.
        """
        if len(size.terms) > _MANY or not any(len(monomial) > 1 for monomial in size.terms):
            return -inf, inf
        risen: dict[Monomial, float] = {}
        for monomial, factor in size.terms.items():
            products: dict[Monomial, float] = {(): factor}
            for number in monomial:
                least = self.of_atom(size.of.atoms[number])[0]
                if least == -inf:
                    return -inf, inf
                further = {(*rises, number): value for rises, value in products.items()}
                products = {rises: value * least for rises, value in products.items()} | further
            for rises, value in products.items():
                risen[rises] = risen.get(rises, 0) + value
        edge = risen.pop((), 0)
        low = edge if all(value >= 0 for value in risen.values()) else -inf
        return low, edge if all(value <= 0 for value in risen.values()) else inf

    def _plain_bounds(self, size: Size) -> tuple[float, float]:
        low: float = 0
        high: float = 0
        for monomial, factor in size.terms.items():
            least: float = factor
            most: float = factor
            for number in monomial:
                ends = self.of_atom(size.of.atoms[number])
                products = [_times(a, b) for a in (least, most) for b in ends]
                least, most = min(products), max(products)
            low, high = low + least, high + most
        return low, high

    def of_atom(self, atom: Atom) -> tuple[float, float]:
        """Between which numbers what a polynomial is made of is beyond doubt."""
        if atom.kind == "symbol":
            step = self._step(atom.number)
            return _ceiling(self._low[atom.name], step) * step, self._high[atom.name]
        if atom.bounds is None or atom.bounds[0] is not self._learnt:
            atom.bounds = (self._learnt, *self._operation_bounds(atom))
        return atom.bounds[1:]

    def _operation_bounds(self, atom: Atom) -> tuple[float, float]:
        ends = [self.of(argument) for argument in atom.arguments]
        if atom.kind == "abs":
            return 0, max(map(abs, ends[0]))
        if atom.kind in ("max", "min"):
            rule: Any = max if atom.kind == "max" else min
            return rule(ends[0][0], ends[1][0]), rule(ends[0][1], ends[1][1])
        if atom.kind == "most":
            return max(low for low, _ in ends), max(high for _, high in ends)
        (low, high), (low_below, high_below) = ends
        if low_below < 1:
            return -inf, inf
        corners = [_bottom(a, b) for a in (low, high) for b in (low_below, high_below)]
        return min(corners), max(corners)

    # What they are multiples of.

    def divided(self, size: Size) -> tuple[int, int] | None:
        """The atom that is a multiple of a number where the size is 0, and that number.

        Of ``a - 4·⌊a/4⌋``, and of ``3·a - 4·⌊3·a/4⌋``.
        """
        terms = list(size.terms.items())
        if len(terms) != 2:
            return None
        for (monomial, factor), (other, times) in (terms, terms[::-1]):
            atom = size.of.atoms[monomial[0]] if len(monomial) == 1 else None
            if atom is None or atom.kind != "floor" or len(other) != 1:
                continue
            above, below = atom.arguments
            is_remainder = below.number == abs(factor) and above.terms == {other: abs(times)}
            if is_remainder and factor * times < 0:
                return other[0], abs(factor) // gcd(factor, times)
        return None

    def is_whole(self, atom: Atom) -> bool:
        """Whether a floor is of a whole number beyond doubt."""
        above, below = atom.arguments
        number = below.number
        return number is not None and all(
            self._divisor(monomial, factor) % number == 0
            for monomial, factor in above.terms.items()
        )

    def _step(self, number: int) -> int:
        """What an atom is a multiple of."""
        return lcm(*self._steps.get(number, ()))

    def _divisor(self, monomial: Monomial, factor: int) -> int:
        """What a product is a multiple of."""
        return factor * prod(map(self._step, monomial))

    # What guards say.

    def learn(self, size: Size, kind: str) -> None:
        """Narrow the bounds of the symbol that a guard is about, if it is one alone."""
        if kind == "= 0" and (divided := self.divided(size)):
            number, step = divided
            self._steps.setdefault(number, set()).add(step)
            self._learnt = object()
        shift = size.terms.get((), 0)
        rest = [(monomial, factor) for monomial, factor in size.terms.items() if monomial]
        if kind == "≠ 0" or len(rest) != 1 or len(set(rest[0][0])) != 1:
            return
        monomial, factor = rest[0]
        atom = size.of.atoms[monomial[0]]
        if kind == "= 0":
            root = self.root(atom, len(monomial), factor, -shift)
            if root is not None:
                self._narrow(atom, root, root)
        elif len(monomial) > 1:
            return
        elif factor > 0:
            self._narrow(atom, _ceiling(-shift, factor), inf)
        else:
            self._narrow(atom, -inf, _bottom(shift, -factor))

    def _narrow(self, atom: Atom, low: float, high: float) -> None:
        if atom.kind == "floor":
            below = atom.arguments[1].number
            if below is not None:  # ⌊p/k⌋ ≥ n is p ≥ n·k
                above = atom.arguments[0]
                if low > -inf:
                    self.learn(above - int(low) * below, "≥ 0")
                if high < inf:
                    self.learn(-above + int(high) * below + below - 1, "≥ 0")
        elif atom.kind == "symbol":
            self._low[atom.name] = max(self._low[atom.name], low)
            self._high[atom.name] = min(self._high[atom.name], high)
            self._learnt = object()

    def root(self, atom: Atom, power: int, factor: int, number: int) -> int | None:
        """What an atom is where ``factor`` times a power of it is a number; None if several."""
        if number % factor or number // factor < 0:
            return None
        if power > 1 and self.of_atom(atom)[0] < 0:
            return None
        root = round((number // factor) ** (1 / power))
        return root if factor * root**power == number else None

    def is_bound(self, guard: Guard) -> bool:
        """Whether a guard is a bound of one symbol, so that all of it is known once learnt."""
        return self._divides(guard) is not None or self._edge(guard) is not None

    def _divides(self, guard: Guard) -> tuple[int, int] | None:
        return self.divided(guard.size) if guard.kind == "= 0" else None

    def is_tight(self, guard: Guard) -> bool:
        """Whether a bound is the narrowest that is known, and says something."""
        if divides := self._divides(guard):
            number, step = divides
            others = self._steps[number] - {step}
            is_fixed = all(self._low[name] == self._high[name] for name in guard.size.symbols)
            return not is_fixed and not any(other % step == 0 for other in others)
        name, low, high = self._edge(guard) or ("", -inf, inf)
        is_low, is_high = low == self._low[name], high == self._high[name]
        if low == high:
            return is_low and is_high
        if self._low[name] == self._high[name]:  # what fixes it says so
            return False
        return (is_low and low > self._step(guard.size.of.number_of(name))) or (
            is_high and high < inf
        )

    def _edge(self, guard: Guard) -> tuple[str, float, float] | None:
        """The symbol that a guard is about alone, and the bounds that it has from it."""
        size = guard.size
        names = size.symbols
        if guard.kind == "≠ 0" or len(names) != 1:
            return None
        (name,) = names
        before = self._low[name], self._high[name]
        self._low[name], self._high[name] = 1, inf
        self._learnt = object()
        try:
            self.learn(size, guard.kind)
            low, high = self._low[name], self._high[name]
            known = size.of.decided("≥ 0" if guard.kind == "≥ 0" else "= 0", size)
        finally:
            self._low[name], self._high[name] = before
            self._learnt = object()
        return (name, low, high) if known else None

    @property
    def fixed_symbols(self) -> dict[str, int]:
        """Symbols that guards leave one number."""
        return {name: int(low) for name, low in self._low.items() if low == self._high[name]}


_MANY = 12
"""Of how many terms it is worth a look whether they grow together."""


def _times(a: float, b: float) -> float:
    return 0 if a == 0 or b == 0 else a * b


def _bottom(above: float, below: float) -> float:
    if below == inf:
        return 0 if above >= 0 else -1
    return above if above in (inf, -inf) else above // below


def _ceiling(above: float, below: float) -> float:
    return above if above in (inf, -inf) else -(-above // below)
