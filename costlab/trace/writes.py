"""Which tensors an operation in place changes beside the one that it is called on.

Views and what they view use one memory. So after ``x[:, :2].relu_()`` the value of ``x`` is another
one, which the ReLU gives; that of ``x[:, 2:]``, if the code has it already, is what it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from torch import Tensor

from costlab.symbols.size import Size
from costlab.torch_private import SymInt
from costlab.trace.symbolic_numbers import equal, size_of
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
    strides = _from_the_largest([stride for view in both for stride, _ in _sizes(view)])
    spans, other_spans = (_spans(view, strides) for view in both)
    if spans is None or other_spans is None:
        spans, other_spans = ([_extent(view)] for view in both)
    pairs = zip(spans, other_spans, strict=True)
    return all(one.start < two.stop and two.start < one.stop for one, two in pairs)


class _Span(NamedTuple):
    """Places in memory, or digits of them; `range` takes no sizes that are symbols."""

    start: Any
    stop: Any


def _from_the_largest(strides: list[int]) -> list[int]:
    """The strides, each once if that is so whatever sizes are.

    Their order is that where they are symbols, too: whether it fits is looked at later.
    """
    of_each: dict[Any, int] = {}
    for stride in strides:
        size = size_of(stride)
        of_each[size.key if isinstance(size, Size) else size] = stride
    return sorted(of_each.values(), key=_number, reverse=True)


def _number(size: Any) -> int:
    size = size_of(size)
    return size.hint if isinstance(size, Size) else size


def _sizes(tensor: Tensor) -> list[tuple[int, int]]:
    """The stride and size of each dimension along which memory is used, or may be."""
    pairs = zip(tensor.stride(), tensor.shape, strict=True)
    return [
        (stride, size)
        for stride, size in pairs
        if (type(stride) is SymInt or stride) and (type(size) is SymInt or size > 1)
    ]


def _extent(tensor: Tensor) -> _Span:
    """Its memory from the first element to the last."""
    start = tensor.storage_offset()
    return _Span(start, start + sum((size - 1) * stride for stride, size in _sizes(tensor)) + 1)


def _spans(tensor: Tensor, strides: list[int]) -> list[_Span] | None:
    """Where a tensor is along each of these strides, the largest first, and between them.

    They are the digits of a place in memory, as hours and minutes are. None where they are not:
    where they do not divide each other, or a span goes on into the next larger digit.
    """
    sizes, rest, larger, spans = _sizes(tensor), tensor.storage_offset(), 0, list[_Span]()
    for stride in strides:
        start = rest // stride
        rest %= stride
        along = [size for own, size in sizes if equal(own, stride)]
        if len(along) > 1:
            return None
        stop = start + sum(along or [1])
        if larger and (larger % stride or stop * stride > larger):
            return None
        spans.append(_Span(start, stop))
        larger = stride
    return [*spans, _Span(rest, rest + 1)]
