"""Copies of modules, and of what they are called with, whose tensors are copied in some other way.

``deepcopy`` refuses tensors that were computed from parameters, and takes long over the dozen of
empty containers that every module has.
"""

from __future__ import annotations

from collections import OrderedDict
from copy import deepcopy
from functools import lru_cache
from types import BuiltinFunctionType, FunctionType, NoneType
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, handle_torch_function, has_torch_function_unary

from costlab.isolation.replaced import Shared

_OF_PARAMETERS: Any = nn.Parameter.__deepcopy__


def _deepcopy_of_parameter(parameter: nn.Parameter, memo: dict[int, Any]) -> Any:
    """As that of other tensors it asks modes, which torch's own does not."""
    if has_torch_function_unary(parameter):
        return handle_torch_function(_deepcopy_of_parameter, (parameter,), parameter, memo)
    return _OF_PARAMETERS(parameter, memo)


_modes_are_asked = Shared((nn.Parameter, {"__deepcopy__": _deepcopy_of_parameter}))

_DEEPCOPIES: Any = (Tensor.__deepcopy__, _deepcopy_of_parameter)

_THEMSELVES = {
    *(NoneType, bool, int, float, str, bytes, type, FunctionType, BuiltinFunctionType),
    *(torch.dtype, torch.device),
}
"""Kinds of values that are their own copies."""

_TEXT = {str}

_CONTAINERS = {dict, OrderedDict, set}

_ABOUT = ("__deepcopy__", "__getstate__", "__getnewargs__", "__getnewargs_ex__")
"""Methods that have a say in how an object is copied."""

_SETS_STATE = {
    kind.__setstate__
    for kind in (nn.Module, nn.Conv2d, nn.MultiheadAttention, nn.TransformerEncoderLayer)
}
"""Those that set the attributes, and add what modules of older versions of torch lack."""


class Copying(TorchFunctionMode):
    """Copies a value with all that it holds. ``tensor`` says what becomes of a tensor."""

    shares_empty = False
    """Whether copies of modules have their empty containers: somebody empties them afterwards."""

    def tensor(self, tensor: Tensor, memo: dict[int, Any]) -> Tensor:
        """The copy of a tensor that has none yet."""
        raise NotImplementedError

    def copied(self, value: Any, memo: dict[int, Any] | None = None) -> Any:
        """The copy. ``memo`` has copies that are there already, by the identity of the original."""
        memo = {} if memo is None else memo
        with _modes_are_asked(), self:
            for item in value if isinstance(value, tuple) else (value,):
                if isinstance(item, nn.Module):
                    _copy_modules(item, memo, self.shares_empty)
            return deepcopy(value, memo)

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func not in _DEEPCOPIES:
            return func(*args, **(kwargs or {}))
        tensor, memo = args
        if id(tensor) not in memo:
            memo[id(tensor)] = self.tensor(tensor, memo)
        return memo[id(tensor)]


def _copy_modules(root: nn.Module, memo: dict[int, Any], shares_empty: bool) -> None:
    """Copy the modules of a model whose classes leave that to Python, as ``deepcopy`` would."""
    dicts: list[tuple[dict[str, Any], dict[str, Any]]] = []
    for module in root.modules():
        kind: Any = type(module)
        if id(module) not in memo and _is_copied_as_usual(kind):
            memo[id(module)] = copy = object.__new__(kind)
            dicts.append((module.__dict__, copy.__dict__))
    later = []
    for own, copied in dicts:  # which grow by those in them
        copied.update(own)
        for name, value in own.items():
            kind = type(value)
            if kind in _THEMSELVES or (shares_empty and kind in _CONTAINERS and not value):
                continue
            identity = id(value)
            if identity in memo:
                copied[name] = memo[identity]
            elif kind in _CONTAINERS and not value:  # a dozen of each module
                copied[name] = memo[identity] = kind()
            elif (kind is dict or kind is OrderedDict) and _TEXT.issuperset(map(type, value)):
                copied[name] = memo[identity] = kind()
                dicts.append((value, copied[name]))
            elif not _is_its_copy(value):
                copied[name] = None
                later.append((copied, name, value))
    for copied, name, value in later:  # when what it may ask of modules is there
        copied[name] = deepcopy(value, memo)


def _is_its_copy(value: Any) -> bool:
    """Whether a value is its own copy, as a tuple of such values is."""
    kind = type(value)
    if kind is not tuple:
        return kind in _THEMSELVES
    return _THEMSELVES.issuperset(map(type, value)) or all(map(_is_its_copy, value))


@lru_cache(maxsize=1024)
def _is_copied_as_usual(kind: Any) -> bool:
    """Whether a copy of a module of that kind is its attributes, and nothing has a say in it."""
    return (
        kind.__new__ is object.__new__
        and kind.__reduce_ex__ is object.__reduce_ex__
        and kind.__reduce__ is object.__reduce__
        and kind.__setstate__ in _SETS_STATE
        and all(getattr(kind, name, None) is getattr(nn.Module, name, None) for name in _ABOUT)
        and not any(vars(base).get("__slots__") for base in kind.__mro__)
    )
