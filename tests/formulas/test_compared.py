"""Two formulas: where one costs less than the other."""

from __future__ import annotations

import re
from typing import Any

import pytest
from command_line import Run
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import costlab as library
from costlab.formulas.crossing import FURTHEST, crossings
from costlab.symbols.assumptions import Assumptions, Guard


def block(width: Any) -> nn.Module:
    return nn.Sequential(nn.Conv2d(width, width, 3, padding=1))


def bottleneck(width: Any) -> nn.Module:
    inner = 64
    parts = [nn.Conv2d(width, inner, 1), nn.Conv2d(inner, inner, 3, padding=1)]
    return nn.Sequential(*parts, nn.Conv2d(inner, width, 1))


def test_a_reduction_pays_from_a_number_of_channels_on() -> None:
    one, two = library.formula("naive/branch5x5"), library.formula("reduced/branch5x5")
    both = library.compare(one, two)
    assert "reduced/branch5x5 has fewer MACs from C = 17 on, naive/branch5x5 up to C = 16." in (
        both.to_text().replace("\n", " ")
    )
    assert one.at(C=16, H=1, W=1).macs < two.at(C=16, H=1, W=1).macs
    assert one.at(C=17, H=1, W=1).macs > two.at(C=17, H=1, W=1).macs
    (activations,) = both.crossings("activations")
    assert (activations.symbol, activations.spans[0].sign) == ("", 1)
    assert "naive/branch5x5 has fewer activations for all C, H, W." in both.to_text()
    assert '"first":17' in both.to_json().replace(" ", "").replace("\n", "")


def test_modules_are_compared_by_their_widths() -> None:
    size = "1,width,H,W"
    one, two = (library.formula(make, input_size=size) for make in (block, bottleneck))
    both = one.compared(two)
    (macs,) = both.crossings("macs")
    assert macs.symbol == "width"
    assert macs.spans[-1].last is None
    edge = macs.spans[-1].first
    for width, less in ((edge - 1, False), (edge, True), (edge + 900, True)):
        first, second = (
            library.analyze(make(width), (1, width, 8, 8)).total.macs
            for make in (block, bottleneck)
        )
        assert (second < first) is less


