"""What a training step costs: in tables, formulas, sweeps, saved reports and exports."""

from __future__ import annotations

import csv
import io
import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from sampled import LARGE, without
from torch import Tensor, nn
from training import by_torch, with_torchs_fault

import costlab
from costlab.cli.commands import cli
from costlab.costs.table import CostTable
from costlab.errors import ChoiceError
from costlab.graph.opcount import OpCount

KEYS = (
    *("input_gradient_macs", "weight_gradient_macs", "training_macs"),
    *("input_gradient_other", "weight_gradient_other", "training_other", "training_flops"),
)


def analyzed(model: str) -> CostTable:
    return costlab.analyze(model, training_cost=True)


def test_the_branches_of_the_two_modules_by_hand() -> None:
    """The input is an image: its gradient is not computed, that of the reduced one is."""
    naive, reduced = analyzed("naive/branch5x5").total, analyzed("reduced/branch5x5").total
    assert naive.macs == naive.weight_gradient_macs == 120_422_400
    assert naive.input_gradient_macs == 0
    assert reduced.macs == reduced.weight_gradient_macs == 12_443_648
    assert reduced.input_gradient_macs == (28 * 28 * 32) * (5 * 5 * 16)
    assert naive.training_macs == 240_844_800
    assert reduced.training_macs == 2 * 12_443_648 + 10_035_200


@pytest.mark.parametrize("model", without(LARGE[1:], costlab.architectures()))
def test_a_step_of_an_architecture_is_what_torch_counts_through_backward(model: str) -> None:
    """Of the built module, on `meta`; but for its fault of grouped convolutions."""
    table = analyzed(model)
    inputs = [torch.empty(shape) for shape in table.graph.inputs]
    assert with_torchs_fault(table) == by_torch(costlab.build(model), *inputs)


@pytest.mark.parametrize("model", ["googlenet", "reduced", "mobilenet-v1", "xception"])
def test_a_built_module_traced_says_the_same(model: str) -> None:
    table = analyzed(model)
    traced = costlab.analyze(costlab.build(model), table.graph.inputs[0], training_cost=True)
    for ours, theirs in zip(table.rows, traced.rows, strict=True):
        assert (ours.path, ours.backward) == (theirs.path, theirs.backward)


def test_a_part_of_a_network_sends_gradients_back_to_what_was_before_it() -> None:
    whole, part = analyzed("googlenet"), analyzed("googlenet/inception_4a")
    inside = [row for row in whole.rows if row.path.startswith("inception_4a.")]
    assert part.total.input_gradient_macs == sum(row.input_gradient_macs for row in inside)
    assert part.total.input_gradient_macs == part.total.macs
    first = analyzed("googlenet/conv1").total
    assert (first.input_gradient_macs, first.weight_gradient_macs) == (0, first.macs)


def test_formula_and_sweep_say_what_the_table_says() -> None:
    formula = costlab.formula("reduced", "c5r", training_cost=True)
    frame = costlab.sweep("reduced", {"c5r": "8:24:8"}, training_cost=True)
    for c5r, *swept in frame[["c5r", *KEYS]].itertuples(index=False):
        total = costlab.analyze("reduced", training_cost=True, c5r=c5r).total
        expected = [getattr(total, key) for key in KEYS]
        assert swept == expected
        at = formula.at(C=192, H=28, W=28, c5r=c5r)
        assert [at[key] for key in KEYS] == expected


def test_a_sweep_can_be_ordered_by_it() -> None:
    best = costlab.sweep(
        "reduced",
        {"c5r": "8:64:8"},
        where="weight_gradient_macs > 130e6",
        minimize="training_macs",
        top=1,
        training_cost=True,
    )
    assert best["c5r"].tolist() == [24]


def test_exports_have_it() -> None:
    table = analyzed("reduced")
    data, total = json.loads(table.to_json()), table.total
    assert data["total"]["macs"] == 128_049_152
    assert data["total"]["input_gradient_macs"] == 96_739_328
    assert data["total"]["weight_gradient_macs"] == 128_049_152
    rows = list(csv.DictReader(io.StringIO(table.to_csv())))
    for key in KEYS:
        assert sum(row[key] for row in data["rows"]) == data["total"][key]
        assert sum(int(row[key]) for row in rows) == getattr(total, key)
    conv = next(row for row in rows if row["path"] == "branch5x5.conv")
    assert conv["input_gradient_derivation"] == "(28*28*32)*(5*5*16)"
    assert conv["weight_gradient_derivation"] == "(32*5*5*16)*(28*28)"
    assert any("weight-grad MACs = " in sentence for sentence in data["units"])


def test_nobody_sees_it_who_does_not_ask() -> None:
    data = json.loads(costlab.analyze("reduced").to_json())
    assert not {*KEYS} & {*data["total"], *data["rows"][0]}
    assert "gradients" not in data["graph"]["layers"][0]


