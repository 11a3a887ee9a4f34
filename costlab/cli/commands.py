"""The command line: its commands, and the exit code of each.

Exit codes: 0 fine; 1 something differs that should not; 2 the call was wrong, or its output could
not be written; 3 the count is incomplete and ``--strict`` was given.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

import click

from costlab import formatting
from costlab.atomic_files import is_special, require_writable, write_whole
from costlab.checks.crosscheck import COUNTERS, CrossChecks, crosscheck
from costlab.checks.reconcile import reconcile
from costlab.cli.options import (
    SWEEP_FORMATS,
    Commands,
    Naming,
    NamingQuantities,
    axes_of,
    deep,
    formats,
    named_folder,
    once,
    output_file,
    running,
    showing,
    sizing,
    strictly,
    with_options,
)
from costlab.cli.streams import spell_missing_signs
from costlab.cli.terminal import Progress, cannot_write, emit, fail, format_of, put
from costlab.costs.table import analyze
from costlab.counters import known, reconcilable
from costlab.errors import CostlabError, OutputError, place_of, said_of
from costlab.figures.ledger import ledger
from costlab.formatting import printable
from costlab.formulas.formula import formula
from costlab.isolation.sandbox import TIMEOUT
from costlab.models.arguments import parse_numbers
from costlab.render import formats as render
from costlab.version import __version__
from costlab.views.compare import compare
from costlab.views.listing import listing

DIFFERS, WRONG, INCOMPLETE, INTERRUPTED = 1, 2, 3, 130


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
    costlab crosscheck googlenet            do fvcore and torch agree?
    costlab reconcile googlenet             why does my tool say something else?
    costlab figures googlenet               do the published figures hold?
    costlab formula naive/branch5x5         costs as a function of the input
    costlab sweep reduced --vary c5r=4:64:4    costs over a grid of choices

    \b
    MODEL is a name from `costlab list`, with choices or a part if wanted:
    reduced    'reduced(c5r=24)'    naive/branch5x5    'googlenet(aux=True)/aux1'

    \b
    or Python code, which is imported, or a report that costlab show wrote:
    package.module:factory    'file.py:factory(width=2)/head'    report.json
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@cli.command(name="list")
@click.argument("names", metavar="[NAME ...]", nargs=-1)
@with_options(showing)
def list_(names: tuple[str, ...], format: str | None, output: Path | None) -> int:
    """List the models and their costs; with a NAME, its source and its choices.

    \b
    costlab list
    costlab list alexnet googlenet
    costlab list --format csv -o models.csv
    """
    emit(listing(names), format, output)
    return 0


@cli.command()
@click.argument("model")
@deep
@with_options([sizing, *running, strictly, *showing])
def show(
    model: str,
    depth: int | None,
    input_size: tuple[int, ...] | None,
    strict: bool,
    format: str | None,
    output: Path | None,
    **how: Any,
) -> int:
    """Show what MODEL costs, layer by layer, with the derivation of each MAC count.

    \b
    costlab show reduced
    costlab show googlenet --depth 1
    costlab show 'reduced(c5r=24)/branch5x5' --input-size 8,192,28,28
    costlab show googlenet --format csv -o googlenet.csv
    """
    table = analyze(model, input_size, **how)
    emit(table.to_depth(depth), format, output)
    return INCOMPLETE if strict and not table.complete else 0


@cli.command(name="compare")
@click.argument("models", metavar="A B [C ...]", nargs=-1)
@deep
@click.option("--no-trace", is_flag=True, help="Leave out the check by fvcore, which loads torch.")
@with_options([sizing, *running, strictly, *showing])
def compare_(
    models: tuple[str, ...],
    depth: int | None,
    no_trace: bool,
    input_size: tuple[int, ...] | None,
    strict: bool,
    format: str | None,
    output: Path | None,
    **how: Any,
) -> int:
    """Compare models by branch and in total; ratios are to the first.

    \b
    costlab compare naive reduced
    costlab compare reduced 'reduced(c5r=24)' 'reduced(c5r=32)' --no-trace
    costlab compare naive reduced --format markdown -o naive-vs-reduced.md
    """
    with Progress() as progress:
        comparison = compare(
            *models,
            input_size=input_size,
            depth=depth or 1,
            trace=not no_trace,
            progress=progress.step,
            **how,
        )
    emit(comparison, format, output)
    if not all(check.agrees for check in comparison.checks):
        return DIFFERS
    return INCOMPLETE if strict and not comparison.complete else 0


@cli.command(name="crosscheck")
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
@with_options([sizing, *running, *showing])
def crosscheck_(
    models: tuple[str, ...],
    counters: tuple[str, ...],
    input_size: tuple[int, ...] | None,
    format: str | None,
    output: Path | None,
    **how: Any,
) -> int:
    """Build each MODEL, let other counters count it, and compare layer by layer.

    Exits with 1 if any of them differs.

    \b
    costlab crosscheck googlenet
    costlab crosscheck naive reduced --counter fvcore
    """
    names = [name.strip() for each in counters for name in each.split(",")] or None
    with Progress() as progress:
        checks = [crosscheck(model, names, input_size, progress.step, **how) for model in models]
    emit(checks[0] if len(checks) == 1 else CrossChecks(tuple(checks)), format, output)
    return 0 if all(check.agrees for check in checks) else DIFFERS


@cli.command(name="reconcile")
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
@with_options([sizing, *running, *showing])
def reconcile_(
    model: str,
    counters: tuple[str, ...],
    depth: int | None,
    path: str,
    timeout: float,
    input_size: tuple[int, ...] | None,
    format: str | None,
    output: Path | None,
    **how: Any,
) -> int:
    """Say why other counters report different totals for MODEL, to the last unit.

    Runs each of them, and rebuilds its total from our table in named terms. Exits with 1 if units
    are left that no term explains. Those that are not installed come with costlab[counters].

    \b
    costlab reconcile googlenet
    costlab reconcile googlenet --against thop --path inception_3a --depth 1
    """
    names = [name.strip() for each in counters for name in each.split(",")] or None
    with Progress() as progress:
        found = reconcile(model, names, input_size, progress.step, depth or 0, path, timeout, **how)
    emit(found, format, output)
    return 0 if found.explained else DIFFERS


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
@formats(render.formats(), ", sympy for Python")
@output_file
def formula_(
    model: str,
    symbols: tuple[str, ...],
    at: tuple[str, ...],
    factored: bool,
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
    emit(formula(model, ",".join(symbols), parse_numbers(at), factored=factored), format, output)
    return 0


@cli.command(name="sweep", cls=NamingQuantities)
@click.argument("model")
@click.option(
    "--vary",
    "varied",
    multiple=True,
    required=True,
    metavar="NAME=VALUES",
    help="A choice of the model, or N, C, H or W of its input, and its values: lo:hi:step with hi "
    "included, or a,b,c; H=W=... gives two the same. Repeatable.",
)
@once("--where", "CONDITION", "Only variants for which this is true.")
@once("--minimize", "NUMBER", "Those with the least of it first.")
@once("--maximize", "NUMBER", "Those with the most of it first.")
@click.option("--top", type=int, metavar="N", help="How many of these.  [default: 20]")
@once(
    "--pareto",
    "NUMBERS",
    "The Pareto front of these, such as macs,params: each as small as can be, with a minus before "
    "it as large as can be.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Processes, for grids that need more than one.  [default: one a core]",
)
@click.option("--scheduler", metavar="tcp://HOST:PORT", help="A Dask cluster in their place.")
@click.option("--resume", is_flag=True, help="Go on with an interrupted sweep of the same -o FILE.")
@formats(SWEEP_FORMATS, ", parquet for data frames")
@output_file
def sweep_(
    model: str,
    varied: tuple[str, ...],
    workers: int | None,
    scheduler: str | None,
    resume: bool,
    format: str | None,
    output: Path | None,
    **wanted: Any,
) -> int:
    """Count every variant of MODEL over a grid of choices and input sizes.

    MODEL is a name from `costlab list`, with choices or a part if wanted. Conditions and numbers
    are made of quantities ({quantities}),
    choices and N, C, H, W with + - * / // %, == != < <= > >=, and, or, not. Variants that do not
    exist are left out and counted.

    \b
    costlab sweep reduced --vary c3r=16:192:16 --vary c5r=4:64:4 \\
        --where 'macs < 120e6 and params <= 160e3' --minimize macs --top 5
    costlab sweep googlenet --vary H=W=128:256:32
    costlab sweep reduced --vary c5r=4:64:4 --vary c5=8:64:8 --pareto macs,-c5
    costlab sweep mobilenet-v1 --vary width=0.25:1:0.25 -o mobilenet.csv
    """
    from costlab.sweeps.engine import connected
    from costlab.sweeps.files import Store
    from costlab.sweeps.sweep import MOST_SHOWN, counts, plan, run, said, swept, write

    what = format or format_of(output)
    in_batches = output is not None and what in ("csv", "parquet")
    if output is None and (resume or what == "parquet"):
        raise click.UsageError("--resume and parquet need a file: give -o FILE")
    the_plan = plan(model, axes_of(varied), **wanted)
    with ExitStack() as stack, Progress() as progress:
        client = stack.enter_context(connected(scheduler)) if scheduler else None
        try:
            store = Store(the_plan, output, resume, None if in_batches else MOST_SHOWN)
            stack.callback(store.close)
            run(the_plan, store, workers or _cores(), client, progress.step)
            if output is not None and in_batches:
                progress.step(f"writing {output}")
                write(store, output, what)
        except KeyboardInterrupt:
            hint = "; the same call with --resume goes on from here" if output else ""
            return fail(f"interrupted{hint}", INTERRUPTED)
        except OSError as error:
            raise OutputError(cannot_write(output or "standard output", error)) from None
    if in_batches:
        if output is not None and not is_special(output):
            put(f"{said(the_plan, counts(store))}\n")
    else:
        emit(swept(store), what, output)
        store.forget()
    return 0


@cli.command()
@click.argument("sources", metavar="[SOURCE ...]", nargs=-1)
@with_options(showing)
def figures(sources: tuple[str, ...], format: str | None, output: Path | None) -> int:
    """Judge published figures by computing them, and say what those that do not hold are of.

    A SOURCE is one that costlab knows (default: all), a figure of one, or a TOML file of your own.
    Exits with 1 if a verdict is not the one that the file records.

    \b
    costlab figures googlenet
    costlab figures 'googlenet/table1-*-ops' introduction/params
    costlab figures --format csv -o figures.csv
    """
    with Progress() as progress:
        found = ledger(sources, progress.step)
    emit(found, format, output)
    return 0 if found.as_recorded else DIFFERS


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


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit; whatever is wrong with a call is one line on stderr."""
    spell_missing_signs()
    try:
        code = cli.main(args, prog_name="costlab", standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt):
        code = fail("interrupted", INTERRUPTED)
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "costlab"
        code = fail(f"{error.format_message().rstrip('.')}; see: {command} --help", WRONG)
    except (click.ClickException, CostlabError) as error:
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


def _cores() -> int:
    """The cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
