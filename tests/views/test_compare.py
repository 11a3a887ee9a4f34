"""Comparisons as people read them: what stands beside what, in which words."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from chains import Chain, compared, conv
from command_line import Run
from torch import Tensor, nn

import costlab as library
from costlab.views.compare import Comparison


def rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """For each part its path in each model, ``-`` where it is not there, and its verdicts."""
    return [(*(path or "-" for path in part.paths), *part.verdicts) for part in comparison.branches]


def test_batch_norm_put_into_a_list_is_two_added_layers() -> None:
    before = nn.Sequential(conv(3, 8), nn.ReLU(), conv(8, 4), nn.ReLU())
    after = nn.Sequential(
        *(conv(3, 8), nn.BatchNorm2d(8), nn.ReLU(), conv(8, 4), nn.BatchNorm2d(4), nn.ReLU())
    )
    comparison = compared(before, after)
    assert rows(comparison) == [
        *(("0", "0", "same"), ("-", "1", "added"), ("1", "2", "same"), ("2", "3", "same")),
        *(("-", "4", "added"), ("3", "5", "same")),
    ]
    text = comparison.to_text()
    assert re.search(r"\n1 +B \(added\) +0 +16 +4,096 +batch_norm\n", text)
    assert "4 of 6 parts cost the same: --all shows them." in text
    assert "Layers of B: 4 same, 2 added." in text


def test_layers_that_went_into_a_scope_stand_beside_themselves() -> None:
    before = Chain(one=conv(3, 8), act=nn.ReLU(), two=conv(8, 8), head=conv(8, 2))
    after = Chain(body=Chain(one=conv(3, 8), act=nn.ReLU(), two=conv(8, 16)), head=conv(16, 2))
    assert rows(compared(before, after)) == [
        ("one", "body.one", "renamed"),
        ("act", "body.act", "renamed"),
        ("two", "body.two", "changed"),
        ("head", "head", "changed"),
    ]


def test_a_scope_in_two_parts_is_shown_by_what_is_in_it() -> None:
    """One that lost only little stands beside what it became."""

    def blocks(how_many: int, inputs: int = 8) -> nn.Sequential:
        return nn.Sequential(*(conv(8 if i else inputs, 8) for i in range(how_many)))

    before = Chain(features=blocks(8, 3), head=conv(8, 2))
    after = Chain(stem=blocks(3, 3), body=blocks(5), head=conv(8, 2))
    assert rows(compared(before, after)) == [
        *((f"features.{i}", f"stem.{i}", "renamed") for i in range(3)),
        *((f"features.{i + 3}", f"body.{i}", "renamed") for i in range(5)),
        ("head", "head", "same"),
    ]
    after = Chain(stem=blocks(1, 3), body=blocks(7), head=conv(8, 2))
    assert rows(compared(before, after)) == [
        *(("-", "stem", "added"), ("features", "body", "changed"), ("head", "head", "same"))
    ]


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_layer_never_stands_beside_the_scope_that_others_went_into_too(depth: int) -> None:
    """Most of a scope may be one layer: the others are not removed by that."""
    before = Chain(body=Chain(one=conv(3, 8), act=nn.ReLU(), tail=nn.Tanh()), head=conv(8, 2))
    wrapped = Chain(block=Chain(one=nn.Conv2d(3, 8, 5, padding=2), act=nn.ReLU(), tail=nn.Tanh()))
    after = Chain(body=wrapped, head=conv(8, 2))
    within = [
        ("body.one", "body.block.one", "changed"),
        ("body.act", "body.block.act", "renamed"),
        ("body.tail", "body.block.tail", "renamed"),
    ]
    body = [("body", "body", "changed")] if depth == 1 else within
    assert rows(compared(before, after, depth=depth)) == [*body, ("head", "head", "same")]


def test_a_head_of_another_kind_stands_beside_the_old_one() -> None:
    """They share no layer, but their name and the place."""
    before = Chain(stem=conv(3, 8), head=conv(8, 2))
    after = Chain(stem=conv(3, 8), head=nn.AdaptiveAvgPool2d(1))
    assert rows(compared(before, after)) == [("stem", "stem", "same"), ("head", "head", "changed")]


def test_what_others_have_stands_where_it_is_in_them() -> None:
    """Of three models too; what two of them have added stands once."""
    one = Chain(stem=conv(3, 8), head=conv(8, 2))
    two = Chain(stem=conv(3, 8), more=conv(8, 8), head=conv(8, 2))
    three = Chain(first=nn.ReLU(), stem=conv(3, 8), more=conv(8, 8), head=conv(8, 4))
    comparison = compared(one, two, three)
    assert rows(comparison) == [
        ("-", "-", "first", "", "added"),
        ("stem", "stem", "stem", "same", "same"),
        ("-", "more", "more", "added", "added"),
        ("head", "head", "head", "same", "changed"),
    ]
    text = comparison.to_text()
    assert re.search(r"\nmore +B, C +147,456 ", text)
    assert re.search(r"\nhead +A, B +36,864 .*\n +C +73,728 ", text)


@pytest.mark.parametrize(
    "models", [("naive", "reduced", "factorized"), ("googlenet", "inception-v3")]
)
@pytest.mark.parametrize("depth", [1, 2])
def test_every_layer_is_in_one_part(models: Sequence[str], depth: int) -> None:
    comparison = library.compare(*models, depth=depth, trace=False)
    for i, table in enumerate(comparison.tables):
        parts = [part.costs[i] for part in comparison.branches]
        layers = [row.path for part in parts if part for row in part.rows]
        assert sorted(layers) == sorted(row.path for row in table.rows)


@pytest.mark.parametrize(
    ("last", "said"),
    [(nn.ReLU(), True), (nn.Softmax(1), False), (nn.Sigmoid(), False), (nn.LogSoftmax(1), False)],
)
def test_what_is_behind_probabilities_is_not_spoken_of(last: nn.Module, said: bool) -> None:
    """As of a network that segments images: they have the channels of a convolution's input."""
    text = compared(*(Chain(head=conv(3, classes), last=last) for classes in (4, 8))).to_text()
    assert ("A convolution after B has 8 inputs" in text) == said


