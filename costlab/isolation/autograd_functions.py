"""``torch.autograd.Function.apply``, whose calls torch asks no mode about.

Until torch 2.13 it is a Python function, whose code is replaced for a run (see `code_replaced`).
Since 2.14 it is compiled. What classes then give under its name, and under that of ``forward``, are
functions that ask: the latter is what the compiled ``apply`` calls where code has kept it from
before the run. Inside a transform of ``torch.func`` it calls an operator of torch in its place,
which asks too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from types import BuiltinMethodType, CodeType, FunctionType, MethodType
from typing import Any

from torch.autograd import Function
from torch.overrides import handle_torch_function

from costlab.isolation.replaced import replaced
from costlab.torch_private import function_modes, function_of, operator_of_functions

_COMPILED: Any = vars(Function)["apply"]
APPLY: FunctionType | None = getattr(_COMPILED, "__func__", None)
"""Where torch has it in Python."""


def class_applied(function: Any) -> type[Function] | None:
    """The ``torch.autograd.Function`` whose ``apply`` that is."""
    if not isinstance(function, (MethodType, BuiltinMethodType)) or function.__name__ != "apply":
        return None
    home: Any = function.__self__
    return home if isinstance(home, type) and issubclass(home, Function) else None


def unasked(kind: type[Function], *args: Any, **kwargs: Any) -> Any:
    """The compiled ``apply`` of that class, whose forward runs without asking."""
    with _running(kind):
        return _COMPILED.__get__(None, kind)(*args, **kwargs)


RUNS_FORWARD: CodeType = (APPLY or unasked).__code__
"""What is on the stack while the forward of a ``torch.autograd.Function`` runs."""


_CALL_OPERATOR: Any = type(operator_of_functions).__call__


def begin_asking() -> None:
    """Let the classes' ``apply`` ask modes about its calls; as often as `end_asking` is called."""
    if not _Asking.runs:
        _Asking.change.enter_context(replaced(type(Function), {"__getattribute__": _attribute}))
        _Asking.change.enter_context(
            replaced(type(operator_of_functions), {"__call__": _in_a_transform})
        )
    _Asking.runs += 1


def end_asking() -> None:
    """Take that back when the last run ends."""
    _Asking.runs -= 1
    if not _Asking.runs:
        _Asking.change.close()


class _Asking:
    """How many runs there are now, in all threads, and the change that they share."""

    runs = 0
    change = ExitStack()
    running: tuple[type[Function], ...] = ()
    """The classes whose next forward does not ask: `unasked` calls it."""

    @classmethod
    def is_answered(cls, kind: type[Function]) -> bool:
        """Whether `unasked` is what calls that class now, once."""
        answered = cls.running[-1:] == (kind,)
        if answered:
            cls.running = cls.running[:-1]
        return answered


@contextmanager
def _running(kind: type[Function]) -> Iterator[None]:
    before = _Asking.running
    _Asking.running = (*before, kind)
    try:
        yield
    finally:
        _Asking.running = before


def _attribute(kind: type[Function], name: str) -> Any:
    """An attribute of such a class; ``kind`` is it."""
    value = type.__getattribute__(kind, name)
    if name == "forward":
        return _asking_forward(kind, value)
    if name == "apply" and isinstance(value, BuiltinMethodType):
        return MethodType(apply, kind)
    return value


def apply(kind: type[Function], *args: Any, **kwargs: Any) -> Any:
    """What stands in for a class's ``apply``."""
    if not function_modes():
        return unasked(kind, *args, **kwargs)
    return handle_torch_function(MethodType(apply, kind), (), *args, **kwargs)


def _in_a_transform(operator: Any, kind: type[Function], *args: Any, **kwargs: Any) -> Any:
    """What a compiled ``apply`` that code has kept calls inside a transform of ``torch.func``."""
    if not function_modes() or _Asking.is_answered(kind):
        return _CALL_OPERATOR(operator, kind, *args, **kwargs)
    return apply(kind, *args, **kwargs)


def _asking_forward(kind: type[Function], forward: Any) -> Any:
    @wraps(forward)
    def ask(*args: Any, **kwargs: Any) -> Any:
        if _Asking.is_answered(kind):
            return forward(*args, **kwargs)
        context = args[:1] if kind.setup_context is Function.setup_context else ()
        called = all(function_of(first) is kind for first in context)
        if not called or not function_modes():  # another class's forward calls it, or nobody asks
            return forward(*args, **kwargs)
        return apply(kind, *args[len(context) :], **kwargs)

    return ask
