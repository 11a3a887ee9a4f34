"""What the user's code reaches by names: global names of its files, and variables around functions.

A forward may call whatever its code names, so names are followed: through functions, and through
those methods of its classes whose names are mentioned. Nothing is called. Methods of other classes
that are named are not followed: with them, each would soon reach all of a library.
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property, lru_cache, partial, partialmethod
from itertools import islice
from sysconfig import get_path
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, TypeAlias

CACHE: Any = type(lru_cache(len))
"""What ``functools.lru_cache`` makes."""

_ABSENT = object()
_TESTING = ("_pytest", "pytest", "pluggy", "hypothesis")  # which each assert of a test names
_NOT_USERS = frozenset(("torch", "costlab", "numpy", *_TESTING, *sys.stdlib_module_names)) - {
    "__main__"
}
_INSTALLED = tuple(get_path(kind) for kind in ("purelib", "platlib", "stdlib"))
_STORES = dis.opmap["STORE_GLOBAL"]

Room: TypeAlias = dict[str, Any]
"""The global names of a file."""


def is_users(module: object) -> bool:
    """Whether a module of that name is the user's own, or of a library of others."""
    return _root(module) not in _NOT_USERS


def _root(module: object) -> str:
    return str(module).partition(".")[0]


def _is_installed(module: str) -> bool:
    """Whether a module is part of Python, or of something that was installed."""
    file = getattr(sys.modules.get(module), "__file__", None)
    return not is_users(module) or file is None or file.startswith(_INSTALLED)


@lru_cache(maxsize=1024)
def bases_of(kind: Any) -> tuple[type, ...]:
    """The user's own classes behind a kind of objects."""
    return tuple(base for base in kind.__mro__ if is_users(base.__module__))


class Names:
    """What is bound to the names that classes and functions reach, as it is now.

    Of classes the methods forward and ``entry`` are called.
    """

    def __init__(self, starts: Iterable[Any], entry: str = "forward") -> None:
        places: dict[tuple[int, str], Room] = {}
        cells: dict[int, CellType] = {}
        caches: dict[int, Any] = {}
        functions: dict[int, FunctionType] = {}
        for start in starts:
            reach = _reach_of(start, entry)
            places |= reach.places
            cells |= reach.cells
            caches |= reach.caches
            functions |= reach.functions
        self._before = [(room, name, room.get(name, _ABSENT)) for (_, name), room in places.items()]
        self._cells = [(cell, _content(cell)) for cell in cells.values()]
        self._caches = [(cache, cache.cache_info().misses) for cache in caches.values()]
        self._functions = functions.values()
        self._loaded = len(sys.modules)

    def __bool__(self) -> bool:
        return bool(self._functions or self._cells or self._caches)

    def values(self) -> list[Any]:
        """What is bound to them, and what is kept with the functions that they reach."""
        values = [entry[-1] for entry in (*self._before, *self._cells) if entry[-1] is not _ABSENT]
        for function in self._functions:  # def mask(size, cache={})
            values += (function.__defaults__, function.__kwdefaults__, function.__dict__)
        return values

    def are_needed(self) -> bool:
        """Whether more of the user's files, or of libraries that have such names, were imported.

        They may have entered themselves in a table by what is bound to names: it stays.
        """
        if len(sys.modules) <= self._loaded:
            return False
        new = list(islice(sys.modules, self._loaded, None))
        roots = {_root(room.get("__name__")) for room, _, _ in self._before}
        return any(_root(name) in roots or not _is_installed(name) for name in new)

    def put_back(self) -> None:
        """Bind the same again; empty the caches of functions that have got something."""
        for room, name, value in self._before:
            if room.get(name, _ABSENT) is not value:
                room.pop(name) if value is _ABSENT else room.update({name: value})
        for cell, value in self._cells:
            if _content(cell) is not value:
                if value is _ABSENT:
                    del cell.cell_contents
                else:
                    cell.cell_contents = value
        for cache, misses in self._caches:
            if cache.cache_info().misses != misses:
                cache.cache_clear()


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # it is empty
        return _ABSENT


def _reach_of(start: Any, entry: str) -> _Reach:
    """What a class or a function reaches: known, unless something in between is another now."""
    if not isinstance(start, type):
        return _Reach(start, entry)  # which may hold a model: nothing else is to hold it
    reach = _known_reach(start, entry)
    is_new = any(room.get(name) is not value for room, name, value in reach.followed)
    return _Reach(start, entry) if is_new else reach


