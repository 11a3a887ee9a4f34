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
torch_names = ["NVIDIA H100 80GB HBM3"]  # what torch calls it, where no faster one is called so
figures = [                         # one line each
  { of = "bfloat16", printed = "989.4 TFLOPS", derived = "132 SMs · ...", verdict = "reproduced" },
  { of = "bandwidth", printed = "3.35 TB/s", derived = "5120 bits · 5.238 Gb/s", verdict = "..." },
]

A figure is ``of`` a type of numbers (operations a second, of which a multiply-add is two) or of
``bandwidth`` (bytes a second, of its main memory). ``sparse`` is true where half of the weights
have to be zeros. A figure that nobody prints has only what it is ``derived`` from. ``because`` is
another derivation, which reproduces what is printed where the right one does not. ``held`` is
false where no copy was found that has the figure, or what it is derived from.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import MISSING, fields
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from costlab.devices.device import (
    BANDWIDTH,
    DEVICE_VERDICTS,
    TYPES,
    Device,
    DeviceFigure,
    DeviceSource,
)
from costlab.errors import FigureError, UnknownNameError, misread, unreadable
from costlab.user_files import text_of

FOLDER = Path(__file__).parent / "makers"

Entry = TypeVar("Entry", DeviceFigure, DeviceSource)


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


def called_by_torch(name: str) -> list[Device]:
    """The devices that torch calls so (``NVIDIA H200``); older drivers leave ``NVIDIA`` out.

    Where there are several, it is one of them, and the name does not say which.
    """
    return [
        device
        for device in devices()
        if name.removeprefix("NVIDIA ") in {n.removeprefix("NVIDIA ") for n in device.torch_names}
    ]


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
    by_id: dict[str, Device] = {}
    for table in data.get("device", []):
        where = f"{path}, device {table.get('id', len(by_id) + 1)}"
        device = _device(table, sources, data.get("maker", ""), where)
        if device.id in by_id:
            raise FigureError(f"{where}: there are two of this name")
        by_id[device.id] = device
    if not by_id:
        raise FigureError(f"{path} has no device: write [[device]] with id, name and figures")
    return tuple(by_id.values())


def _device(
    table: dict[str, Any], sources: dict[str, DeviceSource], maker: str, where: str
) -> Device:
    """A device of a file, which is at ``where``."""
    for key in ("id", "name", "figures"):
        if not table.get(key):
            raise FigureError(f"{where}: {key} is missing")
    unknown = table.keys() - {"id", "name", "kind", "source", "read", "torch_names", "figures"}
    if unknown:
        raise FigureError(f"{where}: unknown key {min(unknown)!r}")
    if "source" in table and table["source"] not in sources:
        raise UnknownNameError(f"source in {where}:", table["source"], sources)
    return Device(
        table["id"],
        table["name"],
        table.get("kind", ""),
        maker,
        tuple(figures(table["figures"], where)),
        sources.get(table.get("source", "")),
        table.get("read", ""),
        tuple(table.get("torch_names", ())),
    )


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
        data: dict[str, Any] = tomllib.loads(text_of(path))
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
        wanted = bool if known[key].type == "bool" else str
        if type(value) is not wanted:
            raise FigureError(f"{where}: {key} is {'true or false' if wanted is bool else 'text'}")
    for key, field in known.items():
        if field.default is MISSING and key not in data:
            raise FigureError(f"{where}: {key} is missing")
    return kind(**data)