def test_a_saved_report_has_it_if_it_was_saved_with_it(tmp_path: Path) -> None:
    with_it, without = tmp_path / "with.json", tmp_path / "without.json"
    with_it.write_text(analyzed("googlenet").to_json(), encoding="utf-8")
    without.write_text(costlab.analyze("googlenet").to_json(), encoding="utf-8")
    again = costlab.analyze(str(with_it), training_cost=True)
    assert [row.backward for row in again.rows] == [
        row.backward for row in analyzed("googlenet").rows
    ]
    assert costlab.analyze(f"{with_it}/inception_4a", training_cost=True).total.training_macs == (
        analyzed("googlenet/inception_4a").total.training_macs
    )
    unknown = costlab.analyze(str(without), training_cost=True)
    assert unknown.total.backward_bound == "at least"
    assert {row["training_macs"] for row in unknown.data()["rows"] if row["macs"]} == {None}


def test_a_table_without_it_cannot_be_asked_for_it() -> None:
    with pytest.raises(ChoiceError, match="without training_cost"):
        costlab.analyze(costlab.analyze("naive"), training_cost=True)


@pytest.mark.parametrize(
    "call",
    [
        ("show", "reduced"),
        ("formula", "reduced"),
        ("sweep", "reduced", "--vary", "c5r=8,16"),
    ],
    ids=lambda call: str(call[0]),
)
def test_the_command_line_has_it(call: tuple[str, ...]) -> None:
    asked = CliRunner().invoke(cli, [*call, "--training-cost"])
    assert asked.exit_code == 0
    assert "weight-grad MACs" in " ".join(asked.output.split())
    assert "weight-grad" not in CliRunner().invoke(cli, call).output


class _Shared(nn.Module):
    """A tensor, a weight and halves that several operations take; none has other operations."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.same, self.other = (nn.Conv2d(4, 4, 1, bias=False) for _ in range(3))
        self.narrow = nn.Conv2d(2, 4, 1, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.first(x)
        y = x + self.same(self.same(x)) + self.other(x)
        left, right = y.chunk(2, 1)
        return torch.cat([self.narrow(left), self.narrow(right)], 1), y


def _joins(result: tuple[Tensor, ...]) -> int:
    """Additions of gradients that meet, by autograd's own graph."""
    edges: Counter[Any] = Counter((tensor.grad_fn, tensor.output_nr) for tensor in result)
    seen: set[Any] = {tensor.grad_fn for tensor in result}
    todo = list(seen)
    while todo:
        for node, position in todo.pop().next_functions:
            if node is not None:
                edges[node, position] += 1
                if node not in seen:
                    seen.add(node)
                    todo.append(node)
    size = {
        (node, at): node.variable.numel()
        if hasattr(node, "variable")
        else math.prod(node._input_metadata[at].shape)
        for node, at in edges
    }
    return sum((times - 1) * size[edge] for edge, times in edges.items())


def test_gradients_that_meet_are_added() -> None:
    x = torch.empty(2, 4, 3, 3)
    total = costlab.analyze(_Shared(), inputs=(x,), training_cost=True).total
    assert total.input_gradient_ops == OpCount(add=3 * 72)  # of x twice, and of y, returned
    assert total.weight_gradient_ops == OpCount(add=16 + 8)
    assert _joins(_Shared()(x)) == total.input_gradient_other + total.weight_gradient_other


def test_other_operations_of_a_step_by_hand() -> None:
    """5×5 with a bias, of 192 channels; batch norm; its bias and scale are learnt, its input is."""
    total = analyzed("naive/branch5x5").total
    n, channels = 28 * 28 * 32, 32
    assert total.input_gradient_ops == OpCount(mul=n)  # dx = dy·scale of the norm
    of_norm = OpCount(mul=n + channels, add=2 * n - channels) + OpCount(add=n - channels)
    assert total.weight_gradient_ops == of_norm + OpCount(add=n - channels)
    assert total.training_other == 3 * n + n + 2 * n - channels + n + channels + 2 * (n - channels)
    assert total.training_flops == 2 * 240_844_800 + total.training_other


def test_a_backward_pass_without_a_rule_is_a_lower_bound() -> None:
    class Unruled(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.sgn(torch.complex(x, x)).real.relu()

    x = torch.ones(2, 3, requires_grad=True)
    table = costlab.analyze(Unruled(), inputs=(x,), training_cost=True)
    assert table.total.backward_ops_bound == "at least"
    assert not table.total.backward_bound
    assert not table.complete
    text = " ".join(table.to_text().split())
    assert "Other operations: at least 30: 18 forward, 12 for the gradients of inputs" in text
    assert "Not in it, without a rule: the backward pass of 1 layer (sgn)." in text
