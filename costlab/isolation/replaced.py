"""Functions of torch that other ones stand in for, and that are put back by what replaced them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from typing import Any

_INHERITED = object()


@contextmanager
def replaced(home: Any, functions: Mapping[str, Any]) -> Iterator[None]:
    """Give a module or class these functions under their names, and its own back afterwards."""
    before = _own(home, functions)
    try:
        _give(home, functions)
        yield
    finally:
        _give(home, before)


def _own(home: Any, names: Iterable[str]) -> dict[str, Any]:
    own = vars(home)
    return {name: own.get(name, _INHERITED) for name in names}


def _give(home: Any, functions: Mapping[str, Any]) -> None:
    for name, function in functions.items():
        if function is not _INHERITED:
            setattr(home, name, function)
        elif name in vars(home):
            delattr(home, name)


class Shared:
    """Functions that stand in for others while there are runs: one change for all threads.

    The first run makes it, and the last one takes it back. ``with changed():`` is one of them.
    """

    def __init__(self, *changes: tuple[Any, Mapping[str, Any]]) -> None:
        self._changes = changes
        self._lock, self._runs = Lock(), 0
        self._before: list[tuple[Any, Mapping[str, Any]]] = []

    @contextmanager
    def __call__(self) -> Iterator[None]:
        with self._lock:
            if not self._runs:
                self._before = [(home, _own(home, names)) for home, names in self._changes]
                for home, functions in self._changes:
                    _give(home, functions)
            self._runs += 1
        try:
            yield
        finally:
            with self._lock:
                self._runs -= 1
                if not self._runs:
                    for home, before in self._before:
                        _give(home, before)
