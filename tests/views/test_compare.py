"""Comparisons as people read them: what stands beside what, in which words."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from command_line import Run
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import costlab as library
from costlab.costs.quantities import quantities
from costlab.errors import ChoiceError
from costlab.views.compare import Comparison
from costlab.views.labels import labels_of

SIZE = (1, 3, 16, 16)
NUMBER = re.compile(r"\d{1,3}(?:,\d{3})*|\d+")


def integer(text: str) -> int:
    assert NUMBER.fullmatch(text), text
    return int(text.replace(",", ""))


def conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def compared(*modules: nn.Module, **how: Any) -> Comparison:
    return library.compare(*modules, input_size=SIZE, trace=False, **how)


def rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """For each part its path in each model, ``-`` where it is not there, and its verdicts."""
    return [(*(path or "-" for path in part.paths), *part.verdicts) for part in comparison.branches]


class Chain(nn.Module):
    """Modules by their names, one after the other."""

    def __init__(self, **modules: nn.Module) -> None:
        super().__init__()
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, x: Tensor) -> Tensor:
        for module in self.children():
            x = module(x)
        return x


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
    assert ("A convolution after B has 8 input channels" in text) == said


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


@pytest.mark.parametrize("training_cost", [False, True])
def test_json_and_csv_have_every_quantity_and_difference(training_cost: bool) -> None:
    comparison = library.compare("naive", "reduced", trace=False, training_cost=training_cost)
    data = json.loads(comparison.to_json())
    records = list(csv.DictReader(io.StringIO(comparison.to_csv())))
    totals = [table.total for table in comparison.tables]
    for name, quantity in quantities(training_cost).items():
        first, second = map(quantity.of, totals)
        ratio = round(second / first, 6) if first else None
        assert data["totals"][name] == [first, second]
        assert data["totals"]["difference"][name] == [0, second - first]
        assert data["totals"]["ratio"][name] == [1.0 if first else None, ratio]
        parts = [branch["difference"][name][1] for branch in data["branches"]]
        assert sum(parts) == second - first
        (record,) = [r for r in records if r["row"] == "total" and r["model"] == "reduced"]
        assert int(record[f"{name}_difference_to_first"]) == second - first
        assert record[f"{name}_ratio_to_first"] == ("" if ratio is None else str(ratio))
    assert ("training MACs = " in " ".join(data["units"])) == training_cost
    verdicts = [layer["verdict"] for layer in data["alignments"][0]["layers"]]
    assert [verdicts.count(word) for word in ("same", "changed", "added")] == [5, 3, 6]


class Repeated(nn.Module):
    """One block called twice, its work again in the backward pass if it is in checkpoints."""

    def __init__(self, checkpointed: bool = False, frozen: bool = False) -> None:
        super().__init__()
        self.stem = conv(3, 8).requires_grad_(not frozen)
        self.block = nn.Sequential(conv(8, 8), nn.ReLU(), conv(8, 8), nn.ReLU())
        self.checkpointed = checkpointed

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for _ in range(2):
            x = (
                checkpoint(self.block, x, use_reentrant=True)
                if self.checkpointed
                else self.block(x)
            )
        return x


def test_what_training_costs_is_compared_where_the_forward_pass_is_the_same() -> None:
    """A shared block in checkpoints runs again at each call; what is frozen learns nothing."""
    models = Repeated(), Repeated(checkpointed=True), Repeated(frozen=True)
    assert "training" not in compared(*models).to_text()
    comparison = compared(*models, training_cost=True)
    costs = [table.total for table in comparison.tables]
    a_conv = 16 * 16 * 8 * 3 * 3 * 8
    assert [cost.training_macs - costs[0].training_macs for cost in costs] == [
        *(0, 4 * a_conv, -(16 * 16 * 8 * 3 * 3 * 3) - a_conv)
    ]
    text = comparison.to_text()
    table = text[text.index("what differs") :]
    assert table.split("\n", 1)[0].split() == [
        "what",
        "differs",
        "model",
        "MACs",
        "training",
        "MACs",
    ]
    assert re.search(r"\nstem +A, B ", table)
    assert re.search(r"\nblock +A ", table)
    assert "recomputed MACs" in compared(*models, training_cost=True, everything=True).to_text()


def test_tables_that_say_what_training_costs_are_compared_by_it() -> None:
    tables = [library.analyze(name, training_cost=True) for name in ("naive", "reduced")]
    assert library.compare(*tables, trace=False).training_cost
    assert not library.compare(tables[0], "reduced", trace=False).training_cost
    with pytest.raises(ChoiceError, match="naive is a table without training_cost"):
        library.compare(library.analyze("naive"), "reduced", trace=False, training_cost=True)


def test_training_cost_on_the_command_line(costlab: Run) -> None:
    done = costlab(
        "compare", "naive/branch5x5", "reduced/branch5x5", "--training-cost", "--no-trace"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(
        r"\ntraining MACs +240,844,800 +34,922,496 +−205,922,304 +÷6.90\n", done.stdout
    )


def test_every_quantity_of_the_totals_is_defined_below_them() -> None:
    text = library.compare("naive", "reduced", trace=False).to_text(300)
    totals = text.split("\n\n")[1].splitlines()[2:]
    headings = [re.split(r" {2,}", line)[0].removesuffix("s") for line in totals]
    (legend,) = (line for line in text.splitlines() if line.startswith("1 MAC = "))
    assert [h for h in headings if not re.search(rf"\b{h}s? = ", legend)] == []


def test_labels_are_short_names_or_letters_or_what_is_given() -> None:
    assert labels_of(["naive", "reduced"]) == ("naive", "reduced")
    assert labels_of(["naive", "reduced(c5r=24)"]) == ("A", "B")
    assert labels_of(["naive", "reduced(c5r=24)"], ["", "small"]) == ("naive", "small")
    assert labels_of(["x" * 20, "y" * 20, "z" * 20], ["", "A"]) == ("B", "A", "C")
    assert labels_of(["a", "a"]) == ("A", "B")
    assert len(set(labels_of(["x" * 20] * 60))) == 60
    with pytest.raises(library.CostlabError, match="two models are named 'a'"):
        labels_of(["x", "y"], ["a", "a"])
    with pytest.raises(library.CostlabError, match="3 names for 2 models"):
        library.compare("naive", "reduced", names=("a", "b", "c"), trace=False).to_text()


def test_labels_on_the_command_line(costlab: Run) -> None:
    """Of a model that is there, and of one more; every line fits."""
    small, large = "reduced(c5r=8)", "reduced(c5r=32)"
    done = costlab(
        "compare", small, "--name", f"tiny={small}", "--name", f"big={large}", "--no-trace"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert f"tiny = {small}: input " in done.stdout
    assert re.search(r"\ntotal +tiny +big +difference +change\n", done.stdout)
    assert max(map(len, done.stdout.splitlines())) <= 80
    for wrong in (small, "=naive", "tiny=", "tiny"):
        done = costlab("compare", "naive", "--name", wrong, "--no-trace")
        assert (done.returncode, done.stdout) == (2, "")
        assert "write LABEL=MODEL, as in small=reduced" in done.stderr


def test_a_counter_that_cannot_run_is_no_difference(costlab: Run, tmp_path: Path) -> None:
    """fvcore puts hooks on modules, which scripted ones do not take."""
    code = "import torch\ndef net(): return torch.jit.script(torch.nn.Conv2d(3, 8, 3))\n"
    (tmp_path / "scripted.py").write_text(code, encoding="utf-8")
    model = ("scripted.py:net", "--input-size", "1,3,8,8")
    done = costlab("compare", "scripted.py:net", *model, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "it does not cover 1 (it failed with " in " ".join(done.stdout.split())
    assert costlab("crosscheck", *model, "--counter", "fvcore", cwd=tmp_path).returncode == 1


NASTY = ["a|b*c_<d>$", "\x1b[31mred", "=1+1", "new\nline", "%s{}\\x"]


@pytest.mark.parametrize("name", NASTY)
def test_hostile_names_stay_in_their_cells(name: str) -> None:
    one, other = ({name: nn.Sequential(conv(3, width))} for width in (8, 4))
    comparison = compared(Chain(**one), Chain(**other), names=(name, "other"))
    text = comparison.to_text()
    assert all(line.isprintable() for line in text.splitlines())
    assert max(map(len, text.splitlines())) <= 80
    rows = [line for line in comparison.to_markdown().splitlines() if line.startswith("|")]
    tables = [len(re.findall(r"(?<!\\)\|", row)) for row in rows]
    assert tables == [6] * 11
    assert json.loads(comparison.to_json())["branches"][0]["path"] == name


def test_a_narrow_terminal_gets_the_columns_in_turns() -> None:
    text = library.compare("naive", "reduced", "naive(c5=8)", trace=False).to_text(45)
    assert max(map(len, text.splitlines())) <= 45
    assert text.count("120,422,400") == 1
    assert [line.split() for line in text.splitlines() if line.startswith("MACs")] == [
        ["MACs", "303,464,448", "128,049,152"],
        ["MACs", "213,147,648"],
    ]


def test_comparison_columns_add_up_to_the_printed_total() -> None:
    text = library.compare("naive", "reduced", trace=False, everything=True).to_text(200)
    totals, parts, *_ = text.split("\n\n")[1:]
    printed = {
        words[0]: words[1:3]
        for words in (re.split(r" {2,}", line) for line in totals.splitlines()[2:])
    }
    heads = re.split(r" {2,}", parts.splitlines()[0])[2:-1]
    assert heads == ["MACs", "params", "FLOPs", "other ops", "activations"]
    added = {"naive": [0] * 5, "reduced": [0] * 5}
    for line in parts.splitlines()[2:]:
        for label, sums in added.items():
            if found := re.search(rf" (?:\w+, )?{label}(?:, \w+)? +(\d.*)", line):
                numbers = re.split(r" {2,}", found[1])[:5]
                sums[:] = [a + integer(b) for a, b in zip(sums, numbers, strict=True)]
    for i, sums in enumerate(added.values()):
        assert sums == [integer(printed[head][i]) for head in heads]


def test_json_of_a_comparison() -> None:
    data = json.loads(library.compare("naive", "reduced", trace=False).to_json())
    assert [model["model"] for model in data["models"]] == ["naive", "reduced"]
    at = {branch["path"]: branch["macs"] for branch in data["branches"]}
    assert at["branch5x5"] == [120_422_400, 12_443_648]
    assert data["same_interface"] is False


def test_absent_branches_are_absent_not_zero() -> None:
    comparison = library.compare("googlenet", "googlenet(bn=True)", trace=False)
    at = {branch["path"]: branch["other"] for branch in comparison.data()["branches"]}
    assert at["norm1"][1] is None
    (line,) = [line for line in comparison.to_text().splitlines() if line.startswith("norm1")]
    assert line.split()[:6] == ["norm1", "A", "(removed)", "0", "0", "1,806,336"]


def test_one_model_on_two_inputs_is_told_apart() -> None:
    one, two = (library.analyze("naive", input_size=(n, 192, 28, 28)) for n in (1, 2))
    text = library.compare(one, two, trace=False).to_text()
    said = " ".join(text.split())
    assert "B (naive on 2×192×28×28) against A (naive on 1×192×28×28): MACs +100.0 %" in said
    assert "The inputs differ: --input-size compares the models on one." in said


def test_the_same_model_twice_is_numbered() -> None:
    comparison = library.compare("naive", "naive", trace=False)
    assert comparison.names == ("naive on 1×192×28×28 (1)", "naive on 1×192×28×28 (2)")
    assert comparison.title == "naive vs itself"
    assert "\nAll 5 parts cost the same: --all shows them.\n" in comparison.to_text()


def test_two_models_of_one_name_are_not_called_one() -> None:
    titles = [compared(Chain(a=conv(3, 4)), Chain(a=conv(3, width))).title for width in (4, 8)]
    assert titles == [
        "Chain vs itself",
        "Chain on 1×3×16×16 (1) vs Chain on 1×3×16×16 (2)",
    ]


def test_one_number_has_one_notation() -> None:
    """In the totals and in the verdict below."""
    text = library.compare("googlenet", "inception-v3", trace=False).to_text(300)
    totals = [re.split(r" {2,}", line) for line in text.split("\n\n")[1].splitlines()[2:]]
    changes = {words[0]: words[-1] for words in totals}
    assert {change[-1] == "%" for change in changes.values()} == {True, False}
    said = ", ".join(f"{heading} {change}" for heading, change in changes.items())
    assert f"\ninception-v3 against googlenet: {said}." in text


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
    assert "A convolution after B or C has 256 input channels, not 416" in text
    same = library.compare("googlenet", "googlenet(bn=True)", "googlenet(aux=True)", trace=False)
    assert "A convolution after" not in same.to_text()
    said = same.to_text(200)
    assert "C = googlenet(aux=True): input 1×3×224×224 → output 1×1000 + 1×1000 + 1×1000" in said


def test_what_different_channels_mean_for_the_next_layer() -> None:
    text = " ".join(library.compare("naive", "reduced", trace=False).to_text().split())
    assert (
        "A convolution after reduced has 256 input channels, not 416: −38.5 % of its MACs" in text
    )
    for others in (
        ("reduced", "reduced(c5r=24)"),
        ("googlenet/inception_3a", "googlenet/inception_4a"),
        ("googlenet", "googlenet(classes=1001)"),
    ):
        assert "A convolution after" not in library.compare(*others, trace=False).to_text()
