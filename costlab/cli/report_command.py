"""The command that writes reports into a folder."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from costlab import formatting
from costlab.atomic_files import require_writable, write_whole
from costlab.cli.command_classes import Apart
from costlab.cli.options import input_options, named_folder, run_options, with_options
from costlab.cli.terminal import Progress, cannot_write, command_line, put
from costlab.errors import OutputError
from costlab.formatting import printable
from costlab.graph.sizes import InputSize
from costlab.render.made import made_by
from costlab.views.report import INDEX, WEB_INDEX, report


@click.command(cls=Apart, name="report")
@click.argument("folder", metavar="DIR", callback=named_folder)
@click.argument("models", metavar="[MODEL ...]", nargs=-1)
@click.option(
    "--page",
    "only",
    multiple=True,
    metavar="NAME",
    help="Of the catalog, write the page of this model only; the index has all. Repeatable.",
)
@with_options([*input_options, *run_options])
def command(
    folder: Path,
    models: tuple[str, ...],
    only: tuple[str, ...],
    input_size: InputSize | None,
    **how: Any,
) -> int:
    """Write reports on MODELs, or on the whole catalog: an index, a page for each model.

    As Markdown and HTML, every table also as CSV; of the catalog the published figures too. Files
    of the same name in DIR are replaced, the index last: one that was interrupted has none. Of the
    catalog it runs every model once, which takes some 15 seconds.

    \b
    costlab report reports
    costlab report reports --page googlenet
    costlab report mine mine.py:Net --input-size 1,3,32,32
    costlab report both naive 'reduced(c5r=24)'
    """
    if models and only:
        raise click.UsageError("--page is of the catalog: leave it out, or the MODELs")
    try:
        require_writable(folder, folder=True)
    except OSError as error:
        raise OutputError(cannot_write(folder, error)) from None
    with Progress() as progress:
        if models:
            from costlab.views.own_report import own_report

            made = partial(made_by, command_line())
            files = own_report(models, progress.step, made, input_size=input_size, **how)
        else:
            files = report(progress.step).files(only or None)
        name = INDEX
        try:
            # Without the indices while it is written: where there is one, the report is whole.
            for name in (INDEX, WEB_INDEX):
                (folder / name).resolve().unlink(missing_ok=True)
            for name in sorted(files, key=(INDEX, WEB_INDEX).__contains__):
                progress.step(f"writing {name}")
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                write_whole(folder / name, files[name])
        except OSError as error:
            raise OutputError(cannot_write(folder / name, error)) from None
    put(f"{formatting.plural(len(files), 'file')}, begin with {printable(str(folder / INDEX))}\n")
    return 0
