"""What a network takes at least on a device: each layer alone, and the whole fused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from costlab.costs.rows import Row
from costlab.costs.table import CostTable, analyze
from costlab.devices.device import Device, type_of
from costlab.devices.files import device_named
from costlab.errors import UnknownNameError
from costlab.graph.arithmetic import least, most
from costlab.graph.sizes import InputSize
from costlab.graph.values import DType, owner_of
from costlab.models.reference import Model
from costlab.roofline.this import THIS, this_device
from costlab.roofline.traffic import Traffic, moves_nothing, needed_macs, traffic

if TYPE_CHECKING:
    from costlab.roofline.result import Bounds

Binds: TypeAlias = Literal["compute", "memory", "both", ""]

InTf32: TypeAlias = Literal["all", "cudnn", ""]
"""Which layers may multiply float32 as tf32: all, those that cuDNN computes, or none."""

_OF_CUDNN = ("conv", "conv_transpose", "recurrent")

_SIZES = {"float64": 8, "float32": 4, "tf32": 4, "bfloat16": 2, "float16": 2, "float8": 1}
_SIZES |= {"int8": 1}
"""The bytes of an element of a type that a network may be asked about."""


_PICOSECONDS = Fraction(10**12)


@dataclass(frozen=True)
class Bound:
    """The times of a layer, or of several, in whole picoseconds, rounded down: they stay bounds.

    ``macs`` are its multiply-adds by convention, ``needed`` those that no kernel can leave out,
    ``read`` and ``written`` such bytes. ``compute`` is what needed multiply-adds take at the
    device's rate, ``memory`` what the bytes take. A layer takes ``least``, the larger one; layers
    one after the other the sum of theirs, and ``both`` is whether not the same binds all of them.
    """

    macs: int
    needed: int
    read: int
    written: int
    compute: int
    memory: int
    least: int
    both: bool = False

    @property
    def bytes(self) -> int:
        """What is read and written."""
        return self.read + self.written

    @property
    def intensity(self) -> Fraction | None:
        """Needed multiply-adds for each byte; None where no byte is moved."""
        return Fraction(self.needed, self.bytes) if self.bytes else None

    @property
    def binds(self) -> Binds:
        """Which of the two is larger; nothing where both are 0."""
        if self.both:
            return "both"
        if not self.least:
            return ""
        return "compute" if self.compute >= self.memory else "memory"

    @property
    def seconds(self) -> Fraction:
        """The least time in seconds."""
        return self.least / _PICOSECONDS


@dataclass(frozen=True)
class Roofline:
    """A device, and how a network runs on it; ``dtype`` is that of all floating-point numbers.

    ``in_tf32`` are the layers whose float32 is tf32 where the device has a rate of that. Its rules
    are plain arithmetic on MACs and bytes: they serve ints, symbols and arrays.
    """

    device: Device
    dtype: str = ""
    in_tf32: InTf32 = ""

    @property
    def words(self) -> str:
        """``h100-sxm in bfloat16``."""
        return f"{self.device.id} in {self.dtype}" if self.dtype else self.device.id

    def size_of(self, dtype: DType) -> int:
        """The bytes of an element of a type."""
        if self.dtype and _is_floating(dtype.name):
            return _SIZES[type_of(self.dtype)]
        return dtype.size

    def type_of(self, row: Row) -> str:
        """The type of numbers that a layer multiplies."""
        operands = row.layer.operands or row.layer.all_operands
        own = row.values[operands[0]].dtype.name if operands and row.values else "float32"
        if self.dtype and _is_floating(own):
            return self.dtype
        of_tf32 = self.in_tf32 == "all" or (self.in_tf32 and row.layer.op.kind in _OF_CUDNN)
        return "tf32" if own == "float32" and of_tf32 and self.device.rate("tf32") else own

    def rate(self, row: Row) -> Fraction | None:
        """Operations a second in the type that a layer multiplies.

        None where the device has no rate of its integers or complex numbers: their multiply-adds
        are not in a bound, which is lower then. Raises ``FigureError`` if it has none of its
        floating-point numbers, which may be of another type.
        """
        of = self.type_of(row)
        if not (_is_floating(of) or of == self.dtype or self.device.rate(type_of(of))):
            return None
        return self.device.peak(of).value

    def traffic(self, row: Row) -> Traffic:
        """The bytes of a layer; of a report that does not say what layers take, none."""
        return traffic(row, row.values, self.size_of) if row.values else Traffic({}, 0)

    def compute(self, row: Row, macs: int) -> int:
        """The picoseconds of so many multiply-adds of a layer. Raises ``FigureError``."""
        rate = None if row.contraction is None else self.rate(row)
        if rate is None:
            return 0
        mac = 2 * _PICOSECONDS / rate
        return macs * mac.numerator // mac.denominator

    def memory(self, size: int) -> int:
        """The picoseconds of so many bytes; 0 where the device's bandwidth is not known."""
        taken = 0
        steps = self.device.memory
        for number, (begin, rate) in enumerate(steps):
            here = most(size - begin, 0) if begin else size
            if number + 1 < len(steps):
                here = least(here, steps[number + 1][0] - begin)
            byte = _PICOSECONDS / rate
            taken += here * byte.numerator // byte.denominator
        return taken

    def least(self, row: Row) -> int:
        """The picoseconds that a layer takes at least: the larger of both."""
        compute = self.compute(row, needed_macs(row))
        memory = self.memory(self.traffic(row).bytes)
        longer: int = most(compute, memory)
        return longer


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
            sum(bound.needed for bound in bounds),
            sum(bound.read for bound in bounds),
            sum(bound.written for bound in bounds),
            sum(bound.compute for bound in bounds),
            sum(bound.memory for bound in bounds),
            sum(bound.least for bound in bounds),
            both={bound.binds for bound in bounds} >= {"compute", "memory"},
        )

    @cached_property
    def fused(self) -> Bound:
        """The whole as one: weights and inputs are read once, outputs written once."""
        return self._fused(self.table.rows)

    def as_one(self, rows: Sequence[Row]) -> Bound:
        """What a kernel that computes these layers takes at least: of several, all of them fused.

        A single one writes all that it gives, whoever takes it.
        """
        return self.of_rows[rows[0].path][1] if len(rows) == 1 else self._fused(rows)

    def _fused(self, rows: Iterable[Row]) -> Bound:
        return fused(self.roofline, [(row, self.of_rows[row.path][0]) for row in rows])

    @cached_property
    def without_rate(self) -> list[str]:
        """The types that are multiplied and that the device has no rate of."""
        line, rows = self.roofline, [row for row in self.table.rows if row.macs]
        return sorted({line.type_of(row) for row in rows if line.rate(row) is None})

    def _of(self, row: Row) -> tuple[Traffic, Bound]:
        moved, needed = self.roofline.traffic(row), needed_macs(row)
        compute = self.roofline.compute(row, needed)
        memory = self.roofline.memory(moved.bytes)
        least_time = max(compute, memory)
        return moved, Bound(
            row.macs, needed, moved.read, moved.written, compute, memory, least_time
        )


