"""LSTM, GRU and RNN: layers over sequences, and cells."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

from costlab.errors import ShapeError
from costlab.ops.recurrent import Projection, Recurrent
from costlab.ops.zero_cost import Concat
from costlab.trace.refusals import require_alike
from costlab.trace.registry import rule
from costlab.trace.tape import Tape
from costlab.trace.tensors import META


def _sequence(cell: str) -> Any:
    def sequence(on: Tape, input: Tensor, *args: Any, **named: Any) -> Any:
        if named:
            return NotImplemented
        packed = (
            isinstance(args[1], (Tensor, tuple, list))
            and isinstance(args[0], Tensor)
            and (not isinstance(args[1], (tuple, list)) or isinstance(args[2], (tuple, list)))
        )
        hx, weights, bias, layers, _, _, both, *first = args[1:] if packed else args
        require_alike(input, *weights, *_many(hx))
        per_layer = len(weights) // (layers * (1 + int(both)))
        split = [weights[begin : begin + per_layer] for begin in range(0, len(weights), per_layer)]
        turned = bool(first and first[0])
        return layers_of(on, cell, input, hx, split, bool(bias), both, turned, packed)

    return sequence


def layers_of(
    on: Tape,
    cell: str,
    x: Tensor,
    hx: Any,
    weights: Sequence[Sequence[Tensor]],
    bias: bool,
    both: bool,
    turned: bool,
    packed: bool = False,
) -> tuple[Tensor, ...]:
    """What recurrent layers give: ``weights`` are those of each layer, and of each direction of it.

    ``turned`` is whether the batch is first: torch computes with the steps first. Of ``packed``
    sequences it is not known how many have a second step, only how many can.
    """
    begins = _many(hx)  # may be learnt
    directions = 1 + int(both)
    held: list[tuple[Tensor, ...]] = []
    second = 0
    if len(weights[0]) % 2:  # with a projection: nothing else asks whether there is a second step
        sequences = begins[0].shape[-2]
        if packed:
            second = min(sequences, x.shape[0] - sequences)
        elif x.shape[int(turned)] > 1:
            second = sequences
    for layer in range(len(weights) // directions):
        ways = [
            _layer(on, cell, x, inner, bias, begins, turned and directions == 1, second)
            for inner in weights[layer * directions : (layer + 1) * directions]
        ]
        held += [holders for _, holders in ways]
        x = ways[0][0]
        if directions == 2:
            shape = (*x.shape[:-1], 2 * x.shape[-1])
            both_ways = [y for y, _ in ways]
            x = on.record(Concat(-1), both_ways, result=_turned(shape, x) if turned else None)
    states = [_states(on, number, state, held) for number, state in reversed([*enumerate(begins)])]
    return (x, *reversed(states))  # the memory first: see `Recurrent`


def _states(on: Tape, number: int, like: Tensor, held: list[tuple[Tensor, ...]]) -> Tensor:
    """The last states of all layers and directions together, from what holds them of each."""
    state = torch.empty(like.shape, dtype=like.dtype, device=META)
    if len(held) == 1:
        return on.further(held[0][number], state)
    own = [
        on.further(holders[number], torch.empty(like.shape[1:], dtype=like.dtype, device=META))
        for holders in held
    ]
    return on.moved("stack", own, state)


def _many(hx: Any) -> tuple[Tensor, ...]:
    return tuple(hx) if isinstance(hx, (tuple, list)) else (hx,)


def _layer(
    on: Tape,
    cell: str,
    x: Tensor,
    weights: Sequence[Tensor],
    bias: bool,
    begins: tuple[Tensor, ...],
    turned: bool,
    second: int,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """What a layer gives in one direction, and by what its last states are given.

    ``second`` is how many sequences have a second step.
    """
    projection = weights[-1] if len(weights) % 2 else None
    inner = weights[:-1] if projection is not None else weights
    hidden = inner[0].shape[0] // (4 if cell == "lstm" else 3 if cell == "gru" else 1)
    sequences = begins[0].shape[-2]
    if projection is None:
        result = _turned((*x.shape[:-1], hidden), x) if turned else None
        op = Recurrent(cell, hidden, bias, sequences=sequences)
        result = on.record(op, (x,), (*inner, *begins), result=result)
        return result, (result,) * len(begins)
    width = projection.shape[0]
    op = Recurrent(cell, hidden, bias, width, sequences, second)
    y = on.record(op, (x,), (*inner, *begins, *((projection,) if second else ())))
    result = _turned((*x.shape[:-1], width), x) if turned else None
    last = Projection(width, sequences)
    result = on.record(last, (y,), () if second else (projection,), result=result)
    return result, (result, y)  # its memory is as wide as it was before


def _turned(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """What stands for a result with the batch first, as torch makes it of one with the steps first.

    It is not contiguous, which other counters notice.
    """
    batch, steps, *rest = shape
    first = torch.empty((steps, batch, *rest), dtype=like.dtype, device=META)
    return first.transpose(0, 1)


def _cell(cell: str) -> Any:
    def step(
        on: Tape,
        input: Tensor,
        hx: Any,
        w_ih: Tensor,
        w_hh: Tensor,
        b_ih: Tensor | None = None,
        b_hh: Tensor | None = None,
    ) -> Any:
        begins = tuple(hx) if isinstance(hx, (tuple, list)) else (hx,)
        if input.dtype is torch.bool:
            raise ShapeError("its input is bool, expected numbers")
        require_alike(input, w_ih, w_hh, b_ih, b_hh, *begins)
        op = Recurrent(cell, w_hh.shape[1], b_ih is not None, 0, prod(input.shape[:-1]))
        result = on.record(op, (input,), (w_ih, w_hh, b_ih, b_hh, *begins))
        if cell != "lstm":
            return result
        state = torch.empty(result.shape, dtype=result.dtype, device=META)
        return result, on.further(result, state)

    return step


for _name in ("lstm", "gru", "rnn_tanh", "rnn_relu"):
    rule(_name)(_sequence(_name))
    rule(f"{_name}_cell")(_cell(_name))
