"""Which type torch promotes to."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def promoted(*values: Any) -> torch.dtype:
    """The type of what tensors and numbers together give."""
    types = {value.dtype for value in values if isinstance(value, Tensor)}
    numbers = {type(value) for value in values if isinstance(value, (int, float, complex))}
    if len(types) == 1 and not numbers - {bool}:
        return types.pop()
    if len(types) == 1 and numbers == {int} and types != {torch.bool}:
        return types.pop()
    result = None
    for value in values:
        if value is None:
            continue
        result = value if result is None else torch.result_type(result, value)
        if isinstance(result, torch.dtype):
            result = torch.empty((1,) if _ranked(values) else (), dtype=result, device="meta")
    assert isinstance(result, Tensor)
    return result.dtype


def _ranked(values: tuple[Any, ...]) -> bool:
    return any(isinstance(value, Tensor) and value.dim() for value in values)
