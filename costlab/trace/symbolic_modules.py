"""Makes modules whose constructors are given sizes that are symbols.

Tensors of such sizes are on ``meta``, and nothing is computed of them: what constructors fill them
with decides nothing that is counted. All else is made as it always is.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from inspect import unwrap
from types import FrameType, FunctionType
from typing import Any

from torch.nn import init
from torch.overrides import TorchFunctionMode

from costlab.isolation.code_replaced import asking
from costlab.symbols.assumptions import Assumptions
from costlab.torch_private import asserted, enable_python_dispatcher
from costlab.trace.classification import Kind, classify
from costlab.trace.symbolic import has_symbols, on_meta, without_floats
from costlab.trace.tensors import META, tensors


def fills(names: Mapping[str, Any]) -> set[Any]:
    """Functions of torch that fill a tensor, which is their first argument, and return it.

    Modules of torch hold these themselves, and not what a tool has put around them since.
    """
    return {
        unwrap(function)
        for name, function in names.items()
        if isinstance(function, FunctionType) and name.endswith("_")
    }


_FILLS = fills(vars(init))


class Maker(TorchFunctionMode):
    """Answers the calls of a constructor."""

    def __init__(self, of: Assumptions) -> None:
        super().__init__()
        self._of = of

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is asserted and len(args) > 1:
            self._of.said(str(args[1]))
        self._of.settle()
        given = tensors((args, kwargs))
        stood = any(tensor.device.type == "meta" for tensor in given)
        if not stood and not has_symbols((args, kwargs)):
            return func(*args, **kwargs)
        if func in _FILLS and stood:
            return args[0] if args else kwargs["tensor"]
        made = classify(func)
        if made.kind is Kind.MAKES and not kwargs.get("device"):
            kwargs = kwargs | {"device": META}
        args, kwargs = on_meta(args), on_meta(kwargs)
        args, kwargs = without_floats(made.name, (args, kwargs))
        with enable_python_dispatcher():
            return func(*args, **kwargs)


@contextmanager
def made_of_symbols(of: Assumptions) -> Iterator[None]:
    """Let constructors in here be given sizes that are symbols."""
    of.where = line_at_work
    with asking(_FILLS), Maker(of):
        yield
    of.settle()


def line_at_work() -> str:
    """The line of code that is at work: outside of torch, or in a module of torch itself."""
    frame: FrameType | None = sys._getframe(1)
    own = ""
    while frame is not None:
        home = frame.f_globals.get("__name__", "")
        if home.partition(".")[0] not in ("torch", "costlab"):
            return f"the model ({frame.f_code.co_filename}:{frame.f_lineno})"
        if home in _CALLERS:  # who called us did not write the model
            break
        if not own and home.startswith("torch.nn.modules."):
            own = f"the model ({frame.f_code.co_filename}:{frame.f_lineno})"
        frame = frame.f_back
    return own


_CALLERS = ("costlab.models.python_code", "costlab.footprint.run")
"""What calls code of the user."""
