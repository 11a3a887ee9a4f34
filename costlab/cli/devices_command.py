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
    TOML file of your own; "this" is the machine at hand, which is measured once. Exits with 1 if a
    verdict is not the one that the file records.

    \b
    costlab devices
    costlab devices h100-sxm torch
    costlab devices '*' --format csv -o devices.csv
    costlab devices --forget
    """
    from costlab.devices.ledger import DeviceLedger, device_ledger, device_list
    from costlab.devices.verdict import judge

    if forget:
        from costlab.roofline.this import cache_file
        from costlab.roofline.this import forget as forget_this

        put(f"{'removed' if forget_this() else 'there is no'} {cache_file()}\n")
        return 0
    if not names:
        emit(device_list(), format, output)
        return 0
    if names == ("this",):
        from costlab.roofline.this import this_device

        judged = DeviceLedger(tuple(judge(this_device(), rate) for rate in this_device().figures))
    else:
        judged = device_ledger(names)
    emit(judged, format, output)
    return 0 if judged.as_recorded else DIFFERS
