"""Settings of Python, as `torch_globals` has those of torch: how they are asked for, and set."""

from __future__ import annotations

import decimal
import gc
import locale
import logging
import os
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context, copy_context
from functools import partial
from operator import attrgetter
from typing import Any, TypeAlias

from costlab.isolation.held_state import of_logger, set_logger

Setting: TypeAlias = tuple[Callable[[], Any], Callable[[Any], Any]]
"""How a setting is asked for, and set."""


def _environment() -> dict[Any, Any]:
    return dict(getattr(os.environ, "_data", os.environ))  # without decoding all of it


def _set_environment(before: dict[Any, Any]) -> None:
    now = _environment()
    for name in now.keys() - before.keys():
        del os.environ[os.fsdecode(name)]
    for name, text in before.items():
        if now.get(name) != text:
            os.environ[os.fsdecode(name)] = os.fsdecode(text)


def _folder() -> str:
    try:
        return os.getcwd()
    except OSError:  # somebody has removed it
        return ""


def _set_folder(before: str) -> None:
    with suppress(OSError):
        os.chdir(before)


def _filters() -> tuple[Any, ...]:
    return warnings.filters, warnings.showwarning, tuple(warnings.filters)


def _set_filters(before: tuple[Any, ...]) -> None:
    warnings.filters, warnings.showwarning, filters = before
    warnings.resetwarnings()  # which tells Python that they are others
    warnings.filters[:] = filters  # type: ignore[index]


def _decimals() -> tuple[Any, ...]:
    context = decimal.getcontext()
    return context, context.__reduce__()[1]  # its attributes, and then the signals that are set


def _set_decimals(before: tuple[Any, ...]) -> None:
    context, (*numbers, flags, traps) = before
    for name, number in zip(_OF_DECIMALS, numbers, strict=True):
        setattr(context, name, number)
    for signals, those_set in ((context.flags, flags), (context.traps, traps)):
        for signal in signals:
            signals[signal] = signal in those_set
    decimal.setcontext(context)


_OF_DECIMALS = ("prec", "rounding", "Emin", "Emax", "capitals", "clamp")


def put_back_variables(before: Context) -> None:
    """Set variables of the context, such as what numpy does with errors, to what they were."""
    fresh = Context()
    for variable, value in copy_context().items():
        if variable not in before:
            with suppress(LookupError):  # what had no value, nor one by default, keeps the new one
                variable.set(fresh.run(variable.get))
        elif before[variable] is not value:
            variable.set(before[variable])


_LISTS_OF_SYS = attrgetter("path", "argv")  # not those of importers, which imports add
_NAMES_OF_SYS = ("stdin", "stdout", "stderr", "excepthook", "displayhook")
_OF_SYS = attrgetter(*_NAMES_OF_SYS)


def _lists_of_sys() -> list[tuple[list[Any], list[Any]]]:
    """The lists, and what they hold."""
    return [(kept, kept[:]) for kept in _LISTS_OF_SYS(sys)]


def _set_lists_of_sys(before: list[tuple[list[Any], list[Any]]]) -> None:
    for kept, items in before:
        kept[:] = items
    sys.path, sys.argv = (kept for kept, _ in before)


def _set_sys(before: tuple[Any, ...]) -> None:
    for name, value in zip(_NAMES_OF_SYS, before, strict=True):
        setattr(sys, name, value)


SETTINGS: list[Setting] = [
    (_decimals, _set_decimals),
    (_environment, _set_environment),
    (_folder, _set_folder),
    (partial(locale.setlocale, locale.LC_ALL), partial(locale.setlocale, locale.LC_ALL)),
    (_filters, _set_filters),
    (partial(of_logger, logging.getLogger()), partial(set_logger, logging.getLogger())),
    (gc.get_threshold, lambda threshold: gc.set_threshold(*threshold)),
    (sys.getrecursionlimit, sys.setrecursionlimit),
    (partial(_OF_SYS, sys), _set_sys),
    (_lists_of_sys, _set_lists_of_sys),
]
"""How each setting is asked for, and set."""