def test_where_little_aligns_nothing_stands_beside_anything() -> None:
    comparison = library.compare("googlenet", "inception-v3", trace=False)
    assert all(len([cost for cost in part.costs if cost]) == 1 for part in comparison.branches)
    text = comparison.to_text()
    assert "Little of inception-v3 aligns with googlenet: only totals are compared;" in " ".join(
        text.split()
    )
    assert "(added)" not in text
    firsts = [i for i, part in enumerate(comparison.branches) if part.costs[0]]
    assert firsts == list(range(len(firsts)))


def test_of_three_models_one_may_have_little_in_common() -> None:
    """It has its stages behind what differs of the other two."""
    models = ("googlenet", "googlenet(aux=True)", "inception-v3")
    text = library.compare(*models, trace=False).to_text()
    assert "Little of C aligns with A: only totals are compared; the stages" in text
    first = [line.split()[:2] for line in text.splitlines() if re.match(r"\w+ +[A-C] .*\d$", line)]
    assert first[:3] == [["aux1", "B"], ["aux2", "B"], ["conv1", "C"]]
    assert {label for _, label in first[2:]} == {"C"}
    assert "conv1_relu" not in text


def test_what_all_models_have_is_left_out_of_a_derivation() -> None:
    text = library.compare("vgg16", "vgg19", trace=False).to_text(300)
    assert "(56·56·256)·(3·3·256) + 3 contractions as in vgg16" in text
    widths = [
        Chain(body=nn.Sequential(conv(3, w), *(conv(w, w) for _ in range(6)))) for w in (4, 8)
    ]
    assert "7 contractions, see --depth 2" in compared(*widths).to_text()
    assert compared(*widths, depth=2, everything=True).to_text().count("·(3·3·8)") == 6


