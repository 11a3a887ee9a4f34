"""The command that measures how long models take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from costlab.cli.command_classes import OfModels
from costlab.cli.options import (
    input_options,
    inputs_options,
    output_options,
    real_option,
    with_options,
)
from costlab.cli.terminal import DIFFERS, Progress, emit, remark
from costlab.devices.files import device_named
from costlab.roofline.this import THIS
from costlab.timing.saved import saved_timing


@click.command(cls=OfModels, name="time")
@click.argument("models", metavar="MODEL ...", nargs=-1, required=True)
@click.option(
    "--depth",
    type=click.IntRange(min=1),
    metavar="N",
    help="Time each layer alone too, and show them by scopes of that depth.",
)
@click.option("--layers", is_flag=True, help="Time each layer alone too, and show all.")
@click.option(
    "--threads", type=click.IntRange(min=1), metavar="N", help="Threads of torch, on a CPU."
)
@click.option(
    "--on",
    type=click.Choice(["cpu", "cuda"]),
    help="Where to run.  [default: CUDA if there is one]",
)
@click.option(
    "--narrow",
    type=click.FloatRange(0.001, 1),
    default=0.02,
    show_default=True,
    metavar="SHARE",
    help="Run until half of each median's 95 % interval is this share of it.",
)
@click.option(
    "--limit",
    type=click.FloatRange(min=0),
    default=30,
    show_default=True,
    metavar="SECONDS",
    help="But no longer than this, once there are 10 runs.",
)
@click.option(
    "--device",
    metavar="NAME",
    default="",
    help="What bounds are of.  [default: this machine, which is measured, or what the ledger of "
    "devices has of a GPU by its name]",
)
@click.option(
    "--against", metavar="FILE", default="", help="Compare with times that were saved as JSON."
)
@with_options([*input_options, *inputs_options, real_option, *output_options])
def command(
    models: tuple[str, ...],
    format: str | None,
    output: Path | None,
    depth: int | None,
    layers: bool,
    threads: int | None,
    on: str | None,
    **how: Any,
) -> int:
    """Measure how long each MODEL takes, in turns, beside what it takes at least.

    What it takes at least is on this machine, whose rates are measured once. In evaluation mode,
    timed by torch.utils.benchmark. The first model is what others are compared with. What makes
    the times weak (a busy machine, say) is below the table; of a file it is on stderr too. Exits
    with 1 if something is faster than its bound.

    \b
    costlab time naive reduced --limit 2
    costlab time reduced/branch5x5 --depth 1 --threads 1 --limit 2
    costlab time naive reduced --narrow 0.1 --limit 2 --format json -o time.json
    """
    if how["device"].partition(":")[0] not in ("", THIS):
        device_named(how["device"])
    if how["against"]:
        saved_timing(Path(how["against"]))
    from costlab.timing.measure import time  # other commands do not wait for it

    by_layer = layers or depth is not None
    how |= {"depth": depth, "by_layer": by_layer, "threads": threads or 0, "on": on or ""}
    with Progress() as progress:  # a minute where the machine is measured first
        progress.step(f"timing {', '.join(models)}")
        result = time(*models, **how)
    emit(result, format, output)
    if output or format not in (None, "table"):  # nobody may look into it soon
        for warning in result.warnings:
            remark(warning)
    return DIFFERS if result.below_bound else 0
