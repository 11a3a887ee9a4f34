"""The command that lists devices, and judges their rates."""

from __future__ import annotations

from pathlib import Path

import click

from costlab.cli.command_classes import Apart
from costlab.cli.options import output_options, with_options
from costlab.cli.terminal import DIFFERS, emit, put


@click.command(cls=Apart, name="devices")
@click.argument("names", metavar="[NAME ...]", nargs=-1)
@click.option("--forget", is_flag=True, help="Let go of what was measured of this machine.")
@with_options(output_options)
def command(names: tuple[str, ...], forget: bool, format: str | None, output: Path | None) -> int:
    """List devices and their rates; with a NAME, where its numbers come from.

    A NAME is a device, a pattern ('rtx-*'; '*' is all), a published table of devices (torch), or a
    TOML file of your own; "this" is the machine at hand, which is measured once (its GPU if it has
    one; this:cpu is its CPU). Exits with 1 if a verdict is not the one that the file records.

    \b
    costlab devices
    costlab devices h100-sxm torch
    costlab devices '*' --format csv -o devices.csv
    costlab devices --forget
    """
    from costlab.devices.ledger import DeviceLedger, device_ledger, device_list
    from costlab.devices.verdict import judge
    from costlab.roofline import this

    if forget:
        put(f"{'removed' if this.forget() else 'there is no'} {this.cache_file()}\n")
        return 0
    if not names:
        emit(device_list(), format, output)
        return 0
    name, _, on = names[0].partition(":")
    if len(names) == 1 and name == this.THIS:
        device = this.this_device(on=on)
        judged = DeviceLedger(tuple(judge(device, rate) for rate in device.figures))
    else:
        judged = device_ledger(names)
    emit(judged, format, output)
    return 0 if judged.as_recorded else DIFFERS
