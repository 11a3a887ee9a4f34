"""docs/ci.md: what it shows is short, and runs: the file, the action's script, the hook, pytest."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import yaml
from command_line import Run, environment

import costlab as library
from costlab.gates.settings import checks_of
from costlab.render.formats.comment import marker

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)
(SETTINGS,) = (text for kind, text in BLOCKS if kind == "toml")
WORKFLOW, PRE_COMMIT = (text for kind, text in BLOCKS if kind == "yaml")
(TESTS,) = (text for kind, text in BLOCKS if kind == "python")
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The module of the README, and the settings of the page."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(import torch\n.*?)```", readme, re.DOTALL)
    (tmp_path / "mine.py").write_text(code, encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(SETTINGS, encoding="utf-8")
    return tmp_path


def run(
    *args: str | Path, cwd: Path, path: Path | None = None, **env: str
) -> CompletedProcess[str]:
    """A process in which ``python`` finds this costlab; ``path`` has programs of the test's own."""
    found = [str(path)] if path else []
    env = environment(
        **{"PATH": os.pathsep.join([*found, os.environ["PATH"]]), "PYTHONPATH": str(ROOT), **env}
    )
    return subprocess.run(
        args, cwd=cwd, env=env, capture_output=True, encoding="utf-8", check=False
    )


def program(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"#!/usr/bin/env bash\n{text}\n", encoding="utf-8")
    file.chmod(0o755)
    return folder


@pytest.fixture
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``costlab``, as it is installed."""
    folder = tmp_path_factory.mktemp("bin")
    return program(folder, "costlab", f'exec "{sys.executable}" -m costlab "$@"')


def test_each_is_short() -> None:
    assert len(BLOCKS) >= 4
    assert all(text.count("\n") < 15 for _, text in BLOCKS)


def test_the_settings_of_the_page(costlab: Run, project: Path) -> None:
    assert costlab("check", cwd=project).returncode == 2
    assert costlab("check", "--update", cwd=project).returncode == 0
    assert costlab("check", cwd=project).returncode == 0
    (one,) = checks_of(project)
    assert (project / str(one.baseline)).is_file()
    code = (project / "mine.py").read_text(encoding="utf-8").replace("width=8", "width=9")
    (project / "mine.py").write_text(code, encoding="utf-8")
    done = costlab("check", cwd=project)
    assert done.returncode == 1
    assert "now: (30·30·9)·(3·3·3)" in done.stdout


def test_the_commands_of_the_page_are_right(costlab: Run) -> None:
    (command,) = re.findall(r"`costlab (check googlenet .*?)`", PAGE)
    args = [part.strip("' ") for part in re.split(r" (?=--)|(?<=require) ", command)]
    done = costlab(*args[0].split(), *args[1:])
    assert (done.returncode, done.stderr) == (0, "")


def test_the_keys_of_the_page_are_those_of_the_settings(costlab: Run, project: Path) -> None:
    file = project / "pyproject.toml"
    for key, value in {
        **dict.fromkeys(("inputs", "rules", "name"), '"x"'),
        "input-type": '"int64"',
        **dict.fromkeys(("training", "training-cost", "real"), "true"),
    }.items():
        assert f"`{key}`" in PAGE
        file.write_text(f"{SETTINGS}{key} = {value}\n", encoding="utf-8")
        assert len(checks_of(project)) == 1


# The action: what GitHub would give its script, and a `gh` that notes what it is asked.

GH = r"""
echo "$@" >> "$NOTED"
for word in "$@"; do
    case $word in
    body=@*) cp "${word#body=@}" "$NOTED.body" ;;
    esac
