"""Errors that a caller can act on.

Every message is one line that says what was wrong and what to do next. The command line prints it
and exits with 2; the library raises it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

    from costlab.graph import Graph


class CostlabError(Exception):
    """Base of all errors that costlab raises on purpose."""


class UnknownNameError(CostlabError):
    """A model, part, choice, counter or format that does not exist."""

    def __init__(
        self, kind: str, name: str, known: Iterable[str], hint: str = "", listed: str = ""
    ) -> None:
        close = suggestion(name, sorted(known), listed)
        super().__init__(f"unknown {kind} {name!r}{close}{hint and f' ({hint})'}")


class ChoiceError(CostlabError):
    """A choice of an architecture that has the wrong kind or value, or is written wrongly."""


class CallError(ChoiceError, TypeError):
    """A call of the library with arguments that it does not take, or of another kind."""


class ShapeError(CostlabError, RuntimeError):
    """Shapes that do not fit: an impossible layer, or an input that the model cannot take.

    A ``RuntimeError``, as torch's own: a forward that tries what does not fit goes on from there.
    """


class PlaceError(ShapeError, IndexError):
    """An index that is out of range: an ``IndexError`` too, which ends a loop over a sequence."""


class TraceError(CostlabError):
    """A module that cannot be run on shapes alone, or that raised an error of its own."""

    before: Graph | None = None
    """What was followed until then: layers, of which the last are nearest to what is wrong."""


class BatchError(TraceError):
    """A batch that is asked of code that has one of its own."""

    def __init__(self, name: str, own: int, batch: int, error: Exception) -> None:
        super().__init__(
            f"the batch of {name} is fixed by its code: it runs with {own}, "
            f"and with {batch} {error}"
        )


class ValuesError(TraceError):
    """Code that asks for values, of which a run on shapes has none."""


class CodeError(CostlabError):
    """Python code named as a model that cannot be imported, or that gives no module."""


class ReportError(CostlabError):
    """A saved report that cannot be read."""


class ProgramError(CostlabError):
    """An exported program, or a file of one, that cannot be read."""


class CounterError(CostlabError):
    """A model that other counters cannot run: too large, without values, or not to be copied."""


class FigureError(CostlabError):
    """A published figure, or a file of them, that cannot be read or computed."""


class ExpressionError(CostlabError):
    """An expression (a condition or a number) that cannot be read, or has no value."""


class GateError(CostlabError):
    """A check of limits that cannot be made: its file, its baseline, or what was asked of it."""


class SweepError(CostlabError):
    """A sweep that cannot go on: too much to show, or workers that die."""


class OutputError(CostlabError):
    """A result that could not be written."""


@contextmanager
def blaming(what: object) -> Iterator[None]:
    """An error in here says first what it is of: a line of a file, or one model of several."""
    try:
        yield
    except CostlabError as error:
        message, *more = error.args or ("",)
        if what and str(what) not in str(message):
            error.args = (f"{what}: {message}", *more)
        raise


def shown(value: object) -> str:
    """A value that a user gave, in an error: on one line, and no longer than it can be read."""
    if not isinstance(value, (str, int, float, list, tuple, dict, type(None))):
        return type(value).__qualname__
    try:
        return repr(value).splitlines()[0][:60]
    except Exception:  # of what a list holds, or of a number with too many digits
        return type(value).__qualname__


def can_be_read(values: object) -> bool:
    """Whether it gives something after something: a tensor without axes looks so, and does not."""
    try:
        iter(values)  # type: ignore[call-overload]
    except Exception:
        return False
    return True


def said_of(error: BaseException) -> str:
    """An error of somebody else's code in words: ``ValueError: too many (at file.py:12)``."""
    return in_words(error) + place_of(error)


def in_words(error: BaseException) -> str:
    """The same without its place: of code that is nobody's own."""
    words = words_of(error)
    if isinstance(error, SystemExit):
        words = f"the code calls sys.exit({error.code!r})"
    return f"{type(error).__name__}: {words}".rstrip(": ")


