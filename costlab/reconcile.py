"""Why another counter says something else: its total, rebuilt from our table in named terms.

A counter's convention is data in its file. What its terms do not explain is the residual, shown
with the layers whose convention is not known; it is never hidden in a term of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from math import prod
from typing import TYPE_CHECKING, Any

from costlab import units
from costlab.costs import CostTable, analyze, costs
from costlab.counters import Line as Rule
from costlab.counters import Total, reconcilable
from costlab.crosscheck import running
from costlab.document import Block, Column, Document, Line, Paragraph, Record, Table
from costlab.errors import UnknownNameError
from costlab.graph import Graph
from costlab.opcount import OpCount
from costlab.resolve import Model
from costlab.result import Result
from costlab.rows import Row, rows_of

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Call:
    """A row of a traced table as counters see it.

    ``kind`` is the class of the module of torch.nn whose code makes the call, else ``""``; ``leaf``
    is the module without children of which it is the last operation, if it is.
    """

    row: Row
    kind: str
    leaf: nn.Module | None


QUANTITIES: dict[str, Callable[[Call], int]] = {
    "macs": lambda call: call.row.macs,
    "outputs": lambda call: prod(call.row.output),
    "outputs by item": lambda call: prod(call.row.output[1:]),
    "inputs": lambda call: prod(call.row.inputs[0]) if call.row.inputs else 0,
    "bias": lambda call: prod(call.row.output) if _attribute(call, "bias", False) else 0,
    "rows": lambda call: prod(call.row.output) // call.row.output[_attribute(call, "dim", -1)],
    "macs on the output grid": lambda call: (
        call.row.macs // prod(call.row.inputs[0][2:]) * prod(call.row.output[2:])
    ),
    "padded channels": lambda call: (
        prod(call.row.output)
        // call.row.output[1]
        * (call.row.output[1] + _attribute(call, "size", 1) - 1)
    ),
    "parameters by place": lambda call: (
        _elements(call, long=False) * prod(call.row.output[:1]) * prod(call.row.output[2:])
    ),
    "parameters by item": lambda call: _elements(call, long=False) * prod(call.row.output[:1]),
    "longer named parameters by step": lambda call: (
        _elements(call, long=True) * prod(call.row.output[:2])
    ),
}
"""What a convention counts, of one call. ``padded channels`` are elements with the channels that a
local response norm adds; ``parameters`` are the weight and bias of a leaf, ``longer named`` ones
have weight or bias in their name, such as ``weight_ih_l0``."""


def _attribute(call: Call, name: str, default: Any) -> Any:
    return getattr(call.row.layer.op, name, default)


def _elements(call: Call, long: bool) -> int:
    """Elements of a leaf's parameters by their names."""
    named = call.leaf.named_parameters() if call.leaf is not None else ()
    return sum(
        parameter.numel()
        for name, parameter in named
        if ("weight" in name or "bias" in name) and (name not in ("weight", "bias")) == long
    )


@dataclass(frozen=True)
class Term:
    """Units that a counter counts for one reason."""

    cause: str
    units: int
    fault: bool


@dataclass(frozen=True)
class Account:
    """One counter's total in terms; ``problem`` says why there is none."""

    counter: str
    total: Total | None
    terms: tuple[Term, ...] = ()
    problem: str = ""
    unknown: tuple[str, ...] = ()
    """The layers of which its convention says nothing, although they compute something."""
    units: tuple[int, ...] = ()
    """What its terms come to in each row of the traced table."""

    @property
    def residual(self) -> int:
        """What the terms do not explain."""
        return self.total.total - sum(term.units for term in self.terms) if self.total else 0


