"""A user's module, left as it was: flags, attributes, registries, and all that is outside of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import chain
from operator import is_
from types import FunctionType, GetSetDescriptorType
from typing import Any

import torch
from torch import Tensor, nn

from costlab.isolation.contents import Contents, holders, inside
from costlab.isolation.reached_names import Names, bases_of
from costlab.isolation.torch_globals import HOOKS, Globals
from costlab.isolation.turns import turn

_ABSENT = object()
_DEPTH = 2
"""How often what names hold is followed in turn."""
_UNCHANGING = frozenset((bool, int, str, type(None), property, GetSetDescriptorType))


@contextmanager
def untouched(
    modules: list[nn.Module],
    training: bool,
    inputs: Iterable[Any] = (),
    gradients: bool = False,
    method: str = "forward",
) -> Iterator[None]:
    """Run with all modules of a model in training or evaluation mode; put back all that changed.

    ``gradients`` is whether they are enabled, ``method`` what is called.

    The run sees copies of the modules' attributes. What these and the inputs hold goes back to what
    it was (see `Contents`): parameters, buffers, hooks and submodules among them, and attributes of
    these tensors. So do the attributes of the modules' classes, and what names are bound to that
    their code reaches (see `Names`). Random number generators and global settings go back too.
    """
    with turn():
        yield from _untouched(modules, training, inputs, gradients, method)


def _untouched(
    modules: list[nn.Module],
    training: bool,
    inputs: Iterable[Any],
    gradients: bool,
    method: str,
) -> Iterator[None]:
    outside = Globals()
    put = object.__setattr__  # a module's own would ask it
    states, kinds = [module.__dict__ for module in modules], list(map(type, modules))
    apart = set(map(id, modules))
    contents = Contents(_values(states, chain(inputs, HOOKS)), apart)
    beside = _Beside({*kinds, *contents.code}, apart, method)
    try:
        for module, state in zip(modules, map(dict.copy, states), strict=True):
            state["training"] = training
            state.pop("_compiled_call_impl", None)  # of module.compile()
            put(module, "__dict__", state)
            del state  # it is gone with the run, and what it holds too
        with torch.set_grad_enabled(gradients):
            yield
    finally:
        for module, state, kind in zip(modules, states, kinds, strict=True):
            put(module, "__dict__", state)
            if type(module) is not kind:  # such as by `torch.nn.utils.parametrize`
                put(module, "__class__", kind)
        contents.put_back()
        beside.put_back()
        outside.put_back()  # last: a generator that goes may change gradient mode


def let_train(modules: list[nn.Module], training: bool) -> None:
    """Let a model that is in training or evaluation mode say which of its parts are in the other.

    As with ``train`` of its own, which keeps frozen norms in evaluation mode. ``modules`` are all
    that the model has, itself first.
    """
    kinds: set[Any] = {*map(type, modules)}
    if any(kind.train is not nn.Module.train for kind in kinds):
        modules[0].train(training)


def tensors_of(modules: list[nn.Module], inputs: Iterable[Any]) -> Iterator[Tensor]:
    """The tensors that modules and inputs, their classes and what these hold refer to.

    And the gradients of these.
    """
    values = _values([module.__dict__ for module in modules], inputs)
    apart = set(map(id, modules))
    values += _Beside({*map(type, modules), *Contents(values, apart).code}, apart).values()
    for value in chain(values, *map(inside, chain(*holders(values, apart)))):
        if isinstance(value, Tensor):
            yield value
            if value.is_leaf and value.grad is not None:
                yield value.grad


def _values(states: list[dict[str, Any]], more: Iterable[Any]) -> list[Any]:
    """What modules' attributes are, the attributes of their parameters and buffers, and more."""
    values = list(chain.from_iterable(map(dict.values, states)))
    values += more
    for name in ("_parameters", "_buffers"):  # modules that torch has traced have none
        registries = [registry for state in states if (registry := state.get(name))]
        tensors = chain.from_iterable([registry.values() for registry in registries])
        values += [vars(tensor) for tensor in tensors if tensor is not None]
    return values


class _Beside:
    """Classes and names that a model's code reaches, what these hold, and what that reaches.

    ``starts`` are classes and functions; see `Contents` for what is ``apart``. Of what a model's
    names hold only functions are followed, such as those of a table: with classes one would soon
    be in all of a library.
    """

    def __init__(self, starts: set[Any], apart: set[int], method: str = "forward") -> None:
        self._names: list[tuple[Names, Contents]] = []
        reached = followed = starts
        while len(self._names) < _DEPTH and (names := Names(followed, method)):
            room = Contents(names.values(), apart)
            self._names.append((names, room))
            reached = reached | room.code
            followed = {item for item in room.code if not isinstance(item, type)} - followed
        classes = _Classes({item for item in reached if isinstance(item, type)})
        self._classes = [(classes, Contents(classes.values(), apart))]

    def values(self) -> Iterator[Any]:
        """What is bound to the names, and to the classes' attributes."""
        parts: list[Any] = [*self._names, *self._classes]
        for part, _ in parts:
            yield from part.values()

    def put_back(self) -> None:
        """Let all hold and be bound to what it was."""
        are_needed = any(names.are_needed() for names, _ in self._names)
        for part, room in (*(() if are_needed else self._names), *self._classes):
            part.put_back()
            room.put_back()


class _Classes:
    """The attributes of the user's own classes behind some kinds of objects."""

    def __init__(self, kinds: Iterable[type]) -> None:
        bases = {base: None for kind in kinds for base in bases_of(kind)}
        self._before = [(base, vars(base).copy()) for base in bases]

    def values(self) -> list[Any]:
        """The values of the classes' attributes and functions, but for what does not change."""
        values: list[Any] = []
        for value in chain.from_iterable([own.values() for _, own in self._before]):
            function = value.__func__ if type(value) in (staticmethod, classmethod) else value
            if type(function) is FunctionType:  # def forward(self, x, cache=[])
                values += (function.__defaults__, function.__kwdefaults__, function.__dict__)
            elif type(value) not in _UNCHANGING:
                values.append(value)
        return values

    def put_back(self) -> None:
        """Set again what was set or deleted."""
        for base, before in self._before:
            now = vars(base)
            if [*now] == [*before] and all(map(is_, now.values(), before.values())):
                continue
            for name in [name for name in {**before, **now} if _differs(name, before, now)]:
                with suppress(AttributeError, TypeError):  # what Python itself keeps there
                    if name in before:
                        type.__setattr__(base, name, before[name])
                    else:
                        type.__delattr__(base, name)


def _differs(name: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    return before.get(name, _ABSENT) is not now.get(name, _ABSENT)
