"""What a person sees: text, files, progress, errors of one line, and exit codes."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TextIO

import click

from costlab import formatting
from costlab.atomic_files import replacing
from costlab.cli.streams import results
from costlab.errors import OutputError
from costlab.formatting import printable
from costlab.graph import Graph
from costlab.render import formats as render
from costlab.render.document import Showable
from costlab.render.format import SPECIAL, WIDTH, Format, Screen
from costlab.render.made import made_by
from costlab.render.widths import padded
from costlab.render.widths import width as cells

DIFFERS = 1
"""Exit code: something differs that should not."""
WRONG = 2
"""Exit code: the call was wrong, or its output could not be written."""
INCOMPLETE = 3
"""Exit code: the count is incomplete, and ``--strict`` was given."""
INTERRUPTED = 130

_MOST_SAID = 2000
"""Characters of an error: a message of the user's code may have any length."""

SHOWN = 8
"""How many of the layers before an error are shown."""


def fail(message: str, code: int) -> int:
    """Say on one line what was wrong; gives the exit code."""
    remark(message)
    return code


def remark(message: str) -> None:
    """Say something on stderr, on one line."""
    text = printable(" ".join(message.split()))
    if len(text) > _MOST_SAID:
        text = f"{text[: _MOST_SAID // 2]} ... {text[-_MOST_SAID // 2 :]}"
    with suppress(OSError, ValueError, AttributeError):  # nobody is listening
        print(f"costlab: {text}", file=sys.stderr, flush=True)


def strictly(complete: bool, strict: bool) -> int:
    """The exit code of a count, which says on stderr why it is not 0."""
    if complete or not strict:
        return 0
    return fail("not everything could be counted, and --strict is given", INCOMPLETE)


def rows_before(graph: Graph) -> None:
    """Show on stderr the last layers that were followed before an error."""
    layers = graph.layers[-SHOWN:]
    if not layers:
        return
    named = [
        (layer.path, f"{layer.op.label(*layer.inputs)} {layer.op.detail}".rstrip())
        for layer in layers
    ]
    widths = [max(map(cells, column)) for column in zip(*named, strict=True)]
    left = len(graph.layers) - len(layers)
    lines = ["the layers before the error:"]
    if left:
        lines.append(f"... {formatting.plural(left, 'layer')} before these")
    for (path, label), layer in zip(named, layers, strict=True):
        shapes = f"{formatting.shapes(layer.inputs)} -> {formatting.shape(layer.output)}"
        lines.append(f"{padded(path, widths[0])}  {padded(label, widths[1])}  {shapes}")
    with suppress(OSError, ValueError, AttributeError):  # nobody is listening
        print(*map(printable, lines), sep="\n", file=sys.stderr)


def format_of(name: str | None, output: Path | None) -> Format:
    """The format of that name, else what the file's ending says, else the table.

    Raises ``OutputError`` if there is none, if the two say different things, if its package is not
    installed, and if it needs a file and there is none.
    """
    known = render.formats()
    ending = output.suffix[1:].lower() if output else ""
    chosen = known[name or "table"]
    endings = {
        ending: known_format for known_format in known.values() for ending in known_format.endings
    }
    if chosen.endings and name and endings.get(ending, chosen) is not chosen:
        raise OutputError(
            f"{output} ends in .{ending}, which is {endings[ending].name}, and --format says "
            f"{name}: leave --format out, or give the file another ending"
        )
    if not name and ending:
        if ending not in endings:
            *most, last = sorted(
                f".{known_format.endings[0]}"
                for known_format in known.values()
                if known_format.endings and known_format.needs not in SPECIAL
            )
            raise OutputError(
                f"which format is {output}? give --format, or end it in {', '.join(most)} or {last}"
            )
        chosen = endings[ending]
    if chosen.binary and output is None:
        raise OutputError(f"{chosen.name} needs a file: give -o FILE")
    chosen.require()
    return chosen


