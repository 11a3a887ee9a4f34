"""Recurrent layers: one layer in one direction, over all its time steps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import ClassVar

from costlab.graph.op import Keeps, Op, Shape, Tensor
from costlab.graph.opcount import Contraction, Gradient, GradientScalars, OpCount
from costlab.ops.dense import Linear
from costlab.ops.element_functions import EACH

_SIGMOID = EACH["sigmoid"]
_TANH = OpCount(special=1)

CELLS: dict[str, tuple[int, OpCount]] = {
    # c' = f·c + i·g and h' = o·tanh(c'), after three sigmoids and a tanh
    "lstm": (4, 3 * _SIGMOID + 2 * _TANH + OpCount(mul=3, add=1)),
    # n = tanh(Wx + r·Uh), h' = (1 - z)·n + z·h, after two sigmoids
    "gru": (3, 2 * _SIGMOID + _TANH + OpCount(mul=3, add=2)),
    "rnn_tanh": (1, _TANH),
    "rnn_relu": (1, OpCount(cmp=1)),
}
"""Gates, and what one unit of the state takes at each step beside the gates' sums."""

_BY_SIGMOID = OpCount(mul=2, add=1)  # ds·s·(1 - s)
_BY_TANH = OpCount(mul=2, add=1)  # dt·(1 - t·t)

BACKWARD: dict[str, tuple[OpCount, OpCount, OpCount]] = {
    # dh·o and dh·tanh(c') through it; then dc·g, dc·i, dc·c, and dc·f to the state before
    "lstm": (3 * _BY_SIGMOID + 2 * _BY_TANH + OpCount(mul=5), OpCount(mul=1), OpCount(add=1)),
    # dh·(1 - z) and dh·(h - n); then dn·u and dn·r, and dh·z to the state before
    "gru": (
        2 * _BY_SIGMOID + _BY_TANH + OpCount(mul=4, add=2),
        OpCount(mul=1),
        OpCount(add=1),
    ),
    "rnn_tanh": (_BY_TANH, OpCount(), OpCount()),
    "rnn_relu": (OpCount(cmp=1), OpCount(), OpCount()),
}
"""What one unit takes backwards at each step, what goes by itself to the state before it (an LSTM's
memory, a GRU's state), and what adds that to what is there."""

_BY_STATE = {"lstm": _BY_SIGMOID + _BY_TANH + OpCount(mul=2)}  # dh·o, dh·tanh(c), and through them
_BY_MEMORY = {"lstm": 2 * _BY_SIGMOID + _BY_TANH + OpCount(mul=3)}
"""Of that in an LSTM: what a state's gradient takes, which the last step may not have; the rest."""


