"""The tests themselves: where they are, and what they are called."""

from __future__ import annotations

import ast
from collections import Counter
from functools import cache
from pathlib import Path

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "costlab"
OF_TESTS = {"cases", "oracle", "data", "docs"}
"""Rooms that only the tests have: what they draw, execute and read, and what the docs say."""


@cache
def parsed() -> list[ast.Module]:
    """Each file of the tests."""
    return [ast.parse(path.read_text(encoding="utf-8")) for path in TESTS.rglob("*.py")]


def rooms(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.is_dir() and path.name[0] not in "._"}


def test_tests_have_the_rooms_of_the_code() -> None:
    assert rooms(TESTS) - OF_TESTS == rooms(PACKAGE)


def test_no_test_has_the_name_of_another_one() -> None:
    names = Counter(
        node.name
        for tree in parsed()
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    )
    assert [name for name, number in names.items() if number > 1] == []
    assert [name for name in names if name.count("_") < 3] == []  # it would need its file's name


def test_no_test_imports_another_one() -> None:
    imported = {
        name.name.rpartition(".")[2]
        for tree in parsed()
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in [*node.names, ast.alias(getattr(node, "module", "") or "")]
    }
    assert [name for name in imported if name.startswith("test_")] == []
