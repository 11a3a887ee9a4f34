"""What a counter's convention comes to, counted on our table.

A convention speaks of operations, of calls as the code writes them, and of calls of modules as
hooks see them (`costlab.counters.Line`). Here they are matched, and counted by quantities of our
rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from costlab.checks.counter_quantities import QUANTITIES, Seen
from costlab.costs.rows import Row
from costlab.costs.table import CostTable
from costlab.counters import Line, Params
from costlab.graph.network import ancestry
from costlab.graph.opcount import OpCount

if TYPE_CHECKING:
    from torch import nn


class Part(NamedTuple):
    """Units that are counted in one place for one reason."""

    path: str
    cause: str
    units: int
    fault: bool


def seen(table: CostTable) -> list[Seen]:
    """What a convention may speak of, of a table that was traced with its calls."""
    assert table.graph.origin is not None
    modules = dict(table.graph.origin.module.named_modules())
    places = _places(table.graph.origin.module)
    rows = table.rows
    found = []
    for row in rows:
        given = tuple(map(table.graph.shape, row.layer.takes))
        number = places[id(modules[row.layer.place])]
        found.append(Seen(row.path, (row,), row.inputs, row.output, given, number))
    for call in table.graph.origin.calls:
        module, own = modules[call.path], tuple(rows[i] for i in call.layers)
        number = places[id(module)]
        found.append(Seen(call.path, own, call.inputs, call.output, (), number, module))
    return found


def parts(convention: Iterable[Line], table: Iterable[Seen]) -> Iterator[Part]:
    """What a convention counts where."""
    found = list(table)
    for line in convention:
        for each in found:
            if not fits(line.calls, each) or fits(line.but, each):
                continue
            units = sum(factor * QUANTITIES[name](each) for name, factor in line.units.items())
            if units:
                yield Part(each.path, line.cause, units, line.fault)
            if line.again and units and each.places > 1:
                more = each.places**line.power - 1
                yield Part(each.path, line.again, units * more, True)


def unknown(convention: Iterable[Line], table: Iterable[Seen]) -> tuple[str, ...]:
    """The operations that compute something, and of which a convention says nothing."""
    named: set[int] = set()
    calls = " ".join(line.calls for line in convention)
    found = list(table)
    for each in found:
        if fits(calls, each):
            named.update(map(id, each.rows))
    return tuple(
        each.path
        for each in found
        if each.module is None and id(each.rows[0]) not in named and _computes(each.rows[0])
    )


def params(convention: Params, table: CostTable, calls: Iterable[Seen]) -> list[Part]:
    """A counter's number of params, as terms that begin with what is read of our table."""
    assert table.graph.origin is not None
    root = table.graph.origin.module
    called = {id(each.module): each for each in calls if each.module is not None}
    times = _times(convention.of, root, called.values())
    unread = {name for name, _ in table.graph.unused}
    read = others = missing = again = 0
    for name, parameter in root.named_parameters():
        count, number = parameter.numel(), times[id(parameter)]
        read += count * (name not in unread)
        others += count * (name in unread and number > 0)
        missing -= count * (name not in unread and number == 0)
        again += count * max(number - 1, 0)
    if convention.of == "tree":
        again = _by_tree(root, {each.path for each in called.values()}) - read - others
    found = (
        Part("", "that are read", read, False),
        Part("", "that nothing reads", others, False),
        Part("", convention.missing, missing, True),
        Part("", convention.again, again, True),
    )
    return [part for part in found if part.units]


def _times(of: str, root: nn.Module, called: Iterable[Seen]) -> Counter[int]:
    """How often each parameter is counted, by its identity."""
    times: Counter[int] = Counter()
    if of in ("all", "tree", "trainable"):
        for parameter in root.parameters():
            times[id(parameter)] = int(of != "trainable" or parameter.requires_grad)
        return times
    for each in called:
        if each.module is not None and each.path and fits(of, each):
            times.update({id(parameter): each.places for parameter in each.module.parameters()})
    return times


def _by_tree(root: nn.Module, called: set[str]) -> int:
    """Params of called modules without children, and of others what their parts do not have.

    Where parts have more, since they share a tensor, the difference is 0, not negative.
    """
    shown = called.union(*map(ancestry, called)) | {""}
    total = 0
    for path, module in root.named_modules():
        if path not in shown:
            continue
        inside = f"{path}." if path else ""
        parts = [each for name, each in module.named_children() if inside + name in shown]
        total += max(0, _own(module) - sum(map(_own, parts)))
    return total


def _own(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _places(root: nn.Module) -> Counter[int]:
    """In how many places each module stands; twice in one module is one place."""
    places: Counter[int] = Counter({id(root): 1})
    for module in _parents_first(root):
        for child in module.children():
            places[id(child)] += places[id(module)]
    return places


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


def _computes(row: Row) -> bool:
    return bool(row.uncounted) or row.count != OpCount()


def fits(calls: str, seen: Seen) -> bool:
    """Whether it is one of the calls that a convention names."""
    return any(_is(each, seen) for each in calls.split())


def _is(named: str, seen: Seen) -> bool:
    name, _, wanted = named.partition("[")
    attribute, _, value = wanted.rstrip("]").partition("=")
    module = seen.module
    if name == "leaf":
        if module is None or any(True for _ in module.children()):
            return False
        if attribute == "recurrent":
            return (type(module).__name__ in ("RNN", "LSTM", "GRU")) == (value == "True")
        return not value or ("Conv" in type(module).__name__) == (value == "Conv")
    if name.startswith("nn."):
        own = module is not None and type(module).__module__.startswith("torch.nn.")
        if not own or type(module).__name__ != name[3:]:
            return False
        held = getattr(module, attribute, None) if wanted else None
        return not wanted or (held is not None if value == "given" else str(held) == value)
    if module is not None:
        return False
    (row,) = seen.rows
    op = row.layer.op
    if name == "contraction":
        return row.contraction is not None
    if wanted and str(getattr(op, attribute, getattr(row.layer, attribute, None))) != value:
        return False
    call, _, part = name.partition(":")
    if part and part not in (op.name, row.label):
        return False
    if call.startswith("*."):
        return row.layer.call.strip("()").rpartition(".")[2] == call[2:]
    return row.layer.call == call if "." in call else call in (op.name, row.label)
