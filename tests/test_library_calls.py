"""Calls of the library that cannot be meant: one line each, which says how they are meant."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from torch import nn
from wrong_library_calls import raw_errors

import costlab

TABLE = costlab.analyze("naive/branch5x5")
CALLS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "pandas' to_csv": (
        lambda lab: TABLE.to_csv("f.csv"),  # type: ignore[call-arg]
        "to_csv takes no arguments and gives a text: "
        "pathlib.Path('f.csv').write_text(....to_csv())",
    ),
    "another kind": (
        lambda lab: TABLE.to_text(width="80"),  # type: ignore[arg-type]
        "to_text takes width as a whole number (such as 80), not '80'",
    ),
    "a truth is no number": (
        lambda lab: lab.compare("naive", "reduced", depth=True),
        "compare takes depth as a whole number (such as 1), not True",
    ),
    "a text is no list of texts": (
        lambda lab: lab.compare("naive", "reduced", names="ab"),
        "compare takes names as a list of texts, not 'ab'",
    ),
    "what a list holds": (
        lambda lab: lab.crosscheck("naive", counters=[1]),
        "crosscheck takes counters as a text or a list of texts or None, not [1]",
    ),
    "what a dict holds": (
        lambda lab: lab.formula("naive", at={"C": "28"}),
        "formula takes at as a dict {NAME: a number} or None, not {'C': '28'}",
    ),
    "one of any names": (
        lambda lab: lab.formula("naive/branch5x5").at(H="28"),
        "at takes H as a number, not '28'",
    ),
    "one of any number": (
        lambda lab: lab.check("naive", 3),
        "check takes limits as a text, not 3",
    ),
    "a keyword that is misspelt": (
        lambda lab: TABLE.to_text(widht=80),  # type: ignore[call-arg]
        "to_text takes no widht=: did you mean 'width'?",
    ),
    "a keyword of the result": (
        lambda lab: lab.analyze("naive", depth=2),
        "unknown choice of naive 'depth': known are c1, c3, c5; depth is of its result: "
        "analyze(...).to_depth(depth=...)",
    ),
    "too many": (
        lambda lab: TABLE.to_text(80, True, 3),  # type: ignore[call-arg]
        "to_text takes width, color by place: 3 are given by place",
    ),
    "too few": (
        lambda lab: lab.bounds("naive"),
        "bounds needs device: bounds(model, device=...)",
    ),
    "one that is given twice": (
        lambda lab: lab.analyze("naive", model="naive"),
        "analyze is given model twice: by its place and by its name",
    ),
    "something of our own": (
        lambda lab: lab.formula("naive/branch5x5").compared("x"),
        "compared takes other as a costlab.formula(...), not 'x'",
    ),
    "the object that is made": (
        lambda lab: lab.Net("mine", "1,3,32,32"),
        "Net takes inputs as a shape such as (1, 3, 224, 224), not '1,3,32,32'",
    ),
    "a number of an operation that there is none of": (
        lambda lab: lab.OpCount(mac=3),
        "OpCount takes no mac=: did you mean 'macs'?",
    ),
    "more numbers of operations": (
        lambda lab: lab.OpCount(1, 2, 3, 4, 5, 6, 7),
        "OpCount takes macs, mul, add, cmp, div, special by place: 7 are given by place",
    ),
    "a method of the class": (
        lambda lab: lab.Net.graph(3),
        "graph is called on what Net(...) gives, not on Net",
    ),
    "a value that is misspelt": (
        lambda lab: TABLE.value("mcas", TABLE.total),
        "unknown quantity 'mcas': did you mean 'macs'?",
    ),
    "a way to lay out": (
        lambda lab: TABLE.laid_out(srot="macs"),
        "unknown way to lay out a table 'srot': did you mean 'sort'?",
    ),
    "a quantity of a formula": (
        lambda lab: lab.formula("naive/branch5x5").equation("mcas"),
        "unknown quantity 'mcas': did you mean 'macs'?",
    ),
}


@pytest.mark.parametrize("what", CALLS)
def test_a_call_that_cannot_be_meant_says_how_it_is_meant(what: str) -> None:
    call, words = CALLS[what]
    with pytest.raises(costlab.CostlabError) as error:
        call(costlab)
    assert str(error.value) == words


LET_BE = {
    *("model", "models", "inputs", "input_size", "input_type", "choices", "how", "target"),
    *("dtype", "baseline", "verdict", "outputs", "op", "operands", "heading"),
}
"""What may be of many kinds: the functions say themselves what they do not take."""


def public() -> Iterator[tuple[str, Callable[..., Any]]]:
    """The functions of costlab, and the methods of what they give."""
    for name in costlab.__all__:
        value = getattr(costlab, name)
        if inspect.isfunction(value):
            yield name, value
        elif inspect.isclass(value) and not issubclass(value, (Exception, tuple)):
            for of, method in inspect.getmembers(value, inspect.isfunction):
                if of[0] != "_":
                    yield f"{name}.{of}", method


def test_every_parameter_is_looked_at() -> None:
    """Before anything is run, and nothing is let be that is not listed here."""
    for name, function in public():
        for at, parameter in enumerate(inspect.signature(function).parameters.values()):
            if parameter.name == "self" or parameter.name in LET_BE:
                continue
            given: list[Any] = [None] if "." in name else []
            keywords = {}
            if parameter.kind is parameter.VAR_POSITIONAL:
                given = [*[None] * at, object()]
            else:
                keywords[parameter.name] = object()
            with pytest.raises(costlab.CallError, match=f"takes {parameter.name} as"):
                function(*given, **keywords)


def test_an_error_of_ones_own_code_is_left_as_it_is() -> None:
    def progress(step: str) -> None:
        len(3)  # type: ignore[arg-type]

    with pytest.raises(TypeError, match="object of type 'int' has no len") as error:
        costlab.ledger(["introduction"], progress=progress)
    assert not isinstance(error.value, costlab.CostlabError)


def test_numbers_of_other_libraries_are_numbers() -> None:
    numpy = pytest.importorskip("numpy")
    assert len(TABLE.to_depth(numpy.int64(0)).to_text(width=numpy.int64(80))) > 0


def test_functions_are_found_by_their_names() -> None:
    """As workers of other processes look for them."""
    assert pickle.loads(pickle.dumps(costlab.analyze)) is costlab.analyze


def test_a_size_is_from_1() -> None:
    with pytest.raises(costlab.ShapeError, match="near N=0: a size is a whole number from 1"):
        costlab.formula(nn.Conv2d(3, 4, 1), input_size=("N", 3, 8, 8), near={"N": 0})


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: costlab.reconcile("naive", counters="foo"), "known are calflops, .*thop"),
        (lambda: costlab.bounds("naive", device="h100"), "did you mean 'h100-pcie' or 'h100-sxm'"),
    ],
)
def test_an_unknown_name_is_told_what_there_is(call: Callable[[], Any], words: str) -> None:
    """All counters, however many; and what begins with it before what only looks like it."""
    with pytest.raises(costlab.UnknownNameError, match=words):
        call()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.more) for seed in range(1, 26))]
)
def test_a_call_that_is_drawn_raises_nothing_but_our_errors(seed: int) -> None:
    assert raw_errors(40, seed) == []


def test_what_is_read_only_once_is_looked_at_too() -> None:
    with pytest.raises(costlab.CallError, match=r"takes counters as .*, not \[1\]"):
        costlab.crosscheck("naive", counters=iter([1]))  # type: ignore[arg-type]
    with pytest.raises(costlab.CallError, match="takes counters as"):
        costlab.crosscheck("naive", counters=range(10**9))  # type: ignore[arg-type]
    assert costlab.ledger(name for name in ["introduction"]).rows


def test_a_shape_has_no_more_axes_than_tensors_have() -> None:
    for call in (costlab.analyze, costlab.memory, costlab.formula):
        with pytest.raises(costlab.ShapeError, match="more axes than the 64"):
            call(nn.ReLU(), input_size=range(1, 10**9))


def test_no_counter_is_no_check() -> None:
    for call in (costlab.crosscheck, costlab.reconcile):
        with pytest.raises(costlab.ChoiceError, match="no counter is named"):
            call("naive", counters=[])


def test_what_results_hold_is_looked_at_too() -> None:
    with pytest.raises(costlab.CallError, match="part takes path as a text, not 3"):
        costlab.analyze("naive").graph.part(3)  # type: ignore[arg-type]
