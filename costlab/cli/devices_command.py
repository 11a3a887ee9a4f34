"""The command that lists devices, and judges their rates."""

from __future__ import annotations

from pathlib import Path

import click

from costlab.cli.command_classes import Apart
from costlab.cli.options import output_options, with_options
from costlab.cli.terminal import DIFFERS, emit


@click.command(cls=Apart, name="devices")
@click.argument("names", metavar="[NAME ...]", nargs=-1)
@with_options(output_options)
def command(names: tuple[str, ...], format: str | None, output: Path | None) -> int:
    """List devices and their rates; with a NAME, where its numbers come from.

    A NAME is a device, a pattern ('rtx-*'; '*' is all), a published table of devices (torch), or a
    TOML file of your own. Exits with 1 if a verdict is not the one that the file records.

    \b
    costlab devices
    costlab devices h100-sxm torch
    costlab devices '*' --format csv -o devices.csv
    """
    from costlab.devices.ledger import device_ledger, device_list  # others do not wait for it

    if not names:
        emit(device_list(), format, output)
        return 0
    judged = device_ledger(names)
    emit(judged, format, output)
    return 0 if judged.as_recorded else DIFFERS
