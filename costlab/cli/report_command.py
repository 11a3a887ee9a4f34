"""The command that writes reports on the whole catalog."""

from __future__ import annotations

from pathlib import Path

import click

from costlab import formatting
from costlab.atomic_files import require_writable, write_whole
from costlab.cli.command_classes import Apart
from costlab.cli.options import named_folder
from costlab.cli.terminal import Progress, cannot_write, put
from costlab.errors import OutputError
from costlab.formatting import printable
from costlab.views.report import INDEX, report


@click.command(cls=Apart, name="report")
@click.argument("folder", metavar="DIR", callback=named_folder)
def command(folder: Path) -> int:
    """Write reports on the whole catalog: an index, a page per model, published figures.

    In Markdown, every table also as CSV. Files of the same name in DIR are replaced. It runs every
    model once, which takes some 15 seconds.

    \b
    costlab report reports
    """
    try:
        require_writable(folder, folder=True)
    except OSError as error:
        raise OutputError(cannot_write(folder, error)) from None
    with Progress() as progress:
        files = report(progress.step)
        for name, text in files.items():
            progress.step(f"writing {name}")
            try:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                write_whole(folder / name, text)
            except OSError as error:
                raise OutputError(cannot_write(folder / name, error)) from None
    put(f"{formatting.plural(len(files), 'file')}, begin with {printable(str(folder / INDEX))}\n")
    return 0