def words_of(error: BaseException) -> str:
    """Its message on one line; nothing if it has none, or if its own ``__str__`` fails.

    Lines that do not go on into each other are told apart: ``too many; one line; another``.
    """
    try:
        lines = [" ".join(line.split()) for line in str(error).splitlines()]
    except Exception:
        return ""
    words = ""
    for line in filter(None, lines):
        words += ("" if not words else " " if words.endswith(_GOES_ON) else "; ") + line
    return re.sub(_TORCHS_OWN, "", words)


_TORCHS_OWN = r"(?: at)? ?\"?/\S*/(?:aten|c10|torch/csrc)/\S+\.(?:cpp|cc|cuh?|h)\"?:\d+(?:: )?"
"""Where in its code torch raised an error, on the machine that built it."""


_GOES_ON = (".", ",", ":", ";", "!", "?", "(", "-", "^")


def unreadable(path: str | Path, error: OSError | UnicodeDecodeError) -> str:
    """Why a file cannot be read: ``there is no file befor.json: did you mean 'before.json'?``."""
    if isinstance(error, UnicodeDecodeError):
        return f"cannot read {path}: it is no text in UTF-8"
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        beside = Path(path).absolute()
        names: list[str] = []
        with suppress(OSError):
            names = [file.name for file in beside.parent.iterdir() if file.suffix == beside.suffix]
        close = suggestion(beside.name, names)
        if "did you mean" not in close:
            where = beside.parent
            close = "" if where.is_dir() else f", and no folder {Path(path).parent}"
        return f"there is no file {path}{close}"
    return f"cannot read {path}: {(error.strerror or str(error)).lower()}"


def how_to_install(extra: str) -> str:
    """The command for what an extra has: ``pip install 'costlab[onnx]'``, or that of a clone."""
    if (Path(__file__).parent.parent / "constraints.txt").exists():
        return f"pip install -c constraints.txt -e '.[{extra}]' in costlab's folder"
    return f"pip install 'costlab[{extra}]'"


def misread(error: Exception) -> str:
    """Why a text is not valid JSON or TOML, by the error of the library that read it."""
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    if type(error) is ValueError:  # those of JSON and TOML are of kinds of their own
        return "a number in it has too many digits"
    return words_of(error)


def place_of(error: BaseException) -> str:
    """The line of the user's own code that raised it: `` (at file.py:12)``, or nothing."""
    trace = own_place(error)
    return f" (at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno})" if trace else ""


_LIBRARY = os.path.dirname(os.__file__) + os.sep


def _is_of_python(file: str) -> bool:
    """Whether it is of Python's own library; a user's file may have the name of one of it."""
    return file.startswith("<frozen ") or (
        file.startswith(_LIBRARY) and "site-packages" not in file
    )


def own_place(error: BaseException) -> TracebackType | None:
    """Where the user's own code raised it, or called what did of Python's own library."""
    trace, own = error.__traceback__, None
    while trace is not None:
        package = str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
        foreign = package in ("torch", "costlab", "click", "runpy")
        if not foreign and not _is_of_python(trace.tb_frame.f_code.co_filename):
            own = trace
        trace = trace.tb_next
    return own


def suggestion(name: str, known: list[str], listed: str = "") -> str:
    """``: did you mean 'naive'?``; without a close name, all known ones if they are few.

    ``listed`` are they in words, if they are to be named however many there are.
    """
    from difflib import get_close_matches

    spelled = {word.lower(): word for word in known}
    begun = [word for word in spelled if len(name) > 1 and word.startswith(name.lower())]
    close = begun[:5] or get_close_matches(name.lower(), spelled, n=3, cutoff=0.6)
    if close:
        return ": did you mean " + " or ".join(repr(spelled[word]) for word in close) + "?"
    if not listed and len(known) > 12:
        return ""
    return f": known are {listed or ', '.join(known)}" if known else ": there are none"
