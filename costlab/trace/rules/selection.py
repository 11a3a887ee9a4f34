"""What puts elements in order, finds them in sets, and counts them; distances of all pairs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from costlab.errors import ShapeError
from costlab.graph.op import Shape
from costlab.ops.distance import PairDistances
from costlab.ops.select import Distinct, Histogram, IsIn, Search, Sort, Suppress
from costlab.trace.registry import rule, rule_of_results
from costlab.trace.tape import Tape
from costlab.trace.tensors import META


def _with_places(on: Tape, op: Sort, input: Tensor) -> Any:
    """The elements and their places, of the kind that torch gives."""
    values = on.record(op, (input,))
    places = torch.empty(values.shape, dtype=torch.int64, device=META)
    kind: Any = getattr(torch.return_types, op.function)
    return kind((values, on.further(values, places)))


@rule("topk")
def topk(
    on: Tape, input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True
) -> Any:
    return _with_places(on, Sort("topk", dim, k), input)


@rule("sort")
def sort(
    on: Tape, input: Tensor, dim: int = -1, descending: bool = False, *, stable: bool | None = None
) -> Any:
    if isinstance(dim, bool):
        return NotImplemented
    return _with_places(on, Sort("sort", dim), input)


@rule("argsort")
def argsort(
    on: Tape, input: Tensor, dim: int = -1, descending: bool = False, *, stable: bool = False
) -> Any:
    return on.record(Sort("argsort", dim), (input,), dtype=torch.int64)


@rule("msort")
def msort(on: Tape, input: Tensor) -> Any:
    return on.record(Sort("msort", 0), (input,))


@rule("kthvalue")
def kthvalue(on: Tape, input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    return _with_places(on, Sort("kthvalue", dim, k, True, keepdim), input)


def _median(function: str) -> Any:
    def median(on: Tape, input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
        """The lower one of two in the middle."""
        if dim is None:
            size = input.numel()
            op = Sort(function, 0, (size + 1) // 2, True)
            return on.record(op, (input,), shapes=((size,),))
        size = input.shape[dim] if input.dim() else 1
        return _with_places(on, Sort(function, dim, (size + 1) // 2, True, keepdim), input)

    return median


rule("median")(_median("median"))
rule("nanmedian")(_median("nanmedian"))


@rule("isin")
def isin(
    on: Tape,
    elements: Any,
    test_elements: Any,
    *,
    assume_unique: bool = False,
    invert: bool = False,
) -> Any:
    both = [
        operand if isinstance(operand, Tensor) else None for operand in (elements, test_elements)
    ]
    given = [operand for operand in both if operand is not None]
    shapes = tuple(() if operand is None else tuple(operand.shape) for operand in both)
    first = torch.empty(shapes[0], dtype=torch.bool, device=META)
    op = IsIn()
    if len(given) == 2:
        return on.record(op, given, result=first)
    if both[0] is None:
        return NotImplemented
    number = torch.empty((), device=META)
    return on.record(op, (given[0], number), result=first)


@rule("bucketize")
def bucketize(
    on: Tape, input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False
) -> Any:
    return _places_in(on, "bucketize", boundaries, input, out_int32)


@rule("searchsorted")
def searchsorted(
    on: Tape,
    sorted_sequence: Tensor,
    input: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Tensor | None = None,
) -> Any:
    if sorter is not None:
        ordered = torch.empty(sorter.shape, dtype=sorted_sequence.dtype, device=META)
        sorted_sequence = on.moved("gather", (sorted_sequence, sorter), ordered)
    return _places_in(on, "searchsorted", sorted_sequence, input, out_int32)


def _places_in(on: Tape, function: str, rows: Tensor, values: Any, small: bool) -> Any:
    if not isinstance(values, Tensor):
        values = torch.empty((), device=META)
    return on.record(Search(function), (values, rows), dtype=torch.int32 if small else torch.int64)


@rule("histc")
def histc(on: Tape, input: Tensor, bins: int = 100, min: Any = 0, max: Any = 0) -> Any:
    if min == max:  # the range is then found first
        return NotImplemented
    return on.record(Histogram("histc", bins, True), (input,))


@rule("cdist")
def cdist(on: Tape, x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: Any = None) -> Any:
    return on.record(PairDistances(float(p)), (x1, x2))


@rule("_euclidean_dist")
def euclidean(on: Tape, x1: Tensor, x2: Tensor) -> Any:
    return cdist(on, x1, x2)


@rule_of_results("bincount")
def bincount(shape: Shape, input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Any:
    operands = (input,) if weights is None else (input, weights)
    return Histogram("bincount", shape[0], False), operands


def _distinct(function: str) -> Any:
    def distinct(shape: Shape, input: Tensor, *more: Any, **named: Any) -> Any:
        """Of all elements; with the places of each, or along an axis, it is another operation."""
        wanted = ("return_inverse", "return_counts", "dim")
        told = {**dict(zip(_ORDER[function], more, strict=False)), **named}
        if any(told.get(name) is not None and told[name] is not False for name in wanted):
            return NotImplemented
        return Distinct(function, shape[0], function == "unique"), (input,)

    return distinct


_ORDER = {
    "unique": ("sorted", "return_inverse", "return_counts", "dim"),
    "unique_consecutive": ("return_inverse", "return_counts", "dim"),
}
for _name in _ORDER:
    rule_of_results(_name)(_distinct(_name))


@rule_of_results("torchvision::nms")
def nms(shape: Shape, boxes: Tensor, scores: Tensor, iou_threshold: float) -> Any:
    return Suppress(shape[0]), (boxes, scores)


@rule_of_results("histc")
def histc_of_its_range(shape: Shape, input: Tensor, bins: int = 100, *range: Any) -> Any:
    """The range is found first: the least and the largest element."""
    return Histogram("histc", bins, True, True), (input,)


@rule("multinomial")
def multinomial(
    on: Tape, input: Tensor, num_samples: int, replacement: bool = False, *, generator: Any = None
) -> Any:
    """Random places: drawn, as random numbers are."""
    if not input.is_floating_point() or input.dim() > 2 or num_samples < 1:
        raise ShapeError(f"it draws {num_samples} by rows of weights, floating-point numbers")
    if not replacement and num_samples > input.shape[-1]:
        raise ShapeError(
            f"it draws {num_samples} of {input.shape[-1]} without replacement: expected fewer"
        )
    places = torch.empty((*input.shape[:-1], num_samples), dtype=torch.int64, device=META)
    return on.moved("multinomial", (input,), places)
