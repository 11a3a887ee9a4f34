"""Formulas of arguments: at every width what a module of that width counts, or a refusal."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import costlab as library
from costlab.errors import CostlabError
from costlab.formulas.of_modules import of_sizes

OF_SIZES = of_sizes(False)


class Attends(nn.Module):
    """Attention as vision transformers have it, with a table and a scale of their width."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.scale = heads, (width // heads) ** -0.5
        self.table = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.together, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        nn.init.trunc_normal_(self.table, std=math.sqrt(2.0 / width))

    def forward(self, x: Tensor) -> Tensor:
        n, length, width = (x + self.table).shape
        parts = self.together(x).reshape(n, length, 3, self.heads, width // self.heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        mixed = ((q @ k.transpose(-2, -1)) * self.scale).softmax(-1) @ v
        return self.out(mixed.transpose(1, 2).reshape(n, length, width))  # type: ignore[no-any-return]


class Squeezes(nn.Module):
    """A part that is narrower, with a least width."""

    def __init__(self, width: int, by: int) -> None:
        super().__init__()
        inner = max(width // by, 4)
        self.register_buffer("weights", torch.exp(torch.arange(width) * (-1.0 / width)))
        self.down, self.up = nn.Linear(width, inner), nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.up(self.down(x).relu()).sigmoid() + self.weights  # type: ignore[no-any-return]


MAKES: dict[str, Callable[[Any, int], nn.Module]] = {
    "linear": lambda w, n: nn.Linear(w, w, bias=n > 1),
    "wider": lambda w, n: nn.Sequential(nn.Linear(w, n * w), nn.GELU(), nn.Linear(n * w, w)),
    "norm": lambda w, n: nn.LayerNorm(w),
    "attends": Attends,
    "heads": lambda w, n: nn.TransformerEncoderLayer(w, n, 4 * w, batch_first=True),
    "squeezes": lambda w, n: Squeezes(w, 2 * n),
    "grouped": lambda w, n: Turned(nn.Conv1d(w, w, 3, padding=1, groups=n)),
    "depthwise": lambda w, n: Turned(nn.Conv1d(w, w, n, groups=w)),
    "groups": lambda w, n: Turned(nn.GroupNorm(n, w)),
    "branch": lambda w, n: nn.Linear(w, w) if w > 12 * n else nn.Identity(),
    "named": lambda w, n: nn.Sequential(nn.ModuleDict({f"width{w}": nn.ReLU()})[f"width{w}"]),
    "counted": lambda w, n: nn.Sequential(*[nn.ReLU() for _ in range(w // 16)]),
    "half": lambda w, n: nn.Sequential(nn.Linear(w, int(w * 0.5)), nn.Linear(w // 2, w)),
    "evened": lambda w, n: nn.Sequential(nn.Linear(w, w // 8 * 8), nn.Linear(w // 8 * 8, w)),
}


class Turned(nn.Module):
    """A module of channels, on what has them last."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x.transpose(1, 2)).transpose(1, 2)  # type: ignore[no-any-return]


class Read(nn.Module):
    def forward(self, x: Any) -> Tensor:
        return x[0] if isinstance(x, tuple) else x  # type: ignore[no-any-return]


def drawn(program: list[tuple[str, int]], width: Any) -> nn.Module:
    parts = [MAKES[name](width, number) for name, number in program]
    return nn.Sequential(nn.Linear(3, width), *parts, nn.LSTM(width, 4), Read())


PROGRAMS = st.lists(
    st.tuples(st.sampled_from(list(MAKES)), st.integers(1, 4)), min_size=1, max_size=4
)
WIDTHS = st.integers(1, 24).map(lambda n: 4 * n) | st.integers(1, 70)


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
@settings(max_examples=50)
@given(PROGRAMS, WIDTHS, st.lists(WIDTHS, min_size=2, max_size=4))
def test_a_formula_of_a_width_is_what_a_module_of_that_width_counts(
    program: list[tuple[str, int]], near: int, widths: list[int]
) -> None:
    def make(w: Any) -> nn.Module:
        return drawn(program, w)

    try:
        there = counted(make(near), 5)
    except (CostlabError, ValueError, AssertionError, ZeroDivisionError):  # no such width
        return
    formula = library.formula(make, input_size="2,T,3", near={"w": near, "T": 5})
    assert values(formula.at(w=near, T=5)) == there
    for width in widths:
        try:
            given_there = values(formula.at(w=width, T=7))
        except library.ShapeError:
            continue
        assert given_there == counted(make(width), 7)


def counted(module: nn.Module, length: int) -> dict[str, int]:
    total = library.analyze(module, (2, length, 3)).total
    return {name: quantity.of(total) for name, quantity in OF_SIZES.items()}


def values(formula: library.Formula) -> dict[str, int]:
    return {name: int(formula[name]) for name in OF_SIZES}


class Net(nn.Module):
    def __init__(self, width: int = 32, depth: int = 2, cut: float = 0.5) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, stride=2, padding=1, groups=1, bias=False)
        self.body = nn.ModuleList([nn.Conv2d(width, width, 1, groups=4) for _ in range(depth)])

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for layer in self.body:
            x = layer(x)
        return x


def test_arguments_of_modules_have_formulas() -> None:
    formula = library.formula(Net, "width", input_size="N,3,H,W")
    assert str(formula.params) == "width**2/2 + 29*width"
    assert formula.symbols == ("N", "H", "W", "width")
    assert formula.published["width"] == 32, "the default of the argument"
    assert formula.requires == ("width mod 4 = 0",)
    assert formula.at(width=48).params == 48**2 // 2 + 29 * 48
    with pytest.raises(library.ShapeError, match=r"width mod 4 = 0.*test_arguments\.py"):
        formula.at(width=6)
    same = library.formula(lambda w: Net(width=w), input_size="N,3,H,W")
    assert str(same.params) == "w**2/2 + 29*w"
    assert library.analyze(Net(), (1, 3, 8, 8)).total.params == 32**2 // 2 + 29 * 32


def test_a_number_that_a_constructor_takes_is_a_network_of_its_own() -> None:
    formula = library.formula(Net, ["width", "depth"], input_size="1,3,H,W", near={"depth": 3})
    assert str(formula.params) == "3*width**2/4 + 30*width"
    assert "depth = 3" in formula.requires
    line = Net.__init__.__code__.co_firstlineno + 3
    said = f"test_arguments.py:{line} takes the number of depth: each value is a network of its own"
    assert said in " ".join(formula.to_text().split())
    (condition,) = [c for c in formula.data()["conditions"] if c["symbols"] == ["depth"]]
    assert condition["condition"] == "depth = 3"
    with pytest.raises(library.ShapeError, match=r"near \(--near depth=4\)"):
        formula.at(depth=4)


def test_code_says_its_symbols(tmp_path: Any) -> None:
    layer = "torch.nn:TransformerEncoderLayer(d_model=d, nhead=8, dim_feedforward=4*d)"
    formula = library.formula(layer, input_size="N,T,d")
    assert str(formula.macs) == "2*N**2*T*d + 12*N*T*d**2"
    assert formula.requires == ("d mod 8 = 0",)
    several = "torch.nn:LayerNorm(normalized_shape=[a, b])"
    assert str(library.formula(several, "a", input_size="N,a,b").params) == "2*a*b"


class Refuses(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.Tensor(width, 3))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight.T


class Asserts(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        torch._assert(width > 3, f"the width is {width}")  # type: ignore[no-untyped-call]
        self.head = nn.Linear(3, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x)  # type: ignore[no-any-return]


def test_what_an_assertion_says_decides_nothing() -> None:
    assert library.formula(Asserts, "width", input_size="N,3").requires == ("width ≥ 4",)


@pytest.mark.parametrize(
    ("model", "call", "said"),
    [
        (Net, {"symbols": "wdth", "input_size": "N,3,H,W"}, "did you mean 'width'"),
        (nn.Linear(3, 4), {"symbols": "w", "input_size": "N,3"}, "lambda w: Net"),
        ("torch.nn:Linear(in_features=3, out_features=w)", {"input_size": "N,3"}, "--symbol w"),
        ("torch.nn:Linear(in_features=3, outs=w)", {"input_size": "N,3,w"}, "takes no 'outs'"),
        ("torch.nn:Linear(in_features=int(w))", {"input_size": "N,3,w"}, "divided by //, as in 4"),
        ("torch.nn:Linear(in_features=w/2)", {"input_size": "N,3,w"}, "divided by //, as in 4"),
        ("torch.nn:Linear(in_features=-1*w)", {"input_size": "N,3,w"}, "out_features"),
        (Net, {"symbols": "width", "input_size": "N,3,H,W", "near": {"width": 0}}, "number from 1"),
        (Refuses, {"symbols": "width", "input_size": "N,3"}, "give width as one .64."),
        (Net, {"symbols": "width", "input_size": "N,3,H,W", "near": {"width": 3}}, "divisible by"),
        ("torch.nn:Linear(in_features=3, out_features=w)", {"symbols": "w"}, "--input-size"),
        (lambda w: w, {"input_size": "N,3"}, "not an nn.Module"),
    ],
)
def test_a_symbol_that_cannot_be_is_said(model: Any, call: dict[str, Any], said: str) -> None:
    with pytest.raises(CostlabError, match=said):
        library.formula(model, **call)


class Wide(nn.Module):
    """Holds a number of its constructor, which decides what it does, and of how many channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width, self.point = width, nn.Conv2d(3, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.point(x)
        return x if self.width > 16 else x + 1


@pytest.mark.parametrize("quantity", ["macs", "peak_bytes"])
def test_a_copy_of_a_layer_asks_what_the_layer_asks(quantity: str) -> None:
    formula = library.formula(
        lambda w: deepcopy(Wide(w)),
        "w",
        input_size="1,3,H,W",
        near={"w": 32},
        quantities=quantity,
    )
    assert formula.requires == ("w ≥ 17",)
