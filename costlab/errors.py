"""Errors that a caller can act on.

Every message is one line that says what was wrong and what to do next. The command line prints it
and exits with 2; the library raises it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from costlab.graph import Graph


class CostlabError(Exception):
    """Base of all errors that costlab raises on purpose."""


class UnknownNameError(CostlabError):
    """A model, part, choice, counter or format that does not exist."""

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        known = sorted(known)
        super().__init__(f"unknown {kind} {name!r}{suggestion(name, known)}{hint and f' ({hint})'}")


class ChoiceError(CostlabError):
    """A choice of an architecture that has the wrong kind or value, or is written wrongly."""


class ShapeError(CostlabError):
    """Shapes that do not fit: an impossible layer, or an input that the model cannot take."""


class TraceError(CostlabError):
    """A module that cannot be run on shapes alone, or that raised an error of its own."""

    before: Graph | None = None
    """What was followed until then: layers, of which the last are nearest to what is wrong."""


class CodeError(CostlabError):
    """Python code named as a model that cannot be imported, or that gives no module."""


class ReportError(CostlabError):
    """A saved report that cannot be read."""


class CounterError(CostlabError):
    """A model that is too large to be built and counted by other counters here."""


class FigureError(CostlabError):
    """A published figure, or a file of them, that cannot be read or computed."""


class ExpressionError(CostlabError):
    """A condition or a quantity in words that cannot be read, or has no value."""


class SweepError(CostlabError):
    """A sweep that cannot go on: too much to show, or workers that die."""


class OutputError(CostlabError):
    """A result that could not be written."""


def place_of(error: BaseException) -> str:
    """The line of the user's own code that raised it: `` (at file.py:12)``, or nothing."""
    trace, place = error.__traceback__, ""
    while trace is not None:
        package = trace.tb_frame.f_globals.get("__name__", "").partition(".")[0]
        if package not in ("torch", "costlab", "importlib"):
            place = f" (at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno})"
        trace = trace.tb_next
    return place


def suggestion(name: str, known: list[str]) -> str:
    """What was perhaps meant: ``: did you mean 'naive'?``, or what there is, if that is little."""
    from difflib import get_close_matches

    spelled = {each.lower(): each for each in known}
    close = get_close_matches(name.lower(), spelled, n=3, cutoff=0.6)
    if close:
        return ": did you mean " + " or ".join(repr(spelled[each]) for each in close) + "?"
    if len(known) > 12:
        return ""
    return ": known are " + ", ".join(known) if known else ": there are none"
