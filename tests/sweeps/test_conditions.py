"""Conditions and goals of sweeps: which variants are kept, and what is refused beforehand."""

from __future__ import annotations

import pytest

import costlab as library


def test_what_is_divided_by_0_is_refused() -> None:
    vary = {"c5r": [8, 16, 24]}
    for where in ("macs/(c5r-16) < 1e9", "not macs/(c5r-16) < 5", "macs/(c5r-16) != 5"):
        frame = library.sweep("reduced", vary, where=where)
        assert 16 not in frame.c5r.tolist()
    frame = library.sweep("reduced", vary, minimize="1/(c5r-16)")
    assert frame.c5r.tolist() == [8, 24]
    assert frame.attrs["refused"] == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mac < 5", "unknown name 'mac': did you mean 'macs'? (column 1 of 'mac < 5')"),
        ("macs", "this is a number: compare it, as in macs < 120 M (column 1 of 'macs')"),
        (
            "macs < 1 and macs[cov] < 1",
            "reduced has no layer 'cov': did you mean 'conv' or 'conv2d'? (column 19",
        ),
        ("c5r[conv] < 1", "c5r is not counted by layers, as macs is (column 1"),
        ("macs < base.macs", "'base' is no other model: there are none (column 8"),
    ],
)
def test_a_mistake_is_pointed_at(text: str, said: str) -> None:
    with pytest.raises(library.ExpressionError) as raised:
        library.sweep("reduced", {"c5r": [16]}, where=text)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_sweep_is_limited_by_words_and_switches() -> None:
    frame = library.sweep(
        "googlenet",
        {"stem": "plain,separable", "bn": "True,False"},
        where="stem == 'separable' and not bn",
    )
    assert frame[["stem", "bn"]].values.tolist() == [["separable", False]]
    assert frame.macs.tolist() == [1_498_677_248]


def test_a_goal_of_a_sweep_that_is_a_condition_is_an_error() -> None:
    with pytest.raises(library.ExpressionError, match="a number is wanted, such as macs"):
        library.sweep("reduced", {"c5r": [16]}, minimize="macs < 5")


def test_suffixes_stand_for_thousands_in_conditions_of_a_sweep() -> None:
    vary = {"c5r": "4:64:4"}
    same = [
        library.sweep("reduced", vary, where=f"macs < {limit}").c5r.tolist()
        for limit in ("130e6", "130 M", "0.13G", "130000K")
    ]
    assert same[0]
    assert same == [same[0]] * 4


@pytest.mark.parametrize("selector", ["branch5x5", "conv", "conv2d, max_pool", '"branch5x5.*"'])
@pytest.mark.parametrize("quantity", ["macs", "params", "other"])
def test_quantities_of_some_layers_are_those_of_each_variants_table(
    quantity: str, selector: str
) -> None:
    from costlab.expressions import tables
    from costlab.expressions.parser import number

    text = f"{quantity}[{selector}]"
    frame = library.sweep(
        "reduced", {"c5r": range(4, 65, 4), "H": "14,28"}, minimize=f"{text} - c5r / 100", top=1000
    )
    assert len(frame) == 32
    some = number(text, tables.names())
    order = [
        some.one(tables.values(library.analyze(f"reduced(c5r={c5r})", (1, 192, h, 28)))) - c5r / 100
        for c5r, h in zip(frame.c5r.tolist(), frame.H.tolist(), strict=True)
    ]
    assert order == sorted(order)
    assert len(set(order)) > 2


def test_layers_that_only_some_variants_have() -> None:
    frame = library.sweep("googlenet", {"bn": "False,True"}, where="other[batch_norm] == 0")
    assert frame.bn.tolist() == [False]
    frame = library.sweep("googlenet", {"bn": "False,True"}, where="other[batch_norm] > 0")
    assert frame.bn.tolist() == [True]
    with pytest.raises(library.ExpressionError, match="has no layer 'batch_norm'"):
        library.sweep("googlenet", {"bn": [False]}, where="other[batch_norm] == 0")


def test_goals_of_a_front_may_have_commas_in_brackets() -> None:
    vary = {"c5r": "4:64:4", "c5": "8:64:8"}
    front = library.sweep("reduced", vary, pareto="macs[conv, max_pool],-c5")
    assert front.equals(library.sweep("reduced", vary, pareto=["macs", "-c5"]))
    assert len(front) == 8


def test_quantities_of_some_layers_beyond_64_bits() -> None:
    """Bounds tell that exact numbers are needed for what is read, too."""
    frame = library.sweep("reduced", {"c5r": "4,8"}, where="macs[conv] * 1e15 < 1e24")
    assert frame.c5r.tolist() == [4, 8]
    frame = library.sweep("reduced", {"c5r": "4,8"}, where="macs[conv] * 1e15 < 1e22")
    assert frame.c5r.tolist() == []
