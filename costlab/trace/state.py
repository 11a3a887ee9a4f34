"""A user's module, left as it was: flags, attributes, registries, random numbers, globals."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

_CONTAINERS = (dict, list, set)


@contextmanager
def untouched(module: nn.Module, training: bool) -> Iterator[None]:
    """Run with every submodule in training or evaluation mode, and put back all that changed.

    Attributes of modules go back to what they were, also the contents of lists, dicts and sets
    (which hold parameters, buffers, hooks and submodules). What such an object holds further inside
    is not looked at. Random number generators, the default dtype and the gradient mode go back too.
    """
    modules = list(module.modules())
    before: list[tuple[Any, Any]] = [(each.__dict__, dict(each.__dict__)) for each in modules]
    contents = {
        id(value): (value, value.copy())
        for _, attributes in before
        for value in attributes.values()
        if isinstance(value, _CONTAINERS)
    }
    dtype, generators = torch.get_default_dtype(), _generators()
    try:
        for each in modules:
            if each.__dict__["training"] is not training:
                each.__dict__["training"] = training
        with torch.no_grad():
            yield
    finally:
        for attributes, saved in before:
            if not _same(attributes, saved):
                attributes.clear()
                attributes.update(saved)
        for value, saved in contents.values():
            if not _same(value, saved):
                _refill(value, saved)
        torch.set_default_dtype(dtype)
        _restore(generators)


def _same(now: Any, before: Any) -> bool:
    """Whether a container holds the same objects in the same order, not merely equal ones."""
    if len(now) != len(before):
        return False
    if isinstance(now, dict):
        return all(
            a is c and b is d for (a, b), (c, d) in zip(now.items(), before.items(), strict=True)
        )
    if isinstance(now, set):
        return {id(each) for each in now} == {id(each) for each in before}
    return all(a is b for a, b in zip(now, before, strict=True))


def _refill(value: Any, saved: Any) -> None:
    value.clear()
    if isinstance(value, list):
        value.extend(saved)
    else:
        value.update(saved)


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
