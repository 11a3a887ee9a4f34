"""Calls of torch that run on ``meta``, and the errors of those that cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from costlab.errors import TraceError, words_of
from costlab.isolation.dynamo_aside import dynamo_aside
from costlab.trace.classification import is_others
from costlab.trace.eight_bits import has_quantized, on_whole_numbers
from costlab.trace.tensors import META, nested

if TYPE_CHECKING:
    from costlab.trace.recorder import Recorder


def run(recorder: Recorder, name: str, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Run a call on ``meta``."""
    stood, named = recorder.tape.stood(args), recorder.tape.stood(kwargs)
    if named.get("device") is not None:
        named["device"] = META
    try:
        if is_others(func):
            return func(*stood, **named)
        with dynamo_aside():
            return func(*stood, **named)
    except NotImplementedError as error:
        if has_quantized((stood, named)):
            return on_whole_numbers(recorder.tape, func, stood, named)
        if is_others(func) and recorder.known.all_of((args, kwargs)) is None:
            raise _has_no_fake(recorder, name) from None
        if "meta" not in words_of(error).lower():  # torch has no such operation anywhere
            raise
        return _by_values(recorder, name, func, args, kwargs)
    except RuntimeError as error:
        if has_quantized((stood, named)):
            return on_whole_numbers(recorder.tape, func, stood, named)
        if "no fake impl registered" in words_of(error):
            raise _has_no_fake(recorder, name) from None
        if "meta" in words_of(error):  # torch's kernels say so where they would read it
            return _by_values(recorder, name, func, args, kwargs)
        raise


def _has_no_fake(recorder: Recorder, name: str) -> TraceError:
    """The error of an operator of others that says nothing of what it gives."""
    return TraceError(
        f"{name} at {recorder.where()} has no fake implementation, so that what it gives is not "
        "known: give it a rule with output= (costlab.counting, --rules), or run it on real "
        "tensors with real=True, or --real"
    )


def _by_values(recorder: Recorder, name: str, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Run a call on ``meta`` whose shape depends on some of its tensors, if these are known."""
    inputs: set[str] = set()

    def known_or_standin(tensor: Tensor) -> Tensor:
        known = recorder.known.of(tensor)
        if known is None:
            return recorder.tape.standin(tensor)
        inputs.update(known.inputs)
        copy = known.copy.clone()
        recorder.tape.alike(copy, tensor)
        return copy

    def standing(tensor: Tensor) -> Tensor:
        if tensor.device == META:
            return tensor
        standin = torch.empty(tensor.shape, dtype=tensor.dtype, device=META)
        recorder.tape.alike(standin, tensor)
        return standin

    stood, named = nested(known_or_standin, (args, kwargs))
    try:
        result = func(*stood, **named)
    except (NotImplementedError, RuntimeError):
        raise recorder.needs_values(name) from None
    recorder.known.decide(name, recorder.where(), inputs)
    return nested(standing, result)
