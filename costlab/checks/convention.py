"""What a counter's convention comes to on our table.

Terms of a convention (`costlab.counters.terms`) are matched against the events of a traced table,
and counted by the quantities of each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from costlab.checks.account import Amount
from costlab.costs.rows import Row
from costlab.costs.table import CostTable
from costlab.counters.events import Einsum, Event, GradientMacs, Operation
from costlab.counters.terms import Params, Term, Where
from costlab.graph.backward import Backward
from costlab.graph.op import Shape
from costlab.graph.opcount import OpCount
from costlab.graph.values import owner_of

if TYPE_CHECKING:
    from torch import nn

    from costlab.trace.observation import LayerCall, Trace


def events(table: CostTable) -> list[Event]:
    """The operations and module calls of a table that was traced with its calls.

    What conventions are matched against: first the operations, in the order of the rows.
    """
    trace, values, learning = _trace(table), table.graph.values, _learning(table)
    modules = dict(trace.module.named_modules())
    paths = _paths(trace.module)
    operations: list[Operation] = []
    every: list[Event] = []
    einsums = _einsums(table, trace)
    used = _leading_to_outputs(table)
    running: dict[int, list[nn.Module]] = {}
    for call in trace.modules:
        for number in call.during:
            running.setdefault(number, []).append(modules[call.path])
    for row, layer_call in zip(table.rows, trace.layers, strict=True):
        operands = tuple(values[number].shape for number in row.layer.operands)
        operation = _operation(row, operands, layer_call, einsums.get(len(operations)))
        operation = replace(
            operation,
            within=tuple(running.get(len(operations), ())),
            in_place=any(values[number].shares is not None for number in row.layer.results),
            learns=tuple(learning[number] for number in row.layer.all_operands),
            type=values[row.layer.results[0]].dtype.name if row.layer.results else "",
        )
        if len(operations) not in used:
            operation = replace(operation, leads_nowhere=True)
        operations.append(operation)
        registered = layer_call.module
        number = paths[id(modules[registered])]
        every.append(
            Event(row.path, (operation,), row.inputs, row.output, number, registered=registered)
        )
    for path, called, inputs, output, layers, _ in trace.modules:
        module, own = modules[path], tuple(operations[i] for i in layers)
        every.append(Event(called, own, inputs, output, paths[id(module)], module, path))
    return every


def _trace(table: CostTable) -> Trace:
    assert table.trace is not None
    assert table.trace.observed
    return table.trace


def _learning(table: CostTable) -> tuple[bool, ...]:
    """Of each value whether it wants a gradient while a counter runs.

    But for a training step that is without gradients: only what learns by itself wants one.
    """
    graph = table.graph
    if table.training_cost:
        return graph.wanting
    own = {n for layer in graph.layers if layer.op.name == "leaf" for n in layer.results}
    own |= {n for n, value in enumerate(graph.values) if value.kind != "computed"}
    return tuple(wants and n in own for n, wants in enumerate(graph.wanting))


_FILLS = frozenset(("copy", "index_put", "index_copy", "scatter", "masked_scatter", "fill"))
"""What may fill a tensor that was made and not read yet: the graph does not say of what."""


def _leading_to_outputs(table: CostTable) -> set[int]:
    """The layers on which outputs depend, also by what they change in place."""
    graph = table.graph

    def memory(number: int) -> int:
        return owner_of(graph.values, number)

    needed = set(map(memory, graph.returns))
    used = set()
    for number in reversed(range(len(graph.layers))):
        layer = graph.layers[number]
        fills = table.rows[number].label in _FILLS
        if fills or not needed.isdisjoint(map(memory, layer.results)):
            used.add(number)
            needed.update(map(memory, (*layer.operands, *layer.weights)))
    return used


def _einsums(table: CostTable, trace: Trace) -> dict[int, Einsum]:
    """Calls of ``einsum``, by the number of one of their layers: one with MACs, if there is any."""
    calls: dict[int, list[int]] = {}
    for number, layer in enumerate(trace.layers):
        if layer.note is not None and layer.note.einsum is not None:
            calls.setdefault(id(layer.note), []).append(number)
    einsums = {}
    for numbers in calls.values():
        macs = [table.rows[number].macs for number in numbers]
        note = trace.layers[numbers[0]].note
        assert note is not None
        assert note.einsum is not None
        einsums[numbers[macs.index(max(macs))]] = Einsum(*note.einsum, sum(macs))
    return einsums


def _operation(
    row: Row, operands: tuple[Shape, ...], call: LayerCall, einsum: Einsum | None
) -> Operation:
    layer, backward = row.layer, row.backward or Backward()
    gradients = (*backward.inputs, *backward.weights)
    return Operation(
        name=layer.op.name,
        attributes=layer.op,
        inputs=row.inputs,
        output=row.output,
        operands=operands,
        macs=row.macs,
        has_contraction=row.contraction is not None,
        computes=bool(row.uncounted) or row.count != OpCount(),
        call=call.function,
        strided=call.strided,
        einsum=einsum,
        in_function=call.note is not None and call.note.in_function,
        parameters=call.note.parameters if call.note is not None else (),
        in_one=call.note is None or call.note.in_one,
        gradients=tuple(
            GradientMacs(gradient.contraction.macs, gradient.operands) for gradient in gradients
        ),
        goes_back=backward != Backward(),
        runs_again=backward.again,
    )


def amounts(convention: Iterable[Term], events: Iterable[Event]) -> Iterator[Amount]:
    """What a convention counts where."""
    events = list(events)
    for term in convention:
        for event in filter(term.counts, events):
            units = sum(factor * quantity(event) for quantity, factor in term.units.items())
            if not units:
                continue
            yield Amount(term.what, term.how, units, term.fault, event.path, event.registered)
            if term.repeats and event.paths > 1:
                more = units * (event.paths**term.repeats.power - 1)
                what = "modules in several places"
                yield Amount(what, term.repeats.how, more, True, event.path, event.registered)


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
    root = _trace(table).module
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
        paths = {event.registered for event in called.values()}
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
