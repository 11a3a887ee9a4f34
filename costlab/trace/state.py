"""A user's module, left as it was: flags, attributes, registries, random numbers, globals."""

from __future__ import annotations

import random
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from itertools import chain, islice
from operator import is_
from types import FunctionType
from typing import Any

import torch
from torch import nn

_CONTAINERS = frozenset((dict, OrderedDict, defaultdict, Counter, list, deque, set))
_CACHE = type(lru_cache(len))


def _set_device(device: torch.device) -> None:
    torch.set_default_device(None if device.type == "cpu" else device)


def _deterministic() -> tuple[bool, bool]:
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    return torch.are_deterministic_algorithms_enabled(), warns


def _set_deterministic(modes: tuple[bool, bool]) -> None:
    torch.use_deterministic_algorithms(modes[0], warn_only=modes[1])


def _cudnn() -> tuple[bool, ...]:
    cudnn = torch.backends.cudnn
    return cudnn.enabled, cudnn.benchmark, cudnn.deterministic


def _set_cudnn(flags: tuple[bool, ...]) -> None:
    cudnn = torch.backends.cudnn
    cudnn.enabled, cudnn.benchmark, cudnn.deterministic = flags


_SETTINGS: list[tuple[Callable[[], Any], Callable[[Any], Any]]] = [
    (torch.get_default_dtype, torch.set_default_dtype),
    (torch.get_default_device, _set_device),
    (torch.get_num_threads, torch.set_num_threads),
    (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    (torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
    (_deterministic, _set_deterministic),
    (_cudnn, _set_cudnn),
]
"""How each of torch's global settings is asked for, and set."""


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
    states = [each.__dict__ for each in modules]
    bases = _bases(set(map(type, modules)))
    rooms = [*states, *map(vars, bases)]
    found = containers(chain.from_iterable(room.values() for room in rooms))
    caches = _caches(bases)
    missed = [each.cache_info().misses for each in caches]
    full = list(filter(None, found))
    contents = Held(full)
    settings, generators = [get() for get, _ in _SETTINGS], _generators()
    try:
        for module, state in zip(modules, map(dict.copy, states), strict=True):
            state["training"] = training
            state.pop("_compiled_call_impl", None)  # of module.compile()
            put(module, "__dict__", state)
        with torch.no_grad():
            yield
    finally:
        for module, state in zip(modules, states, strict=True):
            put(module, "__dict__", state)
        contents.put_back()
        if len(list(filter(None, found))) > len(full):
            kept = set(map(id, full))
            for container in found:
                if id(container) not in kept:
                    container.clear()
        for cache, misses in zip(caches, missed, strict=True):
            if cache.cache_info().misses != misses:
                cache.cache_clear()
        for (get, set_to), value in zip(_SETTINGS, settings, strict=True):
            if get() != value:
                set_to(value)
        _restore(generators)


def _bases(kinds: Iterable[type[nn.Module]]) -> dict[type, None]:
    """The user's own classes behind kinds of modules."""
    every = dict.fromkeys(base for kind in kinds for base in kind.__mro__)
    ours = ("torch", "costlab", "builtins")
    return {base: None for base in every if base.__module__.partition(".")[0] not in ours}


def _caches(bases: Iterable[type]) -> list[Any]:
    """The functions with a cache that classes have, or that there are where these are made."""
    rooms: list[Mapping[str, Any]] = [vars(base) for base in bases]
    made = dict.fromkeys(base.__module__ for base in bases)
    rooms += [vars(sys.modules[name]) for name in made if name in sys.modules]
    found: dict[int, Any] = {}
    for value in chain.from_iterable([*room.values()] for room in rooms):
        each = value.__func__ if type(value) in (staticmethod, classmethod) else value
        if type(each) is _CACHE:
            found[id(each)] = each
        elif type(each) is FunctionType and each.__closure__:  # what is around one
            for cell in each.__closure__:
                with suppress(ValueError):  # of an empty cell
                    if type(cell.cell_contents) is _CACHE:
                        found[id(cell.cell_contents)] = cell.cell_contents
    return list(found.values())


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


def _generators() -> tuple[Any, ...]:
    """The states of all global generators; numpy's is None if nobody has loaded it yet."""
    numpy = sys.modules.get("numpy.random")
    return (
        torch.get_rng_state(),
        torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],  # type: ignore[no-untyped-call]
        random.getstate(),
        numpy.get_state() if numpy is not None else None,
    )


def _restore(generators: tuple[Any, ...]) -> None:
    cpu, cuda, python, array = generators
    torch.set_rng_state(cpu)
    if cuda:
        torch.cuda.set_rng_state_all(cuda)
    random.setstate(python)
    numpy = sys.modules.get("numpy.random")
    if numpy is not None and array is not None:
        numpy.set_state(array)
    elif numpy is not None:
        numpy.seed()  # the run was the first to load it: it is anew what it is when it is loaded
