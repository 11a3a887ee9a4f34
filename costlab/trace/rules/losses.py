"""Losses: what they do to each element, then the mean or the sum."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from costlab import formatting
from costlab.errors import ShapeError
from costlab.ops.broadcast import Add, Multiply
from costlab.ops.ctc import CtcLoss
from costlab.ops.elementwise import Scale
from costlab.ops.pointwise import Pair, Pointwise
from costlab.ops.reduce import Reduce
from costlab.trace.refusals import require_alike
from costlab.trace.registry import rule
from costlab.trace.tape import Tape
from costlab.trace.tensors import META

_REDUCTIONS = {0: None, 1: "mean", 2: "sum", "none": None, "mean": "mean", "sum": "sum"}

_ONE_LESS = Pair("sub", number_first=True)


def _reduced(on: Tape, per_element: Tensor, reduction: Any) -> Tensor:
    function = _REDUCTIONS[reduction]
    return per_element if function is None else on.record(Reduce(function), (per_element,))


def _legacy(*flags: Any) -> bool:
    """Whether a loss is called as it was long ago: with ``size_average`` or ``reduce``."""
    return any(flag is not None for flag in flags)


@rule("mse_loss")
def mse_loss(
    on: Tape,
    input: Tensor,
    target: Tensor,
    size_average: Any = None,
    reduce: Any = None,
    reduction: Any = "mean",
    weight: Tensor | None = None,
) -> Any:
    if type(size_average) is int:  # the operator: of a reduction
        reduction = size_average
    elif _legacy(size_average, reduce, weight):
        return NotImplemented
    square = on.record(Pointwise("square"), (on.record(Pair("sub"), (input, target)),))
    return _reduced(on, square, reduction)


@rule("smooth_l1_loss")
def smooth_l1_loss(
    on: Tape,
    input: Tensor,
    target: Tensor,
    size_average: Any = None,
    reduce: Any = None,
    reduction: Any = "mean",
    beta: Any = 1.0,
) -> Any:
    """Below ``beta`` half the square of the difference by it, above it the distance less a half."""
    if type(size_average) is int:  # the operator: of a reduction and beta
        reduction, beta, reduce = size_average, 1.0 if reduce is None else reduce, None
    elif _legacy(size_average, reduce):
        return NotImplemented
    if beta < 0:
        raise ShapeError("its beta is to be 0 or more")
    if not beta:  # all are above it
        return _reduced(on, _distance(on, input, target), reduction)
    return _reduced(on, _square_then_line(on, input, target), reduction)


@rule("huber_loss")
def huber_loss(
    on: Tape,
    input: Tensor,
    target: Tensor,
    reduction: Any = "mean",
    delta: Any = 1.0,
    weight: Tensor | None = None,
) -> Any:
    """Half the square of the difference; above ``delta`` that times the distance less a half."""
    if delta <= 0:
        raise ShapeError("its delta is to be more than 0")
    if weight is not None:
        return NotImplemented
    return _reduced(on, _square_then_line(on, input, target, Scale(delta)), reduction)


def _distance(on: Tape, input: Tensor, target: Tensor) -> Tensor:
    return on.record(Pointwise("abs"), (on.record(Pair("sub"), (input, target)),))


def _square_then_line(on: Tape, input: Tensor, target: Tensor, slope: Scale | None = None) -> Any:
    distance = _distance(on, input, target)
    near = on.record(Scale(0.5), (on.record(Pointwise("square"), (distance,)),))
    far = on.record(Pair("sub"), (distance,))
    far = far if slope is None else on.record(slope, (far,))
    return on.record(Pair("where"), (near, far))


@rule("soft_margin_loss")
def soft_margin_loss(
    on: Tape,
    input: Tensor,
    target: Tensor,
    size_average: Any = None,
    reduce: Any = None,
    reduction: Any = "mean",
) -> Any:
    """``log(1 + exp(-y·x))``."""
    if type(size_average) is int:  # the operator: of a reduction
        reduction = size_average
    elif _legacy(size_average, reduce):
        return NotImplemented
    product = on.record(Multiply(), (target, input))
    per_element = on.record(Pointwise("softplus"), (on.record(Pointwise("neg"), (product,)),))
    return _reduced(on, per_element, reduction)


@rule("binary_cross_entropy")
def binary_cross_entropy(
    on: Tape,
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: Any = "mean",
) -> Any:
    """``-(y·log(x) + (1 - y)·log(1 - x))``."""
    if _legacy(size_average, reduce):
        return NotImplemented
    yes = on.record(Multiply(), (target, on.record(Pointwise("log"), (input,))))
    less, other = (on.record(_ONE_LESS, (tensor,)) for tensor in (input, target))
    no = on.record(Multiply(), (other, on.record(Pointwise("log"), (less,))))
    per_element = on.record(Pointwise("neg"), (on.record(Add(), (yes, no)),))
    if weight is not None:
        per_element = on.record(Multiply(), (per_element, weight))
    return _reduced(on, per_element, reduction)


@rule("binary_cross_entropy_with_logits")
def binary_cross_entropy_with_logits(
    on: Tape,
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: Any = "mean",
    pos_weight: Tensor | None = None,
) -> Any:
    """``(1 - y)·x + log(1 + exp(-x))``."""
    if _legacy(size_average, reduce, pos_weight):
        return NotImplemented
    no = on.record(Multiply(), (on.record(_ONE_LESS, (target,)), input))
    yes = on.record(Pointwise("softplus"), (on.record(Pointwise("neg"), (input,)),))
    per_element = on.record(Add(), (no, yes))
    if weight is not None:
        per_element = on.record(Multiply(), (per_element, weight))
    return _reduced(on, per_element, reduction)


@rule("nll_loss_forward", "nll_loss2d_forward")
def nll_loss(
    on: Tape, input: Tensor, target: Tensor, weight: Tensor | None, reduction: int, *more: Any
) -> Any:
    """Of each row the element that the target says, negated; without those that are ignored."""
    require_alike(input, weight)
    if input.dim() == 4 and target.shape != (input.shape[0], *input.shape[2:]):
        expected = formatting.shape((input.shape[0], *input.shape[2:]))
        raise ShapeError(f"its target is {formatting.shape(target.shape)}, expected {expected}")
    chosen = torch.empty(target.shape, dtype=input.dtype, device=META)
    per_element = on.record(Pointwise("neg"), (on.moved("gather", (input,), chosen),))
    if weight is not None:
        per_element = on.record(
            Multiply(), (per_element, weight), shapes=(tuple(per_element.shape),) * 2
        )
    result = _reduced(on, per_element, reduction)
    return result, on.further(result, torch.empty((), dtype=input.dtype, device=META))


@rule("ctc_loss", checked=True)  # torch needs the values of lengths, and this needs none
def ctc_loss(
    on: Tape,
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: Any = "mean",
    zero_infinity: bool = False,
) -> Any:
    """The mean is that of the losses by their numbers of labels."""
    shape = tuple(log_probs.shape)
    if len(shape) not in (2, 3) or targets.dim() not in (1, 2):
        raise ShapeError(
            f"it takes steps, sequences and classes, and labels: not {formatting.shape(shape)} and "
            f"{formatting.shape(targets.shape)}"
        )
    steps, sequences, classes = shape if len(shape) == 3 else (shape[0], 1, shape[1])
    if targets.dim() == 2 and targets.shape[0] != sequences:
        raise ShapeError(f"it has {sequences} sequences, and labels of {targets.shape[0]}")
    if targets.numel() < sequences:
        return NotImplemented
    per_sequence = on.record(
        CtcLoss(targets.numel()),
        (log_probs,),
        shapes=((steps, sequences, classes),),
        result=torch.empty(shape[1:-1], dtype=log_probs.dtype, device=META),
    )
    if zero_infinity:
        per_sequence = on.record(Pair("where"), (per_sequence,))
    if _REDUCTIONS[reduction] == "mean":
        per_sequence = on.record(Pair("div"), (per_sequence,))
    return _reduced(on, per_sequence, reduction)
