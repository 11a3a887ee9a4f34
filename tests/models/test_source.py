"""What is wrong with a call is said before torch is imported, which takes seconds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from costlab.models.source import arguments_in, lacks

CODE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3)

    def forward(self, x):
        return self.conv(x)

pair = (torch.zeros(1, 3, 8, 8),)
"""
SIZE = ("--input-size", "1,3,8,8")
CALLS = [
    (("time", "googlenett"), "did you mean 'googlenet'"),
    (("time", "naive", "mine.py:Nett"), "mine.py:Nett: mine.py has no 'Nett'"),
    (("time", "naive", "--against", "no.json"), "there is no file no.json"),
    (("time", "naive", "--device", "h101"), "unknown device 'h101'"),
    (("memory", "mine.py:Nett", *SIZE), "mine.py has no 'Nett': did you mean 'Net'?"),
    (("memory", "naive", "--dtype", "foo"), "unknown type of floating-point numbers 'foo'"),
    (("show", "mine.py:Net", *SIZE, "--input-type", "foo"), "torch has no type 'foo'"),
    (("show", "naive", "--rules", "no.py"), "there is no file no.py"),
    (("show", "mine.py:Net", "--inputs", "mine.py:pairs"), "no 'pairs': did you mean 'pair'?"),
    (("formula", "mine.py:Nett", "--input-size", "1,3,H,W"), "mine.py has no 'Nett'"),
    (
        ("formula", "mine.py:Net", "--input-size", "1,3,H,W", "--symbol", "widht"),
        "unknown symbol 'widht': did you mean 'width'?",
    ),
    (("sweep", "no.py:Net", "--vary", "width=1:2"), "there is no file no.py"),
    (("sweep", "mine.py:Nett", "--vary", "width=1:2"), "mine.py has no 'Nett'"),
    (("sweep", "mine.py:Net", "--vary", "widht=1:2"), "did you mean 'width'?"),
    *(
        (("sweep", "mine.py:Net", "--vary", "width=1:2", *asked), "unknown name 'mac': did you")
        for asked in (("--where", "mac < 5"), ("--pareto", "params,-mac"), ("--minimize", "mac"))
    ),
    (("sweep", "mine.py:Net", "--vary", "width=1:2", "--device", "h101"), "unknown device 'h101'"),
]
SCRIPT = """
import contextlib, io, json, sys
from costlab.cli import main

said = []
for call in json.loads(sys.argv[1]):
    with contextlib.redirect_stderr(io.StringIO()) as errors, contextlib.suppress(SystemExit):
        main(call)
    said.append([errors.getvalue(), "torch" in sys.modules])
print(json.dumps(said))
"""


def test_a_wrong_call_needs_no_torch(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(CODE, encoding="utf-8")
    calls = json.dumps([args for args, _ in CALLS])
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, calls],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    for (args, said), (errors, imported) in zip(CALLS, json.loads(done.stdout), strict=True):
        assert (said in errors, imported) == (True, False), (args, errors)


@pytest.mark.parametrize(
    "code",
    [
        "from torchvision.models import *",
        "globals()[f'N{1}et'] = 1",
        "def __getattr__(name): ...",
        "Net = 1  # as it is",
    ],
)
def test_what_code_may_make_is_not_said_to_be_lacking(tmp_path: Path, code: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(code, encoding="utf-8")
    assert not lacks(path, "Net")
    path.write_text("class Nets: ...", encoding="utf-8")
    assert lacks(path, "Net")


@pytest.mark.parametrize(
    ("code", "taken"),
    [
        ("def Net(a, /, b=1, *, c): ...", ["a", "b", "c"]),
        ("class Net(Base):\n    def __init__(self, width): ...", ["width"]),
        ("class Net(Base): ...", None),
        ("def Net(a, **more): ...", None),
        ("@other\ndef Net(a): ...", None),
        ("@dataclass\nclass Net:\n    def __init__(self, width): ...", None),
        ("def Net(a): ...\nNet = other(Net)", None),
        ("def Net(a): ...\nif True:\n    def Net(b): ...", None),
        ("def Net(a: ...", None),
    ],
)
def test_arguments_are_said_where_the_text_has_them(
    tmp_path: Path, code: str, taken: list[str] | None
) -> None:
    path = tmp_path / "mine.py"
    path.write_text(code, encoding="utf-8")
    assert arguments_in(path, "Net") == taken
