"""How a table of costs is laid out: which lines it has, in which order, and which columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias, get_args

from costlab import formatting
from costlab.costs import columns, quantities
from costlab.costs.columns import TableColumn
from costlab.costs.cost import Cost
from costlab.costs.kinds import kind_of, operation_of
from costlab.costs.quantities import quantity_named
from costlab.costs.quantity import Quantity
from costlab.costs.rows import Group, Row, gradient_derivations, tree
from costlab.errors import ChoiceError, shown
from costlab.formatting import Scale
from costlab.render.cells import Cell, Number
from costlab.render.document import Line, Table

if TYPE_CHECKING:
    from fractions import Fraction

    from costlab.costs.table import CostTable

By: TypeAlias = Literal["path", "op", "kind"]

_NAMED: dict[By, Callable[[Row], str]] = {"op": operation_of, "kind": kind_of}

_OF_PLACES = ("class", "input", "output")
"""Columns of what has a place in the network, which totals by operation do not have."""

_SHORT = 60
"""Characters of a scope's derivation that still help a reader of its line."""


class Chosen(NamedTuple):
    """The lines of a table, and the layers that none of them stands for."""

    parts: tuple[Cost, ...]
    left: tuple[Row, ...]


@dataclass(frozen=True)
class Layout:
    """Which lines a table has, in which order, and which columns.

    ``depth`` is how deep it goes into scopes; None is down to the layers. ``by`` adds up layers by
    their scopes (``path``, a tree), by operation (``op``: conv2d, linear), or by operation and
    kernel (``kind``: conv2d 1×1, depthwise conv2d 3×3). ``sort`` is a quantity: the most of it
    first, in one list. ``top`` are the first so many lines of that list, ``min_share`` those with
    at least that share of the quantity, by default of MACs. ``flat`` is one list of full paths.
    ``columns`` are names (see ``costlab.costs.columns``), ``units`` how numbers are written.
    """

    depth: int | None = None
    by: By = "path"
    sort: str = ""
    top: int | None = None
    min_share: Fraction | int = 0
    flat: bool = False
    columns: tuple[str, ...] = ()
    units: Scale = "exact"

    def __post_init__(self) -> None:
        _one_of("by", self.by, get_args(By))
        _one_of("units", self.units, get_args(Scale))
        for name in ("columns", "sort"):
            given = getattr(self, name)
            names = given if name == "columns" and isinstance(given, (tuple, list)) else [given]
            if not all(isinstance(text, str) for text in names):
                raise ChoiceError(f"{name} takes names, such as 'params', not {shown(given)}")
        if self.sort:
            quantity_named(self.sort)
        if not isinstance(self.min_share, Real):
            raise ChoiceError(f"min_share is a number, such as 0.01, not {shown(self.min_share)}")
        if self.top is not None and (type(self.top) is not int or self.top < 1):
            raise ChoiceError("top is how many lines there are: a whole number from 1")
        if self.depth is not None and self.by != "path":
            raise ChoiceError(
                "depth is of scopes, which totals by operation (--by) do not have: leave one out"
            )
        columns.chosen(self.columns)
        if self.by != "path":
            for name in self.columns:
                if name in _OF_PLACES:
                    raise ChoiceError(
                        f"{name} is a column of layers: leave it out, or the totals by operation"
                    )

    @property
    def listed(self) -> bool:
        """Whether it is one list of full paths, not a tree."""
        return self.flat or bool(self.sort) or self.top is not None or self.by != "path"

    @property
    def of_training(self) -> list[str]:
        """The quantities of a training step that it shows or sorts by."""
        names = {name.removesuffix(columns.SHARE) for name in (*self.columns, self.sort)}
        return [name for name in quantities.OF_TRAINING if name in names]

    @property
    def quantity(self) -> Quantity:
        """What lines are sorted and left out by."""
        return quantity_named(self.sort or "macs")

    def chosen(self, table: CostTable) -> Chosen:
        """The lines, and what they leave out."""
        parts = self._all(table)
        if self.sort or self.top is not None or self.by != "path":
            parts = sorted(parts, key=self.quantity.of, reverse=True)
        whole = self.quantity.of(table.total)
        kept = [
            part
            for part in parts
            if self.quantity.bound(part) or self.quantity.of(part) >= self.min_share * whole
        ][: self.top]
        shown = {id(row) for part in self.leaves(kept) for row in part.rows}
        return Chosen(tuple(kept), tuple(row for row in table.rows if id(row) not in shown))

    def leaves(self, parts: Iterable[Cost]) -> list[Cost]:
        """Those that no other line of the table repeats."""
        return [
            part
            for part in parts
            if self.by != "path" or part.layer or part.level + 1 == self.depth
        ]

    def table(self, costs: CostTable) -> Table:
        """The table for people: lines, what is left out, and the total."""
        parts, left = self.chosen(costs)
        shown = self._columns(costs)
        first, *others = [column for column, _ in shown]
        lines = [self._line(costs, part, first, others) for part in parts]
        if left:
            rest = Group("", left)
            # Counted as the lines shown are: stages among stages, operations among operations.
            number = len(self.leaves(self._all(costs))) - len(self.leaves(parts))
            name = formatting.plural(number, "other")
            lines.append(Line((name, *_sums(costs, rest, others)), style="dim"))
        total = Line(("total", *_sums(costs, costs.total, others)), style="strong")
        heads = [column.column(priority) for column, priority in shown]
        head = {"path": "Layers", "op": "Operations", "kind": "Operations by kernel"}[self.by]
        details = "" if self.columns else "derivation"
        folded = f"{head}: {formatting.plural(len(lines), 'row')}"
        return Table(tuple(heads), (*lines, total), details, folded)

    def legend(self, training_cost: bool = False) -> str:
        """What a reader of the table must know, once: ``costlab show --help`` has the rest."""
        names = {name.removesuffix(columns.SHARE) for name in self.columns} or {"macs", "params"}
        of_training = quantities.OF_TRAINING if training_cost else ()
        return quantities.legend({*names, self.quantity.name, *of_training}, training_cost)

    def keys(self) -> list[str]:
        """The keys of the records that the columns stand for; none means all."""
        known = self._known()
        return [key for name in self.columns for key in known[name].keys]

    def _all(self, table: CostTable) -> list[Cost]:
        if self.by != "path":
            rows: dict[str, list[Row]] = {}
            for row in table.rows:
                rows.setdefault(_NAMED[self.by](row), []).append(row)
            return [Group(name, tuple(members)) for name, members in rows.items()]
        parts: list[Cost] = list(tree(table.rows, 0, self.depth))
        return self.leaves(parts) if self.listed else parts

    def _known(self) -> dict[str, TableColumn]:
        known = columns.columns(self.units)
        if self.by != "path":
            known["layer"] = known["layer"]._replace(head="operation", keys=("op",))
            known["operation"] = known["layer"]
        return known

    def _columns(self, costs: CostTable) -> list[tuple[TableColumn, int]]:
        known = self._known()
        if self.columns:
            names = dict.fromkeys(["layer", *self.columns])
            return [(column, 0) for column in dict.fromkeys(known[name] for name in names)]
        usual = columns.usual(self.quantity.name, costs.training_cost)
        if self.by != "path":
            replaced = {"layer": "layer", "operation": "layers", "output": "", "input": ""}
            usual = [
                (replaced.get(name, name), 0 if name == "operation" else priority)
                for name, priority in usual
                if replaced.get(name, name)
            ]
        return [(known[name], priority) for name, priority in usual]

    def _line(
        self, table: CostTable, part: Cost, first: TableColumn, others: list[TableColumn]
    ) -> Line:
        listed = self.listed
        name = part.path if listed else part.path.rpartition(".")[2]
        scope = part.layer is None and not listed
        cells = (name, *(column.content(table, part) for column in others))
        missing = any(isinstance(cell, Number) and cell.value is None for cell in cells)
        return Line(
            cells,
            level=0 if listed else part.level,
            path=part.path,
            details=self._details(table, part),
            style="bad" if missing else "strong" if scope else "",
        )

    def _details(self, table: CostTable, part: Cost) -> tuple[str, ...]:
        """The derivation of a layer, or of a scope whose layers are not shown, if it is short."""
        if self.columns or not self.leaves([part]) or self.by != "path":
            return ()
        text = part.derivation
        if part.layer is None:
            return (text,) if text and len(text) <= _SHORT else ()
        gradients = gradient_derivations(part) if table.training_cost else {}
        further = [f"{of} gradient: {product}" for of, product in gradients.items() if product]
        return (*([text] if text else []), *further)


def _sums(table: CostTable, cost: Group, shown: Iterable[TableColumn]) -> list[Cell]:
    """The cells of what has no place in the network: only what adds up."""
    return [column.content(table, cost) if column.adds_up else "" for column in shown]


def _one_of(what: str, value: str, known: tuple[str, ...]) -> None:
    if not isinstance(value, str) or value not in known:
        raise ChoiceError(f"{what} is one of {', '.join(known)}, not {shown(value)}")
