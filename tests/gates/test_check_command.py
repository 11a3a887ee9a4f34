"""``costlab check`` as users call it: exit codes, baselines, and one line for what is wrong."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
from pathlib import Path

import pytest
from command_line import Run
from wrapped import own_rules

import costlab as library
from costlab.gates.gate import gate
from costlab.gates.settings import checks_of

SETTINGS = """
[[check]]
model = "reduced"
baseline = "costs/reduced.json"
limits = ["macs <= 1.02 * base.macs", "params <= 165 K"]

[[check]]
name = "the naive one"
model = "naive"
baseline = "costs/naive.json"
limits = ["macs <= base.macs"]
"""
NET = """
from torch import nn
class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(3, 8, 3), nn.ReLU())
"""


def settings(folder: Path, text: str = SETTINGS) -> Path:
    (folder / "costlab.toml").write_text(text, encoding="utf-8")
    return folder


def grow(folder: Path) -> None:
    file = folder / "costlab.toml"
    file.write_text(file.read_text().replace('"reduced"', '"reduced(c5r=24)"'), encoding="utf-8")


def test_without_a_file(costlab: Run) -> None:
    done = costlab("check", "googlenet", "--require", "macs <= 1.6 G", "--require", "params <= 7 M")
    assert (done.returncode, done.stderr) == (0, "")
    assert "All 2 limits hold." in done.stdout
    (line,) = re.findall(r"^  params <= 7 M .*", done.stdout, re.MULTILINE)
    assert line.split() == ["params", "<=", "7", "M", "6,998,552", "7,000,000", "1,448", "holds"]

    done = costlab("check", "googlenet", "--require", "macs[inception_3a] <= 120 M")
    assert (done.returncode, done.stderr) == (1, "")
    assert "The limit fails." in done.stdout
    assert "inception_3a.branch3x3.conv      86,704,128  67.7%  (28·28·128)·(3·3·96)" in done.stdout


def test_a_baseline_on_the_command_line(costlab: Run) -> None:
    growth = ("--require", "macs <= 1.02 * base.macs", "--baseline", "reduced")
    assert costlab("check", "reduced", *growth).returncode == 0
    done = costlab("check", "reduced(c5r=24)", *growth)
    assert done.returncode == 1
    assert "+6,221,824  +4.9 %" in done.stdout
    assert "now: (28·28·32)·(5·5·24)" in done.stdout


def test_from_the_first_baseline_to_growth(costlab: Run, tmp_path: Path) -> None:
    settings(tmp_path)
    done = costlab("check", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "costlab: costlab.toml, line 2: there is no baseline costs/reduced.json yet: "
        "costlab check --update writes it\n"
    )
    done = costlab("check", "--update", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Wrote costs/reduced.json.\nWrote costs/naive.json." in done.stdout
    saved = (tmp_path / "costs" / "reduced.json").read_text(encoding="utf-8")
    assert saved == library.analyze("reduced").to_json()
    assert costlab("check", cwd=tmp_path).returncode == 0

    grow(tmp_path)
    done = costlab("check", cwd=tmp_path)
    assert done.returncode == 1
    assert "2 of 3 limits fail." in done.stdout
    assert "branch5x5.conv    10,035,200  15,052,800  +5,017,600" in done.stdout
    assert costlab("check", "the naive one", cwd=tmp_path).returncode == 0
    done = costlab("check", "--update", cwd=tmp_path)
    assert done.returncode == 1  # params still are more than 165 K
    assert "1 of 3 limits fails." in done.stdout
    assert (tmp_path / "costs" / "reduced.json").read_text(encoding="utf-8") != saved


def test_a_missing_baseline_of_the_command_line_is_written_by_what_the_error_says(
    costlab: Run, tmp_path: Path
) -> None:
    settings(tmp_path)  # costlab check --update would write those of the file
    asked = ("check", "reduced", "--baseline", "no.json", "--require", "macs <= base.macs")
    done = costlab(*asked, cwd=tmp_path)
    assert done.stderr == (
        "costlab: there is no baseline no.json yet: costlab show MODEL -o no.json writes it, "
        "or --update with this check\n"
    )
    assert costlab(*asked, "--update", cwd=tmp_path).returncode == 0
    assert [path.name for path in tmp_path.glob("**/*.json")] == ["no.json"]

    done = costlab(*asked[:3], "part.json/stem", *asked[4:], cwd=tmp_path)
    assert done.stderr.endswith(" yet: costlab show MODEL -o part.json writes it\n")


def test_a_baseline_on_another_input_is_refused(costlab: Run, tmp_path: Path) -> None:
    text = SETTINGS.replace('model = "naive"', 'model = "naive"\nbatch = 1')
    settings(tmp_path, text)
    assert costlab("check", "--update", cwd=tmp_path).returncode == 0
    settings(tmp_path, text.replace("batch = 1", "batch = 2"))
    done = costlab("check", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "line 7: the baseline costs/naive.json is on 1×192×28×28, the model on 2×192×" in (
        done.stderr
    )
    assert costlab("check", "--update", cwd=tmp_path).returncode == 0


def test_a_baseline_that_is_another_model_may_take_another_input() -> None:
    result = library.check("googlenet", "macs <= base.macs", baseline="inception-v3")
    assert result
    assert "googlenet: the baseline is on 1×3×299×299, the model on 1×3×224×224." in (
        result.to_text()
    )
    same = library.check("reduced", "macs <= base.macs", baseline="naive")
    assert "the baseline is on" not in same.to_text()


def test_a_gate_is_true_where_its_limits_hold_and_iterates_over_them() -> None:
    assert not library.check("reduced", "macs <= 1")
    gate = library.check("reduced", "macs <= 1 G", "params <= 1 M")
    assert gate
    assert [limit.text for limit in gate] == ["macs <= 1 G", "params <= 1 M"]


def test_the_line_beside_a_file_names_the_models_that_fail(costlab: Run, tmp_path: Path) -> None:
    settings(tmp_path)
    costlab("check", "--update", cwd=tmp_path)
    grow(tmp_path)
    done = costlab("check", "-o", "c.md", cwd=tmp_path)
    assert done.stderr == "costlab: reduced(c5r=24): 2 of 3 limits fail\n"


def test_baselines_are_written_all_or_none(costlab: Run, tmp_path: Path) -> None:
    settings(tmp_path)
    costlab("check", "--update", cwd=tmp_path)
    before = (tmp_path / "costs" / "reduced.json").read_bytes()
    grow(tmp_path)
    (tmp_path / "costs" / "naive.json").unlink()
    (tmp_path / "costs" / "naive.json").mkdir()
    done = costlab("check", "--update", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("costlab: cannot write the baseline costs/naive.json: ")
    assert (tmp_path / "costs" / "reduced.json").read_bytes() == before
    assert sorted(path.name for path in (tmp_path / "costs").iterdir()) == [
        "naive.json",
        "reduced.json",
    ]


def test_what_cannot_be_judged_writes_no_baseline(costlab: Run, tmp_path: Path) -> None:
    settings(tmp_path, SETTINGS.replace('["macs <= base.macs"]', '["macs[nosuch] <= 1"]'))
    assert costlab("check", "--update", cwd=tmp_path).returncode == 2
    assert not (tmp_path / "costs").exists()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((), "no checks here: give MODEL --require 'macs <= 1.6 G', or write"),
        (("naive",), "no checks here"),
        (("--require", "macs < 1"), "--require is about a MODEL: give one"),
        (("--input-size", "1,3"), "--input-size is for a MODEL with --require"),
        (("--baseline", "naive"), "--baseline is for a MODEL with --require"),
        (("--real",), "--real is for a MODEL with --require"),
        (("naive", "--vary", "N=1"), "--vary is for a MODEL with --require: give a limit too"),
        (
            ("googlent", "--require", "macs < 1"),
            "unknown model 'googlent': did you",
        ),
        (("naive", "--require", "macs"), "this is a number: compare it, as in macs < 120 M"),
        (("naive", "--require", "mcas < 1"), "unknown name 'mcas': did you mean 'macs'?"),
        (("naive", "--require", "macs < base.macs"), "there is no baseline: give one, as"),
        (("naive", "--require", "macs[a] < 1"), "naive has no layer 'a'"),
        (
            ("naive", "--require", "macs < 1", "--baseline", "x.json"),
            "there is no baseline x.json",
        ),
        (("naive", "--require", "macs < 1", "--update"), "no baseline is a file that could be"),
        (
            ("naive", "--require", "macs < 1", "--input-type", "int64"),
            "input type is for an nn.Module or Python code",
        ),
        (("no.py:Net", "--require", "macs < 1"), "there is no file no.py"),
    ],
)
def test_a_wrong_check_is_one_line(
    costlab: Run, tmp_path: Path, args: tuple[str, ...], said: str
) -> None:
    done = costlab("check", *args, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("costlab: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "option",
    [
        *(
            ("--input-size", "1,3,8,8"),
            ("--batch", "3"),
            ("--inputs", "mine.py:x"),
            ("--training",),
        ),
        *(("--method", "encode"), ("--baseline", "naive")),
    ],
)
def test_how_a_model_is_run_is_said_where_its_limits_are(
    costlab: Run, tmp_path: Path, option: tuple[str, ...]
) -> None:
    (tmp_path / "mine.py").write_text("import torch\nx = torch.zeros(1, 3)\n", encoding="utf-8")
    done = costlab("check", *option, cwd=settings(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{option[0]} is for a MODEL with --require" in done.stderr


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"naive"', '"nave"', "costlab.toml, line 7: unknown model 'nave': did you mean 'naive'"),
        ("<= base.macs", "<= bse.macs", "costlab.toml, line 11: 'bse' is no other model"),
        ("params <= 165 K", "params", "costlab.toml, line 5: this is a number: compare it"),
        ("costs/naive", "costs/reduced", "line 7: costs/reduced.json is the baseline of another"),
        ("baseline", "base-line", "unknown key 'base-line': did you mean 'baseline'? (in costlab"),
    ],
)
def test_a_mistake_in_the_file_is_one_line_with_its_place(
    costlab: Run, tmp_path: Path, old: str, new: str, said: str
) -> None:
    settings(tmp_path, SETTINGS.replace(old, new))
    done = costlab("check", "--update", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_check_that_is_not_there(costlab: Run, tmp_path: Path) -> None:
    done = costlab("check", "the naiv one", cwd=settings(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        "unknown check 'the naiv one': did you mean 'the naive one'? (in costlab.toml"
        in done.stderr
    )


def test_limits_of_a_training_step(costlab: Run, tmp_path: Path) -> None:
    """A limit that names one has it counted, in the model and in the baseline that is written."""
    net = """
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint
class Net(nn.Module):
    def __init__(self, again=False):
        super().__init__()
        self.block, self.again = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)), again
    def forward(self, x):
        return checkpoint(self.block, x, use_reentrant=True) if self.again else self.block(x)
