"""The command that shows what a model costs."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from costlab.cli.command_classes import OfModels
from costlab.cli.options import (
    graph_option,
    input_options,
    layout_options,
    output_options,
    run_options,
    strict_option,
    training_cost_option,
    with_options,
)
from costlab.cli.terminal import emit, strictly
from costlab.costs.layout import Layout
from costlab.costs.table import CostTable, analyze
from costlab.graph.sizes import InputSize
from costlab.models.reference import reference


@click.command(cls=OfModels, name="show")
@click.argument("model")
@with_options(
    [
        *layout_options,
        *input_options,
        *run_options,
        training_cost_option,
        strict_option,
        graph_option,
        *output_options,
    ]
)
def command(
    model: str,
    input_size: InputSize | None,
    strict: bool,
    graph: bool,
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
    costlab show googlenet --depth 1 --graph -o googlenet.svg
    costlab show resnet50 --training-cost --depth 1

    Of your own code: costlab show mine.py:Net --input-size 1,3,224,224; without an input size, its
    parameters.

    {models}

    Quantities: {definitions}
    """
    layout = {field.name: how.pop(field.name) for field in fields(Layout)}
    # That it is right is known before anything is counted.
    how["training_cost"] |= bool(Layout(**layout).of_training)
    asked = how["inputs"] is not None or how["method"] != "forward"
    asked = asked or any(how[name] for name in ("input_type", "real", "training", "training_cost"))
    accepts = reference(model).accepts
    if input_size is None and not asked and "run" in accepts and "no input" not in accepts:
        from costlab.costs.parameters import parameters  # other models do not wait for it

        table: CostTable = parameters(model)
    else:
        table = analyze(model, input_size, **how)
    emit(table.laid_out(**layout), format, output, graph)
    return strictly(table.complete, strict)
