"""Layers of two networks in pairs: edits whose outcome is known, and what people edit."""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import random_networks as networks
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import costlab
from costlab.alignment import Alignment, align
from costlab.alignment.subsequence import common
from costlab.costs.table import CostTable

WORDS = st.lists(st.integers(0, 3), max_size=12)


def longest(first: Sequence[int], second: Sequence[int]) -> int:
    """The length of a longest common subsequence, by its definition."""

    @cache
    def of(i: int, j: int) -> int:
        if i == len(first) or j == len(second):
            return 0
        if first[i] == second[j]:
            return 1 + of(i + 1, j + 1)
        return max(of(i + 1, j), of(i, j + 1))

    return of(0, 0)


@given(WORDS, WORDS, st.randoms(use_true_random=False))
def test_a_common_subsequence_is_a_longest_one(
    first: list[int], second: list[int], draw: random.Random
) -> None:
    hints = tuple(
        [(draw.randrange(3), draw.randrange(2)) for _ in word] for word in (first, second)
    )
    pairs = common(first, second, (hints[0], hints[1]))
    assert len(pairs) == longest(first, second)
    assert all(first[i] == second[j] for i, j in pairs)
    assert all(a < c and b < d for (a, b), (c, d) in pairwise(pairs))


def test_of_several_partners_the_one_of_the_same_hint_is_taken() -> None:
    def partners(first: str, second: str) -> list[tuple[int, int]]:
        hints = [(name,) for name in first], [(name,) for name in second]
        return common("x" * len(first), "x" * len(second), hints)

    assert partners("ab", "abc") == [(0, 0), (1, 1)]
    assert partners("bc", "abc") == [(0, 1), (1, 2)]
    assert partners("ac", "abc") == [(0, 0), (1, 2)]
    assert partners("abc", "ac") == [(0, 0), (2, 1)]
    assert partners("pq", "abc") == [(0, 0), (1, 1)]


class Element:
    """One that notes how often it is looked at."""

    looked_at = 0

    def __init__(self, name: int) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        Element.looked_at += 1
        return isinstance(other, Element) and self.name == other.name

    def __hash__(self) -> int:
        Element.looked_at += 1
        return hash(self.name)


@pytest.mark.parametrize("kinds", [3, 50, 10**6])
def test_twice_the_elements_are_looked_at_twice_as_often(kinds: int) -> None:
    """Not four times, as in a table of all pairs, whether they have much in common or nothing."""
    draw = random.Random(0)
    looked_at = []
    for size in (400, 800):
        words = [[Element(draw.randrange(kinds)) for _ in range(size)] for _ in range(2)]
        hints = [[(element.name, i) for i, element in enumerate(word)] for word in words]
        Element.looked_at = 0
        common(words[0], words[1], (hints[0], hints[1]))
        looked_at.append(Element.looked_at)
    assert 0 < looked_at[1] < 2.6 * looked_at[0]


