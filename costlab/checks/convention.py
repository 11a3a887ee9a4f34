"""What a counter's convention comes to on our table.

Terms of a convention (`costlab.counters.terms`) are matched against the events of a traced table,
and counted by the quantities of each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from costlab.checks.account import Amount
from costlab.costs.rows import Row
from costlab.costs.table import CostTable
from costlab.counters.terms import Event, Operation, Params, Term, Where
from costlab.graph.op import Shape
from costlab.graph.opcount import OpCount

if TYPE_CHECKING:
    from torch import nn


def events(table: CostTable) -> list[Event]:
    """The operations and module calls of a table that was traced with its calls.

    What conventions are matched against: first the operations, in the order of the rows.
    """
    root, calls = _root(table), _module_calls(table)
    modules = dict(root.named_modules())
    paths = _paths(root)
    operations = [_operation(row, _operands(table, row)) for row in table.rows]
    every = [
        Event(row.path, (one,), row.inputs, row.output, paths[id(modules[_module_of(row)])])
        for row, one in zip(table.rows, operations, strict=True)
    ]
    for path, inputs, output, layers in calls:
        module, own = modules[path], tuple(operations[i] for i in layers)
        every.append(Event(path, own, inputs, output, paths[id(module)], module))
    return every


# What is asked of a trace, and of the layers in it: here alone.


def _root(table: CostTable) -> nn.Module:
    assert table.graph.origin is not None
    return table.graph.origin.module


def _module_calls(
    table: CostTable,
) -> Iterable[tuple[str, tuple[Shape, ...], Shape, tuple[int, ...]]]:
    """Path, inputs, output, and the numbers of the layers that the module's own code makes."""
    assert table.graph.origin is not None
    return table.graph.origin.calls


def _module_of(row: Row) -> str:
    """The path of the module whose code made it."""
    return row.layer.place


def _operands(table: CostTable, row: Row) -> tuple[Shape, ...]:
    """The shapes of the values that it reads, as they are."""
    return tuple(map(table.graph.shape, row.layer.takes))


def _operation(row: Row, operands: tuple[Shape, ...]) -> Operation:
    layer = row.layer
    return Operation(
        name=layer.op.name,
        attributes=layer.op,
        inputs=row.inputs,
        output=row.output,
        operands=operands,
        macs=row.macs,
        has_contraction=row.contraction is not None,
        computes=row.count != OpCount(),
        call=layer.call,
        strided=layer.strided,
    )


def amounts(convention: Iterable[Term], events: Iterable[Event]) -> Iterator[Amount]:
    """What a convention counts where."""
    events = list(events)
    for term in convention:
        for event in filter(term.counts, events):
            units = sum(factor * quantity(event) for quantity, factor in term.units.items())
            if not units:
                continue
            yield Amount(term.what, term.how, units, term.fault, event.path)
            if term.repeats and event.paths > 1:
                more = units * (event.paths**term.repeats.power - 1)
                what = "modules in several places"
                yield Amount(what, term.repeats.how, more, True, event.path)


def not_named(convention: Iterable[Term], events: Iterable[Event]) -> tuple[str, ...]:
    """The operations that compute something, and of which a convention says nothing."""
    events, terms = list(events), list(convention)
    named = {
        id(operation)
        for event in events
        if any(fits(event) for term in terms for fits in term.where)
        for operation in event.operations
    }
    return tuple(
        event.path
        for event in events
        if event.operation and event.operation.computes and id(event.operation) not in named
    )


def params(convention: Params, table: CostTable, events: Iterable[Event]) -> list[Amount]:
    """A counter's number of params, as terms that begin with what is read of our table."""
    root = _root(table)
    called = {id(event.module): event for event in events if event.module is not None}
    times = _times(convention.of, root, called.values())
    unread = {name for name, _ in table.graph.unused}
    read = others = missing = repeated = 0
    for name, parameter in root.named_parameters():
        count, number = parameter.numel(), times.get(id(parameter), 0)
        read += count * (name not in unread)
        others += count * (name in unread and number > 0)
        missing -= count * (name not in unread and number == 0)
        repeated += count * max(number - 1, 0)
    if convention.together is not None:
        paths = {event.path for event in called.values()}
        repeated = convention.together(root, paths) - read - others
    terms = (
        Amount("that are read", "", read, False),
        Amount("that nothing reads", "", others, False),
        Amount(convention.missing, "", missing, True),
        Amount(convention.repeated, "", repeated, True),
    )
    return [amount for amount in terms if amount.units]


def _times(of: str | Where, root: nn.Module, called: Iterable[Event]) -> dict[int, int]:
    """How often each parameter is counted, by its identity."""
    if isinstance(of, str):
        return {id(p): int(of == "all" or p.requires_grad) for p in root.parameters()}
    times: dict[int, int] = {}
    for event in called:
        if event.module is not None and event.path and any(fits(event) for fits in of):
            for parameter in event.module.parameters():
                times[id(parameter)] = times.get(id(parameter), 0) + event.paths
    return times


def _paths(root: nn.Module) -> dict[int, int]:
    """Under how many paths each module is registered; twice in one module is one path."""
    paths = {id(root): 1}
    for module in _parents_first(root):
        for child in module.children():
            paths[id(child)] = paths.get(id(child), 0) + paths[id(module)]
    return paths


def _parents_first(root: nn.Module) -> list[nn.Module]:
    order: list[nn.Module] = []
    done: set[int] = set()
    waiting = [(root, False)]
    while waiting:
        module, left = waiting.pop()
        if left:
            order.append(module)
        elif id(module) not in done:
            done.add(id(module))
            waiting.append((module, True))
            waiting += [(child, False) for child in module.children()]
    return order[::-1]
