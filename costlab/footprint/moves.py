"""The bytes that operations read and write, each by itself, if nothing is kept between them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor

from costlab.footprint.shapes import Shape, look_of


class Work(NamedTuple):
    """What a kernel moves: the bytes that it reads and writes, and what it takes beside tensors.

    That has a name, and bytes if they are known (see `beside`).
    """

    read: int
    written: int
    beside: tuple[str, int | None] | None


Reads: TypeAlias = Literal["all", "others", "picked", "none"]
"""Which of its tensors an operation reads: all; all but the first, to which it writes; of the first
as much as it gives; none."""

_OVERWRITES = {"copy_", "fill_", "zero_", "normal_", "uniform_", "bernoulli_", "random_"}
_PICKS = {"embedding", "gather", "index", "index_select", "masked_select", "take"}


def reads(name: str) -> Reads:
    """What an operation of that name reads."""
    if name in _OVERWRITES:
        return "others"
    if name in _PICKS:
        return "picked"
    return "none" if name.endswith("_like") or name.startswith("new_") else "all"


def makes_only_room(name: str) -> bool:
    """Whether what an operation gives is not written."""
    return name.startswith(("empty", "new_empty"))


def bytes_read(how: Reads, taken: list[Tensor], written: int) -> int:
    """What an operation reads of the tensors that it takes, each once."""
    if how == "none" or not taken:
        return 0
    if len(taken) > 1 and (len(taken) > 2 or taken[0] is taken[1]):
        taken = list({id(tensor): tensor for tensor in taken}.values())
    if how == "all":
        return total_bytes(taken)
    others = total_bytes(taken[1:])
    if how != "picked":
        return others
    whole: Any = taken[0].numel() * taken[0].itemsize
    return others + torch.sym_min(whole, written)  # type: ignore[no-any-return, no-untyped-call]


def total_bytes(tensors: Iterable[Tensor]) -> int:
    """The bytes of tensors that lie in memory of their own; others, such as sparse ones, have 0."""
    total = 0
    for tensor in tensors:
        if type(tensor) is Shape:
            total += (tensor.own_look or look_of(tensor)).bytes
        elif tensor.layout is torch.strided:
            total += tensor.numel() * tensor.itemsize
    return total
