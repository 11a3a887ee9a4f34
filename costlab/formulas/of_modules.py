"""Costs of a user's own module as functions of its sizes, from one run with symbols."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from costlab.costs.quantities import More, in_runs, lays_out, quantities
from costlab.costs.quantity import Quantity
from costlab.costs.remarks import lower_bound
from costlab.costs.rows import Group
from costlab.costs.table import CostTable, costs
from costlab.errors import ShapeError
from costlab.formulas.formula import Formula
from costlab.formulas.largest import Largest, largest
from costlab.graph import Graph
from costlab.models.symbolic_sizes import Followed, SymbolicSizes, require_size
from costlab.render.document import Document, Equation, Paragraph
from costlab.symbols.assumptions import Assumptions, Guard, Kind
from costlab.symbols.bounds import Bounds
from costlab.symbols.size import Size

if TYPE_CHECKING:
    from sympy import Expr, Symbol


@dataclass(frozen=True, repr=False, eq=False)
class ModuleFormula(Formula):
    """A `Formula` of a module; it holds where the code does what it did when it was followed.

    ``conditions`` says where that is; nothing is given elsewhere.
    """

    model: SymbolicSizes  # type: ignore[assignment]
    followed: Followed | None = None
    counted: Mapping[str, Any] | None = None
    """All quantities, of all symbols."""
    total: Group | None = None

    @property
    def _quantities(self) -> Mapping[str, Quantity]:
        return of_sizes(self.training_cost, self.more)

    @cached_property
    def published(self) -> dict[str, Any]:
        """The numbers of the symbols with which the module was followed."""
        return {name: self._followed.of.hints[name] for name in self.symbols}

    @cached_property
    def requires(self) -> tuple[str, ...]:
        """Where the code does what was followed, as few conditions as can be."""
        return tuple(condition for condition, _ in self.conditions)

    @cached_property
    def conditions(self) -> tuple[tuple[str, str], ...]:
        """The conditions, and the place in the code that each comes from."""
        of = self._left[0]
        return tuple((of.sentence(guard), guard.place) for guard in self._needed)

    @cached_property
    def _needed(self) -> list[Guard]:
        of, guards = self._left
        return needed(of, [guard for guard, _ in guards])

    @property
    def _followed(self) -> Followed:
        assert self.followed is not None
        return self.followed

    @cached_property
    def _left(self) -> tuple[Assumptions, list[tuple[Guard, Guard]]]:
        """The symbols that are left; the guards with the numbers of others, and as they were."""
        of = Assumptions({name: self._followed.of.hints[name] for name in self.symbols})
        of.shows = True
        guards = list(zip(self.guards_of(of), self._followed.guards, strict=True))
        for left, _ in guards:
            of.learn(left)
        return of, guards

    def guards_of(self, of: Assumptions) -> list[Guard]:
        """The guards on these symbols, with the numbers of others."""
        values = {**of.symbols, **self.values}
        known: dict[int, Any] = {}
        guards = []
        with of.unasked():
            for guard in self._followed.guards:
                try:
                    size = of.size(guard.size.at(values, known))
                except ZeroDivisionError:  # something in it has no size there
                    raise self._outside(guard) from None
                guards.append(Guard(size, guard.kind, guard.place))
        return guards

    def _value(self, quantity: Quantity) -> int:
        if not quantity.of_run:
            return super()._value(quantity)
        size: Any = self._sizes[quantity.name]
        return size.at(self.published, {}) if isinstance(size, Size) else int(size)

    @cached_property
    def _sizes(self) -> dict[str, Any]:
        """All quantities, as expressions of the symbols that are left."""
        return self.quantities_of(self._left[0])

    def quantities_of(self, of: Assumptions) -> dict[str, Any]:
        """All quantities on these symbols, with the numbers of others."""
        values, known = {**of.symbols, **self.values}, dict[int, Any]()
        assert self.counted is not None
        with of.unasked():
            return {
                name: size.at(values, known) if isinstance(size, Size) else size
                for name, size in self.counted.items()
            }

    @cached_property
    def _expressions(self) -> tuple[dict[str, Any], dict[Symbol, Expr]]:
        """All quantities with names for floors, and what these stand for."""
        from costlab.formulas.symbolic import Sizes, polynomial

        sizes, known = Sizes(), dict[int, Any]()
        return {
            name: polynomial(size, sizes, known) for name, size in self._sizes.items()
        }, sizes.names

    def _expression(self, quantity: str) -> tuple[Any, dict[Symbol, Expr]]:
        expressions, names = self._expressions
        return expressions[quantity], names

    def _largest(self, quantity: str) -> Largest | None:
        point = {name: self.published[name] for name in self.symbols}
        return largest(self._sizes[quantity], point)

    def equation(self, quantity: str) -> Equation:
        """A quantity as it is shown; of the largest of sums, the one at the point."""
        whole, of_sums = super().equation(quantity), self._largest(quantity)
        if of_sums is None:
            return whole
        from costlab.formulas.symbolic import Sizes, polynomial, text

        sizes = Sizes()
        return whole._replace(text=text(polynomial(of_sums.size, sizes, {}), sizes.names))

    def _equations(self) -> Iterator[Equation | Paragraph]:
        for quantity in self.shown:
            yield self.equation(quantity.name)
            if of_sums := self._largest(quantity.name):
                point = {name: self.published[name] for name in self.symbols}
                yield Paragraph(f"{quantity.name} is {of_sums.words(point)}; at has all of them.")

    @cached_property
    def _exact(self) -> CostTable:
        """The costs with numbers in place of the symbols: those of the point that was followed."""
        return costs(self._followed.at({**self.published, **self.values}), self.training_cost)

    @property
    def _graph(self) -> Graph:
        return self._followed.graph

    def _defined(self) -> ModuleFormula:
        of, guards = self._left
        failing = []
        for guard, own in guards:
            kind: Kind = "≥ 0" if guard.kind == "≥ 0" else "= 0"
            known = of.decided(kind, guard.size)
            if known is not None and known is (guard.kind == "≠ 0"):
                failing.append(own)
        if failing:
            told = needed(self._followed.of, self._followed.guards)  # as `requires` has it
            raise self._outside(next((g for g in failing if any(g is t for t in told)), failing[0]))
        return self

    def _outside(self, guard: Guard) -> ShapeError:
        place = f", as {guard.place} asks" if guard.place else ""
        at = ",".join(f"{name}={value}" for name, value in self.values.items())
        instead = f"for what it does elsewhere, follow it there with near (--near {at})"
        if problem := self.model.problem({**self._followed.of.hints, **self.values}):
            instead = f"at {at} {problem}"
        where = f"{self._followed.of.sentence(guard)}{place}"
        return ShapeError(f"{self._title} was followed where {where}: {instead}")

    def _undefined(self, error: ShapeError, values: Mapping[str, float]) -> ShapeError:
        return error

    def at(self, *unnamed: float, **values: float) -> ModuleFormula:
        """A copy with numbers in place of symbols: ``formula.at(H=224, W=224)``.

        Raises ``UnknownNameError`` for what is no symbol, and ``ShapeError`` where code would do
        something else than what was followed.
        """
        for name, value in values.items():
            if name in self.symbols:
                require_size(name, value)
        return super().at(*unnamed, **values)  # type: ignore[return-value]

    def document(self) -> Document:
        title, *rest = super().document()
        return (title, *lower_bound(self._exact.uncounted), *rest)

    def data(self) -> dict[str, Any]:
        conditions = [
            {"condition": condition, "symbols": sorted(guard.size.symbols), "place": place}
            for guard, (condition, place) in zip(self._needed, self.conditions, strict=True)
        ]
        return super().data() | {"conditions": conditions}

    @property
    def _title(self) -> str:
        return self._graph.name

    def _meaning(self, name: str) -> str:
        if name in self.model.sizes:
            return f"size of the input of {self._graph.name}"
        arguments = [argument for argument, c in self.model.choices.items() if name in c.names]
        return f"argument {' and '.join(arguments)} of its constructor"

    def _meanings(self) -> str:
        inputs = self._graph.entering
        chosen = [name for name in self.symbols if name not in self.model.sizes]
        named = [f"{name}: {self._meaning(name)}" for name in chosen]
        fixed = [f"{name}={value}" for name, value in self.values.items()]
        return "; ".join([f"Input {inputs}", *named, *fixed]) + "."

    _as_published = ""

    def _where(self) -> Document:
        """Where it holds, and which lines of code say so."""
        if not self.conditions:
            return ()
        placed = [f"{condition}{_short(place)}" for condition, place in self.conditions]
        return (
            Paragraph(f"As followed where {', '.join(placed)}."),
            *map(Paragraph, self._taken()),
        )

    def _taken(self) -> Iterator[str]:
        """Of arguments whose number code takes, so that another number is another network."""
        chosen = {name for choice in self.model.choices.values() for name in choice.names}
        of = self._left[0]
        for guard in self._needed:
            names = sorted(guard.size.symbols & chosen)
            if guard.kind == "= 0" and names and not of.known.divided(guard.size):
                place = _short(guard.place).strip(" ()") or guard.place or "code"
                near = ",".join(f"{name}=..." for name in names)
                yield (
                    f"{place} takes the number of {' and '.join(names)}: each value is a network "
                    f"of its own, followed there with near (--near {near}), or by a sweep."
                )


def _short(place: str) -> str:
    """`` (net.py:12)``: where a condition was asked, without the folders."""
    file = place.rpartition("(")[2].rstrip(")")
    return f" ({file.replace(chr(92), '/').rpartition('/')[2]})" if ":" in file else ""


def needed(of: Assumptions, guards: list[Guard]) -> list[Guard]:
    """As few guards as say the same: the tightest bounds of symbols, and what these leave.

    All of them are known to ``of`` already.
    """
    kept: list[Guard] = []
    for guard in guards:
        if of.known.is_bound(guard):
            if of.known.is_tight(guard):
                kept.append(guard)
        elif of.decided("≥ 0" if guard.kind == "≥ 0" else "= 0", guard.size) is None:
            kept.append(guard)
    sentences: dict[str, Guard] = {}
    for guard in kept:
        sentences.setdefault(of.sentence(guard), guard)
    left = list(sentences.values())
    for guard in left[::-1]:
        if any(other is not guard and _implies(of, other, guard) for other in left):
            left = [other for other in left if other is not guard]  # == would ask of sizes
    return left


def _implies(of: Assumptions, one: Guard, other: Guard) -> bool:
    """Whether where one guard holds another one does, with no third one that may need it."""
    if other.kind != "≥ 0":
        return False
    alone = Bounds(of.hints)
    alone.learn(one.size, one.kind)
    if alone.of(other.size)[0] >= 0:
        return True
    return one.kind == "≥ 0" and alone.of(other.size - one.size)[0] >= 0


def of_sizes(training_cost: bool, more: More = ()) -> dict[str, Quantity]:
    """The quantities that follow from sizes alone; all where ``more`` asks for the layout."""
    known = quantities(training_cost, more)
    layout = lays_out(more)
    return {name: known[name] for name in known if layout or not known[name].needs_layout}


def module_formula(
    model: SymbolicSizes,
    at: Mapping[str, float],
    factored: bool,
    training_cost: bool,
    more: More = (),
) -> ModuleFormula:
    """The formula of a module. Raises what following it raises."""
    followed = replace(model, layout=lays_out(more)).followed()
    if in_runs(more):
        from costlab.footprint.of_sizes import memory_of_symbols  # others do not wait for it

        more = memory_of_symbols(model, followed.of, more)
    total = costs(followed.graph.resized(followed.of.as_one), training_cost).total
    known = of_sizes(training_cost, more)
    counted = {name: quantity.of(total) for name, quantity in known.items()}
    symbols = tuple(followed.of.hints)
    formula = ModuleFormula(
        model, symbols, {}, factored, training_cost, more, followed, counted, total
    )
    return formula._defined().at(**at) if at else formula._defined()
