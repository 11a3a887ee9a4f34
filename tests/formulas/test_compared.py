"""Two formulas: where one costs less than the other."""

from __future__ import annotations

from typing import Any

import pytest
from command_line import Run
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import costlab as library
from costlab.formulas.crossing import FURTHEST, crossings
from costlab.symbols.assumptions import Assumptions


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


def test_what_several_symbols_decide_is_said_at_numbers_of_the_others() -> None:
    layer = "torch.nn:TransformerEncoderLayer(d_model=256, nhead=8, batch_first=True)"
    wide = "torch.nn:TransformerEncoderLayer(d_model=264, nhead=8, dim_feedforward=1024)"
    one, two = (library.formula(text, input_size="N,T,256") for text in (layer, layer))
    assert one.compared(two).names == (f"{layer} (1)", f"{layer} (2)")
    assert "both have the same MACs for all N, T." in one.compared(two).to_text()
    other = library.formula(wide, input_size="N,T,264")
    said = other.compared(one).sentence(one.shown[0])
    assert said.startswith("At ")
    assert said.endswith(".")


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
    assert "give two models" in costlab("compare", convs[0], *asked).stderr
    numbers = costlab("compare", "reduced", "reduced", "--no-trace", "--input-size", "1,192,7,7")
    assert "input 1×192×7×7" in numbers.stdout
