"""Pictures of verdicts: bars of counters beside ours, and dots of ratios."""

from __future__ import annotations

import re
from dataclasses import replace
from math import isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

import costlab
from costlab.checks import agreement as agreements
from costlab.checks.agreement import agreement
from costlab.checks.verdicts import CrossCheck, CrossChecks, Verdict
from costlab.figures.ledger import Ledger
from costlab.figures.ratios import ratios
from costlab.render.verdict_plots import AGREEMENTS, OURS, Agreement, Dot, Ratio, Ratios
from costlab.render.web.verdict_plots import DrawnAgreement


@pytest.fixture(scope="module")
def checked() -> CrossCheck:
    return costlab.crosscheck("googlenet", counters=["torch", "module"])


def with_verdicts(check: CrossCheck, verdicts: dict[str, tuple[Verdict, int | None]]) -> CrossCheck:
    """The check, with what torch says of the layers of some stages instead."""
    rows = list(check.rows)
    for number, one in enumerate(rows):
        stage = one.path.partition(".")[0]
        if one.counter == "torch" and one.ours and stage in verdicts:
            verdict, theirs = verdicts[stage]
            rows[number] = replace(one, verdict=verdict, theirs=theirs)
    return CrossCheck(check.table, tuple(rows), check.versions)


def test_bars_are_as_long_as_what_is_counted(checked: CrossCheck) -> None:
    drawn = agreement(checked)
    assert drawn.columns[:2] == (("costlab", "MACs"), ("torch", "MACs"))
    for number, whole in ((0, checked.table.total.macs), (2, checked.table.total.params)):
        ours, theirs = ([stage.sides[n] for stage in drawn.stages] for n in (number, number + 1))
        assert sum(side.whole for side in ours) == sum(side.whole for side in theirs) == whole
        assert {kind for side in theirs for kind, _ in side.parts} == {"agrees"}
    assert drawn.stages[-1].label == "10 more stages, all agree"
    shapes = [stage.sides[-1].text for stage in drawn.stages]
    assert sum(int(text.removesuffix(" ✓")) for text in shapes) == len(checked.table.rows)


def test_each_verdict_has_a_sign_and_a_part_of_its_bar(checked: CrossCheck) -> None:
    drawn = agreement(
        with_verdicts(
            checked,
            {
                "conv1": ("differs", 7),
                "conv2": ("known fault", 5),
                "inception_3a": ("another rule", 3),
                "linear": ("not covered", None),
            },
        )
    )
    sides = {stage.label: stage.sides[1] for stage in drawn.stages}
    assert sides["conv1"] == ((("differs", 7),), "7 ≠")
    assert sides["conv2"] == ((("known fault", 10),), "10 !")
    assert sides["linear"] == ((("not covered", 1_024_000),), "0 –")
    assert drawn.kinds == list(AGREEMENTS)
    parts = {label: parts for label, sides in DrawnAgreement(drawn).rows for parts, _ in sides[1:2]}
    assert parts["conv1"] == [("differs", 0.0, 1.5)]
    page = with_verdicts(checked, {"conv1": ("differs", 7)}).to_html()
    assert re.search(r'<rect class="differs" fill="url\(#a\d+-differs\)"', page)


def test_of_many_stages_those_that_differ_are_shown(
    checked: CrossCheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agreements, "MOST_STAGES", 3)
    drawn = agreement(with_verdicts(checked, {"inception_3a": ("differs", 7)}))
    assert [stage.label for stage in drawn.stages] == ["inception_3a", "21 more stages, all agree"]
    assert all(not side.parts for side in drawn.stages[-1].sides)
    wrong: tuple[Verdict, int] = ("differs", 7)
    four = dict.fromkeys(("conv1", "conv2", "inception_3a", "linear"), wrong)
    assert agreement(with_verdicts(checked, {**four})).stages[-1].label == "19 more stages"


def test_of_several_models_the_page_says_all(checked: CrossCheck) -> None:
    both = CrossChecks((checked, with_verdicts(checked, {"conv1": ("differs", 7)})))
    assert both.headline() == (
        "googlenet: torch agrees on 58 of 58, module agrees on 201 of 201; "
        "googlenet: torch differs on 1 of 58, module agrees on 201 of 201"
    )
    assert "<h1>Cross-check of googlenet, googlenet</h1>" in both.to_html()


@pytest.fixture(scope="module")
def judged() -> Ledger:
    return costlab.ledger(["googlenet", "vgg"])


def test_every_figure_with_a_number_has_a_dot(judged: Ledger) -> None:
    drawn = ratios(judged)
    assert drawn.title == "Computed ÷ printed, of what is not as printed (58 more are)"
    assert [row.label for row in drawn.rows] == [
        f"{row.source.id}/{row.figure.id}"
        for row in judged.rows
        if row.verdict not in ("reproduced", "truncated")
    ]
    by_name = {row.label: row for row in drawn.rows}
    row = by_name["googlenet/table1-conv1-params"]
    assert row.text == "2.7K, computed 9,408"
    (dot,) = row.dots
    assert (dot.verdict, dot.number) == ("another network", 1)
    assert dot.ratio == pytest.approx(9408 / 2700)


def test_a_long_ledger_has_a_line_for_each_source() -> None:
    judged = costlab.ledger(["googlenet", "vgg", "rethinking-inception", "ptflops-2019"])
    many = Ledger(tuple(row for row in judged.rows for _ in range(3)))
    drawn = ratios(many)
    assert [row.label for row in drawn.rows] == [source.id for source in judged.sources]
    assert drawn.rows[1].text == "36 of 36 as printed"
    assert sum(dot.number for dot in drawn.rows[1].dots) == 36
    assert drawn.rows[1].dots[0].title.startswith("36 figures, reproduced, the first ")


@given(st.lists(st.floats(1e-4, 1e4), max_size=6))
def test_ratios_have_places_in_their_order(numbers: list[float]) -> None:
    dots = tuple(Dot(number, "reproduced", 1, "") for number in numbers)
    drawn = Ratios("", ("reproduced",), (Ratio("", "", dots),))
    places = [drawn.place(number) for number in sorted(numbers)]
    assert places == sorted(places)
    assert all(0 < place < 1 for place in places)
    marks = dict(drawn.marks)
    assert {"as printed", "−1 %", "+1 %"} <= marks.keys()
    assert isclose(marks["as printed"], drawn.place(1))
    assert list(marks.values()) == sorted(marks.values())


def test_ours_comes_first_and_has_no_verdict() -> None:
    assert next(iter(AGREEMENTS)) == OURS
    assert Agreement("", (), ()).kinds == []
