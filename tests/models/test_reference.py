"""Which kind of MODEL reads a text, and that help names all of them."""

from __future__ import annotations

import pytest
from command_line import Run

from costlab.models.reference import frontends, reference


def test_kinds_of_model_that_read_text_are_asked_in_an_order_of_their_own() -> None:
    priorities = [frontend.priority for frontend in frontends() if frontend.grammar]
    assert priorities == sorted(set(priorities))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("reduced", "Named"),
        ("reduced/json", "Named"),
        ("report.json", "Saved"),
        ("report.json/branch", "Saved"),
        ("file.py:Net", "Code"),
        ("file.py:Net/head.json", "Code"),
        ("package.json:Net", "Code"),
        ("package.json:Net/a.json", "Code"),
    ],
)
def test_a_text_that_several_kinds_of_model_read_is_of_the_first(text: str, kind: str) -> None:
    assert type(reference(text)).__name__ == kind


def test_help_says_what_a_model_may_be(costlab: Run) -> None:
    said = " ".join(costlab("--help").stdout.split())
    for frontend in frontends():
        assert frontend.about in said
        assert all(example in said for example in frontend.grammar)