"""
    (tmp_path / "mine.py").write_text(net, encoding="utf-8")
    settings(
        tmp_path,
        '[[check]]\nmodel = "mine.py:Net"\ninput-size = "1,3,4,4"\nbaseline = "base.json"\n'
        'limits = ["training_macs <= base.training_macs", "recomputed_macs == 0"]\n',
    )
    done = costlab("check", "--update", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    file = tmp_path / "costlab.toml"
    file.write_text(file.read_text().replace(":Net", ":Net(again=True)"), encoding="utf-8")
    done = costlab("check", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    assert re.search(r"\n  training MACs +720 +1,008 +\+288 ", done.stdout)
    assert "now: forward 144 + again 144 + weight gradient 144\n" in done.stdout
    assert "training MACs = MACs + " in done.stdout
    data = json.loads(costlab("check", "--format", "json", cwd=tmp_path).stdout)
    assert data["models"][0]["total"]["training_macs"] == 1008
    assert "training MACs = " in " ".join(data["units"])


def test_a_training_step_is_counted_where_it_is_asked_for(costlab: Run) -> None:
    command = "check", "reduced", "--require", "macs < 1 G", "--training-cost", "--format", "json"
    (model,) = json.loads(costlab(*command).stdout)["models"]
    assert model["total"]["weight_gradient_macs"] == model["total"]["macs"]


def test_a_baseline_that_does_not_say_what_training_costs(costlab: Run, tmp_path: Path) -> None:
    growth = ("--require", "training_macs <= base.training_macs", "--baseline", "base.json")
    costlab("show", "reduced", "-o", "base.json", cwd=tmp_path)
    done = costlab("check", "reduced", *growth, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "a report does if --training-cost wrote it" in done.stderr
    costlab("show", "reduced", "--training-cost", "-o", "base.json", cwd=tmp_path)
    assert costlab("check", "reduced", *growth, cwd=tmp_path).returncode == 0


def test_a_limit_of_the_call_is_on_the_input_that_the_file_names(
    costlab: Run, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(NET, encoding="utf-8")
    settings(
        tmp_path,
        '[[check]]\nmodel = "mine.py:Net"\ninput-size = "2,3,8,8"\nbaseline = "mine.py:Net"\n'
        'limits = ["macs == 1"]\n',
    )
    limits = ("--require", "macs == 2 * 6*6*8 * 3*3*3", "--require", "macs == base.macs")
    done = costlab("check", "mine.py:Net", *limits, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "All 2 limits hold." in done.stdout
    file = tmp_path / "costlab.toml"
    file.write_text(file.read_text().replace('baseline = "mine.py:Net"', 'baseline = "no.json"'))
    assert costlab("check", "mine.py:Net", *limits[:2], cwd=tmp_path).returncode == 0
    assert (
        "there is no baseline no.json"
        in costlab("check", "mine.py:Net", *limits, cwd=tmp_path).stderr
    )
    done = costlab("check", "mine.py:Net", *limits, "--input-size", "1,3,8,8", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no baseline" in done.stderr
    settings(tmp_path, "[[check")
    assert costlab("check", "mine.py:Net", *limits, cwd=tmp_path).returncode == 2


def test_a_git_revision_has_a_gate(costlab: Run, tmp_path: Path) -> None:
    def git(*words: str) -> None:
        identity = ("-c", "user.name=x", "-c", "user.email=x@x")
        subprocess.run(["git", *identity, *words], cwd=tmp_path, check=True, capture_output=True)

    (tmp_path / "mine.py").write_text(NET, encoding="utf-8")
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "-m", "before")
    (tmp_path / "mine.py").write_text(NET.replace("8, 3)", "9, 3)"), encoding="utf-8")
    size = ("--input-size", "1,3,8,8")
    limits = ("--require", "macs == 6*6*8 * 3*3*3")
    assert costlab("check", "HEAD:mine.py:Net", *limits, *size, cwd=tmp_path).returncode == 0
    assert costlab("check", "mine.py:Net", *limits, *size, cwd=tmp_path).returncode == 1
    growth = ("--require", "macs <= base.macs", "--baseline", "HEAD:mine.py:Net", *size)
    done = costlab("check", "mine.py:Net", *growth, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    assert "+972" in done.stdout
    assert [path.name for path in (tmp_path / ".git").glob("worktrees/*")] == []


def test_limits_of_one_cause_name_it_once() -> None:
    text = library.check("googlenet", "macs <= 1 M and macs < 2 M", "params < 1").to_text()
    assert text.count("googlenet: ") == 2
    assert "\ngooglenet: macs <= 1 M, macs < 2 M\n" in text
    assert text.count("MACs of the layers that are largest:") == 1


def test_code_is_run_as_the_file_says(costlab: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(NET, encoding="utf-8")
    settings(
        tmp_path,
        '[[check]]\nmodel = "mine.py:Net"\ninput-size = "2,3,8,8"\nbaseline = "mine.py:Net"\n'
        'limits = ["macs == 2 * 6*6*8 * 3*3*3", "macs == base.macs"]\n',
    )
    done = costlab("check", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


RULES = """
import costlab, torch
@costlab.counting(torch.linalg.det, replace=True)
def det(output, x): return costlab.OpCount(mul=1000)
"""
IDS = """
import torch
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(10, 4)
    def forward(self, ids): return torch.linalg.det(self.table(ids))
