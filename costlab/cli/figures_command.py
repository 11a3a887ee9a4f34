"""The command that judges published figures."""

from __future__ import annotations

from pathlib import Path

import click

from costlab.cli.command_classes import Apart
from costlab.cli.options import output_options, with_options
from costlab.cli.terminal import DIFFERS, Progress, emit
from costlab.figures.ledger import ledger


@click.command(cls=Apart, name="figures")
@click.argument("sources", metavar="[SOURCE ...]", nargs=-1)
@with_options(output_options)
def command(sources: tuple[str, ...], format: str | None, output: Path | None) -> int:
    """Judge published figures by computing them; say what those that do not hold are of.

    A SOURCE is one that costlab knows (default: all), a figure of one, or a TOML file of your own.
    Exits with 1 if a verdict is not the one that the file records.

    \b
    costlab figures googlenet
    costlab figures 'googlenet/table1-*-ops' introduction/params
    costlab figures --format csv -o figures.csv
    """
    with Progress() as progress:
        judged = ledger(sources, progress.step)
    emit(judged, format, output)
    return 0 if judged.as_recorded else DIFFERS
