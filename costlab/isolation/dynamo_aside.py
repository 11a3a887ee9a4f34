"""Shapes of torch's own functions without torch's compiler, which takes a second to import.

Torch writes shapes of many operations in Python, marks them as not to be compiled when they are
first called, and imports its compiler to do so. Where nobody has, there is nothing to mark.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from threading import active_count
from types import ModuleType
from typing import Any

_NAME, _MARK = "torch._dynamo", "__dynamo_disable"


class _Aside(ModuleType):
    """What torch finds in the compiler's place; for anything but a mark, the compiler itself."""

    def __init__(self) -> None:
        super().__init__(_NAME)
        self.__path__: list[str] = []  # it is a package
        self.marked: list[Any] = []

    def disable(self, function: Any, *_: Any, **_how: Any) -> Any:
        self.marked.append(function)
        return function

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if sys.modules.get(_NAME) is self:
            del sys.modules[_NAME]
        return getattr(import_module(_NAME), name)


@contextmanager
def dynamo_aside() -> Iterator[None]:
    """Calls of torch's own functions do not import its compiler; their marks are taken back."""
    if _NAME in sys.modules or active_count() > 1:  # another thread may be importing it
        yield
        return
    aside = sys.modules[_NAME] = _Aside()
    try:
        yield
    finally:
        if sys.modules.get(_NAME) is aside:
            del sys.modules[_NAME]
        for function in aside.marked:
            vars(function).pop(_MARK, None)
