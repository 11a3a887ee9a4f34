"""A user's module, left as it was: flags, attributes, registries, and all that is outside of it."""

from __future__ import annotations

import sys
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from itertools import chain, islice
from operator import is_
from types import FunctionType
from typing import Any

import torch
from torch import nn

from costlab.isolation.torch_globals import Globals

_CONTAINERS = frozenset((dict, OrderedDict, defaultdict, Counter, list, deque, set))
_CACHE = type(lru_cache(len))


@contextmanager
def untouched(modules: list[nn.Module], training: bool) -> Iterator[None]:
    """Run with all modules of a model in training or evaluation mode; put back all that changed.

    The run sees copies of the modules' attributes. The contents of lists, dicts and sets (which
    hold parameters, buffers, hooks and submodules), and of such in them, go back to what they were.
    So do those of attributes of the modules' classes; caches of their functions that have got
    something are emptied. What other objects hold is not looked at. Random number generators and
    torch's global settings go back too.
    """
    put = object.__setattr__  # a module's own would ask it
    states, kinds = [each.__dict__ for each in modules], [type(each) for each in modules]
    bases = {base: None for kind in dict.fromkeys(kinds) for base in _bases(kind)}  # type: ignore[arg-type]
    rooms = chain(states, map(vars, bases))
    found = containers(chain.from_iterable([room.values() for room in rooms]))
    caches = [cache for base in bases for cache in _caches(base, sum(map(len, _rooms(base))))]
    missed = [each.cache_info().misses for each in caches]
    full = list(filter(None, found))
    contents = Held(full)
    outside = Globals()
    try:
        for module, state in zip(modules, map(dict.copy, states), strict=True):
            state["training"] = training
            state.pop("_compiled_call_impl", None)  # of module.compile()
            put(module, "__dict__", state)
        with torch.no_grad():
            yield
    finally:
        for module, state, kind in zip(modules, states, kinds, strict=True):
            put(module, "__dict__", state)
            if type(module) is not kind:  # such as by `torch.nn.utils.parametrize`
                put(module, "__class__", kind)
        contents.put_back()
        if len(list(filter(None, found))) > len(full):
            kept = set(map(id, full))
            for container in found:
                if id(container) not in kept:
                    container.clear()
        for cache, misses in zip(caches, missed, strict=True):
            if cache.cache_info().misses != misses:
                cache.cache_clear()
        outside.put_back()


@lru_cache(maxsize=1024)
def _bases(kind: type[nn.Module]) -> tuple[type, ...]:
    """The user's own classes behind a kind of modules."""
    ours = ("torch", "costlab", "builtins")
    return tuple(base for base in kind.__mro__ if base.__module__.partition(".")[0] not in ours)


def _rooms(base: type) -> list[Mapping[str, Any]]:
    """Where functions of a class are: in it, and beside it."""
    return [vars(base), vars(sys.modules.get(base.__module__, base))]


@lru_cache(maxsize=1024)
def _caches(base: type, names: int) -> tuple[Any, ...]:
    """The functions with a cache in the rooms of a class, which hold that many names."""
    found = []
    for value in chain.from_iterable([*room.values()] for room in _rooms(base)):
        each = value.__func__ if type(value) in (staticmethod, classmethod) else value
        if type(each) is _CACHE:
            found.append(each)
        elif type(each) is FunctionType and each.__closure__:  # what is around one
            for cell in each.__closure__:
                with suppress(ValueError):  # of an empty cell
                    if type(cell.cell_contents) is _CACHE:
                        found.append(cell.cell_contents)
    return tuple(found)


def containers(values: Iterable[Any]) -> list[Any]:
    """The lists, dicts and sets among objects, and those in them."""
    kinds = _CONTAINERS
    found = inside = [value for value in values if type(value) in kinds]
    known: set[int] = set()
    while inside := [
        value
        for outer in filter(None, inside)
        for value in (outer.values() if isinstance(outer, dict) else outer)
        if type(value) in kinds and id(value) not in known
    ]:
        known.update(map(id, inside))
        found += inside
    return found


class Held:
    """What dicts, lists and sets hold, all in a row: so few calls tell whether it is the same.

    Objects are told apart by identity: nothing of the user's is called.
    """

    def __init__(self, containers: list[Any]) -> None:
        self._dicts = [each for each in containers if isinstance(each, dict)]
        self._others = [each for each in containers if not isinstance(each, dict)]
        self._before = self._now()

    def _now(self) -> tuple[list[int], list[Any], list[Any], list[Any]]:
        """How many each holds, dicts first; keys and values of dicts; items of the others."""
        dicts, others = self._dicts, self._others
        return (
            list(map(len, dicts + others)),
            list(chain.from_iterable(dicts)),
            list(chain.from_iterable(map(dict.values, dicts))),
            list(chain.from_iterable(others)),
        )

    def put_back(self) -> None:
        """Refill all of them, if one holds something else now."""
        (sizes, keys, values, items), now = self._before, self._now()
        if (
            sizes == now[0]
            and all(map(is_, keys, now[1]))
            and all(map(is_, values, now[2]))
            and all(map(is_, items, now[3]))
        ):
            return
        size = iter(sizes)
        pairs, rest = zip(keys, values, strict=True), iter(items)
        for each in self._dicts:
            each.clear()
            dict.update(each, islice(pairs, next(size)))  # a Counter's own would count them
        for each in self._others:
            each.clear()
            add = each.update if isinstance(each, set) else each.extend
            add(islice(rest, next(size)))
