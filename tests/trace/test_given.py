"""What a module is called with: several inputs, by order and by name, their types, a batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import Run
from torch import Tensor, nn

import costlab as library
from costlab.errors import ChoiceError, ShapeError

CODE = """
import torch
from torch import nn

class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(300, 50), nn.Linear(200, 50)

    def forward(self, x, y, mask=None):
        x = self.a(x) + self.b(y)
        return x if mask is None else x.masked_fill(mask, 0)

class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(10, 4)

    def forward(self, ids, mask):
        return self.table(ids) * mask[..., None]
"""
X, Y = "--input-size=1,300", "--input-size=1,200"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "two.py").write_text(CODE, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("args", "entering"),
    [
        ([X, Y], "1×300 + 1×200"),
        ([X, "--input-size", "y=1,200"], "1×300 + 1×200"),
        (["--input-size", "y=1,200", "--input-size", "x=1,300"], "1×200 + 1×300"),
        ([X, Y, "--batch", "4"], "4×300 + 4×200"),
        (
            [X, Y, "--input-size", "mask=1,50", "--input-type", "mask=bool"],
            "1×300 + 1×200 + 1×50",
        ),
        (
            [X, Y, "--input-type", "float32", "--input-type", "torch.float32"],
            "1×300 + 1×200",
        ),
    ],
)
def test_several_inputs_on_the_command_line(
    costlab: Run, folder: Path, args: list[str], entering: str
) -> None:
    done = costlab("show", "two.py:Two", *args, cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"input {entering} → " in done.stdout
    batch = 4 if "--batch" in args else 1
    assert f"{batch * 50 * (300 + 200):,} MACs" in done.stdout


@pytest.mark.parametrize("types", [["int64"], ["int64", "int64"], ["ids=int64", "mask=int64"]])
def test_one_type_stands_for_all_inputs_or_each_has_its_own(
    costlab: Run, folder: Path, types: list[str]
) -> None:
    named = "=" in types[0]
    sizes = ["ids=2,7", "mask=2,7"] if named else ["2,7", "2,7"]
    args = [word for size in sizes for word in ("--input-size", size)]
    args += [word for kind in types for word in ("--input-type", kind)]
    done = costlab("show", "two.py:Tokens", *args, "--format", "json", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert '"input": [\n    [\n      2,\n      7\n    ],' in done.stdout


WRONG: list[tuple[list[str], str]] = [
    (
        [X],
        "two.py:Two cannot be run: forward takes x, y, mask=None, and y is missing; "
        "give an input size (--input-size) for each, or inputs",
    ),
    ([X, "--input-size", "y=1,200", "--input-size", "y=1,200"], "the size of y is given twice"),
    ([X, "--input-size", "1y=1,200"], "write NAME=1,300"),
    ([X, Y, *["--input-type", "float32"] * 3], "3 input types for 2 inputs: give one for all"),
    ([X, Y, "--input-type", "y=int64"], "y has an input type, but no input size: give both"),
    ([X, Y, "--input-type", "y=int64", "--input-type", "int64"], "not both in one call"),
    ([X, Y, "--batch", "0"], "'--batch'"),
]


@pytest.mark.parametrize(("args", "said"), WRONG, ids=[said[:30] for _, said in WRONG])
def test_wrong_inputs_say_what_to_give(
    costlab: Run, folder: Path, args: list[str], said: str
) -> None:
    done = costlab("show", "two.py:Two", *args, cwd=folder)
    assert done.returncode == 2
    assert said in done.stderr


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([X, Y], "googlenet takes one input"),
        (["--input-size", "x=1,3,224,224"], "googlenet takes one input"),
    ],
)
def test_a_model_of_the_catalog_has_one_input(costlab: Run, args: list[str], said: str) -> None:
    done = costlab("show", "googlenet", *args)
    assert done.returncode == 2
    assert said in done.stderr


def test_the_batch_of_a_published_input(costlab: Run) -> None:
    one = library.analyze("googlenet")
    done = costlab("show", "googlenet", "--batch", "8", "--format", "json")
    assert library.analyze("googlenet", (8, 3, 224, 224)).total.macs == 8 * one.total.macs
    assert f'"macs": {8 * one.total.macs}' in done.stdout
    resized = costlab("show", "mobilenet-v1(resolution=128)", "--batch", "2")
    assert "input 2×3×128×128" in resized.stdout


class Sum(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Any:
        return x + y


@pytest.mark.parametrize(
    ("size", "types"),
    [
        ([(2, 3), (2, 3)], ("int64", torch.float32)),
        (((2, 3), (2, 3)), [torch.int64, "float32"]),
        ({"y": (2, 3), "x": [2, 3]}, {"x": torch.int64}),
        ({"x": (2, 3), "y": (2, 3)}, {"x": "int64", "y": "float32"}),
    ],
)
def test_several_inputs_in_the_library(size: Any, types: Any) -> None:
    table = library.analyze(Sum(), size, input_type=types)
    assert table.graph.inputs == ((2, 3), (2, 3))
    kinds = sorted(value.dtype.name for value in table.graph.values if value.kind == "input")
    assert kinds == ["float32", "int64"]
    assert table.total.other == 6


def test_other_counters_are_given_several_inputs() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(6, 5), nn.Linear(4, 5)

        def forward(self, x: Tensor, y: Tensor) -> Any:
            return self.a(x) + self.b(y)

    check = library.crosscheck(Both(), [(2, 6), (2, 4)])
    assert check.agrees, check.to_text(200)


def test_wrong_sizes_in_the_library() -> None:
    with pytest.raises(ShapeError, match="give whole numbers from 1"):
        library.analyze(Sum(), [(2, 3), (0, 3)])
    with pytest.raises(ChoiceError, match="both given"):
        library.analyze(Sum(), [(2, 3), (2, 3)], inputs=(torch.ones(2), torch.ones(2)))
