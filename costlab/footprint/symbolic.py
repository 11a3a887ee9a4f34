"""What a run holds where sizes are symbols: bytes are expressions, and the peak the most of some.

A copy of the module runs on torch's own stand-ins for tensors, whose sizes are symbols. What it
asks of these is kept as a guard, as in a trace. The course of it, which pieces of memory come and
go when, is compared with that of a run at the numbers, piece by piece, before anything is said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias

from torch import nn

from costlab.errors import TraceError
from costlab.footprint.run import Held, held
from costlab.footprint.settings import How, optimizer_bytes
from costlab.footprint.symbolic_calls import calls_take_symbols
from costlab.footprint.symbolic_standins import Lines, SymbolicStandIns
from costlab.footprint.timeline import Timeline
from costlab.symbols.assumptions import Assumptions
from costlab.symbols.size import Size
from costlab.trace.like_ints import sizes_like_ints

Totals: TypeAlias = Mapping[str, Any]
"""The bytes of a run or of a step by quantities: numbers, or expressions of symbols."""

AT_NUMBERS = "costlab memory says it at sizes that are numbers"
"""What to do where a run has no formula."""


def all_seen(run: Held) -> Held:
    """A run whose memory is all known. Raises ``TraceError`` for another one."""
    for path, why in run.unseen:
        raise TraceError(
            f"what a run holds is known at least only, for {path or 'the model'}: {why}"
        )
    return run


def totals(
    run: Held,
    optimizer: str,
    live: Iterable[Any],
    most: Callable[[Iterable[Any]], Any] = max,
) -> Totals:
    """The bytes of a run, or of a step with an ``optimizer``, by the names of both.

    ``live`` is what there is of its tensors at moments, and ``most`` says the largest of some.
    """
    state = optimizer_bytes(optimizer, run.learning) if optimizer else 0
    timeline, beside = run.timeline, run.params + run.buffers + run.inputs + state
    moments = list(live)
    tensors_of_it, of_all = most(moments), most([size + beside for size in moments])
    return {
        "inputs_bytes": run.inputs,
        "peak_tensors_bytes": tensors_of_it,
        "peak_bytes": of_all,
        "gradients_bytes": timeline.gradients,
        "saved_bytes": timeline.saved,
        "training_peak_tensors_bytes": tensors_of_it,
        "training_peak_bytes": of_all,
        "optimizer_bytes": state,
    }


class Called(NamedTuple):
    """A module, or a ``part`` of it, and what the module is called with."""

    module: nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    part: str = ""


def memory_with_symbols(of: Assumptions, called: Called, numbers: Called, optimizer: str) -> Totals:
    """The bytes of a run, or of a step with an ``optimizer``, where sizes are symbols.

    ``numbers`` is what is called at the hints.

    ``of`` learns what is asked. Raises ``TraceError`` where the run cannot be followed, or does
    something else than at the numbers.
    """
    how = How(bool(optimizer), part=called.part)
    at_hints = held(numbers.module, numbers.args, numbers.kwargs, how)
    run = all_seen(_with_symbols(of, called, how))
    _require_same(run.timeline, at_hints.timeline, type(called.module).__name__)
    births = {piece.born for piece in run.timeline.pieces}
    with of.unasked():
        live = [size for moment, size in enumerate(run.timeline.live) if moment in births]
        return totals(run, optimizer, live or [0], of.most)


def _with_symbols(of: Assumptions, called: Called, how: How) -> Held:
    """What is called, run on stand-ins whose sizes are symbols. Raises ``TraceError``."""
    lines = Lines()
    standins = SymbolicStandIns(of, lines)
    before, of.where, of.either = of.where, lines.at_work, True
    try:
        with sizes_like_ints(), calls_take_symbols():
            run = held(called.module, called.args, called.kwargs, how, standins)
        of.settle()
    except TraceError as error:  # what runs at the numbers
        place = str(error).partition(" cannot be run")[0]
        raise TraceError(
            f"what a run holds has no formula: torch takes no sizes that are symbols at {place}; "
            f"{AT_NUMBERS}"
        ) from error
    finally:
        of.where, of.either = before, False
    return run


def _require_same(symbolic: Timeline, numbers: Timeline, name: str) -> None:
    """Raises ``TraceError`` where a run with symbols does something else than at the numbers."""
    one, two = _course(symbolic), _course(numbers)
    if one != two:
        pairs = zip(one, two, strict=False)
        path = next((b.path for a, b in pairs if a != b), "its end")
        raise TraceError(
            f"what a run holds has no formula: {name} does something else with sizes that are "
            f"symbols, at {path or 'the model'}; {AT_NUMBERS}"
        )


class _Piece(NamedTuple):
    """A piece of memory at the hints, and when it comes and goes, in births of pieces."""

    path: str
    backward: bool
    bytes: int
    born: int
    died: int | None
    saved: bool
    gradient: bool


def _course(timeline: Timeline) -> list[_Piece]:
    """All that decides what is there at once; operations that make nothing do not."""
    pieces = [piece for piece in timeline.pieces if not _is_nothing(piece.bytes)]
    number = {born: n for n, born in enumerate(sorted({piece.born for piece in pieces}))}
    last = 0
    up_to = []  # the last birth up to each moment
    for moment in range(len(timeline.moments) + 1):
        last = number.get(moment, last)
        up_to.append(last)
    return [
        _Piece(
            piece.path,
            piece.backward,
            piece.bytes.hint if isinstance(piece.bytes, Size) else piece.bytes,
            number[piece.born],
            # what goes after the last birth is there to the end
            None if piece.died is None or up_to[piece.died] == last else up_to[piece.died],
            piece.saved_by is not None,
            piece.gradient,
        )
        for piece in pieces
    ]


def _is_nothing(size: Any) -> bool:
    return (size.number if isinstance(size, Size) else size) == 0
