"""The command that sweeps a grid of choices: its options, and how it runs and writes."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from costlab.atomic_files import is_special
from costlab.cli.command_classes import Apart
from costlab.cli.options import (
    device_options,
    optimizer_option,
    output_options,
    quantity_option,
    training_cost_option,
    with_options,
)
from costlab.cli.terminal import (
    INTERRUPTED,
    Progress,
    cannot_write,
    command_line,
    emit,
    fail,
    format_of,
    put,
    remark,
)
from costlab.errors import OutputError
from costlab.models.arguments import parse_axes, parse_types
from costlab.render.format import Screen
from costlab.render.made import made_by


def once(name: str, metavar: str, help: str) -> Callable[[Any], Any]:
    """A text that may be given once: of two, click would take the last and say nothing."""

    def single(_ctx: Any, _param: Any, values: tuple[str, ...]) -> str:
        if len(values) > 1:
            raise click.UsageError(
                f"{name} is given twice: give it once, joined with and or commas"
            )
        return values[0] if values else ""

    return click.option(name, multiple=True, metavar=metavar, callback=single, help=help)


@click.command(cls=Apart, name="sweep")
@click.argument("model")
@click.option(
    "--vary",
    "varied",
    multiple=True,
    required=True,
    metavar="NAME=VALUES",
    help="A choice of the model (of code, an argument), or N, C, H or W of its input (of code, a "
    "name in the input size), and its values: lo:hi:step with hi included, or a,b,c; H=W=... gives "
    "two the same. Repeatable.",
)
@click.option(
    "--input-size",
    "sizes",
    multiple=True,
    metavar="N,3,H,W",
    help="Of an nn.Module: the shape of an input, batch first, with names for the sizes that vary. "
    "Once for each input; NAME=N,T is that of a keyword.  [default: 1,3,H,W, where H and W vary]",
)
@click.option(
    "--input-type",
    multiple=True,
    metavar="TYPE",
    callback=lambda _ctx, _param, value: parse_types(value),
    help="Of an nn.Module: the type of its inputs, such as int64 for the ids of tokens.",
)
@click.option(
    "--method",
    metavar="NAME",
    default="forward",
    show_default=True,
    help="Follow this method of an nn.Module.",
)
@click.option("--training", is_flag=True, help="Follow an nn.Module in training mode.")
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
@with_options(
    [quantity_option, optimizer_option, training_cost_option, *device_options, *output_options]
)
def command(
    model: str,
    varied: tuple[str, ...],
    sizes: tuple[str, ...],
    workers: int | None,
    scheduler: str | None,
    resume: bool,
    format: str | None,
    output: Path | None,
    **wanted: Any,
) -> int:
    """Count every variant of MODEL over a grid of choices and input sizes.

    MODEL is a name from `costlab list`, with choices or a part if wanted, Python code, or a name
    in another library. Conditions and numbers are made of quantities ({quantities}),
    choices and N, C, H, W with + - * / // %, == != < <= > >=, and, or, not. Variants that do not
    exist, or that the code refuses, are left out and counted.

    \b
    costlab sweep reduced --vary c3r=16:192:16 --vary c5r=4:64:4 \\
        --where 'macs < 120e6 and params <= 160e3' --minimize macs --top 5
    costlab sweep googlenet --vary H=W=128:256:32
    costlab sweep reduced --vary c5r=4:64:4 --vary c5=8:64:8 --pareto macs,-c5
    costlab sweep mobilenet-v1 --vary width=0.25:1:0.25 -o mobilenet.csv
    costlab sweep mine.py:Net --vary width=16:64:8 --vary H=W=128:512:32 \\
      --pareto macs,-width
    """
    from costlab.models.symbolic_sizes import parse_symbolic_sizes
    from costlab.sweeps.engine import connected
    from costlab.sweeps.files import Store
    from costlab.sweeps.request import MOST_SHOWN, Request
    from costlab.sweeps.sweep import (
        Sweep,
        counts,
        remarks,
        run_sweep,
        sentence,
        write_file,
    )

    chosen = format_of(format, output)
    in_batches = output is not None and chosen.needs == "records"
    if output is None and resume:
        raise click.UsageError("--resume needs a file: give -o FILE")
    made = made_by(command_line(), {})  # that it can be said, before the work
    size = parse_symbolic_sizes(sizes)
    the_plan = Request(model, parse_axes(varied), input_size=size, **wanted).plan()
    with ExitStack() as stack, Progress() as progress:
        client = stack.enter_context(connected(scheduler)) if scheduler else None
        try:
            store = Store(the_plan, output, resume, None if in_batches else MOST_SHOWN)
            stack.callback(store.close)
            if resume and not store.begin:
                remark(f"no sweep of {output} to go on with: it begins anew")
            run_sweep(the_plan, store, workers or _cores(), client, progress.step)
            if output is not None and in_batches:
                progress.step(f"writing {output}")
                write_file(store, output, chosen.name, Screen(made=made))
        except KeyboardInterrupt:
            hint = "; the same call with --resume goes on from here" if output else ""
            return fail(f"interrupted{hint}", INTERRUPTED)
        except OSError as error:
            raise OutputError(cannot_write(output or "standard output", error)) from None
    if in_batches:
        if output is not None and not is_special(output):
            for line in (sentence(the_plan, counts(store)), *remarks(store)):
                put(f"{line}\n")
    else:
        emit(Sweep(store), chosen.name, output)
        store.forget()
    return 0


def _cores() -> int:
    """The cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
