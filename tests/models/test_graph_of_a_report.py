"""A saved report is the graph: it is read as what it was written from, and so are its parts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import costlab
from costlab.costs.table import CostTable
from costlab.errors import ReportError


class Mixed(nn.Module):
    """Several inputs of a kind, states, indices, an unread layer, an operation without a rule."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(20, 6)
        self.rnn = nn.GRU(6, 6, batch_first=True)
        self.head = nn.Linear(6, 20, bias=False)
        self.head.weight = self.embed.weight
        self.unread = nn.Linear(3, 3)
        self.scale = nn.Parameter(torch.ones(6))

    def forward(self, ids: Tensor) -> Any:
        y, state = self.rnn(self.embed(ids) * self.scale)
        best, which = self.head(y).topk(2)
        return best, which, state, torch.cdist(y, y)


def tables() -> dict[str, CostTable]:
    return {
        "naive": costlab.analyze("naive"),
        "googlenet": costlab.analyze("googlenet(aux=True)"),
        "mixed": costlab.analyze(Mixed(), (2, 5), input_type="int64"),
    }


def numbers(table: CostTable) -> tuple[object, ...]:
    """What a total says."""
    total = table.total
    return total.params, total.count, total.activations, total.layers, total.uncounted


def read(path: Path) -> CostTable:
    return costlab.analyze(str(path))


@pytest.mark.parametrize("name", tables())
def test_a_report_is_read_as_the_graph_it_was_written_from(name: str, tmp_path: Path) -> None:
    table = tables()[name]
    (tmp_path / "saved.json").write_text(table.to_json(), encoding="utf-8")
    again = read(tmp_path / "saved.json")
    assert again.graph.values == table.graph.values
    assert again.graph.returns == table.graph.returns
    for old, new in zip(table.graph.layers, again.graph.layers, strict=True):
        assert new._replace(op=old.op) == old
    assert numbers(again) == numbers(table)
    assert again.graph.unused == table.graph.unused
    assert [str(row.contraction) for row in again.rows] == [
        str(row.contraction) for row in table.rows
    ]
    for group in table.groups():
        part, same = again.at(group.path), table.at(group.path)
        assert part.graph.inputs == same.graph.inputs
        assert part.graph.outputs == same.graph.outputs
        assert numbers(part) == numbers(same)
    twice = json.loads(again.to_json())
    assert twice["graph"] == json.loads(table.to_json())["graph"]


def test_a_report_of_stages_still_holds_every_layer(tmp_path: Path) -> None:
    table = costlab.analyze("googlenet")
    (tmp_path / "stages.json").write_text(table.to_depth(1).to_json(), encoding="utf-8")
    assert len(json.loads((tmp_path / "stages.json").read_text(encoding="utf-8"))["rows"]) == 22
    assert numbers(read(tmp_path / "stages.json")) == numbers(table)


def old(table: CostTable) -> dict[str, Any]:
    """The report as schema 1 had it."""
    data: dict[str, Any] = json.loads(table.to_json())
    del data["graph"]
    for row in data["rows"]:
        row["kernel"] = row.pop("detail")
    return data | {"schema": 1}


def test_a_report_of_schema_1_is_read_but_its_parts_do_not_know_their_input(
    tmp_path: Path,
) -> None:
    table = costlab.analyze("naive")
    path = tmp_path / "old.json"
    path.write_text(json.dumps(old(table)), encoding="utf-8")
    again = read(path)
    assert numbers(again) == numbers(table)
    assert again.graph.inputs == table.graph.inputs
    assert [row.derivation for row in again.rows] == [row.derivation for row in table.rows]
    part = again.at("branch5x5")
    assert part.total.macs == 120_422_400
    assert "input not known (an older costlab saved it) → output 1×32×28×28" in part.to_text()
    assert json.loads(part.to_json())["input"] is None
    beside = costlab.compare(part, "naive/branch5x5", trace=False).to_text(width=200)
    assert "The input of old/branch5x5 is not known: an older costlab saved it." in beside
    anew = tmp_path / "anew.json"
    anew.write_text(again.to_json(), encoding="utf-8")
    assert read(anew).graph.values == again.graph.values
    assert not read(anew).graph.connected


def change(data: dict[str, Any], keys: tuple[Any, ...], value: Any) -> dict[str, Any]:
    changed: Any = json.loads(json.dumps(data))
    inside = changed
    for key in keys[:-1]:
        inside = inside[key]
    inside[keys[-1]] = value
    result: dict[str, Any] = changed
    return result


WRONG: list[tuple[tuple[Any, ...], Any]] = [
    (("graph",), None),
    (("graph", "values"), {}),
    (("graph", "values", 0, "shape"), "1,3"),
    (("graph", "values", 0, "shape"), [1.5]),
    (("graph", "values", 0, "shape"), [True]),
    (("graph", "values", 0, "kind"), "wish"),
    (("graph", "values", 3, "shares"), 10**9),
    (("graph", "layers", 0, "operands"), [99]),
    (("graph", "layers", 0, "results"), []),
    (("graph", "layers", 0, "count", "macs"), -1),
    (("graph", "layers", 0, "count", "watts"), 1),
    (("graph", "layers", 0, "path"), "branch3x3.conv"),
    (("graph", "layers", 0, "outer"), [["batch"]]),
    (("graph", "returns"), [10**9]),
    (("model",), None),
]


@pytest.mark.parametrize(("keys", "value"), WRONG, ids=[str(keys) for keys, _ in WRONG])
def test_a_report_in_which_something_is_wrong_is_one_line(
    keys: tuple[Any, ...], value: Any, tmp_path: Path
) -> None:
    path = tmp_path / "wrong.json"
    data = json.loads(costlab.analyze("naive").to_json())
    if keys == ("model",):
        del data["model"]
    else:
        data = change(data, keys, value)
    path.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(ReportError, match="is no report of a model: write one with") as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_a_schema_of_the_future_says_what_is_read(tmp_path: Path) -> None:
    path = tmp_path / "new.json"
    path.write_text('{"schema": 3}', encoding="utf-8")
    with pytest.raises(ReportError, match="has schema 3, this costlab reads 1 and 2"):
        read(path)


def keys_in(data: Any, free: tuple[str, ...] = ("attributes", "choices", "variants")) -> set[str]:
    """The keys in nested data, but for those that name things of the model or counter."""
    if isinstance(data, list):
        return {key for item in data for key in keys_in(item)}
    if not isinstance(data, dict):
        return set()
    return set(data) | {key for name in data if name not in free for key in keys_in(data[name])}


def test_the_page_on_json_has_every_key() -> None:
    page = (Path(__file__).parents[2] / "docs" / "json.md").read_text(encoding="utf-8")
    results = [
        *tables().values(),
        costlab.compare("naive", "reduced", trace=False),
        costlab.crosscheck("naive", counters=["module"]),
        costlab.ledger(["googlenet"]),
        costlab.formula("naive"),
        costlab.analyze("reduced", training_cost=True),
    ]
    known = set(re.findall(r"`([\w@]+)`", page))
    for result in results:
        found = keys_in(json.loads(result.to_json()))
        assert {key for key in found if key not in known and key != "module"} == set()
