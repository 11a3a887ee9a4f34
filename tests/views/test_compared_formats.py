"""Comparisons in every format: names, columns and numbers."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest
from chains import Chain, compared, conv, integer
from torch import nn

import costlab as library
from costlab.costs.quantities import quantities


@pytest.mark.parametrize("training_cost", [False, True])
def test_json_and_csv_have_every_quantity_and_difference(training_cost: bool) -> None:
    comparison = library.compare("naive", "reduced", trace=False, training_cost=training_cost)
    data = json.loads(comparison.to_json())
    records = list(csv.DictReader(io.StringIO(comparison.to_csv())))
    totals = [table.total for table in comparison.tables]
    for name, quantity in quantities(training_cost).items():
        first, second = map(quantity.of, totals)
        ratio = round(second / first, 6) if first else None
        assert data["totals"][name] == [first, second]
        assert data["totals"]["difference"][name] == [0, second - first]
        assert data["totals"]["ratio"][name] == [1.0 if first else None, ratio]
        parts = [branch["difference"][name][1] for branch in data["branches"]]
        assert sum(parts) == second - first
        (record,) = [r for r in records if r["row"] == "total" and r["model"] == "reduced"]
        assert int(record[f"{name}_difference_to_first"]) == second - first
        assert record[f"{name}_ratio_to_first"] == ("" if ratio is None else str(ratio))
    assert ("training MACs = " in " ".join(data["units"])) == training_cost
    verdicts = [layer["verdict"] for layer in data["alignments"][0]["layers"]]
    assert [verdicts.count(word) for word in ("same", "changed", "added")] == [5, 3, 6]


NASTY = ["a|b*c_<d>$", "\x1b[31mred", "=1+1", "new\nline", "%s{}\\x"]


@pytest.mark.parametrize("name", NASTY)
def test_hostile_names_stay_in_their_cells(name: str) -> None:
    one, other = ({name: nn.Sequential(conv(3, width))} for width in (8, 4))
    comparison = compared(Chain(**one), Chain(**other), names=(name, "other"))
    text = comparison.to_text()
    assert all(line.isprintable() for line in text.splitlines())
    assert max(map(len, text.splitlines())) <= 80
    rows = [line for line in comparison.to_markdown().splitlines() if line.startswith("|")]
    tables = [len(re.findall(r"(?<!\\)\|", row)) for row in rows]
    assert tables == [6] * 11
    assert json.loads(comparison.to_json())["branches"][0]["path"] == name


def test_a_narrow_terminal_gets_the_columns_in_turns() -> None:
    text = library.compare("naive", "reduced", "naive(c5=8)", trace=False).to_text(45)
    assert max(map(len, text.splitlines())) <= 45
    assert text.count("120,422,400") == 1
    assert [line.split() for line in text.splitlines() if line.startswith("MACs")] == [
        ["MACs", "303,464,448", "128,049,152"],
        ["MACs", "213,147,648"],
    ]


def test_comparison_columns_add_up_to_the_printed_total() -> None:
    text = library.compare("naive", "reduced", trace=False, everything=True).to_text(200)
    totals, parts, *_ = text.split("\n\n")[1:]
    printed = {
        words[0]: words[1:3]
        for words in (re.split(r" {2,}", line) for line in totals.splitlines()[2:])
    }
    heads = re.split(r" {2,}", parts.splitlines()[0])[2:-1]
    assert heads == ["MACs", "params", "FLOPs", "other ops", "activations"]
    added = {"naive": [0] * 5, "reduced": [0] * 5}
    for line in parts.splitlines()[2:]:
        for label, sums in added.items():
            if found := re.search(rf" (?:\w+, )?{label}(?:, \w+)? +(\d.*)", line):
                numbers = re.split(r" {2,}", found[1])[:5]
                sums[:] = [a + integer(b) for a, b in zip(sums, numbers, strict=True)]
    for i, sums in enumerate(added.values()):
        assert sums == [integer(printed[head][i]) for head in heads]


def test_json_of_a_comparison() -> None:
    data = json.loads(library.compare("naive", "reduced", trace=False).to_json())
    assert [model["model"] for model in data["models"]] == ["naive", "reduced"]
    at = {branch["path"]: branch["macs"] for branch in data["branches"]}
    assert at["branch5x5"] == [120_422_400, 12_443_648]
    assert data["same_interface"] is False


def test_one_number_has_one_notation() -> None:
    """In the totals and in the verdict below, where all changes have one form."""
    text = library.compare("googlenet", "inception-v3", trace=False).to_text(300)
    totals = [re.split(r" {2,}", line) for line in text.split("\n\n")[1].splitlines()[2:]]
    changes = {words[0]: words[-1] for words in totals}
    assert changes["other ops"] == "×2.02", "a factor, since MACs are ×3.61"
    said = ", ".join(f"{heading} {change}" for heading, change in changes.items())
    assert f"\ninception-v3 against googlenet: {said}." in text
