"""Connectionist temporal classification."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from costlab.graph.op import Condition, Op, Shape
from costlab.graph.opcount import GradientScalars, OpCount


@dataclass(frozen=True, slots=True)
class CtcLoss(Op):
    """Of each sequence of ``[T, N, classes]`` how unlikely its labels are (Graves et al. 2006).

    ``labels`` are those of all N sequences. One of s labels has a state for each, and s + 1 for the
    blanks around them. In each step after the first the likelihood of a state is the sum of those
    of the states before it, times the class's: of itself, of the one before, and of a label but the
    first the one before that too. They are logarithms: a sum of k > 1 takes k exponentials, k - 1
    additions and a logarithm. In the end the last two states are added. Padding is counted, as are
    labels as if no two alike followed each other.
    """

    labels: int

    name: ClassVar[str] = "ctc_loss"

    @property
    def detail(self) -> str:
        return f"{self.labels} labels"

    def output(self, *inputs: Shape) -> Shape:
        return (inputs[0][1],)

    def conditions(self, *inputs: Shape) -> Iterable[Condition]:
        yield len(inputs[0]) == 3, "it takes steps, sequences and classes"
        yield self.labels >= inputs[0][1], "each of its sequences needs a label"

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        steps, sequences, _ = inputs[0]
        return self._passed(sequences) * (steps - 1) + OpCount(mul=1, add=1, special=3) * sequences

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...]:
        """``dy·(p - Σ exp(a + b + loss))``, as torch has it: p are the likelihoods of classes.

        The sum, of their places, is of states; a is what was kept of each, b the same from the end.
        """
        steps, sequences, classes = inputs[0]
        states = 2 * self.labels + sequences
        backwards = self._passed(sequences) * (steps - 1)
        of_states = OpCount(add=3, special=1) * (steps * states)
        of_classes = OpCount(mul=1, add=1, special=1) * (steps * sequences * classes)
        return (GradientScalars(backwards + of_states + of_classes, operands=(0,)),)

    def _passed(self, sequences: int) -> OpCount:
        """From one step to the next, in either direction."""
        return OpCount(add=5 * self.labels, special=7 * self.labels - sequences)