@dataclass(frozen=True, slots=True)
class Recurrent(Op):
    """One layer of an LSTM, GRU or RNN in one direction; ``[T, N, In]`` gives ``[T, N, hidden]``.

    MACs: T·N·(gates·hidden)·(In + state): input and state through the gates. Additions join the two
    products, and add both biases. The state is as wide as ``hidden``, or ``projected`` (see
    ``nn.LSTM``'s ``proj_size``; that product is a `Projection`). ``sequences`` is
    the batch N, wherever in the input it is. Beside its parameters it takes the state before the
    first step; and the projection, if the states of ``second`` sequences go through it to a second
    step. It gives the outputs, an LSTM's last memory, and the last state.
    """

    cell: str
    hidden: int
    bias: bool = True
    projected: int = 0
    sequences: int = 1
    second: int = 0

    name: ClassVar[str] = "recurrent"

    def label(self, *inputs: Shape) -> str:
        return self.cell

    @property
    def detail(self) -> str:
        return f"hidden {self.hidden}"

    @property
    def _state(self) -> int:
        return self.projected or self.hidden

    @property
    def joins_results(self) -> bool:
        return True

    def output(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        return (*x[:-1], self.hidden)

    def parameters(self, *inputs: Shape) -> Iterable[Tensor]:
        gates = CELLS[self.cell][0] * self.hidden
        weights = (("weight_ih", (gates, inputs[0][-1])), ("weight_hh", (gates, self._state)))
        biases = (("bias_ih", (gates,)), ("bias_hh", (gates,)))
        return weights + biases if self.bias else weights

    def contraction(self, output: Shape, *inputs: Shape) -> Contraction:
        x = inputs[0]
        return Contraction(
            (*x[:-1], CELLS[self.cell][0] * self.hidden),
            (x[-1] + self._state,),
            ((*["step"] * (len(x) - 2), "batch", "gates"), ("input + state",)),
        )

    def gradients(self, output: Shape, *inputs: Shape) -> tuple[Gradient, ...]:
        """Back through the gates of every step: to its input, and to the state before it.

        The state before the first step is given: its gradient is computed only if it learns. From
        one step to the one before it goes through the projection, if there is one.
        """
        x, state = inputs[0], self._state
        gates, steps = CELLS[self.cell][0] * self.hidden, prod(x[:-1])
        later = steps - self.sequences
        learnt = len(tuple(self.parameters(*inputs)))
        of_input, of_state, of_first = (
            Contraction((rows, width), (gates,), (("steps", name), ("gates",)))
            for rows, width, name in (
                (steps, x[-1], "input"),
                (later, state, "state"),
                (self.sequences, state, "state"),
            )
        )
        of_weight, of_recurrent = (
            Contraction((gates, width), (steps,), (("gates", name), ("steps",)))
            for width, name in ((x[-1], "input"), (state, "state"))
        )
        before, all_learnt = self._before(learnt), tuple(range(learnt + 3))
        through: tuple[Gradient, ...] = ()
        if self.projected:
            names = (("steps", "unit"), ("state",))
            to_first, to_later = (
                Contraction((rows, self.hidden), (state,), names)
                for rows in (self.second, later - self.second)
            )
            of_projection, of_last = (
                Contraction((state, self.hidden), (rows,), (("state", "unit"), ("steps",)))
                for rows in (later, self.sequences)
            )
            through = (
                Gradient(to_first, operands=(0,), weights=before),
                Gradient(to_later, operands=(0,), weights=all_learnt),
                Gradient(of_projection, weights=(learnt + 2,)),
                Gradient(of_last, weights=(learnt + 2,), results=(0,)),
            )
        return (
            Gradient(of_input, operands=(0,)),
            Gradient(of_state, operands=(0,), weights=all_learnt),
            Gradient(of_first, weights=(learnt,)),
            Gradient(of_weight, weights=(0,)),
            Gradient(of_recurrent, weights=(1,)),
            *through,
        )

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...]:
        """Back through the units of every step, by what the forward pass has kept.

        A state's gradient is that of the output there, if it has one, and what comes through the
        gates of the next step. Biases get the sums of the gates' gradients, each bias its own. If
        only the projection learns, nothing goes back through the first step.
        """
        of_unit, carried, joined = BACKWARD[self.cell]
        by_memory, by_state = _BY_MEMORY.get(self.cell, of_unit), _BY_STATE.get(self.cell)
        steps, gates = prod(inputs[0][:-1]), CELLS[self.cell][0] * self.hidden
        later = steps - self.sequences
        learnt = len(tuple(self.parameters(*inputs)))
        before, all_learnt = self._before(learnt), tuple(range(learnt + 3))
        parts = []
        # Through how many units, of these at last steps, and from how many steps to one before.
        for rows, last, back, weights in (
            (later, self.second, later - self.second, all_learnt),
            (self.sequences, self.sequences - self.second, self.second, before),
        ):
            inner = of_unit * ((rows - last) * self.hidden) + by_memory * (last * self.hidden)
            inner += (carried + joined) * (back * self.hidden)
            parts.append(GradientScalars(inner, (0,), weights))
            if by_state:
                of_last = by_state * (last * self.hidden)
                parts.append(GradientScalars(of_last, (0,), weights, results=(0, 2)))
        if not self.projected:
            beside = OpCount(add=later * self.hidden)
            parts.append(GradientScalars(beside, (0,), all_learnt, results=(0,)))
        of_first, of_bias = self.sequences * self.hidden, OpCount(add=(steps - 1) * gates)
        first = [GradientScalars(carried * of_first, weights=(learnt + 1,))]
        if self.cell == "gru":
            first = [GradientScalars((carried + joined) * of_first, weights=(learnt,))]
        of_biases = [GradientScalars(of_bias, weights=(2 + i,)) for i in range(2 * int(self.bias))]
        return (*parts, *first, *of_biases)

    def _before(self, learnt: int) -> tuple[int, ...]:
        """The positions of what goes into the first step: parameters, and the state before it."""
        return tuple(range(learnt + 2))

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        gates, unit = CELLS[self.cell]
        n = prod(output)
        return unit * n + OpCount(add=n * gates * (1 + 2 * int(self.bias)))


@dataclass(frozen=True, slots=True)
class Projection(Op):
    """An LSTM's outputs, of all its units at all steps: a linear layer without a bias.

    What goes back between steps does so in `Recurrent`, which then takes the weight, too; here is
    what comes back to the last steps.
    """

    out_features: int
    sequences: int

    name: ClassVar[str] = "linear"

    @property
    def joins_results(self) -> bool:
        return True

    @property
    def keeps(self) -> Keeps:
        return "inputs"

    @property
    def _whole(self) -> Linear:
        return Linear(self.out_features, bias=False)

    def output(self, *inputs: Shape) -> Shape:
        return self._whole.output(*inputs)

    def parameters(self, *inputs: Shape) -> Iterable[Tensor]:
        return self._whole.parameters(*inputs)

    def contraction(self, output: Shape, *inputs: Shape) -> Contraction:
        return self._whole.contraction(output, *inputs)

    def gradients(self, output: Shape, *inputs: Shape) -> tuple[Gradient, ...]:
        """Of the last steps alone; of the weight, if no step goes back to one before it."""
        last = (self.sequences, self.out_features)
        return self._whole.gradients(last, (self.sequences, inputs[0][-1]))

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        return OpCount()

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...]:
        """A state's gradient is that of the output, and what comes of the next step."""
        later = prod(output) - self.sequences * self.out_features
        return (GradientScalars(OpCount(add=later), (0,), (0,), results=(0,)),)
