"""Tensors that have a shape, strides, a type and a device, memory of a size, and no values."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor

from costlab.torch_private import no_data_pointer, unseen_by_functions, without_modes


class Shape(Tensor):
    """What stands for a tensor on its device: nothing lies in its memory, which is none."""

    __torch_function__ = unseen_by_functions

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        raise RuntimeError(f"{func} of a tensor without values, which is used after its run")

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return f"Shape({tuple(self.shape)}, {self.dtype})"


class Layout(NamedTuple):
    """All that is known of a tensor beside its values."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device
    bytes: int | None = None
    """Those of its memory; None if that is as large as shape and strides say."""
    offset: int = 0

    @property
    def size(self) -> int:
        """The bytes of its memory."""
        return prod(self.shape) * self.dtype.itemsize if self.bytes is None else self.bytes


_make: Any = Tensor._make_wrapper_subclass
_as_subclass: Any = Tensor._make_subclass


def made(layout: Layout) -> Tensor:
    """A new tensor in memory of its own."""
    shape, strides, dtype, device, size, offset = layout
    if size is None:
        tensor: Tensor = _make(Shape, shape, strides, dtype=dtype, device=device)
    else:
        tensor = _make(
            Shape,
            shape,
            strides=strides,
            storage_offset=offset,
            dtype=dtype,
            device=device,
            storage_size=size,
        )
    no_data_pointer(tensor)
    return tensor


def viewed(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """What an operation gives that only looks at the memory of a tensor otherwise."""
    with without_modes():
        result = func(*args, **kwargs)
    if result is args[0] or not isinstance(args[0], Shape):
        return result
    if isinstance(result, Tensor):
        return _as_subclass(Shape, result)
    return type(result)(_as_subclass(Shape, tensor) for tensor in result)


def same_memory(tensor: Tensor) -> Tensor:
    """Another tensor that is the same, in the same memory, and of which nothing is derived."""
    with without_modes():
        alias: Tensor = _as_subclass(Shape, tensor)
    return alias


def within(tensor: Tensor, layout: Layout) -> Tensor:
    """A tensor in the memory of another one; the layout says where in it."""
    inside = made(layout._replace(bytes=0))
    with without_modes():
        storage: Any = tensor.untyped_storage()
        return inside.set_(storage, layout.offset, layout.shape, layout.strides)


def resized(tensor: Tensor, layout: Layout) -> Tensor:
    """A tensor itself, which has got another layout, and other memory if its own is too small."""
    with without_modes():
        if not isinstance(tensor, Shape):
            tensor.resize_(layout.shape)
            return tensor
        room = tensor if tensor.untyped_storage().nbytes() >= layout.size else made(layout)
        storage: Any = room.untyped_storage()
        return tensor.set_(storage, layout.offset, layout.shape, layout.strides)


SIMPLE = {type(None), bool, int, float, str, torch.dtype, torch.device}
"""Kinds of arguments that are no tensors; to ask whether one is a tensor takes longer."""


def taken_of(values: Iterable[Any]) -> list[Tensor]:
    """The tensors among the arguments or the results of an operation, and in lists of them."""
    tensors: list[Tensor] = []
    for value in values:
        kind = type(value)
        if kind is Shape:
            tensors.append(value)
        elif kind is list or kind is tuple:
            tensors += taken_of(value)
        elif kind not in SIMPLE and isinstance(value, Tensor):
            tensors.append(value)
    return tensors
