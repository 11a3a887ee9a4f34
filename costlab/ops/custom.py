"""What a rule of a user's own says, as an operation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from costlab.errors import ChoiceError, said_of
from costlab.graph.op import Op, Shape
from costlab.graph.opcount import Gradient, OpCount

Counting: TypeAlias = Callable[..., "OpCount | Op"]


def operation_by_rule(what: str, shape: Shape, rule: Counting, *args: Any, **kwargs: Any) -> Op:
    """What a rule gives for these arguments, as an operation. Raises ``ChoiceError``."""
    try:
        answer = rule(*args, **kwargs)
    except Exception as error:
        raise ChoiceError(f"the rule for {what} raised {reason(error)}") from error
    if isinstance(answer, Op):
        return answer
    if not isinstance(answer, OpCount):
        raise ChoiceError(f"the rule for {what} gave {answer!r}, not an OpCount")
    if not all(type(number) is int and number >= 0 for number in answer):
        raise ChoiceError(f"the rule for {what} gave {answer!r}: give whole numbers from 0")
    return Custom(what, shape, answer)


def reason(error: Exception) -> str:
    """What an error of a user's code says, on one line, and where it was raised."""
    return said_of(error)


@dataclass(frozen=True, slots=True)
class Custom(Op):
    """What a rule of a user's own says (see ``costlab.counting``)."""

    what: str
    shape: Shape
    count: OpCount

    name: ClassVar[str] = "custom"
    arity: ClassVar[int | None] = None

    def label(self, *inputs: Shape) -> str:
        return self.what

    def output(self, *inputs: Shape) -> Shape:
        return self.shape

    def gradients(self, output: Shape, *inputs: Shape) -> tuple[Gradient, ...] | None:
        """Not known of multiply-adds of a user's own; `costlab.counting` may give an operation."""
        return None if self.count.macs else ()

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        return self.count
