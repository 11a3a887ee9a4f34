"""What containers, objects of the user's classes and some of Python's hold, to be put back.

Requirements:

- nothing of the user's is called: objects are told apart by identity, containers are read and
  filled by their built-in methods, whatever a subclass has in their place;
- what was not changed is not written to;
- few steps for each container: a model has a dozen for each of its modules, most of them empty.
"""

from __future__ import annotations

import sys
from collections import ChainMap, Counter, OrderedDict, UserDict, UserList, defaultdict, deque
from collections.abc import Callable, Iterable, Set
from contextlib import suppress
from functools import lru_cache, partial
from itertools import chain, islice
from operator import is_
from queue import Queue
from threading import local
from types import (
    BuiltinFunctionType,
    FunctionType,
    MemberDescriptorType,
    MethodType,
    SimpleNamespace,
)
from typing import Any
from weakref import WeakKeyDictionary, WeakSet, WeakValueDictionary

from torch import Tensor, nn
from torch.jit import ScriptModule
from torch.optim import Optimizer
from torch.utils.weak import WeakIdKeyDictionary

from costlab.isolation.held_state import HeldStates, objects_in, state_of
from costlab.isolation.reached_names import CACHE

_MAPPINGS = frozenset((dict, defaultdict, Counter))
_BUILT_IN = frozenset((*_MAPPINGS, OrderedDict, list, deque, set))
_CONTAINERS: tuple[type, ...] = (OrderedDict, dict, list, set, deque)
_FIXED = (tuple, frozenset)
_READ_ALIKE = _BUILT_IN.union(_FIXED)
_LISTS = frozenset((list, set, deque))
_TENSORS = frozenset((Tensor, nn.Parameter))
_PLAIN = _READ_ALIKE.union((bool, float, int, str, type(None), BuiltinFunctionType))
"""Types of nearly all attributes: whether one is empty is asked without a call of the user's."""
_OPENED = (
    *(nn.Module, Optimizer, SimpleNamespace, UserDict, UserList, ChainMap, Queue, local),
    *(WeakKeyDictionary, WeakValueDictionary, WeakSet, WeakIdKeyDictionary),
)
"""Kinds of torch's and Python's objects whose attributes are looked at, as those of the user's."""
_FOUNDATIONS = frozenset(("abc", "builtins", "collections", "dataclasses", "torch", "typing"))
"""Where bases of the user's classes may be from. Others (threads, locks, files) are left alone."""
_CODE = (FunctionType, MethodType, partial, CACHE, type)
_UNSET = object()


