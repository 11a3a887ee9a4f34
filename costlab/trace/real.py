"""Follows a module's forward on real tensors, for code that depends on values."""

from __future__ import annotations

from functools import lru_cache
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn

from costlab.errors import TraceError
from costlab.isolation.module_state import tensors_of
from costlab.ops.uncounted import Uncounted
from costlab.trace.classification import PICKED, Call, Kind, accumulates
from costlab.trace.recorder import Basic, Recorder, by_rule
from costlab.trace.tape import META
from costlab.trace.tensors import tensors


class RealRecorder(Recorder):
    """Runs each call, and notes it by what stands for its tensors on ``meta``.

    What the call would change of the model, its buffers above all, is copied first.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__(module)
        self._copies: dict[int, Tensor] = {}
        self._memory: set[int] | None = None

    def given(self, tensor: Tensor) -> Tensor:
        return self.tape.given(tensor.clone())

    def set(self, name: str, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        args, kwargs = self._private(args, False), self._private(kwargs, False)
        if name == "data":
            target, value = args
            self.attributes.remember(target, name)
            func(target, value)
            self.tape.stands_for(self.tape.standin(value), target)
            return None
        return super().set(name, func, args, kwargs)

    def transform(self, made: Call, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        raise TraceError(
            f"{self._where()} uses a transform of torch.func, such as vmap: "
            "it is followed on shapes only, without real=True or --real"
        )

    def answer(self, made: Call, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        changes = may_change(made, func, args, kwargs)
        args, kwargs = self._private(args, changes), self._private(kwargs, changes)
        stood, named = self.tape.stood(args), self.tape.stood(kwargs)
        result = func(*args, **kwargs)
        if made.kind is Kind.VALUES and made.name not in PICKED | {"__format__"}:
            self.tape.looked_at(args)
        target = args[0] if made.in_place and args else None
        leaves = list(tensors(target if result is None else result))
        if made.kind is Kind.MAKES or not leaves:
            return result
        if made.kind is Kind.MOVES and not made.in_place:
            given = {id(tensor) for tensor in tensors((args, kwargs))}
            if all(id(leaf) in given for leaf in leaves):
                return result
        for leaf, own in zip(leaves, self._noted(made, func, stood, named, leaves), strict=True):
            self.tape.stands_for(own, leaf)
        return result

    def _noted(
        self, made: Call, func: Any, args: Any, kwargs: dict[str, Any], leaves: list[Tensor]
    ) -> list[Tensor]:
        """What stands for real results."""
        tape, mark, inputs = self.tape, self.tape.mark(), list(tensors((args, kwargs)))
        shapes = [leaf.shape for leaf in leaves]
        picks = made.name in PICKED or (made.name == "where" and len(args) == 1)
        if made.kind is Kind.USERS:
            return list(tensors(self.by_users_rule(made.name, func, args, kwargs)))
        moves = picks or (made.kind is Kind.MOVES and not accumulates(made.name, args, kwargs))
        if not moves:
            if made.rule is not None:
                own = list(tensors(by_rule(tape, made.rule, args, kwargs)))
                if [one.shape for one in own] == shapes:
                    return own
                tape.forget(mark)
            try:
                with Basic(tape):
                    own = list(tensors(func(*args, **kwargs)))
            except (NotImplementedError, RuntimeError):
                own = []
            if [one.shape for one in own] == shapes:
                return own
            tape.forget(mark)
        own = [torch.empty(leaf.shape, dtype=leaf.dtype, device=META) for leaf in leaves]
        for one in own:
            if moves:
                tape.moved(made.name, inputs, one)
            elif one is not own[0]:
                tape.further(own[0], one)
            else:
                tape.record(Uncounted(made.name, tuple(one.shape)), inputs, result=one)
        return own

    def _private(self, each: Any, changed: bool) -> Any:
        """The arguments, with copies of the model's own tensors that the call could change."""
        if isinstance(each, Tensor):
            known = self._copies.get(id(each))
            if known is not None:
                return known
            if id(each) in self.places.buffers or (changed and self._holds(each)):
                self._copies[id(each)] = copy = each.detach().clone()
                self.tape.copied(copy, each)
                return copy
            return each
        if isinstance(each, (tuple, list)) and not hasattr(each, "_fields"):
            return type(each)(self._private(item, changed) for item in each)
        if isinstance(each, dict):
            return {key: self._private(item, changed) for key, item in each.items()}
        return each

    def _holds(self, tensor: Tensor) -> bool:
        """Whether a tensor shares its memory with one of the model's."""
        if self._memory is None:
            held = tensors_of(self.places.modules, self.objects)
            self._memory = {memory for each in held if (memory := _memory(each))}
        return _memory(tensor) in self._memory


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


def _memory(tensor: Tensor) -> int:
    """Where a tensor's elements are; 0 if not in one place (meta, sparse)."""
    try:
        return tensor.untyped_storage().data_ptr()
    except (NotImplementedError, RuntimeError):
        return 0