def edited(
    seed: int, kinds: Sequence[Callable[..., networks.Network]], numbered: bool
) -> tuple[networks.Network, networks.Network]:
    """A random network before and after edits of a tenth of its layers."""
    draw = random.Random(seed)
    before = networks.network(draw, 100 + 5 * seed, numbered)
    after = before
    for number in range(len(before) // 10):
        after = draw.choice(kinds)(draw, after, 10**6 + number)
    return before, networks.renumbered(after) if numbered else after


def partners(alignment: Alignment) -> dict[str, str]:
    return {
        pair.first.path: pair.second.path
        for pair in alignment.pairs
        if pair.first and pair.second and pair.verdict != "changed"
    }


@pytest.mark.parametrize("numbered", [False, True])
@pytest.mark.parametrize("seed", range(10))
def test_insertions_leave_every_layer_the_same(seed: int, numbered: bool) -> None:
    """Where paths are words, the partner is the layer itself; else one that nobody can tell from
    it."""
    before, after = edited(seed, [networks.inserted], numbered)
    alignment = align(networks.table(before), networks.table(after))
    assert alignment.count == {"same": len(before), "added": len(after) - len(before)}
    assert partners(alignment).keys() == {layer.path for layer in before}
    if not numbered:
        assert partners(alignment) == dict(networks.unchanged(before, after))


@pytest.mark.parametrize("numbered", [False, True])
def test_edits_leave_at_least_99_of_100_unchanged_layers_with_their_partner(numbered: bool) -> None:
    unchanged = known = 0
    for seed in range(20):
        before, after = edited(seed, networks.EDITS, numbered)
        found = partners(align(networks.table(before), networks.table(after)))
        truth = dict(networks.unchanged(before, after))
        unchanged += len(truth)
        if numbered:  # layers that are alike have nothing by which to tell them apart
            known += sum(path in found for path in truth)
        else:
            known += sum(found.get(path) == partner for path, partner in truth.items())
    assert unchanged > 2000
    assert known >= 0.99 * unchanged


@pytest.mark.parametrize("seed", range(5))
def test_every_layer_is_in_one_pair_and_in_order(seed: int) -> None:
    tables = [networks.table(layers) for layers in edited(seed, networks.EDITS, seed % 2 == 1)]
    pairs = align(*tables).pairs
    assert [pair.second for pair in pairs if pair.second] == list(tables[1].rows)
    first = [pair.first for pair in pairs if pair.first]
    assert sorted(map(id, first)) == sorted(map(id, tables[0].rows))
    in_order = [pair.first for pair in pairs if pair.first and pair.verdict != "moved"]
    assert in_order == [row for row in tables[0].rows if row in in_order]
    for pair in pairs:
        if pair.verdict in ("same", "renamed", "moved"):
            assert pair.first
            assert pair.second
            assert (pair.first.macs, pair.first.params) == (pair.second.macs, pair.second.params)
        assert (pair.first is None) == (pair.verdict == "added")
        assert (pair.second is None) == (pair.verdict == "removed")


def traced(*layers: nn.Module) -> CostTable:
    return costlab.analyze(nn.Sequential(*layers), (1, 3, 32, 32))


def said(alignment: Alignment) -> list[str]:
    """The pairs in words: ``same 0 2``."""
    return [
        " ".join([pair.verdict, *(row.path for row in (pair.first, pair.second) if row)])
        for pair in alignment.pairs
    ]


def test_batch_norm_in_a_list_is_two_added_layers() -> None:
    before = traced(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 32, 3), nn.ReLU())
    after = traced(
        *(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU()),
        *(nn.Conv2d(16, 32, 3), nn.BatchNorm2d(32), nn.ReLU()),
    )
    assert said(align(before, after)) == [
        *("same 0 0", "added 1", "same 1 2", "same 2 3", "added 4", "same 3 5")
    ]


def test_the_last_module_of_one_network_is_not_the_first_of_another() -> None:
    """They have one name, inception_5b, and little else."""
    alignment = align(costlab.analyze("googlenet"), costlab.analyze("inception-v3"))
    assert alignment.little
    assert set(alignment.count) == {"same", "added", "removed"}
    assert not any(
        pair.first and pair.second for pair in alignment.pairs if "inception" in pair.row.path
    )


def test_other_widths_are_a_change_of_each_layer_at_its_place() -> None:
    """Though many a layer is like another one that stands elsewhere."""
    alignment = align(costlab.analyze("googlenet"), costlab.analyze("googlenet", width=0.5))
    assert not alignment.little
    assert set(alignment.count) == {"changed", "same"}
    assert all(pair.first and pair.second for pair in alignment.pairs)
    assert all(pair.first.path == pair.second.path for pair in alignment.pairs)  # type: ignore[union-attr]


def stages(**widths: int) -> CostTable:
    """A network of stages, each with two convolutions."""
    layers: list[tuple[str, nn.Module]] = []
    before = 3
    for name, width in widths.items():
        pair = nn.Conv2d(before, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)
        layers.append((name, nn.Sequential(*pair)))
        before = width
    return costlab.analyze(nn.Sequential(OrderedDict(layers)), (1, 3, 8, 8))


def test_a_stage_put_in_between_renames_those_behind_it() -> None:
    """They are not compared with the stage that had their number before."""
    before = stages(stage1=8, stage2=16, stage3=32)
    after = stages(stage1=8, stage2=8, stage3=16, stage4=32)
    assert said(align(before, after)) == [
        *("same stage1.0 stage1.0", "same stage1.1 stage1.1", "added stage2.0", "added stage2.1"),
        *("renamed stage2.0 stage3.0", "renamed stage2.1 stage3.1"),
        *("renamed stage3.0 stage4.0", "renamed stage3.1 stage4.1"),
    ]