done
case "$*" in
*--jq*) printf '%s' "$COMMENTS" ;;
esac
exit "${GH_FAILS:-0}"
"""


def inputs(**given: str) -> dict[str, str]:
    """The variables that action.yml sets, for these inputs."""
    (step,) = ACTION["runs"]["steps"]
    values = {name: str(about["default"]) for name, about in ACTION["inputs"].items()} | given
    assert values.keys() == ACTION["inputs"].keys()
    known = {f"${{{{ inputs.{name} }}}}": value for name, value in values.items()}
    known["${{ github.event.pull_request.number }}"] = "7"
    return {name: known[value] for name, value in step["env"].items()}


def act(project: Path, programs: Path, env: dict[str, str]) -> CompletedProcess[str]:
    program(programs, "gh", GH)
    github = {"GITHUB_REPOSITORY": "me/mine", "NOTED": str(programs / "noted"), "COMMENTS": ""}
    return run("bash", ROOT / ".ci" / "action", cwd=project, path=programs, **github | env)


def test_the_action_takes_what_the_page_gives() -> None:
    workflow: Any = yaml.safe_load(WORKFLOW)
    *_, step = workflow["jobs"]["costs"]["steps"]
    assert step["uses"].startswith("OWNER/costlab@")
    assert step["with"].keys() <= ACTION["inputs"].keys()
    for name in re.findall(r"takes `([\w-]+)`, `([\w-]+)` and\n`([\w-]+)`", PAGE)[0]:
        assert name in ACTION["inputs"]
    (only,) = ACTION["runs"]["steps"]
    assert only["run"] == 'bash "$GITHUB_ACTION_PATH/.ci/action"'


def test_the_action_reads_the_variables_that_it_is_given() -> None:
    script = (ROOT / ".ci" / "action").read_text(encoding="utf-8")
    given = set(ACTION["runs"]["steps"][0]["env"]) - {"GH_TOKEN"}  # which gh reads
    assert set(re.findall(r"\$\{?([A-Z_]{3,})", script)) - {"BASH_SOURCE"} == {
        *given,
        "GITHUB_REPOSITORY",
    }


def test_the_action_checks_the_project(costlab: Run, project: Path, programs: Path) -> None:
    done = act(project, programs, inputs())
    assert done.returncode == 2
    assert "there is no baseline costs/net.json yet" in done.stderr
    costlab("check", "--update", cwd=project)
    done = act(project, programs, inputs())
    assert (done.returncode, done.stderr) == (0, "")
    assert "✅ All 3 limits hold." in done.stdout
    assert not (programs / "noted").exists()


def test_the_action_checks_limits_of_its_own(project: Path, programs: Path) -> None:
    limits = "macs <= 1 G\n\nparams <= 1 and macs > 1\n"
    given = inputs(model="naive", require=limits, **{"input-size": "1,192,14,14"})
    done = act(project, programs, given)
    assert done.returncode == 1
    assert "❌ 1 of 2 limits fails." in done.stdout


def test_an_input_is_no_code(project: Path, programs: Path) -> None:
    given = inputs(model="$(touch made)", require="`touch made`; macs\n--update")
    assert act(project, programs, given).returncode == 2
    assert not (project / "made").exists()


def test_the_comment_is_written_and_then_replaced(project: Path, programs: Path) -> None:
    given = inputs(model="naive", require="macs <= 1", comment="true")
    comments = "repos/me/mine/issues/7/comments"
    done = act(project, programs, given)
    assert done.returncode == 1
    asked, wrote = (programs / "noted").read_text(encoding="utf-8").splitlines()
    assert asked.startswith(f"api --paginate {comments} --jq ")
    assert marker("costlab check") in asked
    assert wrote.startswith(f"api {comments} -F body=@")
    body = (programs / "noted.body").read_text(encoding="utf-8")
    assert body.startswith(f"{marker('costlab check')}\n")

    done = act(project, programs, given | {"COMMENTS": "12\n34\n"})
    assert done.returncode == 1
    *_, wrote = (programs / "noted").read_text(encoding="utf-8").splitlines()
    assert wrote.startswith("api --method PATCH repos/me/mine/issues/comments/12 -F body=@")


def test_a_comment_that_cannot_be_written_does_not_decide(project: Path, programs: Path) -> None:
    given = inputs(model="naive", require="macs <= 1 G", comment="true")
    done = act(project, programs, given | {"GH_FAILS": "1"})
    assert done.returncode == 0
    assert "::warning title=costlab::The comment could not be written." in done.stdout


def test_without_a_pull_request_there_is_no_comment(project: Path, programs: Path) -> None:
    given = inputs(model="naive", require="macs <= 1 G", comment="true")
    assert act(project, programs, given | {"PULL_REQUEST": ""}).returncode == 0
    assert not (programs / "noted").exists()


def test_the_action_installs_costlab_where_it_is_missing(project: Path, programs: Path) -> None:
    (programs / "costlab").rename(programs / "later")
    program(
        programs, "python", f'echo "$@" > "{programs}/asked"\nmv "{programs}"/{{later,costlab}}'
    )
    tools = ":".join({str(Path(tool).parent) for tool in ("/usr/bin/env", "/bin/cat")})
    env = inputs(model="naive", require="macs <= 1 G") | {"PATH": f"{programs}:{tools}"}
    done = act(project, programs, env)
    assert done.returncode == 0, done.stderr
    assert (programs / "asked").read_text().split()[:3] == ["-m", "pip", "install"]


@pytest.mark.skipif(find_spec("pre_commit") is None, reason="pip install -e '.[test]'")
def test_the_hook_runs(
    project: Path, programs: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """From a repository beside it, by the lines of the page."""
    (project / "pyproject.toml").write_text(
        '[[tool.costlab.check]]\nmodel = "naive"\nlimits = ["macs <= 304 M"]\n', encoding="utf-8"
    )
    hooks, home = (tmp_path_factory.mktemp(name) for name in ("hooks", "home"))
    git = ("git", "-c", "user.name=x", "-c", "user.email=x@x")
    hook = ROOT / ".pre-commit-hooks.yaml"
    (hooks / hook.name).write_text(hook.read_text(encoding="utf-8"), encoding="utf-8")
    for folder in (hooks, project):
        run(*git, "init", "--quiet", "--initial-branch=main", cwd=folder)
    run(*git, "add", ".", cwd=hooks)
    run(*git, "commit", "--quiet", "-m", "hooks", cwd=hooks)
    head = run(*git, "rev-parse", "HEAD", cwd=hooks).stdout.strip()
    settings = PRE_COMMIT.replace("https://github.com/OWNER/costlab", str(hooks))
    settings = settings.replace("rev: main", f"rev: {head}")
    (project / ".pre-commit-config.yaml").write_text(settings, encoding="utf-8")
    run(*git, "add", ".", cwd=project)

    def hooked() -> CompletedProcess[str]:
        env = {"PRE_COMMIT_HOME": str(home), "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
        command = (sys.executable, "-m", "pre_commit", "run", "--all-files")
        return run(*command, cwd=project, path=programs, **env)

    done = hooked()
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"costlab check\.+Passed", done.stdout)
    (project / "pyproject.toml").write_text(
        '[[tool.costlab.check]]\nmodel = "naive"\nlimits = ["macs <= 303 M"]\n', encoding="utf-8"
    )
    done = hooked()
    assert done.returncode == 1
    assert re.search(r"costlab check\.+Failed", done.stdout)
    assert "branch3x3.conv" in done.stdout


def installed(folder: Path) -> str:
    """A folder for PYTHONPATH in which costlab's entry points are, as pyproject.toml has them."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (points,) = re.findall(r"\[project.entry-points.pytest11\]\n((?:.+\n)+)", text)
    about = folder / "costlab_points-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: costlab-points\nVersion: 1\n")
    (about / "entry_points.txt").write_text(f"[pytest11]\n{points.replace(chr(34), '')}")
    return os.pathsep.join([str(folder), str(ROOT)])