def test_parts_in_a_row_that_differ_alike_are_one() -> None:
    comparison = library.compare("inception-resnet-v1", "inception-resnet-v2", trace=False)
    text = comparison.to_text()
    assert re.search(r"\nblock_b1 ×10 +A +198,868,992 ", text)
    assert re.search(r"\nblock_b11 ×10 +B \(added\) +324,937,728 ", text)
    assert re.search(r"\nblock_c10 +B \(added\) ", text)  # it has no ReLU, which the others have
    assert "×2 and the like: that many in a row are alike, each with these costs." in text
    lines = re.findall(r"^\S+(?: ×(\d+))? +B \(added\) +([\d,]+) ", text, re.MULTILINE)
    added = sum(int(times or 1) * int(macs.replace(",", "")) for times, macs in lines)
    assert added == sum(
        branch.costs[1].macs
        for branch in comparison.branches
        if branch.costs[1] and branch.verdicts == ("added",)
    )
    everything = replace(comparison, everything=True).to_text()
    assert "\nblock_b10 " in everything
    assert " ×10 " not in everything
    assert "×2 and the like" not in library.compare("naive", "reduced", trace=False).to_text()


def test_a_layer_is_no_partner_of_a_part_that_has_a_layer_like_it() -> None:
    """A batch norm and a block of seven convolutions that ends with one."""
    comparison = library.compare("inception-resnet-v1", "inception-resnet-v2", trace=False)
    (alone,) = (branch for branch in comparison.branches if branch.path == "conv6_bn")
    assert (alone.paths, alone.verdicts) == (("conv6_bn", None), ("removed",))


def test_what_has_no_rule_is_not_said_to_be_the_same() -> None:
    import torch

    class Far(Chain):
        def forward(self, x: Tensor) -> Tensor:
            values: Tensor = torch.linalg.svdvals(super().forward(x))
            return values

    one, other = Far(near=conv(3, 8)), Far(near=conv(3, 4))
    text = compared(one, one).to_text()
    assert re.search(r"\nMACs +≥\S+ +≥\S+ +\? +\?\n", text)
    assert re.search(r"\nsvdvals +A, B +\? ", text)
    assert "1 of 2 parts costs the same (near): --all shows it." in text
    assert "MACs not known, params same" in " ".join(text.split())
    data = json.loads(compared(one, other).to_json())
    assert data["totals"]["difference"]["macs"] == [None, None]
    assert data["totals"]["difference"]["params"] == [0, -112]


def test_every_quantity_of_the_totals_is_defined_below_them() -> None:
    text = library.compare("naive", "reduced", trace=False).to_text(300)
    totals = text.split("\n\n")[1].splitlines()[2:]
    headings = [re.split(r" {2,}", line)[0].removesuffix("s") for line in totals]
    (legend,) = (line for line in text.splitlines() if line.startswith("1 MAC = "))
    assert [h for h in headings if not re.search(rf"\b{h}s? = ", legend)] == []


