"""Threads that follow one module take turns."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor, nn

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


def test_a_thread_that_its_own_forward_waits_for_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turns, "LONGEST_WAIT", 0.01)

    class Waiting(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            with ThreadPoolExecutor(1) as other:
                other.submit(library.analyze, self, (1, 3)).result()
            return x

    with pytest.raises(library.TraceError, match="is being followed by another thread"):
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
