"""Threads that follow models take turns."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from time import sleep
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo import eval_frame
from torch.nn import functional as F

import costlab as library
from costlab.isolation import turns


class Counting(nn.Module):
    """Counts its calls, and fails if it is called twice at once."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(*(nn.Conv2d(3, 3, 3, padding=1) for _ in range(6)))
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        assert self.calls == 1
        return self.inner(x) * self.calls  # type: ignore[no-any-return]


@pytest.fixture
def _many_switches() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("_many_switches")
def test_threads_that_follow_one_module_or_a_part_of_it_take_turns() -> None:
    module = Counting()
    parts: list[nn.Module] = [module, module.inner, module, module.inner] * 20
    alone = {part: library.analyze(part, (1, 3, 8, 8)).total for part in parts[:2]}
    with ThreadPoolExecutor(4) as threads:
        tables = list(threads.map(lambda part: library.analyze(part, (1, 3, 8, 8)), parts))
    assert [table.total.flops for table in tables] == [alone[part].flops for part in parts]
    assert module.calls == 0


class Stepping(nn.Module):
    """Lets other threads go on in the middle."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        sleep(0.01)
        torch.rand(1)
        return self.linear(x)  # type: ignore[no-any-return]


def of_the_process() -> tuple[Any, ...]:
    """What a run changes of it, on shapes, on real tensors or by a counter."""
    return (
        eval_frame._stance,
        torch.backends.mha.get_fastpath_enabled(),
        torch.get_rng_state().tolist(),
        F.linear,
        vars(nn.Module)["__call__"],
    )


@pytest.mark.parametrize("follow", ["shapes", "real", "counters", "memory"])
def test_threads_leave_what_they_share_as_it_was(follow: str) -> None:
    """Where runs overlapped, the second would put back what the first had changed."""

    def run(module: nn.Module) -> None:
        if follow == "counters":
            library.reconcile(module, (1, 2), counters="fvcore,torch")
        elif follow == "memory":
            library.memory(module, (1, 2))
        else:
            library.analyze(module, (1, 2), real=follow == "real")

    modules = [Stepping() for _ in range(6)]
    run(modules[0])
    before = of_the_process()
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(run, modules))
    assert of_the_process() == before


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_process_that_another_thread_forks_in_a_run_has_a_turn() -> None:
    def forked() -> int:
        if child := os.fork():
            return child
        with turns.turn():
            os._exit(0)

    with turns.turn(), ThreadPoolExecutor(1) as other:
        child = other.submit(forked).result()
    assert os.waitpid(child, 0)[1] == 0


def test_a_thread_that_its_own_forward_waits_for_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turns, "LONGEST_WAIT", 0.01)

    class Waiting(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            with ThreadPoolExecutor(1) as other:
                other.submit(library.analyze, self, (1, 3)).result()
            return x

    with pytest.raises(library.TraceError, match="another thread has been following"):
        library.analyze(Waiting(), (1, 3))


def test_a_module_may_follow_itself_and_others() -> None:
    class Measuring(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            macs = library.analyze(self.linear, torch.zeros(2, 3).shape).total.macs
            return self.linear(x) * macs  # type: ignore[no-any-return]

    assert library.analyze(Measuring(), (2, 3)).total.macs == 18
