"""Standard output is for results: what user code prints goes to standard error.

User code prints when it is imported and when forward runs, and it prints by other ways than
``print``: subprocesses, libraries of C. Therefore the file descriptor is replaced too.
"""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from io import StringIO
from typing import TextIO

from costlab import formatting

_STDOUT, _STDERR = 1, 2
_results: list[TextIO] = []
"""Where results go while foreign output is kept apart."""


def results() -> TextIO | None:
    """The stream for results; None if the process was started without one."""
    return _results[-1] if _results else sys.stdout


@contextmanager
def foreign_output_on_stderr() -> Iterator[None]:
    """Whatever is printed in here goes to standard error, but for what `results` is given."""
    if sys.stdout is None:
        yield
        return
    with _descriptor_replaced(sys.stdout) as ours:
        _results.append(ours)
        try:
            with redirect_stdout(_Noise()):
                yield
        finally:
            _results.pop()


class _Noise(StringIO):
    """What user code sees as standard output; if it closes this, nothing else is closed."""

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError, AttributeError):  # stderr is closed, or None
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError, AttributeError):
            sys.stderr.flush()

    def close(self) -> None:
        """Nothing: it is not the user's."""


@contextmanager
def _descriptor_replaced(stream: TextIO) -> Iterator[TextIO]:
    """The same stream on a descriptor of its own, while descriptor 1 is standard error."""
    try:
        if stream.fileno() != _STDOUT:
            raise OSError
        os.fstat(_STDERR)
        kept = os.dup(_STDOUT)
    except (OSError, ValueError):  # a stream in memory, or no standard error
        yield stream
        return

    ours = os.fdopen(kept, "w", encoding=stream.encoding, errors=stream.errors, closefd=False)
    try:
        os.dup2(_STDERR, _STDOUT)
        yield ours
    finally:
        with suppress(OSError, ValueError):
            stream.flush()  # what was printed past `_Noise`
        os.dup2(kept, _STDOUT)
        with suppress(OSError):
            ours.close()
        os.close(kept)


def _spelled(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    return formatting.in_ascii(error.object[error.start : error.end]), error.end


def spell_missing_signs() -> None:
    """Let standard output spell signs that the terminal does not have: ``x`` for ``×``."""
    codecs.register_error("costlab.spelled", _spelled)
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="costlab.spelled")
