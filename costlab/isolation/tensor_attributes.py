"""Attributes of tensors that a run sets, such as ``requires_grad``, and that it puts back."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from torch import Tensor


class TensorAttributes:
    """A context in which attributes of tensors are set; at its end they are what they were."""

    def __init__(self) -> None:
        self._before: list[tuple[Tensor, str, Any]] = []

    def remember(self, tensor: Tensor, name: str) -> None:
        """Note what that attribute is now: it is about to be set."""
        self._before.append((tensor, name, getattr(tensor, name)))

    def __enter__(self) -> TensorAttributes:
        return self

    def __exit__(self, *error: object) -> None:
        while self._before:
            tensor, name, value = self._before.pop()
            with suppress(RuntimeError):  # of a tensor that the run itself has computed
                setattr(tensor, name, value)