@dataclass(frozen=True, repr=False)
class Reconciliation(Result):
    """Other counters' totals, rebuilt from our table."""

    table: CostTable
    accounts: tuple[Account, ...]
    traced: CostTable
    """The same network by its calls, whose rows the accounts are of."""
    depth: int = 0
    """How deep to go into nested scopes; 0 shows totals only."""

    @property
    def explained(self) -> bool:
        """Whether nothing is left over."""
        return not any(account.residual for account in self.accounts)

    def document(self) -> Document:
        blocks: list[Block] = [
            Paragraph(f"Why other counters say something else of {self.table.model}", "title"),
            Paragraph(f"input {units.shapes(self.table.graph.inputs)} (batch first)"),
            Paragraph(f"costlab: {units.both(self.table.total.macs, 'MACs')}.", "strong"),
        ]
        for account in self.accounts:
            if account.total is None:
                blocks.append(Paragraph(f"{account.counter}: {account.problem}."))
                continue
            blocks.append(_table(account))
        if self.depth:
            blocks.append(self._by_layer())
        if self.explained:
            blocks.append(Paragraph("Every unit is explained: all residuals are 0.", "good"))
        return (*blocks, *self._left(), Paragraph(units.MAC + ".", "dim"))

    def records(self) -> list[Record]:
        return [
            {
                "model": self.table.model,
                "counter": account.counter,
                "version": account.total.version,
                "cause": term.cause,
                "units": term.units,
                "fault": term.fault,
            }
            for account in self.accounts
            if account.total is not None
            for term in (*account.terms, Term("residual", account.residual, fault=False))
        ]

    def data(self) -> dict[str, Any]:
        return {
            "model": self.table.model,
            "macs": self.table.total.macs,
            "counters": {
                account.counter: {
                    "version": account.total.version,
                    "actual": account.total.total,
                    "params": account.total.params,
                    "terms": {term.cause: term.units for term in account.terms},
                    "faults": [term.cause for term in account.terms if term.fault],
                    "residual": account.residual,
                    "unknown": list(account.unknown),
                }
                if account.total
                else {"problem": account.problem}
                for account in self.accounts
            },
            "explained": self.explained,
        }

    def _by_layer(self) -> Table:
        """What each counter counts where, by its terms, and where it says otherwise."""
        told = [account for account in self.accounts if account.total is not None]
        places = {row.path: i for i, row in enumerate(self.traced.rows)}
        lines = []
        for each in self.traced.leaves(self.depth):
            inside = [places[row.path] for row in rows_of(each)]
            counts = [sum(account.units[i] for i in inside) for account in told]
            macs = sum(self.traced.rows[i].macs for i in inside)
            if not macs and not any(counts):
                continue
            cells = (each.path, units.integer(macs), *map(units.integer, counts))
            others = tuple(
                f"{account.counter} says {account.total.places[each.path]:,}"
                for account, count in zip(told, counts, strict=True)
                if account.total and account.total.places.get(each.path, count) != count
            )
            lines.append(Line(cells, details=others, style="bad" if others else ""))
        return Table(
            (
                Column("units by layer", right=False),
                Column("MACs"),
                *(Column(account.counter) for account in told),
            ),
            tuple(lines),
            "otherwise",
        )

    def _left(self) -> Iterable[Paragraph]:
        for account in self.accounts:
            if account.residual:
                where = ", ".join(account.unknown[:5]) or "no layer in particular"
                more = f" and {len(account.unknown) - 5} more" if len(account.unknown) > 5 else ""
                yield Paragraph(
                    f"{account.counter}: {account.residual:+,} units are not explained; layers "
                    f"of which its convention says nothing: {where}{more}.",
                    "bad",
                )
            if (params := self._params(account)) is not None:
                yield Paragraph(params)

    def _params(self, account: Account) -> str | None:
        """How its number of params differs from ours, if it has one and it does."""
        ours = self.table.total.params
        if account.total is None or account.total.params in (None, ours):
            return None
        unread = sum(count for _, count in self.table.graph.unused)
        theirs = account.total.params or 0
        left = theirs - ours - unread
        text = f"{account.counter} says {theirs:,} params: {ours:,} that are read"
        text += f", {unread:,} that nothing reads" if unread else ""
        return f"{text}, {left:+,} unexplained." if left else f"{text}."


def reconcile(
    model: Model | CostTable,
    against: Iterable[str] | None = None,
    input_size: Iterable[int] | None = None,
    progress: Callable[[str], None] = lambda step: None,
    depth: int = 0,
    **choices: Any,
) -> Reconciliation:
    """Run other counters on a model, and rebuild their totals from our table in named terms.

    ``against`` are names of counters (default: all that are known). One that is not installed, or
    that fails, is an account without a total. A counter gets a copy of the model. ``depth`` shows
    the units by layer too, to that many levels of scopes.

    Raises what ``analyze`` raises; ``UnknownNameError``; ``CounterError`` if the model cannot run.
    """
    names = list(dict.fromkeys(against if against is not None else reconcilable()))
    for name in names:
        if name not in reconcilable():
            raise UnknownNameError("counter", name, reconcilable())
    given = model.graph if isinstance(model, CostTable) else model
    table = analyze(given, input_size, **choices)
    traced = _traced(table.graph)
    calls = _calls(traced)
    accounts = []
    for name in names:
        progress(f"counting {table.model} with {name}")
        accounts.append(_account(name, traced.graph, calls))
    return Reconciliation(table, tuple(accounts), traced, depth)


