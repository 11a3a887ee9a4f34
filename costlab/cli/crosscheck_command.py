"""The command that lets other counters count models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from costlab.checks.crosscheck import COUNTERS, CrossChecks, crosscheck
from costlab.cli.command_classes import Naming, OfModels
from costlab.cli.options import (
    input_options,
    output_options,
    run_options,
    with_options,
)
from costlab.cli.terminal import DIFFERS, Progress, emit
from costlab.counters import known
from costlab.errors import blaming
from costlab.graph.sizes import InputSize


@click.command(cls=OfModels, name="crosscheck")
@click.argument("models", metavar="MODEL ...", nargs=-1, required=True)
@click.option(
    "--counter",
    "counters",
    cls=Naming,
    names=known,
    multiple=True,
    metavar="NAME",
    help=f"Ask this counter; repeatable. Known: {{names}}.  [default: {', '.join(COUNTERS)}]",
)
@with_options([*input_options, *run_options, *output_options])
def command(
    models: tuple[str, ...],
    counters: tuple[str, ...],
    input_size: InputSize | None,
    format: str | None,
    output: Path | None,
    **how: Any,
) -> int:
    """Build each MODEL, let other counters count it, and compare layer by layer.

    Exits with 1 if any of them differs.

    \b
    costlab crosscheck googlenet
    costlab crosscheck naive reduced --counter fvcore,thop

    {models}
    """
    names = [name.strip() for text in counters for name in text.split(",")] or None
    with Progress() as progress:
        checks = []
        for model in models:
            with blaming(model if len(models) > 1 else ""):
                checks.append(
                    crosscheck(model, input_size, counters=names, progress=progress.step, **how)
                )
    emit(checks[0] if len(checks) == 1 else CrossChecks(tuple(checks)), format, output)
    return 0 if all(check.agrees for check in checks) else DIFFERS
