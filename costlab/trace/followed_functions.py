"""Functions that are followed by what they call: those of autograd, and what users' rules count."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from warnings import catch_warnings, filterwarnings

import torch

from costlab.errors import TraceError
from costlab.isolation.code_replaced import original
from costlab.ops.custom import operation_by_rule, reason
from costlab.trace import control_flow
from costlab.trace.checkpoints import FUNCTION
from costlab.trace.classification import Kind, of_torch
from costlab.trace.tensors import META, tensors
from costlab.trace.users import asked_of_torch
from costlab.trace.users_answers import note, whole_of

if TYPE_CHECKING:
    from costlab.trace.classification import Call
    from costlab.trace.recorder import Recorder


def follow_function(
    recorder: Recorder, made: Call, func: Any, args: Any, kwargs: dict[str, Any]
) -> Any:
    """Follow the forward of a ``torch.autograd.Function``."""
    before = len(recorder.tape.records)
    outer, recorder.function_cuts = recorder.function_cuts, recorder.cuts_gradients()
    try:
        with catch_warnings():
            # stand-ins want no gradient, which a checkpoint warns of
            filterwarnings("ignore", "None of the inputs have requires_grad")
            result = _run(recorder, made, func, args, kwargs)
    finally:
        recorder.function_cuts = outer
    for record in recorder.tape.records[before:]:
        record.own_backward = record.own_backward or made.name != FUNCTION
    return result


def follow_as_one(
    recorder: Recorder, made: Call, func: Any, args: Any, kwargs: dict[str, Any]
) -> Any:
    """Follow a function that a user's rule counts as a whole.

    What it takes beside its arguments, what it changes and what is known of values is seen so.
    Raises ``TraceError`` where it cannot be run.
    """
    tape, rule = recorder.tape, made.users
    assert rule is not None
    run = follow_function if made.is_function else _run
    if tape.is_whole:
        return run(recorder, made, func, args, kwargs)
    stood, named = tape.stood(args), tape.stood(kwargs)
    with tape.as_one() as call:
        try:
            result = run(recorder, made, func, args, kwargs)
        except Exception as error:
            if recorder.is_real:
                raise
            raise TraceError(
                f"{made.name} at {recorder.where()} cannot be run on shapes ({reason(error)}): "
                "give its rule output=, a function that says what it gives"
            ) from error
    given = tape.stood(result)
    with tape.at(call.site):
        if call.first == call.end:
            note(tape, made.name, rule, given, stood, named, [])
            return result
        leaves = tensors(given)
        shape = tuple(leaves[0].shape) if leaves else ()
        call.op = operation_by_rule(made.name, shape, rule.cost, given, *stood, **named)
        numbers = map(tape.number, leaves)
        call.results = tuple(number for number in numbers if number is not None)
    return result


def _run(recorder: Recorder, made: Call, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """What a function gives.

    A tensor that no call of torch gave is from elsewhere (numpy, a compiled kernel): the function
    is then an operation without a rule.
    """
    tape, site = recorder.tape, recorder.tape.site
    if func in asked_of_torch():
        own = of_torch(func)
        if own.kind is Kind.CONTROL:
            return control_flow.follow(recorder, func, args, kwargs)
        return recorder.answer(own, func, args, kwargs)
    with recorder:
        result = original(func)(*args, **kwargs)
    given = {id(tensor) for tensor in tensors((args, kwargs))}
    new = [leaf for leaf in tensors(result) if id(leaf) not in given]
    unknown = [leaf for leaf in new if not tape.knows(whole_of(leaf))]
    if unknown:
        own_results = [torch.empty(t.shape, dtype=t.dtype, device=META) for t in unknown]
        with tape.at(site):
            note(tape, made.name, None, own_results, args, kwargs, [])
        for leaf, stands in zip(unknown, own_results, strict=True):
            tape.becomes(leaf, stands)
            tape.stands_for(stands, leaf)
    return result
