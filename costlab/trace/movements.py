"""Calls that move elements: torch says of what shape the result is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from costlab.trace.classification import RESHAPED, Call, accumulates, movement_of
from costlab.trace.ranges import PLACES, require_in_range
from costlab.trace.tensors import META, tensors

if TYPE_CHECKING:
    from costlab.trace.recorder import Recorder

_ONE_OF_EACH = frozenset(
    ("meshgrid", "broadcast_tensors", "atleast_1d", "atleast_2d", "atleast_3d")
)
"""Calls that give a tensor for each that they take, which is made of that one alone."""


def move(recorder: Recorder, made: Call, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Answer a call that moves elements by torch's own shapes."""
    if made.name in ("cpu", "cuda"):
        return recorder.devices.moved(made.name, args[0], args, kwargs)
    if accumulates(made.name, args, kwargs):
        return recorder.of_basics(made, func, args, kwargs)
    if made.name in PLACES:
        require_in_range(recorder.known, made.name, args, kwargs)
    own = args, kwargs
    if made.name == "to":
        args = [
            META if isinstance(argument, (torch.device, str)) or type(argument) is int else argument
            for argument in args
        ]
    if made.name == "type" and len(args) + len(kwargs) == 1:
        return recorder.devices.name_of_type(args[0])
    if made.name == "type":
        dtype = _dtype(*args[1:], **kwargs)
        if dtype is None:  # its name is asked for
            return func(torch.empty(0, dtype=args[0].dtype, device="cpu"))
        func, args, kwargs = Tensor.to, [args[0], dtype], {}
    inputs = tensors((args, kwargs))
    if not inputs:  # what is drawn, of a given size
        return func(*args, **(kwargs | {"device": META}))
    recorder.require_fits(made, func, args, kwargs)
    if made.in_place:
        shape = recorder.tape.standin(inputs[0]).shape
        result = torch.empty(shape, dtype=inputs[0].dtype, device=META)
        result = recorder.tape.moved(made.name, inputs, result)
        return recorder.tape.renewed(inputs[0], result, made.name not in RESHAPED)
    what = movement_of(made, args)
    result = _viewed(recorder, made.name, func, args, kwargs)
    same = {id(own) for tensor in inputs for own in (tensor, recorder.tape.standin(tensor))}
    results = tensors(result)
    sources = [inputs] * len(results)
    if made.name in _ONE_OF_EACH and len(inputs) == len(results):
        sources = [[tensor] for tensor in inputs]
    for leaf, source in zip(results, sources, strict=True):
        if id(leaf) not in same:
            recorder.tape.moved(what, source, leaf)
    return recorder.devices.moved(made.name, result, *own) if made.name == "to" else result


def _viewed(recorder: Recorder, name: str, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Run a call that moves elements on ``meta``.

    What a rule gave is contiguous there, and need not be with torch: whether it can be viewed
    without a copy is not known.
    """
    try:
        return recorder.on_meta(name, func, args, kwargs)
    except RuntimeError:
        if name != "view" or recorder.tape.has_its_own_strides(args[0]):
            raise
        return recorder.on_meta(name, Tensor.reshape, args, kwargs)


def _dtype(dtype: Any = None, *more: Any, **named: Any) -> torch.dtype | None:
    """What ``Tensor.type`` takes: a type, ``torch.DoubleTensor``, or the name of that."""
    if isinstance(dtype, str):
        dtype = getattr(torch, dtype.rpartition(".")[2])
    own: torch.dtype | None = getattr(dtype, "dtype", dtype)
    return own
