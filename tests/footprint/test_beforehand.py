"""What is there before a run, whoever holds it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import costlab


class Plain:
    def __init__(self, value: Any) -> None:
        self.value = value


class Slots:
    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


@dataclass
class Data:
    value: Any


HOLDERS: dict[str, Callable[[Tensor], Any]] = {
    "dict": lambda k: {"k": k},
    "object": Plain,
    "slots": Slots,
    "list in an object": lambda k: Plain([k]),
    "object in an object": lambda k: Plain({"k": Slots(k)}),
    "dataclass": Data,
    "deque": lambda k: deque([k]),
    "module": lambda k: nn.ParameterList([nn.Parameter(k)]),
}


def first_in(holder: Any) -> Any:
    """The tensor that a holder holds."""
    while not isinstance(holder, Tensor):
        if isinstance(holder, (Plain, Slots, Data)):
            holder = holder.value
        else:
            holder = holder["k"] if isinstance(holder, dict) else holder[0]
    return holder


class Takes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x: Tensor, held: Any) -> Any:
        return self.linear(x) @ first_in(held).mT


class Holds(nn.Module):
    """What its part has, and has not registered, is read by the part."""

    def __init__(self, held: Any) -> None:
        super().__init__()
        self.part = Reads()
        self.part.__dict__["held"] = held  # also a module: it is not to be registered

    def forward(self, x: Tensor) -> Any:
        return self.part(x)


class Reads(nn.Module):
    held: Any

    def forward(self, x: Tensor) -> Any:
        return x @ first_in(self.held).mT


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize("holder", HOLDERS)
def test_a_tensor_is_there_whoever_holds_it(holder: str, real: bool) -> None:
    x, k = torch.rand(3, 4), torch.rand(100, 4)
    given = costlab.memory(Takes(), inputs=(x, HOLDERS[holder](k)), real=real).total
    assert given["inputs_bytes"] == x.nbytes + k.nbytes
    assert given["peak_bytes"] == 4 * (4 * 4 + 4) + x.nbytes + k.nbytes + 4 * (3 * 4 + 3 * 100)
    memory = costlab.memory(Holds(HOLDERS[holder](k)), inputs=x, real=real)
    total, rows = memory.total, memory.records()
    assert (total["params_bytes"], total["buffers_bytes"]) == (0, k.nbytes)
    assert total["peak_bytes"] == k.nbytes + x.nbytes + 4 * 3 * 100
    if holder != "module":  # what modules in lists have has no path
        assert [(row["path"], row["buffers_bytes"]) for row in rows] == [("part", k.nbytes)]


TABLE = torch.rand(100, 4)


class OfClass(nn.Module):
    table = torch.rand(100, 4)

    def forward(self, x: Tensor) -> Any:
        return x @ TABLE.mT + x @ self.table.mT


def test_what_code_reads_from_elsewhere_was_there() -> None:
    """A copy of the model does not have it: it belongs to a module of Python, and to a class."""
    memory = costlab.memory(OfClass(), (3, 4))
    assert memory.total["buffers_bytes"] == TABLE.nbytes + OfClass.table.nbytes


def test_each_piece_of_memory_is_there_once() -> None:
    net = Holds([torch.rand(100, 4)])
    net.part.register_buffer("own", net.part.held[0][:50])
    memory = costlab.memory(net, inputs=net.part.held[0][90:])
    assert (memory.total["buffers_bytes"], memory.total["inputs_bytes"]) == (100 * 4 * 4, 0)


class Appends(nn.Module):
    """As a cache does, in place of what it was given."""

    def __init__(self, kept: bool = False) -> None:
        super().__init__()
        self.kept: Any = torch.rand(100, 4) if kept else None

    def forward(self, x: Tensor, cache: Any = None) -> Any:
        if cache is None:
            self.kept = torch.cat([self.kept, x])
            return self.kept * 2
        cache.value = torch.cat([cache.value, x])
        return cache.value * 2


@pytest.mark.parametrize("real", [False, True])
def test_what_a_run_lets_go_of_is_there_until_then(real: bool) -> None:
    """First the old cache and the new one, 100 and 101 rows; then the new one and the result."""
    x, row = torch.rand(1, 4), 4 * 4
    own = costlab.memory(Appends(kept=True), inputs=x, real=real)
    given = costlab.memory(Appends(), inputs=(x, Plain(torch.rand(100, 4))), real=real)
    for memory in (own, given):
        assert (memory.total["buffers_bytes"], memory.total["inputs_bytes"]) == (0, row)
        assert memory.timeline.live == [100 * row, 201 * row, 202 * row]
        assert memory.total["peak_bytes"] == row + 202 * row


def test_what_symbols_run_on_is_let_go_too() -> None:
    formula = costlab.formula(Appends(kept=True), input_size=("N", 4), quantities="peak_bytes")
    assert str(formula["peak_bytes"]) == "48*N + 3200"


@pytest.mark.parametrize("holder", ["object", "dataclass", "object in an object"])
def test_the_batch_is_that_of_tensors_in_objects_too(holder: str) -> None:
    class Batched(nn.Module):
        def forward(self, x: Tensor, held: Any) -> Any:
            return x + first_in(held)

    held = HOLDERS[holder](torch.rand(2, 100))
    fits = costlab.memory(Batched(), inputs=(torch.rand(2, 100), held), fits=12_000).fits
    assert fits is not None
    assert (fits.batch, fits.peak) == (10, 10 * 1200)
    assert first_in(held).shape == (2, 100)


def test_what_a_part_is_given_in_an_object_wants_a_gradient(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from types import SimpleNamespace as Held\n"
        "from torch import nn\n"
        "class Head(nn.Linear):\n"
        "    def forward(self, held):\n"
        "        return super().forward(held.x)\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.body, self.head = nn.Linear(4, 8), Head(8, 2)\n"
        "    def forward(self, x):\n"
        "        return self.head(Held(x=self.body(x)))\n"
    )
    part = costlab.memory(f"{file}:Net/head", (3, 4), training=True)
    alone = costlab.memory(nn.Linear(8, 2), inputs=torch.rand(3, 8).requires_grad_(), training=True)
    assert part.total == alone.total
