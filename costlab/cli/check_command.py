"""``costlab check``: whether models keep their limits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from costlab.cli.command_classes import Apart
from costlab.cli.github import announce
from costlab.cli.options import (
    device_options,
    format_option,
    input_options,
    optimizer_option,
    output_file,
    run_options,
    training_cost_option,
    with_options,
)
from costlab.cli.terminal import DIFFERS, Progress, emit, remark
from costlab.models.arguments import parse_axes


@click.command(cls=Apart, name="check")
@click.argument("model", required=False)
@click.option(
    "--require",
    "limits",
    multiple=True,
    metavar="LIMIT",
    help="A condition that MODEL has to fulfil, such as 'macs <= 1.6 G'; repeatable.",
)
@click.option(
    "--baseline",
    metavar="MODEL",
    help="What base.macs and the like in a LIMIT are of, such as a saved report.",
)
@click.option(
    "--vary",
    multiple=True,
    metavar="NAME=VALUES",
    help="A size or a choice, as for costlab sweep: the limits are to hold for all its values, "
    "such as H=W=128:512:32; each is counted. The input size has names, then. Repeatable.",
)
@click.option(
    "--update", is_flag=True, help="Write the baselines that are files, then check the limits."
)
@with_options(
    [
        *input_options,
        *run_options,
        training_cost_option,
        optimizer_option,
        *device_options,
        format_option("findings"),
        output_file,
    ]
)
def command(
    model: str | None,
    limits: tuple[str, ...],
    baseline: str | None,
    vary: tuple[str, ...],
    update: bool,
    input_size: Any,
    format: str | None,
    output: Path | None,
    **how: Any,
) -> int:
    """Say whether models keep their limits, and which layers are the cause if not.

    Exits with 1 if a limit fails. Without a MODEL it takes the checks that stand in pyproject.toml
    or costlab.toml here; with one that they name, only that. With --require that file's limits are
    left out; the MODEL's input and baseline are those of the file, if it names it and no option
    says how to run it.

    \b
    costlab check
    costlab check --update
    costlab check mine.py:Net --input-size 1,3,224,224 --require 'macs <= 1.6 G'
    costlab check mine.py:Net --input-size 1,3,H,W --vary H=W=128:512:32 \\
        --require 'macs <= 2 G'
    costlab check googlenet --baseline old.json --require 'macs <= base.macs'
    costlab check --format comment -o comment.md

    {models}
    """
    from costlab.gates.gate import gate  # other commands do not wait for it
    from costlab.gates.limits import limit
    from costlab.gates.settings import Check, Place, checks_of, named_in, one_of

    options = {
        "input_size": input_size,
        "baseline": baseline,
        "vary": parse_axes(vary) or None,
        **how,
    }
    source = click.get_current_context().get_parameter_source
    asked = [n for n in (*options, "batch") if source(n) is ParameterSource.COMMANDLINE]
    if limits:
        if model is None:
            raise click.UsageError("--require is about a MODEL: give one, before --require")
        known = None if {*asked} - {"baseline"} else named_in(Path(), model)
        if known is not None:
            about_base = any(name.table for text in limits for name in limit(text, True).variables)
            baseline = baseline or (known.baseline if about_base else None)
            checks = [replace(known, limits=limits, baseline=baseline, place=Place(), places=())]
        else:
            checks = [Check(model, limits, **options)]
    else:
        if asked:
            option = asked[0].replace("_", "-")
            missing = "" if model is None else ": give a limit too, --require 'macs <= 2 G'"
            raise click.UsageError(f"--{option} is for a MODEL with --require{missing}")
        checks = list(checks_of(Path()))
        if model is not None:
            checks = [one_of(checks, model)]
    with Progress() as progress:
        result = gate(checks, update, progress.step)
    emit(result, format, output)
    if output and not result.holds:
        remark(result.headline())
    announce(result)
    return 0 if result.holds else DIFFERS
