"""What is wrong in an expression, and where."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from costlab.errors import ExpressionError

_EXCERPT = 60
"""Characters of a text that a message repeats."""


class MistakeError(Exception):
    """What is wrong, and at which character of the text; for a caller who knows the text."""

    def __init__(self, what: str, place: int) -> None:
        super().__init__(what)
        self.what, self.place = what, place


@contextmanager
def located(text: str) -> Iterator[None]:
    """Turns a mistake in this text into an ``ExpressionError``, one line that shows the place."""
    try:
        yield
    except MistakeError as mistake:
        where = _where(text, mistake.place)
        raise ExpressionError(f"{mistake.what} ({where})") from None


def _where(text: str, place: int) -> str:
    rest = text[place:].rstrip()
    if not rest:
        return f"at the end of {_excerpt(text.rstrip())}" if text.strip() else "the text is empty"
    if not text[:place].strip():
        return f"column {place + 1} of {_excerpt(text)}"
    return f"column {place + 1}, before {_excerpt(rest)}, in {_excerpt(text)}"


def _excerpt(text: str) -> str:
    """The beginning in quotes, as ``repr`` has it: an excerpt is one line, whatever it holds."""
    return repr(text if len(text) <= _EXCERPT else text[: _EXCERPT - 1] + "…")
