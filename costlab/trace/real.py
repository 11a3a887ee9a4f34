"""Follows a module's forward on real tensors, for code that depends on values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from costlab.errors import TraceError
from costlab.isolation.module_state import containers
from costlab.ops.uncounted import Uncounted
from costlab.trace.classification import PICKED, Call, Kind, accumulates
from costlab.trace.recorder import Basic, Recorder, by_rule
from costlab.trace.tape import META, tensors


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
        changes = made.in_place or kwargs.get("out") is not None
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
            self._memory = {each.untyped_storage().data_ptr() for each in self._own()}
        return tensor.untyped_storage().data_ptr() in self._memory

    def _own(self) -> Iterator[Tensor]:
        """The model's tensors: registered ones, gradients, and those that are just attributes."""
        for _, parameter in self.places.parameters.values():
            yield parameter
            if parameter.grad is not None:
                yield parameter.grad
        states = [module.__dict__ for module in self.places.modules]
        held = [value for state in states for value in state.values()]
        for holder in (*states, *containers(held)):
            for each in holder.values() if isinstance(holder, dict) else holder:
                if isinstance(each, Tensor):
                    yield each
