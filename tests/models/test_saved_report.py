"""MODEL as a report that costlab show wrote."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import Run
from torch import nn

import costlab as library

CODE = """
from torch import nn

def net(width=8):
    return nn.Conv2d(3, width, 3)
"""
SIZE = ("--input-size", "1,3,8,8")


def test_saved_reports_are_models(costlab: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(CODE, encoding="utf-8")
    for name, width in (("before", 8), ("after", 16)):
        done = costlab(
            "show", f"mine.py:net(width={width})", *SIZE, "-o", f"{name}.json", cwd=tmp_path
        )
        assert done.returncode == 0
    done = costlab("compare", "before.json", "after.json", "--format", "json", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    totals = [model["total"]["macs"] for model in json.loads(done.stdout)["models"]]
    assert totals == [36 * 8 * 27, 36 * 16 * 27]
    done = costlab("compare", "before.json", "mine.py:net", *SIZE, cwd=tmp_path)
    said = " ".join(done.stdout.split())
    assert "mine.py:net against before: the same MACs" in said
    assert "Not cross-checked by another counter: before." in said


@pytest.mark.parametrize("model", ["googlenet", "lenet5", "vgg11", "naive/branch5x5"])
@pytest.mark.parametrize("depth", [None, 1])
def test_a_saved_table_is_the_table(tmp_path: Path, model: str, depth: int | None) -> None:
    table = library.analyze(model)
    path = tmp_path / "saved.json"
    path.write_text(table.to_depth(depth).to_json(), encoding="utf-8")
    again = library.analyze(str(path))
    assert again.total.macs == table.total.macs
    assert again.total.params == table.total.params
    assert again.total.count == table.total.count
    assert again.total.activations == table.total.activations
    assert again.graph.outputs == table.graph.outputs
    if depth is None:
        assert again.records() == table.records()
        assert again.to_json().splitlines()[5:] != []


def test_a_saved_report_keeps_what_nothing_reads(tmp_path: Path) -> None:
    module = nn.Linear(3, 4)
    module.never = nn.Linear(2, 2)
    table = library.analyze(module, (1, 3))
    path = tmp_path / "saved.json"
    path.write_text(table.to_json(), encoding="utf-8")
    again = library.analyze(str(path))
    assert again.graph.unused == (("never.weight", 4), ("never.bias", 2))
    assert "6 params of never (6)" in again.to_text()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 2}', '{"schema": 1, "rows": 3}'])
def test_what_is_no_report_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "saved.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(library.ReportError, match=r"saved\.json"):
        library.analyze(str(path))
