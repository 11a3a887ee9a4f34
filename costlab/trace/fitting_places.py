"""Elements that are put into a tensor, or taken from it, by calls that torch on ``meta`` takes.

What torch refuses of these otherwise is refused here: values that do not fit where they are put,
and indices that are none.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from costlab import formatting
from costlab.errors import ShapeError, words_of
from costlab.trace.refusals import require_alike, type_name
from costlab.trace.tensors import nested, tensors

if TYPE_CHECKING:
    from costlab.trace.classification import Call
    from costlab.trace.recorder import Recorder


def require_fits(
    recorder: Recorder, made: Call, func: Any, args: Any, kwargs: dict[str, Any]
) -> None:
    """Refuse elements that do not fit. Raises ``ShapeError``, or torch's own error."""
    if made.in_place:
        stood, named = recorder.tape.stood(args), recorder.tape.stood(kwargs)
        try:
            func(*stood, **named)
        except NotImplementedError:  # torch has no such operation on meta
            pass
        except RuntimeError as error:
            if "meta" not in words_of(error):  # torch's kernels say so where they would read it
                raise
    check = _CHECKS.get(made.name)
    if check is not None:
        with suppress(TypeError, NotImplementedError):  # it is called in another way
            check(recorder, *args, **kwargs)


def _items(recorder: Recorder, input: Tensor, index: Any, value: Any, *more: Any) -> None:
    """``x[index] = value``; of a mask the number of elements is known where its values are."""
    if not isinstance(value, Tensor):
        return

    def known_or_standin(tensor: Tensor) -> Tensor:
        known = recorder.known.of(tensor)
        return recorder.tape.standin(tensor) if known is None else known.copy

    items = nested(known_or_standin, index)
    masks = [item for item in tensors(items) if item.dtype in (torch.bool, torch.uint8)]
    if tensors(items) and (not masks or value.numel() != 1):
        require_alike(input, value)
    if any(mask.device.type == "meta" for mask in masks):
        return
    _require_broadcast(value, tuple(recorder.tape.standin(input)[items].shape))


def _masked(recorder: Recorder, input: Tensor, mask: Tensor, source: Tensor) -> None:
    require_alike(input, source)
    _require_broadcast(mask, tuple(input.shape))
    known = recorder.known.of(mask)
    places = 0 if known is None else int(known.copy.expand(input.shape).sum())
    if places > source.numel():
        raise ShapeError(f"{source.numel()} elements are too few for {places} places")


def _require_broadcast(tensor: Tensor, wanted: tuple[int, ...]) -> None:
    """Refuse a tensor that is not of that shape when it is broadcast."""
    own = tuple(tensor.shape)
    while len(own) > len(wanted) and own[0] == 1:
        own = own[1:]
    padded = (1,) * (len(wanted) - len(own)) + own
    fits = len(padded) == len(wanted) and all(
        size in (place, 1) for size, place in zip(padded, wanted, strict=True)
    )
    if not fits:
        raise ShapeError(f"{formatting.shape(own)} does not fit into {formatting.shape(wanted)}")


def _put(
    recorder: Recorder, input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False
) -> None:
    require_alike(input, source)
    _require_index(index, torch.int64)
    if index.numel() != source.numel():
        raise ShapeError(f"{source.numel()} elements do not fit into {index.numel()} places")


def _copied(recorder: Recorder, input: Tensor, dim: Any, index: Tensor, source: Tensor) -> None:
    require_alike(input, source)
    _require_index(index, torch.int64)


def _filled(recorder: Recorder, input: Tensor, dim: Any, index: Tensor, value: Any) -> None:
    _require_index(index, torch.int64)


def _selected(recorder: Recorder, input: Tensor, dim: Any, index: Tensor) -> None:
    _require_index(index, torch.int64, torch.int32)
    if index.dim() > 1:
        raise ShapeError(f"its index is {formatting.shape(index.shape)}, expected one axis")


def _require_index(index: Tensor, *types: torch.dtype) -> None:
    if index.dtype not in types:
        wanted = " or ".join(map(type_name, types))
        raise ShapeError(f"its index is {type_name(index.dtype)}, expected {wanted}")


def _scattered(view: str) -> Callable[..., None]:
    """Of ``select_scatter`` and its kin: the source has the shape of what it takes the place of."""

    def check(recorder: Recorder, input: Tensor, src: Tensor, *where: Any, **named: Any) -> None:
        place = getattr(torch.ops.aten, view)(recorder.tape.standin(input), *where, **named)
        if place.shape != src.shape:
            shapes = formatting.shape(src.shape), formatting.shape(place.shape)
            raise ShapeError(f"its source is {shapes[0]}, expected {shapes[1]}")

    return check


_CHECKS: dict[str, Callable[..., None]] = {
    "index_put": _items,
    "masked_scatter": _masked,
    "put": _put,
    "index_copy": _copied,
    "index_fill": _filled,
    "index_select": _selected,
    "select_scatter": _scattered("select"),
    "slice_scatter": _scattered("slice"),
    "diagonal_scatter": _scattered("diagonal"),
}
