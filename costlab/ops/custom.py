"""What a rule of a user's own says, as an operation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from costlab.errors import ChoiceError, said_of
from costlab.graph.op import Op, Shape
from costlab.graph.opcount import Contraction, Gradient, GradientScalars, OpCount, StepCount

Counting: TypeAlias = Callable[..., "OpCount | StepCount | Op"]


def operation_by_rule(what: str, shape: Shape, rule: Counting, *args: Any, **kwargs: Any) -> Op:
    """What a rule gives for these arguments, as an operation. Raises ``ChoiceError``."""
    try:
        answer = rule(*args, **kwargs)
    except Exception as error:
        raise ChoiceError(f"the rule for {what} raised {reason(error)}") from error
    if isinstance(answer, Op):
        return answer
    counts = answer if isinstance(answer, StepCount) else (answer,)
    for count in counts:
        if not isinstance(count, OpCount):
            raise ChoiceError(f"the rule for {what} gave {count!r}, not an OpCount")
        if not all(type(number) is int and number >= 0 for number in count):
            raise ChoiceError(f"the rule for {what} gave {count!r}: give whole numbers from 0")
    return Custom(what, shape, *counts)


def reason(error: Exception) -> str:
    """What an error of a user's code says, on one line, and where it was raised."""
    return said_of(error)


@dataclass(frozen=True, slots=True)
class Custom(Op):
    """What a rule of a user's own says (see ``costlab.counting``)."""

    what: str
    shape: Shape
    count: OpCount
    input_gradient: OpCount | None = None
    weight_gradient: OpCount | None = None

    name: ClassVar[str] = "custom"
    arity: ClassVar[int | None] = None

    def label(self, *inputs: Shape) -> str:
        return self.what

    def output(self, *inputs: Shape) -> Shape:
        return self.shape

    def gradients(self, output: Shape, *inputs: Shape) -> tuple[Gradient, ...] | None:
        """Those of a rule that says them; not known of multiply-adds where it does not."""
        of_inputs, of_weights = self.input_gradient, self.weight_gradient
        if of_inputs is None or of_weights is None:
            return None if self.count.macs else ()
        gradients = (
            Gradient(_macs(of_inputs), operands=None),
            Gradient(_macs(of_weights), weights=None),
        )
        return tuple(gradient for gradient in gradients if gradient.contraction.macs)

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...] | None:
        """Those of a rule that says them."""
        of_inputs, of_weights = self.input_gradient, self.weight_gradient
        if of_inputs is None or of_weights is None:
            return None
        return (
            GradientScalars(of_inputs.with_macs(0), operands=None),
            GradientScalars(of_weights.with_macs(0), weights=None),
        )

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        return self.count


def _macs(count: OpCount) -> Contraction:
    """Multiply-adds of which only the number is known."""
    return Contraction((count.macs,), (1,), (("by its rule",), ("each",)))
