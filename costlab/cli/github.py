"""What GitHub shows of a result: annotations where something is wrong, and a job's summary."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from costlab.cli.terminal import cannot_write
from costlab.errors import OutputError
from costlab.formatting import printable
from costlab.render import formats as render
from costlab.render.document import Finding, Showable


def announce(result: Showable) -> None:
    """Annotate and summarize, where GitHub's variables say that it listens.

    Annotations go to standard error, which GitHub reads too: standard output has the result.
    Raises ``OutputError`` if the summary cannot be written.
    """
    if os.environ.get("GITHUB_ACTIONS") == "true":
        with suppress(OSError, ValueError, AttributeError):  # nobody is listening
            for finding in result.findings():
                print(annotation(finding), file=sys.stderr, flush=True)
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        try:
            with Path(summary).open("a", encoding="utf-8") as file:
                file.write(render.render(result, "comment") + "\n")
        except OSError as error:
            raise OutputError(cannot_write(Path(summary), error)) from None


def annotation(finding: Finding) -> str:
    """A workflow command; nothing in it can end it or begin another."""
    properties = {"title": finding.title}
    if finding.file:
        properties = {"file": _in_workspace(finding.file), "line": str(finding.line), **properties}
    listed = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::error {listed}::{_data(finding.text)}"


def _in_workspace(file: str) -> str:
    """The path as GitHub knows it: seen from the repository, not from where this runs."""
    return os.path.relpath(file, os.environ.get("GITHUB_WORKSPACE") or ".").replace(os.sep, "/")


def _data(text: str) -> str:
    return "%0A".join(printable(line).replace("%", "%25") for line in text.split("\n"))


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
