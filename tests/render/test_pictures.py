"""Static pictures: the same bytes each time, text as text, names as they are."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Run
from torch import nn

import costlab as library
from costlab.errors import OutputError
from costlab.render.format import Screen
from costlab.render.formats import render, write

pytest.importorskip("matplotlib", reason="pip install -c constraints.txt -e '.[pictures]'")


@pytest.mark.parametrize("kind", ["svg", "png", "pdf"])
def test_a_picture_is_the_same_in_every_process(kind: str) -> None:
    script = (
        "import sys, costlab\nfrom costlab.render.formats import write\n"
        f"write(costlab.compare('naive', 'reduced', trace=False), {kind!r}, sys.stdout.buffer)"
    )
    pictures = [
        subprocess.run(
            [sys.executable, "-c", script],
            env=os.environ | {"PYTHONHASHSEED": seed, "SOURCE_DATE_EPOCH": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "1000000000")
    ]
    assert pictures[0] == pictures[1]
    assert pictures[0].startswith({"svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF"}[kind])


def test_text_in_a_picture_is_text() -> None:
    text = render(library.analyze("googlenet"), "svg")
    assert ">inception_3a<" in text
    assert "360 M<" in text
    assert ">matrix product<" in text
    assert "<dc:date>" not in text


def test_names_in_a_picture_are_no_formulas() -> None:
    net = nn.Sequential()
    for name in ("$\\frac{1}$", "_hidden", "</svg><script>", "名\u202e"):
        net.add_module(name, nn.Linear(3, 3))
    table = library.analyze(net, (1, 3))
    text = render(table, "svg")
    assert "$\\frac{1}$" in text
    assert "&lt;/svg&gt;&lt;script&gt;" in text
    assert "\u202e" not in text
    both = render(library.compare(table, table, names=["_a", "$b$"], trace=False), "svg")
    assert " _a" in both
    assert "$b$" in both
    write(table, "pdf", io.BytesIO())


@pytest.mark.parametrize(
    ("command", "shows"),
    [
        (("show", "googlenet", "--sort", "params"), "params of googlenet"),
        (
            ("sweep", "reduced", "--vary", "c5r=8:16:8", "--vary", "c3r=8,16"),
            "none is better by less MACs and less params",
        ),
        (("sweep", "googlenet", "--vary", "H=W=64:128:32"), ">H<"),
        (("reconcile", "naive", "--counter", "torch"), "From costlab to torch"),
        (("crosscheck", "naive", "--counter", "module"), ">2 more stages, all agree<"),
        (("figures", "googlenet"), ">2.7K, computed 9,408<"),
        (
            ("memory", "naive/branch5x5", "--training"),
            "peak 815,496 bytes of tensors: conv, backward",
        ),
    ],
)
def test_results_have_their_pictures(
    costlab: Run, tmp_path: Path, command: tuple[str, ...], shows: str
) -> None:
    done = costlab(*command, "-o", "picture.svg", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert shows in (tmp_path / "picture.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", ["svg", "png", "pdf"])
def test_the_graph_is_a_picture_that_is_the_same_each_time(
    costlab: Run, tmp_path: Path, kind: str
) -> None:
    pytest.importorskip("grandalf", reason="pip install -c constraints.txt -e '.[pages]'")
    pictures = []
    for file in (tmp_path / f"one.{kind}", tmp_path / f"other.{kind}"):
        done = costlab("compare", "naive", "reduced", "--no-trace", "--graph", "-o", str(file))
        assert (done.returncode, done.stderr) == (0, "")
        pictures.append(file.read_bytes())
    assert pictures[0] == pictures[1]
    if kind == "svg":
        texts = re.findall(r"<text[^>]*>([^<]*)</text>", pictures[0].decode())
        assert [text for text in texts if text.endswith(" MACs")] == [
            *("9,633,792 MACs", "173,408,256 MACs", "120,422,400 MACs"),
            *("9,633,792 MACs", "14,450,688 MACs", "86,704,128 MACs"),
            *("2,408,448 MACs", "10,035,200 MACs", "4,816,896 MACs"),
        ]
        assert texts.count("1×192×28×28") == 4


def test_the_graph_is_drawn_to_the_depth_that_is_asked_for(costlab: Run) -> None:
    pytest.importorskip("grandalf", reason="pip install -c constraints.txt -e '.[pages]'")
    one, two = (
        costlab("show", "googlenet", *depth, "--graph", "--format", "svg").stdout
        for depth in (("--depth", "1"), ())
    )
    assert ">branch5x5<" not in one
    assert ">inception_5b<" in one
    assert two.count(">branch5x5<") == 9


def test_a_graph_that_cannot_be_drawn_says_so(costlab: Run) -> None:
    assert "--graph is a picture" in costlab("show", "naive", "--graph").stderr
    net = nn.Sequential(*(nn.Linear(3, 3) for _ in range(100)))
    with pytest.raises(OutputError, match="at most 80 blocks"):
        write(library.analyze(net, (1, 3)), "svg", io.BytesIO(), Screen(graph=True))


def test_what_has_no_picture_says_so(costlab: Run, tmp_path: Path) -> None:
    done = costlab("formula", "naive", "-o", "picture.svg", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "results of show, compare, sweep, crosscheck, reconcile, figures, bounds" in done.stderr
    assert list(tmp_path.iterdir()) == []
