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


class _Polling(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, beforehand: list[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.beforehand = {tensor.untyped_storage()._cdata for tensor in beforehand}
        self.alive: dict[int, tuple[StorageWeakRef, int]] = {}
        self.peak = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        self.alive = {
            key: (ref, size)
            for key, (ref, size) in self.alive.items()
            if not ref.expired()  # type: ignore[no-untyped-call]
        }
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                if storage._cdata not in self.beforehand:
                    ref = StorageWeakRef(storage)  # type: ignore[no-untyped-call]
                    self.alive[storage._cdata] = ref, storage.nbytes()
        self.peak = max(self.peak, sum(size for _, size in self.alive.values()))
        return result


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
    own = {tensor.untyped_storage()._cdata for tensor in beforehand}
    kept: dict[int, Any] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
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
        storages = {g.untyped_storage()._cdata: g.untyped_storage().nbytes() for g in gradients}
        module.zero_grad()
        saved = _saved(module, args, kwargs, beforehand)
        return Real(polling.peak, sum(storages.values()), saved)


def by_profiler(module: nn.Module, inputs: Tensor, training: bool) -> int:
    """The peak of what torch's profiler sees allocated during a run, by kernels too."""
    module = deepcopy(module).train(training)
    with _no_collections(), torch.set_grad_enabled(training):
        with torch.profiler.profile(profile_memory=True, acc_events=True) as profiler:
            result = module(inputs)
            if training:
                added_up(result).backward()  # type: ignore[no-untyped-call]
        assert profiler.profiler is not None
        results: Any = profiler.profiler.kineto_results
        changes = [
            (event.start_ns(), event.nbytes())
            for event in results.events()
            if event.name() == "[memory]"
        ]
    changes.sort(key=lambda change: change[0])
    most: int = max(accumulate(size for _, size in changes))
    return most


def _networks(names: list[str]) -> Iterator[tuple[str, nn.Module, tuple[int, ...]]]:
    """Networks of costlab's catalog and of pytorchcv with all-zero tensors, batch 2."""
    for name in names:
        if name in costlab.architectures():
            shape = (2, *costlab.analyze(name).graph.inputs[0][1:])
            yield name, costlab.build(name, shape), shape
        else:
            module = built(name)
            shape = (2, *size(module)[1:])
            module = module.to_empty(device="cpu")
            for tensor in (*module.parameters(), *module.buffers()):
                tensor.data.zero_()
            yield f"{name} (pytorchcv)", module, shape


CATALOG = ["googlenet", "inception-v3", "resnet50", "mobilenet-v1", "xception", "naive", "reduced"]


def main() -> None:
    print("| network, batch 2 | run | measured | ours | difference | profiler | it adds |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for name, module, shape in _networks(sys.argv[1:] or [*CATALOG, *REPRESENTATIVE]):
        for training, run in ((False, "inference"), (True, "training")):
            measured = for_real(module, torch.zeros(shape), training=training)
            total = costlab.memory(module, shape, training=training).total
            ours = total["peak_tensors_bytes"]
            assert measured[1:] == (total["gradients_bytes"], total["saved_bytes"])
            profiler = by_profiler(module, torch.zeros(shape), training)
            print(
                f"| {name} | {run} | {measured.peak:,} | {ours:,} | {ours - measured.peak:,} | "
                f"{profiler:,} | {100 * (profiler - ours) / ours:.1f} % |",
                flush=True,
            )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
