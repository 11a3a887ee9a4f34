"""Comparisons: their figures add up, and their sentences say what differs."""

from __future__ import annotations

import json
import re

import costlab

NUMBER = re.compile(r"\d{1,3}(?:,\d{3})*|\d+")


def integer(text: str) -> int:
    assert NUMBER.fullmatch(text), text
    return int(text.replace(",", ""))


def test_a_narrow_terminal_gets_the_columns_in_turns() -> None:
    text = costlab.compare("naive", "reduced", "naive(c5=8)", trace=False).to_text(50)
    assert max(map(len, text.splitlines())) <= 50
    assert text.count("120,422,400") == 1
    assert [line.split() for line in text.splitlines() if line.startswith("branch5x5")][1] == [
        "branch5x5",
        "30,105,600",
        "4.00x",
        "fewer",
    ]


def test_comparison_columns_add_up_to_the_printed_total() -> None:
    text = costlab.compare("naive", "reduced", trace=False).to_text()
    for block in text.split("\n\n"):
        lines = [re.split(r" {2,}", line) for line in block.splitlines()]
        figures = [line[1:3] for line in lines if len(line) == 4 and line[0].startswith("branch")]
        if not figures:
            continue
        (total,) = [line[1:3] for line in lines if line[0] == "total"]
        (rest,) = [line[1:3] for line in lines if line[0] == "concat"]
        for model in range(2):
            printed = [integer(line[model]) for line in [*figures, rest]]
            assert len(printed) == 5
            assert sum(printed) == integer(total[model])


def test_json_of_a_comparison() -> None:
    data = json.loads(costlab.compare("naive", "reduced", trace=False).to_json())
    assert [model["model"] for model in data["models"]] == ["naive", "reduced"]
    at = {branch["path"]: branch["macs"] for branch in data["branches"]}
    assert at["branch5x5"] == [120_422_400, 12_443_648]
    assert data["same_interface"] is False


def test_absent_branches_are_absent_not_zero() -> None:
    comparison = costlab.compare("googlenet", "googlenet(bn=True)", trace=False)
    at = {branch["path"]: branch["other"] for branch in comparison.data()["branches"]}
    assert at["norm1"][1] is None
    (line,) = [line for line in comparison.to_text().splitlines() if line.startswith("norm1")][:1]
    assert line.split() == ["norm1", "0", "-"]


def test_one_model_on_two_inputs_is_told_apart() -> None:
    one, two = (costlab.analyze("naive", input_size=(n, 192, 28, 28)) for n in (1, 2))
    text = costlab.compare(one, two, trace=False).to_text()
    assert "naive on 2×192×28×28 against naive on 1×192×28×28: 2.00x more MACs" in text
    assert "Different inputs: " in text
    assert "Different interface: " in text


def test_the_same_model_twice_is_numbered() -> None:
    assert costlab.compare("naive", "naive", trace=False).names == (
        "naive on 1×192×28×28 (1)",
        "naive on 1×192×28×28 (2)",
    )


def test_a_comparison_goes_as_deep_as_told() -> None:
    models = ("googlenet/inception_3a", "googlenet/inception_3b")
    deep = costlab.compare(*models, depth=2, trace=False)
    assert {"branch5x5.reduce", "branch5x5.conv", "concat"} <= {b.path for b in deep.branches}
    frame = deep.to_frame()
    for model, table in zip(models, deep.tables, strict=True):
        rows = frame[frame["model"] == model]
        assert rows[rows["row"] == "branch"]["macs"].sum() == table.total.macs
        assert rows[rows["row"] == "total"]["macs"].sum() == table.total.macs


def test_equal_next_layers_are_said_once_or_not_at_all() -> None:
    text = costlab.compare("naive", "reduced", "reduced(c5r=8)", trace=False).to_text(300)
    assert "after reduced or reduced(c5r=8) it takes 256/416 of" in text
    same = costlab.compare("googlenet", "googlenet(bn=True)", "googlenet(aux=True)", trace=False)
    assert "1000/1000" not in same.to_text()
    assert "googlenet(aux=True) 1×1000 + 1×1000 + 1×1000" in same.to_text(200)


def test_what_different_channels_mean_for_the_next_layer() -> None:
    text = " ".join(costlab.compare("naive", "reduced", trace=False).to_text().split())
    assert "after reduced it takes 256/416 of the MACs and weights" in text
    same = costlab.compare("reduced", "reduced(c5r=24)", trace=False).to_text()
    assert "Same interface: each gives 1×256×28×28." in same
    assert "follows costs in proportion" not in same
    other = costlab.compare("googlenet/inception_3a", "googlenet/inception_4a", trace=False)
    assert "Different interface" in other.to_text()
    assert "follows costs in proportion" not in other.to_text()
