"""Attributes of tensors that a run sets, such as ``requires_grad``, and tensors that it swaps."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from torch import Tensor

from costlab.isolation.unseen_functions import SWAP


class TensorAttributes:
    """A context in which tensors are set and swapped; at its end they are what they were."""

    def __init__(self) -> None:
        self._before: list[tuple[Tensor, str, Any]] = []

    def remember(self, tensor: Tensor, name: str) -> None:
        """Note what that attribute is now: it is about to be set."""
        self._before.append((tensor, name, getattr(tensor, name)))

    def swap(self, one: Tensor, other: Tensor) -> None:
        """Exchange all that two tensors are, as modules may do to change their types."""
        SWAP.__wrapped__(one, other)
        self._before.append((one, _SWAPPED, other))

    def __enter__(self) -> TensorAttributes:
        return self

    def __exit__(self, *error: object) -> None:
        before, self._before = self._before, []
        for tensor, name, value in reversed(before):
            if name == _SWAPPED:
                SWAP.__wrapped__(tensor, value)
                continue
            with suppress(RuntimeError):  # of a tensor that the run itself has computed
                setattr(tensor, name, value)


_SWAPPED = ""
