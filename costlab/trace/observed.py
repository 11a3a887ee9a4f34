"""What counters see of a forward pass by hooks on modules, and by functions in place of torch's."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from costlab.graph.op import Shape
from costlab.isolation.replaced import replaced
from costlab.trace.observation import CallNote, ModuleCall
from costlab.trace.recorder import Recorder
from costlab.trace.tape_records import TapeRecord
from costlab.trace.tensors import tensors


@dataclass(frozen=True)
class Hooked:
    """A call of a module, while layers are known by their records and have no numbers yet."""

    path: str
    called: str
    inputs: tuple[Shape, ...]
    output: Shape
    records: tuple[TapeRecord, ...]
    """What its own code made."""
    during: tuple[TapeRecord, ...]
    """What was made until it ended, by modules inside of it too."""

    def numbered(self, numbers: dict[int, int]) -> ModuleCall:
        """The call, its layers by their numbers, which are given for the identities of records."""
        own, during = (
            tuple(numbers[id(record)] for record in records if id(record) in numbers)
            for records in (self.records, self.during)
        )
        return ModuleCall(self.path, self.called, self.inputs, self.output, own, during)


def noted(notes: list[CallNote], records: list[TapeRecord]) -> dict[int, CallNote]:
    """The note of the call that made each record, by the record's identity."""
    by_record = {}
    waiting = iter(notes)
    current, following = None, next(waiting, None)
    for number, record in enumerate(records):
        while following is not None and following.first <= number:
            current, following = following, next(waiting, None)
        if current is not None:
            by_record[id(record)] = current
    return by_record


HEARD = {
    "F": (
        functional,
        "linear conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d relu prelu "
        "elu leaky_relu relu6 silu gelu batch_norm layer_norm instance_norm group_norm avg_pool1d "
        "avg_pool2d avg_pool3d max_pool1d max_pool2d max_pool3d adaptive_avg_pool1d "
        "adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d "
        "adaptive_max_pool3d upsample interpolate softmax embedding scaled_dot_product_attention",
    ),
    "torch": (torch, "matmul mm bmm addmm baddbmm mul add einsum"),
    "Tensor": (Tensor, "matmul __matmul__ mm bmm addmm mul add"),
}
"""The functions that counters replace by their own, by the names that conventions use."""


@contextmanager
def heard(recorder: Recorder) -> Iterator[None]:
    """Notes the calls of functions in whose place a counter would put its own.

    By doing the same: what is written as an operator other than ``@``, or was taken from its home
    beforehand, is not heard, as it is not by them.
    """

    def hearing(name: str, function: Any) -> Any:
        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with recorder.heard_as(_sized(name, args, kwargs)):
                return function(*args, **kwargs)

        return call

    with ExitStack() as changes:
        for room, (home, names) in HEARD.items():
            functions = {
                name: hearing(f"{room}.{name}", getattr(home, name)) for name in names.split()
            }
            changes.enter_context(replaced(home, functions))
        yield


def _sized(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """The name, which says of an interpolation whether it is told a size, not a factor."""
    size = kwargs.get("size", args[1] if len(args) > 1 else None)
    if name != "F.interpolate" or size is None:
        return name
    return f"{name}_to_number" if isinstance(size, int) else f"{name}_to_size"


@contextmanager
def hooked(recorder: Recorder, wanted: bool) -> Iterator[list[Hooked]]:
    """Notes every call of a module, in the order in which they end, and functions that are heard.

    The hooks are those that torch keeps for all modules: the model's own are not touched.
    """
    if not wanted:
        yield []
        return
    seen: list[Hooked] = []
    begun: list[tuple[nn.Module, int]] = []
    records, paths = recorder.tape.records, recorder.places.by_identity

    def before(module: nn.Module, _: Any) -> None:
        begun.append((module, len(records)))

    def after(module: nn.Module, args: Any, output: Any) -> None:
        while begun:  # a call that raised, and was caught, has begun and not ended
            begun_module, first = begun.pop()
            if begun_module is module and id(module) in paths:
                path, called = paths[id(module)], recorder.places.of(sys._getframe(1))[0]
                during = tuple(records[first:])
                own = tuple(record for record in during if record.site.place == called)
                shapes = tuple(map(_shape, args))
                seen.append(Hooked(path, called, shapes, _first(output), own, during))
            if begun_module is module:
                return

    handles = (register_module_forward_pre_hook(before), register_module_forward_hook(after))
    try:
        with heard(recorder):
            yield seen
    finally:
        for handle in handles:
            handle.remove()


def _shape(output: Any) -> Shape:
    return tuple(output.shape) if isinstance(output, Tensor) else ()


def _first(output: Any) -> Shape:
    return next((tuple(tensor.shape) for tensor in tensors(output)), ())
