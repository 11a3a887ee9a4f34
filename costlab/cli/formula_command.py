"""The command that says what a model costs as a function of its input."""

from __future__ import annotations

from pathlib import Path

import click

from costlab.cli.command_classes import Apart
from costlab.cli.options import (
    format_option,
    output_file,
    training_cost_option,
    with_options,
)
from costlab.cli.terminal import emit
from costlab.models.arguments import parse_numbers


@click.command(cls=Apart, name="formula")
@click.argument("model")
@click.option(
    "--symbol",
    "symbols",
    multiple=True,
    metavar="NAMES",
    help="More symbols, separated by commas: choices of the model that are numbers, or N, the "
    "batch; repeatable.",
)
@click.option(
    "--at",
    multiple=True,
    metavar="NAME=VALUE",
    help="A number in place of a symbol: H=28,W=28 or H=W=28; repeatable.",
)
@click.option("--factored", is_flag=True, help="Products of sums, where there are any.")
@with_options([training_cost_option, format_option("equations"), output_file])
def command(
    model: str,
    symbols: tuple[str, ...],
    at: tuple[str, ...],
    factored: bool,
    training_cost: bool,
    format: str | None,
    output: Path | None,
) -> int:
    """Say what MODEL costs as a function of its input, C×H×W, and of choices.

    MODEL is a name from `costlab list`, with choices or a part if wanted. The formulas are exact
    wherever the model is defined; ⌊x⌋ is x rounded down.

    \b
    costlab formula naive/branch5x5
    costlab formula reduced --symbol c5r,c5 --at H=W=28
    costlab formula googlenet --at C=3 --format latex -o googlenet.tex
    """
    from costlab.formulas.formula import formula  # other commands do not wait for it

    numbers, names = parse_numbers(at), ",".join(symbols)
    result = formula(model, names, numbers, factored=factored, training_cost=training_cost)
    emit(result, format, output)
    return 0
