"""Where in a model a call comes from: the innermost module whose code is running.

Found on the stack, so that no hook or patch is needed, and a module that is entered by
``.forward()`` or another method is found like one that is called.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, lru_cache
from itertools import chain
from types import CodeType, FrameType, FunctionType, TracebackType
from typing import Any, TypeAlias

from torch import Tensor, nn
from torch.jit import ScriptModule
from torch.nn.parameter import is_lazy

from costlab.graph.paths import ancestry
from costlab.torch_private import call_module
from costlab.trace.call_paths import CallPaths
from costlab.trace.users import rule_for_kind

_VARARGS = 0x04
_CALL = call_module.__code__

Codes: TypeAlias = "dict[int, tuple[CodeType, str, bool]]"
"""Code by its ``id`` (its hash takes long), the name that holds the module, whether that is a tuple
with the module first."""


_Running: TypeAlias = "tuple[FrameType, nn.Module, str, str]"
"""A frame that runs code of a module, that module, the path of the call that it belongs to, and
how paths begin of what is inside of it."""


class Places:
    """The modules of a model by the code that runs them, and its tensors by their names."""

    def __init__(self, root: nn.Module) -> None:
        self.modules: list[nn.Module] = []
        self.kinds: dict[type[nn.Module], bool] = {}
        """The kinds of modules, and whether a user's rule counts those of that kind."""
        self.parameters: dict[int, tuple[str, Tensor]] = {}
        self.buffers: dict[int, tuple[str, Tensor]] = {}
        self._paths: dict[int, str] = {}
        self._counted: dict[str, nn.Module] = {}
        self._around: dict[str, str | None] = {}
        self._leaves: set[str] = set()
        self.calls = CallPaths(self._paths)
        self._running: list[_Running] = []
        """Of the stack as it was last looked at, the outermost first."""
        self._positions: dict[int, int] = {}  # in it, by the identity of the frame
        paths, modules, kinds, leaves = self._paths, self.modules, self.kinds, self._leaves
        waiting = [("", root)]
        while waiting:  # a shared module has its first path, see `CallPaths`
            path, module = waiting.pop()
            if id(module) in paths:
                self.calls.note_several(module)
                continue
            kind = type(module)
            if kind not in kinds:
                kinds[kind] = rule_for_kind(kind) is not None
            if kinds[kind]:
                self._counted[path] = module
            paths[id(module)] = path
            modules.append(module)
            inside = f"{path}." if path else ""
            own = module.__dict__
            if isinstance(module, ScriptModule):  # its modules are not called by Python
                _name(dict(module.named_parameters()), inside, self.parameters)
                _name(dict(module.named_buffers()), inside, self.buffers)
                leaves.add(path)
                continue
            if tensors := own["_parameters"]:
                _name(tensors, inside, self.parameters)
            if tensors := own["_buffers"]:
                _name(tensors, inside, self.buffers)
            children = own["_modules"]
            if not children:
                leaves.add(path)
            for name in reversed(children):
                if (child := children[name]) is not None:
                    waiting.append((inside + name, child))
        self._codes: Codes = dict(_codes_of(tuple(kinds)))
        stored = chain(self.parameters.values(), self.buffers.values())
        # Whether a tensor has no shape yet, as those of lazy modules.
        self.lazy = any(map(is_lazy, {type(tensor): tensor for _, tensor in stored}.values()))

    @property
    def by_identity(self) -> dict[int, str]:
        """The path of each module by its ``id``."""
        return self._paths

    def module_at(self, path: str) -> nn.Module | None:
        """The module that is called so."""
        return self._by_path.get(self.calls.registered(path))

    @cached_property
    def _by_path(self) -> dict[str, nn.Module]:
        return {self._paths[id(module)]: module for module in self.modules}

    def identity_of(self, name: str) -> int | None:
        """The identity of the parameter of that name."""
        return self._by_name.get(name)

    @cached_property
    def _by_name(self) -> dict[str, int]:
        return {name: key for key, (name, _) in self.parameters.items()}

    @property
    def paths(self) -> set[str]:
        """The paths of all modules: the registered ones, and those of calls elsewhere."""
        return {*self._paths.values(), *self.calls.elsewhere}

    @property
    def leaves(self) -> set[str]:
        """The paths of modules without children, registered and called ones."""
        elsewhere = self.calls.elsewhere
        if not elsewhere:
            return self._leaves
        return self._leaves | {path for path, own in elsewhere.items() if own in self._leaves}

    def of(self, frame: FrameType | None) -> tuple[str, FrameType | None]:
        """The path of the innermost module at work, and the frame that it works in."""
        running = self._innermost(frame)
        return ("", None) if running is None else (running[2], running[0])

    def called(self, module: nn.Module, caller: FrameType | None) -> str:
        """The path of a module that is called in that frame, or is at work there."""
        running = self._running[-1] if self._running else None
        if running is None or running[0] is not caller:
            running = self._innermost(caller)
        own = self._paths[id(module)]
        if running is None or (own.startswith(running[3]) and not self.calls.several):
            return own
        _, around, path, _ = running
        return path if around is module else self.calls.of(module, path, around)

    def _innermost(self, frame: FrameType | None) -> _Running | None:
        """What runs there, by what is known of the frames around it."""
        running, positions, several = self._running, self._positions, self.calls.several
        codes, paths = self._codes, self._paths
        further: list[tuple[FrameType, nn.Module]] = []
        position = None
        while frame is not None:
            position = positions.get(id(frame))
            if position is not None:
                break
            module = self._in(frame) if id(frame.f_code) in codes else None
            outer = frame.f_back
            if module is not None:
                further.append((frame, module))
                if outer is not None and outer.f_code is _CALL and _is_forward(frame, module):
                    outer = outer.f_back  # the frame between them is of the same call
            frame = outer
        kept = 0 if position is None else position + 1
        while len(running) > kept:
            del positions[id(running.pop()[0])]
        _, around, path, inside = running[-1] if running else (None, None, "", "")
        for inner, module in reversed(further):
            if around is not module:
                own = paths[id(module)]
                if around is None or (own.startswith(inside) and not several):
                    path = own
                else:
                    path = self.calls.of(module, path, around)
                around, inside = module, path and f"{path}."
            positions[id(inner)] = len(running)
            running.append((inner, module, path, inside))
        return running[-1] if running else None

    def leave(self) -> None:
        """The run is over: its frames are let go."""
        self._running.clear()
        self._positions.clear()

    def is_leaf(self, path: str) -> bool:
        """Whether the module that is called so has no children."""
        return self.calls.registered(path) in self._leaves

    def began(self, path: str, frame: FrameType | None) -> FrameType | None:
        """The frame in which that call of the module began: it may have called its own methods."""
        first = frame
        while frame is not None and frame.f_code is not _CALL:
            frame = frame.f_back
            if frame is not None and self._in(frame) is not None:
                if self.of(frame)[0] != path:
                    break
                first = frame
        return first

    def _in(self, frame: FrameType) -> nn.Module | None:
        """The module whose code that frame runs, if it is one of the model's."""
        known = self._codes.get(id(frame.f_code))
        if known is None:
            return None
        _, name, several = known
        module: Any = frame.f_locals.get(name)
        if several:
            module = module[0] if module else None
        return module if id(module) in self._paths else None

    def counted(self, path: str, frame: FrameType | None) -> tuple[str, FrameType | None] | None:
        """The outermost module around a place that a user's rule counts, and its frame.

        ``path`` and ``frame`` are those of the place.
        """
        if not self._counted:
            return None
        if path not in self._around:
            scopes, registered = ("", *ancestry(path)), self.calls.registered
            around = (scope for scope in scopes if registered(scope) in self._counted)
            self._around[path] = next(around, None)
        wanted = self._around[path]
        while wanted is not None and frame is not None:
            at_work, frame = self.of(frame)
            if frame is not None and at_work == wanted:
                return at_work, frame
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
        return self._counted[self.calls.registered(path)]

    def of_error(self, traceback: TracebackType | None) -> tuple[str, nn.Module | None]:
        """The path of the innermost module that an exception came through, and the module."""
        path, innermost = "", None
        while traceback is not None:
            module = self._in(traceback.tb_frame)
            if module is not None and module is not innermost:
                path = self.calls.of(module, path, innermost)
                innermost = module
            traceback = traceback.tb_next
        return path, innermost


