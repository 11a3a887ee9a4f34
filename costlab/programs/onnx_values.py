"""Values of an ONNX graph that are known: constants, shapes, and what is computed of these.

In a module they are Python's numbers. So they are computed here, and are no layers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from costlab.errors import ProgramError
from costlab.torch_private import unseen_by_modes

MOST_KNOWN = 4096
"""How many elements a value may have that is computed here."""

TYPES = {
    1: torch.float32,
    2: torch.uint8,
    3: torch.int8,
    4: torch.uint16,
    5: torch.int16,
    6: torch.int32,
    7: torch.int64,
    9: torch.bool,
    10: torch.float16,
    11: torch.float64,
    12: torch.uint32,
    13: torch.uint64,
    14: torch.complex64,
    15: torch.complex128,
    16: torch.bfloat16,
    17: torch.float8_e4m3fn,
    18: torch.float8_e4m3fnuz,
    19: torch.float8_e5m2,
    20: torch.float8_e5m2fnuz,
}
if hasattr(torch, "float8_e8m0fnu"):  # younger than the oldest torch that works
    TYPES[24] = torch.float8_e8m0fnu
"""Types of elements by ONNX's numbers; torch has none for texts and numbers of few bits."""


def type_of(number: int) -> torch.dtype:
    """The type of elements. Raises ``ProgramError`` for one that torch does not have."""
    if number not in TYPES:
        raise ProgramError(f"elements of ONNX's type {number} have no type in torch")
    return TYPES[number]


class Known(NamedTuple):
    """A value whose elements are known."""

    tensor: Tensor


def known(elements: Any, dtype: torch.dtype = torch.int64) -> Known:
    """A value of these elements."""
    with unseen_by_modes():
        return Known(torch.tensor(elements, dtype=dtype, device="cpu"))


def numbers(value: Any) -> list[Any]:
    """The elements of a value that says how something is computed, such as a shape.

    Of an input they are asked for, which is an error that says so where they are not known.
    """
    value = tensor(value)
    if not isinstance(value, Tensor):
        return [value]
    with unseen_by_modes():  # a recorder says on which device a tensor would be
        is_there = value.device.type != "meta"
        elements = value.detach().tolist() if is_there else None
    return list(_flat(elements if is_there else value.tolist()))


def _flat(elements: Any) -> Iterator[Any]:
    if not isinstance(elements, list):
        yield elements
        return
    for element in elements:
        yield from _flat(element)


def number(value: Any, default: Any = None) -> Any:
    """The only element of a value; the default for none."""
    return default if value is None else numbers(value)[0]


def plain(value: Any) -> Any:
    """A value as torch's functions take it: numbers for those of one element that are known."""
    if not isinstance(value, Known):
        return value
    return number(value) if value.tensor.dim() == 0 else value.tensor


def tensor(value: Any) -> Any:
    """A value as a tensor."""
    return value.tensor if isinstance(value, Known) else value
