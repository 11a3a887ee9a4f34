"""The files that the pages name are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
NEW = {
    "maxout.py",
    "nin.py",
    "hooks.py",
    "layer_list.py",
    "tsv.py",
    "eyeriss.toml",
    "layers_command.py",
}
"""Files that CONTRIBUTING shows how to write."""


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_files_that_a_page_names_are_there(page: Path) -> None:
    named = re.findall(
        r"`((?:costlab|tests|benchmarks|reports)/[\w./-]+)`", page.read_text(encoding="utf-8")
    )
    missing = [path for path in named if not (ROOT / path).exists()]
    assert [path for path in missing if Path(path).name not in NEW] == []


def test_the_walk_names_functions_that_are_there() -> None:
    """``costlab/costs/table.py`, `analyze``: the file defines it."""
    tour = (ROOT / "docs" / "tour.md").read_text(encoding="utf-8")
    pairs = re.findall(r"`(costlab/[\w./]+\.py)`, `([\w.]+)`", tour)
    assert len(pairs) >= 8
    for path, name in pairs:
        text = (ROOT / path).read_text(encoding="utf-8")
        for part in name.split("."):
            assert re.search(rf"^\s*(def|class) {part}\b", text, re.MULTILINE), (path, name)
