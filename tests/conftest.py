"""What several tests use."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Any

import pytest
import sampled
from browsing import browser
from command_line import Run, RunProcess, forget_modules, in_a_process, in_this_process
from hypothesis import HealthCheck, settings

from costlab.graph import Graph
from costlab.roofline import this

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# Threads of torch that wait for each other by turning make a test tenfold slower on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Files say the day on which they were made: one that does not end while a test runs.
os.environ.setdefault("SOURCE_DATE_EPOCH", "1767225600")

# A shell has what it runs in the background ignore Ctrl-C, and whatever that starts, too.
signal.signal(signal.SIGINT, signal.default_int_handler)

# What is measured of this machine is kept from test to test, apart from what its users have.
os.environ["COSTLAB_CACHE"] = str(Path(gettempdir()) / "costlab-tests")

# A little is measured of it, a few times: what no test moves at once would take longest.
this._BYTES, this._RUNS = (2**14, 2**18, 2**20, 2**22, 2**25), 5
this._CPU_WORK = this._CPU_WORK._replace(sides=(512,), images=((1, 256, 1),))

# A busy machine takes its time, which is no fault of what is tested.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--overwrite",
        action="store_true",
        help="write the outputs in README.md, docs/ and reports/ anew, instead of comparing them",
    )


def pytest_configure(config: pytest.Config) -> None:
    if not config.option.markexpr:
        sampled.TIMES.append(5)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What was imported stays: to look through it for garbage again and again takes a tenth."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
        gc.set_threshold(20_000, 10, 10)  # what tests make is looked through less often, too


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


@pytest.fixture(autouse=True)
def _no_module_of_a_test_stays(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A test writes ``mine.py`` and imports it, and so does another one."""
    before = dict(sys.modules)
    yield
    forget_modules(tmp_path_factory.getbasetemp(), before)


@pytest.fixture
def overwrite(request: pytest.FixtureRequest) -> bool:
    """Whether to write expected outputs anew."""
    return bool(request.config.getoption("--overwrite"))


@pytest.fixture
def costlab() -> Run:
    """Run the command line; fast, in this process."""
    return in_this_process


@pytest.fixture
def costlab_process() -> RunProcess:
    """Run the command line as a user does, in a process of its own."""
    return in_a_process


@pytest.fixture
def quiet() -> Iterator[None]:
    """Other counters log as they like."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(scope="module")  # its event loop is in the way of tests that need one of their own
def chromium() -> Iterator[Browser]:
    """A real browser; tests that need one are skipped where there is none."""
    with browser() as started:
        yield started
