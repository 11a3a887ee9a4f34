"""A path that is no file, wherever one may be given: one line, and nobody waits."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from bounded import at_most
from command_line import Run

from costlab.errors import CostlabError
from costlab.models.python_code import require_file

PLACES = {
    "a report": ("show", "it.json"),
    "a report beside another model": ("compare", "naive", "it.json"),
    "an exported program": ("show", "it.pt2"),
    "a model of ONNX": ("show", "it.onnx"),
    "Python code": ("show", "it.py:Net"),
    "inputs": ("show", "naive", "--inputs", "it.py:inputs"),
    "rules": ("show", "naive", "--rules", "it.py"),
    "a configuration of transformers": ("show", "hf:it.json"),
    "figures": ("figures", "it.toml"),
    "a device": ("bounds", "naive", "--device", "it.toml"),
    "saved times": ("time", "naive", "--against", "it.json"),
    "a baseline": ("check", "naive", "--require", "macs < 1", "--baseline", "it.json"),
}


@pytest.mark.parametrize("call", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_is_no_file_is_refused(
    costlab: Run, tmp_path: Path, kind: str, call: tuple[str, ...]
) -> None:
    for needed in ("transformers" * ("hf:it.json" in call), "onnx" * ("it.onnx" in call)):
        if needed:
            pytest.importorskip(needed)
    (name,) = (part.removeprefix("hf:").partition(":")[0] for part in call if "it." in part)
    path = tmp_path / name
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/full")  # as endless as /dev/zero
    else:
        path.mkdir()
    with at_most(60):
        run = costlab(*call, cwd=tmp_path)
    assert run.returncode == 2
    said = "is a directory" if kind == "folder" else "it is a pipe or a device: give a file"
    assert f"cannot read {name}: {said}" in run.stderr or kind == "folder"
    assert run.stderr.count("\n") == 1


def test_a_name_that_no_file_can_have_is_an_error_of_one_line() -> None:
    with pytest.raises(CostlabError, match=r"cannot read a\0\.py: embedded null byte"):
        require_file("a\0.py")
