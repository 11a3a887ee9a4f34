"""The command that compares models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from costlab.cli.command_classes import OfModels
from costlab.cli.options import (
    depth_option,
    device_options,
    graph_option,
    input_options,
    output_options,
    run_options,
    strict_option,
    training_cost_option,
    with_options,
)
from costlab.cli.terminal import DIFFERS, Progress, emit, strictly
from costlab.graph.sizes import InputSize
from costlab.views.compare import compare


def labelled(text: str) -> tuple[str, str]:
    """``small=reduced(c5r=8)`` as a label and a MODEL."""
    label, sign, model = (part.strip() for part in text.partition("="))
    if not (sign and label and model) or set(label) & set("()"):
        raise click.UsageError(
            f"cannot read --name {text!r}: write LABEL=MODEL, as in small=reduced"
        )
    return label, model


class _OfFormulas(OfModels):
    """Where sizes have names, models are compared as formulas: by ``costlab formula``."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        if not any(map(_of_formulas, args, ["", *args])):
            return super().make_context(info_name, args, parent, **extra)
        from costlab.cli.formula_command import command as formula

        try:
            context = formula.make_context("formula", args, parent, **extra)
        except click.NoSuchOption as error:
            message = f"with names in sizes, compare is costlab formula: {error.format_message()}"
            raise click.UsageError(message, error.ctx) from None
        if len(context.params["models"]) != 2:
            raise click.UsageError("two formulas are compared: give two models", context)
        return context


def _of_formulas(word: str, before: str) -> bool:
    """Whether an argument, after the one ``before``, asks for formulas."""
    option, equals, value = word.partition("=")
    if option == "--input-size" and equals:
        before, word = option, value
    if before == "--input-size":
        sizes = word.rpartition("=")[2].split(",")
        return any(size.strip().isidentifier() for size in sizes)
    return option in ("--quantity", "--symbol", "--near", "--at", "--optimizer")


@click.command(cls=_OfFormulas, name="compare")
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
@with_options(
    [
        *input_options,
        *run_options,
        training_cost_option,
        *device_options,
        strict_option,
        graph_option,
        *output_options,
    ]
)
def command(
    models: tuple[str, ...],
    depth: int | None,
    everything: bool,
    named: list[tuple[str, str]],
    no_trace: bool,
    input_size: InputSize | None,
    strict: bool,
    graph: bool,
    format: str | None,
    output: Path | None,
    **how: Any,
) -> int:
    """Compare models: totals, what differs, the verdict; differences are to the first.

    Exits with 1 if fvcore counts something else than costlab. Whether costs grew is for costlab
    check.

    \b
    costlab compare naive reduced
    costlab compare reduced --name small='reduced(c5r=8)' --no-trace
    costlab compare googlenet 'googlenet(aux=True)' --no-trace --all
    costlab compare naive reduced --format markdown -o naive-vs-reduced.md
    costlab compare naive reduced --graph -o naive-vs-reduced.pdf

    \b
    Own code, beside a saved report of it or as a git revision has it:
    before.json mine.py:Net    main:mine.py:Net mine.py:Net --input-size 1,3,32,32

    \b
    Two formulas, and where they cross, as of costlab formula, where sizes have
    names, or with --quantity, --symbol, --near or --at:
    mine.py:A mine.py:B --input-size N,3,H,W --quantity peak_bytes

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
    emit(comparison, format, output, graph)
    if any(check.differs for check in comparison.checks):  # one that fails says nothing of costs
        return DIFFERS
    return strictly(comparison.complete, strict)