@lru_cache(maxsize=1024)
def _known_reach(start: Any, entry: str) -> _Reach:
    return _Reach(start, entry)


class _Reach:
    """Follows names from a class, whose method ``entry`` is called, or a function."""

    def __init__(self, start: Any, entry: str) -> None:
        self.places: dict[tuple[int, str], Room] = {}
        """Names that are bound to something else than code, by their rooms' identities."""
        self.cells: dict[int, CellType] = {}
        self.caches: dict[int, Any] = {}
        self.functions: dict[int, FunctionType] = {}
        self.followed: list[tuple[Room, str, Any]] = []
        """Names that are bound to code."""
        self._seen: set[int] = set()
        self._mentioned: set[str] = set()
        self._unmentioned: list[tuple[str, Any]] = []
        self._todo: list[FunctionType] = []
        for base in bases_of(start) if isinstance(start, type) else ():
            self._unmentioned += vars(base).items()
        self._open_methods(lambda name: name in ("forward", entry) or name in _SPECIAL)
        self._open(start)
        while self._todo:
            self._follow(self._todo.pop())

    def _open_methods(self, are_called: Callable[[str], bool]) -> None:
        methods, self._unmentioned = self._unmentioned, []
        for name, value in methods:
            if are_called(name):
                self._open(value)
            else:
                self._unmentioned.append((name, value))

    def _open(self, code: Any) -> None:
        """Go on with what runs, if it is such."""
        for function in _functions_in(code):
            if id(function) not in self._seen:
                self._seen.add(id(function))
                if type(function) is CACHE:
                    self.caches[id(function)] = function
                else:
                    self._todo.append(function)

    def _follow(self, function: FunctionType) -> None:
        own = is_users(function.__module__)
        for cell in function.__closure__ or ():
            if own:
                self.cells[id(cell)] = cell
            self._open(_content(cell))
        if own:
            self.functions[id(function)] = function
            names, stored = _names_in(function.__code__)
            if new := names - self._mentioned:
                self._mentioned |= new
                self._open_methods(new.__contains__)
            room = function.__globals__
            self.places |= {(id(room), name): room for name in stored}
            self._look_up(names, room, set())

    def _look_up(self, names: frozenset[str], room: Room, seen: set[int]) -> None:
        """Find names in a file, and in the files that they are bound to."""
        seen.add(id(room))
        for name in names & room.keys():
            value = room[name]
            if isinstance(value, ModuleType):
                if is_users(value.__name__) and id(vars(value)) not in seen:
                    self._look_up(names, vars(value), seen)
            elif isinstance(value, (FunctionType, CACHE)):
                self.followed.append((room, name, value))
                self._open(value)
            else:
                self.places[id(room), name] = room


_SPECIAL = frozenset(
    f"__{name}__"
    for name in (
        *("call", "getattr", "getattribute", "setattr", "getitem", "setitem", "delitem"),
        *("contains", "len", "iter", "next", "enter", "exit", "bool", "eq", "hash"),
        *("add", "sub", "mul", "matmul"),
    )
)
"""Methods that code calls without their names."""


def _functions_in(value: Any) -> Iterator[Any]:
    """The functions that an attribute runs, or that a function stands for, and their caches."""
    if isinstance(value, FunctionType):
        yield value
    elif isinstance(value, (staticmethod, classmethod, MethodType)):
        yield from _functions_in(value.__func__)
    elif isinstance(value, property):
        for accessor in (value.fget, value.fset, value.fdel):
            yield from _functions_in(accessor)
    elif isinstance(value, (cached_property, partial, partialmethod)):
        yield from _functions_in(value.func)
    elif isinstance(value, CACHE):
        yield value
        yield from _functions_in(value.__wrapped__)


@lru_cache(maxsize=8192)
def _names_in(code: CodeType) -> tuple[frozenset[str], frozenset[str]]:
    """The names that code mentions, with that in it, and the global ones that it sets."""
    names, stored = set(code.co_names), set[str]()
    if _STORES in code.co_code[::2]:
        stored = {
            instruction.argval
            for instruction in dis.get_instructions(code)
            if instruction.opcode == _STORES
        }
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            inner, inner_stored = _names_in(constant)
            names |= inner
            stored |= inner_stored
    return frozenset(names), frozenset(stored)
