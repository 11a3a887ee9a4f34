"""Evidence that takes minutes: a sample of it runs each time, all of it with ``pytest -m ''``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

TIMES = [1]
"""How many times as many examples are drawn as in each run."""


def examples(number: int) -> int:
    """So many are drawn each time, and five times as many with ``pytest -m ''``."""
    return number * TIMES[-1]


LARGE = (
    "googlenet",
    "bn-inception",
    "inception-v2",
    "inception-v3",
    "inception-v4",
    "inception-resnet-v1",
    "inception-resnet-v2",
    "xception",
    "resnet50",
    "vgg11",
    "vgg13",
    "vgg19",
)
"""Networks of the catalog whose operations the others have too: modules, a VGG, a MobileNet."""


def sampled(cases: Iterable[Any], *taken: Any) -> list[Any]:
    """The cases of a test, those ``taken`` as they are, the others marked to run when asked."""
    listed = list(cases)
    assert set(taken) <= set(listed), set(taken) - set(listed)
    return [
        case if case in taken else pytest.param(case, marks=pytest.mark.more) for case in listed
    ]


def without(large: Iterable[Any], cases: Iterable[Any]) -> list[Any]:
    """The cases of a test, all but the ``large`` ones as they are."""
    listed, rare = list(cases), set(large)
    return sampled(listed, *(case for case in listed if case not in rare))
