"""Names of wide characters keep their columns, and lines their width."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from costlab.costs.table import costs
from costlab.graph import Net
from costlab.ops.conv import Conv
from costlab.render.widths import padded, width, wrapped

NAMES = ["卷积", "畳み込み", "합성곱", "conv", "café", "cafe\u0301", "x😀y", "\u200bzero"]


def test_wide_characters_take_two_cells_and_accents_none() -> None:
    assert [width(name) for name in NAMES] == [4, 8, 6, 4, 4, 4, 4, 4]
    assert padded("卷积", 6) == "卷积  "
    assert padded("卷积", 6, right=True) == "  卷积"


def test_columns_stand_below_each_other_whatever_the_names() -> None:
    net = Net("网络", (1, 3, 8, 8))
    x = net.inputs[0]
    for name in ["卷积", "conv", "畳み込み層"]:
        x = net.add(name, Conv(3, 1), x)
    text = costs(net.graph(x)).laid_out(columns=("macs",)).to_text(80)
    lines = [line for line in text.split("\n\n")[1].splitlines() if line]
    assert len({width(line) for line in lines}) == 1


@given(
    st.text(st.sampled_from("ab 积層(·)"), max_size=80),
    st.integers(min_value=4, max_value=30),
)
def test_no_line_is_too_wide_and_no_character_is_lost(text: str, cells: int) -> None:
    lines = wrapped(text, cells, indent=" ", break_words=True)
    assert all(width(line) <= cells for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())
    words = wrapped(text, cells)
    assert " ".join(words).split() == text.split()


def test_a_percentage_is_not_broken() -> None:
    assert wrapped("params +2.9 %, FLOPs", 11) == ["params", "+2.9 %,", "FLOPs"]
