"""Inputs that are given as tensors, as a batch of another size has them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from costlab import formatting
from costlab.errors import ChoiceError
from costlab.trace.tensors import nested, tensors


def batch_of(name: str, given: Any) -> int:
    """The first dimension that all given tensors share; those without one have no batch.

    Raises ``ChoiceError`` if there is none.
    """
    shapes = [tuple(tensor.shape) for tensor in tensors(given) if tensor.ndim]
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

    def change(tensor: Tensor) -> Tensor:
        if not tensor.ndim:
            return tensor
        if tensor.is_floating_point() and not real:
            changed = tensor.new_empty((batch, *tensor.shape[1:]), device="meta")
        else:
            changed = tensor.detach()[torch.arange(batch, device=tensor.device) % len(tensor)]
        return changed.requires_grad_(tensor.requires_grad)

    return nested(change, given)
