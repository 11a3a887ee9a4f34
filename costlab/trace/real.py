"""Follows a module's forward on real tensors, for code that depends on values."""

from __future__ import annotations

from functools import lru_cache
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from costlab.errors import TraceError
from costlab.graph.network import Decision
from costlab.isolation.code_replaced import original
from costlab.isolation.module_state import tensors_of
from costlab.ops.uncounted import Uncounted
from costlab.trace import gradients_inside
from costlab.trace.basics import Basic, by_result, by_rule
from costlab.trace.classification import (
    ARRAYS,
    PICKED,
    Call,
    Kind,
    accumulates,
    is_others,
    movement_of,
    of_torch,
)
from costlab.trace.recorder import Recorder
from costlab.trace.sparse import is_sparse
from costlab.trace.tensors import META, nested, of_its_kind, tensors
from costlab.trace.users import label
from costlab.trace.users_answers import changed_arguments, given_by, note


class RealRecorder(Recorder):
    """Runs each call, and notes it by what stands for its tensors on ``meta``.

    What the call would change of the model, its buffers above all, is copied first.
    """

    is_real = True

    def __init__(self, module: nn.Module, observed: bool = False, gradients: bool = False) -> None:
        super().__init__(module, observed, gradients)
        self._copies = self.reshaped
        self._copied: dict[int, torch.UntypedStorage] = {}
        self._memory: set[int] | None = None
        self._known_ids: set[int] = set()
        """Tensors that were asked about, which the tape keeps alive."""

    def given(self, tensor: Tensor, name: str = "") -> Tensor:
        own = of_its_kind(tensor.detach().clone(), tensor)
        return self.tape.given(own, tensor.requires_grad)

    def device(self, made: Call, func: Any, args: Any) -> Any:
        """Where it is."""
        return func(*args)

    def set(self, name: str, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        args, kwargs = self._private(args, False), self._private(kwargs, False)
        if name == "data":
            target, value = args
            self.attributes.remember(target, name)
            func(target, value)
            stands = self.tape.standin(value)
            if self.tape.is_given(stands) and self.tape.is_weight(target):
                stands = torch.empty(value.shape, dtype=value.dtype, device=META)
                self.tape.copied(stands, target)
            self.tape.stands_for(stands, target)
            return None
        return super().set(name, func, args, kwargs)

    def transform(self, made: Call, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        if made.users is not None:
            raise TraceError(
                f"{made.name} at {self.where()} has a rule, and is called inside of a transform of "
                "torch.func, such as vmap: that is followed on shapes only, without real=True or "
                "--real"
            )
        self.transforms = True
        with Wholes(self):
            return func(*args, **kwargs)

    def answer(self, made: Call, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        if made.kind is Kind.GRADIENTS:
            return gradients_inside.on_real_tensors(self, made, func, args, kwargs)
        self._note_appeared((args, kwargs))
        return self.answer_known(made, func, args, kwargs)

    def answer_known(self, made: Call, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """What a call gives of whose tensors it is known where they are from."""
        changes = may_change(made, func, args, kwargs)
        args, kwargs = self._private(args, changes), self._private(kwargs, changes)
        stood, named = self.tape.stood(args), self.tape.stood(kwargs)
        if made.users is not None:
            return self.by_users_rule(made, func, args, kwargs)
        result = func(*args, **kwargs)
        self._note_reading(made, args, stood)
        target = args[0] if made.in_place and args else None
        leaves = tensors(target if result is None else result)
        if any(leaf.is_nested for leaf in leaves):
            raise TraceError(
                f"{self.where()} makes a nested tensor, which is followed on shapes only, without "
                "real=True or --real"
            )
        if made.kind is Kind.MAKES or made.name == "from_numpy":
            self._note_array(made.name, args, leaves)
            return result
        if not leaves:  # what gives no tensor is an operation too
            changed = [
                self.tape.standin(t) for t in changed_arguments(func, made.in_place, args, kwargs)
            ]
            if made.kind is Kind.UNKNOWN and (changed or is_others(func)):
                note(self.tape, label(func), None, result, stood, named, changed)
            return result
        if made.kind is Kind.MOVES and not made.in_place:
            given = {id(tensor) for tensor in tensors((args, kwargs))}
            if all(id(leaf) in given for leaf in leaves):
                return result
        if self.is_among((*args, *kwargs.values(), *leaves)):
            self._note_sparse(made, stood, named, leaves)
            return result
        targets = {id(tensor) for tensor in tensors((target, kwargs.get("out")))}
        for leaf, own in zip(leaves, self._noted(made, func, stood, named, leaves), strict=True):
            if id(leaf) in targets and self.tape.standin(leaf).shape == own.shape:
                self.tape.renewed(self.tape.standin(leaf), own)
            else:
                self.tape.stands_for(own, leaf)
        return result

    def returned(self, result: Any) -> tuple[int, ...]:
        self._note_appeared(result)
        return super().returned(result)

    def _note_appeared(self, arguments: Any) -> None:
        """Note what no call that is seen has given: it is of a compiled kernel, or a thread."""
        for tensor in tensors(arguments):
            if id(tensor) in self._known_ids or self.tape.knows(tensor):
                continue
            self._known_ids.add(id(tensor))
            base = tensor._base
            if base is not None and self.tape.knows(base):  # a view that torch made inside
                own = torch.empty(tensor.shape, dtype=tensor.dtype, device=META)
                self.tape.moved("view", (self.tape.standin(base),), own)
                self.tape.stands_for(own, tensor)
            elif self.tape.stored.appeared.has_real(tensor):
                own = torch.empty(tensor.shape, dtype=tensor.dtype, device=META)
                self.tape.record(Uncounted("from_nowhere", tuple(own.shape)), (), result=own)
                self.tape.stands_for(own, tensor)

    def _note_reading(self, made: Call, args: Any, stood: Any) -> None:
        """Note that a call reads values, and that it decides something."""
        if _asks(made, args):
            self.known.decisions[Decision(made.name, self.where(), ())] = None
        if made.kind is Kind.VALUES and made.name not in PICKED | {"__format__"}:
            self.tape.looked_at(args)
        if made.name in ARRAYS:
            self.arrays += tensors(stood)

    def value_of(self, tensor: Tensor, what: str) -> Tensor | None:
        own = self.tape.original(tensor)
        return None if own.device.type == "meta" else own

    def _note_sparse(
        self, made: Call, args: Any, kwargs: dict[str, Any], leaves: list[Tensor]
    ) -> None:
        """Note a call with sparse tensors, which stand for themselves."""
        own = [
            leaf if is_sparse(leaf) else torch.empty(leaf.shape, dtype=leaf.dtype, device=META)
            for leaf in leaves
        ]
        self.sparse.note(made, args, kwargs, own)
        for leaf, stands in zip(leaves, own, strict=True):
            if stands is not leaf:
                self.tape.stands_for(stands, leaf)

    def _note_array(self, name: str, args: Any, leaves: list[Tensor]) -> None:
        """Note a tensor that is made of an array, which code may have computed of those it has."""
        if self.arrays and any(_is_array(value) for value in args):
            own = [torch.empty(leaf.shape, dtype=leaf.dtype, device=META) for leaf in leaves]
            note(self.tape, name, None, own, tuple(self.arrays), {}, [])
            for leaf, stands in zip(leaves, own, strict=True):
                self.tape.stands_for(stands, leaf)

    def by_users_rule(self, made: Call, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Run a call that a user's rule counts, unless the rule says what it gives."""
        assert made.users is not None
        stood, named = self.tape.stood(args), self.tape.stood(kwargs)
        if made.users.output is not None:
            own = given_by(made.users, made.name, *stood, **named)
            result = self.shown(own, args, kwargs)
        else:
            result = original(func)(*args, **kwargs)
            own = nested(
                lambda leaf: torch.empty(leaf.shape, dtype=leaf.dtype, device=META), result
            )
            for leaf, stands in zip(tensors(result), tensors(own), strict=True):
                self.tape.stands_for(stands, leaf)
        changed = [
            self.tape.standin(t) for t in changed_arguments(func, made.in_place, args, kwargs)
        ]
        note(self.tape, made.name, made.users, own, stood, named, changed)
        return result

    def shown(self, result: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Zeros for a result on ``meta``, where the first argument is."""
        devices = (tensor.device for tensor in tensors((args, kwargs)))
        device = next(devices, torch.device("cpu"))

        def zeros(own: Tensor) -> Tensor:
            leaf = torch.zeros(own.shape, dtype=own.dtype, device=device)
            self.tape.stands_for(own, leaf)
            return leaf

        return nested(zeros, result)

    def _noted(
        self, made: Call, func: Any, args: Any, kwargs: dict[str, Any], leaves: list[Tensor]
    ) -> list[Tensor]:
        """Note the operation of a call whose arguments are on ``meta``, and gave these results.

        Gives a tensor on ``meta`` for each of ``leaves``, the real results, that the tape knows.
        """
        tape, mark, inputs = self.tape, self.tape.mark(), tensors((args, kwargs))
        shapes = [leaf.shape for leaf in leaves]
        picks = made.name in PICKED or (made.name == "where" and len(args) == 1)
        moves = picks or (made.kind is Kind.MOVES and not accumulates(made.name, args, kwargs))
        if not moves:
            if made.rule is not None:
                own = tensors(by_rule(tape, made.rule, args, kwargs))
                if [result.shape for result in own] == shapes:
                    return own
                tape.forget(mark)
            result = torch.empty(shapes[0], dtype=leaves[0].dtype, device=META)
            if by_result(tape, func, result, args, kwargs):
                return [result]
            try:
                with Basic(tape, made.name) as basic:
                    own = tensors(func(*args, **kwargs))
                basic.given(own)
            except (NotImplementedError, RuntimeError):
                own = []
            if [result.shape for result in own] == shapes:
                return own
            tape.forget(mark)
        own = [] if picks or not moves or made.in_place else _views(func, args, kwargs)
        if [result.shape for result in own] != shapes:
            own = [torch.empty(leaf.shape, dtype=leaf.dtype, device=META) for leaf in leaves]
        for stands in own:
            if moves:
                tape.moved(movement_of(made, args), inputs, stands)
            elif stands is not own[0]:
                tape.further(own[0], stands)
            else:
                tape.record(Uncounted(made.name, tuple(stands.shape)), inputs, result=stands)
        return own

    def _private(self, argument: Any, changed: bool) -> Any:
        """The arguments, with copies of the model's own tensors that the call could change."""
        if isinstance(argument, Tensor):
            known = self._copies.get(id(argument))
            if known is not None:
                return known
            memory = _memory(argument)
            own = id(argument) in self.places.buffers or memory in self._copied
            if own or (changed and self._holds(argument)):
                self._copies[id(argument)] = copy = self._copy(argument, memory)
                self.tape.copied(copy, argument)
                return copy
            return argument
        if isinstance(argument, (tuple, list)) and not hasattr(argument, "_fields"):
            return type(argument)(self._private(item, changed) for item in argument)
        if isinstance(argument, dict):
            return {key: self._private(item, changed) for key, item in argument.items()}
        return argument

    def _copy(self, tensor: Tensor, memory: int) -> Tensor:
        """A copy of a tensor; tensors in one memory have copies in one, also views of them."""
        if not memory:
            return tensor.detach().clone()
        if memory not in self._copied:
            self._copied[memory] = tensor.untyped_storage().clone()  # type: ignore[no-untyped-call]
        copy = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
        copied = self._copied[memory]
        return copy.set_(copied, tensor.storage_offset(), tensor.size(), tensor.stride())

    def _answer_and_follow(self, made: Call, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """All values are known here."""
        return self.answer(made, func, args, kwargs)

    def _follow_shapes(self, made: Call, args: Any, kwargs: dict[str, Any]) -> None:
        """Copies have them."""

    def _holds(self, tensor: Tensor) -> bool:
        """Whether a tensor shares its memory with one of the model's; one without any is itself."""
        if self._memory is None:
            held = tensors_of(self.places.modules, self.objects)
            self._memory = {_memory(tensor_held) or -id(tensor_held) for tensor_held in held}
        return (_memory(tensor) or -id(tensor)) in self._memory


class Wholes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Answers what a call consists of: inside of ``vmap`` on all of the batch, or backwards."""

    def __init__(self, recorder: RealRecorder) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._recorder = recorder

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        made = of_torch(func.overloadpacket)
        return self._recorder.answer_known(made, func, args, kwargs or {})


def _is_array(value: Any) -> bool:
    return hasattr(value, "__array__") and not isinstance(value, Tensor)


def _asks(made: Call, args: Any) -> bool:
    """Whether a call reads values, or gives a shape that depends on them."""
    if made.kind is Kind.VALUES:
        return made.name != "__format__"
    if made.name == "where":
        return len(args) == 1
    if made.name == "repeat_interleave":
        return bool(tensors(args[1:]))
    masks = tensors(args[1:]) if made.name == "index" else ()
    return any(mask.dtype in (torch.bool, torch.uint8) for mask in masks)


_OPTIONS = ("inplace", "max_norm", "out")
"""Arguments that have a function change a tensor that it is given."""

_STATISTICS = frozenset(("batch_norm", "instance_norm"))
"""What changes running statistics, which need not be buffers."""


def may_change(made: Call, func: Any, args: Any, kwargs: dict[str, Any]) -> bool:
    """Whether a call could change one of its tensors: any does of which nothing is known."""
    if made.in_place or made.name in _STATISTICS or made.kind in (Kind.UNKNOWN, Kind.USERS):
        return True
    given = [value for name, value in kwargs.items() if name in _OPTIONS]
    given += [args[position] for position in _positions(func) if position < len(args)]
    return any(value is not None and value is not False for value in given)


@lru_cache(maxsize=1024)
def _positions(function: Any) -> tuple[int, ...]:
    """Where these options are among a function's arguments; built-in ones have them by name."""
    try:
        names = list(signature(function).parameters)
    except (TypeError, ValueError):
        return ()
    return tuple(names.index(option) for option in _OPTIONS if option in names)


def _views(func: Any, args: Any, kwargs: dict[str, Any]) -> list[Tensor]:
    """What a call that moves elements gives on ``meta``, in the memory of what it views."""
    try:
        return tensors(func(*args, **kwargs))
    except Exception:  # it is about a device, or about values
        return []


def _memory(tensor: Tensor) -> int:
    """Where a tensor's elements are; 0 if not in one place (meta, sparse, lazy)."""
    try:
        return tensor.untyped_storage().data_ptr()
    except (NotImplementedError, RuntimeError, ValueError):
        return 0
