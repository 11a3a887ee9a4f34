"""What is assumed of symbols, and what was asked of sizes: the conditions of all that follows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from math import prod
from typing import Any, Literal, NamedTuple, TypeAlias

from costlab.errors import ShapeError
from costlab.symbols.bounds import Bounds
from costlab.symbols.quotients import without_common
from costlab.symbols.size import RULES, Atom, Monomial, Size

Kind: TypeAlias = Literal["≥ 0", "= 0", "≠ 0"]

_MOST_ANSWERS = 3000
"""Of one call of torch: so many questions are answered in general, then at the hints."""


class Guard(NamedTuple):
    """A condition under which code does what was seen: ``size`` is at least 0, is 0, or is not.

    ``place`` is the line of code that asked, ``""`` where it was a rule of ours.
    """

    size: Size
    kind: Kind
    place: str

    def holds(self, values: Mapping[str, int]) -> bool:
        """Whether it does with these numbers."""
        value = self.size.at(values, {})
        return bool(value >= 0 if self.kind == "≥ 0" else (value == 0) is (self.kind == "= 0"))


class Assumptions:
    """The symbols with their hints, whole numbers from 1, and the guards that were left.

    What a guard says of one symbol is used from then on, so that nothing is asked twice.
    """

    def __init__(self, hints: Mapping[str, int]) -> None:
        self.hints = dict(hints)
        self.guards: dict[tuple[Any, str], Guard] = {}
        self.where: Callable[[], str] = str
        """Says which line of code is asking."""
        self.atoms: list[Atom] = []
        self._made: dict[Any, int] = {}
        self._constants: dict[int, Size] = {}
        self._decided: dict[Any, bool] = {}
        """Sizes that are at least 0 beyond doubt, or below: more guards change nothing of that."""
        self.known = Bounds(hints)
        self._names: dict[int, frozenset[str]] = {}
        self._quiet = 0
        self._texts: list[tuple[Any, str]] = []
        """What text was made of, and where."""
        self.shows = False
        """Whether its sizes are for people, who read ``⌊(H - 5)/2⌋``, not ``⌊(H + 1)/2⌋ - 3``."""
        self._answers = 0
        self.general = False
        """Whether sizes that may be 1 are taken not to be, as one that is would do as well."""
        self.either = False
        """Whether an answer that torch's code takes for as good as the other is no guard."""
        self.remembered: dict[Any, Any] = {}
        """What was made of sizes, by what decides it."""
        self.symbols = {name: self._symbol(name, hint) for name, hint in hints.items()}

    # Expressions.

    def _symbol(self, name: str, hint: int) -> Size:
        atom = Atom(len(self.atoms), "symbol", name, (), hint)
        self.atoms.append(atom)
        return self.of_atom(atom)

    def constant(self, number: int) -> Size:
        """A number."""
        known = self._constants.get(number)
        if known is None:
            known = self._constants[number] = Size(self, {(): number} if number else {}, number)
        return known

    def size(self, value: Any) -> Size:
        """A number as a size; a size is itself."""
        return value if isinstance(value, Size) else self.constant(int(value))

    def of_atom(self, atom: Atom) -> Size:
        """A size that is an atom."""
        return Size(self, {(atom.number,): 1}, atom.hint)

    def made(self, kind: str, arguments: tuple[Size, ...]) -> Size:
        """An operation that is no polynomial, on sizes."""
        key = (kind, *(argument.key for argument in arguments))
        number = self._made.get(key)
        if number is None:
            number = self._made[key] = len(self.atoms)
            hint = RULES[kind](*(argument.hint for argument in arguments))
            self.atoms.append(Atom(number, kind, "", arguments, hint))
        return self.of_atom(self.atoms[number])

    def as_one(self, size: Any) -> Any:
        """``⌊(H - 5)/2⌋`` for ``⌊(H + 1)/2⌋ - 3``: a size of a grid is one factor of products."""
        if isinstance(size, tuple) and any(self.as_one(item) is not item for item in size):
            return tuple(self.as_one(item) for item in size)
        if not isinstance(size, Size) or len(size.terms) != 2 or () not in size.terms:
            return size
        shift = size.terms[()]
        ((monomial, factor),) = (term for term in size.terms.items() if term[0])
        atom = self.atoms[monomial[0]]
        if len(monomial) != 1 or factor != 1 or atom.kind != "floor":
            return size
        above, below = atom.arguments
        return size if below.number is None else self.made("floor", (above + shift * below, below))

    def extreme(self, kind: str, a: Size, b: Size) -> Size:
        """The larger or the smaller one."""
        if self._sign(a - b):
            return a if kind == "max" else b
        if self._sign(b - a):
            return b if kind == "max" else a
        return self.made(kind, tuple(sorted((a, b), key=lambda size: size.key)))

    def most(self, sizes: Iterable[Any]) -> Any:
        """The largest of several."""
        from costlab.symbols.most import most_of  # where there are several, which is seldom

        return most_of(self, sizes)

    def built(self, terms: dict[Monomial, int]) -> Size:
        """The size with these terms."""
        atoms = self.atoms
        hint = sum(c * prod(atoms[number].hint for number in m) for m, c in terms.items())
        return Size(self, terms, hint)

    def number_of(self, name: str) -> int:
        """The number of the atom that is a symbol."""
        ((number,),) = self.symbols[name].terms
        return number

    def is_positive(self, number: int) -> bool:
        """Whether an atom is above 0 beyond doubt."""
        return self.known.of_atom(self.atoms[number])[0] > 0

    def atom_at(self, number: int, values: Mapping[str, Any], known: dict[int, Any]) -> Any:
        """An atom with values for the symbols."""
        if number not in known:
            atom = self.atoms[number]
            if atom.kind == "symbol":
                known[number] = values[atom.name]
            else:
                known[number] = RULES[atom.kind](*(a.at(values, known) for a in atom.arguments))
        return known[number]

    def names(self, number: int) -> frozenset[str]:
        """The symbols that an atom depends on."""
        if number not in self._names:
            atom = self.atoms[number]
            own = [{atom.name}] if atom.kind == "symbol" else [a.symbols for a in atom.arguments]
            self._names[number] = frozenset().union(*own)
        return self._names[number]

    def bounds(self, size: Size) -> tuple[float, float]:
        """Between which numbers a size is beyond doubt."""
        return self.known.of(size)

    # Questions.

    def at_least_zero(self, size: Size) -> bool:
        """Whether it is at least 0: beyond doubt, or at the hint, which is then a guard."""
        if (equal := self._within_zero(size)) is not None:
            return self.is_zero(equal)
        if (known := self._sign(size)) is not None:
            return known
        if size.terms:
            (size,) = without_common(size)
        low, high = self.known.of(size)
        if high == 0 and not self.general:  # 4·⌊H/4⌋ ≥ H says that H mod 4 = 0, which is used
            return self.is_zero(size)
        if self.general and low == -1 and size.terms.get(()) == -2:  # is it 2 or more?
            return True
        if self.general and high == 0 and size.terms.get(()) == 1:  # is it 1 or less?
            return False
        if size.hint >= 0:
            self._guard(size, "≥ 0")
            return True
        self._guard(-size - 1, "≥ 0")
        return False

    def _sign(self, size: Size) -> bool | None:
        """Whether it is at least 0 or below beyond doubt; None where it depends."""
        known = self._decided.get(size.key)
        if known is None:
            low, high = self.known.of(without_common(size)[0] if size.terms else size)
            if low < 0 <= high:
                return None
            known = self._decided[size.key] = low >= 0
        return known

    def is_zero(self, size: Size) -> bool:
        """Whether it is 0: beyond doubt, or at the hint, which is then a guard."""
        if self.general:
            self._asked_in_general()
        if not size.terms:
            return True
        size = without_common(size)[0]
        low, high = self.known.of(size)
        if low > 0 or high < 0:
            return False
        if low == high == 0:
            return True
        if self.general and low == 0 and size.terms.get(()) == -1:  # is it 1?
            return False
        if size.hint:
            if low == 0:
                self._guard(size - 1, "≥ 0")
            elif high == 0:
                self._guard(-size - 1, "≥ 0")
            else:
                self._guard(size, "≠ 0")
            return False
        self._guard(size, "= 0")
        return True

    def decided(self, kind: str, size: Size) -> bool | None:
        """What is beyond doubt: whether a size is at least 0 or is 0; None where it depends."""
        if kind == "≥ 0" and (equal := self._within_zero(size)) is not None:
            return self.decided("= 0", equal)
        if kind == "= 0":
            size = without_common(size)[0]
        low, high = self.known.of(size)
        if kind == "≥ 0":
            return True if low >= 0 else False if high < 0 else None
        if low > 0 or high < 0:
            return False
        return True if low == high == 0 else None

    def _within_zero(self, size: Size) -> Size | None:
        """``d`` for ``-|d|``, which is at least 0 where d is 0."""
        if len(size.terms) != 1:
            return None
        ((monomial, factor),) = size.terms.items()
        atom = self.atoms[monomial[0]] if len(monomial) == 1 else None
        if atom is None or atom.kind != "abs" or factor > 0:
            return None
        return atom.arguments[0]

    def fixed(self, size: Size) -> int:
        """The number that it is at the hint, and from now on always."""
        number = size.number
        if number is None and not self.is_zero(size - size.hint):
            raise AssertionError(size)
        return size.hint

    def read(self, value: Any) -> Any:
        """What it is at the hints, for text that is made of it: a name or a key may decide.

        So it is fixed, unless it turns out to be what an assertion says (`said`).
        """
        if not self._quiet:
            self._texts.append((value, self.where()))
        return value.hint

    def said(self, message: str) -> None:
        """Text that was made last is what an assertion says, and decides nothing."""
        while self._texts and str(self._texts[-1][0].hint) in message:
            message = message.replace(str(self._texts.pop()[0].hint), "", 1)

    def settle(self) -> None:
        """What text was made of is fixed now."""
        texts, self._texts = self._texts, []
        for value, place in texts:
            before, self.where = self.where, lambda place=place: place  # type: ignore[misc]
            try:
                self.fixed(value) if isinstance(value, Size) else value.asked()
            finally:
                self.where = before

    def require_not_zero(self, size: Size) -> None:
        """A divisor is not 0."""
        self.is_zero(size)

    def _guard(self, size: Size, kind: Kind) -> None:
        if self._quiet:
            return
        key = size.key, kind
        if key not in self.guards and not (kind != "≥ 0" and ((-size).key, kind) in self.guards):
            self.guards[key] = Guard(size, kind, self.where())
            self.known.learn(size, kind)

    @property
    def leaves_guards(self) -> bool:
        """Whether what is asked now leaves a guard where it depends on symbols."""
        return not (self._quiet or self.general)

    @contextmanager
    def in_general(self) -> Iterator[None]:
        """What is asked in here only refuses: see ``general``."""
        before, self.general = self.general, True
        self._answers = 0
        try:
            yield
        finally:
            self.general = before

    def _asked_in_general(self) -> None:
        """Note such a question: torch's code asks on for ever where it has taken the opposite."""
        self._answers += 1
        if self._answers > _MOST_ANSWERS:
            raise RuntimeError("what is asked in general does not end")

    @contextmanager
    def unasked(self) -> Iterator[None]:
        """What is asked in here leaves no guard: it decides nothing."""
        self._quiet += 1
        try:
            yield
        finally:
            self._quiet -= 1

    def learn(self, guard: Guard) -> None:
        """Take a guard for granted."""
        self.known.learn(guard.size, guard.kind)

    @contextmanager
    def supposing(self, guards: Iterable[Guard]) -> Iterator[None]:
        """Take these guards for granted in here, and no others."""
        before, self.known = self.known, Bounds(self.hints)
        try:
            for guard in guards:
                self.learn(guard)
            yield
        finally:
            self.known = before

    def failed(self, values: Mapping[str, int]) -> Guard | None:
        """The first guard that does not hold with these numbers."""
        return next((guard for guard in self.guards.values() if not guard.holds(values)), None)

    def require(self, values: Mapping[str, int], name: str) -> None:
        """Raise ``ShapeError`` unless all guards hold with these numbers."""
        guard = self.failed(values)
        if guard is not None:
            place = f" ({guard.place})" if guard.place else ""
            raise ShapeError(f"{name} was followed where {self.sentence(guard)}{place}")

    # Words.

    def sentence(self, guard: Guard) -> str:
        """A guard in words: ``H ≥ 33``, ``W mod 32 = 0``."""
        from costlab.symbols.words import condition

        return condition(guard.size, guard.kind)

    def text(self, size: Size) -> str:
        """A size in words."""
        from costlab.symbols.words import written

        return written(size)
