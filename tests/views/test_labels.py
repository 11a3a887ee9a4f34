"""What models are called where they are compared."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from chains import Chain, compared, conv
from command_line import Run

import costlab as library
from costlab.views.labels import labels_of


def test_labels_are_short_names_or_letters_or_what_is_given() -> None:
    assert labels_of(["naive", "reduced"]) == ("naive", "reduced")
    assert labels_of(["naive", "reduced(c5r=24)"]) == ("A", "B")
    assert labels_of(["naive", "reduced(c5r=24)"], ["", "small"]) == ("naive", "small")
    assert labels_of(["x" * 20, "y" * 20, "z" * 20], ["", "A"]) == ("B", "A", "C")
    assert labels_of(["a", "a"]) == ("A", "B")
    assert len(set(labels_of(["x" * 20] * 60))) == 60
    with pytest.raises(library.CostlabError, match="two models are named 'a'"):
        labels_of(["x", "y"], ["a", "a"])
    with pytest.raises(library.CostlabError, match="3 names for 2 models"):
        library.compare("naive", "reduced", names=("a", "b", "c"), trace=False).to_text()


def test_labels_on_the_command_line(costlab: Run) -> None:
    """Of a model that is there, and of one more; every line fits."""
    small, large = "reduced(c5r=8)", "reduced(c5r=32)"
    done = costlab(
        "compare", small, "--name", f"tiny={small}", "--name", f"big={large}", "--no-trace"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("tiny vs big\n")
    assert f"tiny = {small}: input " in done.stdout
    assert re.search(r"\ntotal +tiny +big +difference +change\n", done.stdout)
    assert max(map(len, done.stdout.splitlines())) <= 80
    for wrong in (small, "=naive", "tiny=", "tiny"):
        done = costlab("compare", "naive", "--name", wrong, "--no-trace")
        assert (done.returncode, done.stdout) == (2, "")
        assert "write LABEL=MODEL, as in small=reduced" in done.stderr


def test_one_model_on_two_inputs_is_told_apart() -> None:
    one, two = (library.analyze("naive", input_size=(n, 192, 28, 28)) for n in (1, 2))
    text = library.compare(one, two, trace=False).to_text()
    said = " ".join(text.split())
    assert "B (naive on 2×192×28×28) against A (naive on 1×192×28×28): MACs +100.0 %" in said
    assert "The inputs differ: --input-size compares the models on one." in said


def test_the_same_model_twice_is_numbered() -> None:
    comparison = library.compare("naive", "naive", trace=False)
    assert comparison.names == ("naive on 1×192×28×28 (1)", "naive on 1×192×28×28 (2)")
    assert comparison.title == "naive vs itself"
    assert "\nAll 5 parts cost the same: --all shows them.\n" in comparison.to_text()


@pytest.mark.parametrize("widths", [(64, 32), (64, 64)])
def test_reports_of_one_name_are_called_by_their_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, widths: tuple[int, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    files = ("before/report.json", "after/report.json")
    for file, width in zip(files, widths, strict=True):
        Path(file).parent.mkdir()
        Path(file).write_text(library.analyze(f"naive(c1={width})").to_json(), encoding="utf-8")
    comparison = library.compare(*files)
    assert (comparison.names, comparison.title) == (files, " vs ".join(files))
    assert library.compare(*(f"{file}/branch1x1" for file in files)).names == (
        "before/report.json/branch1x1",
        "after/report.json/branch1x1",
    )


def test_two_models_of_one_name_are_not_called_one() -> None:
    titles = [compared(Chain(a=conv(3, 4)), Chain(a=conv(3, width))).title for width in (4, 8)]
    assert titles == [
        "Chain vs itself",
        "Chain on 1×3×16×16 (1) vs Chain on 1×3×16×16 (2)",
    ]
