"""The command that says what a network takes at least on a device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from costlab.cli.command_classes import OfModels
from costlab.cli.options import (
    depth_option,
    input_options,
    inputs_options,
    output_options,
    real_option,
    strict_option,
    with_options,
)
from costlab.cli.terminal import emit, strictly


@click.command(cls=OfModels, name="bounds")
@click.argument("model")
@click.option(
    "--device",
    metavar="NAME",
    required=True,
    help="The device: h100-sxm, rtx-4090, tpu-v5e.. (costlab devices lists them), mine.toml, "
    "or this, which is measured.",
)
@click.option(
    "--dtype",
    metavar="TYPE",
    default="",
    help="What if all floating-point numbers had this type, such as bfloat16, tf32 or int8?",
)
@depth_option
@with_options([*input_options, *inputs_options, real_option, strict_option, *output_options])
def command(model: str, format: str | None, output: Path | None, strict: bool, **how: Any) -> int:
    """Say what MODEL takes at least on a device: each layer, and the whole fused.

    A layer takes the larger of its multiply-adds at the device's rate and its bytes at its
    bandwidth, and one of the two binds. That is no guess of a time: it is what no run can beat.

    \b
    costlab bounds googlenet --device h100-sxm --dtype bfloat16 --depth 1
    costlab bounds resnet50 --device rtx-4090 --batch 64
    costlab bounds mobilenet-v1 --device raspberry-pi-5 --format csv
    """
    from costlab.roofline.bounds import bounds  # other commands do not wait for it

    result = bounds(model, **how)
    emit(result, format, output)
    return strictly(result.table.complete, strict)