def test_a_counter_that_cannot_run_is_no_difference(costlab: Run, tmp_path: Path) -> None:
    """fvcore puts hooks on modules, which scripted ones do not take."""
    code = "import torch\ndef net(): return torch.jit.script(torch.nn.Conv2d(3, 8, 3))\n"
    (tmp_path / "scripted.py").write_text(code, encoding="utf-8")
    model = ("scripted.py:net", "--input-size", "1,3,8,8")
    done = costlab("compare", "scripted.py:net", *model, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "fvcore says nothing of scripted.py:net: it failed with " in " ".join(
        done.stdout.split()
    )
    assert costlab("crosscheck", *model, "--counter", "fvcore", cwd=tmp_path).returncode == 1


def test_absent_branches_are_absent_not_zero() -> None:
    comparison = library.compare("googlenet", "googlenet(bn=True)", trace=False)
    at = {branch["path"]: branch["other"] for branch in comparison.data()["branches"]}
    assert at["norm1"][1] is None
    (line,) = [line for line in comparison.to_text().splitlines() if line.startswith("norm1")]
    assert line.split()[:6] == ["norm1", "A", "(removed)", "0", "0", "1,806,336"]


def test_where_little_aligns_it_is_said_what_stands_there_instead() -> None:
    for depth, what in ((1, "the stages"), (2, "the parts down to depth 2")):
        comparison = library.compare("googlenet", "inception-v3", depth=depth, trace=False)
        said = f"only totals are compared; {what} of each stand one below the other."
        assert said in comparison.to_text(300)
        table = comparison.to_text(300).partition(said)[2]
        assert ("\ninception_3a.branch1x1 " in table) == (depth == 2)


def test_a_comparison_goes_as_deep_as_told() -> None:
    models = ("googlenet/inception_3a", "googlenet/inception_3b")
    deep = library.compare(*models, depth=2, trace=False)
    assert {"branch5x5.reduce", "branch5x5.conv", "concat"} <= {b.path for b in deep.branches}
    frame = deep.to_frame()
    for model, table in zip(models, deep.tables, strict=True):
        rows = frame[frame["model"] == model]
        assert rows[rows["row"] == "branch"]["macs"].sum() == table.total.macs
        assert rows[rows["row"] == "total"]["macs"].sum() == table.total.macs


def test_equal_next_layers_are_said_once_or_not_at_all() -> None:
    text = library.compare("naive", "reduced", "reduced(c5r=8)", trace=False).to_text(300)
    assert "A convolution after B or C has 256 inputs, not 416" in text
    same = library.compare("googlenet", "googlenet(bn=True)", "googlenet(aux=True)", trace=False)
    assert "A convolution after" not in same.to_text()
    said = same.to_text(200)
    assert "C = googlenet(aux=True): input 1×3×224×224 → output 1×1000 + 1×1000 + 1×1000" in said


def test_what_different_channels_mean_for_the_next_layer() -> None:
    text = " ".join(library.compare("naive", "reduced", trace=False).to_text().split())
    assert "A convolution after reduced has 256 inputs, not 416: −38.5 % MACs" in text
    for others in (
        ("reduced", "reduced(c5r=24)"),
        ("googlenet/inception_3a", "googlenet/inception_4a"),
        ("googlenet", "googlenet(classes=1001)"),
    ):
        assert "A convolution after" not in library.compare(*others, trace=False).to_text()


class Squeeze(nn.Module):
    """A block whose last scope may be put in."""

    def __init__(self, squeezed: bool) -> None:
        super().__init__()
        self.blocks = nn.Sequential()
        for _ in range(2):
            block = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1))
            if squeezed:
                block.add_module(
                    "se", nn.Sequential(nn.Conv2d(4, 1, 1), nn.ReLU(), nn.Conv2d(1, 4, 1))
                )
            self.blocks.append(block)

    def forward(self, x: Tensor) -> Tensor:
        blocked: Tensor = self.blocks(x)
        return blocked


def test_what_is_new_or_gone_deep_inside_is_named() -> None:
    models = [Squeeze(False), Squeeze(True)]
    two = library.compare(*models, input_size=(1, 4, 8, 8), trace=False, names=["A", "B"])
    assert "Layers of B: 2 same, 6 added (blocks.0.se, blocks.1.se)." in two.to_text(width=200)
    back = library.compare(*models[::-1], input_size=(1, 4, 8, 8), trace=False, names=["B", "A"])
    assert "Layers of A: 2 same, 6 removed (blocks.0.se, blocks.1.se)." in back.to_text(width=200)
    deep = library.compare(*models, input_size=(1, 4, 8, 8), trace=False, depth=3)
    assert "6 added." in deep.to_text(width=200)  # each has a line of its own


def test_the_factors_of_attention_are_named_where_its_derivation_stands() -> None:
    words = "attention: MACs = (batch·queries·keys)·(width of keys + of values)."
    attention = [library.analyze(nn.MultiheadAttention(8, heads), [(5, 8)] * 3) for heads in (2, 4)]
    assert words in library.compare(*attention, trace=False).to_text()
    assert words not in library.compare("naive", "reduced", trace=False).to_text()
