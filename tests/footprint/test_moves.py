"""What operations read and write, and what their kernels take beside tensors."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import costlab


@pytest.mark.parametrize("name", ["naive", "vgg16", "mobilenet-v1"])
def test_bytes_that_are_read_and_written_are_those_of_the_table(name: str) -> None:
    """But for the places that torch's max pooling gives beside its result, 8 bytes each."""
    memory, table = costlab.memory(name), costlab.analyze(name)
    rows = {row.path: row for row in table.rows}
    for layer in memory.timeline.layers():
        row = rows[layer.path]
        assert layer.read == row.read_bytes
        places = 2 * row.written_bytes * (row.layer.op.name == "max_pool")
        assert layer.written == row.written_bytes + places
    total = memory.total
    assert total["read_bytes"] == sum(row["read_bytes"] for row in memory.records())
    assert total["written_bytes"] == sum(row["written_bytes"] for row in memory.records())


class Moves(nn.Module):
    def forward(self, x: Tensor, table: Tensor) -> Tensor:
        rows = table[torch.zeros(5, dtype=torch.int64)]  # 40 bytes, and 5 rows of 16
        room = torch.empty(5, 4).copy_(rows)  # of which nothing is read
        square = room * room  # one tensor, once
        return square.view(-1).relu_() + x


def test_what_is_overwritten_looked_up_or_viewed_is_not_read() -> None:
    total = costlab.memory(Moves(), inputs=(torch.zeros(20), torch.zeros(9, 4))).total
    assert total["read_bytes"] == (40 + 80) + 80 + 80 + 80 + 2 * 80
    assert total["written_bytes"] == 40 + 80 + 80 + 80 + 80 + 80


def test_what_kernels_take_beside_tensors_is_named_by_layer() -> None:
    def beside(training: bool, **how: Any) -> dict[str, list[tuple[str, int | None]]]:
        memory = costlab.memory("reduced/branch5x5", training=training, **how)
        by_kind: dict[str, list[tuple[str, int | None]]] = {}
        for path, what, size in memory.held.beside:
            by_kind.setdefault(what, []).append((path, size))
        assert memory.data()["beside"] == [one._asdict() for one in memory.held.beside]
        return by_kind

    convolutions = [("reduce", None), ("conv", None)]
    assert beside(False) == {
        "weights and inputs that oneDNN reorders": convolutions,
        "two buffers of batch norm, 8 bytes for each channel": [("reduce_bn", 128), ("bn", 256)],
    }
    assert beside(True) == {
        "weights and inputs that oneDNN reorders": convolutions,
        "workspaces of batch norm's backward pass": [("bn", None), ("reduce_bn", None)],
    }
    linear = nn.Linear(4, 4)
    full, half = (costlab.memory(linear, (2, 4), dtype=dtype) for dtype in ("", "bfloat16"))
    assert full.held.beside == ()
    assert [one.what for one in half.held.beside] == ["workspaces of products in half precision"]
    text = " ".join(str(half).split())
    assert "workspaces of products in half precision (in 1 layer): not known" in text