def test_pytest_finds_the_fixture(
    costlab: Run,
    project: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With what the page shows; a limit that fails says what ``costlab check`` says."""
    costlab("check", "--update", cwd=project)
    (project / "test_costs.py").write_text(TESTS, encoding="utf-8")
    found = installed(tmp_path_factory.mktemp("site"))
    command = (sys.executable, "-m", "pytest", "-p", "no:xdist", "-q")
    wrong = TESTS.replace("100 K", "10 K").replace("width=4", "width=16")
    (project / "test_wrong.py").write_text(wrong, encoding="utf-8")
    done = run(*command, cwd=project, PYTHONPATH=found)
    assert done.returncode == 1
    assert "1 failed, 3 passed" in done.stdout
    monkeypatch.syspath_prepend(project)
    net = import_module("mine").Net(width=16)
    del sys.modules["mine"]  # of which other tests have their own
    limits = ("macs <= 10 K", "params <= 200")
    text = library.check(net, *limits, input_size=(1, 3, 32, 32)).to_text()
    assert text in done.stdout
    summary = r"FAILED test_wrong.py::test_costs - Failed: costlab: Net: macs <= 10 K fails"
    assert re.search(summary, done.stdout)
    assert "def checked" not in done.stdout


def test_pytest_loads_nothing_for_who_does_not_use_it(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    test = "import sys\ndef test_it(): print(sorted(n for n in sys.modules if 'costlab' in n))\n"
    (tmp_path / "test_it.py").write_text(test, encoding="utf-8")
    found = installed(tmp_path_factory.mktemp("site"))
    command = (sys.executable, "-m", "pytest", "-p", "no:xdist", "-q", "-s")
    done = run(*command, cwd=tmp_path, PYTHONPATH=found)
    assert "['costlab', 'costlab.pytest_plugin', 'costlab.version']" in done.stdout
