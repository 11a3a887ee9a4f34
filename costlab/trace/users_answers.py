"""Calls and modules that a user's rule answers: what they give, and how they are noted."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings, filterwarnings

import torch
from torch import Tensor, nn
from torch.jit import ScriptModule
from torch.nn.utils.parametrize import type_before_parametrizations

from costlab.errors import TraceError
from costlab.isolation.code_replaced import original
from costlab.ops.custom import operation_by_rule, reason
from costlab.ops.uncounted import Uncounted
from costlab.torch_private import OpOverload, OpOverloadPacket, unseen_by_modes
from costlab.trace import scripted
from costlab.trace.checkpoints import FUNCTION
from costlab.trace.tape import META, Tape
from costlab.trace.tensors import nested, tensors
from costlab.trace.users import UsersRule, rule_for_kind

if TYPE_CHECKING:
    from costlab.graph.op import Op
    from costlab.trace.classification import Call
    from costlab.trace.recorder import Recorder


def given_by(rule: UsersRule, what: str, *args: Any, **kwargs: Any) -> Any:
    """What a rule with ``output`` says that a call gives: its tensors are on ``meta``.

    Raises ``TraceError``.
    """
    assert rule.output is not None
    with unseen_by_modes():
        try:
            result = rule.output(*args, **kwargs)
        except Exception as error:
            raise TraceError(f"output= of the rule for {what} raised {reason(error)}") from error
        return nested(lambda x: torch.empty(x.shape, dtype=x.dtype, device=META), result)


def note(
    tape: Tape,
    what: str,
    rule: UsersRule | None,
    result: Any,
    args: Any,
    kwargs: Any,
    changed: list[Tensor],
) -> list[Tensor]:
    """Note a call that gave that result and changed these tensors; None for a rule: uncounted.

    Gives what stands for the tensors of the result.
    """
    leaves = tensors(result)
    target_results = [torch.empty(t.shape, dtype=t.dtype, device=META) for t in changed]
    results = [leaf for leaf in leaves if not any(leaf is target for target in changed)]
    results += target_results
    if not results:  # it gives a number, or nothing: that is what stands for it
        results = [torch.empty((), device=META)]
    shape = tuple(results[0].shape)
    op: Op = Uncounted(what, shape)
    if rule is not None:
        op = operation_by_rule(what, shape, rule.cost, result, *args, **kwargs)
    changed_only = {id(target) for target in changed if not tape.knows(target)}
    given = [tensor for tensor in tensors((args, kwargs)) if id(tensor) not in changed_only]
    weights = [tensor for tensor in given if tape.is_weight(tensor)]
    inputs = [tensor for tensor in given if not tape.is_weight(tensor)]
    tape.record(op, inputs, weights, result=results[0])
    for further in results[1:]:
        tape.further(results[0], further)
    for target, renewed in zip(changed, target_results, strict=True):
        tape.renewed(target, renewed)
    return leaves


def changed_arguments(
    function: Any, in_place: bool, args: Any, kwargs: dict[str, Any]
) -> list[Tensor]:
    """The arguments that a call changes, as far as it is known: by its name or its schema."""
    found = tensors(args[0]) if in_place and args else []
    found += tensors(kwargs.get("out"))
    if isinstance(function, OpOverloadPacket) and len(function._overload_names) == 1:
        function = getattr(function, function._overload_names[0])
    if isinstance(function, OpOverload):
        for position, argument in enumerate(function._schema.arguments):
            if argument.alias_info is not None and argument.alias_info.is_write:
                given = args[position] if position < len(args) else kwargs.get(argument.name)
                found += tensors(given)
    return list({id(tensor): tensor for tensor in found}.values())


@contextmanager
def modules_answered(recorder: Recorder) -> Iterator[None]:
    """Have modules whose rule says what they give answer by it, however they are entered.

    And scripted ones, which would run unseen, by their graph.
    """
    rules = {kind: rule for kind in recorder.places.kinds if (rule := rule_for_kind(kind))}
    if not rules and not any(issubclass(kind, ScriptModule) for kind in recorder.places.kinds):
        yield
        return
    changed: list[dict[str, Any]] = []
    try:
        for module in recorder.places.modules:
            rule = rules.get(type(module))
            if rule is not None and rule.output is not None:
                changed.append(module.__dict__)
                module.__dict__["forward"] = partial(_answer, recorder, module, rule)
            elif isinstance(module, ScriptModule):
                changed.append(module.__dict__)
                module.__dict__["forward"] = partial(scripted.run, recorder, module, module.forward)
        yield
    finally:
        for attributes in changed:
            attributes.pop("forward", None)


def _answer(
    recorder: Recorder, module: nn.Module, rule: UsersRule, *args: Any, **kwargs: Any
) -> Any:
    tape, places = recorder.tape, recorder.places
    frame = sys._getframe(1)
    path = places.called(module, frame)
    around = places.counted(path, frame)
    if around and around[0] != path:  # it is inside of a module that is counted as a whole
        tape.enter(around[0], places.began(*around), True)
    else:
        tape.enter(path, object(), True)
    what = type_before_parametrizations(module).__name__
    with unseen_by_modes():
        stood, named = tape.stood(args), tape.stood(kwargs)
    result = given_by(rule, what, module, *stood, **named)
    inputs = [t for t in tensors((stood, named)) if not tape.is_weight(t)]
    leaves = tensors(result) or [torch.empty((), device=META)]
    # The rule itself is asked when the call is one row: see `layer_paths.joined`.
    weights = [t for t in tensors((stood, named)) if tape.is_weight(t)]
    tape.record(
        Uncounted(what, tuple(leaves[0].shape)),
        inputs,
        [*weights, *module.parameters()],
        result=leaves[0],
    )
    for further in leaves[1:]:
        tape.further(leaves[0], further)
    return recorder.shown(result, args, kwargs)


def follow_function(
    recorder: Recorder, made: Call, func: Any, args: Any, kwargs: dict[str, Any]
) -> Any:
    """Follow the forward of a ``torch.autograd.Function``.

    What it gives that no call of torch gave is from elsewhere (numpy, a compiled kernel): the
    function is then an operation without a rule.
    """
    site, before = recorder.tape.site, len(recorder.tape.records)
    outer, recorder.function_cuts = recorder.function_cuts, recorder.cuts_gradients()
    try:
        with recorder, catch_warnings():
            # stand-ins want no gradient, which a checkpoint warns of
            filterwarnings("ignore", "None of the inputs have requires_grad")
            result = original(func)(*args, **kwargs)
    finally:
        recorder.function_cuts = outer
    for record in recorder.tape.records[before:]:
        record.own_backward = record.own_backward or made.name != FUNCTION
    given = {id(tensor) for tensor in tensors((args, kwargs))}
    unknown = [
        leaf for leaf in tensors(result) if id(leaf) not in given and not recorder.tape.knows(leaf)
    ]
    if unknown:
        own = [torch.empty(t.shape, dtype=t.dtype, device=META) for t in unknown]
        with recorder.tape.at(site):
            note(recorder.tape, made.name, None, own, args, kwargs, [])
        for leaf, stands in zip(unknown, own, strict=True):
            recorder.tape.becomes(leaf, stands)
            recorder.tape.stands_for(stands, leaf)
    return result
