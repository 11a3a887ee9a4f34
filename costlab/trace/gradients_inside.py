"""Gradients that a forward takes itself, by autograd.

On real tensors what it does backwards is noted; on shapes nothing runs backwards, and it is
uncounted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from costlab.errors import TraceError, words_of
from costlab.isolation.module_state import tensors_of
from costlab.isolation.unseen_functions import TAKES_GRADIENTS
from costlab.trace.classification import Call
from costlab.trace.tensors import META, tensors
from costlab.trace.users_answers import note

if TYPE_CHECKING:
    from costlab.trace.real import RealRecorder
    from costlab.trace.recorder import Recorder


def on_shapes(recorder: Recorder, made: Call, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Answer a call that differentiates: of ``torch.autograd.grad`` it is known what it gives."""
    if recorder.transforms and any(tensor.requires_grad for tensor in tensors(args)):
        return recorder.of_basics(made, func, args, kwargs)  # of what torch.func has followed
    if made.name != "grad":
        raise TraceError(
            f"{made.name} at {recorder.where()} runs backwards, and only shapes are known: run it "
            "on real tensors with real=True, or --real"
        )
    return _gradients(recorder, *args, **kwargs)


def _gradients(
    recorder: Recorder,
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    *more: Any,
    is_grads_batched: bool = False,
    **options: Any,
) -> tuple[Tensor, ...]:
    """The gradients of ``outputs``, each of the shape of one of ``inputs``."""
    batch = tensors(grad_outputs)[0].shape[:1] if is_grads_batched else ()
    wanted = [recorder.tape.standin(tensor) for tensor in tensors(inputs)]
    given = tuple(
        torch.empty((*batch, *tensor.shape), dtype=tensor.dtype, device=META) for tensor in wanted
    )
    taken = [recorder.tape.standin(tensor) for tensor in tensors((outputs, grad_outputs))]
    note(recorder.tape, "grad", None, given, (*taken, *wanted), {}, [])
    return given


def on_real_tensors(
    recorder: RealRecorder, made: Call, func: Any, args: Any, kwargs: dict[str, Any]
) -> Any:
    """Let autograd run backwards, and note what it does.

    Gradients that tensors have are added to in copies.
    """
    from costlab.trace.real import Wholes

    if func in TAKES_GRADIENTS:
        with recorder:
            return func.__wrapped__(*args, **kwargs)
    for tensor in tensors_of(recorder.places.modules, recorder.objects):
        if tensor.is_leaf and tensor.requires_grad:
            recorder.attributes.remember(tensor, "grad")
            if tensor.grad is not None:
                tensor.grad = tensor.grad.clone()
    try:
        with Wholes(recorder):
            return func(*args, **kwargs)
    except RuntimeError as error:
        if torch.is_grad_enabled() or "does not require grad" not in words_of(error):
            raise
        raise TraceError(
            f"{made.name} at {recorder.where()} runs backwards, and gradients are disabled while a "
            "module is followed: have the code take them inside of `with torch.enable_grad()`"
        ) from error