"""


def test_a_baseline_is_run_as_the_model_where_it_is_run_at_all(
    costlab: Run, tmp_path: Path
) -> None:
    """The keys are the model's; a saved report, which takes none of them, is as it was saved."""
    (tmp_path / "mine.py").write_text(IDS, encoding="utf-8")
    (tmp_path / "rules.py").write_text(RULES, encoding="utf-8")
    check = """[[check]]
model = "mine.py:Net"
input-size = [1, 4]
input-type = "int64"
rules = "rules.py"
baseline = "BASE"
limits = ["mul == 1000", "mul == base.mul", "params <= base.params"]
"""
    with own_rules():
        for base in ("base.json", "mine.py:Net"):
            settings(tmp_path, check.replace("BASE", base))
            if base == "base.json":
                assert costlab("check", "--update", cwd=tmp_path).returncode == 0
            done = costlab("check", cwd=tmp_path)
            assert (done.returncode, done.stderr) == (0, "")


def test_saved_reports_are_checked_as_models(costlab: Run, tmp_path: Path) -> None:
    (tmp_path / "net.json").write_text(library.analyze("naive").to_json(), encoding="utf-8")
    limits = ("--require", "macs == 303464448", "--require", "macs[branch5x5] == 120422400")
    assert costlab("check", "net.json", *limits, cwd=tmp_path).returncode == 0