def emit(result: Showable, format: str | None, output: Path | None, graph: bool = False) -> None:
    """Print the result, or write it to a file; a ``graph`` is a picture. Raises ``OutputError``."""
    stdout = results()
    if output is None and stdout is None:
        raise OutputError(
            "cannot write to standard output: it is closed; write to a file with -o FILE"
        )
    chosen = format_of(format, output)
    name = chosen.name
    if graph and chosen.extra != "pictures":
        raise OutputError("--graph is a picture: give -o FILE.svg, FILE.pdf or FILE.png")
    read_at_once = output is None and name == "table"
    made = None if read_at_once else made_by(command_line(), result.made_with())
    try:
        if output is not None:
            with replacing(output) as part, part.open("wb") as file:
                render.write(result, name, file, Screen(made=made, graph=graph))
            return
        screen = Screen(max(_columns(), 40), coloured(stdout), made, _has_bars(stdout), graph)
        text = render.render(result, name, screen)
        put(text, for_programs=name != "table")
    except OSError as error:
        raise OutputError(cannot_write(output or "standard output", error)) from None


def command_line() -> list[str]:
    """The words of the command that runs; none in a library."""
    context = click.get_current_context(silent=True)
    words = context.find_root().obj if context else None
    return words if isinstance(words, list) else []


def coloured(stream: TextIO | None) -> bool:
    """Whether text for people has colours there: on a terminal that has some, or if asked for.

    ``NO_COLOR`` says no before ``FORCE_COLOR`` and ``CLICOLOR_FORCE`` say yes.
    """
    if os.environ.get("NO_COLOR"):
        return False
    if any(
        os.environ.get(name) not in (None, "", "0") for name in ("FORCE_COLOR", "CLICOLOR_FORCE")
    ):
        return True
    return on_a_terminal(stream)


def on_a_terminal(stream: TextIO | None) -> bool:
    """Whether it is a terminal that can be steered."""
    return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"


def _has_bars(stream: TextIO | None) -> bool:
    """Whether it is a terminal with signs for bars; a file or another program gets none."""
    encoding = getattr(stream, "encoding", None) or ""
    return on_a_terminal(stream) and encoding.lower().replace("-", "") == "utf8"


def put(text: str, for_programs: bool = False) -> None:
    """Print the text; what the terminal has no signs for is spelled. Raises ``OSError``.

    What is ``for_programs`` is UTF-8 whatever the terminal has, as it is in a file.
    """
    stdout = results()
    if stdout is None:
        return
    try:
        binary = getattr(stdout, "buffer", None)
        if for_programs and binary is not None:
            stdout.flush()
            binary.write(text.encode("utf-8"))
        else:
            stdout.write(text)
        stdout.flush()
    except OSError:
        # Python flushes again when it exits, and would complain a second time.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stdout.fileno())
        raise


def _columns() -> int:
    """The terminal's width, which is that of results: other output may go to another place."""
    if "COLUMNS" in os.environ or sys.__stdout__ is None:
        from shutil import get_terminal_size  # which loads what it compresses files with

        return get_terminal_size().columns
    try:
        stdout = results() or sys.__stdout__
        return os.get_terminal_size(stdout.fileno()).columns
    except (OSError, ValueError):
        return WIDTH


def cannot_write(where: Path | str, error: OSError) -> str:
    """The message for a file or stream that cannot be written."""
    reason = (error.strerror or str(error)).lower()
    hint = "is its folder there and writable?" if isinstance(where, Path) else "try -o FILE"
    if isinstance(error, IsADirectoryError):
        hint = "give a file in it"
    return f"cannot write to {where}: {reason}; {hint}"


class Progress:
    """Shows on a terminal what is being done, and clears the line at the end."""

    def step(self, text: str) -> None:
        """Show what is being done now."""
        if on_a_terminal(sys.stderr):
            print(f"\r\x1b[K{printable(text)} ...", end="", file=sys.stderr, flush=True)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_exception: object) -> None:
        if on_a_terminal(sys.stderr):
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
