"""Numbers for people: scaled, as factors and as shares."""

from __future__ import annotations

from typing import Any

import pytest

from costlab import formatting
from costlab.symbols.assumptions import Assumptions


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
        (303_464_448, 128_049_152, "−57.8 %"),
        (120_422_400, 12_443_648, "÷9.68"),
        (100, 125, "+25.0 %"),
        (100, 299, "+199.0 %"),
        (100, 300, "×3.00"),
        (1_000_000, 1_000_001, "+0.0001 %"),
        (1_000, 995, "−0.5 %"),
        (2_304, 303_464_448, "×131,712"),
        (5, 5, "same"),
        (0, 5, "new"),
        (5, 0, "gone"),
        (0, 0, "same"),
    ],
)
def test_a_change_is_a_percentage_or_a_factor(first: int, other: int, text: str) -> None:
    assert formatting.change(first, other) == text


@pytest.mark.parametrize(
    ("first", "other", "text"),
    [
        (100, 250, "×2.50"),
        (250, 100, "÷2.50"),
        (1000, 1004, "×1.004"),
        (0, 5, "new"),
        (5, 5, "same"),
    ],
)
def test_a_change_is_a_factor_beside_another(first: int, other: int, text: str) -> None:
    assert formatting.change(first, other, factor=True) == text


@pytest.mark.parametrize(
    ("n", "number", "text"),
    [(1, 3, "1 of 3 parts"), (3, 3, "All 3 parts"), (1, 1, "The part"), (0, 1, "0 of 1 part")],
)
def test_so_many_of_a_number(n: int, number: int, text: str) -> None:
    assert formatting.of_all(n, number, "part") == text


def test_a_difference_has_its_sign() -> None:
    assert formatting.difference(303_464_448, 128_049_152) == "−175,415,296"
    assert formatting.difference(5, 1_005) == "+1,000"
    assert formatting.difference(5, 5) == "0"


def test_shares_never_show_something_as_nothing() -> None:
    assert formatting.percent(1, 10_000_000) == "<0.1%"
    assert formatting.percent(0, 10) == "0%"
    assert formatting.percent(0, 0) == "-"
    assert formatting.percent(1, 3) == "33.3%"


def test_one_is_not_several() -> None:
    assert formatting.both(1, "MACs") == "1 MAC"
    assert formatting.both(2000, "MACs") == "2,000 MACs (2.00 K)"


def test_something_is_never_shown_as_all_of_it() -> None:
    assert formatting.percent(9_996, 10_000) == ">99.9%"
    assert formatting.percent(9_994, 10_000) == "99.9%"
    assert formatting.percent(10_000, 10_000) == "100%"


def test_a_sum_in_a_shape_stands_in_brackets() -> None:
    height: Any = Assumptions({"H": 8}).symbols["H"]
    assert formatting.shape((1, height, height - 2)) == "1×H×(H - 2)"
