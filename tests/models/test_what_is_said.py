"""What is said of names that are not there, files that are broken, and results without tensors."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

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

    def forward(self, x):
        return self.conv(x)

class Nothing(Net):
    def forward(self, x):
        self.conv(x)

class Lines(nn.Module):
    def forward(self, x):
        raise ValueError("too many:\\n  one line\\n\\nanother\\n")

pair = (torch.zeros(1, 3, 8, 8),)

def made():
    return pair

class Dict(nn.Module):
    def forward(self, batch):
        return torch.relu(batch["x"])

class Pair(nn.Module):
    def forward(self, x):
        return x[8] + torch.tensor({"a": 1}["a"])

class Items(nn.Module):
    def forward(self, batch):
        return [torch.relu(x) for _, x in batch.items()]

class Named(nn.Module):
    def forward(self, batch):
        return dict(**batch)

class Wide(nn.Module):
    def __init__(self, width, deep=2):
        super().__init__()

class Odd(nn.Module):
    def forward(self, x):
        return torch.linalg.svdvals(x)

class Fourier(nn.Module):
    def forward(self, x):
        return torch.fft.fft(x).abs() + torch.fft.rfft(x, 15).abs()
"""
SIZE = ("--input-size", "1,3,8,8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(CODE, encoding="utf-8")
    table = library.analyze(nn.Conv2d(3, 8, 3), (1, 3, 8, 8))
    (tmp_path / "before.json").write_text(table.to_json(), encoding="utf-8")
    (tmp_path / "latin.json").write_bytes(b'{"a": "\xe9"}')
    (tmp_path / "latin.toml").write_bytes(b'a = "\xe9"')
    return tmp_path


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("show", "befor.json"), "there is no file befor.json: did you mean 'before.json'?"),
        (("show", "no/x.json"), "no/x.json, and no folder no (costlab show MODEL -o"),
        (("show", "before.json/x.json"), "there is no file before.json/x.json"),
        (("show", "latin.json"), "cannot read latin.json: it is no text in UTF-8"),
        (("figures", "nosuch.toml"), "there is no file nosuch.toml"),
        (("figures", "latin.toml"), "cannot read latin.toml: it is no text in UTF-8"),
        (("show", "min.py:Net", *SIZE), "there is no file min.py: did you mean 'mine.py'?"),
        (
            ("show", "mine.py:net", *SIZE),
            "mine.py has no 'net': did you mean 'Net'? (write mine.py:NAME, a class or a function)",
        ),
        (("compare", "naive", "mine.py:Net", "--no-trace"), "on 1×192×28×28"),
        (
            ("compare", "mine.py:Net", "mine.py:Nothing"),
            "what is the input of mine.py:Net? forward",
        ),
        (
            ("show", "mine.py:Lines", *SIZE),
            "ValueError: too many: one line; another (at ",
        ),
        (("show", "before.json/x"), "(see: costlab show before.json)"),
        (("show", "googlenet(aux=True)/x"), "(see: costlab show 'googlenet(aux=True)')"),
        (("show", "mine.py:Net(width=2)/x", *SIZE), "(see: costlab show 'mine.py:Net(width=2)')"),
        (
            ("show", "mine.py:Net", "--inputs", "mine.py:pair", "--batch", "8"),
            "the batch is that of an input size: inputs have theirs, leave it out",
        ),
        (
            ("show", "mine.py:Net", "--inputs", "mine.py:none_such"),
            "known are made, pair (write mine.py:NAME, a tensor, a tuple, a dict, or a function",
        ),
        (
            ("list", "mine.py:Net"),
            "list has the names of the catalog, of timm: and of torchvision:, ",
        ),
        (
            ("show", "costlab:ReLU"),
            "has no 'ReLU', but costlab.ops.elementwise: write costlab.ops.elementwise:ReLU",
        ),
        (
            ("show", "v1:reduced"),
            "cannot import v1: there is no such Python module; write file.py:NAME, module:NAME, ",
        ),
        (("show", "no.json:x"), "a part of a report is written no.json/PART"),
        (
            ("check", "mine.py:Odd", *SIZE, "--require", "macs <= 1"),
            "has no rule for svdvals at svdvals: give your own, with --rules FILE or costlab.count",
        ),
        (
            ("show", "mine.py:Wide", *SIZE),
            "mine.py:Wide needs width: write 'mine.py:Wide(width=...)'",
        ),
        (("show", "naive", "-o", "."), "cannot write to .: is a directory; give a file in it"),
        (("show", "naive", "--top", "x"), "'x' is not a whole number; see: costlab show --help"),
        (
            ("show", "naive", "-o", "x.csv", "--format", "json"),
            "x.csv ends in .csv, which is csv, and --format says json: leave --format out",
        ),
    ],
)
def test_an_error_says_what_to_do(
    costlab: Run, folder: Path, args: tuple[str, ...], words: str
) -> None:
    before = sorted(folder.iterdir())
    done = costlab(*args, cwd=folder)
    if args[:2] == ("compare", "naive"):
        words = "what is the input of mine.py:Net? forward takes x: give an input size (--"
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert "Errno" not in done.stderr
    assert sorted(path for path in folder.iterdir() if path.name != "__pycache__") == before


