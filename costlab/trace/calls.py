"""What is noted of a call of torch beside its layer, for other counters and for errors."""

from __future__ import annotations

import sys
from types import FrameType, FunctionType
from typing import Any

from torch import Tensor

from costlab import formatting
from costlab.errors import words_of
from costlab.graph.op import Shape
from costlab.isolation.autograd_functions import RUNS_FORWARD
from costlab.trace.observation import CallNote, EinsumCall
from costlab.trace.sparse import is_sparse
from costlab.trace.tensors import tensors

OPEN = {"multi_head_attention_forward"}
"""Python functions of torch whose own calls other counters see, where these are wanted."""


def opened(function: Any) -> Any:
    """The function without its first question, whether a mode wants to answer in its place."""
    names = {**function.__globals__, "has_torch_function": lambda _: False}
    return FunctionType(
        function.__code__, names, function.__name__, function.__defaults__, function.__closure__
    )


def note_of(first: int, name: str, args: Any, parameters: tuple[Shape, ...]) -> CallNote:
    """What is to be known of a call beside its function."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_code is not RUNS_FORWARD:
        frame = frame.f_back
    einsum = None
    if name == "einsum" and isinstance(args[0], str):
        einsum = EinsumCall(args[0], tuple(tuple(tensor.shape) for tensor in tensors(args[1:])))
    return CallNote(first, frame is not None, einsum, parameters, _in_one(args))


def _in_one(args: Any) -> bool:
    """Whether the matrices of a stack lie one after the other, if it meets a vector in a call."""
    if len(args) < 2 or not all(isinstance(factor, Tensor) for factor in args[:2]):
        return True
    first, second = args[:2]
    if min(first.dim(), second.dim()) != 1:
        return True
    stack = first if second.dim() == 1 else second.mT if second.dim() > 1 else second
    if is_sparse(stack):
        return True
    lead = zip(stack.stride()[:-2], stack.stride()[1:], stack.shape[1:], strict=False)
    return all(outer == inner * size for outer, inner, size in lead)


_SEQUENCES = ("lstm", "gru", "rnn_tanh", "rnn_relu")


def steps_first(name: str, args: Any) -> Any:
    """The first argument of a call as torch computes with it: sequences with the steps first."""
    turned = name in _SEQUENCES and len(args) == 9 and args[8] is True
    return args[0].transpose(0, 1) if turned else args[0]


_CALL = "costlab_call"
"""The attribute of an error that says in which call of torch it was raised."""


def note_call(error: Exception, name: str, args: Any, kwargs: dict[str, Any]) -> None:
    """Note in an error which call of torch raised it; the innermost stays."""
    error.__dict__.setdefault(_CALL, _described(name, args, kwargs))


def _described(name: str, args: Any, kwargs: dict[str, Any]) -> str:
    """A call for people: its name, and the shapes of its first tensors."""
    shapes = [tuple(tensor.shape) for tensor in tensors((args, kwargs))][:3]
    return f"{name} on {formatting.shapes(shapes)}" if shapes else name


def call_of(error: BaseException) -> str:
    """The call of torch that raised an error, for people: ``conv2d on 1×3×8×8``.

    ``""`` if none did, or if the error's own text says it.
    """
    call: str = error.__dict__.get(_CALL, "")
    return "" if " on " in words_of(error) else call
