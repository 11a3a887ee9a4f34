"""What lists, dicts, sets, deques and objects of the user's classes hold, to be put back.

Requirements:

- nothing of the user's is called: objects are told apart by identity, containers are read and
  filled by their built-in methods, whatever a subclass has in their place;
- what was not changed is not written to;
- few steps for each container: a model has a dozen for each of its modules, most of them empty.
"""

from __future__ import annotations

import sys
from collections import Counter, OrderedDict, UserDict, UserList, defaultdict, deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import lru_cache
from itertools import chain, islice
from operator import is_
from types import BuiltinFunctionType, FunctionType, MemberDescriptorType, SimpleNamespace
from typing import Any

from torch import Tensor, nn
from torch.jit import ScriptModule
from torch.optim import Optimizer

_MAPPINGS = frozenset((dict, defaultdict, Counter))
_BUILT_IN = frozenset((*_MAPPINGS, OrderedDict, list, deque, set))
_CONTAINERS: tuple[type, ...] = (OrderedDict, dict, list, set, deque)
_FIXED = (tuple, frozenset)
_OPENED = (nn.Module, Optimizer, SimpleNamespace, UserDict, UserList)
"""Kinds of torch's and Python's objects whose attributes are looked at, as those of the user's."""
_FOUNDATIONS = frozenset(("abc", "builtins", "collections", "dataclasses", "torch", "typing"))
"""Where bases of the user's classes may be from. Others (threads, locks, files) are left alone."""
_UNSET = object()


class Contents:
    """What containers and objects among some values hold now, and what those in them hold.

    Objects that are ``apart`` are not looked into.
    """

    def __init__(self, values: list[Any], apart: Iterable[Any] = ()) -> None:
        self._plain, special = holders(values, apart)
        self._sizes = list(map(len, self._plain))
        self.kinds = set(map(type, special))
        full = list(filter(None, self._plain))
        self._dicts = [holder for holder in full if type(holder) in _MAPPINGS]
        self._others = [holder for holder in full if type(holder) in (list, set, deque)]
        self._before = self._now()
        ordered = [holder for holder in full if type(holder) is OrderedDict]
        self._special = [
            (holder, kind, _items(holder, kind))
            for holder in ordered + special
            if (kind := next(filter(lambda kind: isinstance(holder, kind), _CONTAINERS), None))
        ]
        self._slots = [
            (holder, slot, _value(slot, holder))
            for holder in special
            for slot in _slots(type(holder))
        ]

    def _now(self) -> tuple[list[Any], list[Any], list[Any]]:
        """Keys and values of dicts, items of lists, sets and deques, each in one row."""
        return (
            list(chain.from_iterable(self._dicts)),
            list(chain.from_iterable(map(dict.values, self._dicts))),
            list(chain.from_iterable(self._others)),
        )

    def put_back(self) -> None:
        """Fill again what holds something else now."""
        for holder, kind, items in self._special:
            if not _same(_items(holder, kind), items):
                _fill(holder, kind, items)
        for holder, slot, value in self._slots:
            if _value(slot, holder) is not value:
                slot.__delete__(holder) if value is _UNSET else slot.__set__(holder, value)
        sizes = list(map(len, self._plain))
        if sizes == self._sizes and all(map(_same, self._now(), self._before)):
            return
        keys, values, others = map(iter, self._before)
        for holder, size in zip(self._plain, self._sizes, strict=True):
            kind = type(holder)
            if not size:
                holder.clear()
            elif kind in _MAPPINGS:
                pairs = zip(islice(keys, size), islice(values, size), strict=True)
                _fill_changed(holder, dict, list(chain.from_iterable(pairs)))
            elif kind is not OrderedDict:
                _fill_changed(holder, kind, list(islice(others, size)))


