"""Options that several commands take, and what they mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from costlab.atomic_files import require_writable
from costlab.cli.streams import foreign_output_on_stderr, results
from costlab.cli.terminal import cannot_write, format_of
from costlab.costs.quantities import QUANTITIES
from costlab.errors import OutputError
from costlab.models.arguments import parse_size
from costlab.models.python_code import inputs_of
from costlab.models.reference import frontends
from costlab.models.rules import load_rules
from costlab.render import formats as render

Command = TypeVar("Command", bound=Callable[..., Any])

output_file = click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
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


def format_option(equations: bool = False) -> Callable[[Any], Any]:
    """``--format``, one of all formats; those of equations only for results that have some."""
    known = render.formats().values()
    chosen = [
        known_format for known_format in known if equations or known_format.needs != "equations"
    ]
    return click.option(
        "--format",
        type=click.Choice([known.name for known in chosen]),
        help=", ".join(f"{known.name} for {known.purpose}" for known in chosen)
        + ".  [default: what FILE's ending says, else table]",
    )


output_options = [format_option(), output_file]
input_size_option = click.option(
    "--input-size",
    metavar="N,C,H,W",
    callback=lambda _ctx, _param, value: None if value is None else parse_size(value),
    help="The input's shape, batch first, in place of the published one; for a part, the input of "
    "the whole model.",
)
depth_option = click.option(
    "--depth",
    type=click.IntRange(min=1),
    metavar="N",
    help="How deep to go into nested scopes: 1 shows stages or branches.",
)
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
    click.option(
        "--input-type",
        metavar="TYPE",
        default="",
        help="The type of an nn.Module's input, such as int64 for the ids of tokens.  "
        "[default: that of its parameters]",
    ),
]
run_options = [
    *inputs_options,
    click.option(
        "--rules",
        metavar="FILE",
        expose_value=False,
        callback=lambda _ctx, _param, place: None if place is None else load_rules(place),
        help="A Python file with rules of your own (costlab.counting), for what has none.",
    ),
    click.option("--training", is_flag=True, help="Follow an nn.Module in training mode."),
    real_option,
]


class Apart(click.Command):
    """A command whose standard output has its result alone, whatever user code prints."""

    def invoke(self, ctx: click.Context) -> Any:
        if ctx.params.get("output") == Path("-"):
            ctx.params["output"] = None  # standard output, as everywhere
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


class Commands(click.Group):
    """The group of all commands, whose help says what a MODEL may be."""

    command_class = Apart

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_help_text(ctx, formatter)
        kinds = [frontend for frontend in reversed(frontends()) if frontend.about]
        with formatter.indentation():
            for number, kind in enumerate(kinds):
                formatter.write_paragraph()
                formatter.write_text(f"{'or' if number else 'MODEL is'} {kind.about}:")
                formatter.write_text("    ".join(kind.grammar))


class NamingQuantities(Apart):
    """A command whose help names what is counted in place of ``{quantities}``."""

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        written = self.help or ""
        self.help = written.replace("{quantities}", ", ".join(QUANTITIES))
        try:
            super().format_help_text(ctx, formatter)
        finally:
            self.help = written


def named_folder(_ctx: Any, _param: Any, value: str) -> Path:
    """A folder that was named: nothing, as of an empty variable, is not the current one."""
    if not value:
        raise click.BadParameter("give a folder; . is the current one")
    return Path(value)


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
