"""What a person sees: text, files, progress, errors of one line, and exit codes."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from shutil import get_terminal_size

from costlab import formatting
from costlab.atomic_files import replacing
from costlab.errors import OutputError
from costlab.render import formats as render
from costlab.render.document import Showable
from costlab.render.format import WIDTH, Format

DIFFERS = 1
"""Exit code: something differs that should not."""
WRONG = 2
"""Exit code: the call was wrong, or its output could not be written."""
INCOMPLETE = 3
"""Exit code: the count is incomplete, and ``--strict`` was given."""
INTERRUPTED = 130


def fail(message: str, code: int) -> int:
    """Say on one line what was wrong; gives the exit code."""
    if sys.stderr is None:
        return code
    with suppress(OSError):  # nobody is listening
        print(f"costlab: {' '.join(message.split())}", file=sys.stderr, flush=True)
    return code


def format_of(name: str | None, output: Path | None) -> Format:
    """The format of that name, else what the file's ending says, else the table.

    Raises ``OutputError`` if there is none, if its package is not installed, and if it needs a
    file and there is none.
    """
    known = render.formats()
    ending = output.suffix[1:] if output else ""
    chosen = known[name or "table"]
    if not name and ending:
        endings = {
            ending: known_format
            for known_format in known.values()
            for ending in known_format.endings
        }
        if ending not in endings:
            *most, last = sorted(
                f".{known_format.endings[0]}"
                for known_format in known.values()
                if known_format.needs != "equations"
            )
            raise OutputError(
                f"which format is {output}? give --format, or end it in {', '.join(most)} or {last}"
            )
        chosen = endings[ending]
    if chosen.binary and output is None:
        raise OutputError(f"{chosen.name} needs a file: give -o FILE")
    chosen.require()
    return chosen


def emit(result: Showable, format: str | None, output: Path | None) -> None:
    """Print the result, or write it to a file. Raises ``OutputError``."""
    if output is None and sys.stdout is None:
        raise OutputError(
            "cannot write to standard output: it is closed; write to a file with -o FILE"
        )
    width = max(get_terminal_size().columns, 40) if output is None else WIDTH
    color = output is None and sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    name = format_of(format, output).name
    try:
        if output is None:
            put(render.render(result, name, width=width, color=color))
        else:
            with replacing(output) as part, part.open("wb") as file:
                render.write(result, name, file)
    except OSError as error:
        raise OutputError(cannot_write(output or "standard output", error)) from None


def put(text: str) -> None:
    """Print the text, in ASCII where the terminal has no other signs. Raises ``OSError``."""
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:  # a terminal that has no ×
        text = formatting.in_ascii(text)
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError:
        # Python flushes again when it exits, and would complain a second time.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def cannot_write(where: Path | str, error: OSError) -> str:
    """The message for a file or stream that cannot be written."""
    reason = (error.strerror or str(error)).lower()
    hint = "is its folder there and writable?" if isinstance(where, Path) else "try -o FILE"
    return f"cannot write to {where}: {reason}; {hint}"


class Progress:
    """Shows on a terminal what is being done, and clears the line at the end."""

    def step(self, text: str) -> None:
        """Show what is being done now."""
        if sys.stderr and sys.stderr.isatty():
            print(f"\r\x1b[K{text} ...", end="", file=sys.stderr, flush=True)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_exception: object) -> None:
        if sys.stderr and sys.stderr.isatty():
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
