"""Which module of a model is at work.

`Places.of` finds it on the stack, by the local variables of frames. To ask for those keeps them
(until Python 3.13): what a forward has let go would stay. So calls of modules are noted as they
begin and end; a module that is entered by ``.forward()`` counts as the one around it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any

from torch import nn

from costlab.trace.module_stack import Places


@contextmanager
def calls_noted(places: Places) -> Iterator[list[str]]:
    """The paths of the modules whose calls have begun in this thread and not ended.

    The modules are changed: what torch calls in their place notes the call.
    """
    at_work: list[str] = []
    thread = get_ident()
    for module in places.modules:
        path = places.by_identity[id(module)]
        module.__dict__["_compiled_call_impl"] = _Noted(module, path, at_work, thread)
    try:
        yield at_work
    finally:
        for module in places.modules:
            module.__dict__.pop("_compiled_call_impl", None)


class _Noted:
    """Runs a module, and notes that it runs."""

    __slots__ = ("_at_work", "_call", "_path", "_thread")

    def __init__(self, module: nn.Module, path: str, at_work: list[str], thread: int) -> None:
        self._call: Any = module._call_impl
        self._path, self._at_work, self._thread = path, at_work, thread

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the module gives."""
        if get_ident() != self._thread:
            return self._call(*args, **kwargs)
        self._at_work.append(self._path)
        try:
            return self._call(*args, **kwargs)
        finally:
            self._at_work.pop()
