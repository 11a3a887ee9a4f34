"""Formulas of modules: at every size what a run at that size counts, or a refusal."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from time import sleep
from typing import Any

import pytest
import torch
from command_line import Run
from drawn_modules import POINTS, PROGRAMS, Drawn
from hypothesis import given, settings
from hypothesis import strategies as st
from sampled import LARGE, examples, without
from torch import Tensor, nn
from torch.nn import functional as F

import costlab as library
from costlab.costs.quantities import QUANTITIES
from costlab.errors import CostlabError
from costlab.formulas.of_modules import needed, of_sizes
from costlab.symbols.assumptions import Assumptions, Guard
from costlab.trace import refusals

OF_SIZES = of_sizes(False)


def counted(module: nn.Module, point: dict[str, int]) -> dict[str, int]:
    total = library.analyze(module, (point["N"], 4, point["H"], point["W"])).total
    return {name: QUANTITIES[name].of(total) for name in OF_SIZES}


@settings(max_examples=examples(100))
@given(PROGRAMS, POINTS, st.lists(POINTS, min_size=1, max_size=3))
def test_a_formula_is_what_a_run_counts_wherever_it_is_given(
    program: list[tuple[str, int]], near: dict[str, int], points: list[dict[str, int]]
) -> None:
    module = Drawn(program)
    try:
        there = counted(module, near)
    except CostlabError:
        with pytest.raises(CostlabError):
            library.formula(module, input_size="N,4,H,W", near=near)
        return
    formula = library.formula(module, input_size="N,4,H,W", near=near)
    assert values(formula.at(**near)) == there
    for point in points:
        try:
            given_there = values(formula.at(**point))
        except library.ShapeError:
            continue
        assert given_there == counted(module, point)


def test_a_size_at_which_a_window_is_empty_is_outside_of_a_formula() -> None:
    module = Drawn([("twice", 1), ("max_pool", 3), ("stack", 1)])
    formula = library.formula(module, input_size="N,4,H,W", near={"N": 1, "H": 2, "W": 3})
    with pytest.raises(library.ShapeError, match="was followed where"):
        formula.at(N=1, H=1, W=1)


def values(formula: library.Formula) -> dict[str, int]:
    return {name: int(formula[name]) for name in OF_SIZES}


FIXED = ("alexnet", "lenet5", "vgg")
"""Networks whose built weights are for one size of their input, which the catalog leaves open."""

CATALOG = [name for name in library.architectures() if not name.startswith(FIXED)]
OF_ONE_SIZE = [name for name in library.architectures() if name.startswith(FIXED)]


@pytest.mark.parametrize("name", without(LARGE[1:], OF_ONE_SIZE))
def test_networks_of_one_size_have_the_catalogs_formulas_of_the_batch(name: str) -> None:
    graph = library.analyze(name).graph
    ((_, channels, height, width),) = graph.inputs
    with torch.device("meta"):
        module = library.build(graph)
    ours = library.formula(name, "N").at(C=channels, H=height, W=width)
    formula = library.formula(module, input_size=("N", channels, height, width))
    assert equations(formula) == equations(ours)


@pytest.mark.parametrize("name", without(LARGE[1:], CATALOG))
def test_built_modules_have_the_catalogs_formulas(name: str) -> None:
    """The circle of the two frontends, on symbols: every quantity, wherever both are defined."""
    graph = library.analyze(name).graph
    (size,) = graph.inputs
    with torch.device("meta"):
        module = library.build(graph)
    near = {"N": size[0], "H": size[2], "W": size[3]}
    ours = library.formula(name, "N", {"C": size[1]})
    formula = library.formula(module, input_size=("N", size[1], "H", "W"), near=near)
    assert equations(formula) == equations(ours)
    for point in ({"H": 299, "W": 331}, {"H": 31, "W": 30}, near):
        if is_defined(ours, point):
            assert is_defined(formula, point)


def is_defined(formula: library.Formula, point: dict[str, int]) -> bool:
    try:
        formula.at(H=point["H"], W=point["W"])
    except library.ShapeError:
        return False
    return True


def equations(formula: library.Formula) -> dict[str, set[str]]:
    """The terms of each quantity, their factors in order."""
    texts = {q: formula.equation(q).text.replace(" - ", " + -").split(" + ") for q in OF_SIZES}
    return {q: {"·".join(sorted(term.split("·"))) for term in texts[q]} for q in OF_SIZES}


class Branches(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.shape[2] > 32:
            x = F.max_pool2d(x, 2)
        assert x.shape[3] % 4 == 0
        return F.conv2d(x, torch.empty(8, 3, 3, 3), padding=1)


def test_conditions_have_their_places() -> None:
    formula = library.formula(Branches(), input_size="N,3,H,W")
    lines = {said: place.rpartition(":")[2].rstrip(")") for said, place in formula.conditions}
    first = Branches.forward.__code__.co_firstlineno
    assert formula.conditions[0][0] == "H ≥ 33"
    assert lines["⌊W/2⌋ mod 4 = 0"] == str(first + 3)
    smaller = library.formula(Branches(), input_size="N,3,H,W", near={"H": 32})
    assert smaller.requires == ("H ≤ 32", "W mod 4 = 0")
    assert formula.at(N=1, H=64, W=64).macs == 8 * 27 * 32 * 32
    assert smaller.at(N=1, H=8, W=64).macs == 8 * 27 * 8 * 64
    with pytest.raises(library.ShapeError, match=r"followed where H ≥ 33.*near \(--near H=8\)"):
        formula.at(H=8)


def test_several_inputs_and_those_by_name_have_symbols() -> None:
    class Two(nn.Module):
        def forward(self, x: Tensor, mask: Tensor) -> Tensor:
            return x @ mask

    formula = library.formula(Two(), input_size=[("N", "T", 8), (8, "K")])
    assert str(formula.macs) == "8*K*N*T"
    named = library.formula(Two(), input_size={"x": "N,T,8", "mask": "8,K"})
    assert named.macs == formula.macs
    assert formula.symbols == ("N", "T", "K")


@pytest.mark.parametrize("size", ["N,3,S,S", "N,3,H=W=S", ("N", 3, "H=W=S")])
def test_sizes_may_be_equal(size: Any) -> None:
    assert str(library.formula(nn.Conv2d(3, 8, 1), input_size=size).macs) == "24*N*S**2"


def test_sizes_are_whole_numbers_on_the_command_line_too(costlab: Run) -> None:
    asked = ["formula", "torch.nn:Conv2d(in_channels=3,out_channels=8,kernel_size=1)"]
    equal = costlab(*asked, "--input-size", "x=N,3,H=W=S").stderr
    assert "takes no 'x'" in equal
    assert "24·N·S²" in costlab(*asked, "--input-size", "input=N,3,H=W=S").stdout
    wrong = costlab(*asked, "--input-size", "N,3,H,W", "--near", "H=2.5")
    assert "H=2.5: a size is a whole number from 1" in wrong.stderr
    assert wrong.returncode == 2


def test_numbers_that_code_takes_are_fixed() -> None:
    class Positions(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Parameter(torch.zeros(1, 49, 4))

        def forward(self, x: Tensor) -> Tensor:
            x = F.conv2d(x, torch.empty(4, 3, 16, 16), stride=16).flatten(2).transpose(1, 2)
            return x + self.table

    formula = library.formula(Positions(), input_size="N,3,S,S", near={"S": 112})
    assert formula.requires == ("112 ≤ S ≤ 127",)
    with pytest.raises(library.ShapeError, match="112 ≤ S ≤ 127"):
        formula.at(S=224)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ({"input_size": "N,3,H,W", "near": {"Q": 3}}, "unknown symbol 'Q'"),
        ({"input_size": "N,3,H,W", "at": {"Q": 3}}, "unknown symbol 'Q'"),
        ({"input_size": "N,3,H,W", "at": {"H": 0}}, "whole number from 1"),
        ({"input_size": "N,3,H,2*W"}, "cannot read the dimension '2\\*W'"),
        ({"input_size": "N,4,H,W"}, "4 channels, its weight is for 3.*followed at N=2, H=224"),
        ({"input_size": "N,3,H,W", "width": 3}, "no choices here"),
        ({}, "input size"),
    ],
)
def test_a_wrong_call_is_said_to_be(call: dict[str, Any], said: str) -> None:
    with pytest.raises(CostlabError, match=said):
        library.formula(nn.Conv2d(3, 8, 3), **call)
    with pytest.raises(library.ShapeError, match="C=0: a size is a whole number from 1"):
        library.formula("googlenet", at={"C": 0})
    with pytest.raises(library.ChoiceError, match="has C, H and W already"):
        library.formula("googlenet", input_size="N,3,H,W")


def test_code_that_asks_for_the_type_of_a_size_gets_that_of_a_number() -> None:
    class Asks(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            size = x.shape[2]
            assert isinstance(size, int)
            seen = {size: 3}
            return x[:, : seen[size]] if f"{size:4d}" else x

    formula = library.formula(Asks(), input_size="N,4,H,W", near={"H": 12})
    assert formula.requires == ("H = 12",)
    assert torch.SymInt.__getattribute__ is object.__getattribute__


def test_other_behaviour_with_symbols_is_noticed() -> None:
    class Strict(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if type(x.shape[2]) is int else x + 1

    with pytest.raises(library.TraceError, match="something else with a size that is a symbol"):
        library.formula(Strict(), input_size="N,4,H,W")


def test_what_depends_on_how_elements_lie_is_asked_for() -> None:
    module = nn.Conv2d(3, 8, 3)
    formula = library.formula(module, input_size="N,3,H,W")
    with pytest.raises(library.UnknownNameError, match="quantities='read_bytes'"):
        formula["read_bytes"]
    assert "read_bytes" not in formula.to_json()
    formula = library.formula(module, input_size="N,3,H,W", quantities="read_bytes")
    there = library.analyze(module, (2, 3, 9, 7)).total.read_bytes
    assert formula.at(N=2, H=9, W=7)["read_bytes"] == there


@pytest.mark.parametrize("model", ["naive/branch5x5", nn.Conv2d(3, 8, 3)])
def test_what_a_training_step_costs_is_counted_where_it_is_named(model: Any) -> None:
    given: dict[str, Any] = {} if isinstance(model, str) else {"input_size": "N,3,H,W"}
    named = library.formula(model, quantities="training_macs", **given)
    asked = library.formula(model, training_cost=True, **given)
    assert named["training_macs"] == asked["training_macs"]


def test_sizes_that_halve_twice_and_come_back_are_multiples_of_4() -> None:
    class UNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up = nn.ConvTranspose2d(3, 3, 2, stride=2)

        def forward(self, x: Tensor) -> Tensor:
            half = F.max_pool2d(x, 2)
            back = torch.cat([self.up(F.max_pool2d(half, 2)), half], 1)[:, :3]
            return torch.cat([self.up(back), x], 1)

    formula = library.formula(UNet(), input_size="N,3,H,W")
    assert formula.requires == ("H mod 4 = 0", "W mod 4 = 0")
    assert "⌊" not in formula.equation("macs").text
    with pytest.raises(library.ShapeError, match="was followed where H mod 4 = 0, as"):
        formula.at(N=1, H=66, W=64)
    counted = library.analyze(UNet(), (1, 3, 12, 8)).total.macs
    assert formula.at(N=1, H=12, W=8)["macs"] == counted


def test_other_sizes_are_advised_where_they_help() -> None:
    def said(module: Any, size: str, **given: Any) -> str:
        with pytest.raises(CostlabError) as error:
            library.formula(module, input_size=size, **given)
        return str(error.value)

    wrong = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(5, 4, 3))
    assert said(wrong, "N,3,H,W").endswith("it was followed at N=2, H=224, W=224")
    assert "near, such as C=3 (" in said(nn.Conv2d(3, 4, 3), "N,C,H,W")

    class Positions(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + x.new_zeros(1, 100, 8)[:, : x.shape[1]]

    told = said(Positions(), "N,T,8", at={"T": 600})
    assert "at T=600 " in told
    assert "near" not in told


def test_numbers_for_symbols_are_checked_before_code_runs() -> None:
    class Never(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise AssertionError("it ran")

    for at, words in (({"Q": 3}, "unknown symbol 'Q'"), ({"N": 0}, "N=0: a size is a whole")):
        with pytest.raises(CostlabError, match=words):
            library.formula(Never(), at=at, input_size="N,3,H,W")


def test_values_that_are_asked_for_need_sizes_that_are_numbers() -> None:
    class Counts(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[:, : int((torch.arange(x.shape[1]) // 2).max())]

    with pytest.raises(library.TraceError, match="numbers for the sizes") as raised:
        library.formula(Counts(), input_size="N,T")
    assert "--real" not in str(raised.value)


@pytest.mark.parametrize(
    ("step", "requires"),
    [
        (lambda x: x[:, x.shape[1] - 1], ()),
        (lambda x: x[..., x.shape[1] // 2, None, :4], ()),
        (lambda x: x[0, :, x.shape[2] - 1][x.shape[1] // 3], ()),
        (lambda x: x.sort(1)[0], ("T ≥ 33", "T ≤ 64")),
        (lambda x: x.topk(3, 1)[0], ("T ≥ 3",)),
    ],
)
def test_one_place_is_a_symbol_and_comparisons_of_a_sort_are_asked(
    step: Any, requires: tuple[str, ...]
) -> None:
    class Step(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            chosen: Tensor = step(x) * 2
            return chosen

    formula = library.formula(Step(), input_size="N,T,8")
    assert formula.requires == requires
    for batch, length in (2, 64), (1, 40):
        there = library.analyze(Step(), (batch, length, 8)).total.flops
        assert formula.at(N=batch, T=length).flops == there


def test_what_takes_no_symbol_has_another_way_and_no_path_of_torchs_own() -> None:
    class Old(nn.Module):
        def __init__(self, width: int = 16) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.Tensor(width, 3))

    with pytest.raises(CostlabError, match=r"RuntimeError: SymIntArrayRef .*write torch\.empty"):
        library.formula(Old, "width", input_size="N,3")


def test_a_check_of_torch_that_contradicts_itself_on_symbols_ends() -> None:
    """In general torch takes a size to be 1, and then waits for ever until it is taken away."""
    steps = [("mean", 3), ("stack", 1), ("stack", 2), ("tokens", 1), ("shorter", 2)]
    module, near = Drawn([("shorter", 1), *steps]), {"N": 3, "H": 18, "W": 2}
    formula = library.formula(module, input_size="N,4,H,W", near=near)
    assert values(formula.at(**near)) == counted(module, near)


def test_its_python_code_says_where_it_holds() -> None:
    class Branching(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * 2 if x.shape[1] > 9 else x

    code = library.formula(Branching(), input_size="2,T", near={"T": 20}).to_sympy()
    comments = [line for line in code.splitlines() if line.startswith("# ")]
    assert any(line.startswith("# As followed where T ≥ 10 (") for line in comments)
    exec(code, {})


def test_threads_may_follow_with_symbols() -> None:
    class Rests(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            sleep(0.01)  # in which another thread goes on
            assert isinstance(x.shape[2], int)
            return F.conv2d(x, torch.empty(8, 3, 3, 3))

    def macs(module: nn.Module) -> str:
        return str(library.formula(module, input_size="1,3,H,W").at(H=9).macs)

    before = {name: vars(torch.SymInt).get(name) for name in ("__hash__", "__format__")}
    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(macs, [Rests(), Rests()])) == ["1512*W - 3024"] * 2
    assert {name: vars(torch.SymInt).get(name) for name in before} == before
    assert math.sqrt(4) == 2
    assert math.sqrt.__module__ == "math"


def test_where_elements_lie_in_memory_decides_nothing() -> None:
    class Shuffles(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            n, c, h, w = x.shape
            return x.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, c, h, w) + x

    assert library.formula(Shuffles(), input_size="N,4,H,W").requires == ()


def test_what_a_step_costs_is_there_where_it_is_named() -> None:
    conv = nn.Conv2d(3, 8, 3)
    named = library.formula(conv, input_size="N,3,H,9", quantities="training_macs")
    total = library.analyze(conv, (2, 3, 9, 9), training_cost=True).total
    assert named.at(N=2, H=9)["training_macs"] == total.training_macs
    reduced = library.sweep("reduced", {"c5r": [8, 16]}, minimize="training_macs", top=1)
    assert "training_macs" in reduced.columns


def test_parts_that_are_written_to_need_no_other_conditions() -> None:
    class Rotated(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            rows = x.shape[2] // 2
            turned = torch.zeros_like(x)
            turned[:, :, :rows] = x[:, :, rows : 2 * rows]
            turned[:, 1] = 0.0
            first, rest = turned[:, :1], turned[:, 1:]
            first.mul_(2)
            return rest + x[:, 1:]

    formula = library.formula(Rotated(), input_size="N,4,H,W")
    assert formula.requires == ("H ≥ 2",)
    for size in (1, 4, 2, 1), (3, 4, 9, 5):
        at = formula.at(**dict(zip("NHW", (size[0], *size[2:]), strict=True)))
        assert at.flops == library.analyze(Rotated(), size).total.flops


def test_which_types_torch_takes_is_tried_with_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    class LastTwo(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * (torch.arange(x.shape[1]) >= x.shape[1] - 2).float()

    monkeypatch.setattr(refusals, "_taken", {})  # as in a process that has tried nothing yet
    assert library.formula(LastTwo(), input_size="N,T").requires == ()


class Windowed(nn.Module):
    """A table of four places, of images that are large enough."""

    def __init__(self) -> None:
        super().__init__()
        self.places = nn.Parameter(torch.empty(1, 4, 3))

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[2] < 32:
            return x
        return F.avg_pool2d(x, 16).flatten(2).transpose(1, 2) + self.places


def test_no_condition_is_left_out_because_it_helps_to_say_another() -> None:
    formula = library.formula(Windowed(), input_size="1,3,S,S", near={"S": 32})
    assert formula.requires == ("32 ≤ S ≤ 47",)


def test_conditions_on_two_sizes_are_both_said() -> None:
    formula = library.formula(nn.AvgPool2d(2), input_size="1,3,H,W")
    assert formula.requires == ("H ≥ 2", "W ≥ 2")
    assert formula.at(H=49, W=20).requires == ()


def test_telling_conditions_asks_nothing() -> None:
    of = Assumptions({"N": 2, "H": 8, "W": 8})
    n, h, w = of.symbols.values()
    guards = [Guard(size, "≥ 0", "") for size in (n * w - 3, n * h - 12, n * h - 10)]
    assert needed(of, guards)[-1] is guards[1]
    assert not of.guards
