"""Devices: what they do in a second, as it is printed and as it is derived."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, NamedTuple, get_args

from costlab.devices.derivation import derived_rate
from costlab.errors import FigureError
from costlab.printed import Printed, printed_number

DeviceVerdict = Literal[
    "reproduced",
    "truncated",
    "another figure",
    "not reproduced",
    "not derived",
    "not printed",
    "measured",
]
DEVICE_VERDICTS: tuple[DeviceVerdict, ...] = get_args(DeviceVerdict)

BANDWIDTH = "bandwidth"
TYPES = ("float64", "float32", "tf32", "bfloat16", "float16", "float8", "float4", "int8", "int4")
"""The types of numbers that rates are of, in the order of columns."""


@dataclass(frozen=True)
class DeviceSource:
    """A document; ``read`` is the copy of it that its figures were compared with, if they were."""

    name: str
    url: str
    read: str = ""


@dataclass(frozen=True)
class DeviceFigure:
    """A rate: as printed, and what it is derived from. ``verdict`` is as the file records it.

    ``precision`` is what the last digit is worth where that is not the last one printed, in the
    printed scale. ``held`` is whether a copy was read that has it, or what it is derived from.
    """

    of: str
    printed: str = ""
    derived: str = ""
    sparse: bool = False
    because: str = ""
    note: str = ""
    verdict: str = ""
    precision: str = ""
    held: bool = True

    @property
    def id(self) -> str:
        """``bfloat16``, ``sparse bfloat16``, ``bandwidth``."""
        return f"sparse {self.of}" if self.sparse else self.of

    @property
    def number(self) -> Printed | None:
        """What is printed; ``GiB/s`` are bytes of 1,024."""
        if not self.printed:
            return None
        text = self.printed.removesuffix("/s").replace("OPS", "ops")
        unit = "bytes" if self.of == BANDWIDTH else ""
        return printed_number(text, precision=self.precision, unit=unit)

    @property
    def exact(self) -> Fraction | None:
        """What it is derived to be, if that is known."""
        return derived_rate(self.derived) if self.derived else None

    @property
    def largest(self) -> Fraction:
        """The larger of what is printed and what is derived: no bound may be too tight."""
        number = self.number
        known = [rate for rate in (number.value() if number else None, self.exact) if rate]
        return max(known, default=Fraction(0))


class Rate(NamedTuple):
    """A number a second, and where it comes from."""

    value: Fraction
    how: str


@dataclass(frozen=True)
class Device:
    """A device: what it is, and its figures; ``source`` is the document that prints them."""

    id: str
    name: str
    kind: str
    maker: str
    figures: tuple[DeviceFigure, ...]
    source: DeviceSource | None = None
    read: str = ""
    """The copies that its figures were compared with, where they are not its source's."""
    torch_names: tuple[str, ...] = ()
    """What ``torch.cuda.get_device_name()`` calls it; never what another device is called too."""
    steps: tuple[tuple[int, Fraction], ...] = ()
    """Of a device that was measured: so many bytes, and the bytes a second of those beyond."""

    @property
    def copy(self) -> str:
        """The copies that its figures were compared with, and what of the device is in them."""
        return self.read or (self.source.read if self.source else "")

    def figure(self, of: str, sparse: bool = False) -> DeviceFigure | None:
        """The figure of a type or of ``bandwidth``."""
        same = (figure for figure in self.figures if (figure.of, figure.sparse) == (of, sparse))
        return next(same, None)

    def rate(self, of: str) -> Rate | None:
        """Operations a second of a type, or bytes a second, without sparsity; None if not known.

        Where only the rate of sparse weights is printed, it is half of that.
        """
        figure, factor, how = self.figure(of), 1, ""
        if figure is None:
            figure, factor, how = self.figure(of, sparse=True), 2, ", half of sparse"
        if figure is None:
            return None
        return Rate(figure.largest / factor, (figure.derived or figure.printed) + how)

    @property
    def memory(self) -> tuple[tuple[int, Fraction], ...]:
        """From how many bytes on they are moved at how many a second; nothing if not known.

        Of a device that was measured the first ones may be in a cache, and stay there from run to
        run; of others all are moved at the rate of its main memory.
        """
        rate = self.rate(BANDWIDTH)
        return self.steps or (((0, rate.value),) if rate else ())

    def peak(self, dtype: str) -> Rate:
        """Operations a second on a type of numbers. Raises ``FigureError`` if it is not known."""
        rate = self.rate(type_of(dtype))
        if rate is None:
            known = [of for of in TYPES if self.rate(of)]
            raise FigureError(
                f"{self.id} has no rate of {dtype}: give --dtype (dtype=...), one of "
                f"{', '.join(known)}"
            )
        return rate


def type_of(dtype: str) -> str:
    """The type of a rate: ``float8`` for ``float8_e4m3fn``, ``int8`` for ``quint8``."""
    for known in TYPES:
        if dtype.replace("uint", "int").removeprefix("q").startswith(known):
            return known
    return dtype
