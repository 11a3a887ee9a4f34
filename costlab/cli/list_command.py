"""The command that lists the models and their costs."""

from __future__ import annotations

from pathlib import Path

import click

from costlab.cli.command_classes import Apart
from costlab.cli.options import output_options, with_options
from costlab.cli.terminal import emit
from costlab.errors import ChoiceError
from costlab.models.hub import hub_that_is_meant, is_of_hub
from costlab.views.listing import listing


@click.command(cls=Apart, name="list")
@click.argument("names", metavar="[NAME ...]", nargs=-1)
@with_options(output_options)
def command(names: tuple[str, ...], format: str | None, output: Path | None) -> int:
    """List the models and their costs; with a NAME, its source and its choices.

    \b
    costlab list
    costlab list alexnet googlenet
    costlab list --format csv -o models.csv

    What is installed of timm and torchvision: costlab list 'timm:convnext*' torchvision:
    """
    if any(map(is_of_hub, names)):
        from costlab.views.hub_listing import hub_listing  # the catalog does not wait for it

        emit(hub_listing(names), format, output)
    else:
        if others := [name for name in names if set(name) & set(":/(") or name.endswith(".json")]:
            hub = hub_that_is_meant(others[0].partition(":")[0])
            if hub and ":" in others[0]:
                raise ChoiceError(f"there is no library {others[0]!r}: did you mean {hub}:?")
            raise ChoiceError(
                f"list has the names of the catalog, of timm: and of torchvision:, and {others[0]} "
                "is none of them; costlab show takes any MODEL"
            )
        emit(listing(names), format, output)
    return 0
