"""Functions that ``torch.jit`` compiled: torch asks no mode about them, and a recorder is one."""

from __future__ import annotations

from threading import Lock
from typing import Any

import torch
from torch.jit import ScriptFunction
from torch.overrides import handle_torch_function

_ITS_OWN = vars(ScriptFunction)["__call__"]


class _Runs:
    """How many want to be asked now, in all threads."""

    lock = Lock()
    number = 0


def _call(function: Any, *args: Any, **kwargs: Any) -> Any:
    if torch._C._len_torch_function_stack():
        return handle_torch_function(function, (), *args, **kwargs)
    return _ITS_OWN.__get__(function)(*args, **kwargs)


def ask() -> None:
    """Let calls of scripted functions be asked about like others, until as many `ask_no_more`."""
    with _Runs.lock:
        _Runs.number += 1
        setattr(ScriptFunction, "__call__", _call)  # noqa: B010


def ask_no_more() -> None:
    """The opposite of `ask`."""
    with _Runs.lock:
        _Runs.number -= 1
        if not _Runs.number:
            setattr(ScriptFunction, "__call__", _ITS_OWN)  # noqa: B010
