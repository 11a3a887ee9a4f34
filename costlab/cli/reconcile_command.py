"""The command that says why other counters report other totals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from costlab.checks.reconcile import reconcile
from costlab.cli.command_classes import Naming, OfModels
from costlab.cli.options import (
    input_options,
    output_options,
    run_options,
    with_options,
)
from costlab.cli.terminal import DIFFERS, Progress, emit
from costlab.counters import reconcilable
from costlab.graph.sizes import InputSize
from costlab.isolation.sandbox import TIMEOUT


@click.command(cls=OfModels, name="reconcile")
@click.argument("model")
@click.option(
    "--counter",
    "counters",
    cls=Naming,
    names=reconcilable,
    multiple=True,
    metavar="NAME",
    help="Ask this counter; repeatable. Known: {names}.  [default: all]",
)
@click.option(
    "--depth",
    type=click.IntRange(min=1),
    metavar="N",
    help="Show the units by layer too, N levels deep.",
)
@click.option(
    "--training-cost",
    is_flag=True,
    help="Of a training step, forward and backward: torch's counter.",
)
@click.option("--path", default="", metavar="PATH", help="Show this part of the model.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=TIMEOUT,
    show_default=True,
    metavar="SECONDS",
    help="Give up a counter that takes longer.",
)
@with_options([*input_options, *run_options, *output_options])
def command(
    model: str,
    counters: tuple[str, ...],
    depth: int | None,
    path: str,
    timeout: float,
    training_cost: bool,
    input_size: InputSize | None,
    format: str | None,
    output: Path | None,
    **how: Any,
) -> int:
    """Say why other counters report different totals for MODEL, to the last unit.

    Runs each of them, and rebuilds its total from our table in named terms. Exits with 1 if units
    are left that no term explains, or if one that --counter names did not run. Those that are not
    installed come with costlab[counters].

    \b
    costlab reconcile googlenet
    costlab reconcile googlenet --counter thop --path inception_3a --depth 1

    {models}
    """
    names = [name.strip() for text in counters for name in text.split(",")] or None
    with Progress() as progress:
        reconciliation = reconcile(
            model,
            input_size,
            counters=names,
            depth=depth or 0,
            path=path,
            timeout=timeout,
            progress=progress.step,
            training_cost=training_cost,
            **how,
        )
    emit(reconciliation, format, output)
    return 0 if reconciliation.explained else DIFFERS
