"""Calls inside a transform of ``torch.func``, such as ``vmap``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from costlab.errors import TraceError
from costlab.torch_private import (
    add_batch_axis,
    batch_axis,
    batch_level,
    is_batched,
    is_wrapped,
    outside_transforms,
    unwrapped,
)
from costlab.trace.classification import Call, Kind
from costlab.trace.tensors import META, nested
from costlab.trace.users_answers import answered_inside

if TYPE_CHECKING:
    from costlab.trace.recorder import Recorder


def answer(recorder: Recorder, made: Call, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Answer a call inside a transform of ``torch.func``, such as ``vmap``.

    Its tensors stand for others, such as those of a whole batch: the basic operations are on
    these.
    """
    if made.kind is Kind.VALUES:
        raise recorder.needs_values(made.name)
    if made.kind is Kind.MAKES:  # like one of these
        kwargs = kwargs | {"device": META}
    elif made.name in ("cpu", "cuda"):
        return args[0]
    elif made.name == "to":  # it stays on meta
        args = tuple(
            META if isinstance(argument, (torch.device, str)) else argument for argument in args
        )

    def standing(tensor: Tensor) -> Tensor:
        return _inside(recorder, tensor)

    stood, named = nested(standing, args), nested(standing, kwargs)
    if made.users is not None:
        return answered_inside(recorder, made, func, stood, named)
    return recorder.of_basics(made._replace(in_place=False), func, stood, named)


def _inside(recorder: Recorder, tensor: Tensor) -> Tensor:
    """What stands on ``meta`` for a tensor inside a transform."""
    if tensor.device.type == "meta":
        return tensor
    if is_batched(tensor):
        whole = _inside(recorder, unwrapped(tensor))
        axis, level = batch_axis(tensor), batch_level(tensor)
        batched: Tensor = add_batch_axis(whole, axis, level)
        return batched
    if is_wrapped(tensor):
        raise TraceError(
            f"{recorder.where()} has torch.func differentiate a tensor that is not on meta: "
            "build the module on meta, with torch.device('meta')"
        )
    with outside_transforms():
        return recorder.tape.standin(tensor)
