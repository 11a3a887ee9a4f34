"""Quantities of cost tables: which layers ``[...]`` means, other tables, and depth."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest

import costlab as library
from costlab.costs.table import CostTable, costs
from costlab.errors import ExpressionError
from costlab.expressions import quantities, tables
from costlab.expressions.parser import condition, number
from costlab.graph import Net
from costlab.ops.conv import Conv
from costlab.ops.dense import Linear
from costlab.ops.elementwise import ReLU

BASE = library.analyze("googlenet")


def value(text: str, table: CostTable = BASE, **others: CostTable) -> Fraction:
    return Fraction(number(text, tables.names(others)).one(tables.values(table, others)))


def named_after_operations() -> CostTable:
    """A scope ``conv`` with a convolution in it, and a scope ``linear`` without a linear layer."""
    net = Net("clash", (1, 4, 8, 8))
    (x,) = net.inputs
    with net.scope("conv"):
        x = net.add("conv", Conv(4, 1), x)
        x = net.add("relu", ReLU(), x)
    with net.scope("linear"):
        x = net.add("conv", Conv(8, 1), x)
        x = net.add("relu", ReLU(), x)
    return costs(net.graph(net.add("fc", Linear(2), x)))


CLASH = named_after_operations()


@pytest.mark.parametrize(
    ("text", "layers"),
    [
        ("conv", ["conv.conv", "linear.conv"]),
        ("conv2d", ["conv.conv", "linear.conv"]),
        ("op.conv", ["conv.conv", "linear.conv"]),
        ("op.linear", ["fc"]),
        ("fc", ["fc"]),
        ('"fc"', ["fc"]),
        ('"conv"', ["conv.conv", "conv.relu"]),
        ('"linear"', ["linear.conv", "linear.relu"]),
        ('"*.conv"', ["conv.conv", "linear.conv"]),
        ("conv.conv", ["conv.conv"]),
        ("conv, op.linear", ["conv.conv", "linear.conv", "fc"]),
        ("conv, conv2d, conv.conv", ["conv.conv", "linear.conv"]),
    ],
)
def test_which_layers_are_meant(text: str, layers: list[str]) -> None:
    by_path = {row.path: row for row in CLASH.rows}
    for name, of in quantities.per_layer().items():
        if name not in ("channels", "kernels"):
            expected = sum(of(by_path[path]) for path in layers)
            assert value(f"{name}[{text}]", CLASH) == expected
    assert value(f"layers[{text}]", CLASH) == len(layers)


def test_a_name_that_means_two_things_is_an_error() -> None:
    with pytest.raises(ExpressionError, match=r"linear is an operation, and also .* \(column 10"):
        value("macs[fc, linear]", CLASH)


def test_a_scope_between_brackets_means_its_layers() -> None:
    part = BASE.at("inception_3a").total
    assert value("macs[inception_3a]") == value('macs["inception_3a.*"]') == part.macs
    branch = BASE.at("inception_3a/branch5x5").total
    assert value("params[inception_3a.branch5x5]") == branch.params
    assert value("macs[inception_3a, inception_3b] - macs[inception_3b]") == part.macs


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("macs + macs[inception_3]", "googlenet has no layer 'inception_3': did you mean 'incep"),
        (
            "macs + macs[cov]",
            "has no layer 'cov': did you mean 'conv' or 'conv2' or 'conv1'? (column 13,",
        ),
        ("macs[op.inception_3a]", "has no layer 'inception_3a'"),
        ('macs[conv, "conv2"] + macs["conf2*"]', "has no layer 'conf2*'"),
        ("base.macs[gelu]", "reduced has no layer 'gelu'"),
    ],
)
def test_layers_in_brackets_that_are_not_there_are_an_error(text: str, said: str) -> None:
    with pytest.raises(ExpressionError) as raised:
        value(text, base=library.analyze("reduced"))
    assert said in str(raised.value)


def test_budgets_can_be_written() -> None:
    budget = condition(
        "macs <= 1.6 G and params < 7 M and macs[inception_3a] <= 130 M"
        " and macs <= 1.02 * base.macs and depth[conv, linear] == 22",
        tables.names(["base"]),
    )
    assert budget.one(tables.values(BASE, {"base": BASE})) is True
    assert budget.one(tables.values(BASE, {"base": library.analyze("reduced")})) is False


def test_layers_without_a_rule_are_named() -> None:
    import torch

    class Net(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            singular: torch.Tensor = torch.linalg.svdvals(x.relu())
            return singular

    table = library.analyze(Net(), (1, 3, 3))
    with pytest.raises(ExpressionError, match=r"has no rule for .* at .* \(column 5"):
        value("1 + macs", table)
    with pytest.raises(ExpressionError, match=r"has no rule for .* at .* \(column 1"):
        value("weights", table)
    assert value("params", table) == 0  # which it has without a rule
    assert value("activations[relu]", table) == 9


def scaled() -> CostTable:
    """A traced module that uses a parameter as a value: a layer that takes nothing."""
    import torch
    from torch import nn

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(4, 4, 1)
            self.scale = nn.Parameter(torch.ones(4, 1, 1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.conv(x) * self.scale
            return out

    return library.analyze(Scaled(), (1, 4, 2, 2))


def test_depth_where_a_parameter_is_a_value() -> None:
    assert value("depth[conv]", scaled()) == 1
    assert value("depth[conv, mul]", scaled()) == 2


def test_a_saved_report_has_the_quantities_of_its_model(tmp_path: Path) -> None:
    table = library.analyze("naive")
    path = tmp_path / "naive.json"
    path.write_text(table.to_json(), encoding="utf-8")
    for text in ("depth", "weights[conv]", "biases[conv2d]", "kernels[branch5x5]", "macs"):
        assert value(text, library.analyze(str(path))) == value(text, table) > 0


def test_depth_of_an_older_report_is_an_error_and_no_guess(tmp_path: Path) -> None:
    path = tmp_path / "naive.json"
    data = json.loads(library.analyze("naive").to_json()) | {"schema": 1}
    del data["graph"]
    for row in data["rows"]:
        row["kernel"] = row.pop("detail")
    path.write_text(json.dumps(data), encoding="utf-8")
    saved = library.analyze(str(path))
    assert value("macs", saved) == library.analyze("naive").total.macs
    with pytest.raises(ExpressionError, match=r"does not say what its layers take \(column 5"):
        value("1 + depth", saved)
