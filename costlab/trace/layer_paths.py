"""Paths for what was recorded: those of the modules, with a name for each call inside of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

from torch import nn
from torch.nn.utils.parametrize import type_before_parametrizations

from costlab.errors import ChoiceError, TraceError
from costlab.graph import Layer, Value
from costlab.ops.custom import operation_by_rule
from costlab.trace.module_stack import Places
from costlab.trace.observation import LayerCall
from costlab.trace.stored_tensors import new_tuple
from costlab.trace.tape_records import ITS_OWN, TapeRecord
from costlab.trace.users import rule_for_kind


def joined(
    records: list[TapeRecord], values: list[Value], returns: tuple[int, ...], places: Places
) -> tuple[list[TapeRecord], list[Value], tuple[int, ...]]:
    """All of it, with the calls that a user's rule counts as a whole made one operation each.

    Values that only the inside of such a call has are gone, and the others numbered anew.
    """
    if not places.counts_modules:
        return records, values, returns
    merged: list[TapeRecord] = []
    calls: dict[tuple[str, int], list[TapeRecord]] = {}
    positions: list[int] = []
    """Of the calls, in their order, in ``merged``."""
    for record in records:
        key = (record.site.place, record.site.call)
        if not record.site.whole:
            merged.append(record)
        elif key in calls:
            calls[key].append(record)
        else:
            calls[key] = [record]
            positions.append(len(merged))
            merged.append(record)
    wanted = Counter(chain(returns, *(record.operands + record.weights for record in records)))
    for position, ((place, _), inside) in zip(positions, calls.items(), strict=True):
        one = _one_operation(inside, values, wanted, places.module(place), place)
        merged[position] = one
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
    module: nn.Module,
    place: str,
) -> TapeRecord:
    """The operations of one call as one, which the rule for the kind of module counts."""
    results_inside = [number for record in inside for number in record.results]
    taken = Counter(chain(*(record.operands + record.weights for record in inside)))
    entering = [number for number in taken if number not in results_inside]
    weights = tuple(n for n in entering if values[n].kind not in ("input", "computed"))
    operands = tuple(n for n in entering if n not in weights)
    last = inside[-1]
    further = (n for n in results_inside if wanted[n] > taken[n] and n not in last.results)
    results = (*last.results, *further)
    shapes = tuple(values[number].shape for number in operands)
    what = type_before_parametrizations(module).__name__
    rule = rule_for_kind(type(module))
    assert rule is not None
    try:
        op = operation_by_rule(what, last.output, rule.cost, module, last.output, *shapes)
    except ChoiceError as error:
        where = f"{place} ({what})" if place else "the model"
        raise TraceError(f"{where} cannot be counted: {error}") from error
    first = replace(inside[0], op=op, operands=operands, inputs=shapes, output=last.output)
    return replace(first, weights=weights, results=results)


def named_layers(records: list[TapeRecord], places: Places) -> Iterator[Layer]:
    """The layers, each with a path of its own.

    The only operation of a module without children is named by the module: ``features.conv``.
    Others are named by what they do: ``block.add``, ``block.add_2``. A module that is called again
    has the number of the call behind its path: ``conv@2``.
    """
    calls = Counter([record.site[:2] for record in records])
    several = {place for (place, _), number in calls.items() if number > 1}
    leaves, taken = places.leaves, places.paths
    alone = leaves - several - {""}
    used: dict[str, int] = {}
    for record in records:
        (path, call, whole, *_), op = record.site, record.op
        if call == ITS_OWN:
            pass
        elif whole or path in alone:
            path = path or op.label(*record.inputs)
            path += f"@{call}" if call > 1 else ""
        else:
            again = f"@{call}" if path in leaves and path and call > 1 else ""
            path = f"{path}{again}.{op.label(*record.inputs)}".lstrip(".")
            if path in taken:
                path += "_1"
        used[path] = number = used.get(path, 0) + 1
        if number > 1:
            path = f"{path}_{number}"
        layer = (
            path,
            op,
            record.operands,
            record.inputs,
            record.output,
            record.weights,
            record.results,
            record.own_backward,
            record.checkpoint,
        )
        yield new_tuple(Layer, layer)


def layer_call(record: TapeRecord, places: Places) -> LayerCall:
    """The call of torch that made a layer, of a run that was observed."""
    place, call, whole, function, strided = record.site
    if call == ITS_OWN:
        place = place.rpartition(".")[0]
    place = places.calls.registered(place)
    if whole or not record.operands:
        return LayerCall(place, "", False)
    return LayerCall(place, function, strided)
