"""Paths for what was recorded: those of the modules, with a name for each call inside of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from operator import attrgetter

from costlab.errors import ChoiceError, TraceError
from costlab.graph import Layer
from costlab.ops.custom import operation, rule_of
from costlab.trace.module_stack import Places
from costlab.trace.tape import ITS_OWN, Record


def joined(
    records: list[Record], first: int, returns: tuple[int, ...], places: Places
) -> tuple[list[Record], tuple[int, ...]]:
    """The records, those of a call that a user's rule counts as a whole made one; renumbered."""
    if not any(record.whole for record in records):
        return records, returns
    kept: list[Record] = []
    numbers = list(range(first))
    whole: dict[tuple[str, int], int] = {}
    for record in records:
        takes = tuple(numbers[value] for value in record.takes)
        key = (record.place, record.call)
        if not record.whole:
            numbers.append(first + len(kept))
            record.takes = takes
            kept.append(record)
            continue
        if key not in whole:
            whole[key] = len(kept)
            kept.append(replace(record, takes=(), inputs=(), params=0))
        numbers.append(first + whole[key])
        one = kept[whole[key]]
        for value, shape in zip(takes, record.inputs, strict=False):
            if value != numbers[-1] and value not in one.takes:
                one.takes += (value,)
                one.inputs += (shape,)
        one.output = record.output
        one.params += record.params
    for key, number in whole.items():
        one = kept[number]
        module = places.module(key[0])
        rule = rule_of(type(module))
        assert rule is not None
        what = type(module).__name__
        try:
            one.op = operation(what, one.output, rule, module, one.output, *one.inputs)
        except ChoiceError as error:
            place = f"{key[0]} ({what})" if key[0] else "the model"
            raise TraceError(f"{place} cannot be counted: {error}") from error
    return kept, tuple(numbers[value] for value in returns)


def named_layers(records: list[Record], places: Places) -> Iterable[Layer]:
    """The layers, each with a path of its own.

    The only operation of a module without children is named by the module: ``features.conv``.
    Others are named by what they do: ``block.add``, ``block.add_2``. A module that is called again
    has the number of the call behind its path: ``conv@2``.
    """
    calls = Counter(map(attrgetter("place", "call"), records))
    several = {place for (place, _), number in calls.items() if number > 1}
    alone = places.leaves - several - {""}
    taken = set(places.paths)
    used: dict[str, int] = {}
    for record in records:
        path = place = record.place
        if record.call == ITS_OWN:
            place = path.rpartition(".")[0]
        elif record.whole or path in alone:
            path = path or record.op.label(*record.inputs)
            path += f"@{record.call}" if record.call > 1 else ""
        else:
            label = record.op.label(*record.inputs)
            call = f"@{record.call}" if path in places.leaves and path and record.call > 1 else ""
            path = f"{path}{call}.{label}".lstrip(".")
            if path in taken:
                path += "_1"
        used[path] = again = used.get(path, 0) + 1
        if again > 1:
            path = f"{path}_{again}"
        yield Layer(
            path,
            record.op,
            record.takes,
            record.inputs,
            record.output,
            record.params,
            place,
            record.spelled,
            record.strided,
        )
