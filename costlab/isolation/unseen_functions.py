"""Functions of torch that ask no mode about their calls, and ask while a run follows a module.

They are those that ``torch.jit`` compiled, ``Tensor.set_``, ``torch.utils.swap_tensors`` and
``torch.from_numpy``. It is
one change for all threads, which is taken back when the last run ends; where there is no mode, the
functions are what they were.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from threading import Lock
from typing import Any

import torch
from torch import Tensor
from torch.jit import ScriptFunction
from torch.overrides import handle_torch_function

from costlab.isolation.replaced import replaced
from costlab.torch_private import function_modes

_SCRIPTED = vars(ScriptFunction)["__call__"]


class _Runs:
    """How many runs there are now, in all threads, and the change that they share."""

    lock = Lock()
    number = 0
    change = ExitStack()


def _asking(function: Any) -> Any:
    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if function_modes():
            return handle_torch_function(call, (), *args, **kwargs)  # which asks the next mode
        return function(*args, **kwargs)

    return call


SET = _asking(Tensor.set_)
SWAP = _asking(torch.utils.swap_tensors)


def _call_scripted(function: Any, *args: Any, **kwargs: Any) -> Any:
    if function_modes():
        return handle_torch_function(function, (), *args, **kwargs)
    return _SCRIPTED.__get__(function)(*args, **kwargs)


_ASKING = (
    (ScriptFunction, {"__call__": _call_scripted}),
    (Tensor, {"set_": SET}),
    (torch.utils, {"swap_tensors": SWAP}),
    (torch, {"from_numpy": _asking(torch.from_numpy)}),
)


@contextmanager
def unseen_functions_visible() -> Iterator[None]:
    """Let these functions ask modes about their calls, until the last of all runs ends."""
    with _Runs.lock:
        if not _Runs.number:
            for home, functions in _ASKING:
                _Runs.change.enter_context(replaced(home, functions))
        _Runs.number += 1
    try:
        yield
    finally:
        with _Runs.lock:
            _Runs.number -= 1
            if not _Runs.number:
                _Runs.change.close()
