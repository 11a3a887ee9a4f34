"""What a network takes at least on a device: each layer alone, and the whole fused."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from costlab.costs.rows import Row
from costlab.costs.table import CostTable, analyze
from costlab.devices.device import Device, device_named, type_of
from costlab.errors import ChoiceError
from costlab.graph.sizes import InputSize
from costlab.graph.values import DType, owner_of
from costlab.models.reference import Model
from costlab.roofline.traffic import Traffic, needed_macs, traffic

if TYPE_CHECKING:
    from costlab.roofline.result import Bounds

Binds: TypeAlias = Literal["compute", "memory", ""]

THIS = "this"
"""The name of the machine at hand."""

_SIZES = {"float64": 8, "float32": 4, "tf32": 4, "bfloat16": 2, "float16": 2, "float8": 1}
_SIZES |= {"int8": 1}
"""The bytes of an element of a type that a network may be asked about."""


@dataclass(frozen=True)
class Bound:
    """The times of a layer, or of several: seconds, exactly.

    ``compute`` is what its multiply-adds take at the device's rate, ``memory`` what its bytes take.
    A layer takes ``least``, the larger one; layers one after the other the sum of theirs.
    """

    macs: int
    read: int
    written: int
    compute: Fraction
    memory: Fraction
    least: Fraction

    @property
    def bytes(self) -> int:
        """What is read and written."""
        return self.read + self.written

    @property
    def intensity(self) -> Fraction | None:
        """Multiply-adds for each byte."""
        return Fraction(self.macs, self.bytes) if self.bytes else None

    @property
    def binds(self) -> Binds:
        """Which of the two is larger."""
        if not self.least:
            return ""
        return "compute" if self.compute >= self.memory else "memory"

    @property
    def picoseconds(self) -> int:
        """The least time in whole picoseconds, rounded down: it stays a bound."""
        return int(self.least * 10**12)


@dataclass(frozen=True)
class Roofline:
    """A device, and how a network runs on it; ``dtype`` is that of all floating-point numbers."""

    device: Device
    dtype: str = ""

    def size_of(self, dtype: DType) -> int:
        """The bytes of an element of a type."""
        floating = dtype.name.startswith(("float", "bfloat"))
        return _SIZES[type_of(self.dtype)] if self.dtype and floating else dtype.size

    def type_of(self, row: Row, table: CostTable) -> str:
        """The type of numbers that a layer multiplies."""
        operands = row.layer.operands or row.layer.all_operands
        own = table.graph.values[operands[0]].dtype.name if operands else "float32"
        return self.dtype if self.dtype and own.startswith(("float", "bfloat")) else own

    def traffic(self, row: Row, table: CostTable) -> Traffic:
        """The bytes of a layer."""
        return traffic(row, table.graph.values, self.size_of)

    def compute(self, row: Row, table: CostTable) -> Fraction:
        """What a layer's multiply-adds take. Raises ``FigureError`` if the rate is not known."""
        if not row.macs:
            return Fraction(0)
        return 2 * needed_macs(row) / self.device.peak(self.type_of(row, table)).value

    def memory(self, size: int) -> Fraction:
        """What so many bytes take; nothing where the device's bandwidth is not known."""
        rate = self.device.bandwidth(size)
        return size / rate.value if rate else Fraction(0)


@dataclass(frozen=True)
class BoundedRows:
    """The layers of a table with their times."""

    table: CostTable
    roofline: Roofline

    @cached_property
    def of_rows(self) -> dict[str, tuple[Traffic, Bound]]:
        """Of each layer, by its path."""
        return {row.path: self._of(row) for row in self.table.rows}

    def one_by_one(self, rows: Iterable[Row]) -> Bound:
        """Layers one after the other, each with its inputs from memory and its output to it."""
        bounds = [self.of_rows[row.path][1] for row in rows]
        return Bound(
            sum(bound.macs for bound in bounds),
            sum(bound.read for bound in bounds),
            sum(bound.written for bound in bounds),
            sum((bound.compute for bound in bounds), Fraction(0)),
            sum((bound.memory for bound in bounds), Fraction(0)),
            sum((bound.least for bound in bounds), Fraction(0)),
        )

    @cached_property
    def fused(self) -> Bound:
        """The whole as one: weights and inputs are read once, outputs written once."""
        values, size_of = self.table.graph.values, self.roofline.size_of
        reads: dict[int, int] = {}
        for moved, _ in self.of_rows.values():
            for owner, taken in moved.reads.items():
                if values[owner].kind != "computed":
                    reads[owner] = reads.get(owner, 0) + taken
        read = sum(
            min(taken, values[owner].elements * size_of(values[owner].dtype))
            for owner, taken in reads.items()
        )
        returned = {owner_of(values, number): number for number in self.table.graph.returns}
        written = sum(
            values[number].elements * size_of(values[number].dtype)
            for owner, number in returned.items()
            if values[owner].kind == "computed"
        )
        compute = sum((bound.compute for _, bound in self.of_rows.values()), Fraction(0))
        memory = self.roofline.memory(read + written)
        macs = self.table.total.macs
        return Bound(macs, read, written, compute, memory, max(compute, memory))

    def _of(self, row: Row) -> tuple[Traffic, Bound]:
        moved = self.roofline.traffic(row, self.table)
        compute = self.roofline.compute(row, self.table)
        memory = self.roofline.memory(moved.bytes)
        bound = Bound(row.macs, moved.read, moved.written, compute, memory, max(compute, memory))
        return moved, bound


def bounds(
    model: Model | CostTable,
    input_size: InputSize | None = None,
    *,
    device: str | Device,
    dtype: str = "",
    depth: int | None = None,
    **how: Any,
) -> Bounds:
    """What the model takes at least on a device: its layers one by one, and all of it fused.

    ``device`` is a name of the ledger (``"h100-sxm"``; ``costlab devices`` lists them) or a file
    (``"mine.toml"``), or ``"this"``, which is measured. ``dtype`` is the type of all floating-point
    numbers, such as ``"bfloat16"``; without it they are what they are. ``model``, ``input_size``
    and all else are as in ``analyze``.

    Raises what ``analyze`` raises, ``UnknownNameError`` for a device that is not known,
    ``FigureError`` where it has no rate of a type that is multiplied.
    """
    from costlab.roofline.result import Bounds

    if dtype and type_of(dtype) not in _SIZES:
        raise ChoiceError(f"no bound knows the type {dtype!r}: give one of {', '.join(_SIZES)}")
    known = _device(device)
    table = analyze(model, input_size, **how)
    rows = BoundedRows(table, Roofline(known, dtype))
    _ = rows.of_rows  # which raises here, not when it is shown
    return Bounds(rows, depth)


def _device(device: str | Device) -> Device:
    """A device of the ledger or a file, or the machine at hand."""
    if isinstance(device, Device):
        return device
    if device == THIS:
        from costlab.roofline.this import this_device

        return this_device()
    return device_named(device)
