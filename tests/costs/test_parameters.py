"""Parameters without an input: torch's numbers, and nothing said of what is computed."""

from __future__ import annotations

import csv
import io
import json
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from command_line import Run
from torch import nn

import costlab as library
from costlab.errors import ChoiceError, ShapeError

CODE = """
from torch import nn

class Net(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU())
        self.head = nn.Linear(width, 4)
        self.backbone.requires_grad_(False)

    def forward(self, x):
        return self.head(self.backbone(x).mean((2, 3)))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "own_params.py").write_text(CODE, encoding="utf-8")
    return tmp_path


def test_a_module_without_an_input_shows_its_parameters(costlab: Run, folder: Path) -> None:
    done = costlab("show", "own_params.py:Net", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert "260 params, 36 of them trainable" in done.stdout
    assert "--input-size 1,3,224,224" in done.stdout
    assert "MACs" not in done.stdout
    part = costlab("show", "own_params.py:Net(width=16)/head", cwd=folder)
    assert "68 params." in part.stdout
    assert costlab("show", "own_params.py:Net", "--strict", cwd=folder).returncode == 3


def test_what_forward_takes_is_said_if_it_is_more_than_one_input() -> None:
    text = " ".join(library.parameters(nn.Bilinear(3, 4, 5)).to_text().split())
    assert "the shape of the input (forward takes input1, input2: one for each)" in text
    assert "forward" not in library.parameters(nn.Linear(3, 4)).to_text()


def test_what_is_not_known_is_in_no_file(costlab: Run, folder: Path) -> None:
    data = json.loads(costlab("show", "own_params.py:Net", "--format", "json", cwd=folder).stdout)
    assert data["total"] == {"params": 260, "trainable": 36, "frozen": 224}
    assert data["complete"] is False
    assert {key for row in data["rows"] for key in row} == {
        *("path", "class", "params", "trainable", "frozen"),
    }
    text = costlab("show", "own_params.py:Net", "--format", "csv", cwd=folder).stdout
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["path"], row["class"], row["params"]) for row in rows] == [
        ("backbone.0", "Conv2d", "224"),
        ("head", "Linear", "36"),
    ]


@pytest.mark.parametrize(
    "options", [("--sort", "macs"), ("--columns", "layer,macs"), ("--columns", "share")]
)
def test_what_is_computed_is_no_column_without_an_input(
    costlab: Run, folder: Path, options: tuple[str, str]
) -> None:
    done = costlab("show", "own_params.py:Net", *options, cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    name = options[1].rpartition(",")[2]
    assert f"without an input {name} is not known, only layer, class, params, " in done.stderr


def test_lines_are_sorted_and_left_out_by_their_params(folder: Path) -> None:
    table = library.parameters(f"{folder}/own_params.py:Net")
    assert [part.path for part in table.laid_out(top=1).exported()] == ["backbone.0"]
    assert [part.path for part in table.laid_out(sort="trainable").exported()] == [
        *("head", "backbone.0"),
    ]
    assert [part.path for part in table.laid_out(min_share=Fraction(1, 5)).exported()] == [
        "backbone.0",
    ]
    assert "class" not in table.laid_out(by="op").records()[0]


def test_the_frozen_parameters_of_a_module_that_is_run_are_the_same(folder: Path) -> None:
    name = f"{folder}/own_params.py:Net"
    run, not_run = library.analyze(name, (1, 3, 8, 8)), library.parameters(name)
    for table in (run, not_run):
        assert (table.total.params, table.total.frozen) == (260, 224)
    assert "260 params, 36 of them trainable" in " ".join(run.to_text().split())
    path = folder / "saved.json"
    path.write_text(run.to_json(), encoding="utf-8")
    again = library.analyze(str(path))
    assert again.total.frozen == 224
    assert again.at("backbone").total.frozen == 224
    assert again.graph.class_of("backbone") == "Sequential"
    assert run.at("backbone").graph.class_of("0") == "Conv2d"


@pytest.mark.parametrize(
    "module",
    [
        nn.MultiheadAttention(16, 4),
        nn.LSTM(3, 4, num_layers=2),
        nn.TransformerEncoderLayer(16, 4),
        nn.Sequential(nn.Linear(3, 4), nn.PReLU()),
        nn.Sequential(),
    ],
)
def test_the_total_is_torchs(module: nn.Module) -> None:
    table = library.parameters(module)
    assert table.total.params == sum(p.numel() for p in module.parameters())
    assert table.total.frozen == 0
    own = {name.rpartition(".")[0] for name, _ in module.named_parameters()}
    assert {row.path.partition("_")[0] for row in table.rows} >= {
        p.partition("_")[0] for p in own - {""}
    }


def test_a_shared_parameter_counts_once() -> None:
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    second.weight = first.weight
    table = library.parameters(nn.Sequential(first, second))
    assert [row.params for row in table.rows] == [12, 3]


def test_what_cannot_be_said_without_an_input() -> None:
    with pytest.raises(ShapeError, match=r"weight has no shape before it sees an input"):
        library.parameters(nn.LazyLinear(3))
    with pytest.raises(ChoiceError, match="use analyze"):
        library.parameters("googlenet")
    assert torch.is_grad_enabled()


@pytest.mark.parametrize(
    "option", [("--input-type", "int64"), ("--batch", "2"), ("--real",), ("--training-cost",)]
)
def test_an_input_that_is_half_given_is_asked_for(
    costlab: Run, folder: Path, option: tuple[str, ...]
) -> None:
    done = costlab("show", "own_params.py:Net", *option, cwd=folder)
    assert done.returncode == 2
    assert "what is the input of own_params.py:Net?" in done.stderr