class Contents:
    """What containers and objects among some values hold now, and what those in them hold.

    Objects that are ``apart``, by their identities, are not looked into.
    """

    def __init__(self, values: list[Any], apart: Set[int] = frozenset()) -> None:
        self._plain, self._number_full, full, special = _found(values, apart)
        self.code: set[Any] = {type(item) for item in special}
        """Classes of what is found, and functions and classes among it."""
        self.code.update(item for item in special if isinstance(item, _CODE))
        self._dicts = [holder for holder in full if type(holder) in _MAPPINGS]
        self._others = [holder for holder in full if type(holder) in _LISTS]
        self._before = self._now()
        ordered = [holder for holder in full if type(holder) is OrderedDict]
        self._special = [
            (holder, kind, _items(holder, kind))
            for holder in ordered + special
            if (kind := next(filter(lambda kind: isinstance(holder, kind), _CONTAINERS), None))
        ]
        self._states = HeldStates(special)
        self._slots = [
            (holder, slot, _value(slot, holder))
            for holder in special
            for slot in _slots(type(holder))
        ]

    def _now(self) -> tuple[list[Any], ...]:
        """Sizes, keys and values of dicts; sizes and items of lists, sets and deques."""
        return (
            list(map(len, self._dicts)),
            list(chain.from_iterable(self._dicts)),
            list(chain.from_iterable(map(dict.values, self._dicts))),
            list(map(len, self._others)),
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
        self._states.put_back()
        now, before = self._now(), self._before
        sizes, other_sizes = before[0], before[3]
        # Numbers from 257 on are not each other, equal or not.
        if now[0] != sizes or not all(map(_same, now[1:3], before[1:3])):
            keys, values = iter(before[1]), iter(before[2])
            for a_dict, size in zip(self._dicts, sizes, strict=True):
                pairs = zip(islice(keys, size), islice(values, size), strict=True)
                _fill_changed(a_dict, dict, list(chain.from_iterable(pairs)))
        if now[3] != other_sizes or not _same(now[4], before[4]):
            other_items = iter(before[4])
            for other, size in zip(self._others, other_sizes, strict=True):
                _fill_changed(other, type(other), list(islice(other_items, size)))
        # What held something does so again: if more do now, it is some that were empty.
        if sum([len(list(filter(None, level))) for level in self._plain]) != self._number_full:
            full = {id(holder) for holder in chain(self._dicts, self._others)}
            full.update(id(holder) for holder, _, _ in self._special)
            for value in chain.from_iterable(self._plain):
                if type(value) in _BUILT_IN and id(value) not in full:
                    value.clear()


def holders(values: list[Any], apart: Set[int] = frozenset()) -> tuple[list[Any], list[Any]]:
    """The built-in containers, and the other objects that are looked into, among and in values.

    Objects that are ``apart``, by their identities, are not looked into.
    """
    plain, _, _, others = _found(values, apart)
    return [value for value in chain.from_iterable(plain) if type(value) in _BUILT_IN], others


def _found(values: list[Any], apart: Set[int]) -> tuple[list[list[Any]], int, list[Any], list[Any]]:
    """All that is plain, among and in values, and how many of that are not empty or zero.

    Then which containers these are, each once, and the other objects that are looked into.
    """
    plain: list[list[Any]] = []
    number_full = 0
    containers: list[Any] = []
    others: list[Any] = []
    known, outer = set(apart), values
    while outer:
        level, rest = outer, []
        if not _PLAIN.issuperset(map(type, outer)):
            level = []
            for value in outer:
                kind = type(value)
                if kind in _PLAIN:
                    level.append(value)
                elif kind not in _TENSORS and id(value) not in known:
                    rest.append(value)
        plain.append(level)
        full = list(filter(None, level))
        number_full += len(full)
        opened = [v for v in full if type(v) in _READ_ALIKE and id(v) not in known]
        number_known = len(known)
        known.update(map(id, opened))
        if len(known) < number_known + len(opened):  # one may be held twice, and be so in turn
            opened = _each_once(opened)
        containers += opened
        outer = list(chain.from_iterable([_READ[type(holder)](holder) for holder in opened]))
        if rest:
            ways = {kind: way for kind in set(map(type, rest)) if (way := _way_into(kind))}
            opened = _each_once([value for value in rest if type(value) in ways])
            known.update(map(id, opened))
            others += opened
            outer += chain.from_iterable([ways[type(holder)](holder) for holder in opened])
    return plain, number_full, containers, others


def _each_once(values: list[Any]) -> list[Any]:
    return list({id(value): value for value in values}.values())


def _way_in(kind: type) -> Callable[[Any], Iterable[Any]]:
    return kind.values if issubclass(kind, dict) else iter


_READ: dict[type, Callable[[Any], Iterable[Any]]] = {kind: _way_in(kind) for kind in _READ_ALIKE}


@lru_cache(maxsize=1024)
def _way_into(kind: Any) -> Callable[[Any], Iterable[Any]] | None:
    """How to list what an object of that type holds; None if nobody looks into it."""
    if issubclass(kind, type):  # of its attributes: see `module_state`
        return lambda kind: ()
    if issubclass(kind, _CODE):
        return _beside
    looked_into = issubclass(kind, (*_CONTAINERS, *_FIXED)) or is_opened(kind) or state_of(kind)
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
        asked: Any = local if isinstance(holder, local) else object  # which has one per thread
        contents.append(asked.__getattribute__(holder, "__dict__"))
    contents += objects_in(holder)
    for kind in (*_CONTAINERS, *_FIXED):
        if isinstance(holder, kind):
            return contents + _items(holder, kind)
    return contents


def _beside(code: Any) -> list[Any]:
    """What is kept with a function, or what stands for one."""
    if isinstance(code, FunctionType):
        return [code.__dict__, code.__defaults__, code.__kwdefaults__]
    if isinstance(code, MethodType):
        return [code.__self__, code.__func__]
    if isinstance(code, partial):
        return [code.__dict__, code.func, code.args, code.keywords]
    return [code.__dict__]  # with the function


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
