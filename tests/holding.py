"""What a module holds when it runs for real: counted on real tensors of the CPU, by polling.

It shares nothing with costlab/footprint: after each operation it asks each storage that any
operation has given whether it is still there, and adds up those that are.

The table of docs/memory.md, some minutes: python tests/holding.py [NAME ...]
"""

from __future__ import annotations

import gc
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import cache
from itertools import accumulate
from typing import Any, NamedTuple

import torch
from collection import REPRESENTATIVE, built, size
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import costlab


class Real(NamedTuple):
    """Bytes of a run: at most at once, of gradients, and kept for the backward pass."""

    peak: int
    gradients: int
    saved: int


def storages(tensor: Tensor) -> list[Any]:
    """The pieces of memory that a tensor lies in: of a sparse one its places and its values."""
    if tensor.layout is torch.sparse_coo:
        return [part.untyped_storage() for part in (tensor._indices(), tensor._values())]
    return [tensor.untyped_storage()]


class _Polling(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, beforehand: list[Tensor], in_place: bool = False) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.in_place = in_place
        """Whether gradients are added in place, as autograd does if nobody watches it."""
        self.beforehand = {own._cdata for tensor in beforehand for own in storages(tensor)}
        self.alive: dict[int, tuple[StorageWeakRef, int]] = {}
        self.peak = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if self.in_place and func is _ADD and _is_autograds_own(*args):
            func = torch.ops.aten.add_.Tensor
        result = func(*args, **(kwargs or {}))
        self.alive = {
            key: (ref, size)
            for key, (ref, size) in self.alive.items()
            if not ref.expired()  # type: ignore[no-untyped-call]
        }
        for tensor in tree_leaves(result):
            for storage in storages(tensor) if isinstance(tensor, Tensor) else ():
                if storage._cdata not in self.beforehand:
                    ref = StorageWeakRef(storage)  # type: ignore[no-untyped-call]
                    self.alive[storage._cdata] = ref, storage.nbytes()
        self.peak = max(self.peak, sum(size for _, size in self.alive.values()))
        return result


_ADD = torch.ops.aten.add.Tensor


def _is_autograds_own(gradient: Tensor, *_: Any) -> bool:
    """Whether a sum in the backward pass is of gradients, of which the first has no other use."""
    if torch._C._current_autograd_node() is None:
        return False
    storage = gradient.untyped_storage()  # which counts as a use too
    return bool(torch._C._storage_Use_Count(storage._cdata) == 2)


@contextmanager
def _no_collections() -> Any:
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@cache
def _first_calls() -> None:
    """The first calls in a process import things, and errors on the way keep what they met."""
    with torch.no_grad(), _Polling([]):
        nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1), nn.ReLU(inplace=True)).eval()(
            torch.zeros(1, 1, 2, 2)
        )


def added_up(result: Any) -> Tensor:
    """The sum of all that a module gives that learns."""
    leaves = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
    sums = [leaf.sum() for leaf in leaves if leaf.requires_grad]
    total: Tensor = sums[0]
    for more in sums[1:]:
        total = total + more
    return total


def _saved(module: nn.Module, args: Any, kwargs: Any, beforehand: list[Tensor]) -> int:
    """The bytes of the unique storages that torch's own hooks on saved tensors see."""
    own = {storage._cdata for tensor in beforehand for storage in storages(tensor)}
    kept: dict[int, Any] = {}

    def pack(tensor: Tensor) -> Tensor:
        for storage in storages(tensor):
            if storage._cdata not in own:
                kept[storage._cdata] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = module(*args, **kwargs)
    del result
    return sum(storage.nbytes() for storage in kept.values())


