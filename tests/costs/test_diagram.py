"""The blocks of a network, and what flows between them."""

from __future__ import annotations

import pytest
from torch import Tensor, nn

import costlab
from costlab.costs.diagram import diagram_of, diagrams
from costlab.render.diagram import MOST_BLOCKS


def links(model: object, depth: int, **how: object) -> list[tuple[str, str, str]]:
    diagram = diagram_of(costlab.analyze(model, **how), depth)  # type: ignore[arg-type]
    names = [block.path or block.texts[0] for block in diagram.blocks]
    return [(names[a], names[b], shape) for a, b, shape in diagram.links]


def test_the_naive_module_looks_like_the_papers_figure() -> None:
    assert links("naive", 2) == [
        ("input", "branch1x1.conv", "1×192×28×28"),
        ("input", "branch3x3.conv", "1×192×28×28"),
        ("input", "branch5x5.conv", "1×192×28×28"),
        ("input", "branchpool.pool", "1×192×28×28"),
        ("branch1x1.conv", "concat", "1×64×28×28"),
        ("branch3x3.conv", "concat", "1×128×28×28"),
        ("branch5x5.conv", "concat", "1×32×28×28"),
        ("branchpool.pool", "concat", "1×192×28×28"),
    ]
    (block,) = (
        block
        for block in diagram_of(costlab.analyze("naive"), 2).blocks
        if block.path == "branch5x5.conv"
    )
    assert block.texts == ("conv", "conv2d 5×5 + batch_norm", "120,422,400 MACs")


def test_scopes_are_blocks_at_their_depth() -> None:
    assert links("reduced", 1)[-1] == ("branchpool", "concat", "1×32×28×28")


@pytest.mark.parametrize("model", ["naive", "reduced", "googlenet", "resnet50", "inception-v4"])
def test_the_blocks_of_a_diagram_add_up(model: str) -> None:
    table = costlab.analyze(model)
    shown = diagrams(table)
    assert shown
    macs = {part.path: part.macs for part in table.groups()}
    sizes = [len(diagram.blocks) for diagram in shown]
    assert sizes == sorted(set(sizes))
    assert sizes[-1] <= MOST_BLOCKS
    for diagram in shown:
        assert sum(macs[block.path] for block in diagram.blocks if block.path) == table.total.macs


class Between(nn.Module):
    """A scope that is left and entered again, and an activation that two layers take."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.ModuleDict({"one": nn.Linear(3, 3), "two": nn.Linear(3, 3)})
        self.b = nn.Linear(3, 3)
        self.act = nn.ReLU()

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        x = self.act(self.a["one"](x))
        result: Tensor = self.a["two"](self.b(x)) + x + y
        return result


def test_a_scope_may_be_entered_twice() -> None:
    shown = links(Between(), 1, input_size=[(1, 3), (1, 3)])
    assert ("act", "b", "1×3") in shown
    assert ("b", "a", "1×3") in shown
    assert ("a", "act", "1×3") in shown
    assert [(a, b) for a, b, _ in shown if a == "input"] == [("input", "a"), ("input", "add_2")]


def test_what_has_no_connections_has_no_diagram() -> None:
    from costlab.costs.parameters import parameters

    assert diagrams(parameters("torch.nn:Linear(in_features=2, out_features=3)")) == ()
