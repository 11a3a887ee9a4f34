"""Activations are what operations compute, however code is spelled; and fvcore's, by a name."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import costlab


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.c = nn.Conv2d(3, 16, 3, padding=1)
        self.h = nn.Linear(16 * 32 * 32, 10)

    def forward(self, x: Tensor) -> Any:
        return self.h(self.c(x).relu().flatten(1))


class Viewed(Plain):
    """The same with a dropout, a permutation, a copy, a slice and an identity more."""

    def __init__(self) -> None:
        super().__init__()
        self.d = nn.Sequential(nn.Dropout(), nn.Identity(), nn.Dropout2d())

    def forward(self, x: Tensor) -> Any:
        x = self.d(torch.relu(self.c(x))).permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
        return self.h(torch.cat([x[:, :8], x[:, 8:]], 1).clone().reshape(x.shape[0], -1))


class InPlace(Plain):
    def forward(self, x: Tensor) -> Any:
        return self.h(nn.functional.relu(self.c(x).relu_(), inplace=True).view(1, -1))


@pytest.mark.parametrize("real", [False, True])
def test_activations_do_not_depend_on_how_code_is_spelled(real: bool) -> None:
    size = (1, 3, 32, 32)
    elements = 16 * 32 * 32
    plain, viewed, in_place = (
        costlab.analyze(kind(), size, real=real) for kind in (Plain, Viewed, InPlace)
    )
    assert plain.total.activations == elements + elements + 10
    assert viewed.total.activations == plain.total.activations
    assert in_place.total.activations == elements + 10
    assert {row.label for row in viewed.rows if not row.activations} >= {
        *("dropout", "permute", "clone", "concat", "reshape"),
    }
    assert {row.activations for row in in_place.rows if row.label == "relu"} == {0}


def test_all_results_of_an_operation_count_once() -> None:
    class Largest(nn.Module):
        def forward(self, x: Tensor) -> Any:
            values, places = x.topk(3)
            return values[:, :2] + places[:, :2]

    table = costlab.analyze(Largest(), (4, 10))
    assert [row.activations for row in table.rows if row.label in ("topk", "add")] == [24, 8]


def test_a_look_up_and_constants_compute_nothing() -> None:
    class Look(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(10, 4)
            self.bias = nn.Parameter(torch.zeros(4))

        def forward(self, x: Tensor) -> Any:
            return self.table(x) + self.bias

    table = costlab.analyze(Look(), (2, 5), input_type="int64")
    assert table.total.activations == 2 * 5 * 4


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("name", ["googlenet", "inception-v3", "resnet50", "mobilenet-v1"])
def test_conv_outputs_are_the_activations_of_fvcore(name: str) -> None:
    fvcore = pytest.importorskip("fvcore.nn")
    logging.getLogger("fvcore").setLevel(logging.ERROR)
    table = costlab.analyze(name)
    analysis = fvcore.ActivationCountAnalysis(
        costlab.build(name).eval(), torch.zeros(table.graph.inputs[0])
    )
    assert table.total.conv_outputs == analysis.total()


def test_a_saved_report_keeps_its_activations(tmp_path: object) -> None:
    from pathlib import Path

    path = Path(str(tmp_path), "saved.json")
    for module in (Plain(), Viewed(), InPlace()):
        table = costlab.analyze(module, (1, 3, 32, 32))
        path.write_text(table.to_json(), encoding="utf-8")
        again = costlab.analyze(str(path))
        assert [row.activations for row in again.rows] == [row.activations for row in table.rows]
        assert again.total.conv_outputs == table.total.conv_outputs
