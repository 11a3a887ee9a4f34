"""Where in a model a call comes from: the innermost module whose code is running.

Found on the stack, so that no hook or patch is needed, and a module that is entered by
``.forward()`` or another method is found like one that is called.
"""

from __future__ import annotations

from types import CodeType, FrameType, FunctionType, TracebackType
from typing import Any

from torch import nn

from costlab.custom import rule_of

_VARARGS = 0x04


class Places:
    """The modules of a model by the code that runs them."""

    def __init__(self, root: nn.Module) -> None:
        self._paths: dict[int, str] = {}
        self._counted: dict[str, nn.Module] = {}
        self.leaves: set[str] = set()
        self._codes: dict[CodeType, tuple[str, bool]] = {}
        for path, module in root.named_modules():
            self._paths[id(module)] = path
            if not module._modules:
                self.leaves.add(path)
            if rule_of(type(module)) is not None:
                self._counted[path] = module
        self._add(nn.Module._call_impl)
        for kind in {type(module) for module in root.modules()}:
            for base in kind.__mro__:
                if base is nn.Module:
                    break
                for function in vars(base).values():
                    self._add(function)

    def of(self, frame: FrameType | None) -> tuple[str, FrameType | None]:
        """The path of the innermost module at work, and the frame that it works in."""
        codes = self._codes
        while frame is not None:
            known = codes.get(frame.f_code)
            if known is not None:
                name, several = known
                module: Any = frame.f_locals.get(name)
                if several:
                    module = module[0] if module else None
                path = self._paths.get(id(module))
                if path is not None:
                    return path, frame
            frame = frame.f_back
        return "", None

    def counted(self, frame: FrameType | None) -> tuple[str, FrameType | None]:
        """The outermost module at work that a user's rule counts, and its frame; else ``""``."""
        found: tuple[str, FrameType | None] = ("", None)
        while self._counted and frame is not None:
            path, frame = self.of(frame)
            if path in self._counted:
                found = path, frame
            frame = frame.f_back if frame is not None else None
        return found

    def module(self, path: str) -> nn.Module:
        """The module there, which a user's rule counts."""
        return self._counted[path]

    def of_error(self, traceback: TracebackType | None) -> str:
        """The path of the innermost module that an exception came through."""
        found = ""
        while traceback is not None:
            if traceback.tb_frame.f_code in self._codes:
                path, frame = self.of(traceback.tb_frame)
                if frame is traceback.tb_frame:
                    found = path
            traceback = traceback.tb_next
        return found

    def _add(self, function: Any) -> None:
        while isinstance(function, FunctionType):
            code = function.__code__
            if code.co_argcount:
                self._codes[code] = (code.co_varnames[0], False)
            elif code.co_flags & _VARARGS:
                self._codes[code] = (code.co_varnames[code.co_kwonlyargcount], True)
            function = getattr(function, "__wrapped__", None)
