"""MODEL as Python code, on the command line and in the library."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from command_line import Run
from torch import nn

import costlab as library

CODE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3)
        self.head = nn.Linear(width, 10)

    def forward(self, x):
        return self.head(torch.relu(self.conv(x)).mean((2, 3)))

class Values(Net):
    def forward(self, x):
        x = super().forward(x)
        return x * 2 if x.sum() > -1000 else x

class Broken(Net):
    def forward(self, x):
        raise RuntimeError("two\\nlines")

class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(100, 8)
        self.dilated = nn.Conv2d(1, 2, 3, dilation=2, padding=2)

    def forward(self, x):
        return self.dilated(self.table(x).unsqueeze(1))

def unknown():
    class Unknown(nn.Module):
        def forward(self, x):
            return torch.linalg.svdvals(x)
    return Unknown()

def fails():
    raise ValueError("no")

class Methods(Net):
    def encode(self, x):
        return torch.relu(self.conv(x)).mean((2, 3))

    @torch.no_grad()
    def generate(self, x, steps=2):
        for _ in range(steps):
            x = x * self(x).sum()
        return x

encoder = Methods().encode

def made(width=8):
    return Methods(width).encode

module = Net(4)
number = 3
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(CODE, encoding="utf-8")
    return tmp_path


SIZE = ("--input-size", "1,3,8,8")
MACS = {4: 36 * 4 * 27 + 40, 8: 36 * 8 * 27 + 80, 16: 36 * 16 * 27 + 160}


@pytest.mark.parametrize(
    ("model", "macs"),
    [
        ("mine.py:Net", MACS[8]),
        ("mine:Net", MACS[8]),
        ("mine.py:Net(width=16)", MACS[16]),
        ("mine:module", MACS[4]),
        ("mine.py:Net(width=16)/head", 160),
    ],
)
def test_python_code_is_a_model(costlab: Run, folder: Path, model: str, macs: int) -> None:
    done = costlab("show", model, *SIZE, "--format", "json", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    data = json.loads(done.stdout)
    assert (data["total"]["macs"], data["model"], data["complete"]) == (macs, model, True)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("crosscheck", "mine.py:Net"), "mine.py:Net? forward takes x: give an input size"),
        (("show", "mine.py:Nett", *SIZE), "mine.py has no 'Nett': did you mean 'Net'?"),
        (("show", "mine.py", *SIZE), "mine.py is a file: say what makes the module"),
        (
            ("show", "mine.py:Words", "--input-size", "1,6"),
            "table (Embedding) cannot be run: embedding on 1×6 + 100×8: it looks up",
        ),
        (("show", "mine.py:Net", *SIZE, "--input-type", "integer"), "torch has no type 'integer'"),
        (("show", "naive", "-o", "naive.xlsx"), "which format is naive.xlsx? give --format"),
        (("show", "other.py:Net", *SIZE), "there is no file other.py"),
        (
            ("show", "other:Net", *SIZE),
            "cannot import other: there is no such Python module; write",
        ),
        (("show", "tim:resnet50"), "there is no such Python module; did you mean timm:NAME?"),
        (("list", "torchvison:"), "there is no library 'torchvison:': did you mean torchvision:?"),
        (("show", "mine.py:number", *SIZE), "is neither an nn.Module nor a class or function"),
        (("show", "mine.py:fails", *SIZE), "mine.py:fails raised ValueError: no (at "),
        (("show", "mine.py:module(width=2)", *SIZE), "is a module already and takes no choices"),
        (("show", "mine.py:Net(width=x)", *SIZE), "cannot read the choices"),
        (
            ("show", "mine.py:Net(widht=2)", *SIZE),
            "mine.py:Net takes no 'widht': did you mean 'width'?",
        ),
        (
            ("show", "mine.py:Net", "--input-size", "xx=1,3,8,8"),
            "mine.py:Net cannot be run: forward takes no 'xx': did you mean 'x'?",
        ),
        (("show", "mine.py:Broken", "--input-size", "3,8,8"), "if the batch is missing: 1,3,8,8"),
        (("show", "mine.py:Broken", "--input-size", "2,3,8"), "if a size is missing: a batch of"),
        (("show", "costs.csv"), "costs.csv is a file, but no MODEL: a report is what costlab show"),
        (("show", "both.json"), "both.json is of several models, as costlab compare and check"),
        (("show", "mine.py:torch.zeros(size=(3,))", *SIZE), "gives Tensor, not an nn.Module"),
        (
            ("show", "mine.py:Broken", *SIZE),
            "the model cannot be run: RuntimeError: two; lines (at",
        ),
        (("show", "mine.py:Values", *SIZE), "needs the values of a tensor"),
        (("show", "mine.py:Net", "--input-size", "1,4,8,8"), "conv (Conv2d) cannot be run: its"),
        (("show", "mine.py:Net/heads", *SIZE), "unknown part of mine.py:Net 'heads': did you mean"),
        (("show", "googlenet", "--real"), "is for an nn.Module or Python code"),
        (("compare", "naive", "reduced", "--real"), "is for an nn.Module or Python code"),
        (("show", "nothing.json"), "there is no file nothing.json"),
        (("crosscheck", "saved.json"), "saved is a saved report"),
        (("show", "saved.json", *SIZE), "saved.json is a saved report: it has its input"),
    ],
)
def test_a_wrong_model_is_one_line(
    costlab: Run, folder: Path, args: tuple[str, ...], said: str
) -> None:
    table = library.analyze("naive")
    (folder / "saved.json").write_text(table.to_json(), encoding="utf-8")
    (folder / "costs.csv").write_text(table.to_csv(), encoding="utf-8")
    both = library.compare(table, table, trace=False)
    (folder / "both.json").write_text(both.to_json(), encoding="utf-8")
    done = costlab(*args, cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    *rows, error = done.stderr.splitlines()
    assert said in error
    assert error.startswith("costlab: ")
    assert not rows or "cannot be run" in error or "needs the values" in error


def test_values_need_real_tensors(costlab: Run, folder: Path) -> None:
    done = costlab("show", "mine.py:Values", *SIZE, "--real", "--format", "json", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["total"]["macs"] == MACS[8]


def test_strict_on_an_unknown_operation(costlab: Run, folder: Path) -> None:
    done = costlab("show", "mine.py:unknown", "--input-size", "1,4,3", "--strict", cwd=folder)
    assert done.returncode == 3
    assert "Lower bound: 1 operation without a rule" in done.stdout


def test_crosscheck_and_compare_of_code(costlab: Run, folder: Path) -> None:
    done = costlab("crosscheck", "mine.py:Net", *SIZE, cwd=folder)
    assert done.returncode == 0
    assert "agrees on 2 of 2 contractions of mine.py:Net" in done.stdout
    done = costlab("compare", "mine.py:Net", "mine.py:Net(width=16)", *SIZE, cwd=folder)
    assert done.returncode == 0
    said = " ".join(done.stdout.split())
    assert "B (mine.py:Net(width=16)) against A (mine.py:Net): MACs +100.0 %" in said


def test_what_depends_on_values_is_compared_and_crosschecked_with_real(
    costlab: Run, folder: Path
) -> None:
    """As the error says that it can be; also beside a saved report, which has no input to give."""
    done = costlab("crosscheck", "mine.py:Values", *SIZE, "--real", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    done = costlab("compare", "mine.py:Net", "mine.py:Values", *SIZE, "--real", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert "MACs same" in done.stdout
    costlab("show", "mine.py:Net", *SIZE, "-o", "net.json", cwd=folder)
    done = costlab("compare", "net.json", "mine.py:Values", *SIZE, "--real", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert "mine.py:Values" in done.stdout
    done = costlab("compare", "mine.py:Values", "alexnet", "--no-trace", "--real", cwd=folder)
    assert done.returncode == 2
    assert "what is the input of mine.py:Values?" in done.stderr


@pytest.mark.parametrize("code", ["mine:Net", "mine.py:Net"])
def test_code_is_imported_from_here_and_leaves_the_path(
    folder: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    before = list(sys.path)
    try:
        assert library.analyze(code, (1, 3, 8, 8)).total.macs == MACS[8]
    finally:
        sys.modules.pop("mine", None)
    assert sys.path == before


def test_a_module_takes_no_choices_and_an_architecture_no_inputs() -> None:
    with pytest.raises(library.ChoiceError, match="takes no choices"):
        library.analyze(nn.Linear(2, 2), (1, 2), width=3)
    with pytest.raises(library.ChoiceError, match=r"^real is for an nn\.Module or Python"):
        library.analyze("naive", real=True)
    with pytest.raises(library.ChoiceError, match=r"^training and method are for"):
        library.analyze("naive", method="encode", training=True)
    with pytest.raises(library.ChoiceError, match="both given"):
        library.analyze(nn.Linear(2, 2), (1, 2), inputs=torch.zeros(1, 2))
    with pytest.raises(library.ShapeError, match="whole numbers"):
        library.analyze(nn.Linear(2, 2), (0, 2))


def test_ids_of_tokens_are_whole_numbers(costlab: Run, folder: Path) -> None:
    """Also a dilated convolution is shown."""
    given = ("--input-size", "1,6", "--input-type", "int64")
    done = costlab("show", "mine.py:Words", *given, cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert "conv2d 3×3 dilation 2" in done.stdout
    done = costlab("crosscheck", "mine.py:Words", *given, cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    done = costlab("reconcile", "mine.py:Words", *given, "--counter", "fvcore", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_class_as_a_model_is_an_error() -> None:
    with pytest.raises(library.ChoiceError, match="not the class Linear"):
        library.analyze(nn.Linear, (1, 2))


def test_a_part_whose_name_has_a_slash(folder: Path) -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.ways = nn.ModuleDict({"3x3/1": nn.Sequential(nn.Linear(8, 8)), "1": nn.ReLU()})

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = self.ways["1"](self.ways["3x3/1"](x))
            return y

    table = library.analyze(Named(), (2, 8))
    for path in ("ways/3x3/1", "ways.3x3/1", "ways/3x3/1/0"):
        assert table.at(path).total.macs == 128
    assert table.at("ways/1").total.macs == 0


def test_a_second_input_size_is_no_second_input(costlab: Run, folder: Path) -> None:
    result = costlab("show", f"{folder / 'mine.py'}:Net", *SIZE, *SIZE)
    assert result.returncode == 2
    assert "mine.py:Net cannot be run: forward takes x, and 2 inputs are given\n" in result.stderr


@pytest.mark.parametrize(
    ("model", "options", "macs"),
    [
        ("mine.py:Methods", ("--method", "encode"), MACS[8] - 80),
        ("mine.py:Methods(width=4)", ("--method", "encode"), MACS[4] - 40),
        ("mine.py:Methods", ("--method", "generate"), 2 * MACS[8]),
        ("mine.py:encoder", (), MACS[8] - 80),
        ("mine.py:made(width=4)", (), MACS[4] - 40),
    ],
)
def test_methods_on_the_command_line(
    costlab: Run, folder: Path, model: str, options: tuple[str, ...], macs: int
) -> None:
    done = costlab("show", model, *SIZE, *options, cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{macs:,} MACs" in done.stdout
    done = costlab("crosscheck", model, *SIZE, *options, "--counter", "torch", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_method_that_is_none_is_one_line(costlab: Run, folder: Path) -> None:
    done = costlab("show", "mine.py:Methods", *SIZE, "--method", "encod", cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == ("costlab: unknown method of Methods 'encod': did you mean 'encode'?\n")
