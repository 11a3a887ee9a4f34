"""What has been noted of a forward pass: operations, and which tensor each of them gave."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import lru_cache
from operator import index
from typing import Any

import torch
from torch import Tensor

from costlab import formatting
from costlab.errors import ShapeError
from costlab.graph.op import Op, Shape
from costlab.ops.layout import Moved, Stored
from costlab.trace.module_stack import Places

META = torch.device("meta")
ITS_OWN = 0
"""In place of a call's number: the place is the path of a tensor, not of a module."""


@dataclass(slots=True)
class Record:
    """An operation as it was met, before paths are given."""

    place: str
    call: int
    op: Op
    takes: tuple[int, ...]
    inputs: tuple[Shape, ...]
    output: Shape
    params: int
    whole: bool = False
    """Whether it is part of a call of a module that is counted as a whole."""
    spelled: str = ""
    """What was called: see `Layer.call`."""
    strided: bool = False
    """Whether its first argument is not contiguous."""


class Tape:
    """The operations in order. A tensor is known by its identity, so all of them are kept alive."""

    def __init__(self, places: Places) -> None:
        self.records: list[Record] = []
        self.inputs: list[Shape] = []
        self.place = ""
        """The path of the module at work."""
        self.call = 1
        """How often it has been at work, this time too."""
        self.whole = False
        """Whether that module is counted as a whole."""
        self.spelled = ""
        """What is being called, where that is noted."""
        self.heard = ""
        """The name of the function in whose place another would be called now, if there is one."""
        self.strided = False
        self._parameters, self._buffers = places.parameters, places.buffers
        self._unread = {key: p.numel() for key, (_, p) in self._parameters.items()}
        self._reads: list[tuple[int, int, int]] = []  # when which parameter was read, its elements
        self._values: dict[int, int] = {}
        self._origins: dict[int, int] = {}  # a view of a stored tensor: the tensor's key
        self._standins: dict[int, Tensor] = {}
        self._alive: list[Any] = []
        self._calls: dict[
            str, tuple[int, object]
        ] = {}  # how often a module was at work, where last

    # What rules use.

    def record(
        self,
        op: Op,
        inputs: Sequence[Tensor],
        weights: Iterable[Tensor | None] = (),
        dtype: torch.dtype | None = None,
        shapes: tuple[Shape, ...] | None = None,
        result: Tensor | None = None,
    ) -> Tensor:
        """Note an operation, and give a tensor that stands for its result.

        ``weights`` are tensors that the op's own rule counts as its params; ``shapes`` are the
        inputs' as the op takes them, where that is not how they are; ``result`` is the tensor that
        stands for the output, where there is one.
        """
        takes = tuple([self.value(tensor) for tensor in inputs])
        if shapes is None:
            shapes = tuple([tuple(tensor.shape) for tensor in inputs])
        output = fitted(op, shapes)
        if result is None:
            return self._given_by(op, takes, shapes, output, weights, dtype or inputs[0].dtype)
        self._note(op, takes, shapes, output, weights)
        self._bind(result)
        shape = tuple(result.shape)
        if shape != output:  # such as a result without a batch
            self._note(Moved("view", shape), (self._values[id(result)],), (output,), shape)
            self._bind(result)
        return result

    def apply(
        self,
        kind: type[Op],
        attributes: tuple[Any, ...],
        input: Tensor,
        rank: int,
        weights: Iterable[Tensor | None] = (),
    ) -> Any:
        """Note an operation on an input of that rank; one without a batch has a batch of 1.

        ``NotImplemented`` for any other.
        """
        shape = tuple(input.shape)
        if len(shape) == rank:
            op, output = made(kind, attributes, shape)
            takes = (self.value(input),)
            return self._given_by(op, takes, (shape,), output, weights, input.dtype)
        if len(shape) != rank - 1:
            return NotImplemented
        shape = (1, *shape)
        op, output = made(kind, attributes, shape)
        result = torch.empty(output[1:], dtype=input.dtype, device=META)
        return self.record(op, (input,), weights, shapes=(shape,), result=result)

    def moved(self, what: str, inputs: Sequence[Tensor], result: Tensor) -> Tensor:
        """Note that ``result`` holds elements of the inputs, unless it is a stored one's view."""
        traced = [tensor for tensor in inputs if id(tensor) in self._values]
        weights = [tensor for tensor in inputs if self.is_weight(tensor)]
        if not traced and any(self._origin(each) != self._origin(inputs[0]) for each in weights):
            traced = weights  # the result is no view of one stored tensor
        if traced:
            return self.record(Moved(what, tuple(result.shape)), traced, weights, result=result)
        if inputs:
            self._origins[id(result)] = self._origin(inputs[0])
        self._alive.append(result)
        return result

    def renewed(self, target: Tensor, result: Tensor) -> Tensor:
        """``target`` was changed in place and now holds ``result``."""
        self._values[id(target)] = self.value(result)
        self._alive.append(target)
        return target

    def is_weight(self, tensor: Tensor) -> bool:
        """Whether a tensor is a parameter of the model, or a view of one."""
        return self._origin(tensor) in self._parameters

    # What recorders use.

    def enter(self, path: str, frame: object, whole: bool) -> None:
        """A module is at work in that frame; another frame than before is another call of it."""
        known = self._calls.get(path)
        if known is None or known[1] is not frame:
            known = self._calls[path] = (1 if known is None else known[0] + 1, frame)
        self.place, self.call, self.whole = path, known[0], whole

    def enter_no_more(self, path: str) -> None:
        """That last call of a module is none."""
        number, frame = self._calls[path]
        self._calls[path] = (number - 1, frame)

    def leave(self) -> None:
        """The run is over. Its frames hold all that it made, and this tape: they are let go."""
        self._calls.clear()

    def given(self, tensor: Tensor) -> Tensor:
        """The next input of the model."""
        self._values[id(tensor)] = len(self.inputs)
        self.inputs.append(tuple(tensor.shape))
        self._alive.append(tensor)
        return tensor

    def value(self, tensor: Tensor) -> int:
        """The number of a tensor; one that was there before is noted as stored."""
        found = self._values.get(id(tensor))
        if found is not None:
            return found
        if tensor._base is not None and id(tensor._base) in self._values:  # made inside of torch
            self.record(Moved("view", tuple(tensor.shape)), (tensor._base,), result=tensor)
            return self._values[id(tensor)]
        key = self._origin(tensor)
        what, name = "constant", ""
        if key in self._parameters:
            what, name = "parameter", self._parameters[key][0]
        elif key in self._buffers:
            what, name = "buffer", self._buffers[key][0]
        shape = tuple(tensor.shape)
        op = Stored(what, shape)
        if name and not self.whole:
            params = self._read(tensor)
            self.records.append(Record(name, ITS_OWN, op, (), (), shape, params))
        else:
            self._note(op, (), (), shape, (tensor,))
        self._bind(tensor)
        return self._values[id(tensor)]

    def looked_at(self, args: Any) -> None:
        """Parameters among the arguments were read for their values."""
        for tensor in tensors(args):
            if self.is_weight(tensor):
                self.value(tensor)

    def alike(self, tensor: Tensor, other: Tensor) -> None:
        """``tensor`` is what ``other`` is."""
        if id(other) in self._values:
            self._values[id(tensor)] = self._values[id(other)]
        elif id(other) in self._origins:
            self._origins[id(tensor)] = self._origins[id(other)]
        self._alive += [tensor, other]

    def standin(self, tensor: Tensor) -> Tensor:
        """The tensor on ``meta``: itself, or an empty one of its shape."""
        if tensor.device.type == "meta":
            return tensor
        found = self._standins.get(id(tensor))
        if found is None:
            found = torch.empty_strided(
                tensor.shape, tensor.stride(), dtype=tensor.dtype, device=META
            )
            self.stands_for(found, tensor)
            self._origins[id(found)] = self._origin(tensor)
            if id(tensor) in self._values:
                self._values[id(found)] = self._values[id(tensor)]
        return found

    def stands_for(self, standin: Tensor, tensor: Tensor) -> None:
        """From now on ``standin`` is the tensor on ``meta``."""
        self._standins[id(tensor)] = standin
        self._alive += [tensor, standin]

    def copied(self, copy: Tensor, tensor: Tensor) -> None:
        """``copy`` takes the place of one of the model's own tensors."""
        self._origins[id(copy)] = self._origin(self._standins.get(id(tensor), tensor))
        self._alive += [copy, tensor]

    def stood(self, each: Any) -> Any:
        """Nested arguments, their tensors on ``meta``."""
        return nested(self.standin, each)

    def has_its_own_strides(self, tensor: Tensor) -> bool:
        """Whether a tensor is a view of one that was there before, or of an input."""
        base = tensor if tensor._base is None else tensor._base
        return self._values.get(id(base), -1) < len(self.inputs)

    def forget(self, mark: int) -> None:
        """Take back all records from that number on."""
        if len(self.records) == mark:
            return
        del self.records[mark:]
        limit = len(self.inputs) + mark
        self._values = {key: value for key, value in self._values.items() if value < limit}
        while self._reads and self._reads[-1][0] >= mark:
            _, key, count = self._reads.pop()
            self._unread[key] = count

    def returned(self, result: Any) -> tuple[int, ...]:
        """The numbers of the tensors in what the model returns."""
        stands = [self._standins.get(id(tensor), tensor) for tensor in tensors(result)]
        return tuple([self.value(tensor) for tensor in stands])

    @property
    def unread(self) -> list[tuple[str, int]]:
        """Parameters that nothing read, in the module's order, and their elements."""
        return [
            (name, self._unread[key])
            for key, (name, _) in self._parameters.items()
            if key in self._unread
        ]

    def _origin(self, tensor: Tensor) -> int:
        return self._origins.get(id(tensor), id(tensor))

    def _read(self, weight: Tensor) -> int:
        """The params that reading a weight adds: all of its elements, the first time."""
        key = self._origin(weight)
        count = self._unread.pop(key, 0)
        if count:
            self._reads.append((len(self.records), key, count))
        return count

    def _given_by(
        self,
        op: Op,
        takes: tuple[int, ...],
        inputs: tuple[Shape, ...],
        output: Shape,
        weights: Iterable[Tensor | None],
        dtype: torch.dtype,
    ) -> Tensor:
        """A new tensor that stands for the result of an operation."""
        self._note(op, takes, inputs, output, weights)
        result = torch.empty(output, dtype=dtype, device=META)
        self._bind(result)
        return result

    def _note(
        self,
        op: Op,
        takes: tuple[int, ...],
        inputs: tuple[Shape, ...],
        output: Shape,
        weights: Iterable[Tensor | None] = (),
    ) -> None:
        params = 0
        for weight in weights:
            if weight is not None:
                params += self._read(weight)
        record = Record(self.place, self.call, op, takes, inputs, output, params, self.whole)
        if self.spelled and takes and not self.whole:
            record.spelled, record.strided = self.heard or self.spelled, self.strided
        self.records.append(record)

    def _bind(self, tensor: Tensor) -> None:
        self._values[id(tensor)] = len(self.inputs) + len(self.records) - 1
        self._alive.append(tensor)


