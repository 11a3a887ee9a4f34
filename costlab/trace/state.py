"""A user's module, left as it was: flags, attributes, registries, random numbers, globals."""

from __future__ import annotations

import operator
import random
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import filterfalse
from typing import Any

import torch
from torch import nn

_CONTAINERS = frozenset((dict, OrderedDict, list, set))


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

    Attributes of modules go back to what they were, also the contents of lists, dicts and sets
    (which hold parameters, buffers, hooks and submodules), and of such in them. What other objects
    hold is not looked at. Random number generators and torch's global settings go back too.
    """
    states = [each.__dict__ for each in modules]
    before: list[tuple[Any, Any]] = [(attributes, attributes.copy()) for attributes in states]
    found = containers(states)
    before += [(container, container.copy()) for container in filter(None, found)]
    empty = list(filterfalse(None, found))
    settings, generators = [get() for get, _ in _SETTINGS], _generators()
    try:
        for attributes in states:
            if attributes.get("training", training) is not training:
                attributes["training"] = training
        with torch.no_grad():
            yield
    finally:
        for container, held in before:
            if not _holds(container, held):
                _refill(container, held)
        if any(empty):
            for container in empty:
                container.clear()
        for (get, put), value in zip(_SETTINGS, settings, strict=True):
            if get() != value:
                put(value)
        _restore(generators)


def containers(states: list[dict[str, Any]]) -> list[Any]:
    """The lists, dicts and sets that are attributes of modules, and those in them."""
    kinds = _CONTAINERS
    found = [value for state in states for value in state.values() if type(value) in kinds]
    known: set[int] = set()
    inside = found
    while inside := [
        value
        for outer in inside
        if outer
        for value in (outer.values() if isinstance(outer, dict) else outer)
        if type(value) in kinds and id(value) not in known
    ]:
        known.update(map(id, inside))
        found += inside
    return found


def _holds(container: Any, held: Any) -> bool:
    """Whether it holds these objects, told apart by identity: nothing of the user's is called."""
    if len(container) != len(held):
        return False
    if isinstance(container, dict):
        return all(map(operator.is_, container, held)) and all(
            map(operator.is_, container.values(), held.values())
        )
    if isinstance(container, set):
        return set(map(id, container)) == set(map(id, held))
    return all(map(operator.is_, container, held))


def _refill(container: Any, held: Any) -> None:
    container.clear()
    if isinstance(container, list):
        container.extend(held)
    else:
        container.update(held)


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
