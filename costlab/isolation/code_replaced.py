"""Python functions that ask modes about their calls while a run follows a module.

Others hold such a function by many names (``from package import function``), so that it is not
replaced: for the time of a run its code is. Where there is no mode, it does what it did. As with
`unseen_functions`, it is one change for all threads, which is taken back when the last run ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dis import opmap
from operator import is_
from threading import Lock
from types import CodeType, FunctionType
from typing import Any, NamedTuple

from torch.overrides import handle_torch_function

from costlab.isolation import autograd_functions
from costlab.torch_private import function_modes

_APPLY = autograd_functions.APPLY

_lock = Lock()
_runs: dict[FunctionType, int] = {}
_originals: dict[FunctionType, FunctionType] = {}


class _Made(NamedTuple):
    """What was made of a function, and of which code and defaults."""

    of: tuple[Any, ...]
    copy: Any
    asking: CodeType


_made: dict[FunctionType, _Made] = {}
"""Of each function that asked in some run: they are few, and the next run asks of the same."""


def original(function: Any) -> Any:
    """What the function does of itself, without asking."""
    if kind := autograd_functions.class_applied(function):
        run = _originals.get(_APPLY, _APPLY) if _APPLY else autograd_functions.unasked
        return lambda *args, **kwargs: run(kind, *args, **kwargs)
    return _originals.get(function, function) if isinstance(function, FunctionType) else function


@contextmanager
def asking(functions: Iterable[FunctionType]) -> Iterator[None]:
    """Let these functions, and ``torch.autograd.Function.apply``, ask modes about their calls."""
    changed = dict.fromkeys([_APPLY, *functions] if _APPLY else functions)
    with _lock:
        if not _APPLY:
            autograd_functions.begin_asking()
        for function in changed:
            if not _runs.get(function):
                own = (function.__code__, function.__defaults__, function.__kwdefaults__)
                made = _made.get(function)
                if made is None or not all(map(is_, own, made.of)):
                    copy = _copied(function)
                    made = _made[function] = _Made(own, copy, _asking(function, copy))
                _originals[function] = made.copy
                function.__code__ = made.asking
            _runs[function] = _runs.get(function, 0) + 1
    try:
        yield
    finally:
        with _lock:
            if not _APPLY:
                autograd_functions.end_asking()
            for function in changed:
                _runs[function] -= 1
                if not _runs[function]:
                    del _runs[function]
                    function.__code__ = _originals.pop(function).__code__


def _copied(function: FunctionType) -> FunctionType:
    copy = FunctionType(
        function.__code__,
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


def _template(*args: Any, **kwargs: Any) -> Any:
    ask: Any = "in place of this, what is called"
    return ask(*args, **kwargs)


def _template_with_a_cell(cell: Any) -> Any:
    def template(*args: Any, **kwargs: Any) -> Any:
        ask: Any = "in place of this, what is called"
        if not ask:  # never: so that the cell is one of its variables
            return cell
        return ask(*args, **kwargs)

    return template


def _asking(function: FunctionType, copy: FunctionType) -> CodeType:
    """Code that passes a call on to `ask`: a constant, since it runs among foreign globals."""

    def ask(*args: Any, **kwargs: Any) -> Any:
        if not function_modes():
            return copy(*args, **kwargs)
        if function is _APPLY:
            kind, *args = args  # type: ignore[assignment]
            return handle_torch_function(kind.apply, (), *args, **kwargs)
        return handle_torch_function(function, (), *args, **kwargs)

    cells = function.__code__.co_freevars
    code = (_template_with_a_cell(None) if cells else _template).__code__
    constants = tuple(
        ask if isinstance(constant, str) and "place" in constant else constant
        for constant in code.co_consts
    )
    return code.replace(
        co_consts=constants,
        co_code=_taking(len(cells), code.co_code),
        co_freevars=cells,
        co_name=function.__code__.co_name,
        co_filename=__file__,
    )


def _taking(cells: int, instructions: bytes) -> bytes:
    """Instructions that take that many cells over from the function.

    What does not, and has them, has places without a cell, and Python fails who looks at its
    variables: a debugger, or a report of an error. (Before 3.11 no instruction takes them.)
    """
    if instructions[0] == opmap.get("COPY_FREE_VARS"):
        return bytes((instructions[0], cells)) + instructions[2:]
    return instructions
