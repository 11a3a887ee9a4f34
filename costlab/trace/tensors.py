"""Tensors of torch: in nested arguments, their memory, their type."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from costlab.graph.values import DType
from costlab.isolation.contents import inside, is_opened

META = torch.device("meta")
_SIMPLE = frozenset((bool, float, int, str, type(None), torch.dtype, torch.device))
"""Types of most arguments, which hold no tensors."""


def nested(change: Callable[[Tensor], Tensor], value: Any) -> Any:
    """Nested tuples, lists, dicts and slices with their tensors changed."""
    if type(value) in _SIMPLE:
        return value
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, (tuple, list)):
        items = [nested(change, item) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if isinstance(value, dict):
        return {key: nested(change, item) for key, item in value.items()}
    if type(value) is slice:
        return slice(*nested(change, (value.start, value.stop, value.step)))
    return value


def tensors(value: Any) -> list[Tensor]:
    """The tensors in nested tuples, lists, dicts, slices and dataclasses."""
    leaves: list[Tensor] = []
    _collect(value, leaves)
    return leaves


def _collect(value: Any, leaves: list[Tensor]) -> None:
    if type(value) in _SIMPLE:
        return
    if isinstance(value, Tensor):
        leaves.append(value)
    elif isinstance(value, dict):
        for item in value.values():
            _collect(item, leaves)
    elif isinstance(value, (tuple, list)):
        for item in value:
            _collect(item, leaves)
    elif type(value) is slice:
        _collect((value.start, value.stop, value.step), leaves)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            _collect(getattr(value, field.name, None), leaves)


def held(value: Any, known: set[int] | None = None) -> Iterator[Tensor]:
    """The tensors in a value as `tensors` has them, and in objects of the user's own classes.

    Modules are not looked into.
    """
    known = set() if known is None else known
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from held(item, known)
    elif isinstance(value, (tuple, list, deque, set, frozenset)):
        for item in value:
            yield from held(item, known)
    elif type(value) is slice:
        yield from held((value.start, value.stop, value.step), known)
    elif id(value) not in known and is_opened(type(value)) and not isinstance(value, nn.Module):
        known.add(id(value))
        for item in inside(value):
            yield from held(item, known)


def of_its_kind(made: Tensor, tensor: Tensor) -> Tensor:
    """A new tensor as one of another's class, with its attributes; not of one that dispatches."""
    kind = type(tensor)
    plain = kind in (Tensor, nn.Parameter) or kind.__torch_dispatch__ is not _DISPATCH
    if plain or not issubclass(kind, Tensor):
        return made
    made = made.as_subclass(kind)
    vars(made).update(vars(tensor))
    return made


_DISPATCH = Tensor.__torch_dispatch__


def memory_of(tensor: Tensor) -> int:
    """What tensors of one memory have in common; tensors without one memory share none."""
    try:
        memory: int = tensor.untyped_storage()._cdata
    except (NotImplementedError, RuntimeError):  # sparse ones, and those of other libraries
        return id(tensor)
    return memory


@cache
def type_of(dtype: torch.dtype) -> DType:
    """A type of torch's as a type of ours."""
    return DType(str(dtype).removeprefix("torch."), dtype.itemsize)
