"""What torch says of an operation on tensors without values: its `FakeTensorMode` is asked.

It knows which kernel a device has, what that gives, and what the results share memory with. All
that it says depends on types, shapes, strides and devices alone; but for tensors that are sparse,
quantized or complex the answer serves once.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor

from costlab.footprint.kernels import corrected, larger, unknown
from costlab.footprint.shapes import Layout, Look, Shape, look_as, made, resized, within
from costlab.footprint.usual import IN_PLACE, usual
from costlab.torch_private import FakeTensor, FakeTensorMode
from costlab.trace.tensors import nested


class Result(NamedTuple):
    """One result of an operation.

    ``kind`` is ``new``, ``argument`` (the one at ``position``), ``resized`` (it has got another
    layout), ``in argument`` and ``in result`` (another tensor in the memory of the argument or of
    the result at ``position``), or ``value`` (no tensor of a layout).
    """

    kind: str
    position: int = 0
    layout: Layout | None = None
    value: Any = None
    look: Look | None = None
    """That of a new tensor."""


class Answer(NamedTuple):
    """What an operation gives."""

    results: tuple[Result, ...]
    container: Any
    """What the results are in: a list or a tuple; None where there is one."""
    elements: int
    """Of the largest result."""
    sizes: dict[int, int]
    """The bytes of results that lie in more memory than they say, by their positions."""
    unseen: str
    """Why a result has memory of an unknown size."""

    def given(self, arguments: list[Tensor]) -> Any:
        """New tensors as the answer has them, and arguments that are results."""
        if self.container is None:  # nearly always
            kind, _, layout, _, look = self.results[0]
            if kind == "new" and layout is not None:
                return made(layout, look)
        built: list[Any] = []
        for kind, position, layout, value, look in self.results:
            if kind == "argument":
                built.append(arguments[position])
            elif layout is None:
                built.append(value)
            elif kind == "new":
                built.append(made(layout, look))
            elif kind == "resized":
                built.append(resized(arguments[position], layout))
            elif kind == "in argument":
                own = arguments[position]
                built.append(within(own, layout._replace(offset=layout.offset + _offset(own))))
            else:
                built.append(within(built[position], layout))
        return built[0] if self.container is None else self.container(built)


class Asked:
    """Asks torch, for one run, in a thread of its own.

    Torch imports much when it is first asked, and an error on the way, also one that is caught,
    may keep all frames below it with what they hold: those of the model are not below it there.
    """

    def __init__(self) -> None:
        self._thread: ThreadPoolExecutor | None = None
        self._fake: Any = None
        self.refused: Exception | None = None
        """What torch said instead of the last answer that it had none for."""

    def close(self) -> None:
        """Ask no more."""
        if self._thread is not None:
            self._thread.shutdown()

    def answer(
        self, func: Any, args: Any, kwargs: dict[str, Any], arguments: list[Tensor]
    ) -> Answer:
        """The answer to a call with these tensors among its arguments."""
        known = "" if kwargs else usual(func, args, arguments)
        if known == IN_PLACE:
            return Answer((Result("argument", 0),), None, arguments[0].numel(), {}, "")
        if not isinstance(known, str):
            return of_layouts(known)
        return self.answer_of_torch(func, args, kwargs, arguments)

    def answer_of_torch(
        self, func: Any, args: Any, kwargs: dict[str, Any], arguments: list[Tensor]
    ) -> Answer:
        """The same, of torch itself."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1)
            self._fake = self._thread.submit(FakeTensorMode, allow_non_fake_inputs=True).result()
        memory: dict[int, Any] = {}
        try:
            fakes = [self._standin(tensor, memory) for tensor in arguments]
            by_identity = {id(own): fake for own, fake in zip(arguments, fakes, strict=True)}
            args, kwargs = nested(lambda own: by_identity[id(own)], (args, kwargs))
            given = self._thread.submit(self._run, func, args, kwargs).result()
        except Exception as error:
            self.refused = error
            raise error.with_traceback(None)  # noqa: B904
        container = type(given) if isinstance(given, (list, tuple)) else None
        items = [given] if container is None else list(given)
        homes = {_memory(fake): position for position, fake in enumerate(fakes)}
        before: dict[int, int] = {}
        results: list[Result] = []
        for position, item in enumerate(items):
            home = _memory(item)
            if not isinstance(item, FakeTensor) or item.layout is not torch.strided:
                results.append(Result("value", value=item))
            elif home in homes:
                results.append(_of_argument(func, position, item, homes[home], arguments))
            elif home in before:
                results.append(Result("in result", before[home], _layout(item)))
            else:
                before[home] = position
                results.append(_new(_layout(item)))
        elements = [item.numel() for item in items if isinstance(item, Tensor)]
        return Answer(
            tuple(results),
            container,
            max(elements, default=0),
            larger(func, args, given),
            unknown(func, args),
        )

    def _run(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        with torch.no_grad(), self._fake, _silent():
            return corrected(func, args, func(*args, **kwargs))

    def _standin(self, tensor: Tensor, memory: dict[int, Any]) -> Any:
        """Torch's stand-in for a tensor; those of one memory share one."""
        if isinstance(tensor, FakeTensor):
            return tensor
        if not is_plain(tensor) and not isinstance(tensor, Shape):
            if tensor.layout is not torch.strided and tensor._is_view():  # which torch has none of
                tensor = tensor.detach().clone()
            return self._fake.from_tensor(tensor)
        storage = tensor.untyped_storage()
        if id(storage) not in memory:
            room = torch.empty(storage.nbytes(), dtype=torch.uint8, device="meta")
            memory[id(storage)] = room.untyped_storage(), storage
        inside = torch.empty(0, dtype=tensor.dtype, device="meta").set_(
            memory[id(storage)][0], tensor.storage_offset(), tensor.size(), tensor.stride()
        )
        standin = FakeTensor(self._fake, inside, tensor.device)
        return standin.conj() if tensor.is_conj() else standin


def of_layouts(layouts: Sequence[Layout | None]) -> Answer:
    """An answer of new tensors; one that is not there is None."""
    results = tuple(Result("value") if layout is None else _new(layout) for layout in layouts)
    most = max(prod(layout.shape) for layout in layouts if layout is not None)
    return Answer(results, tuple if len(results) > 1 else None, most, {}, "")


def _new(layout: Layout) -> Result:
    return Result("new", layout=layout, look=look_as(layout))


def is_plain(tensor: Tensor) -> bool:
    """Whether type, shape, strides and device are all that an answer depends on."""
    if type(tensor) is Shape:
        return not tensor.dtype.is_complex
    return (
        tensor.layout is torch.strided
        and not tensor.is_complex()
        and not tensor.is_quantized
        and not isinstance(tensor, FakeTensor)
    )


@contextmanager
def _silent() -> Iterator[None]:
    """Stand-ins do not log what goes wrong: it is in the error."""
    logger = logging.getLogger(FakeTensorMode.__module__)
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def _of_argument(
    func: Any, position: int, item: Tensor, argument: int, arguments: list[Tensor]
) -> Result:
    """A result that shares the memory of an argument: the argument itself, or a view of it."""
    own, returns = arguments[argument], func._schema.returns
    info = returns[position].alias_info if position < len(returns) else None
    layout = _layout(item)
    if info is None or not info.is_write:
        return Result("in argument", argument, layout._replace(offset=layout.offset - _offset(own)))
    if own.shape != item.shape:
        return Result("resized", argument, layout)
    return Result("argument", argument)


def _memory(item: Any) -> int:
    """What tensors of one memory have in common."""
    if isinstance(item, Tensor) and item.layout is torch.strided:
        memory: int = item.untyped_storage()._cdata
        return memory
    return id(item)


def _offset(tensor: Tensor) -> int:
    return int(tensor.storage_offset())


def _layout(item: Tensor) -> Layout:
    size, offset = item.untyped_storage().nbytes(), _offset(item)
    is_all = not offset and size == item.nbytes
    shape, strides = tuple(item.shape), tuple(item.stride())
    return Layout(shape, strides, item.dtype, item.device, None if is_all else size, offset)
