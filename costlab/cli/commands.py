"""The command line: its commands, and what is said of a call that is wrong."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib.util import find_spec
from typing import NoReturn

import click

from costlab.cli.command_classes import Explained, LazyCommand
from costlab.cli.streams import spell_missing_signs
from costlab.cli.terminal import INTERRUPTED, WRONG, cannot_write, fail, rows_before
from costlab.errors import CostlabError, TraceError, place_of, said_of
from costlab.version import __version__

COMMANDS = {
    "bounds": "Say what MODEL takes at least on a device: each layer, and the whole fused.",
    "check": "Say whether models keep their limits, and which layers are the cause if not.",
    "compare": "Compare models: totals, what differs, the verdict; differences are to the first.",
    "crosscheck": "Build each MODEL, let other counters count it, and compare layer by layer.",
    "devices": "List devices and their rates; with a NAME, where its numbers come from.",
    "figures": "Judge published figures by computing them; say what those that do not hold are of.",
    "formula": "Say what MODEL costs as a function of its input, and of choices.",
    "list": "List the models and their costs; with a NAME, its source and its choices.",
    "memory": "Say how many bytes MODEL holds when it runs, where most, and who holds them.",
    "reconcile": "Say why other counters report different totals for MODEL, to the last unit.",
    "report": "Write reports on MODELs, or on the whole catalog: an index, a page for each model.",
    "show": "Show what MODEL costs, layer by layer, with the derivation of each MAC count.",
    "sweep": "Count every variant of MODEL over a grid of choices and input sizes.",
    "time": "Measure how long each MODEL takes, in turns, beside what it takes at least.",
}
"""A line for each file ``NAME_command.py``: its name, and the first sentence of its help."""


class _Commands(Explained, click.Group):
    """The group of all commands."""


@click.group(
    cls=_Commands,
    commands=[LazyCommand(name, help=about) for name, about in COMMANDS.items()],
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Count what a convolutional network costs, and make each number defensible.

    1 MAC is 1 multiplication and 1 addition inside a convolution, linear layer or matrix product.

    \b
    costlab list                            what there is to count
    costlab show googlenet --depth 1        a network by stage
    costlab compare naive reduced           two of them, by branch
    costlab check                           do models keep their limits?
    costlab crosscheck googlenet            do fvcore and torch agree?
    costlab reconcile googlenet             why does my tool say something else?
    costlab figures googlenet               do the published figures hold?
    costlab formula naive/branch5x5         costs as a function of the input
    costlab sweep reduced --vary c5r=4:64:4    costs over a grid of choices
    costlab memory googlenet --training     what a training step holds in memory
    costlab bounds googlenet --device h100-sxm    how long it takes at least
    costlab time naive reduced              how long they take, side by side

    {models}
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit; whatever is wrong with a call is one line on stderr."""
    spell_missing_signs()
    try:
        words = list(sys.argv[1:] if args is None else args)
        code = cli.main(words, prog_name="costlab", standalone_mode=False, obj=words)
    except (click.exceptions.Abort, KeyboardInterrupt):
        code = fail("interrupted", INTERRUPTED)
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "costlab"
        message = error.format_message().rstrip(".")
        if isinstance(error, click.NoSuchOption):
            message = f"there is no option {error.option_name}{_meant(error)}"
        message = re.sub("is not a valid integer( range)?", "is not a whole number", message)
        message = re.sub("is not a valid float( range)?", "is not a number", message)
        code = fail(f"{message}; see: {command} --help", WRONG)
    except (click.ClickException, CostlabError) as error:
        if isinstance(error, TraceError) and error.before:
            rows_before(error.before)
        code = fail(str(error), WRONG)
    except OSError as error:  # while click prints help
        code = fail(cannot_write("standard output", error), WRONG)
    except BaseException as error:
        if isinstance(error, SystemExit) and "_COSTLAB_COMPLETE" in os.environ:
            raise  # click has answered a shell that completes a line
        code = fail(_unforeseen(error), WRONG)
    sys.exit(code)


def _meant(error: click.NoSuchOption) -> str:
    """Which commands have that option, or else which one of this command was meant."""
    others = [
        name
        for name, command in cli.commands.items()
        if isinstance(command, LazyCommand)
        and any(error.option_name in option.opts for option in command.command().params)
    ]
    if others:
        return f" (costlab {', '.join(others)} {'has' if len(others) == 1 else 'have'} it)"
    own = error.ctx.command.params if error.ctx else []
    spelled = {word.lstrip("-"): word for option in own for word in option.opts}
    close = get_close_matches(error.option_name.lstrip("-"), spelled, n=3, cutoff=0.6)
    return f" (did you mean {' or '.join(spelled[word] for word in close)}?)" if close else ""


_INSTALLED_BY_HAND = ("fvcore", "numpy", "pandas", "sympy", "torch")
"""What a light install, without the dependencies, does not have."""


def _unforeseen(error: BaseException) -> str:
    """What to say of an error that nobody turned into one of ours."""
    if isinstance(error, ModuleNotFoundError) and error.name in _INSTALLED_BY_HAND:
        missing = [name for name in _INSTALLED_BY_HAND if find_spec(name) is None]
        return (
            f"this needs {error.name}, which is not installed; for all that costlab does: "
            f"pip install {' '.join(missing)}"
        )
    if isinstance(error, MemoryError):
        return f"out of memory{place_of(error)}: take a smaller input or model"
    if os.environ.get("COSTLAB_TRACEBACK"):
        import traceback

        traceback.print_exception(error)
    return f"unexpected {said_of(error)}; COSTLAB_TRACEBACK=1 shows where it comes from"