def fitted(op: Op, shapes: tuple[Shape, ...]) -> Shape:
    """The shape that an operation gives. Raises ``ShapeError``."""
    for holds, problem in op.conditions(*shapes):
        if not holds:
            raise ShapeError(f"{op.label(*shapes)} on {formatting.shapes(shapes)}: {problem}")
    return op.output(*shapes)


@lru_cache(maxsize=4096)  # networks repeat their layers
def made(kind: type[Op], attributes: tuple[Any, ...], shape: Shape) -> tuple[Op, Shape]:
    """An operation with these attributes, and the shape that it gives. Raises ``ShapeError``."""
    op = kind(*attributes)
    return op, fitted(op, (shape,))


def sizes(value: Any) -> Any:
    """A number, or one for each axis; torch also takes a list, or a tuple of one."""
    if type(value) is int:
        return value
    value = tuple(map(whole, value))
    return value[0] if len(value) == 1 else value


def whole(value: Any) -> int:
    """A whole number of any type as an ``int``: to `made`, what is equal is the same.

    Raises ``TypeError`` for others, as torch does.
    """
    if type(value) is int:
        return value
    if isinstance(value, bool):
        raise TypeError("a bool is not a number")
    return index(value)


def nested(change: Callable[[Tensor], Tensor], each: Any) -> Any:
    """Nested tuples, lists and dicts with their tensors changed."""
    if isinstance(each, Tensor):
        return change(each)
    if isinstance(each, (tuple, list)):
        items = [nested(change, item) for item in each]
        return type(each)(*items) if hasattr(each, "_fields") else type(each)(items)
    if isinstance(each, dict):
        return {key: nested(change, item) for key, item in each.items()}
    return each


def tensors(each: Any) -> Iterator[Tensor]:
    """The tensors in nested tuples, lists, dicts and dataclasses."""
    if isinstance(each, Tensor):
        yield each
    elif isinstance(each, dict):
        for item in each.values():
            yield from tensors(item)
    elif isinstance(each, (tuple, list)):
        for item in each:
            yield from tensors(item)
    elif is_dataclass(each) and not isinstance(each, type):
        for field in fields(each):
            yield from tensors(getattr(each, field.name, None))
