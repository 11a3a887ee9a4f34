"""Sweeps of what runs of the catalog's models hold: at each variant what memory says there."""

from __future__ import annotations

from typing import Any

import pytest

import costlab as library


def held(model: str, size: tuple[int, ...], **choices: Any) -> int:
    return library.memory(model, size, **choices).peak_bytes


def test_sizes_are_counted_as_memory_says_them() -> None:
    vary = {"N": range(1, 6), "H=W": "4,7,9"}
    frame = library.sweep("reduced", vary, where="peak_bytes < 4e6", c3r=24)
    assert len(frame) > 5
    for row in frame.to_dict("records"):
        size = row["N"], 192, row["H"], row["W"]
        assert row["peak_bytes"] == held("reduced", size, c3r=24)


def test_weights_that_are_for_one_size_are_built_at_each() -> None:
    """Of two sizes that are too small there is no network, and that says nothing of others."""
    frame = library.sweep("lenet5", {"H=W": "8,10,32,36,48", "N": "1,2"}, quantities="peak_bytes")
    assert [*frame["H"]] == [32, 32, 36, 36, 48, 48]
    for row in frame.to_dict("records"):
        assert row["peak_bytes"] == held("lenet5", (row["N"], 1, row["H"], row["H"]))
    assert frame.attrs["undefined"] == 4


def test_choices_and_channels_are_modules_of_their_own() -> None:
    frame = library.sweep("reduced", {"c3r": "16,96", "C": "8,192"}, quantities="peak_bytes")
    for row in frame.to_dict("records"):
        size = 1, row["C"], 28, 28
        assert row["peak_bytes"] == held("reduced", size, c3r=row["c3r"])


def test_the_size_by_its_other_name() -> None:
    frame = library.sweep("mobilenet-v1(width=0.25)", {"resolution": "128"}, maximize="peak_bytes")
    there = held("mobilenet-v1(width=0.25)", (1, 3, 128, 128))
    assert frame["peak_bytes"].tolist() == [there]


def test_a_part_that_is_not_there_is_named() -> None:
    with pytest.raises(library.UnknownNameError, match="unknown part of naive 'nopart'"):
        library.sweep("naive/nopart", {"N": "1,2"}, quantities="peak_bytes")


def test_an_input_size_is_not_for_the_catalog() -> None:
    for size in (1, 3, 224, 224), "1,3,H,W":
        with pytest.raises(library.ChoiceError, match="leave out the input size"):
            library.sweep("googlenet", {"N": "1,2"}, quantities="peak_bytes", input_size=size)
