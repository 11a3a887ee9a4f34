"""Calls that read the values of tensors: answered where these are known."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from costlab.ops.uncounted import Uncounted
from costlab.torch_private import unseen_by_modes
from costlab.trace import packed
from costlab.trace.basics import by_result
from costlab.trace.classification import ARRAYS, PICKED, Call, is_for_speed
from costlab.trace.tensors import META, nested, tensors

if TYPE_CHECKING:
    from costlab.trace.recorder import Recorder


def read(recorder: Recorder, made: Call, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Answer a call that reads values, if those are known."""
    if made.name == "__format__" and not args[1]:  # of a print
        return func(*args, **kwargs)
    out = kwargs.get("out")
    if isinstance(out, Tensor):
        return _into(recorder, out, read(recorder, made, func, args, _without_out(kwargs)))
    known = recorder.known.all_of((args, kwargs))
    if known is not None:
        return _decided(recorder, made, func, args, kwargs, *known)
    asked = tensors((args, kwargs))
    if not any(
        tensor.device.type == "meta" or recorder.known.is_changed(tensor) for tensor in asked
    ):
        recorder.tape.looked_at(args)
        if made.name in ARRAYS:
            recorder.arrays += map(recorder.tape.standin, asked)
        return func(*args, **kwargs)
    if is_for_speed(sys._getframe(1)):
        return False
    if made.name in packed.NAMES:
        given = packed.by_lengths(recorder, made.name, func, *args, **kwargs)
        if given is not None:
            return given
    raise recorder.needs_values(made.name)


def _without_out(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in kwargs.items() if name != "out"}


def _into(recorder: Recorder, out: Tensor, result: Tensor) -> Tensor:
    """Let a tensor hold what a call gave."""
    recorder.tape.standin(out).resize_(result.shape)
    recorder.known.becomes(out, result)
    return recorder.tape.renewed(out, result)


def _decided(
    recorder: Recorder,
    made: Call,
    func: Any,
    args: Any,
    kwargs: dict[str, Any],
    copies: Any,
    inputs: frozenset[str],
) -> Any:
    """What a call gives for values that are known; tensors among it stand for its results."""
    recorder.tape.looked_at(args)
    with unseen_by_modes():
        result = func(*copies[0], **copies[1])
    recorder.known.decide(made.name, recorder.where(), inputs)
    taken = tensors((args, kwargs))
    if made.name in ARRAYS:
        recorder.arrays += map(recorder.tape.standin, taken)
    is_constant = made.name == "from_numpy" and not recorder.arrays

    def standing(copy: Tensor) -> Tensor:
        standin = torch.empty(copy.shape, dtype=copy.dtype, device=META)
        if made.name in PICKED:
            recorder.tape.moved(made.name, taken, standin)
        elif not is_constant and not by_result(recorder.tape, func, standin, args, kwargs):
            given = taken or recorder.arrays
            recorder.tape.record(Uncounted(made.name, tuple(copy.shape)), given, result=standin)
        recorder.known.remember(standin, copy, inputs)
        return standin

    return nested(standing, result)
