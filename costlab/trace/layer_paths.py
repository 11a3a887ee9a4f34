"""Paths for what was recorded: those of the modules, with a name for each call inside of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from costlab.graph import Layer
from costlab.trace.module_stack import Places
from costlab.trace.observation import LayerCall
from costlab.trace.stored_tensors import new_tuple
from costlab.trace.tape_records import ITS_OWN, TapeRecord


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
