"""A part of a module to run alone: what its first call is given when the whole runs."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import torch
from torch import nn

from costlab.errors import ChoiceError
from costlab.footprint.at_work import calls_noted
from costlab.footprint.standins import StandIns
from costlab.footprint.watch import Watch
from costlab.isolation.module_state import let_train
from costlab.trace import located_error
from costlab.trace.module_stack import Places
from costlab.trace.tensors import held


class _Reached(BaseException):
    """The part is called: no code of the model is to catch that."""


def part_of(
    whole: nn.Module, part: str, args: Any, kwargs: Any, training: bool, standins: StandIns
) -> tuple[nn.Module, Any, Any]:
    """A copy of the part, and of what it is given, of a copy of the whole with stand-ins.

    Raises ``ChoiceError`` for what is no module, or is not called.
    """
    try:
        module = whole.get_submodule(part)
    except AttributeError as error:
        raise ChoiceError(
            f"{part} is no module of {type(whole).__name__}: memory has parts that are modules"
        ) from error
    given: list[Any] = []

    def reached(_: nn.Module, args: Any, kwargs: Any) -> None:
        given.extend((args, kwargs))
        raise _Reached

    places = Places(whole)
    for own in places.modules:
        own.__dict__["training"] = training
    known = [
        tensor for named in (places.parameters, places.buffers) for _, tensor in named.values()
    ]
    answers = standins.answers()
    with ExitStack() as changes:
        changes.callback(module.register_forward_pre_hook(reached, with_kwargs=True).remove)
        if answers is not None:
            changes.callback(answers.close)
        changes.enter_context(standins.at_work())
        at_work = changes.enter_context(calls_noted(places))
        changes.enter_context(Watch(places, at_work, (*known, *held((args, kwargs))), answers))
        changes.enter_context(torch.set_grad_enabled(training))
        try:
            let_train(places.modules, training)
            whole(*args, **kwargs)
        except _Reached:
            pass
        except Exception as error:
            raise located_error(places, error) from error
    if not given:
        raise ChoiceError(f"{part} is not called when {type(whole).__name__} runs")
    own_tensors = (*module.parameters(), *module.buffers())
    copy, (args, kwargs) = standins.of(module, own_tensors, tuple(given))
    for tensor, before in zip(held((args, kwargs)), held(tuple(given)), strict=True):
        if before.requires_grad:
            tensor.requires_grad_()
    return copy, args, kwargs
