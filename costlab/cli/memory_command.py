"""The command that says what a network holds in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from costlab.cli.command_classes import OfModels
from costlab.cli.options import (
    depth_option,
    input_options,
    inputs_options,
    optimizer_option,
    output_options,
    real_option,
    with_options,
)
from costlab.cli.terminal import emit
from costlab.errors import ChoiceError


def _no_rules(_ctx: Any, _param: Any, files: tuple[str, ...]) -> None:
    """Raises ``ChoiceError``: other commands take rules, so that somebody tries them here."""
    if files:
        raise ChoiceError(
            "memory takes no --rules: these say what a call computes, and what it holds is found "
            "by running it; leave them out, and give --real if the code does not run on shapes"
        )


@click.command(cls=OfModels, name="memory")
@click.argument("model")
@click.option(
    "--training", is_flag=True, help="Of a training step: forward, and backward from the outputs."
)
@optimizer_option
@click.option(
    "--dtype",
    metavar="TYPE",
    default="",
    help="What if all floating-point numbers had this type, such as bfloat16?",
)
@click.option(
    "--fits",
    metavar="SIZE",
    help="Of the largest batch that fits into that memory: 24G (10^9 bytes each), 80GiB (2^30), "
    "512M.",
)
@click.option(
    "--round",
    "round_to",
    type=click.IntRange(min=1),
    default=1,
    metavar="BYTES",
    help="Round each piece of memory up to a multiple of so many bytes: 512 is CUDA's allocator.",
)
@click.option("--rules", multiple=True, hidden=True, expose_value=False, callback=_no_rules)
@depth_option
@with_options([*input_options, *inputs_options, real_option, *output_options])
def command(model: str, format: str | None, output: Path | None, **how: Any) -> int:
    """Say how many bytes MODEL holds when it runs, where most, and who holds them.

    Exact for the tensors of a run; what kernels take beside them is
    named, and not in it.

    \b
    costlab memory googlenet --depth 1
    costlab memory resnet50 --training --optimizer adamw --dtype bfloat16
    costlab memory resnet50 --training --fits 24G
    costlab memory 'reduced(c5r=24)' --input-size 8,192,28,28 --format json
    """
    from costlab.footprint.memory import memory  # other commands do not wait for it

    emit(memory(model, **how), format, output)
    return 0
