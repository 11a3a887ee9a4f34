"""The tree of a comparison: every layer of every model, in the part that has it."""

from __future__ import annotations

import pytest

import costlab
from costlab.views.compared_tree import compared_tree


@pytest.mark.parametrize(
    "models",
    [
        ("naive", "reduced"),
        ("googlenet", "bn-inception", "inception-v3"),
        ("googlenet", "resnet50"),
        ("reduced/branch3x3", "reduced"),
        ("inception-v3", "inception-v4"),
    ],
    ids=" ".join,
)
def test_each_layer_is_in_its_part_once(models: tuple[str, ...]) -> None:
    comparison = costlab.compare(*models, trace=False)
    tree = compared_tree(comparison)
    for i, table in enumerate(comparison.tables):
        tops = [line for line in tree.lines if line.parent is None]
        for n, total in enumerate(tree.totals[i]):
            assert sum(line.numbers[i][n].value or 0 for line in tops if line.numbers[i]) == (
                total.value
            )
        for number, line in enumerate(tree.lines):
            inside = [tree.lines[at].numbers[i] for at in tree.contents.get(number, [])]
            if line.numbers[i] and any(inside):
                for n, cell in enumerate(line.numbers[i]):
                    assert sum(numbers[n].value or 0 for numbers in inside if numbers) == cell.value
        layers = [
            line.paths[i]
            for number, line in enumerate(tree.lines)
            if line.paths[i] and number not in tree.contents
        ]
        assert sorted(layers) == sorted(row.path for row in table.rows)


def test_what_was_done_to_a_layer_is_said() -> None:
    tree = compared_tree(costlab.compare("naive", "reduced", trace=False))
    verdicts = {line.paths: line.verdict for line in tree.lines}
    assert verdicts["", "branch5x5.reduce"] == "added"
    assert verdicts["branch5x5.conv", "branch5x5.conv"] == "changed"
    assert verdicts["branch1x1", "branch1x1"] == "same"
    other = compared_tree(costlab.compare("googlenet", "resnet50", trace=False))
    assert {line.verdict for line in other.lines} == {""}  # they are not to be compared