def test_nothing_is_said_of_sizes_that_do_not_exist() -> None:
    modules = nn.Conv2d(1, 4, 5), nn.Conv2d(1, 10, 1)
    both = library.compare(*(library.formula(m, input_size="1,1,H,8") for m in modules))
    signs = dict[int, int]()
    for height in range(1, 20):
        try:
            first, second = (library.analyze(m, (1, 1, height, 8)).total.macs for m in modules)
        except library.CostlabError:
            continue
        signs[height] = (second > first) - (second < first)
    (macs,) = both.crossings("macs")
    assert macs.spans[0].first == min(signs)
    for height, sign in signs.items():
        (span,) = (s for s in macs.spans if s.first <= height <= (s.last or height))
        assert span.sign == sign
    assert "up to H = 4" not in both.to_text()


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=4), st.integers(2, 5))
def test_signs_are_those_of_all_numbers(factors: list[int], below: int) -> None:
    of = Assumptions({"a": 8, "b": 8})
    a, b = of.symbols.values()
    difference: Any = sum((f * (a // below) ** i for i, f in enumerate(factors)), of.constant(0))
    for crossing in crossings(difference * b, [], of.hints):
        for span in crossing.spans:
            ends = [span.first, span.last or 3 * FURTHEST]
            for number in (*ends, sum(ends) // 2):
                value = difference.at({"a": number, "b": 1}, {})
                assert (value > 0) - (value < 0) == span.sign


SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")


def holds(where: str, point: dict[str, int]) -> bool:
    """What a condition in words says of a point."""
    code = re.sub("[⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda power: f"**{power[0].translate(SUPERSCRIPT)}", where)
    for sign in "≥", "≤":  # a, b ≥ 7 is about both
        names, *number = re.split(f" {sign} ", code) if re.match(r"\w+, ", code) else [code]
        if number:
            code = " and ".join(f"{name} {sign} {number[0]}" for name in names.split(", "))
    code = re.sub(r"(?<=\d),(?=\d)", "", code)
    for word, python in {"·": "*", "/": "//", "≥": ">=", "≤": "<=", " = ": " == "}.items():
        code = code.replace(word, python)
    return bool(eval(code.translate({0x230A: "(", 0x230B: ")"}), {}, point))


FACTORS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(-40, 40)), max_size=3
)


@given(FACTORS, st.lists(st.integers(1, 8), min_size=2, max_size=2), st.data())
def test_regions_say_the_sign_of_all_that_is_in_them(
    factors: list[tuple[int, int, int]], below: list[int], data: st.DataObject
) -> None:
    def value(a: Any, b: Any) -> Any:
        one, two = (a + 3) // below[0], (b + 1) // below[1]
        terms = [f * one**i * b**j for i, j, f in factors] + [a * two - 60 * b]
        return sum(terms[1:], terms[0])

    of = Assumptions({"a": 8, "b": 8})
    least = data.draw(st.integers(1, 9))
    guards = [Guard(of.symbols["a"] - least, "≥ 0", "")]
    points = st.tuples(st.integers(least, 300), st.integers(1, 300))
    size = value(**of.symbols)
    for crossing in crossings(size, guards, of.hints):
        for a, b in data.draw(st.lists(points, min_size=8, max_size=8)):
            there = value(a, b)
            for region in crossing.regions:
                if holds(region.where, {"a": a, "b": b}):
                    assert (there > 0) - (there < 0) == region.sign


def test_what_several_symbols_decide_is_a_condition_on_them() -> None:
    of = Assumptions({"H": 28, "W": 28, "C": 192})
    high, wide, channels = of.symbols.values()

    def said(macs: Any) -> list[tuple[int, str]]:
        (crossing,) = crossings(macs, [], of.hints)
        return [(region.sign, region.where) for region in crossing.regions]

    assert said(2560 * high * wide - 2_390_960) == [(1, "H·W ≥ 934"), (-1, "H·W ≤ 933")]
    assert said(high * (wide - 2 * channels)) == [
        (-1, "2·C ≥ W + 1"), (0, "W = 2·C"), (1, "W ≥ 2·C + 1")
    ]  # fmt: skip


def test_what_is_too_long_to_read_is_told_as_far_as_it_is_proven() -> None:
    of = Assumptions({"H": 28, "W": 28})
    h, w = of.symbols.values()
    floors: Any = sum((n * ((h + n) // n) * ((w + n) // n) for n in (3, 4, 5)), of.constant(0))
    told = crossings(floors - 2 * h * w + 4 * w, [], of.hints)
    assert told[0].regions
    of_two = of.made("most", (h * w, 100 * h)) - of.made("most", (2 * h * w + w, 90 * h))
    (first, *_) = crossings(of_two, [], of.hints)
    assert [region.sign for region in first.regions] == [-1]


def test_what_is_not_proven_is_said_at_numbers_of_the_others() -> None:
    two = (library.formula(name, "N") for name in ("googlenet", "inception-v3"))
    assert library.compare(*two).headline().startswith("googlenet vs inception-v3: At H = 224, W =")


def test_modules_of_several_sizes_are_compared_by_conditions_on_them() -> None:
    layer = "torch.nn:TransformerEncoderLayer(d_model=256, nhead=8, batch_first=True)"
    wide = "torch.nn:TransformerEncoderLayer(d_model=264, nhead=8, dim_feedforward=1024)"
    one, two = (library.formula(text, input_size="N,T,256") for text in (layer, layer))
    assert one.compared(two).names == (f"{layer} (1)", f"{layer} (2)")
    assert "both have the same MACs for all N, T." in one.compared(two).to_text()
    other = library.formula(wide, input_size="N,T,264")
    said = other.compared(one).sentence(one.shown[0])
    assert said == (
        "A has fewer MACs where 32·T + 30,703 ≥ 33·N, "
        "both have the same where 32·T + 30,704 = 33·N, B where 33·N ≥ 32·T + 30,705."
    )
    assert '"where": "32·T + 30,703 ≥ 33·N"' in other.compared(one).to_json()


def test_ratios_are_not_compared() -> None:
    one = library.formula("mobilenet-v1", "width")
    with pytest.raises(library.ChoiceError, match="--at width=1"):
        one.compared(one).to_text()


def test_compare_is_of_formulas_where_sizes_have_names(costlab: Run) -> None:
    convs = [f"torch.nn:Conv2d(in_channels=3, out_channels=8, kernel_size={k})" for k in (3, 5)]
    asked = ["--input-size", "N,3,9,9", "--quantity", "peak_bytes"]
    said = costlab("compare", *convs, *asked)
    assert "peak_bytes of B = 1,772·N + 2,432" in said.stdout
    assert "B has fewer peak bytes from N = 3 on, both have the same at N = 2, A at N = 1." in (
        said.stdout.replace("\n", " ")
    )
    wide = "torch.nn:Conv2d(in_channels=3, out_channels=w, kernel_size=3)"
    said = costlab("compare", wide, convs[1], "--input-size", "1,3,9,9", "--symbol", "w")
    assert "B has fewer MACs from w = " in said.stdout  # which B does not have
    assert "give two models" in costlab("compare", convs[0], *asked).stderr
    numbers = costlab("compare", "reduced", "reduced", "--no-trace", "--input-size", "1,192,7,7")
    assert "input 1×192×7×7" in numbers.stdout
