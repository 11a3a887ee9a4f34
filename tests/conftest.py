"""What several tests use."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from costlab.graph import Graph

# Threads of torch that wait for each other by turning make a test tenfold slower on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def _every_graph_is_checked(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What holds for every graph holds for each that a test makes: catalog, traced, saved."""
    if request.node.get_closest_marker("wrong_graphs"):
        return
    make = Graph.__init__

    def checked(self: Graph, *args: Any, **kwargs: Any) -> None:
        make(self, *args, **kwargs)
        self.check()

    monkeypatch.setattr(Graph, "__init__", checked)


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def costlab() -> Run:
    """Run the command line as a user does, in a process of its own."""

    def run(*args: str, **options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "costlab", *args],
            text=True,
            encoding="utf-8",
            check=False,
            **{"capture_output": True, "timeout": 120, **options},  # type: ignore[call-overload]
        )

    return run
