"""What points and steps come to."""

from __future__ import annotations

from itertools import pairwise, product
from typing import Any

import pytest
from command_line import Run
from hypothesis import given
from hypothesis import strategies as st

import costlab
from costlab.render.plots import Axis, Scatter, Step, Waterfall, front
from costlab.render.web.plots import DrawnScatter, DrawnWaterfall
from costlab.sweeps.files import Store
from costlab.sweeps.points import MOST
from costlab.sweeps.request import Request
from costlab.sweeps.sweep import Sweep, run_sweep


@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=12),
    st.booleans(),
    st.booleans(),
)
def test_the_front_is_what_nothing_dominates(
    points: list[tuple[int, int]], more_x: bool, more_y: bool
) -> None:
    x, y = (
        Axis("", "", tuple(point[n] for point in points), most)
        for n, most in enumerate((more_x, more_y))
    )

    def at_least(a: tuple[int, int], b: tuple[int, int]) -> bool:
        return (a[0] >= b[0] if more_x else a[0] <= b[0]) and (
            a[1] >= b[1] if more_y else a[1] <= b[1]
        )

    best = front(x, y)
    undominated = {a for a in points if not any(b != a and at_least(b, a) for b in points)}
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


def scatter_of(model: str, varied: dict[str, str], **how: Any) -> Scatter:
    """The points on the page of a sweep."""
    plan = Request(model, varied, **how).plan()
    store = Store(plan)
    run_sweep(plan, store)
    (drawn,) = (block for block in Sweep(store).page() if isinstance(block, Scatter))
    return drawn


def test_a_sweep_is_drawn_by_what_was_asked_for() -> None:
    points = scatter_of("reduced", {"c5r": "8,16", "c3r": "64,96"}, pareto="macs,-activations")
    x, y = points.axes[points.x], points.axes[points.y]
    assert (x.name, x.most, y.name, y.most) == ("macs", False, "activations", True)
    line = scatter_of("reduced", {"H=W": "14,28,56"})
    assert line.labels[0] == "H=14, W=14"
    few = scatter_of("reduced", {"c5r": "8:12", "c3r": "64"})
    assert len(DrawnScatter(few).points) == 5
    assert set(few.labels) == {f"c5r={a}, c3r={b}" for a, b in product(range(8, 13), [64])}


@pytest.mark.parametrize("goals", ["macs,-c5", "params,-activations/macs", "-c5,macs*2"])
def test_all_that_a_pareto_front_keeps_is_on_the_line(goals: str) -> None:
    points = scatter_of("reduced", {"c5r": "4:64:4", "c5": "8:64:8"}, pareto=goals)
    drawn = DrawnScatter(points)
    assert [point.best for point in drawn.points] == [True] * len(points.labels)
    assert len(points.labels) > 1
    assert len(drawn.line.split()) == len(points.labels)


def test_the_best_by_a_number_is_drawn_by_it() -> None:
    points = scatter_of(
        "reduced", {"c5r": "4:64:4", "c5": "8:64:8"}, maximize="macs / params", top=9
    )
    x = points.axes[points.x]
    assert (x.heading, x.most) == ("macs / params", True)
    assert list(x.values) == sorted(x.values, reverse=True)
    macs, params = (
        next(axis.values for axis in points.axes if axis.name == name)
        for name in ("macs", "params")
    )
    assert x.values == tuple(a / b for a, b in zip(macs, params, strict=True))


def test_a_page_of_many_variants_says_which_it_has(costlab: Run) -> None:
    varied = {"H": "1:90", "W": "1:90"}
    points = scatter_of("pointwise", varied)
    assert len(points.labels) + points.left == 8100
    assert len(points.labels) <= MOST + 1
    best = {points.labels[n] for n in front(points.axes[points.x], points.axes[points.y])}
    assert best == {"H=1, W=1"}
    assert points.labels[-1] > "H=89"
    done = costlab(
        *("sweep", "pointwise", "--vary", "H=1:90", "--vary", "W=1:90"), "--format", "html"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert f"This page has {len(points.labels):,} of 8,100 variants: evenly" in done.stdout
