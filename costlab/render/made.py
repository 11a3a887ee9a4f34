"""How a file was made: the command that wrote it, the day, and the versions of what counted."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from costlab.errors import OutputError
from costlab.version import __version__

_OF_OUTPUT = ("-o", "--output", "--format")
"""Options that say where a result goes, and nothing of what it is."""


class Made(NamedTuple):
    """The command, the day (of ``SOURCE_DATE_EPOCH``, if that is set) and versions by name."""

    command: str
    date: str
    versions: dict[str, str]

    def __str__(self) -> str:
        """``costlab show naive (2026-11-28; costlab 0.1.0, torch 2.13.0)``."""
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        return f"{self.command} ({self.date}; {versions})"


def made_by(words: Sequence[str], tools: Mapping[str, str]) -> Made:
    """What is to be said of a file that this command writes now, with tools of these versions.

    Raises ``OutputError``.
    """
    import shlex  # where it is needed: a first answer does not wait for it

    versions = {"costlab": __version__, **tools}
    return Made(shlex.join(["costlab", *_of_the_result(words)]), _date(), versions)


def _of_the_result(words: Sequence[str]) -> Iterator[str]:
    skipped = False
    for word in words:
        option = word.partition("=")[0]
        if skipped or option in _OF_OUTPUT or (word.startswith("-o") and len(word) > 2):
            skipped = not skipped and word in _OF_OUTPUT
            continue
        yield word


def _date() -> str:
    from datetime import datetime, timezone

    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    try:
        moment = datetime.fromtimestamp(int(epoch), timezone.utc) if epoch else None
    except (ValueError, OverflowError, OSError):
        raise OutputError(
            f"SOURCE_DATE_EPOCH is {epoch!r}: it is a number of seconds since 1970"
        ) from None
    return (moment or datetime.now(timezone.utc)).date().isoformat()
