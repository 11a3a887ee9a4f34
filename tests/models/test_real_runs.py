"""A run on real tensors is the same each time, and every format says that it was one."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import Run
from torch import nn

import costlab as library

CODE = """
import random
import numpy
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.steps = int(numpy.random.randint(1, 99))

    def forward(self, x):
        for _ in range(self.steps + random.randrange(99) + int(torch.randint(1, 99, ()))):
            x = self.layer(x)
        return x if x.sum() > 0 else -x

class Asks(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        return self.layer(x) if x.sum() > 0 else self.layer(x)

class Asks_nothing(nn.Module):
    def forward(self, x):
        return x + 1

def given():
    return torch.randint(1, 1000, (1,)).float().expand(1, 4)

class Given(nn.Module):
    def forward(self, x):
        for _ in range(int(x[0, 0])):
            x = x + 1
        return x
"""
REAL = ("--input-size", "1,4", "--real")
SAID = "Values decided what is computed, at 1 place: other values may cost something else."


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(CODE, encoding="utf-8")
    return tmp_path


def drawn() -> tuple[Any, ...]:
    return torch.rand(()).item(), random.random(), np.random.rand()


@pytest.mark.parametrize(
    "args",
    [("mine.py:Net", *REAL), ("mine.py:Given", "--inputs", "mine.py:given", "--real")],
)
def test_a_real_run_is_the_same_each_time(
    costlab: Run, folder: Path, args: tuple[str, ...]
) -> None:
    first = costlab("show", *args, "--format", "csv", cwd=folder)
    assert first.returncode == 0
    for seed in (1, 2):
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed)
        assert costlab("show", *args, "--format", "csv", cwd=folder).stdout == first.stdout


def test_random_numbers_are_afterwards_what_they_were(costlab: Run, folder: Path) -> None:
    torch.manual_seed(5)
    random.seed(5)
    np.random.seed(5)
    expected = drawn()
    torch.manual_seed(5)
    random.seed(5)
    np.random.seed(5)
    costlab("show", "mine.py:Net", *REAL, cwd=folder)
    assert drawn() == expected


@pytest.mark.parametrize("format", ["table", "json", "csv", "markdown", "latex", "parquet"])
@pytest.mark.parametrize(
    "args",
    [
        ("show", "mine.py:Asks"),
        ("show", "mine.py:Asks/layer"),
        ("compare", "mine.py:Asks", "mine.py:Asks_nothing", "--no-trace"),
        ("crosscheck", "mine.py:Asks", "--counter", "torch"),
        ("crosscheck", "mine.py:Asks", "mine.py:Asks", "--counter", "torch"),
        ("reconcile", "mine.py:Asks", "--counter", "torch"),
    ],
    ids=" ".join,
)
def test_every_format_says_where_values_decided(
    costlab: Run, folder: Path, format: str, args: tuple[str, ...]
) -> None:
    done = costlab(*args, *REAL, "--format", format, "-o", "x", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    written = (folder / "x").read_bytes()
    if format == "json":
        data = json.loads(written)
        run = (data.get("runs") or data.get("models") or [data])[0]
        (decision,) = run["decided"]
        assert run["real"] is True
        assert decision["question"] == "__bool__"
        assert "mine.py:" in decision["where"]
    else:
        text = " ".join(written.decode(errors="replace").split())
        assert "Run on real tensors" in text
        assert SAID in text
        assert "mine.py:" in text


def test_a_saved_report_still_says_it(costlab: Run, folder: Path) -> None:
    costlab("show", "mine.py:Asks", *REAL, "-o", "saved.json", cwd=folder)
    assert SAID in " ".join(costlab("show", "saved.json", cwd=folder).stdout.split())


def test_a_real_run_that_asks_nothing_is_called_real(costlab: Run, folder: Path) -> None:
    done = costlab("show", "mine.py:Asks_nothing", *REAL, cwd=folder)
    assert "Run on real tensors, of which no values were asked." in done.stdout
    done = costlab("show", "mine.py:Asks_nothing", *REAL[:-1], cwd=folder)
    assert "real" not in done.stdout


@pytest.mark.parametrize(
    ("question", "function"),
    [
        ("item", lambda x: x.sum().item()),
        ("nonzero", lambda x: x.nonzero()),
        ("where", lambda x: torch.where(x > 0)[0]),
        ("index", lambda x: x[x > 0]),
        ("repeat_interleave", lambda x: x.repeat_interleave((x[0] > 0).long(), 1)),
        ("masked_select", lambda x: x.masked_select(x > 0)),
    ],
)
def test_what_gives_a_shape_by_values_asks_for_them(question: str, function: Any) -> None:
    class Net(nn.Module):
        def forward(self, x: Any) -> Any:
            return function(x)

    table = library.analyze(Net(), (2, 3), real=True)
    assert [decision.question for decision in table.graph.decisions] == [question]


def test_a_run_on_shapes_has_no_column_more(costlab: Run, folder: Path) -> None:
    done = costlab("show", "mine.py:Asks_nothing", *REAL[:-1], "--format", "csv", cwd=folder)
    assert ",run," not in done.stdout.splitlines()[0]
