"""Functions that ``torch.jit`` compiled: torch asks no mode about their calls.

While a run follows a module, they ask like other functions. It is one change for all threads, which
is taken back when the last run ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock
from typing import Any

import torch
from torch.jit import ScriptFunction
from torch.overrides import handle_torch_function

from costlab.isolation.replaced import replaced

_ITS_OWN = vars(ScriptFunction)["__call__"]


class _Runs:
    """How many runs there are now, in all threads, and the change that they share."""

    lock = Lock()
    number = 0
    change = ExitStack()


def _call(function: Any, *args: Any, **kwargs: Any) -> Any:
    if torch._C._len_torch_function_stack():
        return handle_torch_function(function, (), *args, **kwargs)
    return _ITS_OWN.__get__(function)(*args, **kwargs)


@contextmanager
def visible_scripted_functions() -> Iterator[None]:
    """Make calls of scripted functions visible to modes, until the last of nested runs ends."""
    with _Runs.lock:
        if not _Runs.number:
            _Runs.change.enter_context(replaced(ScriptFunction, {"__call__": _call}))
        _Runs.number += 1
    try:
        yield
    finally:
        with _Runs.lock:
            _Runs.number -= 1
            if not _Runs.number:
                _Runs.change.close()
