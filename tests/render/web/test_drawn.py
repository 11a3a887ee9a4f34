"""Places of blocks: layers from the top down, nothing on top of each other, the same each time."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import combinations

import pytest

import costlab
from costlab.costs.diagram import diagram_of, diagrams
from costlab.render.diagram import Block, Diagram, Link
from costlab.render.web.drawn import Drawn

pytest.importorskip("grandalf", reason="pip install -c constraints.txt -e '.[test]'")


@pytest.mark.parametrize("model", ["naive", "reduced", "googlenet", "resnet50"])
def test_no_block_lies_on_another_one(model: str) -> None:
    for diagram in diagrams(costlab.analyze(model)):
        drawn = Drawn(diagram)
        for a, b in combinations(drawn.blocks, 2):
            beside = a.x + a.width <= b.x or b.x + b.width <= a.x
            assert beside or a.y + a.height <= b.y or b.y + b.height <= a.y
        for block in drawn.blocks:
            assert 0 <= block.x <= block.x + block.width <= drawn.width
            assert 0 <= block.y <= block.y + block.height <= drawn.height
        for source, target, _ in diagram.links:
            above, below = drawn.blocks[source], drawn.blocks[target]
            assert above.y + above.height <= below.y


def test_branches_have_boxes() -> None:
    drawn = Drawn(diagram_of(costlab.analyze("reduced"), 2))
    names = ["branch1x1", "branch3x3", "branch5x5", "branchpool"]
    assert [box.name for box in drawn.boxes] == names
    for box in drawn.boxes:
        for block in drawn.blocks:
            if block.path.startswith(f"{box.name}."):
                assert box.x <= block.x <= block.x + block.width <= box.x + box.width
                assert box.y <= block.y <= block.y + block.height <= box.y + box.height


def test_circles_and_parts_apart_have_places_too() -> None:
    blocks = tuple(Block((name,), name) for name in "abcd")
    links = (Link(0, 1, "1"), Link(1, 0, "1"), Link(1, 2, "2"))
    drawn = Drawn(Diagram("", blocks, links, ()))
    assert len({(block.x, block.y) for block in drawn.blocks}) == 4
    assert len(drawn.links) == 3
    alone = Drawn(Diagram("", blocks[:1], (), ()))
    assert len(alone.blocks) == 1


def test_places_are_the_same_in_every_process() -> None:
    script = "import costlab; print(costlab.analyze('googlenet').to_html())"
    one, other = (
        subprocess.run(
            [sys.executable, "-c", script],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    )
    assert one == other
