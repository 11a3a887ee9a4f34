"""What operations on windows have in common: axes, sizes, and how a window is written."""

from __future__ import annotations

from costlab import formatting
from costlab.errors import ShapeError
from costlab.graph.op import Condition, Op, Shape, axes

Size = int | tuple[int, ...]
"""One number for every axis, or one for each."""


class Spatial(Op):
    """An operation on ``[N, C, *spatial]`` with 1 to 3 spatial axes, which its label counts."""

    __slots__ = ()

    def label(self, *inputs: Shape) -> str:
        return f"{self.name}{spatial(self.name, inputs[0])}d"


def spatial(name: str, x: Shape) -> int:
    """The number of spatial axes of ``[N, C, *spatial]``: 1, 2 or 3, else a ``ShapeError``."""
    if not 3 <= len(x) <= 5:
        raise ShapeError(
            f"{name} takes [batch, channels, 1 to 3 spatial dimensions], not {formatting.shape(x)}"
        )
    return len(x) - 2


def window(kernel: Size, stride: Size = 1, dilation: Size = 1, groups: int = 1) -> str:
    """A window as papers write it, patch/stride: ``7×7/2``; then what else modifies it."""
    rank = max((len(v) for v in (kernel, stride, dilation) if isinstance(v, tuple)), default=2)
    text = formatting.shape(axes(kernel, rank))
    if any(s != 1 for s in axes(stride, rank)):
        text += f"/{_alike(axes(stride, rank))}"
    if any(d != 1 for d in axes(dilation, rank)):
        text += f" dilation {_alike(axes(dilation, rank))}"
    return text + (f" groups {groups}" if groups != 1 else "")


def _alike(numbers: tuple[int, ...]) -> str:
    """One number where all are the same, or all of them."""
    return formatting.shape(numbers[:1] if len(set(numbers)) == 1 else numbers)


def at_least(*attributes: tuple[str, Size, int]) -> list[Condition]:
    """The conditions that every axis of each (name, value, lowest) reaches its lowest value.

    What does so beyond doubt, as almost always, is left out.
    """
    return [
        (axis >= lowest, f"{name} must be at least {lowest}")
        for name, value, lowest in attributes
        for axis in (value if isinstance(value, tuple) else (value,))
        if type(axis) is not int or axis < lowest
    ]
