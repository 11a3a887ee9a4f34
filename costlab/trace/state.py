"""A user's module, left as it was: flags, attributes, registries, random numbers, globals."""

from __future__ import annotations

import operator
import random
import sys
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

_CONTAINERS = frozenset((dict, OrderedDict, list, set))


@contextmanager
def untouched(modules: list[nn.Module], training: bool) -> Iterator[None]:
    """Run with all modules of a model in training or evaluation mode; put back all that changed.

    Attributes of modules go back to what they were, also the contents of lists, dicts and sets
    (which hold parameters, buffers, hooks and submodules). What such an object holds further inside
    is not looked at. Random number generators, the default dtype and the gradient mode go back too.
    """
    states = [each.__dict__ for each in modules]
    before: list[tuple[Any, Any]] = [(attributes, attributes.copy()) for attributes in states]
    empty: list[Any] = []
    for attributes in states:
        containers = [value for value in attributes.values() if type(value) in _CONTAINERS]
        before += [(value, value.copy()) for value in containers if value]
        empty += [value for value in containers if not value]
    dtype, generators = torch.get_default_dtype(), _generators()
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
        torch.set_default_dtype(dtype)
        _restore(generators)


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
    numpy = sys.modules.get("numpy")
    return (
        torch.get_rng_state(),
        torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],  # type: ignore[no-untyped-call]
        random.getstate(),
        numpy.random.get_state() if numpy is not None else None,
    )


def _restore(generators: tuple[Any, ...]) -> None:
    cpu, cuda, python, array = generators
    torch.set_rng_state(cpu)
    if cuda:
        torch.cuda.set_rng_state_all(cuda)
    random.setstate(python)
    if array is not None:
        sys.modules["numpy"].random.set_state(array)
