"""What a counter is to have of our layers, as its convention has it."""

from __future__ import annotations

from collections import Counter as Multiset
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from costlab import formatting
from costlab.checks.convention import amounts
from costlab.checks.verdicts import Verdict
from costlab.costs.rows import Row
from costlab.costs.table import CostTable
from costlab.counters import Counter
from costlab.counters.events import Event, Operation
from costlab.counters.terms import Term
from costlab.graph.paths import ancestry, module_of


class Expected(NamedTuple):
    """The MACs that a counter is to have of a layer.

    ``cause`` is why these are not ours, ``lacks`` how the tool calls what it has no rule for;
    ``fault`` is whether it does not do what it means to.
    """

    macs: int
    cause: str = ""
    lacks: str = ""
    fault: bool = False

    def verdict(self, row: Row, counter: str) -> tuple[Verdict, str]:
        """What is said of a layer for which the counter gave exactly these MACs, and why."""
        if self.macs == row.macs:
            return "agrees", ""
        if self.macs == 0 and not self.cause:
            return "not covered", "it counts no multiply-adds of such a call"
        by = f"{self.cause}, {formatting.difference(row.macs, self.macs)}"
        if not self.fault:
            return "another rule", by
        if self.macs == 0 and self.cause.startswith("no "):
            return "not covered", f"it has {self.cause}" + (f" ({self.lacks})" * bool(self.lacks))
        return "known fault", f"known fault of {counter}: {by}"


class Convention(NamedTuple):
    """What a counter's convention makes of the layers of a table, and of each module."""

    of_layers: list[Expected]
    of_scopes: Multiset[str]
    calls: list[list[int]]
    """Which calls of the traced table each layer is."""

    @classmethod
    def of(
        cls, counter: Counter, table: CostTable, traced: CostTable, events: Sequence[Event]
    ) -> Convention | None:
        """That of ``table``; ``traced`` is the same network, with the calls that counters see.

        ``events`` are its. None if they are not the calls of ``table``, where code depends on
        values.
        """
        layers = _matched(table.rows, traced.rows)
        if layers is None:
            return None
        calls = [_of_call(counter, about) for about in _by_call(events, len(traced.rows))]
        return cls(
            [_together(counter, [calls[number] for number in numbers]) for numbers in layers],
            by_scope(traced, [_together(counter, [call]).macs for call in calls]),
            layers,
        )


def places(path: str) -> list[str]:
    """The modules that a layer is in, outermost first: the model itself is ``""``."""
    return ["", *(ancestry(module_of(path)) if path else ())]


def by_scope(table: CostTable, macs: list[int]) -> Multiset[str]:
    """What layers have, of each module with all inside of it."""
    sums: Multiset[str] = Multiset()
    for row, count in zip(table.rows, macs, strict=True):
        for scope in places(row.path):
            sums[scope] += count
    return sums


def _matched(ours: Sequence[Row], theirs: Sequence[Row]) -> list[list[int]] | None:
    """Which calls are each of our layers: a layer such as attention may be several.

    Layers without MACs are matched by their paths.
    """
    by_path = {row.path: number for number, row in enumerate(theirs)}
    counted = [number for number, row in enumerate(theirs) if row.macs]
    layers: list[list[int]] = []
    for row in ours:
        numbers: list[int] = []
        left = row.macs
        while left > 0 and counted:
            numbers.append(counted.pop(0))
            left -= theirs[numbers[-1]].macs
        if left:
            return None
        same = by_path.get(row.path)
        if not row.macs and same is not None and not theirs[same].macs:
            numbers = [same]
        layers.append(numbers)
    return None if counted else layers


def _by_call(events: Sequence[Event], calls: int) -> list[list[Event]]:
    """For each operation the events that it is in: itself, and the call of its module."""
    about = [[event] for event in events[:calls]]
    number = {id(event.operations[0]): i for i, event in enumerate(events[:calls])}
    for event in events[calls:]:
        for operation in event.operations:
            about[number[id(operation)]].append(event)
    return about


class _Part(NamedTuple):
    """What a term comes to, of the multiply-adds of a call."""

    units: int
    term: Term
    cause: str = ""
    """Why it is not as many as ours; empty for what is."""
    fault: bool = False


def _of_call(counter: Counter, about: list[Event]) -> list[_Part]:
    """What a counter is to give for the multiply-adds of a call, by these events."""
    (operation,) = about[0].operations
    parts: list[_Part] = []
    for term in counter.convention:
        for event in about if term.macs else ():
            if term.fault and operation is not _largest(event):
                continue  # of a module's call as a whole: said where most of it is
            of_call = event if term.fault else replace(event, operations=(operation,))
            for amount in amounts((replace(term, units=term.macs),), [of_call]):
                if amount.fault or amount.units != counter.unit * operation.macs:
                    parts.append(_Part(amount.units, term, amount.cause, amount.fault))
                elif any(not part.cause for part in parts):
                    parts.append(
                        _Part(amount.units, term, f"{amount.cause}, once more", fault=True)
                    )
                else:
                    parts.append(_Part(amount.units, term))
    return parts


def _largest(event: Event) -> Operation:
    return max(event.operations, key=lambda operation: operation.macs)


def _together(counter: Counter, calls: Iterable[list[_Part]]) -> Expected:
    """The same for a layer that consists of such calls."""
    parts = [part for call in calls for part in call]
    other = [part for part in parts if part.cause]
    return Expected(
        sum(part.units for part in parts) // counter.unit,
        " and ".join(dict.fromkeys(part.cause for part in other)),
        next((part.term.named for part in other if part.term.named), ""),
        any(part.fault for part in other),
    )
