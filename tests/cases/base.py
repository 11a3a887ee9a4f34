"""What cases are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from oracle import Array, Tally
from torch import nn

from costlab.graph.op import Op, Shape

Drawn = tuple[Op, tuple[Shape, ...]]
Draw = Callable[..., Any]
Inputs = Any
"""Arrays, one for each input. A list of them, spread, is typed as if it could be any arguments."""

small = st.integers(1, 3)


@dataclass(frozen=True)
class Case:
    """``execute(tally, op, module, inputs)`` runs the definition with the module's weights.

    ``module`` makes the torch module that gives the values, where the op makes none.
    """

    draw: st.SearchStrategy[Drawn]
    execute: Callable[[Tally, Any, Any, Inputs], Array]
    module: Callable[[Any, tuple[Shape, ...]], nn.Module] | None = None


@st.composite
def shaped(draw: Draw, make: Callable[[Draw, int], Op], least: int = 2, most: int = 4) -> Drawn:
    shape = tuple(draw(st.lists(st.integers(1, 4), min_size=least, max_size=most)))
    return make(draw, len(shape)), (shape,)


def stacks(draw: Draw, number: int) -> list[Shape]:
    """Shapes that broadcast: some axes are 1, and leading ones are missing."""
    whole = draw(st.lists(small, max_size=2))
    found = []
    for _ in range(number):
        kept = whole[draw(st.integers(0, len(whole))) :]
        found.append(tuple(1 if draw(st.booleans()) else d for d in kept))
    return found