class Block(nn.Module):
    """Two convolutions and what is added to them."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1)
        self.conv2 = nn.Conv2d(outputs, outputs, kernel, padding=kernel // 2)
        self.skip = nn.Conv2d(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Any:
        return (self.conv2(self.conv1(x).relu()) + self.skip(x)).relu()


def blocks(*layers: nn.Module) -> CostTable:
    named = OrderedDict((f"layer{i}", layer) for i, layer in enumerate(layers, 1))
    return costlab.analyze(nn.Sequential(named), (1, 3, 32, 32))


@pytest.mark.parametrize("wrappers", [0, 1, 2])
def test_another_kernel_is_a_change_of_the_layer_however_it_is_wrapped(wrappers: int) -> None:
    changed: nn.Module = Block(3, 8, kernel=5)
    for _ in range(wrappers):
        changed = nn.Sequential(changed)
    alignment = align(blocks(Block(3, 8), Block(8, 8)), blocks(changed, Block(8, 8)))
    inside = "layer1" + ".0" * wrappers
    assert f"changed layer1.conv2 {inside}.conv2" in said(alignment)
    assert alignment.count["changed"] == 1
    assert set(alignment.count) == {"changed", "same"} | ({"renamed"} if wrappers else set())


@pytest.mark.parametrize("kernel", [3, 5])
def test_a_block_put_in_behind_another_one_takes_none_of_its_layers(kernel: int) -> None:
    """Though one of them is like the one that the old block had."""
    before = blocks(Block(3, 8), Block(8, 16, stride=2), Block(16, 32, stride=2))
    longer = nn.Sequential(Block(8, 16, kernel, stride=2), Block(16, 16))
    after = blocks(Block(3, 8), longer, Block(16, 32, stride=2))
    pairs = align(before, after).pairs
    assert {pair.verdict for pair in pairs if pair.row.path.startswith("layer2.1")} == {"added"}
    partner = {pair.first.path: pair.second and pair.second.path for pair in pairs if pair.first}
    assert partner["layer2.conv2"] == "layer2.0.conv2"


def test_a_layer_that_lost_its_bias_in_a_wrapper_is_changed() -> None:
    bare = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8))
    after = blocks(bare, nn.ReLU())
    assert said(align(blocks(nn.Conv2d(3, 8, 3), nn.ReLU()), after)) == [
        *("changed layer1 layer1.0", "added layer1.1", "same layer2 layer2")
    ]


def test_other_kernels_and_widths_in_a_wrapper_of_another_name() -> None:
    def body(name: str, kernel: int, width: int, norm: bool) -> CostTable:
        layers: list[nn.Module] = []
        for inputs, outputs in ((3, 16), (16, 16), (16, width), (width, 16)):
            layers.append(nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2))
            layers += [nn.BatchNorm2d(outputs), nn.ReLU()] if norm else [nn.ReLU()]
        inside = nn.Sequential(*layers)
        parts = {name: nn.Sequential(inside) if norm else inside, "head": nn.Conv2d(16, 4, 1)}
        return costlab.analyze(nn.Sequential(OrderedDict(parts)), (1, 3, 8, 8))

    alignment = align(body("body", 3, 32, norm=False), body("trunk", 5, 64, norm=True))
    assert not alignment.little
    convs = [pair for pair in alignment.pairs if pair.row.contraction]
    assert [pair.verdict for pair in convs] == ["changed"] * 4 + ["same"]
    assert alignment.count["added"] == 4
    assert "removed" not in alignment.count


def test_of_several_new_layers_none_is_said_to_be_the_old_one() -> None:
    """Nothing tells which of them: neither a name, nor shapes, nor what it computes."""
    before = traced(nn.Tanh(), nn.Conv2d(3, 3, 3, padding=1), nn.Sigmoid())
    several = nn.Conv2d(3, 8, 5, padding=2), nn.Conv2d(8, 3, 5, padding=2)
    after = costlab.analyze(
        nn.Sequential(nn.Tanh(), nn.Sequential(*several), nn.Sigmoid()), (1, 3, 32, 32)
    )
    assert align(before, after).count == {"same": 2, "removed": 1, "added": 2}


DENSE = nn.Conv2d(8, 8, 3, padding=1)
DEPTHWISE = nn.Conv2d(8, 8, 3, padding=1, groups=8)
POINTWISE = nn.Conv2d(8, 8, 1)


@pytest.mark.parametrize("between", [(), (nn.BatchNorm2d(8), nn.ReLU())])
def test_a_separable_convolution_replaces_a_dense_one(between: tuple[nn.Module, ...]) -> None:
    """None of its two layers is the old one, made smaller; nor the other way round."""
    dense = traced(nn.Conv2d(3, 8, 1), DENSE, nn.ReLU())
    separable = traced(nn.Conv2d(3, 8, 1), DEPTHWISE, *between, POINTWISE, nn.ReLU())
    assert costlab.compare(dense, separable, trace=False).branches[1].verdicts != ("changed",)
    for first, second, verdict in ((dense, separable, "removed"), (separable, dense, "added")):
        alone = [pair for pair in align(first, second).pairs if pair.verdict == verdict]
        assert [pair.row.operation for pair in alone] == ["conv2d 3×3"]
        assert align(first, second).count["same"] == 2
        assert "changed" not in align(first, second).count


def test_a_layer_that_becomes_depthwise_alone_has_changed() -> None:
    alignment = align(traced(nn.Conv2d(3, 8, 1), DENSE), traced(nn.Conv2d(3, 8, 1), DEPTHWISE))
    assert alignment.count == {"same": 1, "changed": 1}


class Stages(nn.Module):
    """Two convolutions with names, in the order that they are given."""

    def __init__(self, order: Sequence[str], names: dict[str, str] | None = None) -> None:
        super().__init__()
        sizes = {"small": 1, "large": 3}
        for name, size in sizes.items():
            known = (names or {}).get(name, name)
            self.add_module(known, nn.Conv2d(3, 3, size, padding=size // 2))
        self.order = [(names or {}).get(name, name) for name in order]

    def forward(self, x: Tensor) -> Any:
        for name in self.order:
            x = getattr(self, name)(x)
        return x


def staged(*args: Any) -> CostTable:
    return costlab.analyze(Stages(*args), (1, 3, 8, 8))


def test_what_has_another_place_has_moved_and_what_has_another_name_is_renamed() -> None:
    before = staged(["small", "large"])
    swapped = said(align(before, staged(["large", "small"])))
    assert swapped == ["moved large large", "same small small"]
    renamed = staged(["small", "large"], {"large": "wide"})
    assert said(align(before, renamed)) == ["same small small", "renamed large wide"]
    moved = staged(["large", "small"], {"large": "wide", "small": "narrow"})
    assert sorted(pair.verdict for pair in align(before, moved).pairs) == ["moved", "renamed"]


def test_what_grew_is_named_with_the_most_first() -> None:
    alignment = align(costlab.analyze("naive"), costlab.analyze("reduced"))
    growth = [(grown, pair.row.path) for grown, pair in alignment.grew(lambda row: row.macs)]
    assert growth == [
        (14_450_688, "branch3x3.reduce"),
        (4_816_896, "branchpool.project"),
        (2_408_448, "branch5x5.reduce"),
    ]


def test_a_network_is_the_same_however_it_is_spelled(tmp_path: Path) -> None:
    """Built and traced, and saved: attributes such as 1 and (1, 1) are no difference."""
    table = costlab.analyze("reduced")
    traced = costlab.analyze(costlab.build("reduced"), (1, 192, 28, 28))
    (tmp_path / "saved.json").write_text(table.to_json(), encoding="utf-8")
    saved = costlab.analyze(str(tmp_path / "saved.json"))
    for one, other in ((table, traced), (traced, saved), (saved, table)):
        alignment = align(one, other)
        assert alignment.count == {"same": 14}
        assert alignment.aligned == 1


def test_stages_of_unlike_networks_stay_in_their_order() -> None:
    """Parts that have one name stand beside each other only where that is so, and if alike."""

    def of(size: tuple[int, ...], **parts: nn.Module) -> CostTable:
        return costlab.analyze(nn.Sequential(OrderedDict(parts)), size)

    comparison = costlab.compare(
        of((1, 4, 16), one=nn.Conv1d(4, 8, 3), two=nn.Conv1d(8, 8, 3)),
        of((1, 16), head=nn.Linear(16, 4), act=nn.ReLU(), tail=nn.Linear(4, 16)),
        of((1, 16), tail=nn.Linear(16, 32), mid=nn.Linear(32, 8), head=nn.Linear(8, 3)),
        of((1, 16), act=nn.Linear(16, 32), tail=nn.Linear(32, 8)),
        trace=False,
    )
    _, second, third, fourth = zip(*(part.paths for part in comparison.branches), strict=True)
    assert second == (None, None, "head", "act", "tail", *[None] * 4)
    assert third == (*[None] * 4, "tail", "mid", "head", None, None)
    assert fourth == (*[None] * 7, "act", "tail")
