"""Nested tensors (``torch.nested``, layout jagged): calls on them are calls on all rows together.

Torch's own code says which. It is run with tensors on ``meta`` as the rows, and each call that it
makes on these is noted. What it computes by padding, or by the lengths, is answered here: a
reduction over the axis whose lengths differ, attention, and what takes the tensor apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nested import nested_tensor_from_jagged

from costlab.errors import ShapeError, TraceError
from costlab.ops.uncounted import Uncounted
from costlab.torch_private import PADDING, nested_offsets, nested_rows, unseen_by_modes
from costlab.trace.basics import Basic
from costlab.trace.registry import rules
from costlab.trace.rules.attention_kernels import packed_attention
from costlab.trace.rules.lookup import in_bags
from costlab.trace.tensors import META, tensors

if TYPE_CHECKING:
    from costlab.trace.classification import Call
    from costlab.trace.recorder import Recorder


def is_among(arguments: Any) -> bool:
    """Whether there is a nested tensor among nested arguments."""
    return any(tensor.is_nested for tensor in tensors(arguments))


def given(recorder: Recorder, tensor: Any, name: str) -> Any:
    """What stands for a nested tensor that a module is called with. Raises ``ShapeError``."""
    is_whole = tensor.layout is torch.jagged and tensor.is_contiguous()
    if not is_whole or tensor.lengths() is not None or recorder.is_real:
        why = "followed on shapes only, without real=True or --real" if is_whole else "not followed"
        raise ShapeError(
            f"{name} is a nested tensor, which is {why}: give one of layout=torch.jagged and "
            "without holes, its rows as one tensor (x.values()), or padded "
            "(x.to_padded_tensor(0.0))"
        )
    offsets = recorder.offsets.get(id(tensor.offsets()))
    if offsets is None:
        offsets = torch.empty_like(tensor.offsets(), device=META)
        recorder.offsets[id(tensor.offsets())] = offsets
        recorder.known.give(offsets, tensor.offsets(), name)
        recorder.tape.stored.appeared.given.append(offsets)
    rows = recorder.given(tensor.values().detach(), name)
    with unseen_by_modes():
        return _nested(rows, offsets, tensor.offsets())


def _nested(rows: Tensor, offsets: Tensor, known: Tensor | None) -> Any:
    """A nested tensor of these rows."""
    if known is None or known.device == META:
        return nested_tensor_from_jagged(rows, offsets)
    lengths = known.diff()
    least, most = (int(lengths.min()), int(lengths.max())) if len(lengths) else (0, 0)
    return nested_tensor_from_jagged(rows, offsets, min_seqlen=least, max_seqlen=most)


class _OnRows(Basic):  # type: ignore[no-untyped-call]
    """Notes the calls that a call on nested tensors makes on their rows."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        own = [type(tensor) for tensor in tensors((args, kwargs)) if tensor.is_nested]
        if not own:
            if func in PADDING:
                raise NotImplementedError  # it would be counted with what fills the rows up
            return super().__torch_dispatch__(func, types, args, kwargs)
        with self:  # else what it calls would not be seen
            return own[0].__torch_dispatch__(func, types, args, kwargs or {})


