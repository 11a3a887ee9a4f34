"""A model's costs as formulas: the same rules, on symbols.

Every expression is exact wherever the model is defined, floors and ceilings included.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from costlab.costs.of_runs import OF_RUNS
from costlab.costs.quantities import ASKED, QUANTITIES, More, legend, shown
from costlab.costs.quantities import quantities as known_quantities
from costlab.costs.quantity import Quantity
from costlab.costs.result import CostResult
from costlab.costs.rows import Group
from costlab.costs.table import CostTable, costs
from costlab.errors import ChoiceError, ShapeError, UnknownNameError
from costlab.graph import Graph
from costlab.models.catalog_name import DIMENSIONS, Named
from costlab.models.symbolic_sizes import require_size
from costlab.render.document import Document, Equation, Paragraph, Record
from costlab.render.formats import render
from costlab.render.latex_equations import aligned

if TYPE_CHECKING:
    from sympy import Expr, Symbol

    from costlab.formulas.compared import ComparedFormulas


@dataclass(frozen=True, repr=False, eq=False)
class Formula(CostResult):
    """Costs as sympy expressions of ``symbols``: whole numbers from 1, or ratios above 0.

    ``values`` are numbers that took the place of symbols; ``factored`` is how they are shown. Each
    quantity is an attribute: ``formula.macs``, ``formula.params``, ``formula.cmp``. They
    are Python ints where ``at`` left no symbols.
    """

    model: Named
    symbols: tuple[str, ...]
    values: Mapping[str, Any]
    factored: bool = False
    training_cost: bool = False
    asked: More = ()

    @property
    def more(self) -> More:
        return self.asked

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._quantities:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return self[name]

    def __getitem__(self, quantity: str) -> Any:
        """Any quantity, such as ``formula["cmp"]``: an expression; an int without symbols.

        Raises ``UnknownNameError``.
        """
        if quantity not in self._quantities:
            hint = "training_cost=True adds those of a training step"
            if quantity in OF_RUNS or quantity in QUANTITIES:
                hint = ASKED.format(quantity)
            raise UnknownNameError("quantity", quantity, self._quantities, hint)
        expression, names = self._expression(quantity)
        whole = expression.xreplace(names)
        return int(whole) if whole.is_Integer and not self.symbols else whole

    @property
    def _quantities(self) -> Mapping[str, Quantity]:
        """What it has a formula of."""
        return known_quantities(self.training_cost, self.more)

    def at(self, *unnamed: float, **values: float) -> Formula:
        """A copy with numbers in place of symbols: ``formula.at(H=28, W=28)``.

        Raises ``UnknownNameError`` for what is no symbol, ``ChoiceError`` for a number that a
        choice does not take, and ``ShapeError`` where the model is not defined.
        """
        if unnamed:
            first = self.symbols[0] if self.symbols else "H"
            raise ChoiceError(
                f"at takes numbers by the names of symbols, such as at({first}={unnamed[0]!r})"
            )
        for name, value in values.items():
            if name not in self.symbols:
                hint = "a choice is made one with --symbol, or is given in the model's name"
                raise UnknownNameError("symbol", name, self.symbols, hint)
            if name in DIMENSIONS:
                require_size(name, value)
        left = tuple(name for name in self.symbols if name not in values)
        try:
            return replace(self, symbols=left, values={**self.values, **values})._defined()
        except ShapeError as error:
            raise self._undefined(error, values) from error

    def _undefined(self, error: ShapeError, values: Mapping[str, float]) -> ShapeError:
        """What to say where the model is not defined."""
        if not self.requires:
            return error
        at = ", ".join(f"{name}={value}" for name, value in values.items())
        return ShapeError(
            f"{self._title} is not defined at {at}: it needs {', '.join(self.requires)}"
        )

    @property
    def model_name(self) -> str:
        """What the model is called."""
        return self._title

    def compared(self, other: Formula) -> ComparedFormulas:
        """Beside another formula: where one costs less. A name that both have is one number."""
        from costlab.formulas.compared import ComparedFormulas

        return ComparedFormulas(self, other)

    def to_sympy(self) -> str:
        """Python code that defines the expressions."""
        return render(self, "sympy")

    @cached_property
    def published(self) -> dict[str, Any]:
        """The values of the symbols in the published model."""
        known = self.model.values({})
        return {name: known[name] for name in self.symbols}

    @cached_property
    def requires(self) -> tuple[str, ...]:
        """Where the model is defined, beyond that whole numbers start at 1."""
        from costlab.formulas.symbolic import requirements

        return tuple(requirements(self._graph.conditions))

    def headline(self) -> str:
        equation = self.equation("macs")
        return f"{self._title}: macs = {equation.text}"

    def _repr_latex_(self) -> str:
        """The equations, as a notebook shows them."""
        equations = " \\\\\n".join(
            aligned(block) for block in self.document() if isinstance(block, Equation)
        )
        return f"$$\\begin{{aligned}}\n{equations}\n\\end{{aligned}}$$"

    def document(self) -> Document:
        about = self._exact.graph.about
        return (
            Paragraph(f"Formulas of {self._title}", "title"),
            *([Paragraph(about)] if about else []),
            Paragraph(self._meanings()),
            *self._equations(),
            *self._where(),
            *([Paragraph(self._example())] if self.symbols else []),
            Paragraph(legend(training_cost=self.training_cost, more=self.more), "dim"),
        )

    def _equations(self) -> Iterator[Equation | Paragraph]:
        return (self.equation(quantity.name) for quantity in self.shown)

    def records(self) -> list[Record]:
        at = self._published_as_text()
        return [
            {
                "model": self._title,
                "quantity": quantity,
                "formula": equation.code,
                "latex": equation.latex,
                "at": at,
                "value": self._value(counted),
            }
            for quantity, counted in self._quantities.items()
            for equation in [self.equation(quantity)]
        ]

    def data(self) -> dict[str, Any]:
        return {
            "model": self._title,
            "symbols": [
                {"name": name, "meaning": self._meaning(name), "published": self.published[name]}
                for name in self.symbols
            ],
            "formulas": {
                record["quantity"]: {key: record[key] for key in ("formula", "latex", "value")}
                for record in self.records()
            },
            "requires": list(self.requires),
        }

    @cached_property
    def _graph(self) -> Graph:
        """The model with symbols."""
        from costlab.formulas.symbolic import symbol

        known = self.model.architecture.choices
        symbols = {name: symbol(name, known.get(name, 1)) for name in self.symbols}
        return self.model.sized({**symbols, **self.values})

    @cached_property
    def _named(self) -> tuple[Group, dict[Symbol, Expr]]:
        """The costs with names for floors, and what these stand for."""
        from costlab.formulas.symbolic import Sizes

        sizes = Sizes()
        graph = sizes.graph(self._graph)
        return costs(graph, self.training_cost).total, sizes.names

    def _expression(self, quantity: str) -> tuple[Any, dict[Symbol, Expr]]:
        """A quantity with names for floors, and what these stand for."""
        import sympy

        total, names = self._named
        known = known_quantities(self.training_cost, self.more)
        if quantity not in known:
            raise UnknownNameError("quantity", quantity, known)
        return sympy.sympify(known[quantity].of(total)), names

    @cached_property
    def _exact(self) -> CostTable:
        """The costs with the published values in place of the symbols."""
        graph = self.model.sized({**self.published, **self.values})
        return costs(graph, self.training_cost)

    def _value(self, quantity: Quantity) -> int:
        """A quantity with the published values in place of the symbols."""
        return quantity.of(self._exact.total)

    def _text(self, quantity: Quantity) -> str:
        if quantity.of_run:
            return f"{self._value(quantity):,}"
        return quantity.text(self._exact.total)

    @property
    def shown(self) -> list[Quantity]:
        """The quantities that are shown."""
        return shown("formula", "macs", self.training_cost, self.more)

    def _defined(self) -> Formula:
        """Itself. Raises ``ChoiceError`` or ``ShapeError`` if there is no such model."""
        from costlab.formulas.symbolic import never

        if problem := never(self._graph.conditions):
            raise ShapeError(
                f"{self.model.architecture.name} cannot be built: {problem}; try other choices"
            )
        return self

    def _where(self) -> Document:
        """Where the formulas hold."""
        return (Paragraph(f"Defined where {', '.join(self.requires)}."),) if self.requires else ()

    @property
    def _title(self) -> str:
        return self._exact.model

    def equation(self, quantity: str) -> Equation:
        """A quantity as it is shown."""
        import sympy

        from costlab.formulas.symbolic import code, latex, text

        expression, names = self._expression(quantity)
        form = sympy.factor if self.factored else sympy.expand
        shown = form(expression)
        symbols = tuple(
            (name, not isinstance(self.published[name], float)) for name in self.symbols
        )
        return Equation(
            quantity, text(shown, names), latex(shown, names), code(shown, names), symbols
        )

    def _meaning(self, name: str) -> str:
        entry = self.model.architecture.name
        if name in DIMENSIONS:
            return f"{DIMENSIONS[name]} of the input of {entry}"
        return f"choice of {entry}"

    def _meanings(self) -> str:
        """The meanings of symbols: ``C, H, W: channels, height, width of the input of naive``."""
        entry = self.model.architecture.name
        sides = [name for name in self.symbols if name in DIMENSIONS]
        chosen = [name for name in self.symbols if name not in DIMENSIONS]
        what = ", ".join(DIMENSIONS[name] for name in sides)
        meanings = [f"{', '.join(sides)}: {what} of the input of {entry}"] if sides else []
        meanings += (
            [f"{', '.join(chosen)}: {_plural('choice', chosen)} of {entry}"] if chosen else []
        )
        fixed = [f"{name}={value}" for name, value in self.values.items()]
        batch = ["batch 1"] if "N" not in {*self.symbols, *self.values} else []
        return "; ".join([*meanings, *fixed, *batch]) + "."

    def _published_as_text(self) -> str:
        """``C=192, H=W=28``: the published values, equal ones together."""
        by_value: dict[str, list[str]] = {}
        for name, value in self.published.items():
            by_value.setdefault(str(value), []).append(name)
        return ", ".join(f"{'='.join(names)}={value}" for value, names in by_value.items())

    def _example(self) -> str:
        figures = ", ".join(
            f"{self._text(quantity)} {quantity.plain_heading}" for quantity in self.shown
        )
        return f"{self._published_as_text()}{self._as_published} gives {figures}."

    @property
    def _as_published(self) -> str:
        return "" if self.model.choices or self.values else ", as published,"


def _plural(noun: str, things: list[str]) -> str:
    return noun if len(things) == 1 else f"{noun}s"
