"""What a forward pass is to a counter: operations, and calls of modules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from torch import nn

Shape: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Einsum:
    """A call of ``einsum``: its equation, the shapes of its operands, and our MACs of all of it."""

    equation: str
    shapes: tuple[Shape, ...]
    macs: int


class GradientMacs(NamedTuple):
    """The multiply-adds of a gradient, and the positions of what it is for among the inputs.

    None is all of them; a parameter's gradient has no positions.
    """

    macs: int
    inputs: tuple[int, ...] | None


@dataclass(frozen=True, eq=False)
class Operation:
    """An operation of our table."""

    name: str
    """Such as ``conv``."""
    attributes: Any
    """Has them by their names: ``attributes.kernel_size``."""
    inputs: tuple[Shape, ...]
    output: Shape
    operands: tuple[Shape, ...]
    """The shapes of its inputs before they are broadcast or reshaped."""
    macs: int
    has_contraction: bool
    computes: bool
    """Whether our table counts anything for it."""
    call: str
    """What was called: ``F.relu``; ``(Tensor.add)`` if a function put in its place is not."""
    strided: bool
    """Whether its first input is not contiguous."""
    einsum: Einsum | None = None
    """The call of ``einsum`` that it stands for: one of the operations that a call consists of."""
    in_function: bool = False
    """Whether it is called in the forward of a ``torch.autograd.Function``."""
    leads_nowhere: bool = False
    """Whether no output of the model depends on it."""
    in_place: bool = False
    """Whether its result is in the memory of an input."""
    parameters: tuple[Shape, ...] = ()
    """The shapes of parameters that its call takes as modules have registered them."""
    type: str = "float32"
    """That of its result's elements."""
    within: tuple[nn.Module, ...] = ()
    """The modules that run while it is computed, those that are called, not entered otherwise."""
    learns: tuple[bool, ...] = ()
    """Of each of its inputs, and then its parameters, whether it wants a gradient."""
    in_one: bool = True
    """Whether a stack of matrices that it multiplies with a vector lies in memory as one matrix."""
    gradients: tuple[GradientMacs, ...] = ()
    """The contractions of its backward pass, in a training step."""
    goes_back: bool = False
    """Whether it has a backward pass there."""
    runs_again: bool = False
    """Whether its forward pass is computed again there."""


@dataclass(frozen=True, eq=False)
class Event:
    """What a term may be about: an operation, or a call of a module.

    A call of a module has the operations that the module's own code makes, none that are made by
    the modules inside of it.
    """

    path: str
    operations: tuple[Operation, ...]
    inputs: tuple[Shape, ...]
    output: Shape
    paths: int = 1
    """Under how many paths of the model its module is registered."""
    module: nn.Module | None = None
    """What is called; None for an operation."""
    registered: str = ""
    """The first path of its module, where ``path`` is that of the call."""

    @property
    def operation(self) -> Operation | None:
        """The operation that it is; None for a call of a module."""
        return self.operations[0] if self.module is None else None

    def of(self, *names: str) -> tuple[Operation, ...]:
        """Its operations of these names."""
        return tuple(operation for operation in self.operations if operation.name in names)
