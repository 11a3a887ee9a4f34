"""Tensors that have a shape, strides, a type and a device, memory of a size, and no values."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor

from costlab.torch_private import (
    FakeTensor,
    function_modes,
    get_data,
    no_data_pointer,
    set_data,
    unseen_by_functions,
    without_modes,
)

_MANY = 2**14
"""Looks that are kept, at most."""


class Look:
    """All that an answer depends on of a `Shape`; there is one of each, which is its own key."""

    __slots__ = ("bytes", "is_complex")

    def __init__(self, shape: tuple[int, ...], dtype: torch.dtype) -> None:
        self.bytes = prod(shape) * dtype.itemsize
        """Those of its elements."""
        self.is_complex = dtype.is_complex

    def __deepcopy__(self, memo: Any) -> None:
        """The copy of a tensor may look otherwise."""


_LOOKS: dict[tuple[Any, ...], Look] = {}


def _look(
    shape: tuple[int, ...], strides: tuple[int, ...], dtype: torch.dtype, device: torch.device
) -> Look:
    """How tensors of that shape, strides, type and device look."""
    key = shape, strides, dtype, device
    look = _LOOKS.get(key)
    if look is None:
        if len(_LOOKS) > _MANY:
            _LOOKS.clear()
        look = _LOOKS[key] = Look(shape, dtype)
    return look


class Shape(Tensor):
    """What stands for a tensor on its device: nothing lies in its memory, which is none."""

    __torch_function__ = unseen_by_functions

    own_look: Look | None = None
    """How it looks, once that was asked. Whatever changes its layout takes this away."""

    @property
    def data(self) -> Tensor:
        """As of any tensor."""
        own: Tensor = get_data(self)
        return own

    @data.setter
    def data(self, other: Tensor) -> None:
        set_data(self, other)
        self.own_look = None

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


def look_of(shape: Shape) -> Look:
    """How a `Shape` looks."""
    look = shape.own_look
    if look is None:
        look = _look(shape.shape, shape.stride(), shape.dtype, shape.device)
        shape.own_look = look
    return look


def look_as(layout: Layout) -> Look:
    """How tensors of a layout look."""
    return _look(*layout[:4])


_make: Any = Tensor._make_wrapper_subclass
_detached: Any = Tensor.detach


def made(layout: Layout, look: Look | None = None) -> Tensor:
    """A new tensor in memory of its own, which looks so, if that is known."""
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
    tensor.own_look = look  # type: ignore[attr-defined]
    return tensor


_METHODS: dict[int, Any] = {
    id(torch.ops.aten.view.default): Tensor.view,
    id(torch.ops.aten.t.default): Tensor.t,
    id(torch.ops.aten.transpose.int): Tensor.transpose,
    id(torch.ops.aten.expand.default): Tensor.expand,
}
"""The usual views, by the identities of torch's functions, and what says the same in less time."""

_VIEWS: dict[tuple[Any, ...], Look] = {}
"""How they look: by the function, the look of what is viewed, and how."""


def viewed(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """What an operation gives that only looks at the memory of a tensor otherwise."""
    shape, *how = args
    method = _METHODS.get(id(func))
    if method is not None and type(shape) is Shape and not (kwargs or function_modes()):
        how = how[0] if how and type(how[0]) is list else how
        if how or method is Tensor.t:
            return _usual_view(method, shape, how)
    with without_modes():
        result = func(*args, **kwargs)
    if not isinstance(shape, Shape):
        return result
    if result is shape:
        result.own_look = None
        return result
    for tensor in (result,) if isinstance(result, Tensor) else result:
        tensor.__class__ = Shape  # as it is inside; no other copy of it is made
    return result


def _usual_view(method: Any, shape: Shape, how: list[int]) -> Any:
    with without_modes():
        result = method(shape, *how)
    result.__class__ = Shape
    key = method, shape.own_look or look_of(shape), *how
    look = _VIEWS.get(key)
    if look is None:
        if len(_VIEWS) > _MANY:
            _VIEWS.clear()
        look = _VIEWS[key] = look_of(result)
    result.own_look = look
    return result


def same_memory(tensor: Tensor) -> Tensor:
    """Another tensor that is the same, in the same memory, and of which nothing is derived."""
    with without_modes():
        alias: Any = _detached(tensor)
    if type(tensor) is Shape:
        alias.__class__ = Shape
        alias.own_look = tensor.own_look
    if isinstance(tensor, FakeTensor):  # of sizes that are symbols
        with without_modes():
            return FakeTensor(tensor.fake_mode, alias, tensor.fake_device)  # type: ignore[no-any-return]
    return alias  # type: ignore[no-any-return]


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
        tensor.own_look = None
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
            if not SIMPLE.issuperset(map(type, value)):
                tensors += taken_of(value)
        elif kind not in SIMPLE and isinstance(value, Tensor):
            tensors.append(value)
    return tensors
