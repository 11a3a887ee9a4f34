"""Whether what is traced of a call is what torch gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from tracing import checked
from wrapped import Applied

from costlab.costs.table import costs
from costlab.trace.tensors import tensors

FLOATS = torch.rand(2, 5, 3) + 0.1


def seen(module: nn.Module, x: Tensor) -> list[tuple[Any, ...]] | None:
    """The shapes and types that torch gives; None if it does not take such a call."""
    try:
        return [(tuple(t.shape), t.dtype) for t in tensors(module(x.clone()))]
    except (TypeError, RuntimeError, NotImplementedError, IndexError, AttributeError):
        return None


def agrees(function: Callable[[Tensor], Any], x: Tensor) -> bool:
    """Whether torch takes the call; if so, what is traced and counted is what it gives."""
    module = Applied(function)
    wanted = seen(module, x)
    if not wanted:
        return False
    graph = checked(module, inputs=x)
    assert list(graph.outputs) == [shape for shape, _ in wanted]
    assert costs(graph).complete
    assert len(graph.layers) >= 1
    return True
