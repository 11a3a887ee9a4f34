"""What makes a file of ``counters/`` a counter: that it registers one, and nothing else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from costlab import counters
from costlab.errors import UnknownNameError

File = Callable[[str, str], None]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[File]:
    """Adds a file to the folder of counters."""
    names = []

    def add(name: str, source: str) -> None:
        (tmp_path / f"{name}.py").write_text(source)
        names.append(name)
        counters._files.cache_clear()

    monkeypatch.setattr(counters, "__path__", [*counters.__path__, str(tmp_path)])
    yield add
    monkeypatch.undo()
    counters._files.cache_clear()
    for name in names:
        sys.modules.pop(f"costlab.counters.{name}", None)
        vars(counters).pop(name, None)


def test_a_file_that_registers_a_counter_is_one(file: File) -> None:
    source = """
from costlab.counters import Counter, Measurement
COUNTER = Counter("hooks", measure=lambda module, inputs: Measurement("hooks", "1", {}))
"""
    before = counters.known()
    file("hooks", source)
    assert counters.known() == sorted([*before, "hooks"])
    assert "hooks" not in counters.reconcilable()  # it has no convention


@pytest.mark.parametrize(
    "source",
    [
        '"""A helper.\n\nmeasure twice, cut once.\nCOUNTER = Counter("talk")\n"""',
        "def measure(module, inputs): ...\nCONVENTION = ()",
        "from costlab.counters.torch import COUNTER as COUNTER, measure as measure",
        "from costlab.counters.torch import COUNTER as IT",
        "",
    ],
)
def test_a_docstring_a_function_or_an_alias_makes_no_counter(file: File, source: str) -> None:
    before = counters.known(), counters.reconcilable()
    file("talk", source)
    assert (counters.known(), counters.reconcilable()) == before
    with pytest.raises(UnknownNameError, match="unknown counter 'talk'"):
        counters.chosen("talk", lambda counter: counter.crosschecks)


def test_a_docstring_or_an_alias_does_not_unmake_a_counter(file: File) -> None:
    source = """
'''It does not
measure'''
from costlab.counters import torch
from costlab.counters import Counter as Named
COUNTER = Named("same", measure=torch.measure)
"""
    file("same", source)
    assert "same" in counters.known()
