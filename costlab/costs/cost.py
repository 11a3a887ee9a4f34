"""The notion of a cost: what one layer has, and what several have together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Literal, TypeAlias

from costlab import formatting
from costlab.graph import Layer
from costlab.graph.opcount import OpCount

if TYPE_CHECKING:
    from costlab.costs.rows import Row

Bound: TypeAlias = Literal["", "at least", "unknown"]
"""How to read a number that misses operations without a rule; ``""`` misses none and is exact."""


class Cost(ABC):
    """What a layer or several cost. A layer's cost is a `Row`, that of a scope is a `Group`.

    Numbers of operations miss those that have no rule, of which there are ``uncounted``.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def path(self) -> str:
        """Where it is, such as ``inception_3a.branch5x5``; ``""`` for all of a network."""

    @property
    @abstractmethod
    def rows(self) -> tuple[Row, ...]:
        """Its layers' costs."""

    @property
    @abstractmethod
    def params(self) -> int:
        """Elements of learnable tensors."""

    @property
    @abstractmethod
    def count(self) -> OpCount:
        """Scalar operations by kind; 0 of each for a layer without a rule (see ``uncounted``)."""

    @property
    @abstractmethod
    def frozen(self) -> int:
        """Elements of those that are not trained: ``requires_grad`` is false."""

    @property
    @abstractmethod
    def activations(self) -> int:
        """Elements that the layers compute, each once.

        A view, an operation in place, and what only moves or joins elements add none.
        """

    @property
    @abstractmethod
    def conv_outputs(self) -> int:
        """Elements of the outputs of layers with multiply-adds."""

    @property
    @abstractmethod
    def params_bytes(self) -> int:
        """The bytes of its params."""

    @property
    @abstractmethod
    def buffers_bytes(self) -> int:
        """The bytes of its buffers, such as running statistics, each in the first layer."""

    @property
    @abstractmethod
    def read_bytes(self) -> int:
        """The bytes that layers read: parameters, buffers, and what earlier layers gave."""

    @property
    @abstractmethod
    def written_bytes(self) -> int:
        """The bytes that layers write: what they give, also in place."""

    @property
    @abstractmethod
    def connected(self) -> bool:
        """Whether it is known what layers take and give: not in a report of an older costlab."""

    @property
    @abstractmethod
    def layers(self) -> int:
        """How many layers it sums up."""

    @property
    @abstractmethod
    def uncounted(self) -> int:
        """How many of them have no rule."""

    @property
    @abstractmethod
    def bound(self) -> Bound:
        """What a number of operations is: exact, at least that many, or not known at all."""

    @property
    @abstractmethod
    def layer(self) -> Layer | None:
        """The layer; None for a scope."""

    @property
    @abstractmethod
    def label(self) -> str:
        """A layer's operation, such as ``conv2d``; ``""`` for a scope."""

    @property
    @abstractmethod
    def detail(self) -> str:
        """A layer's settings that the label leaves out: ``7×7/2``, a window and its stride."""

    @property
    @abstractmethod
    def input_gradient_macs(self) -> int:
        """Multiply-adds of the backward pass to what layers take that is no parameter."""

    @property
    @abstractmethod
    def weight_gradient_macs(self) -> int:
        """Multiply-adds of the backward pass to parameters."""

    @property
    @abstractmethod
    def recomputed_macs(self) -> int:
        """Multiply-adds of the forward pass that run again in the backward pass."""

    @property
    @abstractmethod
    def input_gradient_ops(self) -> OpCount:
        """Scalar operations of the backward pass to what layers take that is no parameter."""

    @property
    @abstractmethod
    def weight_gradient_ops(self) -> OpCount:
        """Scalar operations of the backward pass to parameters."""

    @property
    @abstractmethod
    def recomputed_other(self) -> int:
        """Scalar operations of the forward pass that run again in the backward pass."""

    @property
    @abstractmethod
    def backward_bound(self) -> Bound:
        """What MACs of the backward pass are; not known where nobody asked for them."""

    @property
    @abstractmethod
    def backward_ops_bound(self) -> Bound:
        """What its other operations are."""

    @property
    def input_gradient_other(self) -> int:
        """How many scalar operations there are of the backward pass to what layers take."""
        return self.input_gradient_ops.other

    @property
    def weight_gradient_other(self) -> int:
        """How many there are of the backward pass to parameters."""
        return self.weight_gradient_ops.other

    @property
    def training_other(self) -> int:
        """Scalar operations of a training step: as ``training_macs``, those outside of MACs."""
        gradients = self.input_gradient_other + self.weight_gradient_other
        return self.other + self.recomputed_other + gradients

    @property
    def training_macs(self) -> int:
        """Multiply-adds of a training step: forward, what runs again, both kinds of gradients."""
        gradients = self.input_gradient_macs + self.weight_gradient_macs
        return self.macs + self.recomputed_macs + gradients

    @property
    def training_flops(self) -> int:
        """Every scalar operation of a training step, without the optimizer."""
        return 2 * self.training_macs + self.training_other

    @property
    def macs(self) -> int:
        """Multiply-adds in contractions."""
        return self.count.macs

    @property
    def other(self) -> int:
        """Scalar operations outside contractions."""
        return self.count.other

    @property
    def flops(self) -> int:
        """Every scalar operation: ``2·macs + other``."""
        return self.count.flops

    @property
    def level(self) -> int:
        """How many scopes are around it."""
        return self.path.count(".")

    @property
    def operation(self) -> str:
        """A layer's label and detail, ``conv2d 7×7/2``, or how many: ``3 operations``."""
        if self.layer is None:
            return formatting.plural(self.layers, "operation")
        return f"{self.label} {self.detail}".rstrip()

    @property
    def derivation(self) -> str:
        """The contractions as a person would write them: ``(28·28·32)·(5·5·192)``, or ``""``.

        Of several layers it is their sum; a long one is only announced.
        """
        terms = [str(row.contraction) for row in self.rows if row.contraction]
        if len(terms) > _MOST_TERMS:
            return f"sum of {len(terms)} contractions"
        return " + ".join(terms)


_MOST_TERMS = 6
