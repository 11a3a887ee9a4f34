"""Rules that say what a call gives, so that nothing is run; and what each rule is met by."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from math import sqrt
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import Run
from torch import Tensor, library, nn
from torch.nn import functional
from torch.nn.utils import parametrizations
from wrapped import Applied, own_rules

import costlab
from costlab.costs.table import CostTable
from costlab.isolation.autograd_functions import APPLY

X = torch.rand(3, 4)


@pytest.fixture(autouse=True)
def _no_rules_are_left() -> Iterator[None]:
    with own_rules():
        yield


def kernel(u: Tensor, width: int = 5, *, scale: float = 1.0) -> Tensor:
    """In the place of a package's compiled code, which takes other tensors than are here."""
    raise RuntimeError("u must be a CUDA tensor")


HELD = [kernel]  # some other name of it


class Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, u: Tensor, width: int = 5) -> Tensor:
        return kernel(u, width)


SCAN: Any = Scan.apply  # as packages have it, before any rule is given


class Mixer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4, 4))
        self.inner = nn.Linear(4, 4)

    def forward(self, u: Tensor) -> Tensor:
        return kernel(u @ self.weight)


class Wider(Mixer):
    """A kind of `Mixer`."""


def wide(u: Tensor, width: int = 5, **more: Any) -> Tensor:
    return u.new_empty((u.shape[0], width))


def hundred(output: Any, *args: Any, **kwargs: Any) -> costlab.OpCount:
    return costlab.OpCount(macs=100)


def counted(function: Callable[[Tensor], Any], real: bool = False) -> CostTable:
    """The table of a layer, the function, and what comes behind."""
    module = Applied(lambda x, layer: function(layer(x)) + 1, nn.Linear(4, 4))
    return costlab.analyze(module, inputs=X, real=real)


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize("call", [kernel, HELD[0], partial(kernel, scale=2.0)])
def test_a_python_function_is_answered_without_being_run(call: Any, real: bool) -> None:
    code = kernel.__code__
    costlab.counting(kernel, output=wide)(hundred)
    table = counted(call, real)
    assert [(row.label, row.output, row.macs) for row in table.rows] == [
        ("linear", (3, 4), 48),
        ("kernel", (3, 5), 100),
        ("add", (3, 5), 0),
    ]
    assert table.complete
    assert [layer.operands for layer in table.graph.layers] == [(0,), (3,), (4,)]
    assert kernel.__code__ is code
    with pytest.raises(RuntimeError, match="CUDA"):
        kernel(X)


def test_functions_are_as_they_were_after_an_error() -> None:
    def wrong(*args: Any) -> Any:
        raise KeyError("width")

    code, apply = kernel.__code__, getattr(APPLY, "__code__", None)
    costlab.counting(kernel, output=wrong)(hundred)
    with pytest.raises(costlab.TraceError, match="output= of the rule for kernel raised KeyError"):
        counted(kernel)
    assert kernel.__code__ is code
    assert getattr(APPLY, "__code__", None) is apply


def test_a_python_function_with_a_closure_has_a_rule_that_lets_it_run() -> None:
    factor = 2

    def scaled(x: Tensor) -> Tensor:
        return x * factor + x

    costlab.counting(scaled)(hundred)
    for real in (False, True):
        rows = counted(scaled, real).rows
        assert [(row.label, row.macs) for row in rows][1:] == [
            (scaled.__qualname__.rpartition(".")[2], 100),
            ("add", 0),
        ]
    assert torch.equal(scaled(X), X * 3)


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize("target", [Scan, Scan.apply, torch.autograd.Function])
@pytest.mark.parametrize("call", [SCAN, lambda x: Scan.apply(x, 5)])  # type: ignore[no-untyped-call]
def test_an_autograd_function_is_answered(call: Any, target: Any, real: bool) -> None:
    costlab.counting(target, output=wide)(hundred)
    table = counted(call, real)
    assert [(row.label, row.macs) for row in table.rows][1:] == [("Scan", 100), ("add", 0)]
    assert table.complete


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize("make", [Mixer, Wider, lambda: parametrizations.weight_norm(Mixer())])
@pytest.mark.parametrize("enter", [lambda m, x: m(x), lambda m, x: m.forward(u=x)])
def test_a_module_is_answered(enter: Any, make: Any, real: bool) -> None:
    @costlab.counting(Mixer, output=lambda module, u: u.new_empty((u.shape[0], 5)).double())
    def mixer(module: Mixer, output: Any, *inputs: Any) -> costlab.OpCount:
        assert (output, inputs) == ((3, 5), ((3, 4),))
        return costlab.OpCount(macs=module.weight.numel())

    mine = make()
    before = dict(mine.__dict__)
    module = Applied(lambda x, layer, mine: enter(mine, layer(x)) + 1, nn.Linear(4, 4), mine)
    table = costlab.analyze(module, inputs=X, real=real)
    name = type(mine).__name__.removeprefix("Parametrized")
    params = sum(p.numel() for p in mine.parameters())
    assert [(row.path, row.label, row.macs, row.params) for row in table.rows] == [
        ("parts.0", "linear", 48, 20),
        ("parts.1", name, 16, params),
        ("add", "add", 0, 0),
    ]
    assert table.complete
    assert table.graph.values[table.graph.returns[0]].dtype.name == "float64"
    table.graph.check()
    assert mine.__dict__.keys() == before.keys()