def for_real(
    module: nn.Module,
    *args: Any,
    training: bool = False,
    **kwargs: Any,
) -> Real:
    """Run a copy of the module on real tensors; in training backward from its outputs."""
    _first_calls()
    module = deepcopy(module).train(training)
    beforehand = [*module.parameters(), *module.buffers()]
    beforehand += [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    polling = _Polling(beforehand)
    with torch.random.fork_rng(), _no_collections(), torch.set_grad_enabled(training):
        with polling:
            if not training:
                module(*args, **kwargs)
                return Real(polling.peak, 0, 0)
            result = module(*args, **kwargs)
            added_up(result).backward()  # type: ignore[no-untyped-call]
        gradients = [p.grad for p in module.parameters() if p.grad is not None]
        sizes = {g.untyped_storage()._cdata: g.untyped_storage().nbytes() for g in gradients}
        module.zero_grad()
        saved = _saved(module, args, kwargs, beforehand)
        return Real(polling.peak, sum(sizes.values()), saved)


def peak_in_place(module: nn.Module, inputs: Tensor) -> int:
    """The peak of a training step whose gradients are added in place where that can be."""
    module = deepcopy(module).train()
    polling = _Polling([*module.parameters(), *module.buffers(), inputs], in_place=True)
    with torch.random.fork_rng(), _no_collections(), polling:
        result = module(inputs)
        added_up(result).backward()  # type: ignore[no-untyped-call]
    return polling.peak


class Profile(NamedTuple):
    """What torch's profiler sees allocated, at most, and what that is of, in bytes."""

    peak: int
    tensors: int
    """The most of what outlives the operation that takes it: of tensors."""
    then: int
    """What of that is there at the peak."""
    kernels: dict[str, int]
    """By operation what is there at the peak, and given back before the operation ends."""


class _Names(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """The names of all operations that are dispatched."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: set[str] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.names.add(func._schema.name)
        return func(*args, **(kwargs or {}))


class _Allocation(NamedTuple):
    start: int
    size: int
    address: int
    operation: str
    until: int
    """When the operation ended that it was made in."""


def by_profiler(module: nn.Module, inputs: Tensor, training: bool) -> Profile:
    """A run under torch's profiler, whose memory is that of kernels too."""
    module = deepcopy(module).train(training)

    def run() -> None:
        result = module(inputs)
        if training:
            added_up(result).backward()  # type: ignore[no-untyped-call]
            module.zero_grad()

    with _no_collections(), torch.set_grad_enabled(training):
        with _Names() as seen:
            run()
        with torch.profiler.profile(profile_memory=True, acc_events=True) as profiler:
            run()
    assert profiler.profiler is not None
    results: Any = profiler.profiler.kineto_results
    made: list[_Allocation] = []

    def walk(event: Any, operation: str, until: int) -> None:
        if event.tag.name == "Allocation":
            fields = event.extra_fields
            made.append(
                _Allocation(event.start_time_ns, fields.alloc_size, fields.ptr, operation, until)
            )
        elif not operation and event.name in seen.names:
            operation, until = event.name, event.end_time_ns
        for child in event.children:
            walk(child, operation, until)

    for event in results.experimental_event_tree():
        walk(event, "", 0)
    open_ones: dict[int, _Allocation] = {}
    pieces: list[tuple[_Allocation, float]] = []
    for one in sorted(made):
        if one.size > 0:
            open_ones[one.address] = one
        elif one.address in open_ones:
            pieces.append((open_ones.pop(one.address), one.start))
    pieces += [(one, float("inf")) for one in open_ones.values()]
    own = {one for one, end in pieces if end <= one.until}  # a kernel's
    peak, moment = _most(pieces)
    there = [one for one, end in pieces if one.start <= moment < end]
    kernels: dict[str, int] = {}
    for one in there:
        if one in own:
            kernels[one.operation] = kernels.get(one.operation, 0) + one.size
    tensors, _ = _most([(one, end) for one, end in pieces if one not in own])
    return Profile(peak, tensors, peak - sum(kernels.values()), kernels)


def _most(pieces: list[tuple[_Allocation, float]]) -> tuple[int, float]:
    """The most that is there at once, and when."""
    changes = [(float(one.start), one.size) for one, _ in pieces]
    changes += [(end, -one.size) for one, end in pieces]
    changes.sort()
    sums = list(accumulate(size for _, size in changes))
    most = max(sums)
    return most, changes[sums.index(most)][0]


def by_mem_tracker(module: nn.Module, inputs: Tensor, training: bool) -> int | None:
    """The peak of torch's MemTracker, without what was there; None where it cannot follow."""
    from torch.distributed._tools.mem_tracker import MemTracker

    module = deepcopy(module).train(training)
    tracker = MemTracker()
    beforehand = {
        tensor.untyped_storage()._cdata: tensor.untyped_storage().nbytes()
        for tensor in (*module.parameters(), *module.buffers(), inputs)
    }
    try:
        tracker.track_external(module, inputs)
        with torch.set_grad_enabled(training), tracker:
            result = module(inputs)
            if training:
                added_up(result).backward()  # type: ignore[no-untyped-call]
    except Exception:
        return None
    snapshot = tracker.get_tracker_snapshot("peak")
    peak: int = snapshot[torch.device("cpu")]["Total"]
    return peak - sum(beforehand.values())


def _networks(names: list[str]) -> Iterator[tuple[str, nn.Module, tuple[int, ...]]]:
    """Networks of costlab's catalog and ``pytorchcv:NAME`` with all-zero tensors, batch 2."""
    for name in names:
        home, _, name_there = name.rpartition(":")
        if not home:
            shape = (2, *costlab.analyze(name).graph.inputs[0][1:])
            yield name, costlab.build(name, shape), shape
        else:
            module = built(name_there)
            shape = (2, *size(module)[1:])
            module = module.to_empty(device="cpu")
            for tensor in (*module.parameters(), *module.buffers()):
                tensor.data.zero_()
            yield f"{name_there} ({home})", module, shape


CATALOG = [
    *("googlenet", "inception-v3", "resnet50", "mobilenet-v1", "xception", "naive", "reduced"),
    *("alexnet", "vgg16"),
]
OTHERS = [f"pytorchcv:{name}" for name in REPRESENTATIVE]


def main() -> None:
    print(
        "| network, batch 2 | run | measured | ours | difference | profiler | of it tensors | "
        "of kernels, at its peak | added in place | residual | MemTracker |"
    )
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | --- | ---: | ---: | ---: |")
    for name, module, shape in _networks(sys.argv[1:] or [*CATALOG, *OTHERS]):
        for training, run in ((False, "inference"), (True, "training")):
            measured = for_real(module, torch.zeros(shape), training=training)
            total = costlab.memory(module, shape, training=training).total
            ours = total["peak_tensors_bytes"]
            assert measured[1:] == (total["gradients_bytes"], total["saved_bytes"])
            profile = by_profiler(module, torch.zeros(shape), training)
            kernels = ", ".join(
                f"{name.removeprefix('aten::')} {size:,}" for name, size in profile.kernels.items()
            )
            in_place = peak_in_place(module, torch.zeros(shape)) - ours if training else 0
            tracked = by_mem_tracker(module, torch.zeros(shape), training)
            error = "-" if tracked is None else f"{100 * (tracked - ours) / ours:+.1f} %"
            line = (
                f"| {name} | {run} | {measured.peak:,} | {ours:,} | {ours - measured.peak:,} | "
                f"{profile.peak:,} | {profile.then:,} | {kernels} | {in_place:,} | "
                f"{profile.tensors - ours - in_place:,} | {error} |"
            )
            print(line.replace("|  |", "| |").replace("+0.0 %", "0.0 %"), flush=True)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
