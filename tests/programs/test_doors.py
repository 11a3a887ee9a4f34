"""What a file says beside the module itself, by the script that tries all networks."""

from __future__ import annotations

from pathlib import Path

import doors
import pytest
import torch
from sampled import sampled
from torch import Tensor, nn

import costlab

pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxscript", reason="onnxscript is not installed")


class Net(nn.Module):
    """Two batch norms that are folded, into layers with and without bias, and one that is not."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8)
        self.last, self.other = nn.Conv2d(8, 4, 1), nn.BatchNorm2d(4)
        self.late = nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.other(self.last(self.norm(self.first(x)).relu()))
        result: Tensor = self.late(x.relu())
        return result


def test_each_door_says_the_same_and_foldings_are_named(tmp_path: Path) -> None:
    made = doors.Network(doors.with_values(Net()), (torch.zeros(1, 3, 8, 8),))
    followed = made.followed()
    written = doors.written(made, tmp_path)
    tables = {kind: costlab.analyze(str(file)) for kind, file in written.items()}
    folded = f"batch norms folded: {-(16 - 8 + 8)} params"
    assert {kind: doors.differences(followed, table) for kind, table in tables.items()} == {
        "pt2": "same",
        "onnx": "same",
        **dict.fromkeys(("optimised", "older"), folded),
    }
    other = costlab.analyze(nn.Conv2d(3, 8, 3), inputs=made.args)
    assert doors.differences(other, tables["pt2"]).startswith("MACs +1,152, params +60, outputs [(")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sampled(doors.names()))
def test_a_network_costs_the_same_by_each_door(name: str) -> None:
    """But for what an exporter has changed, which is recorded: docs/modules.md names it."""
    assert list(doors.compared(name)) == doors.recorded(name)
