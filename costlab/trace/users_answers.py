"""Calls and modules that a user's rule answers: what they give, and how they are noted."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.jit import ScriptModule
from torch.nn.utils.parametrize import type_before_parametrizations

from costlab.errors import TraceError
from costlab.graph.opcount import OpCount, StepCount
from costlab.isolation.code_replaced import original
from costlab.ops.custom import Custom, operation_by_rule, reason
from costlab.ops.uncounted import Uncounted
from costlab.torch_private import (
    OpOverload,
    OpOverloadPacket,
    add_batch_axis,
    batch_axis,
    batch_level,
    is_batched,
    is_wrapped,
    outside_transforms,
    unseen_by_modes,
    unwrapped,
)
from costlab.trace import scripted
from costlab.trace.tape import Tape
from costlab.trace.tensors import META, nested, tensors
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
    changed = tensors(args[0]) if in_place and args else []
    changed += tensors(kwargs.get("out"))
    if isinstance(function, OpOverloadPacket) and len(function._overload_names) == 1:
        function = getattr(function, function._overload_names[0])
    if isinstance(function, OpOverload):
        for position, argument in enumerate(function._schema.arguments):
            if argument.alias_info is not None and argument.alias_info.is_write:
                given = args[position] if position < len(args) else kwargs.get(argument.name)
                changed += tensors(given)
    return list({id(tensor): tensor for tensor in changed}.values())


def answered_inside(
    recorder: Recorder, made: Call, func: Any, args: Any, kwargs: dict[str, Any]
) -> Any:
    """Answer a call inside of ``vmap`` by a user's rule, which is asked of one of the batch.

    It costs that as often as there are some in the batch. Raises ``TraceError``.
    """
    assert made.users is not None
    rule, batch = made.users, _batch(tensors((args, kwargs)))
    if batch is None or changed_arguments(func, made.in_place, args, kwargs):
        raise TraceError(
            f"{made.name} at {recorder.where()} has a rule, and is called where torch.func "
            "differentiates, or changes what it is given inside of vmap: that is not followed"
        )
    result = given_by(rule, made.name, *args, **kwargs) if rule.output else None
    if rule.output is None:
        result = recorder.on_meta(made.name, original(func), args, kwargs)

    def cost(*args: Any, **kwargs: Any) -> Any:
        answer = rule.cost(*args, **kwargs)
        if isinstance(answer, (OpCount, StepCount)):
            return answer * prod(batch.values())
        raise TraceError(f"inside of vmap the rule for {made.name} is to give an OpCount")

    op = operation_by_rule(made.name, (), cost, result, *args, **kwargs)
    assert isinstance(op, Custom)
    with outside_transforms():
        if rule.output is not None:
            result = nested(lambda leaf: _batched(leaf, batch), result)
        wholes = [whole_of(leaf) for leaf in tensors(result)] or [torch.empty((), device=META)]
        given = [whole_of(tensor) for tensor in tensors((args, kwargs))]
        weights = [tensor for tensor in given if recorder.tape.is_weight(tensor)]
        inputs = [tensor for tensor in given if not recorder.tape.is_weight(tensor)]
        op = replace(op, shape=tuple(wholes[0].shape))
        recorder.tape.record(op, inputs, weights, result=wholes[0])
        for further in wholes[1:]:
            recorder.tape.further(wholes[0], further)
    return result


def _batch(inside: Iterable[Tensor]) -> dict[int, int] | None:
    """How many there are in the batch of each ``vmap`` around, by its level.

    None where another transform is around.
    """
    sizes: dict[int, int] = {}
    for tensor in inside:
        one = tensor
        while is_wrapped(one):
            if not is_batched(one):
                return None
            whole = unwrapped(one)
            sizes[batch_level(one)] = whole.shape[batch_axis(one)]
            one = whole
    return sizes


def whole_of(tensor: Tensor) -> Tensor:
    """The tensor of all of the batch that stands behind one inside of ``vmap``."""
    while is_wrapped(tensor):
        tensor = unwrapped(tensor)
    return tensor


def _batched(one: Tensor, batch: dict[int, int]) -> Tensor:
    """A tensor inside of ``vmap``, of which that is the shape of one in the batch."""
    shape = (*[batch[level] for level in sorted(batch)], *one.shape)
    tensor = torch.empty(shape, dtype=one.dtype, device=META)
    for level in sorted(batch):
        tensor = add_batch_axis(tensor, 0, level)
    return tensor


@contextmanager
def modules_answered(recorder: Recorder) -> Iterator[None]:
    """Have modules whose rule says what they give answer by it, however they are entered.

    And scripted ones, which would run unseen, by their graph.
    """
    counted = [kind for kind, is_counted in recorder.places.kinds.items() if is_counted]
    rules = {kind: rule for kind in counted if (rule := rule_for_kind(kind))}
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
