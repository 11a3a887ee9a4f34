"""Sweeps: every row is the table's, whatever the grid, its blocks, and what is asked of it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sampled import LARGE, without

import costlab as library
from costlab.catalog import registry
from costlab.costs.quantities import QUANTITIES
from costlab.graph.opcount import Contraction
from costlab.models.catalog_name import DIMENSIONS, named_model
from costlab.ops.conv import Conv
from costlab.ops.norm import BatchNorm
from costlab.sweeps import search as searching
from costlab.sweeps.architectures import OfCatalog
from costlab.sweeps.axes import read_axes
from costlab.sweeps.files import Store
from costlab.sweeps.interval import LARGEST
from costlab.sweeps.plan import Plan
from costlab.sweeps.request import Request
from costlab.sweeps.search import search
from costlab.sweeps.sweep import Sweep

NAMES = list(library.architectures())

WIDTHS = {
    "c1": "16:64:16",
    "c3r": "16,96,7",
    "c3": "32,128",
    "c5r": "0:24:8",
    "c5": "8,32",
    "cp": "32",
    "H=W": "7:28:7",
}


def exact(model: str, values: dict[str, Any]) -> dict[str, int] | None:
    """The table's totals with these choices and dimensions; None if there is no such model."""
    chosen = named_model(model)
    known = {**chosen.values(values), **values}
    size = [known[side] for side in DIMENSIONS]
    choices = {k: v for k, v in values.items() if k not in DIMENSIONS}
    sized = chosen.architecture.sizing & choices.keys()
    try:
        total = library.analyze(model, None if sized else size, **choices).total
    except library.ShapeError:
        return None
    return {name: quantity.of(total) for name, quantity in QUANTITIES.items()}


@st.composite
def grids(draw: st.DrawFn, name: str) -> dict[str, list[Any]]:
    """Some values of some choices and dimensions, down to those that no network can have.

    Of at most four choices: with all that some networks have, a grid has tens of thousands of rows.
    """
    entry = library.architectures()[name]
    sides = st.lists(st.integers(0, 300), min_size=1, max_size=3, unique=True)
    vary: dict[str, list[Any]] = {}
    free = sorted(entry.choices.keys() - entry.sizing)
    for each in draw(st.sets(st.sampled_from(free), max_size=4)) if free else ():
        published = entry.choices[each]
        if isinstance(published, bool):
            vary[each] = [False, True]
        elif isinstance(published, str):
            vary[each] = list(entry.variants[each])
        elif isinstance(published, float):
            vary[each] = [
                float(Fraction(n, 8))
                for n in draw(st.sets(st.integers(1, 16), min_size=1, max_size=2))
            ]
        else:
            vary[each] = draw(st.lists(st.integers(0, 9), min_size=1, max_size=2, unique=True))
    for side in draw(st.sets(st.sampled_from("NCHW"), min_size=1, max_size=2)):
        vary[side] = draw(sides)
    return vary


@pytest.mark.parametrize("name", without(LARGE, NAMES))
@settings(max_examples=6)
@given(st.data())
def test_every_row_of_a_sweep_is_the_models_table(name: str, data: st.DataObject) -> None:
    vary = data.draw(grids(name))
    frame = library.sweep(name, vary)
    order = sorted(vary, key=lambda each: _many(name, each))
    every = [
        dict(zip(order, values, strict=True)) for values in product(*(vary[axis] for axis in order))
    ]
    expected = [(values, exact(name, values)) for values in every]
    there = [values | total for values, total in expected if total is not None]
    columns = [*order, *QUANTITIES]
    assert frame[columns].to_dict("records") == there
    assert frame.attrs["variants"] == len(every)
    assert frame.attrs["undefined"] == len(every) - len(there)


def _many(name: str, each: str) -> bool:
    return each in DIMENSIONS or library.architectures()[name].takes_many(each)


@pytest.mark.parametrize("model", ["reduced/branch5x5", "googlenet(aux=True)/aux1"])
def test_a_part_of_a_model_is_swept(model: str) -> None:
    frame = library.sweep(model, {"H=W": range(190, 240, 16), "C": [3, 192]})
    for row in frame.to_dict("records"):
        size = (1, row["C"], row["H"], row["W"])
        assert library.analyze(model, size).total.macs == row["macs"]


