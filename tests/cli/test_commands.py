"""The command line as a user types it: what it says, writes, and exits with."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import Run, RunProcess, environment

import costlab as library
from costlab.cli import commands, show_command
from costlab.cli.command_classes import LazyCommand
from costlab.costs.table import costs
from costlab.graph import Net
from costlab.ops.uncounted import Uncounted

COMMANDS = {name: LazyCommand(name).command() for name in commands.COMMANDS}


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples(costlab: Run, command: str) -> None:
    done = costlab(command, "--help")
    assert done.returncode == 0
    assert f"  costlab {command}" in done.stdout
    assert ("--format" in done.stdout) == (command != "report")
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize("args", [[], ["--help"]])
def test_help_names_every_command(costlab: Run, args: list[str]) -> None:
    done = costlab(*args)
    assert done.returncode == 0
    assert "1 MAC is 1 multiplication and 1 addition" in " ".join(done.stdout.split())
    for command in COMMANDS:
        assert f"  {command} " in done.stdout


def test_a_command_is_registered_with_the_first_sentence_of_its_help() -> None:
    folder = Path(commands.__file__).parent
    assert {f"{name}_command" for name in COMMANDS} == {p.stem for p in folder.glob("*_command.py")}
    for name, command in COMMANDS.items():
        assert command.name == name
        assert (command.help or "").partition("\n")[0] == commands.COMMANDS[name]


@pytest.mark.parametrize(
    ("args", "imported"), [([], "[]"), (["--help"], "[]"), (["list"], "['list']")]
)
def test_only_the_command_that_is_called_is_imported(args: list[str], imported: str) -> None:
    script = (
        "import re, sys\n"
        "from costlab.cli import main\n"
        f"try: main({args!r})\n"
        "finally: print(re.findall(r'(\\w+)_command\\b', ' '.join(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.strip()) == (0, imported)


def test_an_interruption_while_commands_are_imported_is_one_line() -> None:
    script = (
        "import builtins\n"
        "from costlab.cli import main\n"
        "own = builtins.__import__\n"
        "def interrupted(name, *more):\n"
        "    if name == 'costlab.cli.commands': raise KeyboardInterrupt\n"
        "    return own(name, *more)\n"
        "builtins.__import__ = interrupted\n"
        "main(['list'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (130, "costlab: interrupted\n")


EXAMPLES = [
    re.sub(r"\\\n *", "", example)
    for command in COMMANDS.values()
    for example in re.findall(r"^ *(costlab (?:.*\\\n)*.*)$", command.help or "", re.MULTILINE)
]
ELSEWHERE = {
    "costlab report reports",
    "costlab report reports --page googlenet",
    "costlab reconcile googlenet",
    "costlab memory resnet50 --training --fits 24G",
}
"""Those that take long; tests/docs runs them, and compares what comes out."""


USERS_FILES = {
    "mine.py": "from torch import nn\ndef Net(width=8): return nn.Conv2d(3, width, 3)\n",
    "old.json": library.analyze("googlenet").to_json(),
    "naive.json": library.analyze("naive").to_json(),
    "costlab.toml": '[[check]]\nmodel = "naive"\nbaseline = "naive.json"\nlimits = "macs > 1"\n',
}
"""What examples name."""


def test_every_command_has_examples() -> None:
    assert {example.split()[1] for example in EXAMPLES} == set(COMMANDS)
    assert set(EXAMPLES) > ELSEWHERE


@pytest.mark.parametrize("example", [line for line in EXAMPLES if line not in ELSEWHERE])
def test_an_example_in_the_help_runs(costlab: Run, tmp_path: Path, example: str) -> None:
    if re.search(r" -o \S+\.(svg|pdf|png)$", example):
        pytest.importorskip("matplotlib")
    for name, text in USERS_FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    if "net.pt2" in example:
        batch = torch.export.Dim("batch")
        program = torch.export.export(
            torch.nn.Linear(3, 4), (torch.zeros(2, 3),), dynamic_shapes=({0: batch},)
        )
        torch.export.save(program, tmp_path / "net.pt2")
    example = example.replace("--limit 2", "--limit 0.2")  # seconds
    done = costlab(*shlex.split(example)[1:], cwd=tmp_path)
    weak = r"(costlab: (The machine was busy|Too few runs|Runs became slower).*\n)*"
    assert re.fullmatch(weak if "costlab time" in example else "", done.stderr)
    assert done.returncode == 0
    assert done.stdout or {path.name for path in tmp_path.iterdir()} > USERS_FILES.keys()


def test_the_list_says_what_the_choices_are(costlab: Run) -> None:
    said = " ".join(costlab("list").stdout.split())
    for name in library.architectures():
        assert f"{name} 1×" in said
    assert 'AlexNet; variant="grouped" (of grouped, single-tower, ungrouped)' in said
    said = " ".join(costlab("list", "reduced", "alexnet").stdout.split())
    assert "googlenet" not in said
    assert 'variant="single-tower": the one column of 2014' in said
    assert "c3r and c5r those of the 1×1 reductions before them" in said
    assert "choices: c1=64, c3r=96, c3=128, c5r=16, c5=32, cp=32" in said


def test_the_version_is_printed(costlab: Run) -> None:
    assert costlab("--version").stdout == f"costlab {library.__version__}\n"


def test_the_main_job_at_a_glance(costlab: Run) -> None:
    done = costlab("compare", "naive", "reduced", env=environment(COLUMNS="80"))
    assert done.returncode == 0
    assert re.search(
        r"\nbranch5x5 +naive +120,422,400 .*\n +\(28·28·32\)·\(5·5·192\)\n"
        r" +reduced +12,443,648 .*\n +\(28·28·16\)·\(1·1·192\) \+ \(28·28·32\)·\(5·5·16\)\n"
        r" +÷9.68 ",
        done.stdout,
    )
    assert re.search(r"\nMACs +303,464,448 +128,049,152 +−175,415,296 +−57.8 %\n", done.stdout)
    assert "agrees on all contractions: 3 of naive, 6 of reduced" in done.stdout
    assert "naive: input 1×192×28×28 → output 1×416×28×28" in done.stdout
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) < 40  # one to spare
    assert lines[-2].startswith(
        "reduced against naive: MACs −57.8 %, params −57.6 %, FLOPs −57.6 %"
    )


def test_two_networks_with_little_in_common_fit_on_a_page(costlab: Run) -> None:
    """And no part of the one stands beside a part of the other."""
    done = costlab("compare", "googlenet", "inception-v3", env=environment(COLUMNS="80"))
    lines = done.stdout.splitlines()
    assert done.returncode == 0
    assert len(lines) <= 60
    assert "Little of inception-v3 aligns with googlenet" in done.stdout
    assert [line.split()[1] for line in lines if line.startswith("inception_5b ")] == [
        "googlenet",
        "inception-v3",
    ]
    assert lines[-2].startswith("inception-v3 against googlenet: MACs ×3.61,")


def test_no_trace_says_nothing_of_fvcore(costlab: Run) -> None:
    done = costlab("compare", "naive", "reduced", "--no-trace")
    assert done.returncode == 0
    assert "fvcore" not in done.stdout


BAD = [
    (["show", "navie"], "unknown model 'navie': did you mean 'naive'?"),
    (["show", "resnet9000"], "unknown model 'resnet9000'"),
    (["show", ""], "unknown model ''"),
    (
        ["show", "no.such.models:resnet18"],
        "cannot import no.such.models: there is no such Python module",
    ),
    (["show", "naive/BRANCH5x5"], "did you mean 'branch5x5'"),
    (["show", "naive", "--input-size", ""], "cannot read the input size ''"),
    (["memory", "naive", "--dtype", ""], "--dtype is given without a value"),
    (["show", "naive", "--sort="], "--sort is given without a value"),
    (
        ["check", "naive", "--input-size", "N,3,H,W", "--require", "macs < 1"],
        "N varies in costlab formula, sweep, and check --vary N=1,8",
    ),
    (["show", "naive", "--input-size", "9999999999999,1,1,1"], "at most 12 digits"),
    (["show", "naive/branch5"], "unknown part of naive 'branch5': did you mean 'branch5x5'"),
    (["show", "reduced(c9=1)"], "unknown choice of reduced 'c9'"),
    (
        ["show", "reduced(c5r='x')"],
        "c5r of reduced takes a whole number, such as c5r=16, not 'x'",
    ),
    (["show", "reduced(c5r=2.5)"], "takes a whole number"),
    (["show", "reduced(c5r=True)"], "takes a whole number"),
    (["show", "reduced(c5r=None)"], "takes a whole number"),
    (["show", "googlenet(aux=1)"], "aux of googlenet takes True or False"),
    (["show", "reduced(c5r=24"], "cannot read the model"),
    (["show", "reduced(24)"], "cannot read the choices"),
    (["show", "reduced(c5r=1, c5r=2)"], "cannot read the choices"),
    (["show", "reduced(c5r=__import__('os').getpid())"], "cannot read the choices"),
    (["show", "reduced(c5r=1)+(c5r=2)"], "cannot read the choices"),
    (["show", "reduced(c5r=1)(c5r=2)"], "cannot read the choices"),
    (["show", "reduced(**{'c5r': 1})"], "cannot read the choices"),
    (["show", "reduced(c5r='\\d')"], "takes a whole number"),
    (
        ["show", "reduced(c5r=0)"],
        "branch5x5.reduce, conv 1×1 on 1×192×28×28: output channels",
    ),
    (["show", "reduced(c5r=-3)"], "output channels must be at least 1"),
    (["show", f"reduced(c5r={10**20})"], "is too large"),
    (["show", f"reduced(c5r={'9' * 5000})"], "cannot read the choices"),
    (["show", "googlenet", "--input-size", "1,3,x"], "cannot read the input size '1,3,x'"),
    (["show", "googlenet", "--input-size", "1,3,224"], "has 3 numbers, googlenet takes 4"),
    (
        ["show", "googlenet", "--input-size", "1,3,8,8"],
        "pool3, max_pool 3×3/2 on 1×480×1×1: its output has a dimension",
    ),
    (
        ["show", "googlenet", "--input-size", "0,3,224,224"],
        "a dimension smaller than 1; give whole",
    ),
    (["show", "naive", "--depth", "0"], "'--depth'"),
    (["show", "naive", "--format", "xml"], "'xml' is not one of"),
    (["show", "naive", "-o", "no/such/folder/x.md"], "no such file or directory"),
    (["show", "naive", "-o", "."], "is a directory"),
    (["show", "naive", "-o", "/dev/full"], "no space left on device"),
    (["show"], "Missing argument 'MODEL'"),
    (["compare", "naive"], "compare takes two or more models"),
    (["compare", "naive", "navie"], "unknown model 'navie'"),
    (["compare", "naive", "reduced", "--at", "H=8", "--all"], "compare is costlab formula: No"),
    (["crosscheck", "naive", "--counter", "fvcor"], "unknown counter 'fvcor': did you mean"),
    (["crosscheck", "reduced(c1=99999999)"], "needs 1.02 TB to run"),
    (["shwo", "naive"], "No such command 'shwo'"),
    (
        ["show", "naive", "--fromat", "csv"],
        "no option --fromat (did you mean --format or --flat?);",
    ),
    (["memory", "naive", "--top", "3"], "--top (costlab show, sweep have it); see: costlab memory"),
    (["show", "naive", "--top"], "'--top' requires an argument; see: costlab show --help"),
    (["check", "naive", "--require", "memory <= 1"], "'memory': known are params, trainable, "),
]


@pytest.mark.parametrize(("args", "problem"), BAD, ids=[" ".join(a)[:40] for a, _ in BAD])
def test_bad_input_is_one_line_and_exit_2(
    costlab: Run, tmp_path: Path, args: list[str], problem: str
) -> None:
    done = costlab(*args, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("costlab: ")
    assert problem in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("args", "code"), [(["list"], 0), (["shwo"], 2)])
def test_the_exit_code_is_the_processs(
    costlab_process: RunProcess, args: list[str], code: int
) -> None:
    assert costlab_process(*args).returncode == code


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["crosscheck", "naive"], 1),
        (["crosscheck", "naive", "--counter", "torch"], 0),
        (["crosscheck", "pointwise", "naive", "--counter", "torch,fvcore"], 1),
        (["compare", "naive", "reduced"], 1),
        (["compare", "naive", "reduced", "--no-trace"], 0),
    ],
)
def test_a_counter_that_differs_by_one_exits_1(
    costlab: Run, monkeypatch: pytest.MonkeyPatch, args: list[str], code: int
) -> None:
    from costlab.counters import Measurement, fvcore

    measure = fvcore.COUNTER.measure
    assert measure is not None

    def one_more(*given: Any) -> Measurement:
        measurement: Measurement = measure(*given)
        macs = measurement.values["macs"]
        if "branch5x5.conv" in macs:
            macs["branch5x5.conv"] += 1
        return measurement

    monkeypatch.setattr(fvcore, "COUNTER", replace(fvcore.COUNTER, measure=one_more))
    done = costlab(*args)
    assert (done.returncode, done.stderr) == (code, "")
    said = "it differs on 1, first at branch5x5.conv" in " ".join(done.stdout.split())
    assert said == (code == 1)


@pytest.mark.parametrize(("args", "code"), [(["--strict"], 3), ([], 0)])
def test_strict_exits_3_on_an_incomplete_count(
    costlab: Run, monkeypatch: pytest.MonkeyPatch, args: list[str], code: int
) -> None:
    net = Net("net", (1, 3, 8, 8))
    graph = net.graph(net.add("odd", Uncounted("warp", (1, 3, 8, 8)), *net.inputs))
    monkeypatch.setattr(show_command, "analyze", lambda *_, **how: costs(graph))
    done = costlab("show", "naive", *args)
    assert done.returncode == code
    assert done.stderr == code // 3 * (
        "costlab: not everything could be counted, and --strict is given\n"
    )
    assert "Lower bound" in done.stdout


def test_strict_exits_0_on_a_complete_count(costlab: Run) -> None:
    assert costlab("show", "naive", "--strict").returncode == 0


def test_crosscheck_of_several_models_is_one_result(costlab: Run) -> None:
    done = costlab("crosscheck", "naive", "reduced", "--format", "json")
    data = json.loads(done.stdout)
    assert data["agrees"] is True
    assert data["models"] == ["naive", "reduced"]
    assert {row["model"] for row in data["rows"]} == {"naive", "reduced"}
    assert [set(run["counters"]) for run in data["runs"]] == [{"fvcore", "torch", "module"}] * 2


def test_python_m_and_the_console_script_are_the_same(costlab_process: RunProcess) -> None:
    script = Path(sys.executable).with_name("costlab")
    if not script.exists():
        pytest.skip("costlab is not installed beside this Python")
    args = ["show", "reduced", "--format", "json"]
    installed = subprocess.run([script, *args], capture_output=True, text=True, check=True)
    assert installed.stdout == costlab_process(*args).stdout


@pytest.mark.parametrize(
    "options",
    [
        ("--inputs", "net.py:one", "--inputs", "net.py:two"),
        ("--format", "csv", "--format=json"),
        ("-o", "one.csv", "--output", "two.csv"),
    ],
)
def test_an_option_that_is_given_twice_is_an_error(
    costlab: Run, tmp_path: Path, options: tuple[str, ...]
) -> None:
    done = costlab("show", "naive", *options, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("costlab: -")
    assert " is given twice: give it once" in done.stderr
    assert not list(tmp_path.iterdir())
