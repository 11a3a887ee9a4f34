"""A user's module, left as it was: flags, attributes, registries, and all that is outside of it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from itertools import chain
from operator import is_
from types import FunctionType, GetSetDescriptorType
from typing import Any

import torch
from torch import Tensor, nn

from costlab.isolation.contents import Contents, holders, inside
from costlab.isolation.torch_globals import HOOKS, Globals

_CACHE = type(lru_cache(len))
_ABSENT = object()
_UNCHANGING = frozenset((bool, int, str, type(None), property, GetSetDescriptorType))


@contextmanager
def untouched(
    modules: list[nn.Module],
    training: bool,
    inputs: Iterable[Any] = (),
    gradients: bool = False,
) -> Iterator[None]:
    """Run with all modules of a model in training or evaluation mode; put back all that changed.

    ``gradients`` is whether they are enabled.

    The run sees copies of the modules' attributes. What these and the inputs hold goes back to what
    it was (see `Contents`): parameters, buffers, hooks and submodules among them, and attributes of
    these tensors. So do the attributes of the modules' classes; caches of their functions that have
    got something are emptied. Random number generators and torch's global settings go back too.
    """
    outside = Globals()
    put = object.__setattr__  # a module's own would ask it
    states, kinds = [module.__dict__ for module in modules], list(map(type, modules))
    apart = set(map(id, modules))
    contents = Contents(_values(states, chain(inputs, HOOKS)), apart)
    classes = _Classes({*kinds, *contents.kinds})
    of_classes = Contents(list(classes.values()), apart)
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
        of_classes.put_back()
        classes.put_back()
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
    kinds = {*map(type, modules), *map(type, holders(values, apart)[1])}
    values += _Classes(kinds).values()
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


class _Classes:
    """The attributes of the user's own classes behind some kinds of objects, and their caches."""

    def __init__(self, kinds: Iterable[type]) -> None:
        bases = list({base: None for kind in kinds for base in _bases(kind)})
        self._before = [(base, vars(base).copy()) for base in bases]
        caches = [cache for base in bases for cache in _caches(base, sum(map(len, _rooms(base))))]
        self._caches = [(cache, cache.cache_info().misses) for cache in caches]

    def values(self) -> Iterator[Any]:
        """The values of the classes' attributes and functions, but for what does not change."""
        for value in chain.from_iterable([own.values() for _, own in self._before]):
            function = value.__func__ if type(value) in (staticmethod, classmethod) else value
            if type(function) is FunctionType:  # def forward(self, x, cache=[])
                yield from (function.__defaults__, function.__kwdefaults__, function.__dict__)
            elif type(value) not in _UNCHANGING:
                yield value

    def put_back(self) -> None:
        """Set again what was set or deleted; empty the caches that have got something."""
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
        for cache, misses in self._caches:
            if cache.cache_info().misses != misses:
                cache.cache_clear()


def _differs(name: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    return before.get(name, _ABSENT) is not now.get(name, _ABSENT)


@lru_cache(maxsize=1024)
def _bases(kind: type) -> tuple[type, ...]:
    """The user's own classes behind a kind of objects."""
    ours = {"torch", "costlab", *sys.stdlib_module_names}
    return tuple(base for base in kind.__mro__ if base.__module__.partition(".")[0] not in ours)


def _rooms(base: type) -> list[Mapping[str, Any]]:
    """Where functions of a class are: in it, and beside it."""
    return [vars(base), vars(sys.modules.get(base.__module__, base))]


@lru_cache(maxsize=1024)
def _caches(base: type, names: int) -> tuple[Any, ...]:
    """The functions with a cache in the rooms of a class, which hold that many names."""
    caches = []
    for value in chain.from_iterable([*room.values()] for room in _rooms(base)):
        function = value.__func__ if type(value) in (staticmethod, classmethod) else value
        if type(function) is _CACHE:
            caches.append(function)
        elif type(function) is FunctionType and function.__closure__:  # what is around one
            for cell in function.__closure__:
                with suppress(ValueError):  # of an empty cell
                    if type(cell.cell_contents) is _CACHE:
                        caches.append(cell.cell_contents)
    return tuple(caches)
