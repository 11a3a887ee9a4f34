"""Stand-ins for tensors whose sizes are symbols, and what operations give for them.

They are torch's own, which ask symbols what they need to know; what is known by rules, or would
take another way with symbols, is said here.
"""

from __future__ import annotations

from bisect import bisect_right
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

from costlab.footprint.answers import ONE_VALUE, SMALL, Answers, Given, Operation
from costlab.footprint.kernels import corrected, larger, unknown
from costlab.footprint.masks import is_causal
from costlab.footprint.shapes import Layout, Shape
from costlab.footprint.standins import StandIns
from costlab.footprint.symbolic_values import Recipes, UnknownValueError
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
from costlab.trace.symbolic import has_symbols
from costlab.trace.symbolic_modules import line_at_work
from costlab.trace.symbolic_numbers import size_of
from costlab.trace.tensors import META, tensors


class Lines:
    """Which line of code asks: backward, the one whose operation is derived."""

    def __init__(self) -> None:
        self._nodes: list[int] = []
        """The numbers of the nodes of autograd's graph that lines made, in order."""
        self._lines: list[str] = []

    def made(self) -> None:
        """Note that the line at work has made the last node, if it is new."""
        number = nodes_made() - 1
        if not self._nodes or number > self._nodes[-1]:
            self._nodes.append(number)
            self._lines.append(line_at_work())

    def at_work(self) -> str:
        """The line at work."""
        if line := line_at_work():
            return line
        node = current_node()
        earlier = 0 if node is None else bisect_right(self._nodes, node._sequence_nr())
        return self._lines[earlier - 1] if earlier else ""


class SymbolicStandIns(StandIns):
    """Copies with torch's stand-ins, of sizes that may be symbols."""

    def __init__(self, of: Assumptions, lines: Lines) -> None:
        super().__init__(False, None)
        self._of, self._lines = of, lines
        self._mode = FakeTensorMode(allow_non_fake_inputs=True)
        self._mode.cache_enabled = False  # it knows no symbols of ours
        self._room: dict[int, Any] = {}

    def forget(self) -> None:
        super().forget()
        self._room.clear()

    def answers(self) -> Answers:
        return _SymbolicAnswers(self._of, self._lines, self, self._mode)

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

    def __init__(self, of: Assumptions, lines: Lines, standins: StandIns, mode: Any) -> None:
        super().__init__(standins.taken_values(), standins.given)
        self._of, self._lines, self._mode = of, lines, mode
        self._recipes = Recipes(of)

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
            if operation.name == ONE_VALUE and (value := self._value(args[0])) is not None:
                return Given(value, {}, "")
        given = self._given(operation, args, kwargs, arguments, values)
        if values:
            self._recipes.note(operation, args, kwargs, arguments, given.result)
        return given

    def _value(self, tensor: Tensor) -> Any:
        """The value of a tensor, if it is known."""
        try:
            return self._recipes.value(tensor)
        except UnknownValueError:
            return is_causal(self.given)

    def _given(
        self,
        operation: Operation,
        args: Any,
        kwargs: dict[str, Any],
        arguments: list[Tensor],
        values: bool,
    ) -> Given:
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
            results = tuple(None if layout is None else self._made(layout) for layout in layouts)
            return Given(results if len(results) > 1 else results[0], {}, "")
        try:
            with enable_python_dispatcher():
                result = corrected(func, args, func(*args, **kwargs))
        except Exception as error:
            self._asked.refused = error
            raise
        return Given(result, larger(func, args, result), unknown(func, args))


_COPIES = frozenset({"clone", "contiguous", "_reshape_copy"})
"""What torch does where no view can be had."""


def _sizes(tensor: Tensor) -> list[Size]:
    """The sizes of a tensor that depend on symbols."""
    return [size for d in tensor.shape if isinstance(size := size_of(d), Size)]
