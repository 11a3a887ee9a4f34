"""A comment on a pull request: GitHub takes it, whatever the result is, and shows what is meant."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sampled import examples

import costlab
from costlab.costs.table import CostTable, costs
from costlab.graph import Net
from costlab.ops.conv import Conv
from costlab.render.formats import render
from costlab.render.formats.comment import marker
from costlab.render.result import Result

GITHUBS_LIMIT = 65_536


def network(layers: int, name: str = "conv", width: int = 4) -> CostTable:
    net = Net(f"net of {name}", (1, 4, 8, 8))
    (x,) = net.inputs
    for number in range(layers):
        x = net.add(f"{name}{number}", Conv(width, 1), x)
    return costs(net.graph(x))


def comment(result: Result) -> str:
    text = render(result, "comment")
    assert len(text.encode("utf-16-le")) // 2 < GITHUBS_LIMIT
    assert text.count("<details>") == text.count("</details>")
    return text


def test_the_answer_is_shown_and_the_rest_folded() -> None:
    limits = ("macs <= 1.02 * base.macs", "params <= 1 M")
    text = comment(costlab.check("reduced(c5r=24)", *limits, baseline="reduced"))
    shown, _, folded = text.partition("<details>")
    assert shown.startswith("<!-- costlab: costlab check -->\n### costlab check\n")
    assert "**❌ 1 of 2 limits fails.**" in shown
    assert "| MACs | 128,049,152 | 134,270,976 | +6,221,824 | +4.9 % |" in shown
    assert "| ❌ macs \\<= 1.02 \\* base.macs |" in shown
    assert "| ✅ params \\<= 1 M |" in shown
    assert "·" not in shown
    assert folded.startswith(
        "<summary>reduced(c5r=24): macs &lt;= 1.02 * base.macs</summary>\n\nMACs of the layers"
    )
    assert "baseline: (28·28·32)·(5·5·16)<br>now: (28·28·32)·(5·5·24)" in folded
    assert "\n</details>\n\n1 MAC = " in folded


def test_what_holds_is_marked_so() -> None:
    text = comment(costlab.check("naive", "macs <= 1 G"))
    assert "**✅ The limit holds.**" in text
    assert "❌" not in text
    assert "<details>" not in text


@pytest.mark.parametrize(
    ("result", "answer", "summary", "row"),
    [
        (
            costlab.analyze("naive"),
            "303,464,448 MACs (303 M), 387,744 params",
            "Layers: 12 rows",
            "| branch5x5.conv | conv2d 5×5 |",
        ),
        (
            costlab.analyze("naive").laid_out(by="kind"),
            "303,464,448 MACs (303 M), 387,744 params",
            "Operations by kernel: 6 rows",
            "| conv2d 5×5 |",
        ),
        (
            costlab.compare("naive", "reduced", trace=False),
            "| **MACs** | **303,464,448** | **128,049,152** | **−175,415,296** | **−57.8 %** |",
            "What differs: 3 parts",
            "| (28·28·16)·(1·1·192) + (28·28·32)·(5·5·16) |",
        ),
        (
            costlab.compare("googlenet", "inception-v3", trace=False),
            "| **MACs** | **1,582,671,872** |",
            "Stage: 29 parts",
            "| inception_3a | googlenet |",
        ),
    ],
)
def test_layers_are_folded_and_totals_are_not(
    result: Result, answer: str, summary: str, row: str
) -> None:
    before, folded, after = re.split(r"</?details>", comment(result))
    assert answer in before + after
    assert folded.startswith(f"<summary>{summary}</summary>\n\n|")
    assert row in folded
    assert not re.search(r"·\d", before + after)


def test_two_results_of_one_kind_have_one_marker_and_others_another() -> None:
    def first(result: Result) -> str:
        return comment(result).partition("\n")[0]

    check = costlab.check("naive", "macs <= 1 G")
    assert first(check) == first(costlab.check("reduced", "macs <= 1")) == marker("costlab check")
    assert first(costlab.analyze("naive")) == "<!-- costlab: naive -->"


def test_a_large_comparison_is_cut_and_has_its_verdict() -> None:
    before, now = (network(400, width=width) for width in (4, 6))
    text = comment(costlab.compare(before, now, trace=False, everything=True))
    assert "More does not fit into a comment" in text
    assert text.count("| conv") > 100
    assert "</details>\n\nA convolution after B has 6 inputs, not 4" in text
    assert "against A (net of conv on 1×4×8×8 (1)): MACs +124.8 %" in text


@pytest.mark.parametrize("layers", [10, 2000])
def test_a_large_table_is_cut(layers: int) -> None:
    text = comment(network(layers))
    assert ("More does not fit into a comment" in text) == (layers == 2000)
    assert "conv9 |" in text
    assert f"{layers * 4 * 4 + layers * 4:,} params" in text.replace("\\", "")  # the summary below


def test_many_sections_are_cut_and_closed() -> None:
    limits = [f"params[conv{number}] < 1" for number in range(400)]
    text = comment(costlab.check(network(400), *limits))
    assert "More does not fit into a comment" in text
    assert text.count("<details>") > 10
    assert text.rstrip().endswith("costlab prints all of it._")


@pytest.mark.parametrize("name", ["\U0001f600" * 300, "x" * 3000, "|" * 900, "<" * 900])
def test_long_names_are_cut_before_they_fill_it(name: str) -> None:
    text = comment(network(200, name))
    assert text.count("\n| ") > 20


def test_what_is_left_out_of_a_table_is_its_end() -> None:
    net = Net("net", (1, 4, 8, 8))
    (x,) = net.inputs
    for number in range(400):
        x = net.add(f"conv{number}" + "x" * 400 * (number % 4 > 0), Conv(4, 1), x)
    rows = re.findall(r"^\| conv(\d+)", comment(costs(net.graph(x))), re.MULTILINE)
    assert 100 < len(rows) < 400
    assert [*map(int, rows)] == [*range(len(rows))]


NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="./"), min_size=1)


@given(NAMES)
@example("@octocat")
@settings(max_examples=examples(40), derandomize=True)
def test_a_name_is_no_markup(name: str) -> None:
    table = network(2, name)
    text = comment(costlab.check(table, "macs <= 1"))
    assert text.count("<!-- costlab: ") == 1
    assert text.count("<details>") == 1
    (summary,) = re.findall("<summary>(.*)</summary>", text)
    assert "<" not in summary.replace("<span>@</span>", "")
    assert "@" not in text.replace("<span>@</span>", "")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    for row in rows:
        assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) in (5, 6), row