def test_files_for_programs(costlab: Run, tmp_path: Path) -> None:
    settings(tmp_path)
    costlab("check", "--update", cwd=tmp_path)
    grow(tmp_path)
    done = costlab("check", "--format", "csv", cwd=tmp_path)
    assert done.returncode == 1
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [(row["model"], row["limit"], row["holds"], row["line"]) for row in rows] == [
        ("reduced(c5r=24)", "macs <= 1.02 * base.macs", "False", "5"),
        ("reduced(c5r=24)", "params <= 165 K", "False", "5"),
        ("the naive one", "macs <= base.macs", "True", "11"),
    ]
    assert rows[0]["value"] == "134270976"
    assert int(rows[0]["room"]) == int(rows[0]["bound"]) - 134270976
    done = costlab("check", "--format", "json", cwd=tmp_path)
    data = json.loads(done.stdout)
    assert (data["holds"], data["written"]) == (False, [])
    grown, same = data["models"]
    assert grown["total"]["macs"] - grown["base"]["macs"] == sum(
        layer["now"] - layer["before"] for layer in grown["limits"][0]["layers"]
    )
    assert same["limits"][0]["layers"] == []


def test_many_layers_are_summed_up() -> None:
    text = library.check("googlenet", "macs <= 1 M").to_text()
    assert "48 layers more" in text  # of 57 convolutions and a linear layer 10 are shown
    shown = [int(n.replace(",", "")) for n in re.findall(r"([\d,]+) +[\d.]+%", text)]
    assert len(shown) == 11
    assert sum(shown) == library.analyze("googlenet").total.macs


def test_the_library_judges_what_the_command_does() -> None:
    held = library.check("naive", "macs <= 400 M", baseline=library.analyze("reduced"))
    assert held.holds
    assert isinstance(held, library.Gate)
    assert repr(held) == "<Gate naive: The limit holds>"
    assert not library.check(
        library.analyze("naive"), "macs <= base.macs", baseline="reduced"
    ).holds
    with pytest.raises(library.GateError, match="no limits: give conditions"):
        library.check("naive")


def test_a_module_is_called_by_its_class() -> None:
    from torch import nn

    checked = library.check(nn.Linear(3, 4), "params == 16", input_size=(1, 3))
    assert checked.holds
    assert [model.name for model in checked.models] == ["Linear"]


def test_progress_names_the_model(tmp_path: Path) -> None:
    steps: list[str] = []
    text = '[[check]]\nmodel = "naive"\nlimits = "macs > 1"\n'
    gate(checks_of(settings(tmp_path, text)), progress=steps.append)
    assert steps == ["1 of 1 model: counting naive"]
