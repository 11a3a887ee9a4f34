"""A module for the operations that ``torch.nn`` has none for.

Only ``Op.module`` imports this file, since it imports torch.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn


class Apply(nn.Module):
    """A function of the tuple of its inputs; picklable if the function is."""

    def __init__(self, label: str, function: Callable[[tuple[Tensor, ...]], Tensor]) -> None:
        super().__init__()
        self.label = label
        self.function = function

    def extra_repr(self) -> str:
        return self.label

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.function(inputs)