def test_an_answered_module_inside_of_one_that_is_counted_as_a_whole() -> None:
    costlab.counting(Mixer, output=lambda module, u: wide(u))(hundred)
    costlab.counting(nn.Sequential)(lambda module, output, *inputs: costlab.OpCount(macs=7))
    module = nn.Sequential(nn.Linear(4, 4), Mixer())
    (row,) = costlab.analyze(module, (3, 4)).rows
    assert (row.label, row.output, row.macs) == ("Sequential", (3, 5), 7)


TOPK: list[Any] = [torch.topk, torch.Tensor.topk, torch.ops.aten.topk, torch.ops.aten.topk.default]


@pytest.mark.parametrize("target", TOPK, ids=["torch", "method", "packet", "overload"])
@pytest.mark.parametrize("call", [lambda x, f=f: f(x, 2)[0] for f in TOPK])
@pytest.mark.parametrize("real", [False, True])
def test_a_rule_serves_every_spelling(target: Any, call: Any, real: bool) -> None:
    costlab.counting(target)(hundred)
    table = counted(call, real)
    assert [(row.label, row.macs) for row in table.rows][1:2] == [("topk", 100)]
    assert table.complete


@pytest.mark.parametrize("real", [False, True])
def test_a_rule_serves_a_basic_operation_of_another_function(real: bool) -> None:
    costlab.counting(torch.ops.aten._cdist_forward)(hundred)
    assert counted(lambda x: torch.cdist(x, x), real).total.macs == 148


LIBRARY: Any = library.Library


@pytest.fixture(scope="module")
def foreign() -> Iterator[Any]:
    """An operator of another library that has no fake implementation."""
    room: Any = LIBRARY("costlab_answers", "DEF")
    room.define("mix(Tensor x) -> Tensor")
    room.define("fill(Tensor x, Tensor(a!) out) -> ()")
    room.impl("mix", lambda x: x @ x.mT, "CPU")
    room.impl("fill", lambda x, out: None, "CPU")
    yield torch.ops.costlab_answers
    room._destroy()


@pytest.mark.parametrize("real", [False, True])
def test_an_operator_without_a_fake_implementation(foreign: Any, real: bool) -> None:
    costlab.counting(foreign.mix, output=lambda x: x.new_empty(3, 3))(hundred)
    for call in (foreign.mix, foreign.mix.default):
        table = counted(call, real)
        assert [(row.label, row.output, row.macs) for row in table.rows][1] == ("mix", (3, 3), 100)
        assert table.complete


def test_an_operator_without_a_fake_implementation_runs_on_real_tensors(foreign: Any) -> None:
    costlab.counting(foreign.mix)(hundred)
    assert counted(foreign.mix.default, real=True).total.macs == 148


@pytest.mark.parametrize("real", [False, True])
def test_a_rule_for_what_writes_into_its_argument(foreign: Any, real: bool) -> None:
    costlab.counting(foreign.fill, output=lambda x, out: None)(hundred)

    def call(x: Tensor) -> Tensor:
        out = torch.empty(3, 6)
        foreign.fill(x, out)
        return out

    table = counted(call, real)
    assert [(row.label, row.output, row.macs) for row in table.rows] == [
        ("linear", (3, 4), 48),
        ("fill", (3, 6), 100),
        ("add", (3, 6), 0),
    ]


