"""What is asked of the memory of a run: types, optimizers, and sizes of memory."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from costlab import formatting
from costlab.costs.optimizers import STEPS
from costlab.errors import ChoiceError, UnknownNameError
from costlab.graph.values import may_be_type
from costlab.symbols.size import sum_of

if TYPE_CHECKING:
    import torch

OPTIMIZERS = {
    name: (step.state, 4 if name.startswith("adam") else 0) for name, step in STEPS.items()
}
"""What an optimizer keeps of each parameter that learns: tensors of its size, and the bytes of its
counter of steps."""

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BINARY = {"ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


class Settings(NamedTuple):
    """How a model is run: the type of its numbers (``""``: as it is), and what trains it."""

    dtype: str = ""
    optimizer: str = ""
    checkpointed: bool = False
    """Whether its blocks are computed again in the backward pass."""


class How(NamedTuple):
    """How a module is run, and how its memory is counted."""

    training: bool = False
    """Whether it is a step: in training mode, and then backward from the sum of what it gives."""
    dtype: torch.dtype | None = None
    """The type of all floating-point numbers of the module and of what it takes, if another."""
    real: bool = False
    """Whether it is computed."""
    block: int = 1
    """Each piece of memory takes a multiple of so many bytes."""
    checkpointed: bool = False
    """Whether its blocks are computed again in the backward pass (see `alternatives.blocks`)."""
    part: str = ""
    """The submodule that is meant, if it is not the whole: with what its first call is given."""


def rounded(size: int, block: int) -> int:
    """A size as an allocator gives it, that has blocks of so many bytes."""
    return -(-size // block) * block


def optimizer_bytes(optimizer: str, learning: Iterable[Any]) -> Any:
    """What an optimizer keeps of parameters of these bytes, after its first step."""
    tensors, counter = OPTIMIZERS[optimizer]
    return sum_of(tensors * size + counter for size in learning)


_LEAST = 1000
"""A size in bytes below which its unit was forgotten."""

MOST = 2**63 - 1
"""The largest size in bytes."""

_FLOATING = ("bfloat16", "float16", "float32", "float64")


def float_type(name: str | torch.dtype) -> torch.dtype:
    """A type of floating-point numbers by its name, in which torch computes all.

    In those of 8 bits it has hardly any operation. Raises ``ChoiceError``.
    """
    unknown = UnknownNameError("type of floating-point numbers", str(name), _FLOATING)
    if not may_be_type(name):
        raise unknown
    import torch

    dtype = getattr(torch, str(name).removeprefix("torch."), None)
    if not isinstance(dtype, torch.dtype) or dtype not in map(torch.__dict__.get, _FLOATING):
        raise unknown
    return dtype


def size_in_bytes(text: str | int) -> int:
    """``24G`` (10⁹ bytes each), ``80GiB`` (2³⁰ each), ``512M`` in bytes. Raises ``ChoiceError``."""
    match = re.fullmatch(r"(\d{1,15})(\.\d{1,6})?\s*([kmgt]?i?)b?", str(text).strip().lower())
    scale = {**_UNITS, **_BINARY}.get(match[3]) if match else None
    if match is None or scale is None:
        raise ChoiceError(
            f"cannot read the size {text!r}: write 24G (10^9 bytes each), 80GiB (2^30) or 512M"
        )
    decimals = (match[2] or ".0")[1:]
    size: int = int(match[1] + decimals) * scale // 10 ** len(decimals)
    if size > MOST:
        raise ChoiceError(
            f"{text} is more than the {formatting.integer(MOST)} bytes that torch can count: write "
            "a size such as 24G, 80GiB or 512M"
        )
    if size < _LEAST:
        raise ChoiceError(
            f"{text} is a size of {formatting.integer(size)} bytes, into which nothing fits: write "
            "one such as 24G, 80GiB or 512M"
        )
    return size