def fused(roofline: Roofline, moved: Sequence[tuple[Row, Traffic]]) -> Bound:
    """Some layers of a network as one, with what each of them moves alone.

    What is not computed in them is read once; what is returned, or taken by a layer that is not
    one of them, is written once. Of a report that does not say what layers take, no byte is.
    """
    needed = [needed_macs(row) for row, _ in moved]
    compute = sum(
        [roofline.compute(row, macs) for (row, _), macs in zip(moved, needed, strict=True)]
    )
    read, written = _moved_once(roofline, moved)
    memory = roofline.memory(read + written)
    counted = sum([row.macs for row, _ in moved])
    return Bound(counted, sum(needed), read, written, compute, memory, most(compute, memory))


def _moved_once(roofline: Roofline, moved: Sequence[tuple[Row, Traffic]]) -> tuple[int, int]:
    """The bytes that layers read from elsewhere, and those that they write for elsewhere."""
    graph = moved[0][0].graph if moved else None
    if graph is None or not graph.connected:
        return 0, 0
    values = graph.values
    inside = {number for row, _ in moved for number in row.layer.results}
    passed = {n for row, _ in moved if moves_nothing(row.layer, values) for n in row.layer.results}
    paths = {row.path for row, _ in moved}
    reads: dict[int, int] = {}
    for _, own in moved:
        for owner, size in own.reads.items():
            if owner not in inside:
                reads[owner] = most(reads[owner], size) if owner in reads else size
    wanted = list(graph.returns)
    for layer in graph.layers:
        if layer.path not in paths:
            wanted += layer.all_operands
    writes: dict[int, int] = {}
    for number in wanted:
        owner = owner_of(values, number)
        if owner in inside - passed:
            size = values[number].elements * roofline.size_of(values[number].dtype)
            writes[owner] = most(writes[owner], size) if owner in writes else size
    return sum(reads.values()), sum(writes.values())


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

    line = roofline(device, dtype)
    table = analyze(model, input_size, **how)
    rows = BoundedRows(table, line)
    _ = rows.of_rows  # which raises here, not when it is shown
    return Bounds(rows, depth)


def roofline(device: str | Device, dtype: str = "") -> Roofline:
    """A device of the ledger, a file or this machine, and the type of floating-point numbers.

    Raises ``UnknownNameError``, ``ChoiceError`` where there is no such machine, ``FigureError``.
    """
    if dtype and type_of(dtype) not in _SIZES:
        raise UnknownNameError("type of numbers", dtype, _SIZES)
    return Roofline(_device(device), dtype)


def _is_floating(dtype: str) -> bool:
    return dtype.startswith(("float", "bfloat"))


def _device(device: str | Device) -> Device:
    """A device of the ledger or a file, or the machine at hand."""
    if isinstance(device, Device):
        return device
    name, _, on = device.partition(":")
    if name == THIS:
        return this_device(on=on)
    return device_named(device)
