"""What GitHub shows of a check: annotations, the job's summary, and code scanning."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import Run, environment

from costlab.cli.github import annotation
from costlab.render.document import Finding

SETTINGS = """
[[check]]
model = "reduced(c5r=24)"
baseline = "reduced"
limits = [
    "params <= 1 M",
    "macs <= 1.02 * base.macs",
]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "costlab.toml").write_text(SETTINGS, encoding="utf-8")
    return tmp_path


def test_a_failed_limit_is_annotated_at_its_line(costlab: Run, folder: Path) -> None:
    done = costlab("check", cwd=folder, env=environment(GITHUB_ACTIONS="true"))
    assert done.returncode == 1
    assert done.stderr == (
        "::error file=costlab.toml,line=7,title=costlab%3A reduced(c5r=24)::"
        "macs <= 1.02 * base.macs fails: 134,270,976 is not at most 130,610,135, by 3,660,841"
        "%0Abranch5x5.conv +5,017,600: (28·28·32)·(5·5·24), was (28·28·32)·(5·5·16)"
        "%0Abranch5x5.reduce +1,204,224: (28·28·24)·(1·1·192), was (28·28·16)·(1·1·192)\n"
    )
    assert "::" not in done.stdout


def test_the_file_is_named_as_the_repository_has_it(costlab: Run, folder: Path) -> None:
    workspace = environment(GITHUB_ACTIONS="true", GITHUB_WORKSPACE=str(folder.parent))
    done = costlab("check", cwd=folder, env=workspace)
    assert f"::error file={folder.name}/costlab.toml,line=7," in done.stderr


def test_elsewhere_nothing_is_annotated(costlab: Run, folder: Path) -> None:
    assert costlab("check", cwd=folder).stderr == ""


def test_a_limit_of_the_command_line_has_no_file(costlab: Run) -> None:
    env = environment(GITHUB_ACTIONS="true")
    done = costlab("check", "naive", "--require", "macs < 1 or macs > 1 G", env=env)
    assert done.stderr.startswith(
        "::error title=costlab%3A naive::macs < 1 or macs > 1 G fails: 303,464,448 is not "
        "less than 1, by 303,464,447; 303,464,448 is not more than 1,000,000,000, by 696,535,552"
        "%0Abranch3x3.conv 173,408,256"
    )
    assert "file=" not in done.stderr


def test_the_summary_is_added_to_what_is_there(costlab: Run, folder: Path) -> None:
    summary = folder / "summary.md"
    summary.write_text("before\n", encoding="utf-8")
    env = environment(GITHUB_STEP_SUMMARY=str(summary))
    done = costlab("check", "--format", "comment", cwd=folder, env=env)
    assert summary.read_text(encoding="utf-8") == f"before\n{done.stdout}\n"


def test_a_summary_that_cannot_be_written_is_said(costlab: Run, folder: Path) -> None:
    done = costlab("check", cwd=folder, env=environment(GITHUB_STEP_SUMMARY=str(folder)))
    assert done.returncode == 2
    assert done.stderr.startswith(f"costlab: cannot write to {folder}: is a directory")


def test_names_cannot_end_a_command_or_begin_one() -> None:
    finding = Finding("a,b:c%.toml", 3, "x\n::warning::y, z", "100 %\n::error::\r\x1b[31m")
    assert annotation(finding) == (
        "::error file=a%2Cb%3Ac%25.toml,line=3,title=x%0A%3A%3Awarning%3A%3Ay%2C z::"
        "100 %25%0A::error::\\r\\x1b[31m"
    )
    assert "\n" not in annotation(finding)


def test_code_scanning_gets_a_finding_for_each_limit_that_fails(costlab: Run, folder: Path) -> None:
    done = costlab("check", "-o", "costs.sarif", cwd=folder)
    assert (done.returncode, done.stdout) == (1, "")
    sarif = json.loads((folder / "costs.sarif").read_text(encoding="utf-8"))
    (run,) = sarif["runs"]
    (found,) = run["results"]
    assert sarif["version"] == "2.1.0"
    assert run["tool"]["driver"]["name"] == "costlab"
    assert found["ruleId"] in [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert found["message"]["text"].startswith("costlab: reduced(c5r=24): macs <= 1.02 * base.macs")
    (location,) = found["locations"]
    assert location["physicalLocation"] == {
        "artifactLocation": {"uri": "costlab.toml"},
        "region": {"startLine": 7},
    }


def test_sarif_is_for_checks_alone(costlab: Run, folder: Path) -> None:
    done = costlab("show", "naive", "-o", "x.sarif", cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert "this command has no format sarif" in done.stderr
