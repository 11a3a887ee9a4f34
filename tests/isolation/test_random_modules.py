"""Modules that change what they can reach leave everything as it was, whatever they are made of.

``random_modules.py`` follows as many as one likes.
"""

from __future__ import annotations

import pytest
from random_modules import WAYS, differences
from traits import TRAITS


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("trait", TRAITS)
def test_a_module_that_changes_one_thing_is_as_it_was(trait: str) -> None:
    """On shapes in evaluation mode, for real in training."""
    assert differences(0, trait, ways=(WAYS[0], WAYS[-1])) == []


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(12))
def test_a_module_that_changes_many_things_is_as_it_was(seed: int) -> None:
    assert differences(seed) == []