def test_a_sizing_choice_is_the_input() -> None:
    frame = library.sweep("mobilenet-v1", {"resolution": [128, 160], "width": [0.25, 1.0]})
    assert frame[["H", "W", "resolution"]].values.tolist() == [
        [128] * 3,
        [128] * 3,
        [160] * 3,
        [160] * 3,
    ]
    for row in frame.to_dict("records"):
        model = f"mobilenet-v1(width={row['width']}, resolution={row['resolution']})"
        assert library.analyze(model).total.macs == row["macs"]
    with pytest.raises(library.ChoiceError, match="resolution"):
        library.sweep("mobilenet-v1", {"resolution": [128], "H": [3]})


@pytest.mark.parametrize(
    ("rule", "name"), [(Conv, "parameters"), (Conv, "contraction"), (BatchNorm, "scalars")]
)
def test_table_formula_and_sweep_have_one_rule(
    rule: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One rule is changed in its one place, and all three say the same other number."""

    def forget() -> None:
        searching.search.cache_clear()
        registry.forget()

    def all_three() -> list[dict[str, int]]:
        forget()
        formula = library.formula("reduced", ["c5r"])
        frame = library.sweep("reduced", {"c5r": [16, 24]})
        return [
            {
                name: quantity.of(library.analyze("reduced").total)
                for name, quantity in QUANTITIES.items()
            },
            {quantity: int(formula.at(**formula.published)[quantity]) for quantity in QUANTITIES},
            {quantity: int(frame[quantity][0]) for quantity in QUANTITIES},
        ]

    before = all_three()
    original = getattr(rule, name)

    def changed(self: Any, *shapes: Any) -> Any:
        answer = original(self, *shapes)
        if name == "parameters":
            return (*answer, ("third", (self.out_channels,)))
        if name == "contraction":
            outer, inner, (ours, theirs) = answer
            return Contraction(outer, (*inner, 3), (ours, (*theirs, "thrice")))
        return answer * 3

    monkeypatch.setattr(rule, name, changed)
    after = all_three()
    monkeypatch.undo()
    forget()
    assert before[0] == before[1] == before[2]
    assert after[0] == after[1] == after[2]
    assert before != after


WANTED: list[dict[str, Any]] = [
    {},
    {"where": "macs < 60e6 and c5r % 16 == 0"},
    {"minimize": "macs", "top": 7},
    {"maximize": "macs / params", "top": 50, "where": "params < 9e4"},
    {"minimize": "c5", "top": 30},
    {"pareto": "macs,-activations,params"},
    {"pareto": "H,-c1"},
]


@pytest.mark.parametrize("wanted", WANTED, ids=str)
def test_a_sweep_finds_the_same_whatever_its_blocks(wanted: dict[str, Any]) -> None:
    whole = library.sweep("reduced", WIDTHS, **wanted)
    assert len(whole) > 1
    for cells in (5, 64, 1000):
        the_plan = _with_cells(Request("reduced", WIDTHS, **wanted).plan(), cells)
        store = Store(the_plan)
        first = 0
        while first < the_plan.grid.blocks:
            last = min(first + 3, the_plan.grid.blocks)
            store.add(searching.count_blocks(the_plan, first, last)[0], last)
            first = last
        assert Sweep(store).to_frame().equals(whole.convert_dtypes())


def _with_cells(plan: Plan, cells: int) -> Plan:
    return replace(plan, block_size=cells)


def test_a_sweep_keeps_the_best_variants() -> None:
    every = library.sweep("reduced", WIDTHS)
    by_macs = every.sort_values("macs", kind="stable").head(9).reset_index(drop=True)
    assert library.sweep("reduced", WIDTHS, minimize="macs", top=9).equals(by_macs)
    ratio = (every.macs / every.params).sort_values(ascending=False, kind="stable")
    most = every.loc[ratio.index[:9]].reset_index(drop=True)
    assert library.sweep("reduced", WIDTHS, maximize="macs/params", top=9).equals(most)


# Beyond 64 bits


def test_counts_beyond_64_bits_are_told_and_not_wrapped() -> None:
    sides = [10**6, 10**9, 3 * 10**8, 10**12 - 1, 4 * 10**8, 10**7]  # the largest inside
    frame = library.sweep("pointwise", {"H=W": sides, "c": [1, 2, 7]})
    every = [(side, c) for side in sides for c in (1, 2, 7)]
    there = [
        (side, c)
        for side, c in every
        if max((exact("pointwise", {"H": side, "W": side, "c": c}) or {}).values()) <= LARGEST
    ]
    assert 0 < len(there) < len(every)
    assert list(zip(frame.H, frame.c, strict=True)) == there
    assert frame.attrs["beyond"] == len(every) - len(there)
    for row in frame.to_dict("records"):
        values = {"H": row["H"], "W": row["W"], "c": row["c"]}
        assert exact("pointwise", values) == {quantity: row[quantity] for quantity in QUANTITIES}


def test_conditions_beyond_64_bits_are_exact() -> None:
    """The product does not fit into 64 bits, wherever it is; each count does."""
    frame = library.sweep("reduced", {"H": [10**6], "W": [10**4], "c1": [63, 64, 65]})
    edge = int(frame.macs[1]) * int(frame.flops[1])
    assert edge > LARGEST
    for sign, kept in (("<", [63]), ("<=", [63, 64]), ("==", [64]), (">", [65])):
        found = library.sweep(
            "reduced",
            {"H": [10**6], "W": [10**4], "c1": [63, 64, 65]},
            where=f"macs * flops {sign} {edge}",
        )
        assert found.c1.tolist() == kept


def test_dividing_by_what_cannot_be_in_exact_numbers() -> None:
    """Channels that are no groups, where Python's ints raise and numpy's do not."""
    frame = library.sweep("googlenet(stem='separable')", {"C": [0, 1, 3], "H=W": [224, 10**8]})
    assert list(zip(frame.C, frame.H, strict=True)) == [(1, 224), (3, 224)]
    assert (frame.attrs["undefined"], frame.attrs["beyond"]) == (2, 2)
    for row in frame.to_dict("records"):
        size = (1, row["C"], row["H"], row["W"])
        assert library.analyze("googlenet(stem='separable')", size).total.macs == row["macs"]


def test_a_range_may_descend() -> None:
    frame = library.sweep("pointwise", {"H=W": range(4 * 10**8, 0, -133333333)})
    assert frame.H.tolist() == [133333334, 1]
    assert frame.attrs["beyond"] == 2


@pytest.mark.parametrize("base", [9 * 10**18, 93 * 10**17, 19 * 10**18])
def test_goals_beyond_64_bits_are_exact(base: int) -> None:
    frame = library.sweep(
        "googlenet", {"aux": [True, False]}, minimize=f"{base} + params // 1000000", top=1
    )
    assert frame.aux.tolist() == [False]


def test_a_part_that_only_some_variants_have() -> None:
    frame = library.sweep("googlenet/aux1", {"aux": [True, False], "width": [0.5, 1.0]})
    assert frame[["aux", "width"]].values.tolist() == [[True, 0.5], [True, 1.0]]
    assert frame.attrs["undefined"] == 2
    with pytest.raises(library.UnknownNameError, match="unknown part of googlenet"):
        library.sweep("googlenet/aux1", {"width": [0.5, 1.0]})


NUMBERS = st.sampled_from([0, 1, 2, 3, 16, 31, 224, 333, 2**20, 10**6, 10**9, 10**11])
ASKED: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {},
        {"minimize": "macs", "top": 3},
        {"maximize": "flops/(params - 5)", "top": 5},
        {"minimize": "(C - 16)/(H - 3)", "top": 3},
        {"pareto": "macs,-activations"},
        {"where": "macs % 7 == 3 or other < 1e9"},
        {"where": "macs * params * flops > 1e30", "maximize": "macs * params", "top": 4},
    ]
)


@settings(max_examples=12)
@given(
    st.sampled_from(["googlenet", "mobilenet-v1", "reduced", "pointwise", "bn-inception"]),
    st.data(),
)
def test_neither_large_numbers_nor_blocks_make_a_difference(name: str, data: st.DataObject) -> None:
    """Blocks of one, of three, and the whole: the same rows, and each is the table's."""
    vary: dict[str, Any] = data.draw(grids(name))
    for each in set(vary) & {"N", "C", "H", "W", "c", "c1", "c3", "c5r", "classes"}:
        vary[each] = data.draw(st.lists(NUMBERS, min_size=1, max_size=2, unique=True))
    asked: dict[str, Any] = data.draw(ASKED)
    the_plan = Request(name, vary, **asked).plan()
    found = []
    for cells in (1, 3, 2**17):
        store = Store(_with_cells(the_plan, cells))
        blocks = store.plan.grid.blocks
        store.add(searching.count_blocks(store.plan, 0, blocks)[0], blocks)
        found.append((Sweep(store).records(), Sweep(store).counts))
    assert found[0] == found[1] == found[2]
    for row in found[0][0]:
        values = {each: row[each] for each in vary}
        assert exact(name, values) == {quantity: row[quantity] for quantity in QUANTITIES}


# What varies


@pytest.mark.parametrize(
    ("name", "text", "values"),
    [
        ("c3r", "16:64:16", [16, 32, 48, 64]),
        ("c3r", "16:70:16", [16, 32, 48, 64]),
        ("c3r", "3:5", [3, 4, 5]),
        ("c3r", "14, 28,56", [14, 28, 56]),
        ("c3r", "1,4:8:2,6,1", [1, 4, 6, 8]),
        ("c3r", "7", [7]),
    ],
)
def test_a_range_of_whole_numbers_is_read(name: str, text: str, values: list[int]) -> None:
    assert list(read_axes(OfCatalog("reduced", ()), {name: text})[0].values) == values


def test_a_range_of_fractions_is_exact() -> None:
    (axis,) = read_axes(OfCatalog("mobilenet-v1", ()), {"width": "0.1:0.3:0.1"})
    assert axis.values == (Fraction(1, 10), Fraction(1, 5), Fraction(3, 10))


@pytest.mark.parametrize(
    ("model", "vary", "said"),
    [
        ("reduced", {}, "nothing varies"),
        ("reduced", {"c7": "1"}, "unknown choice of reduced 'c7'"),
        ("reduced", {"c3r": "a:b"}, "c3r takes whole numbers"),
        ("reduced", {"c3r": "1.5"}, "c3r takes whole numbers"),
        ("reduced", {"c3r": "9:1"}, "has no values"),
        ("reduced", {"c3r": "1:9:0"}, "has no values"),
        ("reduced", {"c3r": []}, "has no values"),
        ("reduced", {"c3r": [True]}, "c3r takes whole numbers"),
        ("reduced", {"c3r": [1.0]}, "c3r takes whole numbers"),
        ("reduced", {"c3r": "1", "c5=c3r": "1"}, "c3r is given twice"),
        ("reduced(c3r=2)", {"c3r": "1"}, "c3r is given twice"),
        ("googlenet", {"bn": "maybe"}, "bn takes True or False"),
        ("googlenet", {"stem=bn": "True"}, "do not take the same values"),
        ("googlenet", {"stem": "round"}, "unknown stem of googlenet 'round'"),
        ("mobilenet-v1", {"width": "x"}, "width takes numbers"),
        ("mobilenet-v1", {"width": "1/3"}, "width takes numbers"),
        ("mobilenet-v1", {"width": "0.000000000001,20000"}, "too large a common denominator"),
        ("reduced", {"c5r": 16}, "takes vary as a dict .* a list"),
        ("reduced", {"c5r": range(2**64)}, "is too large"),
        ("reduced", {"H": "1,999999999999999999999"}, "is too large"),
        ("reduced", {"H": [10**12]}, "is too large"),
        ("mobilenet-v1", {"width": "-1,1"}, "a multiplier is a number above 0"),
        ("mine.py:Net", {"width": "1"}, "there is no file mine.py"),
        ("mobilenet-v1", {"resolution=W": "128"}, "resolution is the size of the input"),
        ("reduced", "c5r=1:4", "takes vary as a dict"),
        ("reduced", {name: range(10**6) for name in ("c1", "c3", "c5", "cp")}, r"more than 2\^63"),
    ],
)
def test_what_cannot_vary_says_so(model: str, vary: dict[str, Any], said: str) -> None:
    with pytest.raises(library.CostlabError, match=said):
        library.sweep(model, vary)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"minimize": "macs", "pareto": "macs"}, "exclude each other"),
        ({"top": 3}, "top needs an order"),
        ({"minimize": "macs", "top": 2.5}, "takes top as a whole number"),
        ({"minimize": "macs", "top": 0}, "top is a whole number from 1"),
    ],
)
def test_what_cannot_be_wanted_says_so(wanted: dict[str, Any], said: str) -> None:
    with pytest.raises(library.ChoiceError, match=said):
        library.sweep("reduced", {"c5r": [16]}, **wanted)


def test_a_grid_without_a_network_is_an_empty_frame() -> None:
    frame = library.sweep("googlenet", {"H=W": "1:9"})
    assert (len(frame), frame.attrs["undefined"]) == (0, 9)
    assert set(QUANTITIES) < set(frame.columns)
    assert search(Request("googlenet", {"H": "1"}).plan()).columns["macs"] is np.int64
