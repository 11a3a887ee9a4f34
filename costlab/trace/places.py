"""Where in a model a call comes from: the innermost module whose code is running.

Found on the stack, so that no hook or patch is needed, and a module that is entered by
``.forward()`` or another method is found like one that is called.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import CodeType, FrameType, FunctionType, TracebackType
from typing import Any

from torch import Tensor, nn
from torch.jit import ScriptModule
from torch.nn.parameter import is_lazy

from costlab.custom import rule_of
from costlab.errors import TraceError
from costlab.graph import ancestry

_VARARGS = 0x04


class Places:
    """The modules of a model by the code that runs them, and its tensors by their names."""

    def __init__(self, root: nn.Module) -> None:
        self.modules: list[nn.Module] = []
        self.parameters: dict[int, tuple[str, Tensor]] = {}
        self.buffers: dict[int, tuple[str, Tensor]] = {}
        self._paths: dict[int, str] = {}
        self._counted: dict[str, nn.Module] = {}
        self._around: dict[str, str] = {}
        self.leaves: set[str] = set()
        self._codes: dict[CodeType, tuple[str, bool]] = {}
        by_rule: dict[type[nn.Module], bool] = {}  # whether a user's rule counts modules of a kind
        waiting = [("", root)]
        while waiting:  # a shared module has its first path
            path, module = waiting.pop()
            if id(module) in self._paths:
                continue
            kind = type(module)
            if kind not in by_rule:
                if issubclass(kind, ScriptModule):
                    raise TraceError(
                        "a scripted module has no Python code to follow: "
                        "give the module that it was made from"
                    )
                by_rule[kind] = rule_of(kind) is not None
                self._codes |= _codes(kind)  # type: ignore[arg-type]
            if by_rule[kind]:
                self._counted[path] = module
            self._paths[id(module)] = path
            self.modules.append(module)
            inside = f"{path}." if path else ""
            if module._parameters:
                _name(module._parameters, inside, self.parameters)
            if module._buffers:
                _name(module._buffers, inside, self.buffers)
            if module._modules:
                children = module._modules.items()
                waiting += reversed(
                    [(inside + n, each) for n, each in children if each is not None]
                )
            else:
                self.leaves.add(path)

    @property
    def by_identity(self) -> dict[int, str]:
        """The path of each module by its ``id``."""
        return self._paths

    @property
    def paths(self) -> Iterable[str]:
        """The paths of all modules."""
        return self._paths.values()

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

    def counted(self, path: str, frame: FrameType | None) -> tuple[str, FrameType | None]:
        """The outermost module around a place that a user's rule counts, and its frame; or ``""``.

        ``path`` and ``frame`` are those of the place.
        """
        if not self._counted:
            return "", None
        if path not in self._around:
            around = [scope for scope in ancestry(path) if scope in self._counted]
            self._around[path] = around[0] if around else ""
        wanted = self._around[path]
        while wanted and frame is not None:
            found, frame = self.of(frame)
            if found == wanted:
                return found, frame
            frame = frame.f_back if frame is not None else None
        return "", None

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


@lru_cache(maxsize=1024)
def _codes(kind: type[nn.Module]) -> dict[CodeType, tuple[str, bool]]:
    """The code of a kind of module's methods: the name that holds the module, alone or first."""
    found: dict[CodeType, tuple[str, bool]] = {}
    waiting: list[Any] = [nn.Module._call_impl]
    for base in kind.__mro__:
        if base is nn.Module:
            break
        waiting += vars(base).values()
    while waiting:
        function = waiting.pop()
        if not isinstance(function, FunctionType):
            continue
        code = function.__code__
        if code.co_argcount:
            found[code] = (code.co_varnames[0], False)
        elif code.co_flags & _VARARGS:
            found[code] = (code.co_varnames[code.co_kwonlyargcount], True)
        waiting.append(getattr(function, "__wrapped__", None))
    return found


def _name(
    tensors: Mapping[str, Tensor | None], inside: str, known: dict[int, tuple[str, Tensor]]
) -> None:
    """Note a module's own tensors by their names; a shared one has its first."""
    for name, tensor in tensors.items():
        if tensor is None:
            continue
        if is_lazy(tensor):
            raise TraceError(
                f"{inside}{name} of a lazy module has no shape yet: run the module once"
            )
        known.setdefault(id(tensor), (inside + name, tensor))
