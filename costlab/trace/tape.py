"""What has been noted of a forward pass: operations, and which tensor each of them gave."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor

from costlab.graph.op import Op, Shape
from costlab.graph.values import Value, owner_of
from costlab.ops.movement import Leaf, Movement, takes_again
from costlab.ops.uncounted import Uncounted
from costlab.torch_private import nested_rows
from costlab.trace.arguments import fitted, made
from costlab.trace.module_stack import Places
from costlab.trace.stored_tensors import StoredTensors, new_tuple
from costlab.trace.tape_records import ITS_OWN, Site, TapeRecord
from costlab.trace.tensors import META, held, memory_of, nested, tensors, type_of
from costlab.trace.whole_calls import FunctionCall
from costlab.trace.writes import Writes

_shape_of = attrgetter("shape")


def _not_known(tensor: Tensor, what: str) -> Tensor | None:
    return None


class Tape:
    """The operations in order, and the tensors that they take and give.

    A tensor is known by its identity, so all of them are kept alive. What was there before the run
    (a parameter, a buffer, a constant) becomes a value when it is first taken.
    """

    def __init__(self, places: Places) -> None:
        self.records: list[TapeRecord] = []
        self.values: list[Value] = []
        self.inputs = 0
        """How many inputs the model has: they are the first values."""
        self.site = Site()
        """Of the call that is being answered."""
        self.cuts = False
        """Whether no gradient goes through what that call gives."""
        self.value_of: Callable[[Tensor, str], Tensor | None] = _not_known
        """The elements of a tensor that a rule asks for by that name, where they are known."""
        self._places = places
        self._numbers: dict[int, int] = {}
        """The value that a tensor is, by the tensor's identity."""
        self._standins: dict[int, Tensor] = {}
        self._writes = Writes()
        self._alive: list[Any] = []
        self.stored = StoredTensors(
            self.records, places, self.values, self._numbers, self._standins, self._alive
        )
        self.forgotten = 0
        """How often something was taken back."""
        self.functions: list[FunctionCall] = []
        """Calls of functions that a user's rule counts as a whole."""
        self._calls: dict[str, tuple[int, object]] = {}
        """How often a module was at work, and where last."""

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

        ``weights`` are what it takes beside its operands: parameters, masks, states. ``shapes`` are
        the operands' as the op takes them, where that is not how they are; ``result`` is the tensor
        that stands for the output, where there is one.
        """
        operands = tuple(map(self.value, inputs))
        if shapes is None:
            shapes = tuple(map(tuple, map(_shape_of, inputs)))
        output = fitted(op, shapes)
        if result is None:
            result = torch.empty(output, dtype=dtype or inputs[0].dtype, device=META)
        self._note(op, operands, shapes, output, tuple(weights), result)
        return result

    def apply(
        self,
        kind: type[Op],
        attributes: tuple[Any, ...],
        input: Tensor,
        rank: int,
        weights: Sequence[Tensor | None] = (),
        in_place: bool = False,
    ) -> Any:
        """Note an operation on an input of that rank; one without a batch has a batch of 1.

        ``NotImplemented`` for any other.
        """
        shape = tuple(input.shape)
        if len(shape) == rank:
            op, shapes, output = made(kind, attributes, shape)
            operands = (self.value(input),)
            result = input
            if not in_place:  # sizes one by one are faster than in a tuple
                result = torch.empty(*output or ((),), dtype=input.dtype, device=META)
            self._note(op, operands, shapes, output, weights, result)
            return result
        if len(shape) != rank - 1:
            return NotImplemented
        op, shapes, output = made(kind, attributes, (1, *shape))
        result = torch.empty(output[1:], dtype=input.dtype, device=META)
        return self.record(op, (input,), weights, shapes=shapes, result=result)

    def moved(self, what: str, inputs: Sequence[Tensor], result: Tensor) -> Tensor:
        """Note that ``result`` holds elements of the inputs, unless it is a parameter's view."""
        if self._writes.by_memory:
            for tensor in inputs:
                self._renew(tensor)
        traced = [tensor for tensor in inputs if id(tensor) in self._numbers]
        weights = [tensor for tensor in inputs if self.is_weight(tensor)]
        several = len({self.stored.owner(tensor) for tensor in (*weights, *inputs[:1])}) > 1
        if not traced and (several or self.cuts or takes_again(what)):
            traced, weights = weights, []  # the result does not stand for one parameter
        if traced:  # a weight that is used as a value too is taken once
            beside = [tensor for tensor in weights if id(tensor) not in self._numbers]
            self.record(Movement(what, tuple(result.shape)), traced, beside, result=result)
            self._share(result, inputs)
            return result
        if any(map(self.stored.appeared.has, inputs)):
            for tensor in inputs:
                self.value(tensor)
            return self.moved(what, inputs, result)
        if inputs:
            self.stored.owners[id(result)] = self.stored.owner(inputs[0])
            self._writes.shared_memory.add(memory_of(result))
        self._alive.append(result)
        return result

    def further(self, first: Tensor, result: Tensor) -> Tensor:
        """``result`` is one more result of the operation that gave ``first``: indices, a state."""
        number = self.value(first)
        for record in reversed(self.records):
            if number in record.results:
                record.results += (self._new(result),)
                break
        return result

    def renewed(self, target: Tensor, result: Tensor, elements: bool = True) -> Tensor:
        """``target`` was changed in place and now holds ``result``: its elements, or its shape."""
        number = self.value(result)
        if self._writes.by_memory:
            self._renew(target)
        before = self._numbers.get(id(target))
        if before is not None and owner_of(self.values, before) < number:
            self._set_owner(number, before)
        self._numbers[id(target)] = number
        self._alive.append(target)
        if elements and before != number:
            self._wrote(target, number, before)
        return target

    def becomes(self, target: Tensor, other: Tensor) -> None:
        """From now on ``target`` stands for the same value as ``other``, in the same memory."""
        self._numbers[id(target)] = self.value(other)
        own = self.standin(other)
        if target.device != META:  # what is on meta has the memory itself
            self.stands_for(own.detach(), target)
        self._writes.shared_memory.add(memory_of(own))
        self._alive += [target, other]

    def is_weight(self, tensor: Tensor) -> bool:
        """Whether a tensor is a parameter of the model, or a view of one."""
        return self.stored.is_parameter(tensor, self.site.place)

    def parameter(self, name: str, holder: Any, tensor: Tensor) -> Tensor:
        """What stands for a parameter that the module at work holds in another form."""
        return self.stored.parameter(name, holder, tensor, self.site.place)

    def is_given(self, tensor: Tensor) -> bool:
        """Whether a tensor was there before, or holds elements of one, and is no parameter."""
        return id(tensor) not in self._numbers and not self.is_weight(tensor)

    def is_computed(self, tensor: Tensor) -> bool:
        """Whether an operation of the run gave a tensor."""
        standin = self._standins.get(id(tensor), tensor)
        return self._numbers.get(id(standin), -1) >= self.inputs

    # What recorders use.

    def enter(
        self,
        path: str,
        frame: object,
        whole: bool = False,
        function: str = "",
        strided: bool = False,
    ) -> None:
        """A module is at work in that frame; another frame than before is another call of it."""
        known = self._calls.get(path)
        if known is None or known[1] is not frame:
            known = self._calls[path] = (1 if known is None else known[0] + 1, frame)
        self.site = new_tuple(Site, (path, known[0], whole, function, strided))

    def enter_no_more(self, path: str) -> None:
        """Undo the last `enter` of that path."""
        number, frame = self._calls[path]
        self._calls[path] = (number - 1, frame)

    @contextmanager
    def at(self, site: Site) -> Iterator[None]:
        """What is noted inside is of an earlier call, whose site that was."""
        current, self.site = self.site, site
        try:
            yield
        finally:
            self.site = current

    @property
    def is_whole(self) -> bool:
        """Whether what is noted now is inside of a call that a user's rule counts as a whole."""
        return self.site.whole or any(call.end is None for call in self.functions)

    @contextmanager
    def as_one(self) -> Iterator[FunctionCall]:
        """What is noted inside is one operation, once it has an `op`: see `whole_calls.joined`."""
        call = FunctionCall(self.site, len(self.records))
        self.functions.append(call)
        try:
            yield call
        finally:
            call.end = len(self.records)

    def leave(self) -> None:
        """The run is over: its frames are let go."""
        self._calls.clear()
        self.value_of = _not_known

    def given(self, tensor: Tensor, learns: bool = False) -> Tensor:
        """The next input of the model; ``learns`` is whether it wants a gradient."""
        shape = tuple(tensor.shape)
        self._numbers[id(tensor)] = len(self.values)
        value = Value(shape, type_of(tensor.dtype), "input", detached=not learns)
        self.values.append(value)
        self.inputs += 1
        self._alive.append(tensor)
        return tensor

    def value(self, tensor: Tensor) -> int:
        """The number of a tensor; one that was there before has a row of its own."""
        if self._writes.by_memory:
            self._renew(tensor)
        number = self._numbers.get(id(tensor))
        if number is not None:
            return number
        if tensor._base is not None and id(tensor._base) in self._numbers:  # made inside of torch
            self.moved("view", (tensor._base,), tensor)
            return self._numbers[id(tensor)]
        leaf = self.stored.value(tensor, self.site.place)
        if leaf is None:
            shape = tuple(tensor.shape)
            self._note(Uncounted("from_nowhere", shape), (), (), shape, (), tensor)
            return self._numbers[id(tensor)]
        kind, name = self.values[leaf].kind, self.values[leaf].name
        shape = tuple(tensor.shape)
        op = Leaf(kind, shape)
        self._note(op, (), (), shape, (tensor,), tensor)
        number = self._numbers[id(tensor)]
        if self.cuts:  # the first that reads it does so without gradients; others may not
            self.values[number] = self.values[number]._replace(detached=False)
        self._set_owner(number, leaf)
        if name and not self.site.whole:
            name = self._places.calls.called(name, self.site.place)
            self.records[-1].site = Site(name, ITS_OWN)
        return number

    def number(self, tensor: Tensor) -> int | None:
        """The number of a tensor that has one."""
        return self._numbers.get(id(tensor))

    def knows(self, tensor: Tensor) -> bool:
        """Whether it is known where a tensor, or the one that it views, is from."""
        own = self._standins.get(id(tensor), tensor)
        keys = {
            id(own),
            id(own._base),
            id(tensor._base),
            self.stored.owner(own),
            self.stored.owner(tensor),
        }
        stored = self.stored
        known = (self._numbers, stored.leaves, stored.parameters, stored.buffers)
        return any(key in numbers for key in keys for numbers in known)

    def looked_at(self, args: Any) -> None:
        """Parameters among the arguments were read for their values."""
        for tensor in tensors(args):
            if self.is_weight(tensor):
                self.value(tensor)

    def alike(self, tensor: Tensor, other: Tensor) -> None:
        """Let ``tensor`` stand for the same value as ``other``."""
        if id(tensor) in self._numbers and id(other) in self._numbers:
            self.renewed(tensor, other)
        elif id(other) in self._numbers:
            self._numbers[id(tensor)] = self._numbers[id(other)]
        elif id(other) in self.stored.owners:
            self.stored.owners[id(tensor)] = self.stored.owners[id(other)]
        self._alive += [tensor, other]

    def standin(self, tensor: Tensor) -> Tensor:
        """The tensor on ``meta``: itself, or an empty one of its shape; a sparse one is itself."""
        if tensor.device.type == "meta" or tensor.layout is not torch.strided:
            return tensor
        standin_tensor = self._standins.get(id(tensor))
        if standin_tensor is None:
            standin_tensor = torch.empty_strided(
                tensor.shape, tensor.stride(), dtype=tensor.dtype, device=META
            )
            self.stands_for(standin_tensor, tensor)
            if id(tensor) not in self.stored.parameters:
                self.stored.is_in_place(tensor, self.site.place)
            self.stored.owners[id(standin_tensor)] = self.stored.owner(tensor)
            if id(tensor) in self._numbers:
                self._numbers[id(standin_tensor)] = self._numbers[id(tensor)]
        return standin_tensor

    def original(self, standin: Tensor) -> Tensor:
        """The tensor that one on ``meta`` stands for last; itself if for none."""
        for tensor in reversed(self._alive):
            if self._standins.get(id(tensor)) is standin:
                return tensor  # type: ignore[no-any-return]
        return standin

    def stands_for(self, standin: Tensor, tensor: Tensor) -> None:
        """From now on ``standin`` is the tensor on ``meta``."""
        self._standins[id(tensor)] = standin
        self._alive += [tensor, standin]

    def copied(self, copy: Tensor, tensor: Tensor) -> None:
        """``copy`` takes the place of one of the model's own tensors."""
        self.stands_for(self.standin(tensor), copy)
        self._alive.append(tensor)

    def stood(self, arguments: Any) -> Any:
        """Nested arguments, their tensors on ``meta``."""
        return nested(self.standin, arguments)

    def has_its_own_strides(self, tensor: Tensor) -> bool:
        """Whether a tensor is a view of one that was there before, or of an input."""
        base = tensor if tensor._base is None else tensor._base
        return self._numbers.get(id(base), -1) < self.inputs

    def mark(self) -> tuple[int, int]:
        """How far it is, to go back there with `forget`."""
        return len(self.records), len(self.values)

    def forget(self, mark: tuple[int, int]) -> None:
        """Take back all that was noted since that mark."""
        records, values = mark
        if len(self.values) == values:
            return
        self.forgotten += 1
        del self.records[records:], self.values[values:]
        self.functions = [f for f in self.functions if f.end is None or f.end <= records]
        self._writes.forget(values)
        for numbers in (self._numbers, self.stored.leaves, self.stored.memory):
            for key in [key for key, number in numbers.items() if number >= values]:
                del numbers[key]

    def tried(self, run: Callable[[], Any]) -> int:
        """The flops of what a function calls, as far as they are known; nothing of it is noted."""
        mark, calls = self.mark(), dict(self._calls)
        run()
        flops = 0
        for record in self.records[mark[0] :]:
            scalars = record.op.scalars(record.output, *record.inputs)
            contraction = record.op.contraction(record.output, *record.inputs)
            flops += (scalars.flops if scalars else 0) + 2 * (
                contraction.macs if contraction else 0
            )
        self.forget(mark)
        self._calls = calls
        return flops

    def returned(self, result: Any) -> tuple[int, ...]:
        """The numbers of the tensors in what the model returns."""
        self.stored.appeared.taken = result
        leaves = [nested_rows(tensor) if tensor.is_nested else tensor for tensor in held(result)]
        stands = [self._standins.get(id(tensor), tensor) for tensor in leaves]
        return tuple([self.value(tensor) for tensor in stands])

    def _note(
        self,
        op: Op,
        operands: tuple[int, ...],
        inputs: tuple[Shape, ...],
        output: Shape,
        weights: Sequence[Tensor | None],
        result: Tensor,
    ) -> None:
        """Note an operation, which gives that tensor."""
        if self._writes.by_memory:
            for weight in weights:
                if weight is not None:
                    self._renew(weight)
        site, taken = self.site, self._taken(weights) if weights else ()
        number = self._new(result)
        if op.passes:
            self._set_owner(number, operands[0])
        record = TapeRecord(site, op, operands, inputs, output, taken, (number,))
        self.records.append(record)
        if self._writes.shared_memory and self.values[number].shares is not None:
            self._writes.add(record, number, result)

    def _taken(self, weights: Iterable[Tensor | None]) -> tuple[int, ...]:
        """The values that an operation takes beside its operands."""
        known, stored, place = self._numbers, self.stored, self.site.place
        numbers = []
        for weight in weights:
            if weight is not None:
                number = known.get(id(weight))
                number = stored.value(weight, place) if number is None else number
                numbers.append(self.value(weight) if number is None else number)
        return tuple(numbers)

    def _new(self, tensor: Tensor) -> int:
        """A new value, which that tensor is from now on; in its memory if it was one before."""
        numbers, values, key = self._numbers, self.values, id(tensor)
        number, shares = len(values), None
        if key in numbers:
            shares = owner_of(values, numbers[key])
        numbers[key] = number
        own = (tuple(tensor.shape), type_of(tensor.dtype), "computed", "", shares, self.cuts)
        values.append(new_tuple(Value, own))
        self._alive.append(tensor)
        return number

    def _share(self, result: Tensor, inputs: Sequence[Tensor]) -> None:
        """Note whose memory the result of a movement uses, if it is that of an input."""
        number = self._numbers[id(result)]
        if self.values[number].shares is not None:
            return
        memory = memory_of(result)
        for tensor in inputs:
            source = self._numbers.get(id(tensor))
            if source is not None and memory_of(self._standins.get(id(tensor), tensor)) == memory:
                self._set_owner(number, source)
                self._writes.shared_memory.add(memory)
                return

    def _set_owner(self, number: int, source: int) -> None:
        """A value uses the memory of another one."""
        shares = owner_of(self.values, source)
        if shares != number:  # as of a copy into what was not a value until then
            self.values[number] = self.values[number]._replace(shares=shares)

    def _wrote(self, target: Tensor, number: int, before: int | None) -> None:
        """Note that an operation in place made of ``target``, which was that before, a new value.

        What uses the same memory becomes a new value too, when it is next taken: see `_renew`.
        """
        if not self._writes.shared_memory:
            return
        record = next((r for r in reversed(self.records) if number in r.results), None)
        if record is None:
            return
        if before is not None and before not in (*record.operands, *record.weights):  # of ``out=``
            record.weights += (before,)
        self._writes.add(record, number, self._standins.get(id(target), target))

    def _renew(self, tensor: Tensor) -> None:
        """Let a tensor be what operations in place made of it through others of its memory.

        It is a further result of the last one, which takes what those before it gave, so that none
        of them is lost.
        """
        own = self._standins.get(id(tensor), tensor)
        writes = self._writes.since(self._numbers.get(id(tensor), -1), own)
        if not writes:
            return
        *earlier, last = writes
        record = last.record
        known = {*record.operands, *record.weights, *record.results}
        record.weights += tuple([w.number for w in earlier if w.number not in known])
        number = self._new(tensor)
        self._set_owner(number, last.number)
        record.results += (number,)
