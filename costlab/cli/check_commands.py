"""The commands that check numbers: by other counters, and published ones by ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from costlab.checks.crosscheck import COUNTERS, CrossChecks, crosscheck
from costlab.cli.options import (
    Apart,
    Naming,
    input_options,
    output_options,
    run_options,
    with_options,
)
from costlab.cli.terminal import DIFFERS, Progress, emit
from costlab.counters import known, reconcilable
from costlab.graph.sizes import InputSize
from costlab.isolation.sandbox import TIMEOUT


@click.command(cls=Apart, name="crosscheck")
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
def crosscheck_(
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
    costlab crosscheck naive reduced --counter fvcore

    {models}
    """
    names = [name.strip() for text in counters for name in text.split(",")] or None
    with Progress() as progress:
        checks = [
            crosscheck(model, input_size, counters=names, progress=progress.step, **how)
            for model in models
        ]
    emit(checks[0] if len(checks) == 1 else CrossChecks(tuple(checks)), format, output)
    return 0 if all(check.agrees for check in checks) else DIFFERS


@click.command(cls=Apart, name="reconcile")
@click.argument("model")
@click.option(
    "--against",
    "counters",
    cls=Naming,
    names=reconcilable,
    multiple=True,
    metavar="NAME",
    help="This counter; repeatable. Known: {names}.  [default: all]",
)
@click.option(
    "--depth",
    type=click.IntRange(min=1),
    metavar="N",
    help="Show the units by layer too, N levels deep.",
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
def reconcile_(
    model: str,
    counters: tuple[str, ...],
    depth: int | None,
    path: str,
    timeout: float,
    input_size: InputSize | None,
    format: str | None,
    output: Path | None,
    **how: Any,
) -> int:
    """Say why other counters report different totals for MODEL, to the last unit.

    Runs each of them, and rebuilds its total from our table in named terms. Exits with 1 if units
    are left that no term explains, or if one that --against names did not run. Those that are not
    installed come with costlab[counters].

    \b
    costlab reconcile googlenet
    costlab reconcile googlenet --against thop --path inception_3a --depth 1

    {models}
    """
    from costlab.checks.reconcile import reconcile  # other commands do not wait for it

    names = [name.strip() for text in counters for name in text.split(",")] or None
    with Progress() as progress:
        reconciliation = reconcile(
            model,
            input_size,
            against=names,
            depth=depth or 0,
            path=path,
            timeout=timeout,
            progress=progress.step,
            **how,
        )
    emit(reconciliation, format, output)
    return 0 if reconciliation.explained else DIFFERS


@click.command(cls=Apart)
@click.argument("sources", metavar="[SOURCE ...]", nargs=-1)
@with_options(output_options)
def figures(sources: tuple[str, ...], format: str | None, output: Path | None) -> int:
    """Judge published figures by computing them, and say what those that do not hold are of.

    A SOURCE is one that costlab knows (default: all), a figure of one, or a TOML file of your own.
    Exits with 1 if a verdict is not the one that the file records.

    \b
    costlab figures googlenet
    costlab figures 'googlenet/table1-*-ops' introduction/params
    costlab figures --format csv -o figures.csv
    """
    from costlab.figures.ledger import ledger  # other commands do not wait for it

    with Progress() as progress:
        judged = ledger(sources, progress.step)
    emit(judged, format, output)
    return 0 if judged.as_recorded else DIFFERS
