"""``costlab report DIR MODEL...``: files on models of a user's own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from command_line import Run

import costlab as library
from costlab.views.own_report import own_report

CODE = """
from torch import nn

def Net(width=4):
    return nn.Sequential(nn.Linear(3, width), nn.ReLU())
"""


def test_a_report_on_own_models_has_a_page_of_each_and_of_all(costlab: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(CODE, encoding="utf-8")
    models = ("mine.py:Net", "mine.py:Net(width=8)", "mine.py:Net")
    done = costlab("report", "out", *models, "--input-size", "1,3", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "15 files, begin with out/README.md\n"
    names = {path.name for path in (tmp_path / "out").iterdir()}
    stems = ["mine-py-net", "mine-py-net-width-8", "mine-py-net-2", "compared"]
    assert names == {"README.md", "index.html", "models.csv"} | {
        f"{stem}.{ending}" for stem in stems for ending in ("md", "html", "csv")
    }
    index = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    links = re.findall(r'<a href="(.*?)"', index)
    assert links == ["compared.html", *(f"{stem}.html" for stem in stems[:3])]
    for stem in ("index", *stems):
        page = (tmp_path / "out" / f"{stem}.html").read_text(encoding="utf-8")
        assert re.search(r"<code>costlab report out mine.py:Net .*</code> <time .*costlab \d", page)
    assert "24 MACs" in (tmp_path / "out" / "mine-py-net-width-8.md").read_text(encoding="utf-8")


def test_pages_are_chosen_of_the_catalog_alone(costlab: Run, tmp_path: Path) -> None:
    done = costlab("report", "out", "naive", "--page", "naive", cwd=tmp_path)
    assert done.returncode == 2
    assert "--page is of the catalog" in done.stderr
    one = costlab("report", "out", "naive", cwd=tmp_path)
    assert one.stdout == "6 files, begin with out/README.md\n"


def test_reports_of_one_name_stand_in_an_index_by_their_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    files = ("before/report.json", "after/report.json")
    for file, width in zip(files, (64, 32), strict=True):
        Path(file).parent.mkdir()
        Path(file).write_text(library.analyze(f"naive(c1={width})").to_json(), encoding="utf-8")
    texts = own_report(files)
    assert "[before/report.json](before-report-json.md)" in texts["README.md"]
    assert "\nafter/report.json," in texts["models.csv"]
    assert texts["compared.md"].startswith("## before/report.json vs after/report.json\n")
