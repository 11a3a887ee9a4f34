"""Bytes that layers read and write: by hand, and those of torch's operations on real tensors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import costlab
from costlab.costs.traffic import _MOVES
from costlab.ops.zero_cost import ZeroCost


class _Traffic(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the bytes of what each operation on real tensors takes and gives; of views none."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.read = self.written = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if not func.is_view:
            taken = {id(leaf): leaf for leaf in tree_leaves(args) if isinstance(leaf, Tensor)}
            self.read += sum(tensor.nbytes for tensor in taken.values())
            self.written += sum(leaf.nbytes for leaf in tree_leaves(result))
        return result


class Mixed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 8, 3), nn.Linear(8 * 6 * 6, 5)
        self.norm = nn.BatchNorm2d(8)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu_(self.norm(self.first(x)))
        y = torch.sigmoid(y) * y + y * y
        y = torch.cat([y, y[:, :2]], 1)[:, :8].clone()
        result: Tensor = self.last(y.flatten(1))
        return result


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("model", ["mixed", "resnet50", "naive"])
def test_traffic_is_that_of_torchs_operations(model: str, dtype: torch.dtype) -> None:
    module: nn.Module
    if model == "mixed":
        module, shape = Mixed(), (2, 3, 8, 8)
    elif model == "naive":
        module, shape = costlab.build("naive", (1, 4, 6, 6)), (1, 4, 6, 6)
        module.branchpool = nn.Identity()  # pooling gives indices too, which nobody asks for
    else:
        module, shape = costlab.build(model, (1, 3, 64, 64)), (1, 3, 64, 64)
        module.pool1 = nn.Identity()
    module = module.to(dtype).eval()
    inputs = torch.zeros(shape, dtype=dtype)
    with torch.no_grad(), _Traffic() as traffic:
        module(inputs)
    total = costlab.analyze(module, inputs=inputs).total
    assert (total.read_bytes, total.written_bytes) == (traffic.read, traffic.written)


class Moving(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(1000, 16)

    def forward(self, ids: Tensor) -> Tensor:
        y = self.table(ids)  # 3×5 rows of 16
        y = y.transpose(0, 1)
        y = y.contiguous()
        z = torch.zeros_like(y)
        z.copy_(y)
        z.fill_(1.0)
        return z.index_select(0, ids[0, :2])


def test_movements_by_hand() -> None:
    """Of a table the rows that are looked up, of a view nothing, of what is overwritten nothing."""
    table = costlab.analyze(Moving(), inputs=torch.zeros(3, 5, dtype=torch.int64))
    whole = 4 * 3 * 5 * 16
    moved = {row.label: (row.read_bytes, row.written_bytes) for row in table.rows}
    assert moved["embedding"] == (8 * 15 + whole, whole)
    assert moved["transpose"] == (0, 0)
    assert moved["contiguous"] == (whole, whole)
    assert moved["copy"] == (whole, whole)
    assert moved["fill"] == (0, whole)
    picked = 4 * 2 * 3 * 16
    assert moved["index_select"] == (picked + 8 * 2, picked)


def test_half_precision_moves_half() -> None:
    full = costlab.analyze(nn.Linear(8, 4), (2, 8)).total
    half = costlab.analyze(nn.Linear(8, 4).bfloat16(), inputs=torch.zeros(2, 8).bfloat16()).total
    assert full.read_bytes == 4 * (8 * 4 + 4 + 2 * 8) == 2 * half.read_bytes
    assert full.written_bytes == 4 * 2 * 4 == 2 * half.written_bytes
    assert full.params_bytes == 4 * (8 * 4 + 4) == 2 * half.params_bytes


def test_buffers_are_those_of_the_module() -> None:
    for name in ("googlenet", "reduced", "resnet50"):
        module = costlab.build(name)
        total = costlab.analyze(name).total
        floats = [buffer.nbytes for buffer in module.buffers() if buffer.is_floating_point()]
        assert total.buffers_bytes == sum(floats)
        assert total.params_bytes == sum(parameter.nbytes for parameter in module.parameters())


def test_a_saved_report_moves_as_much(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    for model in (Moving(), Mixed()):
        ids = isinstance(model, Moving)
        inputs = torch.zeros(3, 5, dtype=torch.int64) if ids else torch.zeros(2, 3, 8, 8)
        table = costlab.analyze(model, inputs=inputs)
        path.write_text(table.to_json(), encoding="utf-8")
        again = costlab.analyze(str(path))
        for row, saved in zip(table.rows, again.rows, strict=True):
            assert (row.read_bytes, row.written_bytes) == (saved.read_bytes, saved.written_bytes)
        assert json.loads(again.to_json())["total"] == json.loads(table.to_json())["total"]


def test_all_movements_are_known() -> None:
    kinds = set()
    waiting: list[Any] = [ZeroCost]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        kinds |= {kind.name} if hasattr(kind, "name") else set()
    assert kinds == _MOVES
