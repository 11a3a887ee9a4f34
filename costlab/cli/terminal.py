"""What a person sees: text, files, progress, and errors of one line."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from shutil import get_terminal_size

from costlab import formatting
from costlab.atomic_files import write_whole
from costlab.errors import OutputError
from costlab.graph import Graph
from costlab.render import formats as render
from costlab.render.document import Showable
from costlab.render.formats.table import WIDTH, printable


def fail(message: str, code: int) -> int:
    """Say on one line what was wrong; gives the exit code."""
    if sys.stderr is None:
        return code
    with suppress(OSError):  # nobody is listening
        print(f"costlab: {' '.join(message.split())}", file=sys.stderr, flush=True)
    return code


SHOWN = 8
"""How many of the layers before an error are shown."""


def rows_before(graph: Graph) -> None:
    """Show on stderr the last layers that were followed before an error."""
    layers = graph.layers[-SHOWN:]
    if sys.stderr is None or not layers:
        return
    cells = [
        (layer.path, f"{layer.op.label(*layer.inputs)} {layer.op.detail}".rstrip())
        for layer in layers
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    left = len(graph.layers) - len(layers)
    lines = [f"... {formatting.plural(left, 'layer')} before these"] if left else []
    for (path, label), layer in zip(cells, layers, strict=True):
        shapes = f"{formatting.shapes(layer.inputs)} -> {formatting.shape(layer.output)}"
        lines.append(f"{path:{widths[0]}}  {label:{widths[1]}}  {shapes}")
    with suppress(OSError, UnicodeEncodeError):  # nobody is listening
        print(*map(printable, lines), sep="\n", file=sys.stderr)


def format_of(output: Path | None) -> str:
    """The format that a file's ending names; the table for none. Raises ``OutputError``."""
    ending = output.suffix[1:] if output else ""
    endings = {"md": "markdown", "tex": "latex", "py": "sympy", "txt": "table", "": "table"}
    name = endings.get(ending, ending)
    if name not in {*render.formats(), "parquet"}:
        raise OutputError(
            f"which format is {output}? give --format, or end it in .csv, .json, .md, .tex or .txt"
        )
    return name


def emit(result: Showable, format: str | None, output: Path | None) -> None:
    """Print the result, or write it to a file. Raises ``OutputError``."""
    if output is None and sys.stdout is None:
        raise OutputError(
            "cannot write to standard output: it is closed; write to a file with -o FILE"
        )
    width = max(get_terminal_size().columns, 40) if output is None else WIDTH
    color = output is None and sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    text = render.render(result, format or format_of(output), width=width, color=color)
    try:
        if output is None:
            put(text)
        else:
            write_whole(output, text)
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
    """What to say of it."""
    reason = (error.strerror or str(error)).lower()
    hint = "is its folder there and writable?" if isinstance(where, Path) else "try -o FILE"
    return f"cannot write to {where}: {reason}; {hint}"


class Progress:
    """Says on a terminal what is being done, and leaves no trace of it."""

    def step(self, text: str) -> None:
        """This is being done now."""
        if sys.stderr and sys.stderr.isatty():
            print(f"\r\x1b[K{text} ...", end="", file=sys.stderr, flush=True)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_exception: object) -> None:
        if sys.stderr and sys.stderr.isatty():
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
