"""What a run holds where sizes are symbols: bytes are expressions, and the peak the most of some.

A copy of the module runs on torch's own stand-ins for tensors, whose sizes are symbols. What it
asks of these is kept as a guard, as in a trace. The course of it, which pieces of memory come and
go when, is compared with that of a run at the numbers, piece by piece, before anything is said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from costlab.errors import TraceError
from costlab.footprint.answers import SMALL, Answers, Given, Operation
from costlab.footprint.kernels import larger, typed, unknown
from costlab.footprint.run import Held, held
from costlab.footprint.settings import How, optimizer_bytes
from costlab.footprint.shapes import Layout, Shape
from costlab.footprint.standins import StandIns
from costlab.footprint.symbolic_calls import calls_take_symbols
from costlab.footprint.timeline import Timeline
from costlab.footprint.usual import IN_PLACE, is_in_a_row, usual
from costlab.symbols.assumptions import Assumptions
from costlab.symbols.size import Size
from costlab.torch_private import (
    FakeTensor,
    FakeTensorMode,
    current_node,
    enable_python_dispatcher,
    nodes_made,
    without_modes,
)
from costlab.trace.like_ints import sizes_like_ints
from costlab.trace.symbolic import has_symbols
from costlab.trace.symbolic_modules import line_at_work
from costlab.trace.symbolic_numbers import size_of
from costlab.trace.tensors import META, tensors

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
    lines = _Lines()
    standins = _SymbolicStandIns(of, lines)
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
    all_seen(run)
    one, two = _course(run.timeline), _course(at_hints.timeline)
    if one != two:
        pairs = zip(one, two, strict=False)
        path = next((b.path for a, b in pairs if a != b), "its end")
        raise TraceError(
            f"what a run holds has no formula: {type(called.module).__name__} does something else "
            f"with sizes that are symbols, at {path or 'the model'}; {AT_NUMBERS}"
        )
    births = {piece.born for piece in run.timeline.pieces}
    with of.unasked():
        live = [size for moment, size in enumerate(run.timeline.live) if moment in births]
        return totals(run, optimizer, live or [0], of.most)


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


class _Lines:
    """Which line of code asks: backward, the one whose operation is derived."""

    def __init__(self) -> None:
        self._of_nodes: dict[int, str] = {}
        """The lines by the numbers of the nodes of autograd's graph that they made."""

    def made(self) -> None:
        """Note that the line at work has made the last node, if it is new."""
        self._of_nodes.setdefault(nodes_made() - 1, line_at_work())

    def at_work(self) -> str:
        """The line at work."""
        if line := line_at_work():
            return line
        node = current_node()
        number = -1 if node is None else node._sequence_nr()
        earlier = [known for known in self._of_nodes if known <= number]
        return self._of_nodes[max(earlier)] if earlier else ""


class _SymbolicStandIns(StandIns):
    """Copies with torch's stand-ins, of sizes that may be symbols."""

    def __init__(self, of: Assumptions, lines: _Lines) -> None:
        super().__init__(False, None)
        self._of, self._lines = of, lines
        self._mode = FakeTensorMode(allow_non_fake_inputs=True)
        self._mode.cache_enabled = False  # it knows no symbols of ours
        self._room: dict[int, Any] = {}

    def answers(self) -> Answers:
        return _SymbolicAnswers(self._of, self._lines, self.valued, self._mode)

    def at_work(self) -> AbstractContextManager[Any]:
        mode: AbstractContextManager[Any] = self._mode
        return mode

    def _of_type(self, tensor: Tensor, dtype: torch.dtype) -> Tensor:
        if tensor.is_meta:
            return FakeTensor(self._mode, tensor.detach(), torch.device("cpu"))  # type: ignore[no-any-return]
        own = super()._of_type(tensor, dtype)
        if type(own) is not Shape:  # one with values, or of another layout
            return own
        storage = tensor.untyped_storage()
        if id(storage) not in self._room:
            room = torch.empty(storage.nbytes(), dtype=torch.uint8, device=META)
            self._room[id(storage)] = room.untyped_storage(), storage
        inside = torch.empty(0, dtype=dtype, device=META).set_(
            self._room[id(storage)][0], tensor.storage_offset(), tensor.shape, tensor.stride()
        )
        return FakeTensor(self._mode, inside, tensor.device)  # type: ignore[no-any-return]


class _SymbolicAnswers(Answers):
    """Answers of torch's stand-ins, whose ``mode`` is at work."""

    def __init__(self, of: Assumptions, lines: _Lines, valued: Iterable[Tensor], mode: Any) -> None:
        super().__init__(valued)
        self._of, self._lines, self._mode = of, lines, mode

    def _made(self, layout: Layout) -> Tensor:
        with without_modes():
            inside = torch.empty_strided(
                layout.shape, layout.strides, dtype=layout.dtype, device=META
            )
            return FakeTensor(self._mode, inside, layout.device)  # type: ignore[no-any-return]

    def give(
        self,
        operation: Operation,
        args: Any,
        kwargs: dict[str, Any],
        arguments: list[Tensor],
        values: bool,
    ) -> Given:
        if values:  # not backward
            self._lines.made()
        func = operation.func
        real = not has_symbols((args, kwargs)) and self._has_values(operation, arguments)
        if real and (values or operation.kind == "view"):
            with without_modes():
                result = func(*args, **kwargs)
            made = tensors(result)
            if all(tensor.numel() <= SMALL for tensor in made):
                for tensor in made:
                    self._owns(tensor)
                return Given(result, {}, "")
        if self._any_own:
            for argument in operation.written:
                self._overwrite(args, kwargs, argument)
        if operation.name in _COPIES and not is_in_a_row(args[0]):
            for size in _sizes(args[0]):  # of another size than 1: else there would be no copy
                self._of.is_zero(size - 1)
        with enable_python_dispatcher():
            layouts = "" if kwargs else usual(func, args, arguments)
        if layouts == IN_PLACE:
            return Given(args[0], {}, "")
        if not isinstance(layouts, str):
            results = tuple(None if one is None else self._made(one) for one in layouts)
            return Given(results if len(results) > 1 else results[0], {}, "")
        try:
            with enable_python_dispatcher():
                result = typed(func, args, func(*args, **kwargs))
        except Exception as error:
            self._asked.refused = error
            raise
        return Given(result, larger(func, args, result), unknown(func, args))


_COPIES = frozenset({"clone", "contiguous", "_reshape_copy"})
"""What torch does where no view can be had."""


def _sizes(tensor: Tensor) -> list[Size]:
    """The sizes of a tensor that depend on symbols."""
    return [size for d in tensor.shape if isinstance(size := size_of(d), Size)]
