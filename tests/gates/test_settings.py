"""[tool.costlab] of pyproject.toml, and costlab.toml: what it may say, and each mistake in it."""

from __future__ import annotations

import json
from operator import or_
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sampled import examples

from costlab.errors import CostlabError, GateError
from costlab.gates.gate import gate
from costlab.gates.settings import Place, checks_of, one_of
from costlab.models.arguments import parse_sizes

PYPROJECT = """\
[project]
name = "mine"

[[tool.costlab.check]]
model = "mine.py:Net"
input-size = "1,3,224,224"
baseline = "costs/net.json"
limits = [
    "macs <= 1.6 G",
    "macs <= 1.02 * base.macs",
]

[[tool.costlab.check]]
name = "tokens"
model = "mine.py:Text"
input-size = [1, 128]
input-type = "int64"
rules = "rules.py"
training = true
limits = "stem == \\"plain\\""
"""

CHECK = '[[tool.costlab.check]]\nmodel = "naive"\n'


def write(folder: Path, text: str, name: str = "pyproject.toml") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_what_it_may_say(tmp_path: Path) -> None:
    net, tokens = checks_of(write(tmp_path, PYPROJECT))
    file = str(tmp_path / "pyproject.toml")
    assert (net.model, net.called, net.baseline) == ("mine.py:Net", "mine.py:Net", "costs/net.json")
    assert net.input_size == (1, 3, 224, 224)
    assert net.place == Place(file, 4)
    assert net.placed_limits() == [
        (Place(file, 9), "macs <= 1.6 G"),
        (Place(file, 10), "macs <= 1.02 * base.macs"),
    ]
    assert (tokens.called, tokens.rules, tokens.baseline) == ("tokens", "rules.py", None)
    how = {
        "inputs": None,
        "input_type": "int64",
        "training": True,
        "real": False,
        "method": "forward",
    }
    assert tokens.run() == how
    assert tokens.input_size == (1, 128)
    assert tokens.placed_limits() == [(Place(file, 20), 'stem == "plain"')]
    assert one_of((net, tokens), "tokens") is tokens


def test_a_line_is_not_that_of_another_check(tmp_path: Path) -> None:
    first = CHECK + 'limits = ["macs\\u0020< 2"]\n'  # which the file does not spell as it is
    second = CHECK + 'name = "second"\nlimits = ["macs < 2"]\n'
    lines = [one.placed_limits()[0][0].line for one in checks_of(write(tmp_path, first + second))]
    assert lines == [1, 7]


def test_several_inputs_are_written_as_on_the_command_line(tmp_path: Path) -> None:
    sizes = (
        'input-size = ["1,8", "mask=1,8"]\ninput-type = ["int64", "bool"]\nlimits = "macs > 1"\n'
    )
    (one,) = checks_of(write(tmp_path, CHECK + sizes))
    assert one.input_size == parse_sizes(["1,8", "mask=1,8"])
    assert one.run()["input_type"] == ("int64", "bool")


@pytest.mark.parametrize(
    ("written", "options"),
    [("", []), ('input-size = "1,8"\n', ["1,8"]), ("input-size = [1, 8]\n", ["1,8"])],
)
def test_a_batch_goes_into_the_input_size(tmp_path: Path, written: str, options: list[str]) -> None:
    (one,) = checks_of(write(tmp_path, f'{CHECK}{written}batch = 4\nlimits = "macs > 1"\n'))
    assert one.input_size == parse_sizes(options, 4)


def test_a_file_of_its_own(tmp_path: Path) -> None:
    write(tmp_path, "[tool.other]\nx = 1\n")
    write(tmp_path, '[[check]]\nmodel = "naive"\nlimits = ["macs < 1"]\n', "costlab.toml")
    (one,) = checks_of(tmp_path)
    assert one.model == "naive"
    assert one.place == Place(str(tmp_path / "costlab.toml"), 1)


def test_both_files_are_too_many(tmp_path: Path) -> None:
    write(tmp_path, PYPROJECT)
    write(tmp_path, '[[check]]\nmodel = "naive"\nlimits = ["macs < 1"]\n', "costlab.toml")
    with pytest.raises(GateError, match="are both here: keep one"):
        checks_of(tmp_path)


@pytest.mark.parametrize("text", [None, "", "[tool.ruff]\n", "tool = 3\n"])
def test_without_checks_it_says_how_to_begin(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        write(tmp_path, text)
    with pytest.raises(GateError, match=r"no checks here: .*--require.*\[\[tool.costlab.check\]\]"):
        checks_of(tmp_path)


def test_a_table_inline_has_the_line_of_its_limits(tmp_path: Path) -> None:
    text = '[tool.costlab]\ncheck = [\n{model = "naive", limits = ["macs < 1"]},\n]\n'
    (one,) = checks_of(write(tmp_path, text))
    assert [place.line for place, _ in one.placed_limits()] == [3]


def test_a_limit_of_several_lines_begins_at_its_first(tmp_path: Path) -> None:
    text = f'{CHECK}limits = ["""\n  macs < 1 G\n  and macs > 1\n"""]\n'
    (one,) = checks_of(write(tmp_path, text))
    ((place, _),) = one.placed_limits()
    assert place.line == 4
    assert [limit.text for limit in gate([one]).limits] == ["macs < 1 G and macs > 1"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[tool.costlab.check]\n", "is not valid TOML"),
        ("a = " + "[" * 10_000, "is not valid TOML: it is nested too deep"),
        ("a = " + "9" * 5000, "is not valid TOML: a number in it has too many digits"),
        (
            "tool.costlab = 1\n",
            "write each check as a table that begins with [[tool.costlab.check]]",
        ),
        ("[tool.costlab]\n", "write each check as a table"),
        ("[tool.costlab.check]\nmodel = 'naive'\n", "write each check as a table"),
        ("[tool.costlab]\ncheck = [1]\n", "line 1: write the check as a table of keys"),
        ("[[tool.costlab.chek]]\n", "unknown key 'chek': did you mean 'check'?"),
        (CHECK + "limit = ['macs < 1']\n", "unknown key 'limit': did you mean 'limits'? (in "),
        (CHECK + "\nlimit = ['macs < 1']\n", ", line 4"),
        (CHECK + "input_size = '1,3'\n", "unknown key 'input_size': did you mean 'input-size'"),
        (CHECK + "place = '1,3'\n", "unknown key 'place'"),
        (CHECK + "places = '1,3'\n", "unknown key 'places'"),
        ("[[tool.costlab.check]]\nlimits = ['macs < 1']\n", "line 1: model is missing"),
        (CHECK, "line 1: limits are missing, such as"),
        (CHECK + "limits = []\n", "line 1: limits are missing"),
        (CHECK + "limits = [1]\n", "line 1: limits takes conditions in quotes"),
        (CHECK + "limits = 1\n", "line 1: limits takes conditions in quotes"),
        (CHECK + "limits = 'a'\ninput-size = '1,x'\n", "line 1: cannot read the input size '1,x'"),
        (CHECK + "input-size = 3\n", "line 1: input-size takes text in quotes"),
        (CHECK + "input-size = [1, true]\n", "line 1: input-size takes one text in quotes, or a"),
        (CHECK + "input-type = 3\n", "line 1: input-type takes one text in quotes, or a list"),
        (CHECK + "batch = 0\n", "line 1: batch takes a whole number from 1"),
        (CHECK + "real = 'yes'\n", "line 1: real takes true or false"),
        (CHECK + "baseline = 1\n", "line 1: baseline takes text in quotes"),
        (
            f"{CHECK}limits = 'macs < 1'\n" * 2,
            "line 4: the check in line 1 is of 'naive' too: put their limits together",
        ),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(CostlabError) as raised:
        checks_of(write(tmp_path, text))
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "costlab.toml").write_bytes(b'a = "\xff"')
    with pytest.raises(GateError, match="cannot read"):
        checks_of(tmp_path)


WORDS = st.sampled_from(
    [
        *("", "naive", "reduced/branch5x5", "googlent", "x.json", "no.py:Net", "1,192,28,28", "0"),
        *("int64", "macs < 1 G", "macs", "macs[x] < 1", "base.macs >= macs", "macs / 0 < 1"),
        *("\x1b[2J\n", "é" * 300),
    ]
)
VALUES = st.one_of(
    WORDS, st.lists(WORDS, max_size=3), st.booleans(), st.integers(), st.lists(st.integers(-1, 300))
)
KEYS = st.sampled_from(
    [
        *("model", "name", "limits", "baseline", "input-size", "input-type", "inputs", "rules"),
        *("real", "training", "training-cost", "place", "x", "batch", "method"),
    ]
)
ODD = st.dictionaries(KEYS, VALUES)
RIGHT = st.fixed_dictionaries({"model": WORDS, "limits": st.lists(WORDS, max_size=3)})


@given(st.lists(st.one_of(ODD, RIGHT, st.builds(or_, RIGHT, ODD)), max_size=3))
@settings(max_examples=examples(50), derandomize=True)
def test_whatever_it_says_is_judged_or_named(
    tmp_path_factory: pytest.TempPathFactory, entries: list[dict[str, object]]
) -> None:
    lines = []
    for entry in entries:
        lines.append("[[check]]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in entry.items()]
    folder = write(tmp_path_factory.mktemp("any"), "\n".join(lines), "costlab.toml")
    try:
        limits = gate(checks_of(folder)).limits
    except CostlabError:
        return
    assert len(limits) >= len(entries)


def test_a_check_is_named_by_its_name_or_by_its_model(tmp_path: Path) -> None:
    net, tokens = checks_of(write(tmp_path, PYPROJECT))
    assert one_of([net, tokens], "tokens") is tokens
    assert one_of([net, tokens], "mine.py:Text") is tokens
    assert one_of([net, tokens], "mine.py:Net") is net
