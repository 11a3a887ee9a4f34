"""MODEL as a report that costlab show wrote."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import Run
from torch import Tensor, nn

import costlab as library

CODE = """
from torch import Tensor, nn

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
    done = costlab("compare", "before.json", "mine.py:net", cwd=tmp_path)
    said = " ".join(done.stdout.split())
    assert "mine.py:net costs the same as before: MACs, params, FLOPs, other ops." in said
    assert "Not cross-checked by another counter: before." in said


def test_a_report_beside_code_is_not_compared_on_another_input(
    costlab: Run, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(CODE, encoding="utf-8")
    costlab("show", "mine.py:net", *SIZE, "-o", "before.json", cwd=tmp_path)
    asked = ("compare", "before.json", "mine.py:net", "--no-trace")
    options: list[tuple[str, ...]] = [("--input-size", "4,3,8,8"), ("--batch", "4")]
    for option in options:
        done = costlab(*asked, *option, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        assert "before.json is fixed at 1×3×8×8: leave the input size and the batch out" in (
            done.stderr
        )
    for option in [SIZE, ("--batch", "1"), ("--input-size", "4,3,8,8", "--batch", "1")]:
        done = costlab(*asked, *option, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert "costs the same" in done.stdout


class Tokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(10, 4)
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.head(self.embedding(x))
        return scores


def test_code_beside_a_report_has_its_input(tmp_path: Path) -> None:
    """Its type too, and of a report of which a part is compared, all of it."""
    saved = tmp_path / "saved.json"
    saved.write_text(library.analyze(Tokens(), (3, 7), input_type="int64").to_json(), "utf-8")
    for models in ((str(saved), Tokens()), (Tokens(), f"{saved}/head")):
        comparison = library.compare(*models, trace=False)
        traced = next(table for table in comparison.tables if table.trace)
        assert traced.graph.inputs == ((3, 7),)
        assert traced.total.macs == 3 * 7 * 4 * 2
    with pytest.raises(library.ChoiceError, match="is fixed at 3×7: leave the input size"):
        library.compare(str(saved), Tokens(), input_size=(1, 2), input_type="int64", trace=False)


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
