"""The largest batch that fits: by a formula in it where there is one, and of given inputs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import costlab
from costlab.footprint.batches import Line, Peak, highest
from costlab.footprint.largest import largest


def needed(batch: int) -> int:
    """Straight pieces: 10 for each of the first 7, then 25."""
    return 100 + 10 * batch + 15 * max(batch - 7, 0)


@pytest.mark.parametrize("start", [1, 2, 7, 50])
def test_the_largest_batch_is_that_of_trying_all(start: int) -> None:
    for size in range(100, 700, 7):
        asked: list[int] = []

        def ask(batch: int, asked: list[int] = asked) -> int:
            asked.append(batch)
            return needed(batch)

        best = largest(ask, size, start)
        assert best == max((batch for batch in range(1, 60) if needed(batch) <= size), default=0)
        assert best + 1 in asked
        assert len(set(asked)) <= 12


@pytest.mark.parametrize("how", [{}, {"training": True, "optimizer": "adamw"}])
def test_the_largest_batch_of_a_network(how: dict[str, Any]) -> None:
    memory = costlab.memory("reduced", fits="64M", **how)
    assert memory.fits is not None
    size, batch, peak, next_peak, alternatives, formula = memory.fits
    assert size == 64_000_000
    assert memory.input == ((batch, 192, 28, 28),)
    sizes = [(count, 192, 28, 28) for count in (batch, batch + 1)]
    assert [peak, next_peak] == [costlab.memory("reduced", s, **how).peak_bytes for s in sizes]
    assert peak <= size < next_peak
    assert memory.peak_bytes == peak
    assert formula is not None
    for count in (3, 7):
        assert (
            formula.at(count) == costlab.memory("reduced", (count, 192, 28, 28), **how).peak_bytes
        )
    assert f"fits into 64,000,000 bytes is {batch}" in " ".join(memory.to_text().split())
    changed: dict[str, Any] = {
        "sgd in place of adamw": how | {"optimizer": "sgd"},
        "all numbers in bfloat16": how | {"dtype": "bfloat16"},
    }
    assert [other.what for other in alternatives] == list(changed)[not how :]
    for what, best, peak in alternatives:
        sizes = [(count, 192, 28, 28) for count in (best, best + 1)]
        peaks = [costlab.memory("reduced", s, **changed[what]).peak_bytes for s in sizes]
        assert peaks[0] == peak <= size < peaks[1]
    part = costlab.memory("reduced/branch5x5", fits="64M", **how)
    assert part.fits is not None
    assert part.fits.batch > batch


class Halves(nn.Module):
    """Large batches are computed in two parts."""

    def forward(self, x: Tensor) -> Tensor:
        if len(x) < 20:
            return x.exp()
        return torch.cat([part.exp() for part in x.chunk(2)])


def test_where_a_formula_does_not_hold_batches_are_run() -> None:
    fits = costlab.memory(Halves(), (1, 100), fits="20K").fits
    assert fits is not None
    assert fits.formula is None
    peaks = [costlab.memory(Halves(), (batch, 100)).peak_bytes for batch in range(1, 30)]
    batches = [batch for batch, peak in enumerate(peaks, 1) if peak <= 20_000]
    assert fits.batch in batches
    assert fits.batch + 1 not in batches
    few = costlab.memory(Halves(), (1, 100), fits="10K")
    assert few.fits is not None
    assert few.fits.formula is not None
    assert "12 and 13 were run, too" in " ".join(few.to_text().split())


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 9)), min_size=1, max_size=8))
def test_the_peak_is_the_highest_of_all_lines(numbers: list[tuple[int, int]]) -> None:
    lines = [Line(*both) for both in numbers]
    peak = Peak(tuple(highest(lines)))
    most = [max(line.at(batch) for line in lines) for batch in range(1, 80)]
    assert [peak.at(batch) for batch in range(1, 80)] == most
    assert all(any(line.at(n) == high for n, high in enumerate(most, 1)) for line in peak.lines)
    if any(line.each for line in lines):
        assert peak.largest(70) == sum(high <= 70 for high in most)


class Blocks(nn.Module):
    """Two blocks in a row; ``again`` has them computed again."""

    def __init__(self, again: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(8, 64), nn.GELU(), nn.Linear(64, 8)) for _ in range(2)
        )
        self.again = again

    def forward(self, x: Tensor) -> Any:
        for block in self.blocks:
            x = checkpoint(block, x, use_reentrant=False) if self.again else block(x)
        return x


def test_checkpointed_blocks_are_those_of_torch() -> None:
    fits = costlab.memory(Blocks(again=False), (2, 8), training=True, fits="100K").fits
    assert fits is not None
    (other,) = [one for one in fits.alternatives if one.what == "each block checkpointed"]
    assert other.batch > fits.batch
    explicit = costlab.memory(Blocks(again=True), (other.batch, 8), training=True)
    assert explicit.peak_bytes == other.peak


def test_the_batches_of_the_docs() -> None:
    page = (Path(__file__).parents[2] / "docs" / "memory.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| ([\d,]+) \| ([\d,]+) \|$", page, re.MULTILINE)
    assert len(rows) == 6
    for batch, *printed in rows:
        for model, number in zip(("naive", "reduced"), printed, strict=True):
            size = (int(batch), 192, 28, 28)
            memory = costlab.memory(f"{model}/branch5x5", size, training=True)
            assert f"{memory.peak_bytes:,}" == number


class OfDict(nn.Module):
    """Takes a dict, with whole numbers that say what to do."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(10, 8)

    def forward(self, given: dict[str, Any]) -> Any:
        x = self.embedding(given["ids"]) * given["scale"][:, None, None] * given["all"]
        return x.relu() if int(given["ids"][0, 0]) == 3 else x


def of_dict(batch: int) -> tuple[dict[str, Any]]:
    ids = torch.tensor([[3, 4], [5, 6]]).repeat(batch, 1)[:batch].clone()
    return ({"ids": ids, "scale": torch.ones(batch), "all": torch.tensor(2.0)},)


@pytest.mark.parametrize("real", [False, True])
def test_the_batch_of_given_inputs_is_what_they_share(real: bool) -> None:
    model = OfDict()
    fitting = costlab.memory(model, inputs=of_dict(2), fits="20K", real=real)
    fits = fitting.fits
    assert fits is not None
    assert fits.peak <= 20_000 < fits.next_peak
    for batch, peak in ((fits.batch, fits.peak), (fits.batch + 1, fits.next_peak)):
        assert costlab.memory(model, inputs=of_dict(batch), real=real).peak_bytes == peak
