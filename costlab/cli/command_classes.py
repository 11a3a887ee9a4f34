"""Classes of commands, and of options whose help is made when it is shown."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib import import_module
from inspect import cleandoc
from pathlib import Path
from typing import Any

import click
from click.core import augment_usage_errors

from costlab.atomic_files import require_writable
from costlab.cli.streams import foreign_output_on_stderr, results
from costlab.cli.terminal import cannot_write, format_of
from costlab.costs.quantities import QUANTITIES, legend
from costlab.errors import OutputError
from costlab.models.arguments import parse_sizes
from costlab.models.reference import frontends, require


class Naming(click.Option):
    """An option whose help has ``{names}`` in it, which are found only when the help is shown."""

    def __init__(self, *args: Any, names: Callable[[], list[str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.names = names

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        self.help = (self.help or "").format(names=", ".join(self.names()))
        return super().get_help_record(ctx)


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
        """Refuses an option that is given twice, of which click would take the last, or as ``""``.

        That would be as if it had not been given.
        """
        with augment_usage_errors(ctx):  # the error says whose help there is
            values, _, given = self.make_parser(ctx).parse_args(list(args))
        for param in given:
            single = isinstance(param, click.Option) and not (param.multiple or param.is_flag)
            if single and given.count(param) > 1:
                raise click.UsageError(f"{param.opts[0]} is given twice: give it once", ctx)
            if single and values[param.name] == "":
                raise click.UsageError(
                    f"{param.opts[0]} is given without a value: write one, or leave it out", ctx
                )
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        if ctx.params.get("output") == Path("-"):
            ctx.params["output"] = None  # standard output, as everywhere
        if "batch" in ctx.params:
            sizes, batch = ctx.params["input_size"], ctx.params.pop("batch")
            parse = parse_sizes
            if ctx.params.get("vary"):  # others do not wait for it
                from costlab.models.symbolic_sizes import parse_symbolic_sizes as parse
            ctx.params["input_size"] = parse(sizes, batch)
        if output := ctx.params.get("output"):
            self._require(output, ctx.params.get("format"))
        with foreign_output_on_stderr():
            stdout = results()
            if stdout is not None and str(output) in ("/dev/stdout", "/dev/fd/1"):
                ctx.params["output"] = Path(f"/dev/fd/{stdout.fileno()}")
            # Of calls that costlab makes in place of the code's torch warns with costlab's lines.
            warnings.filterwarnings("ignore", module=r"costlab\.")
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


class OfModels(Apart):
    """A command that takes MODELs: what is wrong as they are written is said before torch loads.

    A check has names of its own, a formula symbols in choices: they are commands of another class.
    """

    def invoke(self, ctx: click.Context) -> Any:
        given = ctx.params
        require(*given["models"] if "models" in given else [given["model"]])
        return super().invoke(ctx)


class LazyCommand(click.Command):
    """A command that is imported when it is called: the ``command`` of ``NAME_command.py`` here.

    Until then it has its name and, for the list of commands, the first sentence of its help.
    """

    def command(self) -> click.Command:
        """The command itself."""
        module = import_module(f"costlab.cli.{self.name}_command")
        command: click.Command = module.command
        return command

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """A context of the command itself, with which click goes on."""
        return self.command().make_context(info_name, args, parent, **extra)
