"""What is called to run a module: forward, or another of its methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn
from torch.jit import ScriptModule

from costlab.errors import UnknownNameError


def resolved(
    module: nn.Module, method: str, name: str
) -> tuple[nn.Module, Callable[..., Any], str]:
    """The module that is followed, what is called of it, and the name of both together.

    For forward the module is called, so that hooks see it. Raises ``UnknownNameError`` for a method
    that is none.
    """
    inside = vars(module).get("_modules")
    if isinstance(inside, dict):  # scripted modules have another
        module = inside.get("_orig_mod", module)  # what torch.compile wraps
    kind = type(module)
    name = name or (module.original_name if isinstance(module, ScriptModule) else kind.__name__)
    if method == "forward":
        return module, module, name
    called = getattr(module, method, None)
    if not callable(called):
        own = [
            known
            for known in dir(kind)
            if not hasattr(nn.Module, known) and callable(getattr(kind, known, None))
        ]
        raise UnknownNameError(f"method of {kind.__name__}", method, ["forward", *own])
    return module, called, f"{name}.{method}"
