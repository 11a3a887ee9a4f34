"""What a run of a module gives beside its graph: the module, its inputs, and what tools see of it.

Only what compares other counters with ours asks for the latter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from costlab.graph import Graph
from costlab.graph.op import Shape

if TYPE_CHECKING:
    from torch import nn


class EinsumCall(NamedTuple):
    """A call of ``einsum``: its equation, and the shapes of its operands."""

    equation: str
    shapes: tuple[Shape, ...]


class CallNote(NamedTuple):
    """What is noted of a call beside its function.

    ``first`` is the number of the first record that it could make, ``in_function`` whether it is
    made in the forward of a ``torch.autograd.Function``, ``einsum`` is what it is asked if it is
    one, ``parameters`` are the shapes of those that it takes as modules have registered them.
    ``in_one`` is whether a stack of matrices that it multiplies with a vector lies in memory as one
    matrix.
    """

    first: int
    in_function: bool
    einsum: EinsumCall | None
    parameters: tuple[Shape, ...] = ()
    in_one: bool = True


class LayerCall(NamedTuple):
    """The call of torch that made a layer.

    ``module`` is the path of the module whose code makes it, where it is registered first (the
    layer's own is that of the call); ``function`` is what is called:
    ``F.relu``, ``Tensor.add``; in parentheses if tools that put their own functions in place of
    torch's do not see it, such as ``(Tensor.add)``. ``strided`` is whether its first argument is
    not contiguous. ``note`` is the rest that is known of the call.
    """

    module: str
    function: str
    strided: bool
    note: CallNote | None = None


class ModuleCall(NamedTuple):
    """A call of a module as a hook on it sees it; one that is entered by ``.forward()`` has none.

    ``path`` is where the module is registered first, ``called`` that of the call. ``inputs`` are
    the shapes of its positional arguments (``()`` for what is no tensor), ``output`` that of the
    first tensor that it gives; ``layers`` are the numbers of what its own code made, ``during`` of
    all that was made until it ended.
    """

    path: str
    called: str
    inputs: tuple[Shape, ...]
    output: Shape
    layers: tuple[int, ...]
    during: tuple[int, ...]


@dataclass(frozen=True)
class Trace:
    """A run of a module: its graph, and what it was called with.

    ``inputs`` and ``kwargs`` are the caller's own, so that other counters can be given copies of
    them; one that is made for a size is a tensor on ``meta``. ``layers`` has the call of each
    layer, ``modules`` the calls of modules, where the run was observed.
    """

    graph: Graph
    module: nn.Module
    inputs: tuple[Any, ...]
    kwargs: dict[str, Any]
    layers: tuple[LayerCall, ...] = ()
    modules: tuple[ModuleCall, ...] = ()
    method: str = "forward"
    """Which of the module's methods was called."""
    registered: tuple[str, ...] = ()
    """The first path of each layer's module, where calls of some module are called otherwise."""
    transforms: bool = False
    """Whether a transform of ``torch.func`` was at work in it, such as ``vmap``."""
    training: bool = False
    """Whether the module was followed in training mode."""

    @property
    def observed(self) -> bool:
        """Whether it is known how each layer was called."""
        return len(self.layers) == len(self.graph.layers)
