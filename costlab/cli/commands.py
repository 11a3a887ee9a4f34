"""The command line: its commands, and what is said of a call that is wrong."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

import click

from costlab import formatting
from costlab.atomic_files import require_writable, write_whole
from costlab.cli.check_commands import crosscheck_, figures, reconcile_
from costlab.cli.gate_command import check_
from costlab.cli.memory_command import memory_
from costlab.cli.options import (
    Commands,
    depth_option,
    format_option,
    input_options,
    labelled,
    layout_options,
    named_folder,
    output_file,
    output_options,
    run_options,
    strict_option,
    training_cost_option,
    with_options,
)
from costlab.cli.streams import spell_missing_signs
from costlab.cli.sweep_command import sweep_
from costlab.cli.terminal import (
    DIFFERS,
    INCOMPLETE,
    INTERRUPTED,
    WRONG,
    Progress,
    cannot_write,
    emit,
    fail,
    put,
    rows_before,
)
from costlab.costs.layout import Layout
from costlab.costs.table import CostTable, analyze
from costlab.errors import CostlabError, OutputError, TraceError, place_of, said_of
from costlab.formatting import printable
from costlab.graph.sizes import InputSize
from costlab.models.arguments import parse_numbers
from costlab.models.reference import reference
from costlab.version import __version__
from costlab.views.compare import compare


@click.group(
    cls=Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Count what a convolutional network costs, and make each number defensible.

    1 MAC is 1 multiplication and 1 addition inside a convolution, linear layer or matrix product.

    \b
    costlab list                            what there is to count
    costlab show googlenet --depth 1        a network by stage
    costlab compare naive reduced           two of them, by branch
    costlab check                           do models keep their limits?
    costlab crosscheck googlenet            do fvcore and torch agree?
    costlab reconcile googlenet             why does my tool say something else?
    costlab figures googlenet               do the published figures hold?
    costlab formula naive/branch5x5         costs as a function of the input
    costlab sweep reduced --vary c5r=4:64:4    costs over a grid of choices
    costlab memory googlenet --training     what a training step holds in memory

    {models}
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@cli.command(name="list")
@click.argument("names", metavar="[NAME ...]", nargs=-1)
@with_options(output_options)
def list_(names: tuple[str, ...], format: str | None, output: Path | None) -> int:
    """List the models and their costs; with a NAME, its source and its choices.

    \b
    costlab list
    costlab list alexnet googlenet
    costlab list --format csv -o models.csv
    """
    from costlab.views.listing import listing  # other commands do not wait for it

    emit(listing(names), format, output)
    return 0


@cli.command()
@click.argument("model")
@with_options(
    [
        *layout_options,
        *input_options,
        *run_options,
        training_cost_option,
        strict_option,
        *output_options,
    ]
)
def show(
    model: str,
    input_size: InputSize | None,
    strict: bool,
    format: str | None,
    output: Path | None,
    **how: Any,
) -> int:
    """Show what MODEL costs, layer by layer, with the derivation of each MAC count.

    \b
    costlab show googlenet --depth 1
    costlab show googlenet --top 5
    costlab show resnet50 --by kind --sort params
    costlab show googlenet --flat --columns layer,macs,share --units M
    costlab show 'reduced(c5r=24)/branch5x5' --batch 8
    costlab show googlenet --format csv -o googlenet.csv
    costlab show resnet50 --training-cost --depth 1

    Of your own code: costlab show mine.py:Net --input-size 1,3,224,224; without an input size, its
    parameters.

    {models}

    Quantities: {definitions}
    """
    layout = {field.name: how.pop(field.name) for field in fields(Layout)}
    Layout(**layout)  # that it is right, before anything is counted
    asked = how["inputs"] is not None or how["input_type"] or how["real"]
    asked = asked or how["method"] != "forward"
    if input_size is None and not asked and "run" in reference(model).accepts:
        from costlab.costs.parameters import parameters  # other models do not wait for it

        table: CostTable = parameters(model)
        layout["columns"] = layout["columns"] or table.layout.columns
    else:
        table = analyze(model, input_size, **how)
    emit(table.laid_out(**layout), format, output)
    return INCOMPLETE if strict and not table.complete else 0


@cli.command(name="compare")
@click.argument("models", metavar="A B [C ...]", nargs=-1)
@depth_option
@click.option("--all", "everything", is_flag=True, help="Show what is the same, too.")
@click.option(
    "--name",
    "named",
    multiple=True,
    metavar="LABEL=MODEL",
    callback=lambda _ctx, _param, values: [labelled(value) for value in values],
    help="A label for a MODEL in place of A, B, C; a new MODEL is compared too. Repeatable.",
)
@click.option("--no-trace", is_flag=True, help="Leave out the check by fvcore, which loads torch.")
@with_options([*input_options, *run_options, training_cost_option, strict_option, *output_options])
def compare_(
    models: tuple[str, ...],
    depth: int | None,
    everything: bool,
    named: list[tuple[str, str]],
    no_trace: bool,
    input_size: InputSize | None,
    strict: bool,
    format: str | None,
    output: Path | None,
    **how: Any,
) -> int:
    """Compare models: totals, what differs, and the verdict; differences are to the first.

    \b
    costlab compare naive reduced
    costlab compare reduced --name small='reduced(c5r=8)' --no-trace
    costlab compare googlenet 'googlenet(aux=True)' --no-trace --all
    costlab compare naive reduced --format markdown -o naive-vs-reduced.md

    \b
    Own code, beside a saved report of it or as a git revision has it:
    before.json mine.py:Net    main:mine.py:Net mine.py:Net --input-size 1,3,32,32

    {models}
    """
    labels = {model: label for label, model in named}
    models = (*models, *(model for _, model in named if model not in models))
    with Progress() as progress:
        comparison = compare(
            *models,
            input_size=input_size,
            depth=depth or 1,
            trace=not no_trace,
            names=[labels.get(model, "") for model in models],
            everything=everything,
            progress=progress.step,
            **how,
        )
    emit(comparison, format, output)
    if not all(check.agrees for check in comparison.checks):
        return DIFFERS
    return INCOMPLETE if strict and not comparison.complete else 0


@cli.command(name="formula")
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
def formula_(
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


@cli.command(name="report")
@click.argument("folder", metavar="DIR", callback=named_folder)
def report_(folder: Path) -> int:
    """Write reports on the whole catalog: an index, a page for each model, published figures.

    In Markdown, every table also as CSV. Files of the same name in DIR are replaced. It runs every
    model once, which takes some 15 seconds.

    \b
    costlab report reports
    """
    from costlab.views.report import INDEX, report

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


for command in (check_, crosscheck_, reconcile_, figures, sweep_, memory_):
    cli.add_command(command)


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit; whatever is wrong with a call is one line on stderr."""
    spell_missing_signs()
    try:
        words = list(sys.argv[1:] if args is None else args)
        code = cli.main(words, prog_name="costlab", standalone_mode=False, obj=words)
    except (click.exceptions.Abort, KeyboardInterrupt):
        code = fail("interrupted", INTERRUPTED)
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "costlab"
        code = fail(f"{error.format_message().rstrip('.')}; see: {command} --help", WRONG)
    except (click.ClickException, CostlabError) as error:
        if isinstance(error, TraceError) and error.before:
            rows_before(error.before)
        code = fail(str(error), WRONG)
    except OSError as error:  # while click prints help
        code = fail(cannot_write("standard output", error), WRONG)
    except BaseException as error:
        code = fail(_unforeseen(error), WRONG)
    sys.exit(code)


_INSTALLED_BY_HAND = ("fvcore", "numpy", "pandas", "sympy", "torch")
"""What a light install, without the dependencies, does not have."""


def _unforeseen(error: BaseException) -> str:
    """What to say of an error that nobody turned into one of ours."""
    if isinstance(error, ModuleNotFoundError) and error.name in _INSTALLED_BY_HAND:
        missing = [name for name in _INSTALLED_BY_HAND if find_spec(name) is None]
        return (
            f"this needs {error.name}, which is not installed; for all that costlab does: "
            f"pip install {' '.join(missing)}"
        )
    if isinstance(error, MemoryError):
        return f"out of memory{place_of(error)}: take a smaller input or model"
    if os.environ.get("COSTLAB_TRACEBACK"):
        import traceback

        traceback.print_exception(error)
    return f"unexpected {said_of(error)}; COSTLAB_TRACEBACK=1 shows where it comes from"
