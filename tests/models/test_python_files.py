"""Files that a MODEL, its inputs and rules are in: each is run once, however it is named."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
from command_line import Run

import costlab as library
from costlab.models.python_code import inputs_of
from costlab.models.rules import load_rules
from costlab.trace import users

CODE = """
from dataclasses import dataclass
from enum import Enum

import torch
from torch import nn

class Task(Enum):
    WORD = 0
    IMAGE = 1

@dataclass
class Batch:
    image: torch.Tensor
    task: Task = Task.WORD

class Part(nn.Linear):
    pass

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.word, self.image = Part(4, 2), Part(4, 8)

    def forward(self, batch):
        if not isinstance(batch, Batch):
            raise TypeError("a stranger")
        return self.image(batch.image) if batch.task == Task.IMAGE else self.word(batch.image)

def image():
    return (Batch(torch.zeros(1, 4), Task.IMAGE),)
"""
INPUTS = """
import torch
from mine import Batch, Task

def image():
    return (Batch(torch.zeros(1, 4), Task.IMAGE),)
"""
RULES = """
import costlab
from mine import Part

@costlab.counting(Part)
def part(module, output, x):
    return costlab.OpCount(mul=1000)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in (("mine", CODE), ("inputs", INPUTS), ("rules", RULES)):
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("inputs", ["mine.py:image", "mine:image", "inputs.py:image"])
@pytest.mark.parametrize("model", ["mine.py:Net", "mine:Net", "{}/mine.py:Net"])
def test_a_model_and_its_inputs_share_their_classes(
    costlab: Run, folder: Path, model: str, inputs: str
) -> None:
    done = costlab("show", model.format(folder), "--inputs", inputs, cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert "32 MACs" in done.stdout


def test_rules_in_another_file_are_for_the_classes_of_the_model(folder: Path) -> None:
    before = dict(users.RULES)
    try:
        for _ in range(2):  # also where the file has been run before
            load_rules("rules.py")
            table = library.analyze("mine.py:Net", inputs=inputs_of("mine.py:image"))
            assert table.total.flops == 1000
    finally:
        users.RULES.clear()
        users.RULES.update(before)


def test_a_file_that_has_changed_is_run_anew(folder: Path) -> None:
    code = folder / "net.py"
    for width in (8, 9):
        code.write_text(f"from torch import nn\nNet = nn.Linear(4, {width})\n", encoding="utf-8")
        assert library.analyze("net.py:Net", (1, 4)).total.macs == 4 * width


def test_a_file_whose_import_fails_is_imported_again(folder: Path) -> None:
    code = folder / "net.py"
    code.write_text("from torch import nn\nimport there\nNet = nn.Linear(4, there.WIDTH)\n")
    with pytest.raises(library.CodeError, match="No module named 'there'"):
        library.analyze("net.py:Net", (1, 4))
    (folder / "there.py").write_text("WIDTH = 3\n", encoding="utf-8")
    assert library.analyze("net.py:Net", (1, 4)).total.macs == 12


@pytest.mark.parametrize("inside", ["nets", "nets/deep"])
def test_a_file_that_imports_from_its_package_is_a_part_of_it(
    costlab: Run, folder: Path, inside: str
) -> None:
    home = folder / inside
    home.mkdir(parents=True)
    for place in (folder / "nets", home):
        (place / "__init__.py").touch()
    (folder / "nets" / "sizes.py").write_text("WIDTH = 3\n", encoding="utf-8")
    dots = "." * len(Path(inside).parts)
    (home / "net.py").write_text(
        f"from torch import nn\nfrom {dots}sizes import WIDTH\nNet = nn.Linear(4, WIDTH)\n",
        encoding="utf-8",
    )
    done = costlab("show", f"{inside}/net.py:Net", "--input-size", "1,4", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert "12 MACs" in done.stdout


@pytest.mark.parametrize(("net", "sizes"), [("net.py", "sizes"), ("nets/net.py", ".sizes")])
def test_files_of_the_same_names_in_two_folders_are_not_mixed_up(
    folder: Path, net: str, sizes: str
) -> None:
    code = f"from torch import nn\nfrom {sizes} import WIDTH\nNet = nn.Linear(4, WIDTH)\n"
    for width in (3, 5):
        home = (folder / f"of_{width}" / net).parent
        home.mkdir(parents=True)
        (home / "net.py").write_text(code, encoding="utf-8")
        (home / "sizes.py").write_text(f"WIDTH = {width}\n", encoding="utf-8")
    for width in (3, 5, 3):
        assert library.analyze(f"of_{width}/{net}:Net", (1, 4)).total.macs == 4 * width


def test_a_module_of_a_package_that_was_imported_before_stays_as_it_is(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = folder / "imported_before"
    home.mkdir()
    code = "from torch import nn\nfrom .sizes import Size\nNet = nn.Linear(4, 3)\n"
    (home / "net.py").write_text(code, encoding="utf-8")
    (home / "sizes.py").write_text("class Size:\n    pass\n", encoding="utf-8")
    monkeypatch.syspath_prepend(folder)
    module = import_module("imported_before.net")
    before = module.Net
    for text in (code, code + "# changed\n"):
        (home / "net.py").write_text(text, encoding="utf-8")
        assert library.analyze("imported_before/net.py:Net", (1, 4)).total.macs == 12
        assert module.Net is before


@pytest.mark.parametrize("name", ["net", "statistics"])  # one of Python's own library too
def test_an_error_has_its_place_in_the_file(costlab: Run, folder: Path, name: str) -> None:
    code = folder / f"{name}.py"
    code.write_text("from torch import nn\n\n\ndef net():\n    raise ValueError('no')\n")
    done = costlab("show", f"{name}.py:net", "--input-size", "1,4", cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    told = f"{name}.py:net raised ValueError: no (at {code}:5)"
    assert done.stderr == f"costlab: {told}\n"
