"""Options that several commands take, and what they mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import cleandoc
from pathlib import Path
from typing import Any, TypeVar, get_args

import click

from costlab.atomic_files import require_writable
from costlab.cli.streams import foreign_output_on_stderr, results
from costlab.cli.terminal import cannot_write, format_of
from costlab.costs.layout import By
from costlab.costs.quantities import QUANTITIES, legend
from costlab.errors import OutputError
from costlab.formatting import Scale
from costlab.models.arguments import parse_share, parse_sizes, parse_types
from costlab.models.python_code import inputs_of
from costlab.models.reference import frontends
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


class Naming(click.Option):
    """An option whose help has ``{names}`` in it, which are found only when the help is shown."""

    def __init__(self, *args: Any, names: Callable[[], list[str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.names = names

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        self.help = (self.help or "").format(names=", ".join(self.names()))
        return super().get_help_record(ctx)


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
        help=", ".join(f"{known.name} for {known.purpose}" for known in chosen)
        + ".  [default: what FILE's ending says, else table]",
    )


def _several(name: str, **settings: Any) -> Callable[[Any], Any]:
    """An option for each input of a model."""
    return click.option(name, multiple=True, **settings)


output_options = [format_option(), output_file]
input_options = [
    _several(
        "--input-size",
        metavar="N,C,H,W",
        help="The input's shape, batch first, in place of the published one; for a part, the input "
        "of the whole model. Once for each input; NAME=1,300 is that of a keyword.",
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
inputs_options = [
    click.option(
        "--inputs",
        metavar="FILE.py:NAME",
        callback=lambda _ctx, _param, value: None if value is None else inputs_of(value),
        help="What an nn.Module takes: a tensor, a tuple, or a dict of keywords, or a function "
        "that gives one of these. The file is imported. Whole numbers and truths decide as in a "
        "real run.",
    ),
    _several(
        "--input-type",
        metavar="TYPE",
        callback=lambda _ctx, _param, value: parse_types(value),
        help="The type of an nn.Module's inputs, such as int64 for the ids of tokens: one for all, "
        "or once for each; NAME=int64 is that of a keyword.  [default: that of its parameters]",
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


def models() -> str:
    """What may be a MODEL, in help: each kind with examples."""
    kinds = [frontend for frontend in reversed(frontends()) if frontend.about]
    return "\n\n".join(
        f"{'or' if number else 'MODEL is'} {kind.about}:\n\n\b\n  {'   '.join(kind.grammar)}"
        for number, kind in enumerate(kinds)
    )


class Explained(click.Command):
    """A command whose help has words of registries in it.

    It names what is counted in place of ``{quantities}``, what each is in place of
    ``{definitions}``, and what may be a MODEL in place of ``{models}``.
    """

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        written = self.help or ""
        self.help = (
            cleandoc(written)
            .replace("{quantities}", ", ".join(QUANTITIES))
            .replace("{definitions}", legend(QUANTITIES))
            .replace("{models}", models())
        )
        try:
            super().format_help_text(ctx, formatter)
        finally:
            self.help = written


class Apart(Explained):
    """A command whose standard output has its result alone, whatever user code prints."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuses an option that is given twice: click would take the last and say nothing."""
        _, _, given = self.make_parser(ctx).parse_args(list(args))
        for param in given:
            single = isinstance(param, click.Option) and not (param.multiple or param.is_flag)
            if single and given.count(param) > 1:
                raise click.UsageError(f"{param.opts[0]} is given twice: give it once", ctx)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        if ctx.params.get("output") == Path("-"):
            ctx.params["output"] = None  # standard output, as everywhere
        if "batch" in ctx.params:
            sizes, batch = ctx.params["input_size"], ctx.params.pop("batch")
            ctx.params["input_size"] = parse_sizes(sizes, batch)
        if output := ctx.params.get("output"):
            self._require(output, ctx.params.get("format"))
        with foreign_output_on_stderr():
            stdout = results()
            if stdout is not None and str(output) in ("/dev/stdout", "/dev/fd/1"):
                ctx.params["output"] = Path(f"/dev/fd/{stdout.fileno()}")
            return super().invoke(ctx)

    def _require(self, output: Path, format: str | None) -> None:
        """Raises ``OutputError`` for a file that could not be written, before the work is done."""
        known = next(param.type for param in self.params if param.name == "format")
        name = format_of(format, output).name
        if isinstance(known, click.Choice) and name not in known.choices:
            raise OutputError(f"{output}: this command has no format {name}; give --format")
        try:
            require_writable(output)
        except OSError as error:
            raise OutputError(cannot_write(output, error)) from None
        except ValueError:  # half a character
            raise OutputError(f"cannot write to {output}: no file can have this name") from None


class Commands(Explained, click.Group):
    """The group of all commands."""

    command_class = Apart


def named_folder(_ctx: Any, _param: Any, value: str) -> Path:
    """A folder that was named: nothing, as of an empty variable, is not the current one."""
    if not value:
        raise click.BadParameter("give a folder; . is the current one")
    return Path(value)


def labelled(text: str) -> tuple[str, str]:
    """``small=reduced(c5r=8)`` as a label and a MODEL."""
    label, sign, model = (part.strip() for part in text.partition("="))
    if not (sign and label and model) or set(label) & set("()"):
        raise click.UsageError(
            f"cannot read --name {text!r}: write LABEL=MODEL, as in small=reduced"
        )
    return label, model


def once(name: str, metavar: str, help: str) -> Callable[[Any], Any]:
    """A text that may be given once: of two, click would take the last and say nothing."""

    def single(_ctx: Any, _param: Any, values: tuple[str, ...]) -> str:
        if len(values) > 1:
            raise click.UsageError(
                f"{name} is given twice: give it once, joined with and or commas"
            )
        return values[0] if values else ""

    return click.option(name, multiple=True, metavar=metavar, callback=single, help=help)


def with_options(options: Sequence[Callable[[Any], Any]]) -> Callable[[Command], Command]:
    """Several options, in the order that help shows them."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def axes_of(varied: Sequence[str]) -> dict[str, str]:
    """``["H=W=14,28"]`` as ``{"H=W": "14,28"}``."""
    axes: dict[str, str] = {}
    for text in varied:
        names, _, values = text.rpartition("=")
        if not all(names.split("=")):
            raise click.UsageError(
                f"cannot read --vary {text!r}: write NAME=lo:hi:step or NAME=a,b"
            )
        if names in axes:
            raise click.UsageError(f"--vary {names} is given twice: give it once")
        axes[names] = values
    return axes
