"""Inputs that are given as tensors, as a batch of another size has them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from costlab import formatting
from costlab.errors import ChoiceError
from costlab.isolation.copies import Copying
from costlab.trace.tensors import held


def batch_of(name: str, given: Any) -> int:
    """The first dimension that all given tensors share; those without one have no batch.

    Raises ``ChoiceError`` if there is none.
    """
    shapes = [tuple(tensor.shape) for tensor in held(given) if tensor.ndim]
    batches = {shape[0] for shape in shapes}
    if len(batches) != 1:
        shown = " + ".join(map(formatting.shape, shapes)) or "no tensors"
        raise ChoiceError(
            f"which dimension of the inputs of {name} is the batch? Their first ones differ "
            f"({shown}): give tensors whose first dimension is the batch, or leave out --fits"
        )
    return batches.pop()


def with_batch(given: Any, batch: int, real: bool) -> Any:
    """The same inputs with that batch: values are repeated, where they may decide something."""
    return _OfBatch({id(tensor) for tensor in held(given)}, batch, real).copied(given)


class _OfBatch(Copying):
    """Copies what holds tensors, in whatever objects these are; those ``inside`` have the batch."""

    def __init__(self, inside: set[int], batch: int, real: bool) -> None:
        super().__init__()
        self._inside, self._batch, self._real = inside, batch, real

    def tensor(self, tensor: Tensor, memo: dict[int, Any]) -> Tensor:
        if not tensor.ndim or id(tensor) not in self._inside:
            return tensor
        if tensor.is_floating_point() and not self._real:
            changed = tensor.new_empty((self._batch, *tensor.shape[1:]), device="meta")
        else:
            places = torch.arange(self._batch, device=tensor.device)
            changed = tensor.detach()[places % len(tensor)]
        return changed.requires_grad_(tensor.requires_grad)