def test_what_cannot_run_on_shapes_is_said_with_what_to_do(foreign: Any) -> None:
    with pytest.raises(costlab.TraceError, match=r"mix at .* no fake implementation.*output="):
        counted(foreign.mix)
    costlab.counting(foreign.mix)(hundred)
    costlab.counting(kernel)(hundred)
    for call in (foreign.mix, kernel):
        with pytest.raises(costlab.TraceError, match=r"cannot be run on shapes .*give its ru"):
            counted(call)


REFUSED: dict[str, tuple[Any, str]] = {
    "a number": (5, "5 is neither a function nor a kind of module"),
    "a class": (Path, "a class that is neither"),
    "compiled code": (sqrt, "costlab cannot see calls of sqrt"),
    "an object": (partial(kernel), "cannot see calls of .*partial"),
    "a method": (X.topk, "costlab cannot see|method of one object"),
    "a bound method": (Mixer().forward, "method of one object"),
    "a method of another class": (list.append, "cannot see calls of list.append"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_rule_that_could_never_be_asked_is_refused(name: str) -> None:
    target, said = REFUSED[name]
    with pytest.raises(costlab.ChoiceError, match=said):
        costlab.counting(target)


def test_a_rule_that_is_no_function_is_refused() -> None:
    with pytest.raises(costlab.ChoiceError, match=r"the rule for topk is 3, not a function"):
        costlab.counting(torch.topk)(3)  # type: ignore[arg-type]
    with pytest.raises(costlab.CallError, match=r"output as a function or None, not \(3, 5\)"):
        costlab.counting(torch.topk, output=(3, 5))  # type: ignore[arg-type]


def test_a_second_rule_replaces_the_first_only_if_asked() -> None:
    costlab.counting(torch.topk)(hundred)
    costlab.counting(torch.Tensor.topk)(hundred)  # as in a cell that is run again
    with pytest.raises(costlab.ChoiceError, match="topk has a rule already: give replace=True"):
        costlab.counting(torch.Tensor.topk)(lambda *args: costlab.OpCount())
    costlab.counting(torch.topk, replace=True)(lambda *args: costlab.OpCount(macs=1))
    assert counted(lambda x: x.topk(2)[0]).total.macs == 49


@pytest.mark.parametrize("command", ["show", "compare", "crosscheck", "reconcile"])
def test_rules_on_the_command_line(costlab: Run, tmp_path: Path, command: str) -> None:
    (tmp_path / "net.py").write_text(
        "import torch\nclass Net(torch.nn.Module):\n"
        "    def forward(self, x):\n        return x.sort()[0]\n"
    )
    (tmp_path / "my_rules.py").write_text(
        "import costlab, torch\n@costlab.counting(torch.sort, replace=True)\n"
        "def sort(output, *args, **kwargs):\n    return costlab.OpCount(macs=12345)\n"
    )
    (tmp_path / "others.py").write_text(
        "import costlab, torch\n@costlab.counting(torch.msort)\n"
        "def msort(output, *args, **kwargs):\n    return costlab.OpCount(macs=1)\n"
    )
    how = ["--input-size", "3,4", "--rules", "my_rules.py", "--rules", "others.py"]
    models = ["net.py:Net"] * (2 if command == "compare" else 1)
    done = costlab(command, *models, *how, cwd=tmp_path)
    assert "12,345" in done.stdout or command == "crosscheck"
    assert done.returncode in (0, 1)
    assert "Error" not in done.stderr


def test_rules_that_cannot_be_imported_are_an_error(costlab: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("1 / 0\n")
    (tmp_path / "none.py").write_text("import costlab, torch\nnumber = 3\n")
    for place, said in (
        ("none.py", "none.py has no rule: give one with @costlab.counting(TARGET)"),
        ("bad.py", "cannot import bad.py: ZeroDivisionError"),
        ("no.py", "there is no file no.py"),
        ("rules", "'rules' is no Python file"),
    ):
        done = costlab("show", "naive", "--rules", place, cwd=tmp_path)
        assert done.returncode == 2
        assert said in done.stderr
        assert "Traceback" not in done.stderr


def test_grid_samples_of_both_spellings_have_one_rule() -> None:
    grid = torch.zeros(1, 2, 2, 2)
    costlab.counting(functional.grid_sample)(hundred)
    module = Applied(lambda x: functional.grid_sample(x, grid, align_corners=False))
    assert costlab.analyze(module, (1, 3, 4, 4)).total.macs == 100
