"""Calls that a user's rule counts as a whole: what they consist of becomes one operation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import chain

from torch.nn.utils.parametrize import type_before_parametrizations

from costlab.errors import ChoiceError, TraceError
from costlab.graph import Value
from costlab.graph.op import Op, Shape
from costlab.ops.custom import operation_by_rule
from costlab.trace.module_stack import Places
from costlab.trace.tape_records import Site, TapeRecord
from costlab.trace.users import rule_for_kind


@dataclass(slots=True)
class FunctionCall:
    """A call of a Python function that has a rule, and which records were made inside of it.

    ``end`` is None as long as it runs; ``op`` is what the rule says, ``results`` are the values
    that the function gave.
    """

    site: Site
    first: int
    end: int | None = None
    op: Op | None = None
    results: tuple[int, ...] = ()

    @property
    def inside(self) -> range:
        """The numbers of the records that are one operation."""
        return range(self.first, self.end or 0) if self.op is not None else range(0)


def joined(
    records: list[TapeRecord],
    values: list[Value],
    returns: tuple[int, ...],
    places: Places,
    functions: Iterable[FunctionCall],
) -> tuple[list[TapeRecord], list[Value], tuple[int, ...]]:
    """All of it, with the calls that a user's rule counts as a whole made one operation each.

    Values that only the inside of such a call has are gone, and the others numbered anew.
    """
    made_in = {n: call for call in functions for n in call.inside}
    if not places.counts_modules and not made_in:
        return records, values, returns
    merged: list[TapeRecord] = []
    calls: dict[int | tuple[str, int], list[TapeRecord]] = {}
    positions: list[int] = []
    """Of the calls, in their order, in ``merged``."""
    for number, record in enumerate(records):
        around = made_in.get(number)
        key = (record.site.place, record.site.call) if around is None else around.first
        if around is None and not record.site.whole:
            merged.append(record)
        elif key in calls:
            calls[key].append(record)
        else:
            calls[key] = [record]
            positions.append(len(merged))
            merged.append(record)
    wanted = Counter(chain(returns, *(record.operands + record.weights for record in records)))
    for position, (key, inside) in zip(positions, calls.items(), strict=True):
        function = made_in[key] if isinstance(key, int) else None
        merged[position] = _one_operation(inside, values, wanted, places, function)
    gone = {n for record in records for n in record.results}
    gone -= {n for record in merged for n in record.results}
    if not gone:
        return merged, values, returns
    left = [number for number in range(len(values)) if number not in gone]
    numbers = {old: new for new, old in enumerate(left)}
    for record in merged:
        record.operands, record.weights, record.results = (
            tuple(numbers[n] for n in value_numbers)
            for value_numbers in (record.operands, record.weights, record.results)
        )
    return (
        merged,
        [_renumbered(values[n], numbers) for n in left],
        tuple(numbers[n] for n in returns),
    )


def _renumbered(value: Value, numbers: dict[int, int]) -> Value:
    return value if value.shares is None else value._replace(shares=numbers.get(value.shares))


def _one_operation(
    inside: list[TapeRecord],
    values: list[Value],
    wanted: Counter[int],
    places: Places,
    function: FunctionCall | None,
) -> TapeRecord:
    """The operations of one call as one: of a function, or else of a module."""
    results_inside = [number for record in inside for number in record.results]
    taken = Counter(chain(*(record.operands + record.weights for record in inside)))
    entering = [number for number in taken if number not in results_inside]
    weights = tuple(n for n in entering if values[n].kind not in ("input", "computed"))
    operands = tuple(n for n in entering if n not in weights)
    first, last = inside[0], inside[-1]
    given, output = last.results, last.output
    if function is not None and function.results:
        given = tuple(n for n in function.results if n in results_inside) or given
        output = values[given[0]].shape
    further = (n for n in results_inside if wanted[n] > taken[n] and n not in given)
    shapes = tuple(values[number].shape for number in operands)
    if function is None:
        op, site = _by_rule(first.site.place, places, output, shapes), first.site
    else:
        assert function.op is not None
        op, site = function.op, function.site
    whole = replace(first, site=site, op=op, operands=operands, inputs=shapes, output=output)
    return replace(whole, weights=weights, results=(*given, *further), own_backward=False)


def _by_rule(place: str, places: Places, output: Shape, shapes: tuple[Shape, ...]) -> Op:
    """What the rule for a kind of module says of a call."""
    module = places.module(place)
    what = type_before_parametrizations(module).__name__
    rule = rule_for_kind(type(module))
    assert rule is not None
    try:
        return operation_by_rule(what, output, rule.cost, module, output, *shapes)
    except ChoiceError as error:
        where = f"{place} ({what})" if place else "the model"
        raise TraceError(f"{where} cannot be counted: {error}") from error
