"""Recurrent layers with sizes that are symbols: what torch's C++ does, in Python.

On the CPU that is a loop over the positions, of which it takes the number: each length is a network
of its own. oneDNN's LSTM takes all positions at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from costlab.torch_private import recurrent_functions
from costlab.trace.symbolic import has_symbols
from costlab.trace.symbolic_numbers import at_hint

_LSTM = 2
"""What oneDNN calls the kind of its recurrent layers."""


def _looped(name: str, cell: Callable[..., Any]) -> Callable[..., Any]:
    """A function of torch that makes its steps one by one; ``cell`` is one."""
    own = getattr(recurrent_functions, name)

    def called(x: Any, *more: Any) -> Any:
        if not has_symbols((x, more)) or len(more) < _OF_A_TENSOR or x.is_meta:
            return own(x, *more)
        return _stacked(cell, x, *more)

    return called


_OF_A_TENSOR = 8
"""So many arguments follow a tensor; those of packed sequences are others."""


def _stacked(
    cell: Callable[..., Any],
    x: Tensor,
    states: Any,
    weights: Sequence[Tensor],
    biases: bool,
    layers: int,
    dropout: float,
    training: bool,
    both_ways: bool,
    batch_first: bool,
) -> Any:
    """All layers. ``states`` is a tensor, or two of an LSTM; so are the last ones."""
    several = isinstance(states, (tuple, list))
    begin = [list(state.unbind(0)) for state in (states if several else (states,))]
    x = x.transpose(0, 1) if batch_first else x
    directions = 1 + both_ways
    per_layer = len(weights) // (layers * directions)
    ends: list[Any] = []
    for layer in range(layers):
        at = range(layer * directions, (layer + 1) * directions)
        own = [_Weights(weights[n * per_layer : (n + 1) * per_layer], biases) for n in at]
        x, states = _layer(cell, x, [[state[n] for state in begin] for n in at], own)
        ends += states
        if dropout and training and layer + 1 < layers:
            x = torch.dropout(x, dropout, True)
    kinds = list(zip(*ends, strict=True))
    last = [torch.stack(states, 0) for states in reversed(kinds)]  # cells before outputs
    if batch_first:
        x = x.transpose(0, 1)
    return (x, *reversed(last))


class _Weights:
    """The weights of one layer and direction."""

    def __init__(self, weights: Sequence[Tensor], biases: bool) -> None:
        self.of_input, self.of_state = weights[:2]
        self.bias_of_input: Tensor | None = weights[2] if biases else None
        self.bias_of_state: Tensor | None = weights[3] if biases else None
        rest = weights[4 if biases else 2 :]
        self.projection = rest[0] if rest else None


def _layer(
    cell: Callable[..., Any], x: Tensor, states: list[list[Tensor]], weights: list[_Weights]
) -> tuple[Tensor, list[list[Tensor]]]:
    """The outputs of all positions, and the last states; the second direction goes back.

    What the first one has made is there until the end.
    """
    made: list[list[Tensor]] = []
    sides, ends = [], []
    steps: tuple[Tensor, ...] = ()
    for own, state in zip(weights, states, strict=True):
        steps = linear(x, own.of_input, own.bias_of_input).unbind(0)
        outputs, end = _steps(cell, steps[::-1] if made else steps, state, own)
        sides.append(torch.stack(outputs[::-1] if made else outputs, 0))
        made.append(outputs)
        ends.append(end)
    return (torch.cat(sides, -1) if len(sides) > 1 else sides[0]), ends


def _steps(
    cell: Callable[..., Any], steps: Iterable[Tensor], state: list[Tensor], weights: _Weights
) -> tuple[list[Tensor], list[Tensor]]:
    """The output of each step, and the last state."""
    outputs = []
    for step in steps:
        state = cell(step, *state, weights)
        outputs.append(state[0])
    return outputs, state


def _of_state(hidden: Tensor, weights: _Weights) -> Tensor:
    return linear(hidden, weights.of_state, weights.bias_of_state)


def _parts(gates: Tensor, number: int) -> Sequence[Tensor]:
    """As many parts, which are worked on in place, though they are views of one."""
    return gates.unsafe_split(gates.shape[1] // number, 1)


def _gru(step: Tensor, hidden: Tensor, weights: _Weights) -> list[Tensor]:
    of_input = _parts(step, 3)
    reset, update, new = _parts(_of_state(hidden, weights), 3)
    reset = reset.add_(of_input[0]).sigmoid_()
    update = update.add_(of_input[1]).sigmoid_()
    new = of_input[2].add(new.mul_(reset)).tanh_()
    return [(hidden - new).mul_(update).add_(new)]


def _rnn_tanh(step: Tensor, hidden: Tensor, weights: _Weights) -> list[Tensor]:
    return [_of_state(hidden, weights).add_(step).tanh()]


def _rnn_relu(step: Tensor, hidden: Tensor, weights: _Weights) -> list[Tensor]:
    return [_of_state(hidden, weights).add_(step).relu()]


def _lstm_cell(step: Tensor, hidden: Tensor, cell: Tensor, weights: _Weights) -> list[Tensor]:
    gates = _of_state(hidden, weights).add_(step)
    into, forget, new, out = _parts(gates, 4)
    into, forget, new, out = into.sigmoid_(), forget.sigmoid_(), new.tanh_(), out.sigmoid_()
    cell = (forget * cell).add_(into * new)
    hidden = out * cell.tanh()
    if weights.projection is not None:
        hidden = torch.matmul(hidden, weights.projection.t())
    return [hidden, cell]


_own_lstm: Any = recurrent_functions.lstm


def _lstm(x: Any, *more: Any) -> Any:
    """``lstm`` of a tensor: a layer of oneDNN for each layer and direction, if it can be."""
    if not has_symbols((x, more)) or not isinstance(more[0], (tuple, list)) or x.is_meta:
        return _own_lstm(x, *more)
    (hidden, cells), weights, biases, layers, dropout, training, both_ways, batch_first = more
    directions, per_layer = 1 + both_ways, 4 if biases else 2
    if len(weights) != layers * directions * per_layer:  # with projections
        return _stacked(_lstm_cell, x, *more)
    entering = (x.transpose(0, 1) if batch_first else x).contiguous()
    hidden, cells = hidden.contiguous(), cells.contiguous()
    x, outputs = entering, [entering] * directions
    last: list[list[Tensor]] = []
    settings = at_hint(hidden.shape[2]), layers, biases, both_ways, batch_first, training
    for layer in range(layers):
        for back in range(directions):
            at = layer * directions + back
            own = weights[at * per_layer : (at + 1) * per_layer]
            zeros = [] if biases else _zeros(own)
            outputs[back], *states, _ = torch.ops.aten.mkldnn_rnn_layer(
                *(x, *own, *zeros, hidden[at], cells[at], bool(back), [], _LSTM, *settings)
            )
            del zeros
            last.append(states)
        x = torch.cat(outputs, -1) if both_ways else outputs[0]
        if dropout and training and layer + 1 < layers:
            x = torch.dropout(x, dropout, True)
    ends = [torch.stack(states, 0) for states in zip(*last, strict=True)]
    return (x.transpose(0, 1) if batch_first else x, *ends)


def _zeros(weights: Any) -> list[Tensor]:
    """In place of biases; the last one is made first."""
    return [torch.zeros_like(weight) for weight in weights[::-1]][::-1]


RECURRENT = {
    "gru": _looped("gru", _gru),
    "rnn_tanh": _looped("rnn_tanh", _rnn_tanh),
    "rnn_relu": _looped("rnn_relu", _rnn_relu),
    "lstm": _lstm,
}
"""Functions of torch by their names, that take sizes with symbols."""
