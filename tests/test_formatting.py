"""Numbers for people: scaled, as factors and as shares."""

from __future__ import annotations

import pytest

from costlab import formatting


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1_000, "1.00 K"),
        (1_234, "1.23 K"),
        (9_995, "10.0 K"),
        (12_443_648, "12.4 M"),
        (120_422_400, "120 M"),
        (999_499, "999 K"),
        (999_500, "1.00 M"),
        (999_999, "1.00 M"),
        (1_582_671_872, "1.58 G"),
        (10**15, "1,000 T"),
    ],
)
def test_scaled_numbers_round_and_carry(number: int, text: str) -> None:
    assert formatting.scaled(number) == text


@pytest.mark.parametrize(
    ("first", "other", "text"),
    [
        (120_422_400, 12_443_648, "9.68x fewer"),
        (100, 125, "1.25x more"),
        (1_000, 1_001, "0.1% more"),
        (1_000_000, 1_000_001, "<0.1% more"),
        (1_000, 995, "0.5% fewer"),
        (2_304, 303_464_448, "131,712x more"),
        (5, 5, "same"),
        (0, 5, "from 0"),
        (5, 0, "to 0"),
        (0, 0, "same"),
    ],
)
def test_a_ratio_is_a_factor_in_words(first: int, other: int, text: str) -> None:
    assert formatting.ratio(first, other) == text


def test_shares_never_show_something_as_nothing() -> None:
    assert formatting.percent(1, 10_000_000) == "<0.1%"
    assert formatting.percent(0, 10) == "0%"
    assert formatting.percent(0, 0) == "-"
    assert formatting.percent(1, 3) == "33.3%"
