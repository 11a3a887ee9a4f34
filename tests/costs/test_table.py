"""Cost tables: their columns add up, and a derivation is its count."""

from __future__ import annotations

import csv
import io
import json
import re
from fractions import Fraction

import pytest
from torch import Tensor, nn

import costlab
from costlab.costs.table import costs
from costlab.graph import Net
from costlab.ops.conv import Conv
from costlab.ops.elementwise import ReLU

MODELS = ["pointwise", "naive", "reduced", "googlenet", "googlenet(aux=True)"]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("depth", [1, None])
def test_csv_columns_add_up_to_the_total(model: str, depth: int | None) -> None:
    table = costlab.analyze(model)
    records = list(csv.DictReader(io.StringIO(table.to_depth(depth).to_csv())))
    for name in ("macs", "mul", "add", "cmp", "div", "special", "other", "flops"):
        assert sum(int(record[name]) for record in records) == getattr(table.total.count, name)
    for name in ("params", "activations"):
        assert sum(int(record[name]) for record in records) == getattr(table.total, name)
    assert sum(int(record["layers"]) for record in records) == len(table.rows)
    assert {record["mac_unit"] for record in records} == {"1 multiplication + 1 addition"}


@pytest.mark.parametrize("model", MODELS)
def test_a_derivation_is_the_count(model: str) -> None:
    table = costlab.analyze(model)
    for row in table.rows:
        if row.contraction:
            factors = [int(factor) for factor in re.findall(r"\d+", row.derivation)]
            product = 1
            for factor in factors:
                product *= factor
            assert product == row.macs
            named = row.contraction.factors()
            assert [value for name, value in named if (name, value) != ("batch", 1)] == factors
        else:
            assert row.macs == 0
            assert row.derivation == ""


def test_shares_are_exact_and_sum_to_one() -> None:
    table = costlab.analyze("googlenet")
    assert sum(table.share(row) for row in table.rows) == 1
    row = table.at("inception_3a").total
    assert table.share(row) == Fraction(128_049_152, 1_582_671_872)


def test_batches_show_in_shapes_and_derivations() -> None:
    table = costlab.analyze("naive/branch5x5", input_size=(8, 192, 28, 28))
    assert table.total.macs == 8 * 120_422_400
    assert "(8·28·28·32)·(5·5·192)" in table.to_text()
    assert "8×192×28×28" in table.to_text()


def test_only_a_batch_of_one_is_left_out_of_a_derivation() -> None:
    net = Net("net", (1, 3, 1, 1))
    (row,) = costs(net.graph(net.add("conv", Conv(1, 1), *net.inputs))).rows
    assert row.derivation == "(1·1·1)·(1·1·3)"


def test_the_json_of_a_table_is_its_record() -> None:
    table = costlab.analyze("reduced")
    data = json.loads(table.to_json())
    assert data["schema"] == 2
    assert data["costlab"] == costlab.__version__
    assert data["model"] == "reduced"
    assert data["input"] == [[1, 192, 28, 28]]
    assert data["complete"] is True
    assert data["uncounted"] == []
    assert data["total"]["macs"] == 128_049_152 == sum(row["macs"] for row in data["rows"])
    assert data["total"]["flops"] == table.total.flops
    (conv,) = [row for row in data["rows"] if row["path"] == "branch5x5.conv"]
    assert conv["factors"] == [
        ["batch", 1],
        ["output height", 28],
        ["output width", 28],
        ["output channels", 32],
        ["kernel height", 5],
        ["kernel width", 5],
        ["input channels per group", 16],
    ]
    assert conv["derivation"] == "(28·28·32)·(5·5·16)"
    assert conv["output"] == [[1, 32, 28, 28]]
    assert table.to_json() == costlab.analyze("reduced").to_json()
    assert list(data) == sorted(data)


def test_frames_of_tables_hold_integers() -> None:
    frame = costlab.analyze("googlenet").to_frame()
    assert int(frame["macs"].sum()) == 1_582_671_872
    assert str(frame["macs"].dtype) == "Int64"
    compared = costlab.compare("googlenet", "googlenet(bn=True)", trace=False).to_frame()
    assert str(compared["macs"].dtype) == "Int64"
    assert compared["macs"].isna().any()


def test_a_table_of_nothing_to_multiply() -> None:
    net = Net("net", (1, 2))
    table = costs(net.graph(net.add("relu", ReLU(), *net.inputs)))
    assert table.total.macs == 0
    assert "-" in table.to_text()


def test_rows_by_number_and_parts_by_path() -> None:
    table = costlab.analyze("reduced")
    assert (table[0], table[-1]) == (table.rows[0], table.rows[-1])
    assert table["branch5x5"].total.macs == table.at("branch5x5").total.macs
    assert "branch5x5" in table
    assert "branch5x5.conv" in table
    assert "branch7x7" not in table
    assert table[0] in table


def test_the_shape_of_a_single_number_is_said() -> None:
    class Mean(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.mean().relu()

    text = costlab.analyze(Mean(), (4, 5)).to_text()
    assert "input 4×5 → output scalar" in text
    assert re.search(r"\nrelu +relu +scalar .* scalar\n", text)


def test_the_factors_of_attention_are_named() -> None:
    text = costlab.analyze(nn.MultiheadAttention(8, 2), [(5, 1, 8)] * 3).to_text(width=200)
    assert "attention: MACs = (batch·queries·keys)·(width of keys + of values)." in text
    assert "MACs = (" not in costlab.analyze("naive").to_text()
