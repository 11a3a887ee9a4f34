"""Whether a printed rate is what a device's units and clocks make."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from costlab.devices.derivation import derived_rate
from costlab.devices.device import Device, DeviceFigure, DeviceVerdict


@dataclass(frozen=True)
class JudgedRate:
    """A figure of a device, what it is derived to be, and the verdict.

    ``table`` is who prints it, where that is not the device's own document.
    """

    device: Device
    figure: DeviceFigure
    derived: Fraction | None
    verdict: DeviceVerdict
    table: str = ""

    @property
    def as_recorded(self) -> bool:
        """Whether the verdict is the one that the file records, if it does."""
        return self.figure.verdict in ("", self.verdict)

    @property
    def held(self) -> bool:
        """Whether it was held against a copy; others' tables are quoted as they stand."""
        return self.figure.held or bool(self.table)

    @property
    def printed(self) -> Fraction | None:
        """What is printed, as a number."""
        number = self.figure.number
        return None if number is None else number.value()

    @property
    def difference(self) -> Fraction | None:
        """How far what is derived is from what is printed, as a share of that."""
        if self.printed is None or self.derived is None:
            return None
        return (self.derived - self.printed) / self.printed


def judge(device: Device, figure: DeviceFigure, table: str = "") -> JudgedRate:
    """A figure with its verdict: fractions are compared with what the printed digits claim."""
    verdict = "measured" if device.steps else _verdict(figure)
    return JudgedRate(device, figure, figure.exact, verdict, table)


def _verdict(figure: DeviceFigure) -> DeviceVerdict:
    number, exact = figure.number, figure.exact
    if number is None:
        return "not printed"
    if exact is None:
        return "not derived"
    if number.rounds(exact):
        return "reproduced"
    if number.truncates(exact):
        return "truncated"
    other = derived_rate(figure.because) if figure.because else None
    if other is not None and (number.rounds(other) or number.truncates(other)):
        return "another figure"
    return "not reproduced"
