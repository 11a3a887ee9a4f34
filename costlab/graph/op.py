"""The contract of an operation. The operations themselves live in ``ops/``.

A rule is plain arithmetic on dimensions (``+ - * // % abs``) without branches on their values, so
the same code serves Python ints, sympy symbols and numpy integer arrays. Dimensions are typed as
``int``; the other two kinds pass through unchanged.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

from costlab.errors import CostlabError, ShapeError
from costlab.graph.opcount import Contraction, Gradient, GradientScalars, OpCount

if TYPE_CHECKING:
    from torch import nn

Shape: TypeAlias = tuple[int, ...]
"""Dimensions of a tensor, the batch first: ``(N, C, H, W)``."""

Tensor: TypeAlias = tuple[str, Shape]
"""A tensor that belongs to an operation: its name, such as ``weight``, and its shape."""

Condition: TypeAlias = tuple[bool, str]
"""A condition for a layer to exist, and the message where it does not hold."""


Keeps: TypeAlias = Literal["nothing", "inputs", "result"]


class Op(ABC):
    """One operation with its attributes. Subclasses are frozen dataclasses and final.

    Methods take the shapes of the inputs as positional arguments, batch first, and methods that
    count also take the shape of the output, so that nothing is computed twice.
    """

    __slots__ = ()

    name: ClassVar[str]
    """The operation's name, as in ``torch.nn.functional`` where it exists there."""

    arity: ClassVar[int | None] = 1
    """How many inputs it takes; None is any number, as far as it can use them."""

    @property
    def kind(self) -> str:
        """The operation's name; in a saved report, that of the operation that was saved."""
        return self.name

    def attribute(self, name: str) -> Any:
        """The attribute of that name, such as ``kernel_size``; None if it has none."""
        return getattr(self, name, None)

    def label(self, *inputs: Shape) -> str:
        """The name with its rank, such as ``conv2d``."""
        return self.name

    @property
    def detail(self) -> str:
        """What the label does not say: ``7×7/2`` is a 7×7 window with stride 2. Else ``""``."""
        return ""

    @abstractmethod
    def output(self, *inputs: Shape) -> Shape:
        """The output's shape. Raises ``ShapeError`` if the inputs' ranks do not fit."""

    def conditions(self, *inputs: Shape) -> Iterable[Condition]:
        """Conditions for the layer to exist, beyond "every output dimension is at least 1"."""
        return ()

    @property
    def passes(self) -> bool:
        """Whether it gives its operand itself, in the same memory, as a view does."""
        return False

    @property
    def takes_part(self) -> bool:
        """Whether it may take only some elements of its operand, each once, as a slice does."""
        return False

    @property
    def joins_results(self) -> bool:
        """Whether gradients of its further results, such as last states, are added to the first."""
        return False

    def activations(self, written: int) -> int:
        """How many of the elements that it writes into memory of their own it computes.

        All of them, unless it only moves, joins or looks up what is there already.
        """
        return written

    def parameters(self, *inputs: Shape) -> Iterable[Tensor]:
        """Its learnable tensors, in the order in which torch's module has them."""
        return ()

    def buffers(self, *inputs: Shape) -> Iterable[Tensor]:
        """Its tensors that are not learnt by gradients, such as running statistics."""
        return ()

    def contraction(self, output: Shape, *inputs: Shape) -> Contraction | None:
        """The multiply-adds as named factors, or None if the operation has none."""
        return None

    def gradients(self, output: Shape, *inputs: Shape) -> tuple[Gradient, ...] | None:
        """The contractions of its backward pass; None if there is no rule for them.

        What has no contraction has none backwards either: a derivative is one factor for each pair
        of an input and an output that it joins.
        """
        return () if self.contraction(output, *inputs) is None else None

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...] | None:
        """Scalar operations of its backward pass; None if there is no rule for them.

        Sums of the gradients of one tensor that is taken several times are not among them: see
        ``graph.backward``.
        """
        return None

    @property
    def keeps(self) -> Keeps:
        """What its backward pass needs of the forward pass.

        ``inputs``: only what it takes; ``result``: what it computes; ``nothing``: only shapes.
        """
        return "result"

    @abstractmethod
    def scalars(self, output: Shape, *inputs: Shape) -> OpCount | None:
        """Scalar operations outside the contraction; None if there is no rule for them."""

    def module(self, *inputs: Shape) -> nn.Module:
        """A trainable torch module that computes it. Raises ``CostlabError`` if there is none."""
        raise CostlabError(
            f"cannot build {self.label(*inputs)!r}: only operations that the catalog uses have a "
            "torch module"
        )


def is_whole(d: object) -> bool:
    """Whether ``d`` can be a dimension: an int, a symbol or an array, but no bool or fraction."""
    return d is not None and not isinstance(d, (bool, float, str))


def axes(value: Any, rank: int) -> tuple[int, ...]:
    """One number for every axis, or the numbers given: ``axes(3, 2)`` is ``(3, 3)``."""
    if not isinstance(value, tuple):
        return (value,) * rank
    if len(value) != rank:
        raise ShapeError(f"{value} has {len(value)} numbers for an input with {rank} spatial axes")
    return value
