"""Functions of torch that ask no mode about their calls, and ask while a run follows a module.

They are those that ``torch.jit`` compiled, ``torch.Tensor(...)``, ``Tensor.set_``,
``torch.utils.swap_tensors``, ``torch.from_numpy``, and those of ``torch.autograd`` that run
backwards. It is one change for all threads, which is taken back when the last run ends; where there
is no mode, the functions are what they were.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

import torch
from torch import Tensor
from torch.jit import ScriptFunction
from torch.overrides import handle_torch_function

from costlab.isolation.replaced import Shared
from costlab.torch_private import function_modes

_SCRIPTED = vars(ScriptFunction)["__call__"]


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


_DIFFERENTIATE = {
    name: _asking(getattr(torch.autograd.functional, name))
    for name in ("jacobian", "hessian", "vjp", "jvp", "vhp", "hvp")
}
_BACKWARD = _asking(torch.autograd.backward)
TAKES_GRADIENTS = frozenset(_DIFFERENTIATE.values())
"""Functions that call others, and differentiate these."""


unseen_functions_visible = Shared(
    (ScriptFunction, {"__call__": _call_scripted}),
    (Tensor, {"set_": SET, "__new__": staticmethod(_asking(Tensor.__new__))}),
    (torch.utils, {"swap_tensors": SWAP}),
    (torch, {"from_numpy": _asking(torch.from_numpy)}),
    (torch.autograd, {"backward": _BACKWARD}),
    (torch.autograd.functional, _DIFFERENTIATE),
)
"""Let these functions ask modes about their calls, until the last of all runs ends."""
