"""Operators of ONNX that reduce, reshape, join, pick and make values."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, cast

import torch
from torch import SymInt
from torch.nn import functional

from costlab.programs.onnx_operators import (
    Attributes,
    operator,
    padded,
)
from costlab.programs.onnx_sizes import known_sizes, sizes
from costlab.programs.onnx_values import Known, known, number, numbers, tensor
from costlab.programs.program import NotFollowedError


def _axes(attributes: Attributes, x: Any, axes: Any) -> list[int]:
    own = numbers(axes) if axes is not None else attributes.get("axes")
    if not own:
        return [] if attributes.get("noop_with_empty_axes") else list(range(x.dim()))
    return [int(axis) for axis in own]


_REDUCED: dict[str, Callable[..., Any]] = {
    "ReduceMean": torch.mean,
    "ReduceSum": torch.sum,
    "ReduceMax": torch.amax,
    "ReduceMin": torch.amin,
    "ReduceLogSumExp": torch.logsumexp,
    "ReduceL1": lambda x, axes, keep: torch.linalg.vector_norm(x, 1, axes, keep),
    "ReduceL2": lambda x, axes, keep: torch.linalg.vector_norm(x, 2, axes, keep),
    "ReduceSumSquare": lambda x, axes, keep: torch.sum(x * x, axes, keep),
    "ReduceLogSum": lambda x, axes, keep: torch.sum(x, axes, keep).log(),
}


@operator(*_REDUCED)
def _reduce(attributes: Attributes, x: Any, axes: Any = None) -> Any:
    x = tensor(x)
    own = _axes(attributes, x, axes)
    keep = bool(attributes.get("keepdims", 1))
    return _REDUCED[attributes["operator"]](x, own, keep) if own else x


@operator("ReduceProd")
def _product(attributes: Attributes, x: Any, axes: Any = None) -> Any:
    x = tensor(x)
    keep = bool(attributes.get("keepdims", 1))
    for axis in sorted((axis % x.dim() for axis in _axes(attributes, x, axes)), reverse=True):
        x = torch.prod(x, axis, keep)
    return x


@operator("ArgMax", "ArgMin")
def _arg(attributes: Attributes, x: Any) -> Any:
    function = torch.argmax if attributes["operator"] == "ArgMax" else torch.argmin
    return function(x, attributes.get("axis", 0), bool(attributes.get("keepdims", 1)))


@operator("TopK")
def _top(attributes: Attributes, x: Any, k: Any) -> Any:
    largest, in_order = (bool(attributes.get(name, 1)) for name in ("largest", "sorted"))
    return tuple(torch.topk(x, int(number(k)), attributes.get("axis", -1), largest, in_order))


@operator("CumSum")
def _cumsum(attributes: Attributes, x: Any, axis: Any) -> Any:
    x, along = tensor(x), int(number(axis))
    if attributes.get("reverse"):
        x = x.flip(along)
    if attributes.get("exclusive"):  # each is the sum of those before it
        first = torch.zeros_like(x.narrow(along, 0, 1))
        rest = x.narrow(along, 0, x.shape[along] - 1)
        x = torch.cat([first, torch.cumsum(rest, along, dtype=x.dtype)], along)
    else:
        x = torch.cumsum(x, along, dtype=x.dtype)
    return x.flip(along) if attributes.get("reverse") else x


# Shapes.


@operator("Shape")
def _shape(attributes: Attributes, x: Any) -> Any:
    shape = list(tensor(x).shape)
    return known_sizes(shape[attributes.get("start", 0) : attributes.get("end", len(shape))])


@operator("Size")
def _size(attributes: Attributes, x: Any) -> Any:
    return known_sizes(prod(tensor(x).shape))


@operator("Reshape")
def _reshape(attributes: Attributes, x: Any, shape: Any) -> Any:
    x = tensor(x)
    zero = attributes.get("allowzero", 0)
    wanted = [
        size if isinstance(size, SymInt) else x.shape[axis] if size == 0 and not zero else int(size)
        for axis, size in enumerate(sizes(shape))
    ]
    return torch.reshape(x, wanted)


@operator("Flatten")
def _flatten(attributes: Attributes, x: Any) -> Any:
    axis = attributes.get("axis", 1)
    axis = axis % x.dim() if axis < 0 else axis
    if axis == 1:
        return torch.flatten(x, 1)
    return torch.reshape(x, (prod(x.shape[:axis]), prod(x.shape[axis:])))


@operator("Squeeze")
def _squeeze(attributes: Attributes, x: Any, axes: Any = None) -> Any:
    x = tensor(x)
    own = numbers(axes) if axes is not None else attributes.get("axes")
    return torch.squeeze(x) if own is None else torch.squeeze(x, tuple(map(int, own)))


@operator("Unsqueeze")
def _unsqueeze(attributes: Attributes, x: Any, axes: Any = None) -> Any:
    x = tensor(x)
    own = numbers(axes) if axes is not None else attributes["axes"]
    rank = x.dim() + len(own)
    for axis in sorted(int(axis) % rank for axis in own):
        x = torch.unsqueeze(x, axis)
    return x


@operator("Transpose")
def _transpose(attributes: Attributes, x: Any) -> Any:
    x = tensor(x)
    return x.permute(attributes.get("perm") or list(reversed(range(x.dim()))))


@operator("Expand")
def _expand(attributes: Attributes, x: Any, shape: Any) -> Any:
    x, broadcast = tensor(x), cast(Any, torch.broadcast_shapes)
    return x.expand(broadcast(tuple(x.shape), tuple(sizes(shape))))


@operator("Tile")
def _tile(attributes: Attributes, x: Any, repeats: Any) -> Any:
    return tensor(x).repeat(*sizes(repeats))


@operator("Concat")
def _concat(attributes: Attributes, *inputs: Any) -> Any:
    return torch.cat([tensor(given) for given in inputs], attributes["axis"])


@operator("Split")
def _split(attributes: Attributes, x: Any, sizes: Any = None) -> Any:
    axis = attributes.get("axis", 0)
    own = numbers(sizes) if sizes is not None else attributes.get("split")
    if own is None:
        count = attributes.get("num_outputs", attributes["results"])
        own = -(-tensor(x).shape[axis] // count)
    return tuple(torch.split(tensor(x), own if isinstance(own, int) else list(map(int, own)), axis))


@operator("Slice")
def _slice(attributes: Attributes, x: Any, *inputs: Any) -> Any:
    x = tensor(x)
    starts, ends, axes, steps = (
        None if bounds is None else numbers(bounds) for bounds in (*inputs, None, None)[:4]
    )
    if starts is None or ends is None:
        raise NotFollowedError("a slice without bounds: they are inputs from opset 10 on")
    axes = axes or list(range(len(starts)))
    steps = steps or [1] * len(starts)
    index = [slice(None)] * x.dim()
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if step < 0:
            if (start, step) == (-1, -1) and end < -x.shape[axis]:
                x = torch.flip(x, [int(axis)])
                continue
            raise NotFollowedError("a slice that goes backwards")
        low, high, _ = slice(int(start), int(end), int(step)).indices(x.shape[axis])
        index[axis] = slice(low, max(low, high), int(step))
    return x if all(part == slice(None) for part in index) else x[tuple(index)]


@operator("Gather")
def _gather(attributes: Attributes, x: Any, indices: Any) -> Any:
    axis = attributes.get("axis", 0)
    x = tensor(x)
    if isinstance(indices, Known) and indices.tensor.dim() == 0:
        return x.select(axis, int(number(indices)))
    own = tensor(indices)
    if isinstance(indices, Known):
        own = own + (own < 0) * x.shape[axis]
    if axis == 0 and x.dim() == 2 and x.is_floating_point():
        return functional.embedding(own, x)
    axis = axis % x.dim()
    shape = (*x.shape[:axis], *own.shape, *x.shape[axis + 1 :])
    return torch.index_select(x, axis, own.reshape(-1)).reshape(shape)


@operator("GatherElements")
def _gather_elements(attributes: Attributes, x: Any, indices: Any) -> Any:
    return torch.gather(tensor(x), attributes.get("axis", 0), tensor(indices))


@operator("Pad")
def _pad(attributes: Attributes, x: Any, pads: Any, value: Any = None, axes: Any = None) -> Any:
    x = tensor(x)
    own = [int(n) for n in numbers(pads)]
    half = len(own) // 2
    along = list(range(x.dim())) if axes is None else [int(n) % x.dim() for n in numbers(axes)]
    before, behind = [0] * x.dim(), [0] * x.dim()
    for axis, low, high in zip(along, own[:half], own[half:], strict=True):
        before[axis], behind[axis] = low, high
    mode = {"edge": "replicate", "reflect": "reflect", "wrap": "circular"}.get(
        attributes.get("mode", "constant")
    )
    if mode is None:
        return padded(x, before, behind, value=number(value, 0.0))
    if any((*before[:2], *behind[:2])):
        raise NotFollowedError("torch repeats elements of the space alone")
    return padded(x, before[2:], behind[2:], mode)


@operator("DepthToSpace")
def _depth_to_space(attributes: Attributes, x: Any) -> Any:
    block = attributes["blocksize"]
    if attributes.get("mode", "DCR") == "CRD":
        return functional.pixel_shuffle(x, block)
    n, c, h, w = x.shape
    own = x.reshape(n, block, block, c // block**2, h, w).permute(0, 3, 4, 1, 5, 2)
    return own.reshape(n, c // block**2, h * block, w * block)


@operator("SpaceToDepth")
def _space_to_depth(attributes: Attributes, x: Any) -> Any:
    return functional.pixel_unshuffle(x, attributes["blocksize"])


@operator("Trilu")
def _trilu(attributes: Attributes, x: Any, k: Any = None) -> Any:
    function = torch.triu if attributes.get("upper", 1) else torch.tril
    return function(tensor(x), int(number(k, 0)))


@operator("ConstantOfShape")
def _constant_of_shape(attributes: Attributes, shape: Any) -> Any:
    value = attributes.get("value")
    filled = known(0.0, torch.float32) if value is None else value
    return torch.full(tuple(sizes(shape)), number(filled), dtype=filled.tensor.dtype)


@operator("Range")
def _range(attributes: Attributes, start: Any, limit: Any, delta: Any) -> Any:
    return torch.arange(number(start), number(limit), number(delta), dtype=tensor(start).dtype)


@operator("NonZero")
def _nonzero(attributes: Attributes, x: Any) -> Any:
    return torch.nonzero(tensor(x)).t()


@operator("ScatterND")
def _scatter(attributes: Attributes, x: Any, indices: Any, updates: Any) -> Any:
    if attributes.get("reduction", "none") != "none":
        raise NotFollowedError("a scatter that adds is not followed")
    own = tensor(indices)
    return torch.index_put(tensor(x), tuple(own.unbind(-1)), tensor(updates))


@operator("ScatterElements")
def _scatter_elements(attributes: Attributes, x: Any, indices: Any, updates: Any) -> Any:
    if attributes.get("reduction", "none") != "none":
        raise NotFollowedError("a scatter that adds is not followed")
    return torch.scatter(tensor(x), attributes.get("axis", 0), tensor(indices), tensor(updates))


@operator("GatherND")
def _gather_nd(attributes: Attributes, x: Any, indices: Any) -> Any:
    if attributes.get("batch_dims", 0):
        raise NotFollowedError("GatherND with batch_dims is not followed")
    return tensor(x)[tuple(tensor(indices).unbind(-1))]


@operator("SplitToSequence")
def _split_to_sequence(attributes: Attributes, x: Any, sizes: Any = None) -> Any:
    axis, own = attributes.get("axis", 0), [1] if sizes is None else numbers(sizes)
    one_size = sizes is None or tensor(sizes).dim() == 0
    pieces = torch.split(tensor(x), int(own[0]) if one_size else list(map(int, own)), axis)
    if sizes is None and not attributes.get("keepdims", 1):
        return [piece.squeeze(axis) for piece in pieces]
    return list(pieces)


@operator("SequenceConstruct")
def _sequence(attributes: Attributes, *inputs: Any) -> Any:
    return list(inputs)


@operator("SequenceAt")
def _at(attributes: Attributes, sequence: Any, position: Any) -> Any:
    return sequence[int(number(position))]


@operator("ConcatFromSequence")
def _concat_sequence(attributes: Attributes, sequence: Any) -> Any:
    join = torch.stack if attributes.get("new_axis") else torch.cat
    return join([tensor(element) for element in sequence], attributes["axis"])
