"""The command that says what a model costs as a function of its input."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from costlab.cli.command_classes import Apart
from costlab.cli.options import (
    device_options,
    format_option,
    optimizer_option,
    output_file,
    quantity_option,
    training_cost_option,
    with_options,
)
from costlab.cli.terminal import emit
from costlab.models.arguments import parse_numbers, parse_point, parse_types

if TYPE_CHECKING:
    from costlab.trace.given import InputType


@click.command(cls=Apart, name="formula")
@click.argument("models", metavar="MODEL [OTHER]", nargs=-1, required=True)
@click.option(
    "--symbol",
    "symbols",
    multiple=True,
    metavar="NAMES",
    help="More symbols, separated by commas: choices of the model that are numbers, or N, the "
    "batch; of an nn.Module arguments of its constructor, or what stands in them; repeatable.",
)
@click.option(
    "--input-size",
    "sizes",
    multiple=True,
    metavar="N,3,H,W",
    help="Of an nn.Module: the shape of an input, batch first, with names for the sizes that are "
    "symbols, N,3,H=W=S for two that are equal. Once for each input; NAME=N,T is that of the input "
    "of that name.",
)
@click.option(
    "--near",
    multiple=True,
    metavar="NAME=VALUE",
    help="Of an nn.Module: the sizes with which it is followed, where code asks for them: "
    "H=W=224; repeatable.  [default: a batch of 2, images of 224×224, 64 of anything else]",
)
@click.option(
    "--at",
    multiple=True,
    metavar="NAME=VALUE",
    help="A number in place of a symbol: H=28,W=28 or H=W=28; repeatable.",
)
@click.option("--factored", is_flag=True, help="Products of sums, where there are any.")
@click.option(
    "--input-type",
    multiple=True,
    metavar="TYPE",
    callback=lambda _ctx, _param, value: parse_types(value),
    help="Of an nn.Module: the type of its inputs, such as int64 for the ids of tokens.",
)
@with_options(
    [
        quantity_option,
        optimizer_option,
        training_cost_option,
        *device_options,
        format_option("equations"),
        output_file,
    ]
)
def command(
    models: tuple[str, ...],
    symbols: tuple[str, ...],
    at: tuple[str, ...],
    sizes: tuple[str, ...],
    near: tuple[str, ...],
    input_type: InputType,
    factored: bool,
    quantities: str,
    optimizer: str,
    training_cost: bool,
    device: str,
    dtype: str,
    format: str | None,
    output: Path | None,
) -> int:
    """Say what MODEL costs as a function of its input, and of choices.

    Of two models it says where one costs less than the other.

    The formulas are exact wherever they say; ⌊x⌋ is x rounded down. A model of the catalog has
    symbols C, H and W for its input; of Python code, the input size has names, and arguments may.

    \b
    costlab formula naive/branch5x5
    costlab formula reduced --symbol c5r,c5 --at H=W=28
    costlab formula naive/branch5x5 reduced/branch5x5
    costlab formula googlenet --at C=3 --format latex -o googlenet.tex
    costlab formula mine.py:Net --input-size N,3,H,W --near H=W=64
    costlab formula 'mine.py:Net(width=w)' --input-size 1,3,H,W --symbol w
    costlab formula net.pt2

    {models}
    """
    from costlab.formulas.asked import formula  # other commands do not wait for it
    from costlab.models.python_code import names_in_arguments
    from costlab.models.symbolic_sizes import parse_symbolic_sizes

    numbers, names = parse_numbers(at), ",".join(symbols).split(",")
    if len(models) > 2:
        raise click.UsageError("formula takes one model, or two that are compared")
    given = [set().union(*names_in_arguments(model).values()) for model in models]
    any_own = set().union(*given)  # what one model is made of may be no symbol of the other
    formulas = [
        formula(
            model,
            [name for name in names if name in own or name not in any_own],
            numbers,
            input_size=parse_symbolic_sizes(sizes),
            near=parse_point(near),
            input_type=input_type,
            factored=factored,
            training_cost=training_cost,
            device=device,
            dtype=dtype,
            optimizer=optimizer,
            quantities=quantities,
        )
        for model, own in zip(models, given, strict=True)
    ]
    emit(formulas[0].compared(formulas[1]) if len(models) > 1 else formulas[0], format, output)
    return 0