def _is_forward(frame: FrameType, module: nn.Module) -> bool:
    """Whether a frame runs the forward of the kind of module that it is about."""
    return getattr(type(module).forward, "__code__", None) is frame.f_code


@lru_cache(maxsize=256)
def _codes_of(kinds: tuple[type[nn.Module], ...]) -> Codes:
    """The code of the methods of these kinds of modules."""
    known: Codes = {}
    for kind in kinds:
        known |= _codes(kind)  # type: ignore[arg-type]
    return known


@lru_cache(maxsize=1024)
def _codes(kind: type[nn.Module]) -> Codes:
    """The code of a kind of module's methods."""
    codes: Codes = {}
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
            codes[id(code)] = (code, code.co_varnames[0], False)
        elif code.co_flags & _VARARGS:
            codes[id(code)] = (code, code.co_varnames[code.co_kwonlyargcount], True)
        waiting.append(getattr(function, "__wrapped__", None))
    return codes


def _name(
    tensors: Mapping[str, Tensor | None], inside: str, known: dict[int, tuple[str, Tensor]]
) -> None:
    """Note a module's own tensors by their names; a shared one has its first."""
    for name, tensor in tensors.items():
        if tensor is not None and id(tensor) not in known:
            known[id(tensor)] = (inside + name, tensor)