@pytest.mark.parametrize("command", ["compare", "crosscheck", "time", "check"])
def test_of_several_models_the_error_says_of_which_it_is(
    costlab: Run, folder: Path, command: str
) -> None:
    models = ["naive/branch5x5", "mine.py:Lines"]
    if command == "check":
        models[1:] = ["--baseline", models[1], "--require", "macs <= base.macs"]
    done = costlab(command, *models, "--input-size", "1,192,8,8", cwd=folder)
    assert done.returncode == 2
    assert done.stderr.startswith(
        "costlab: mine.py:Lines: the model cannot be run: ValueError: too many"
    )


def test_another_ending_may_have_any_format(costlab: Run, folder: Path) -> None:
    for name in ("x.data", "x.json"):
        assert costlab("show", "naive", "-o", name, "--format", "json", cwd=folder).returncode == 0
    texts = [(folder / name).read_text(encoding="utf-8") for name in ("x.data", "x.json")]
    assert texts[0] == texts[1]


CALLS: dict[str, tuple[Callable[[], Any], str]] = {
    "a report is not built": (
        lambda: library.build("before.json"),
        r"before cannot be built: .* \(conv2d\) has no torch module; only operations of the",
    ),
    "a class": (
        lambda: library.analyze(nn.ReLU, (1, 3)),
        r"a model is a module, not the class ReLU: make one, ReLU\(\)$",
    ),
    "a module is not built": (
        lambda: library.build(nn.ReLU()),  # type: ignore[arg-type]
        "^ReLU is a module, or code",
    ),
    "a part by number": (
        lambda: library.analyze("naive").at(3),  # type: ignore[arg-type]
        "at takes path as a text, not 3$",
    ),
    "a condition that is code": (
        lambda: library.check("naive", lambda: True),  # type: ignore[arg-type]
        "check takes limits as a text, not function$",
    ),
    "code is not built": (lambda: library.build("mine.py:Net"), "use it as it is"),
    "crosscheck": (
        lambda: library.crosscheck("naive", counter="torch"),
        "unknown choice of naive 'counter'.*; should counter= be counters=",
    ),
    "reconcile": (lambda: library.reconcile("naive", aganist="torch"), "aganist= be against="),
    "compare": (
        lambda: library.compare("naive", "reduced", input_sise=(1, 3, 8, 8)),
        "should input_sise= be input_size=",
    ),
    "compare, of an input that is not known": (
        lambda: library.compare("mine.py:Net", "mine.py:Net", inputs=None, training=True),
        r"what is the input of mine.py:Net\? .*, or inputs; its parameters alone: ",
    ),
    "analyze a module": (
        lambda: library.analyze(nn.ReLU(), input_sise=(1, 3)),
        "should input_sise= be input_size=",
    ),
    "analyze code": (
        lambda: library.analyze("mine.py:Net", (1, 3, 8, 8), inpts=torch.zeros(1)),
        "takes no 'inpts'.*should inpts= be inputs=",
    ),
    "formula": (lambda: library.formula("reduced", symbls="c5"), "should symbls= be symbols="),
    "build": (lambda: library.build("naive", inputsize=(1, 192, 8, 8)), "be input_size="),
    "a formula by position": (
        lambda: library.formula("reduced").at(28),
        r"at takes numbers by the names of symbols, such as at\(C=28\)$",
    ),
    "an empty range": (
        lambda: library.sweep("mine.py:Net", {"width": "8:4:4"}),
        "width=8:4:4 has no values: a range is lo:hi:step",
    ),
    "a step of 0": (
        lambda: library.sweep("mine.py:Net", {"width": "8:32:0"}),
        "width=8:32:0 has no values: its step 0 is not above 0$",
    ),
    "a value left out": (
        lambda: library.sweep("mine.py:Net", {"width": "8,,16"}),
        "width=8,,16: a value is missing beside a comma$",
    ),
    "a sweep without an input": (
        lambda: library.sweep("mine.py:Net", {"width": "8,16"}),
        "such as 1,3,224,224, .*; where H and W vary, it is 1,3,H,W by itself$",
    ),
    "a part of a module": (
        lambda: library.analyze(nn.Sequential(nn.ReLU()), (1, 3)).at("x"),
        "unknown part of Sequential 'x': known are 0$",
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_wrong_call_of_the_library_says_what_was_meant(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(folder)
    call, words = CALLS[name]
    with pytest.raises(library.CostlabError, match=words):
        call()


def test_a_choice_that_is_wrong_is_no_keyword() -> None:
    with pytest.raises(library.UnknownNameError) as error:
        library.analyze("naive", c9=1)
    assert "should" not in str(error.value)


def changed(folder: Path, **layer: Any) -> Path:
    """The report with other values in its convolution; ``a__b`` is ``b`` in ``a``."""
    data = json.loads((folder / "before.json").read_text(encoding="utf-8"))
    home = data["graph"]["layers"][0]
    for name, value in layer.items():
        outer, _, inner = name.rpartition("__")
        (home[outer] if outer else home)[inner] = value
    path = folder / "edited.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        ({"attributes__kernel_size": [9, 9]}, "gives 1×8×6×6, not 1×8×0×0"),
        ({"attributes__stride": 0}, "conv2d 3×3 on 1×3×8×8: "),
        ({"attributes__out_channels": 9}, "gives 1×8×6×6, not 1×9×6×6"),
        ({"attributes__kernel_size": "x"}, "its attributes do not fit"),
        ({"count__macs": 1}, "has 1 macs, and factors of another product"),
        ({"output": [1, 8, 5, 5]}, "gives 1×8×5×5, not 1×8×6×6"),
    ],
    ids=str,
)
def test_an_operation_that_cannot_be_is_refused(
    costlab: Run, folder: Path, layer: dict[str, Any], words: str
) -> None:
    assert costlab("show", str(changed(folder))).returncode == 0
    path = changed(folder, **layer)
    text = path.read_bytes()
    done = costlab("show", str(path))
    assert (done.returncode, done.stdout) == (2, "")
    assert "is no whole report of costlab show: " in done.stderr
    assert words in done.stderr
    assert path.read_bytes() == text


def test_what_a_report_lacks_is_said_and_nothing_is_to_be_overwritten(
    costlab: Run, folder: Path
) -> None:
    (folder / "x.json").write_text('{"schema": 2, "model": "m", "costlab": "0"}')
    done = costlab("show", "x.json", cwd=folder)
    assert done.stderr.endswith(
        "x.json is no whole report of costlab show: it has no 'graph': was it written by another "
        "command, or without an input?\n"
    )


def test_the_batch_is_said_to_be_first_where_that_is_known(costlab: Run, folder: Path) -> None:
    assert "(batch first)" in costlab("show", "naive/branch5x5").stdout
    done = costlab("compare", "naive", "reduced", "--no-trace")
    assert "naive: input 1×192×28×28 → output 1×416×28×28 (batch first)\n" in done.stdout
    for args in (
        ("show", "mine.py:Net", *SIZE),
        ("show", "before.json"),
        ("compare", "before.json", "mine.py:Net", *SIZE, "--no-trace"),
        ("crosscheck", "mine.py:Net", *SIZE, "--counter", "torch"),
        ("reconcile", "mine.py:Net", *SIZE, "--counter", "torch"),
    ):
        done = costlab(*args, cwd=folder)
        assert "1×3×8×8" in done.stdout
        assert "batch first" not in done.stdout


def test_a_forward_that_gives_nothing_says_so(costlab: Run, folder: Path) -> None:
    done = costlab("show", "mine.py:Nothing", *SIZE, cwd=folder)
    assert "input 1×3×8×8 → output none\n" in done.stdout
    done = costlab("compare", "mine.py:Nothing", "mine.py:Net", *SIZE, "--no-trace", cwd=folder)
    assert "A = mine.py:Nothing: input 1×3×8×8 → output none\n" in done.stdout


def test_a_whole_transform_of_real_numbers_is_no_half_of_one(costlab: Run, folder: Path) -> None:
    done = costlab("show", "mine.py:Fourier", *SIZE, "--format", "csv", cwd=folder)
    labels = [line.split(",")[1] for line in done.stdout.splitlines()]
    assert [label for label in labels if label.endswith("fft")] == ["fft", "rfft"]


@pytest.mark.parametrize("model", ["Dict", "Items", "Named"])
def test_a_forward_that_takes_a_dict_is_told_of_inputs(
    costlab: Run, folder: Path, model: str
) -> None:
    """In one line: torch warns of an index that is a text, at the line of ours that has it."""
    torch.set_warn_always(True)  # also if it has done so before in this process
    try:
        done = costlab("show", f"mine.py:{model}", *SIZE, cwd=folder)
    finally:
        torch.set_warn_always(False)
    said = "is it a dict that is taken, and no tensor? Give that as inputs=({'x': x},), or --inputs"
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_index_by_number_is_not_taken_for_a_dict(costlab: Run, folder: Path) -> None:
    done = costlab("show", "mine.py:Pair", *SIZE, cwd=folder)
    assert "index 8 is out of range" in done.stderr
    assert "dict" not in done.stderr
