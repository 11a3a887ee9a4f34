"""Which type torch promotes to."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def promoted(*values: Any) -> torch.dtype:
    """The type of what tensors and numbers together give."""
    types = {each.dtype for each in values if isinstance(each, Tensor)}
    numbers = {type(each) for each in values if isinstance(each, (int, float, complex))}
    if len(types) == 1 and not numbers - {bool}:
        return types.pop()
    if len(types) == 1 and numbers == {int} and types != {torch.bool}:
        return types.pop()
    result = None
    for each in values:
        if each is None:
            continue
        result = each if result is None else torch.result_type(result, each)
        if isinstance(result, torch.dtype):
            result = torch.empty((1,) if _ranked(values) else (), dtype=result, device="meta")
    assert isinstance(result, Tensor)
    return result.dtype


def _ranked(values: tuple[Any, ...]) -> bool:
    return any(isinstance(each, Tensor) and each.dim() for each in values)
