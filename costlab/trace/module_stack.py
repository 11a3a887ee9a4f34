"""Where in a model a call comes from: the innermost module whose code is running.

Found on the stack, so that no hook or patch is needed, and a module that is entered by
``.forward()`` or another method is found like one that is called.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import CodeType, FrameType, FunctionType, TracebackType
from typing import Any, TypeAlias

from torch import Tensor, nn
from torch.jit import ScriptModule
from torch.nn.parameter import is_lazy

from costlab.graph.paths import ancestry
from costlab.torch_private import call_module
from costlab.trace.users import rule_for_kind

_VARARGS = 0x04
_CALL = call_module.__code__

Codes: TypeAlias = "dict[int, tuple[CodeType, str, bool]]"
"""Code by its ``id`` (its hash takes long), the name that holds the module, whether that is a tuple
with the module first."""


class Places:
    """The modules of a model by the code that runs them, and its tensors by their names."""

    def __init__(self, root: nn.Module) -> None:
        self.modules: list[nn.Module] = []
        self.parameters: dict[int, tuple[str, Tensor]] = {}
        self.buffers: dict[int, tuple[str, Tensor]] = {}
        self._paths: dict[int, str] = {}
        self._counted: dict[str, nn.Module] = {}
        self._around: dict[str, str | None] = {}
        self.leaves: set[str] = set()
        self._codes: Codes = {}
        self.lazy = False
        """Whether a tensor has no shape yet, as those of lazy modules."""
        kinds: dict[type[nn.Module], bool] = {}  # whether a user's rule counts modules of a kind
        paths, modules, leaves = self._paths, self.modules, self.leaves
        waiting = [("", root)]
        while waiting:  # a shared module has its first path
            path, module = waiting.pop()
            if id(module) in paths:
                continue
            kind = type(module)
            if kind not in kinds:
                kinds[kind] = self._met(kind)
            if kinds[kind]:
                self._counted[path] = module
            paths[id(module)] = path
            modules.append(module)
            inside = f"{path}." if path else ""
            if isinstance(module, ScriptModule):  # its modules are not called by Python
                _name(dict(module.named_parameters()), inside, self.parameters)
                _name(dict(module.named_buffers()), inside, self.buffers)
                leaves.add(path)
                continue
            if module._parameters:
                self.lazy |= _name(module._parameters, inside, self.parameters)
            if module._buffers:
                self.lazy |= _name(module._buffers, inside, self.buffers)
            children = module._modules
            if not children:
                leaves.add(path)
            for name in reversed(children):
                if (child := children[name]) is not None:
                    waiting.append((inside + name, child))

    def _met(self, kind: type[nn.Module]) -> bool:
        """Learn the code of a kind of module; whether a user's rule counts such modules."""
        self._codes |= _codes(kind)  # type: ignore[arg-type]
        return rule_for_kind(kind) is not None

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
        while frame is not None:
            path = self._in(frame)
            if path is not None:
                return path, frame
            frame = frame.f_back
        return "", None

    def began(self, path: str, frame: FrameType | None) -> FrameType | None:
        """The frame in which that call of the module began: it may have called its own methods."""
        first = frame
        while frame is not None and frame.f_code is not _CALL:
            frame = frame.f_back
            if frame is not None and (found := self._in(frame)) is not None:
                if found != path:
                    break
                first = frame
        return first

    def _in(self, frame: FrameType) -> str | None:
        """The path of the module whose code that frame runs, if it is one of the model's."""
        known = self._codes.get(id(frame.f_code))
        if known is None:
            return None
        _, name, several = known
        module: Any = frame.f_locals.get(name)
        if several:
            module = module[0] if module else None
        return self._paths.get(id(module))

    def counted(self, path: str, frame: FrameType | None) -> tuple[str, FrameType | None] | None:
        """The outermost module around a place that a user's rule counts, and its frame.

        ``path`` and ``frame`` are those of the place.
        """
        if not self._counted:
            return None
        if path not in self._around:
            around = (scope for scope in ("", *ancestry(path)) if scope in self._counted)
            self._around[path] = next(around, None)
        wanted = self._around[path]
        while wanted is not None and frame is not None:
            found, frame = self.of(frame)
            if frame is not None and found == wanted:
                return found, frame
            frame = frame.f_back if frame is not None else None
        return None

    @property
    def counts_modules(self) -> bool:
        """Whether there are modules that a user's rule counts."""
        return bool(self._counted)

    def learn(self, function: Any, name: str) -> None:
        """Wherever that function runs, the module that this name holds is at work."""
        self._codes[id(function.__code__)] = (function.__code__, name, False)

    def module(self, path: str) -> nn.Module:
        """The module there, which a user's rule counts."""
        return self._counted[path]

    def of_error(self, traceback: TracebackType | None) -> str:
        """The path of the innermost module that an exception came through."""
        found = ""
        while traceback is not None:
            if id(traceback.tb_frame.f_code) in self._codes:
                path, frame = self.of(traceback.tb_frame)
                if frame is traceback.tb_frame:
                    found = path
            traceback = traceback.tb_next
        return found


@lru_cache(maxsize=1024)
def _codes(kind: type[nn.Module]) -> Codes:
    """The code of a kind of module's methods."""
    found: Codes = {}
    waiting: list[Any] = [call_module]
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
            found[id(code)] = (code, code.co_varnames[0], False)
        elif code.co_flags & _VARARGS:
            found[id(code)] = (code, code.co_varnames[code.co_kwonlyargcount], True)
        waiting.append(getattr(function, "__wrapped__", None))
    return found


def _name(
    tensors: Mapping[str, Tensor | None], inside: str, known: dict[int, tuple[str, Tensor]]
) -> bool:
    """Note a module's own tensors by their names; a shared one has its first.

    Whether one of them has no shape yet.
    """
    lazy = False
    for name, tensor in tensors.items():
        if tensor is None:
            continue
        known.setdefault(id(tensor), (inside + name, tensor))
        lazy = lazy or is_lazy(tensor)
    return lazy
