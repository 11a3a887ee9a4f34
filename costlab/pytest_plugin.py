"""Limits in a test: the fixture ``costlab_check``, which pytest finds through an entry point.

def test_costs(costlab_check):
    costlab_check("mine.py:Net", "macs <= 1.6 G", "params <= 7 M", input_size=(1, 3, 224, 224))

Every run of pytest imports this file, so it imports nothing of costlab before a test asks for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from costlab.gates.result import Gate


@pytest.fixture
def costlab_check() -> Callable[..., Gate]:
    """Fail where a model breaks a limit, with what ``costlab check`` prints.

    Takes what ``costlab.check`` takes; with nothing, the checks in pyproject.toml or costlab.toml
    of the current folder.
    """

    def checked(model: Any = None, *limits: str, **how: Any) -> Gate:
        __tracebackhide__ = True
        from pathlib import Path

        from costlab.gates.gate import check, gate
        from costlab.gates.settings import checks_of

        result = gate(checks_of(Path())) if model is None else check(model, *limits, **how)
        if failed := [f"{finding.title}: {finding.text}" for finding in result.findings()]:
            # Of the first line pytest makes its summary.
            first = [text.partition("\n")[0] for text in failed]
            pytest.fail("\n".join([*first, "", result.to_text()]), pytrace=False)
        return result

    return checked
