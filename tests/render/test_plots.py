"""What points and steps come to."""

from __future__ import annotations

from itertools import pairwise, product

import pytest
from command_line import Run
from hypothesis import given
from hypothesis import strategies as st

import costlab
from costlab.render.plots import Scatter, Step, Waterfall, front
from costlab.render.web.plots import DrawnScatter, DrawnWaterfall
from costlab.sweeps.files import Store
from costlab.sweeps.sweep import Sweep, make_plan, run_sweep


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=12))
def test_the_front_is_what_nothing_dominates(points: list[tuple[int, int]]) -> None:
    best = front(tuple(x for x, _ in points), tuple(y for _, y in points))
    undominated = {
        a for a in points if not any(b != a and b[0] <= a[0] and b[1] <= a[1] for b in points)
    }
    assert {points[n] for n in best} == undominated
    assert len(best) == len(undominated)


@pytest.mark.parametrize("model", ["naive", "googlenet"])
def test_steps_lead_from_our_total_to_theirs(model: str) -> None:
    result = costlab.reconcile(model, against=["fvcore", "thop", "torch", "ptflops"])
    falls = [block for block in result.page() if isinstance(block, Waterfall)]
    assert len(falls) == len(result.told)
    for fall, account in zip(falls, result.told, strict=True):
        first, *steps, last = fall.steps
        assert (first.begin, first.end) == (0, result.macs)
        assert (last.begin, last.end) == (0, account.reported)
        places = [first.end, *(end for step in steps for end in step[1:]), last.end]
        assert all(a == b for a, b in list(pairwise(places))[::2])
        assert "residual" not in {step.label for step in steps}


def test_small_steps_are_seen() -> None:
    fall = Waterfall(
        "", (Step("a", 0, 10**9), Step("b", 10**9, 10**9 + 7), Step("c", 0, 10**9 + 7))
    )
    drawn = DrawnWaterfall(fall)
    assert drawn.begins == "999,999,993"
    assert [step.number for step in drawn.steps] == ["1,000,000,000", "+7", "1,000,000,007"]
    assert drawn.steps[1].width == pytest.approx(drawn.steps[0].width)
    assert Waterfall("", (Step("a", 0, 9), Step("b", 9, 5), Step("c", 0, 5))).low == 0


def test_a_sweep_is_drawn_by_what_was_asked_for() -> None:
    def scatter(varied: dict[str, str], **how: str) -> Scatter:
        plan = make_plan("reduced", varied, **how)  # type: ignore[arg-type]
        store = Store(plan)
        run_sweep(plan, store)
        (drawn,) = (block for block in Sweep(store).page() if isinstance(block, Scatter))
        return drawn

    points = scatter({"c5r": "8,16", "c3r": "64,96"}, pareto="macs,-activations")
    names = [points.axes[n].name for n in (points.x, points.y)]
    assert names == ["macs", "activations"]
    line = scatter({"H=W": "14,28,56"})
    assert line.labels[0] == "H=14, W=14"
    few = scatter({"c5r": "8:12", "c3r": "64"})
    assert len(DrawnScatter(few).points) == 5
    assert set(few.labels) == {f"c5r={a}, c3r={b}" for a, b in product(range(8, 13), [64])}


def test_a_page_of_many_variants_has_the_first(costlab: Run) -> None:
    done = costlab(
        *("sweep", "pointwise", "--vary", "H=1:90", "--vary", "W=1:90"), "--format", "html"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "3,100 more are not on this page" in done.stdout
