"""Lazy modules, whose weights have no shape until they are called: a copy is followed.

In the copy they get their shapes when they are called, as torch does it, and stay what they are in
the user's module.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from functools import partial
from itertools import chain
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import is_lazy

from costlab.errors import TraceError, said_of
from costlab.torch_private import unseen_by_modes
from costlab.trace.tensors import META


def copy_to_shape(module: nn.Module, real: bool) -> nn.Module:
    """A copy that shares the tensors of the module, but for those of its lazy modules.

    What is lazy is on ``meta`` in it, or if it is ``real`` where it was. Raises ``TraceError``.
    """
    memo: dict[int, Any] = {}
    apart: set[int] = set()
    for part in module.modules():
        own = list(_own_tensors(part))
        if any(map(is_lazy, own)):
            apart.update(map(id, own))
    for tensor in chain(module.parameters(), module.buffers()):
        if id(tensor) not in apart:
            memo[id(tensor)] = tensor
        elif is_lazy(tensor):
            memo[id(tensor)] = as_lazy(tensor, tensor.data.device if real else META)
    try:
        copy = deepcopy(module, memo)
    except Exception as error:
        raise TraceError(
            f"a module with lazy modules is copied, and this one cannot be: {said_of(error)}; "
            "run it once, so that none is lazy"
        ) from error
    for part in copy.modules():
        for key, hook in part._forward_pre_hooks.items():
            if _gives_shapes(hook):
                part._forward_pre_hooks[key] = partial(_unseen, hook)
        for tensor in filter(is_lazy, _own_tensors(part)):
            lazy: Any = tensor
            lazy.materialize = partial(_unseen, lazy.materialize)
    return copy


def as_lazy(tensor: Tensor, device: torch.device) -> Tensor:
    """Another lazy parameter or buffer like that one."""
    kind: Any = type(tensor)
    return kind(tensor.requires_grad, device, tensor.data.dtype)  # type: ignore[no-any-return]


def _own_tensors(module: nn.Module) -> Iterator[Tensor]:
    own = chain(module._parameters.values(), module._buffers.values())
    return (tensor for tensor in own if tensor is not None)


def _gives_shapes(hook: Any) -> bool:
    """Whether a hook is the one by which lazy modules get their shapes."""
    return isinstance(hook, MethodType) and (
        isinstance(hook.__self__, LazyModuleMixin) and hook.__name__ == "_infer_parameters"
    )


def _unseen(function: Any, *args: Any, **kwargs: Any) -> Any:
    """Making weights is no part of what a model computes."""
    with unseen_by_modes():
        return function(*args, **kwargs)


def require_shapes(parameters: dict[int, tuple[str, Tensor]]) -> None:
    """Refuse parameters that have no shape still. Raises ``TraceError``."""
    for name, parameter in parameters.values():
        if is_lazy(parameter):
            raise TraceError(
                f"{name} of a lazy module has no shape, since nothing calls that module: "
                "leave it out, or call it"
            )
