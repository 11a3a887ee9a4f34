"""The rows before an error, on stderr; the last line is the error."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Run
from torch import nn

import costlab as library
from costlab.cli.terminal import SHOWN

CODE = """
from torch import nn

def net(before: int = 3):
    relus = [nn.ReLU() for _ in range(before - 1)]
    return nn.Sequential(nn.Conv2d(3, 8, 3), *relus, nn.BatchNorm2d(4))
"""


@pytest.mark.parametrize(("before", "left"), [(3, 0), (SHOWN, 0), (SHOWN + 1, 1), (SHOWN + 4, 4)])
def test_the_last_rows_before_an_error_are_shown(
    costlab: Run, tmp_path: Path, before: int, left: int
) -> None:
    (tmp_path / "before.py").write_text(CODE)
    model = f"{tmp_path}/before.py:net(before={before})"
    done = costlab("show", model, "--input-size", "1,3,8,8")
    *rows, error = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (2, "")
    assert rows.pop(0) == "the layers before the error:"
    if left:
        assert rows.pop(0) == f"... {left} layer{'s' * (left > 1)} before these"
    assert len(rows) == before - left
    assert rows[-1].split() == [str(before - 1), "relu", "1×8×6×6", "->", "1×8×6×6"]
    assert error.startswith(f"costlab: {before} (BatchNorm2d) cannot be run: its input 1×8×6×6 ")
    assert "has 8 channels, its own tensors are for 4" in error


@pytest.mark.parametrize(
    ("command", "of"),
    [
        (("compare", "naive"), "{}: "),
        (("check", "--require", "macs < 1"), ""),
        (("crosscheck",), ""),
        (("reconcile",), ""),
        (("formula",), ""),
        (("memory",), ""),
        (("bounds", "--device", "h100-sxm"), ""),
    ],
)
def test_the_error_is_the_last_line_of_each_command(
    costlab: Run, tmp_path: Path, command: tuple[str, ...], of: str
) -> None:
    (tmp_path / "before.py").write_text(CODE)
    model = f"{tmp_path}/before.py:net"
    done = costlab(*command, model, "--input-size", "1,3,8,8")
    head, *rows, error = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (2, "")
    assert (head, len(rows)) == ("the layers before the error:", 3)
    assert error.startswith(f"costlab: {of.format(model)}3 (BatchNorm2d) cannot be run: ")
    assert "has 8 channels, its own tensors are for 4" in error


def test_an_error_before_the_first_row_is_one_line(costlab: Run, tmp_path: Path) -> None:
    (tmp_path / "before.py").write_text(CODE)
    done = costlab("show", f"{tmp_path}/before.py:net", "--input-size", "1,4,8,8")
    assert done.stderr.count("\n") == 1


def test_the_library_has_the_rows_as_a_graph() -> None:
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(9))
    with pytest.raises(library.TraceError, match="window is larger than the input") as caught:
        library.analyze(module, (1, 3, 8, 8))
    graph = caught.value.before
    assert graph is not None
    assert [(layer.path, layer.output) for layer in graph.layers] == [
        ("0", (1, 8, 6, 6)),
        ("1", (1, 8, 6, 6)),
    ]
