"""A user's module, left as it was: flags, attributes, registries, and all that is outside of it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, islice
from operator import is_
from typing import Any

import torch
from torch import nn

from costlab.trace.globals import Globals

_CONTAINERS = frozenset((dict, OrderedDict, list, set))


@contextmanager
def untouched(modules: list[nn.Module], training: bool) -> Iterator[None]:
    """Run with all modules of a model in training or evaluation mode; put back all that changed.

    The run sees copies of the modules' attributes. The contents of lists, dicts and sets (which
    hold parameters, buffers, hooks and submodules), and of such in them, go back to what they were.
    What other objects hold is not looked at. Random number generators and torch's global settings
    go back too.
    """
    put = object.__setattr__  # a module's own would ask it
    states, kinds = [each.__dict__ for each in modules], [type(each) for each in modules]
    found = containers(chain.from_iterable(map(dict.values, states)))
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
        outside.put_back()


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
            each.update(islice(pairs, next(size)))
        for each in self._others:
            each.clear()
            add = each.extend if isinstance(each, list) else each.update
            add(islice(rest, next(size)))
