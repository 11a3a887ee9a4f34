"""Which tensors an operation in place changes beside the one that it is called on.

Views and what they view use one memory. So after ``x[:, :2].relu_()`` the value of ``x`` is another
one, which the ReLU gives; that of ``x[:, 2:]``, if the code has it already, is what it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor

from costlab.trace.tensors import memory_of

if TYPE_CHECKING:
    from costlab.trace.tape_records import TapeRecord


class Write(NamedTuple):
    """An operation in place: what it was noted as, the value that it gave, and the tensor."""

    record: TapeRecord
    number: int
    tensor: Tensor


class Writes:
    """The operations in place on memory that several tensors use, whose others do not know of it.

    Tensors are on ``meta``, where views share their memory as they do elsewhere.
    """

    def __init__(self) -> None:
        self.shared_memory: set[int] = set()
        """Memory that is used by a view."""
        self.by_memory: dict[int, list[Write]] = {}

    def add(self, record: TapeRecord, number: int, tensor: Tensor) -> None:
        """Note an operation in place, if other tensors use that memory."""
        memory = memory_of(tensor)
        if memory in self.shared_memory:
            self.by_memory.setdefault(memory, []).append(Write(record, number, tensor))

    def since(self, number: int, tensor: Tensor) -> list[Write]:
        """What changed a tensor after it became the value of that number, from first to last.

        Each takes the tensor that it changes as it is. So of those that change the same elements
        only the last is given: it takes what the others gave.
        """
        latest: list[Write] = []
        for write in reversed(self.by_memory.get(memory_of(tensor), ())):
            if write.number <= number:
                break
            if overlap(write.tensor, tensor) and not any(
                overlap(write.tensor, later.tensor) for later in latest
            ):
                latest.append(write)
        return latest[::-1]

    def forget(self, values: int) -> None:
        """Take back those that gave a value of that number or a later one."""
        for memory, writes in list(self.by_memory.items()):
            kept = [write for write in writes if write.number < values]
            for write in kept:
                results = write.record.results
                write.record.results = tuple([n for n in results if n < values])
            if kept:
                self.by_memory[memory] = kept
            else:
                del self.by_memory[memory]


def overlap(tensor: Tensor, other: Tensor) -> bool:
    """Whether two tensors in one memory have elements in common; True where it is hard to tell."""
    if not tensor.numel() or not other.numel():
        return False
    both = (tensor, other)
    strides = sorted({stride for view in both for stride, _ in _sizes(view)}, reverse=True)
    ranges, other_ranges = (_ranges(view, strides) for view in both)
    if ranges is None or other_ranges is None:
        ranges, other_ranges = ([_extent(view)] for view in both)
    pairs = zip(ranges, other_ranges, strict=True)
    return all(one.start < two.stop and two.start < one.stop for one, two in pairs)


def _sizes(tensor: Tensor) -> list[tuple[int, int]]:
    """The stride and size of each dimension along which memory is used."""
    pairs = zip(tensor.stride(), tensor.shape, strict=True)
    return [(stride, size) for stride, size in pairs if stride and size > 1]


def _extent(tensor: Tensor) -> range:
    """Its memory from the first element to the last."""
    start = tensor.storage_offset()
    return range(start, start + sum((size - 1) * stride for stride, size in _sizes(tensor)) + 1)


def _ranges(tensor: Tensor, strides: list[int]) -> list[range] | None:
    """Where a tensor is along each of these strides, the largest first, and between them.

    They are the digits of a place in memory, as hours and minutes are. None where they are not:
    where they do not divide each other, or a range goes on into the next larger digit.
    """
    sizes, rest, larger, ranges = _sizes(tensor), tensor.storage_offset(), 0, list[range]()
    size_of = dict(sizes)
    for stride in strides:
        start = rest // stride
        rest %= stride
        stop = start + size_of.get(stride, 1)
        if larger and (larger % stride or stop * stride > larger):
            return None
        ranges.append(range(start, stop))
        larger = stride
    return [*ranges, range(rest, rest + 1)] if len(size_of) == len(sizes) else None
