"""Functions as modules, and small modules that several tests use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from costlab.trace.registry import rules
from costlab.trace.users import RULES


class Fn(nn.Module):
    """A function of the module itself and its inputs, with tensors to use."""

    def __init__(self, function: Callable[..., Any], **tensors: Tensor) -> None:
        super().__init__()
        self.function = function
        for name, tensor in tensors.items():
            setattr(self, name, nn.Parameter(tensor))

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(self, *args, **kwargs)


class Applied(nn.Module):
    """A function of an input, and of modules that it calls."""

    def __init__(self, function: Callable[..., Any], *modules: nn.Module) -> None:
        super().__init__()
        self.function, self.parts = function, nn.ModuleList(modules)

    def forward(self, x: Tensor) -> Any:
        return self.function(x, *self.parts)


class Attends(nn.Module):
    """A layer, and attention on what it gives."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        y = self.inner(x).view(2, 5, 2, 4).transpose(1, 2)
        return functional.scaled_dot_product_attention(y, y, y)


@contextmanager
def own_rules() -> Iterator[None]:
    """Rules that are given inside are for no other test."""
    rules()  # costlab's own too
    before = dict(RULES)
    try:
        yield
    finally:
        RULES.clear()
        RULES.update(before)