def holders(values: list[Any], apart: Iterable[Any] = ()) -> tuple[list[Any], list[Any]]:
    """The built-in containers, and the other objects that are looked into, among and in values.

    Objects that are ``apart`` are not looked into.
    """
    plain: list[Any] = []
    others: list[Any] = []
    known, outer = set(map(id, apart)), values
    while outer:
        containers = [value for value in outer if type(value) in _BUILT_IN]
        rest = [value for value in outer if type(value) not in _BUILT_IN_OR_CLOSED]
        plain += containers
        full = [holder for holder in filter(None, containers) if id(holder) not in known]
        known.update(map(id, full))
        outer = list(chain.from_iterable([_READ[type(holder)](holder) for holder in full]))
        rest = [value for value in rest if id(value) not in known]
        if rest:
            ways = {kind: way for kind in set(map(type, rest)) if (way := _way_into(kind))}
            opened = [value for value in rest if type(value) in ways]
            known.update(map(id, opened))
            others += [holder for holder in opened if type(holder) not in _FIXED]
            outer += chain.from_iterable([ways[type(holder)](holder) for holder in opened])
    return plain, others


def _way_in(kind: type) -> Callable[[Any], Iterable[Any]]:
    return kind.values if issubclass(kind, dict) else iter


_READ: dict[type, Callable[[Any], Iterable[Any]]] = {kind: _way_in(kind) for kind in _BUILT_IN}


_CLOSED = frozenset(
    (bool, float, int, str, type(None), FunctionType, BuiltinFunctionType, Tensor, nn.Parameter)
)
"""Types of most attributes: nobody looks into their values."""
_BUILT_IN_OR_CLOSED = _BUILT_IN | _CLOSED


@lru_cache(maxsize=1024)
def _way_into(kind: type) -> Callable[[Any], Iterable[Any]] | None:
    """How to list what an object of that type holds; None if nobody looks into it."""
    if kind in _FIXED:
        return iter
    looked_into = issubclass(kind, (*_CONTAINERS, *_FIXED)) or is_opened(kind)
    return inside if looked_into else None


def is_opened(kind: type) -> bool:
    """Whether the attributes of such objects are looked at: those of the user's own classes."""
    if issubclass(kind, (ScriptModule, type)):
        return False
    if issubclass(kind, _OPENED):
        return True
    homes = {base.__module__.partition(".")[0] for base in kind.__mro__}
    users = homes - _FOUNDATIONS
    return bool(users) and "torch" not in homes and users.isdisjoint(sys.stdlib_module_names)


def inside(holder: Any) -> list[Any]:
    """All that an object holds: the dict of its attributes, what slots hold, and its items."""
    contents = [
        value for slot in _slots(type(holder)) if (value := _value(slot, holder)) is not _UNSET
    ]
    with suppress(AttributeError):  # it has none
        contents.append(object.__getattribute__(holder, "__dict__"))
    for kind in (*_CONTAINERS, *_FIXED):
        if isinstance(holder, kind):
            return contents + _items(holder, kind)
    return contents


def _slots(kind: type) -> list[MemberDescriptorType]:
    """The slots of a class written in Python."""
    if issubclass(kind, _FIXED) or "__slots__" not in set(chain(*map(vars, kind.__mro__))):
        return []
    return [
        slot
        for base in kind.__mro__
        if "__slots__" in vars(base)
        for slot in vars(base).values()
        if isinstance(slot, MemberDescriptorType)
    ]


def _value(slot: MemberDescriptorType, holder: Any) -> Any:
    try:
        return slot.__get__(holder)
    except AttributeError:
        return _UNSET


def _items(holder: Any, kind: Any) -> list[Any]:
    """What a container holds: of a dict its keys and values in turn."""
    if issubclass(kind, dict):
        return list(chain.from_iterable(kind.items(holder)))
    return list(kind.__iter__(holder))


def _same(ones: list[Any], others: list[Any]) -> bool:
    return len(ones) == len(others) and all(map(is_, ones, others))


def _fill_changed(holder: Any, kind: Any, items: list[Any]) -> None:
    if not _same(_items(holder, kind), items):
        _fill(holder, kind, items)


def _fill(holder: Any, kind: Any, items: list[Any]) -> None:
    """Let a container hold these items and nothing else."""
    kind.clear(holder)
    if issubclass(kind, dict):
        for key, value in zip(items[::2], items[1::2], strict=True):
            kind.__setitem__(holder, key, value)
    else:
        (kind.update if kind is set else kind.extend)(holder, items)