def _traced(graph: Graph) -> CostTable:
    """The table of the module as it is called: conventions depend on modules and functions."""
    from costlab.trace import trace

    if graph.origin is not None:
        origin = graph.origin
        return costs(trace(origin.module, None, origin.inputs, origin.kwargs, spelled=True))
    module, tensors = running(graph)
    return costs(trace(module, None, tensors, spelled=True))


def _calls(table: CostTable) -> list[Call]:
    """The rows with their modules."""
    assert table.graph.origin is not None
    modules = dict(table.graph.origin.module.named_modules())
    last = {_call_of(row): row.path for row in table.rows}
    found = []
    for row in table.rows:
        module = modules[row.layer.place]
        own = type(module).__module__.startswith("torch.nn.")
        ends = not module._modules and last[_call_of(row)] == row.path
        found.append(Call(row, type(module).__name__ if own else "", module if ends else None))
    return found


def _call_of(row: Row) -> tuple[str, str]:
    """The module, and which of its calls."""
    number = re.search(r"@\d+", row.path)
    return row.layer.place, number[0] if number else ""


def _account(name: str, graph: Graph, calls: list[Call]) -> Account:
    from torch import no_grad

    counter = import_module(f"costlab.counters.{name}")
    module, tensors = running(graph)
    try:
        with no_grad():  # torch takes other ways through attention with gradients
            total = counter.total(module, tensors)
    except ImportError:
        return Account(name, None, problem="not installed: pip install 'costlab[counters]'")
    except Exception as error:  # whatever a foreign counter raises is a line of ours
        text = " ".join(str(error).split())[:200]
        return Account(name, None, problem=f"it failed with {type(error).__name__}: {text}")
    counts: dict[Rule, int] = dict.fromkeys(counter.CONVENTION, 0)
    by_row, unknown = [], []
    for call in calls:
        found = {rule: _units(rule, call) for rule in counts if _fits(rule, call)}
        for rule, count in found.items():
            counts[rule] += count
        by_row.append(sum(found.values()))
        if not found and call.row.count != OpCount():
            unknown.append(call.row.path)
    terms = (Term(rule.cause, count, rule.fault) for rule, count in counts.items() if count)
    return Account(name, total, tuple(terms), "", tuple(unknown), tuple(by_row))


def _units(rule: Rule, call: Call) -> int:
    return sum(factor * QUANTITIES[quantity](call) for quantity, factor in rule.units.items())


def _fits(rule: Rule, call: Call) -> bool:
    return any(_is(each, call) for each in rule.calls.split())


def _is(named: str, call: Call) -> bool:
    """Whether a call is what a convention names."""
    row, op = call.row, call.row.layer.op
    name, _, wanted = named.partition("[")
    attribute, _, value = wanted.rstrip("]").partition("=")
    if name == "contraction":
        return row.contraction is not None
    if name == "leaf":
        conv = "Conv" in type(call.leaf).__name__
        return call.leaf is not None and (not value or conv == (value == "Conv"))
    if wanted and str(getattr(op, attribute, None)) != value:
        return False
    if name.startswith("nn."):
        kind, _, name = name[3:].partition(":")
        return call.kind == kind and name in (op.name, row.op)
    if "." in name:
        return row.layer.call == name
    return name in (op.name, row.op)


def _term(term: Term) -> Line:
    """What is counted, and beneath it how much of it."""
    what, _, how = term.cause.partition(", ")
    details = (f"{'fault: ' if term.fault else ''}{how}",) if how or term.fault else ()
    return Line((what, f"{term.units:,}"), details=details)


def _table(account: Account) -> Table:
    assert account.total is not None
    return Table(
        (Column(f"{account.counter} {account.total.version}", right=False), Column("units")),
        (
            *(_term(term) for term in account.terms),
            Line(("residual", f"{account.residual:,}"), style="bad" if account.residual else ""),
            Line(("its total", f"{account.total.total:,}"), style="strong"),
        ),
        "how",
    )