def answer(recorder: Recorder, made: Call, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """What a call with nested tensors gives. Raises ``TraceError``."""
    if made.users is not None:
        raise TraceError(f"{made.name} at {recorder.where()} has a rule: not for nested tensors")
    special = _SPECIAL.get(made.name)
    if special is not None:
        result = special(recorder, *args, **kwargs)
        if result is not NotImplemented:
            return result
    try:
        stood, named = recorder.tape.stood((args, kwargs))
        if named.get("device") is not None:
            named["device"] = META
        with _OnRows(recorder.tape, made.name):
            return func(*stood, **named)
    except NotImplementedError:
        raise TraceError(
            f"{made.name} of a nested tensor at {recorder.where()} is not followed: give its rows "
            "as one tensor (x.values()), or padded (x.to_padded_tensor(0.0))"
        ) from None


def _lengths(recorder: Recorder, tensor: Any) -> list[int]:
    offsets = recorder.value_of(nested_offsets(tensor), "lengths of a nested tensor")
    if offsets is None:
        raise recorder.needs_values("the lengths of a nested tensor")
    lengths: list[int] = offsets.diff().tolist()
    return lengths


def _unbind(recorder: Recorder, input: Any, dim: int = 0) -> Any:
    if dim or not _is_plain(input):
        return NotImplemented
    rows = nested_rows(input)
    parts = rows.split(_lengths(recorder, input))
    return tuple(recorder.tape.moved("unbind", (rows,), part) for part in parts)


def _item(recorder: Recorder, input: Any, index: Any) -> Any:
    return _unbind(recorder, input)[index] if type(index) is int else NotImplemented


def _reduced(function: str) -> Any:
    def reduced(
        recorder: Recorder, input: Any, dim: Any = None, keepdim: bool = False, **more: Any
    ) -> Any:
        """Over the axis whose lengths differ: the rows of each are summed, as those of a bag."""
        axes = [axis % input.dim() for axis in ([dim] if type(dim) is int else dim or ())]
        if axes != [1] or not _is_plain(input) or more:
            if 1 in axes:
                raise TraceError(
                    f"{function} of a nested tensor at {recorder.where()} over several axes is "
                    "not followed"
                )
            return NotImplemented
        offsets, rows = nested_offsets(input), nested_rows(input)
        result = in_bags(recorder.tape, rows, offsets, function, True)
        if not keepdim:
            return result
        return recorder.tape.moved("unsqueeze", (result,), result.unsqueeze(1))

    return reduced


def _is_plain(tensor: Any) -> bool:
    """Whether the axis whose lengths differ is the second: it is not transposed."""
    return tensor.dim() > 1 and not isinstance(tensor.shape[1], int)


def _attention(
    recorder: Recorder,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """Of ``[batch, heads, length, width]``: each sequence within itself."""
    both = [query, key, value]
    if attn_mask is not None or not all(t.is_nested and t.dim() == 4 for t in both):
        raise TraceError(
            f"attention at {recorder.where()} is followed of nested query, key and value with "
            "heads (batch, heads, length, width), without a mask"
        )
    tape = recorder.tape
    rows = [
        tape.moved("transpose", (nested_rows(t),), nested_rows(t).transpose(0, 1)) for t in both
    ]
    starts = (nested_offsets(query), nested_offsets(key))
    result = packed_attention(tape, rows[0], rows[1], rows[2], starts, None, is_causal)
    if result is NotImplemented:
        shape = (*rows[0].shape[:-1], rows[2].shape[-1])
        result = torch.empty(shape, dtype=query.dtype, device=META)
        tape.record(Uncounted("attention", shape), rows, result=result)
    known = recorder.value_of(starts[0], "lengths of a nested tensor")
    with _OnRows(tape, "transpose"):
        return _nested(result, starts[0], known).transpose(1, 2)


def _padded(recorder: Recorder, input: Any, padding: float, output_size: Any = None) -> Any:
    rows = nested_rows(input)
    return recorder.tape.moved(
        "to_padded_tensor", (rows,), input.to_padded_tensor(padding, output_size)
    )


def _dropout(recorder: Recorder, input: Any, *more: Any, **named: Any) -> Any:
    if not _is_plain(input):
        return NotImplemented
    result = rules()["dropout"](recorder.tape, nested_rows(input), *more, **named)
    offsets = nested_offsets(input)
    known = recorder.value_of(offsets, "lengths of a nested tensor")
    return _nested(result, offsets, known)


_SPECIAL = {
    "to_padded_tensor": _padded,
    "dropout": _dropout,
    "unbind": _unbind,
    "index": _item,
    "scaled_dot_product_attention": _attention,
    **{name: _reduced(name) for name in ("sum", "mean")},
}
"""What torch would do by padding, or cannot do on ``meta``."""
