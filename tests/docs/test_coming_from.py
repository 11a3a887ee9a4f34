"""docs/coming-from.md: what other counters print is what they print, where they are installed."""

from __future__ import annotations

import doctest
import re
from importlib import import_module
from pathlib import Path

import pytest

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
    runner.run(test)
    assert (runner.failures, runner.tries > 8) == (0, True)
