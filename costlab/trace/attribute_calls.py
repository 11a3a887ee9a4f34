"""Attributes of tensors that the code sets: they are set until the end of the run."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from costlab.isolation.unseen_functions import SET
from costlab.torch_private import set_data
from costlab.trace.tensors import META

if TYPE_CHECKING:
    from costlab.trace.recorder import Recorder


def set_attribute(
    recorder: Recorder, name: str, func: Any, args: Any, kwargs: dict[str, Any]
) -> Any:
    """Let an attribute of a tensor be set, until the end of the run."""
    target = args[0]
    if name == "register_hook":
        return RemovableHandle(OrderedDict())  # nothing runs backwards
    if name == "data":
        return _set_data(recorder, target, args[1])
    recorder.attributes.remember(target, name)
    before = target.requires_grad
    result = func(*args, **kwargs)
    if target.requires_grad != before:
        recorder.tape.stored.set_learning(target, before, not before)
    return result


def _set_data(recorder: Recorder, target: Tensor, source: Tensor) -> None:
    """What a tensor is from now on; a parameter that gets what is stored elsewhere is one."""
    is_stored = recorder.tape.is_given(source) and recorder.tape.is_weight(target)
    if target.device == META:
        recorder.attributes.remember(target, "data")
        set_data(target, recorder.tape.standin(source))
    elif (source.shape, source.dtype) != (target.shape, target.dtype):
        recorder.attributes.remember(target, "data")
        elements = torch.empty(source.shape if not source.numel() else (), dtype=source.dtype)
        set_data(target, elements.to(target.device).expand(source.shape))
    if not is_stored:
        recorder.tape.becomes(target, source)
    recorder.known.becomes(target, source)


def set_from(recorder: Recorder, target: Tensor, source: Any = None, *more: Any) -> Tensor:
    """Answer ``Tensor.set_``: what it sets of a tensor is its data."""
    if isinstance(source, Tensor) and not more:
        recorder.set("data", set_data, (target, source), {})
        return target
    return SET.__wrapped__(target, source, *more)  # type: ignore[no-any-return]
