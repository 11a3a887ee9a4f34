"""Networks whose scopes unfold one by one: unfolded, they are the flat graph of their layers."""

from __future__ import annotations

import pytest
from torch import nn

import costlab
from costlab.costs import nest as nests
from costlab.costs.diagram import diagram_of
from costlab.costs.nest import nest_of
from costlab.render.diagram import End, Nest

RIM = -1
Flow = tuple[tuple[str, ...], tuple[str, ...], str]


def unfolded(nest: Nest) -> set[Flow]:
    """What flows from block to block if all scopes are open, through the gates in their rims."""

    def ends(number: int, end: End, outgoing: bool) -> list[tuple[str, ...]]:
        """The innermost blocks behind an end."""
        part, gate = end
        inside = nest.insides[number]
        inner = inside.scopes[part]
        if inner is None:
            return [(inside.blocks[part].path, *inside.blocks[part].texts)]
        return [
            block
            for link in nest.insides[inner].links
            for here, there in [(link.target, link.source) if outgoing else link[:2]]
            if here == (RIM, gate)
            for block in ends(inner, there, outgoing)
        ]

    return {
        (source, target, link.shape)
        for number, inside in enumerate(nest.insides)
        for link in inside.links
        if RIM not in (link.source[0], link.target[0])
        for source in ends(number, link.source, outgoing=True)
        for target in ends(number, link.target, outgoing=False)
    }


class Turns(nn.Module):
    """A module that is called in turns with another one, and gets what both have made."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = (nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)) for _ in "ab")

    def forward(self, x):  # type: ignore[no-untyped-def]
        first = self.a[0](x)
        second = self.b[0](first) + x
        return self.a[1](second) + self.b[1](second + first)


@pytest.mark.parametrize("model", ["naive", "reduced", "googlenet", "resnet50", "turns"])
def test_all_unfolded_it_is_the_flat_graph(model: str) -> None:
    table = costlab.analyze(Turns(), (1, 4)) if model == "turns" else costlab.analyze(model)
    flat = diagram_of(table, 99)
    keys = [(block.path, *block.texts) for block in flat.blocks]
    assert unfolded(nest_of(table)) == {
        (keys[link.source], keys[link.target], shape)
        for link in flat.links
        for shape in link.shape.split(", ")
    }


def test_folded_it_has_the_blocks_of_the_outermost_level() -> None:
    table = costlab.analyze("googlenet")
    outermost = nest_of(table).insides[0]
    assert outermost.blocks == diagram_of(table, 1).blocks
    assert (outermost.entries, outermost.exits) == (0, 0)


def test_scopes_that_a_page_cannot_hold_stay_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = nn.Sequential(*(nn.Linear(4, 4) for _ in range(81)))
    nest = nest_of(costlab.analyze(nn.Sequential(wide, nn.Linear(4, 4)), (1, 4)))
    assert [len(inside.blocks) for inside in nest.insides] == [3]
    assert nest.insides[0].scopes == (None, None, None)
    monkeypatch.setattr(nests, "MOST_IN_ALL", 25)
    kept = nest_of(costlab.analyze("googlenet")).insides
    assert sum(len(inside.blocks) for inside in kept) <= 25
    assert len(kept) == 3  # all, conv1 and conv2
