"""Options that several commands take, and what they mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import click

from costlab.costs.layout import By
from costlab.formatting import Scale
from costlab.models.arguments import parse_share, parse_types
from costlab.models.python_code import inputs_of
from costlab.models.rules import load_rules
from costlab.render import formats as render
from costlab.render.format import SPECIAL, Needs

Command = TypeVar("Command", bound=Callable[..., Any])

output_file = click.option(
    "-o",
    "--output",
    type=Path,
    metavar="FILE",
    help="Write to FILE, whole or not at all; - is standard output.",
)


def format_option(has: Needs | None = None) -> Callable[[Any], Any]:
    """``--format``, one of all formats; special ones only for results that have what they need."""
    known = render.formats().values()
    chosen = [
        known_format
        for known_format in known
        if known_format.needs == has or known_format.needs not in SPECIAL
    ]
    return click.option(
        "--format",
        type=click.Choice([known.name for known in chosen]),
        metavar="NAME",
        help=", ".join(f"{known.name} for {known.purpose}" for known in chosen)
        + ".  [default: what FILE's ending says, else table]",
    )


def _several(name: str, **settings: Any) -> Callable[[Any], Any]:
    """An option for each input of a model."""
    return click.option(name, multiple=True, **settings)


graph_option = click.option(
    "--graph",
    is_flag=True,
    help="As a picture (-o FILE.svg, .pdf or .png) the graph: blocks with their MACs, and on the "
    "links between them the shapes, in place of bars.",
)
output_options = [format_option(), output_file]
input_options = [
    _several(
        "--input-size",
        metavar="N,C,H,W",
        help="The input's shape, batch first, in place of the published one; for a part, the input "
        "of the whole model. Once for each input; NAME=1,300 is that of the input of that name.",
    ),
    click.option(
        "--batch",
        type=click.IntRange(min=1),
        metavar="N",
        help="In place of the first number of each input size, or of the published one.",
    ),
]
depth_option = click.option(
    "--depth",
    type=click.IntRange(min=1),
    metavar="N",
    help="How deep to go into nested scopes: 1 shows stages or branches.",
)
layout_options = [
    depth_option,
    click.option(
        "--by",
        type=click.Choice(get_args(By)),
        default="path",
        help="Totals by operation (op: conv2d, linear), or by operation and kernel (kind: conv2d "
        "1×1, depthwise conv2d 3×3).  [default: path, the network as a tree]",
    ),
    click.option(
        "--sort", default="", metavar="QUANTITY", help="The most of this first, in one list."
    ),
    click.option(
        "--top",
        type=click.IntRange(min=1),
        metavar="N",
        help="Only the first N lines of that list, by default those with most MACs.",
    ),
    click.option(
        "--min-share",
        metavar="SHARE",
        callback=lambda _ctx, _param, value: 0 if value is None else parse_share(value),
        help="Leave out what has less than this of all MACs (of QUANTITY): 1% or 0.01.",
    ),
    click.option("--flat", is_flag=True, help="One list with full paths in place of a tree."),
    click.option(
        "--columns",
        default="",
        metavar="NAMES",
        callback=lambda _ctx, _param, value: tuple(w.strip() for w in value.split(",") if w),
        help="These columns: layer, class, operation, layers, input, output, derivation, share (of "
        "MACs), a quantity such as params, or a share of it, params_share; in CSV too.",
    ),
    click.option(
        "--units",
        type=click.Choice(get_args(Scale)),
        default="exact",
        help="How tables write numbers: 118,013,952, or 118 M (auto), or all in one unit. Files "
        "of data have all digits.  [default: exact]",
    ),
]
strict_option = click.option(
    "--strict", is_flag=True, help="Exit with 3 if an operation could not be counted."
)


real_option = click.option(
    "--real", is_flag=True, help="Run an nn.Module on real tensors, not on shapes."
)
training_cost_option = click.option(
    "--training-cost",
    is_flag=True,
    help="Also the MACs of a training step's backward pass: gradients of what layers take, and of "
    "parameters.",
)
quantity_option = click.option(
    "--quantity",
    "quantities",
    multiple=True,
    metavar="NAMES",
    callback=lambda _ctx, _param, values: ",".join(values),
    help="Quantities that are known only where they are asked for, separated by commas: of an "
    "nn.Module peak_bytes of a run, training_peak_bytes and saved_bytes of a training step, "
    "read_bytes, written_bytes; of any MODEL training_macs. Any other quantity is shown, too. "
    "Repeatable.",
)
optimizer_option = click.option(
    "--optimizer",
    metavar="NAME",
    default="",
    help="Whose state a training step keeps, where what that holds is asked for: sgd, momentum, "
    "adam or adamw.  [default: sgd, which has none]",
)
device_options = [
    click.option(
        "--device",
        metavar="NAME",
        default="",
        help="Also the time that layers take at least on a device: h100-sxm, rtx-4090.. (costlab "
        "devices lists them), mine.toml, or this, which is measured.",
    ),
    click.option(
        "--dtype",
        metavar="TYPE",
        default="",
        help="The type of all floating-point numbers on that device, such as bfloat16.",
    ),
]
inputs_options = [
    click.option(
        "--inputs",
        metavar="FILE.py:NAME",
        callback=lambda _ctx, _param, value: None if value is None else inputs_of(value),
        help="What an nn.Module takes: a tensor, a tuple of several, a dict of those with "
        "names, or a function that gives one of these. The file is imported. Whole numbers and "
        "truths decide as in a real run.",
    ),
    _several(
        "--input-type",
        metavar="TYPE",
        callback=lambda _ctx, _param, value: parse_types(value),
        help="The type of an nn.Module's inputs, such as int64 for the ids of tokens: one for all, "
        "or once for each; NAME=int64 is that of the input of that name.  [default: that of its "
        "parameters]",
    ),
]
run_options = [
    *inputs_options,
    click.option(
        "--rules",
        metavar="FILE",
        multiple=True,
        expose_value=False,
        callback=lambda _ctx, _param, places: load_rules(*places),
        help="A Python file with rules of your own (costlab.counting), for what has none; "
        "repeatable.",
    ),
    click.option(
        "--method",
        metavar="NAME",
        default="forward",
        show_default=True,
        help="Follow this method of an nn.Module, such as generate.",
    ),
    click.option("--training", is_flag=True, help="Follow an nn.Module in training mode."),
    real_option,
]


def named_folder(_ctx: Any, _param: Any, value: str) -> Path:
    """A folder that was named: nothing, as of an empty variable, is not the current one."""
    if not value:
        raise click.BadParameter("give a folder; . is the current one")
    return Path(value)


def with_options(options: Sequence[Callable[[Any], Any]]) -> Callable[[Command], Command]:
    """Several options, in the order that help shows them."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate
