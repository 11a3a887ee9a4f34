"""docs/coming-from.md: what other counters print is what they print, where they are installed."""

from __future__ import annotations

import doctest
import re
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from math import prod
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from sampled import sampled

import costlab
from costlab.counters import reconcilable

PAGE = Path(__file__).parent.parent.parent / "docs" / "coming-from.md"
FIRST, *SECTIONS = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
TOOLS = [section for section in SECTIONS if ">>>" in section]
PACKAGES = {"DeepSpeed": "deepspeed", "ONNX tools": "onnx_tool"}


def name_of(section: str) -> str:
    return section.partition("\n")[0]


@pytest.mark.filterwarnings("ignore")  # the counters' own
@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("section", TOOLS, ids=map(name_of, TOOLS))
def test_what_is_pasted_of_another_counter_is_what_it_prints(section: str) -> None:
    package = PACKAGES.get(name_of(section), name_of(section))
    pytest.importorskip(package, reason="pip install -e '.[counters]'", exc_type=ImportError)
    if package == "thop" and not import_module("thop").__version__.startswith("0.1"):
        pytest.skip("what is imported as thop is ultralytics-thop")
    text = re.sub(r"^```.*", "", FIRST + section, flags=re.MULTILINE)
    test = doctest.DocTestParser().get_doctest(text, {}, name_of(section), None, 0)
    runner = doctest.DocTestRunner(verbose=False)
    try:
        runner.run(test)
    finally:  # torchlens leaves its wrappers in torch, where other tests would find them
        if wrappers := sys.modules.get("torchlens.backends.torch.wrappers"):
            wrappers.unwrap_torch()
    assert (runner.failures, runner.tries > 8) == (0, True)


def test_the_counts_are_those_that_reconcile_knows() -> None:
    said = FIRST.partition("It knows fourteen counts")[2].partition("\n\n")[0]
    assert set(re.findall(r"`([a-z_]+)`", said)) == set(reconcilable())
    assert len(reconcilable()) == 14


ROWS = re.findall(
    r"^\| ([\w-]+) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|$", SECTIONS[-1], re.MULTILINE
)


def onnx_tool(program: Any) -> int:
    tool = import_module("onnx_tool").loadmodel(program)
    tool.graph.shape_infer()
    tool.graph.profile()
    return int(tool.graph.macs[0])


def onnx_opcounter(program: Any) -> int:
    return int(import_module("onnx_opcounter").calculate_macs(program))


@pytest.mark.filterwarnings("ignore")  # the exporter's and the tools' own
@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("row", sampled(ROWS, ROWS[-1]), ids=lambda row: row[0])
@pytest.mark.parametrize(("count", "column"), [(onnx_tool, 2), (onnx_opcounter, 3)])
def test_what_onnx_tools_say_of_the_catalog(
    row: tuple[str, ...],
    count: Callable[[Any], int],
    column: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as imports:
        if find_spec("onnxruntime") is None:  # onnx_opcounter imports it, and counts without it
            imports.setitem(sys.modules, "onnxruntime", ModuleType("onnxruntime"))
        pytest.importorskip(count.__name__, reason=f"{count.__name__} is not installed")
    table = costlab.analyze(row[0])
    x = torch.zeros(table.graph.inputs[0])
    program = torch.onnx.export(costlab.build(row[0]).eval(), (x,), dynamo=True, verbose=False)
    assert program is not None
    assert f"{table.total.macs:,}" == row[1]
    assert f"{count(program.model_proto):,}" == row[column]


def test_how_the_onnx_tools_differ() -> None:
    name, *numbers = ROWS[-1]
    ours, tool, opcounter = (int(number.replace(",", "")) for number in numbers)
    elements = {row.path: prod(row.output) for row in costlab.analyze(name).rows}
    biases = sum(elements[path] for path in elements if path.endswith(".conv"))
    pool, concat = elements["branchpool.pool"], elements["concat"]
    assert tool - ours == biases + 9 * pool
    assert opcounter - ours == pool + concat
    assert all(f"{number:,}" in SECTIONS[-1] for number in (biases, 9 * pool, pool, concat))
