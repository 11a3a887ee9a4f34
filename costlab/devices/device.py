"""The files of devices: a maker, its documents, and the rates of devices that they print.

maker = "NVIDIA"

[sources.hopper]                    # a document, by the name that devices give
name = "NVIDIA H100 Tensor Core GPU architecture (whitepaper)"
url = "https://resources.nvidia.com/en-us-tensor-core"
read = "..."                        # the copies that the figures were compared with, if they were

[[device]]
id = "h100-sxm"                     # what --device takes
name = "NVIDIA H100 SXM5 80GB"
kind = "data-centre GPU"
source = "hopper"
read = "..."                        # likewise, for this device: which, and what of it is in them
figures = [                         # one line each
  { of = "bfloat16", printed = "989.4 TFLOPS", derived = "132 SMs · ...", verdict = "reproduced" },
  { of = "bandwidth", printed = "3.35 TB/s", derived = "5120 bits · 5.238 Gb/s", verdict = "..." },
]

A figure is ``of`` a type of numbers (operations a second, of which a multiply-add is two) or of
``bandwidth`` (bytes a second, of its main memory). ``sparse`` is true where half of the weights
have to be zeros. A figure that nobody prints has only what it is ``derived`` from. ``because`` is
another derivation, which reproduces what is printed where the right one does not.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import MISSING, dataclass, fields
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar, get_args

from costlab.devices.derivation import derived_rate
from costlab.errors import FigureError, UnknownNameError, misread, unreadable
from costlab.printed import Printed, printed_number

DeviceVerdict = Literal[
    "reproduced", "truncated", "another figure", "not reproduced", "not derived", "not printed"
]
DEVICE_VERDICTS: tuple[DeviceVerdict, ...] = get_args(DeviceVerdict)

BANDWIDTH = "bandwidth"
TYPES = ("float64", "float32", "tf32", "bfloat16", "float16", "float8", "float4", "int8", "int4")
"""The types of numbers that rates are of, in the order of columns."""

FOLDER = Path(__file__).parent / "makers"

Entry = TypeVar("Entry", "DeviceFigure", "DeviceSource")


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
    printed scale.
    """

    of: str
    printed: str = ""
    derived: str = ""
    sparse: bool = False
    because: str = ""
    note: str = ""
    verdict: str = ""
    precision: str = ""

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


def device_named(name: str) -> Device:
    """A device by its name, or of a file: ``mine.toml``, ``mine.toml:id`` if it has several.

    Raises ``UnknownNameError``, or ``FigureError`` with what is wrong in a file.
    """
    path, _, chosen = name.partition(".toml")
    if path != name:
        own = read(Path(f"{path}.toml"))
        chosen = chosen.removeprefix(":")
        if len(own) == 1 and not chosen:
            return own[0]
        by_id = {device.id: device for device in own}
        if chosen not in by_id:
            raise UnknownNameError(f"device of {path}.toml", chosen, by_id, f"{path}.toml:ID")
        return by_id[chosen]
    known = {device.id: device for device in devices()}
    if name not in known:
        raise UnknownNameError(
            "device", name, known, "costlab devices lists them; mine.toml is one of your own"
        )
    return known[name]


@cache
def devices() -> tuple[Device, ...]:
    """All devices that costlab knows."""
    return tuple(device for path in sorted(FOLDER.glob("*.toml")) for device in read(path))


def read(path: Path) -> tuple[Device, ...]:
    """The devices of a file. Raises ``FigureError`` that says where it is wrong."""
    data = toml(path)
    sources = {
        name: entry(DeviceSource, source, f"{path}, source {name}")
        for name, source in data.get("sources", {}).items()
    }
    found: dict[str, Device] = {}
    for table in data.get("device", []):
        where = f"{path}, device {table.get('id', len(found) + 1)}"
        for key in ("id", "name", "figures"):
            if not table.get(key):
                raise FigureError(f"{where}: {key} is missing")
        unknown = table.keys() - {"id", "name", "kind", "source", "read", "figures"}
        if unknown:
            raise FigureError(f"{where}: unknown key {min(unknown)!r}")
        if "source" in table and table["source"] not in sources:
            raise UnknownNameError(f"source in {where}:", table["source"], sources)
        if table["id"] in found:
            raise FigureError(f"{where}: there are two of this name")
        found[table["id"]] = Device(
            table["id"],
            table["name"],
            table.get("kind", ""),
            data.get("maker", ""),
            tuple(figures(table["figures"], where)),
            sources.get(table.get("source", "")),
            table.get("read", ""),
        )
    if not found:
        raise FigureError(f"{path} has no device: write [[device]] with id, name and figures")
    return tuple(found.values())


def figures(tables: list[Any], where: str) -> Iterable[DeviceFigure]:
    """The figures of a device, of which all numbers can be read."""
    for table in tables:
        figure = entry(DeviceFigure, table, where)
        if figure.of not in (*TYPES, BANDWIDTH):
            raise UnknownNameError(f"rate in {where}:", figure.of, (*TYPES, BANDWIDTH))
        if figure.verdict and figure.verdict not in DEVICE_VERDICTS:
            raise UnknownNameError(f"verdict in {where}:", figure.verdict, DEVICE_VERDICTS)
        try:
            if not figure.largest:
                raise FigureError("give what is printed, or what it is derived from")
        except FigureError as error:
            raise FigureError(f"{where}, {figure.id}: {error}") from None
        yield figure


def toml(path: Path) -> dict[str, Any]:
    """A file's data. Raises ``FigureError``."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    try:
        data: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise FigureError(unreadable(path, error)) from None
    except (ValueError, RecursionError) as error:
        raise FigureError(f"{path} is not valid TOML: {misread(error)}") from None
    return data


def entry(kind: type[Entry], data: Any, where: str) -> Entry:
    """A table as its class, every key of which is known and of its type."""
    known = {field.name: field for field in fields(kind)}
    if not isinstance(data, dict):
        raise FigureError(f"{where}: write it as a table of keys and values")
    for key, value in data.items():
        if key not in known:
            raise UnknownNameError("key", key, known, f"in {where}")
        if type(value) is not (bool if known[key].type == "bool" else str):
            raise FigureError(f"{where}: {key} is {'true or false' if key == 'sparse' else 'text'}")
    for key, field in known.items():
        if field.default is MISSING and key not in data:
            raise FigureError(f"{where}: {key} is missing")
    return kind(**data)
