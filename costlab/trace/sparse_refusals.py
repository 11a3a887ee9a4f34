"""Products with sparse tensors that torch refuses: tried once on tensors of one element."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.sparse import SparseSemiStructuredTensor

from costlab.errors import ShapeError, words_of
from costlab.torch_private import unseen_by_modes
from costlab.trace.tensors import nested, tensors

if TYPE_CHECKING:
    from costlab.trace.recorder import Recorder

_problems: dict[Any, str] = {}
"""What torch says of a function and kinds of arguments; nothing if it takes them."""


def require_taken(recorder: Recorder, func: Any, args: Any, kwargs: dict[str, Any]) -> None:
    """Refuse layouts, axes and types that torch refuses on the CPU, where these tensors are.

    Raises ``ShapeError``. What the CPU refuses another device may take.
    """
    given = tensors((args, kwargs))
    if any(
        isinstance(tensor, SparseSemiStructuredTensor) or recorder.devices.of(tensor).type != "cpu"
        for tensor in given
    ):
        return
    try:
        key = (func, _kinds((args, kwargs)))
        problem = _problems.get(key)
    except TypeError:  # what has no hash
        return
    if problem is None:
        problem = _problems[key] = _problem(func, args, kwargs)
    if problem:
        raise ShapeError(problem)


def _kinds(value: Any) -> Any:
    """All of nested arguments but the sizes of tensors."""
    if isinstance(value, Tensor):
        dense_axes = 0 if value.layout is torch.strided else value.dense_dim()
        return value.layout, value.dtype, value.dim(), dense_axes
    if isinstance(value, (tuple, list)):
        return tuple([_kinds(item) for item in value])
    if isinstance(value, dict):
        return tuple([(name, _kinds(item)) for name, item in value.items()])
    return value


def _problem(func: Any, args: Any, kwargs: dict[str, Any]) -> str:
    with unseen_by_modes():
        small, named = nested(_of_one_element, (args, kwargs))
        try:
            func(*small, **named)
        except Exception as error:
            return words_of(error)
    return ""


def _of_one_element(tensor: Tensor) -> Tensor:
    """A tensor of the same layout, axes and type."""
    one = torch.ones([1] * tensor.dim(), dtype=tensor.dtype)
    if tensor.layout is torch.strided:
        return one
    if tensor.layout is torch.sparse_coo:
        return one.to_sparse(tensor.dim() - tensor.dense_dim())
    blocks = (1, 1) if tensor.layout in (torch.sparse_bsr, torch.sparse_bsc) else None
    return one.to_sparse(layout=tensor.layout, blocksize=blocks, dense_dim=tensor.dense_dim())
