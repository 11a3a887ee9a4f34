"""Which module of a model is at work.

`Places.of` finds it on the stack, by the local variables of frames. To ask for those keeps them
(until Python 3.13): what a forward has let go would stay. So calls of modules are noted as they
begin and end; a module that is entered by ``.forward()`` counts as the one around it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import get_ident
from typing import Any

from torch import nn

from costlab.isolation.replaced import replaced


@contextmanager
def calls_noted(paths: Mapping[int, str]) -> Iterator[list[str]]:
    """The paths of the modules whose calls have begun in this thread and not ended.

    ``paths`` are those of the model's modules by their ``id``.
    """
    at_work: list[str] = []
    original, thread = nn.Module.__call__, get_ident()

    def call(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        path = paths.get(id(module))
        if path is None or get_ident() != thread:
            return original(module, *args, **kwargs)
        at_work.append(path)
        try:
            return original(module, *args, **kwargs)
        finally:
            at_work.pop()

    with replaced(nn.Module, {"__call__": call}):
        yield at_work
