"""Formulas of what runs hold: at every size what a run at that size holds, or a refusal."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from drawn_modules import POINTS, PROGRAMS, Drawn
from hypothesis import given, settings
from hypothesis import strategies as st
from sampled import sampled
from torch import Tensor, nn
from torch.nn import functional as F

import costlab as library
from costlab.costs.of_runs import OF_RUNS
from costlab.errors import CostlabError
from costlab.modules.block import built_module

OF_STEP = [name for name, quantity in OF_RUNS.items() if quantity.optimizer]
OF_RUN = [name for name, quantity in OF_RUNS.items() if not quantity.optimizer]


class Learning(Drawn):
    """Steps that a test has drawn, after a parameter."""

    def __init__(self, steps: list[tuple[str, int]]) -> None:
        super().__init__(steps)
        self.scale = nn.Parameter(torch.empty(4, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x * self.scale)


def held(module: nn.Module, size: tuple[int, ...], training: bool) -> dict[str, int]:
    """What ``costlab memory`` says, by the names that formulas have."""
    total = library.memory(module, size, training=training).total
    names = OF_STEP if training else OF_RUN
    return {name: total[name.removeprefix("training_")] for name in names}


def values(formula: library.Formula, training: bool) -> dict[str, int]:
    return {name: int(formula[name]) for name in (OF_STEP if training else OF_RUN)}


@settings(max_examples=15)
@given(PROGRAMS, POINTS, st.lists(POINTS, min_size=1, max_size=2), st.booleans())
def test_a_formula_is_what_a_run_holds_wherever_it_is_given(
    program: list[tuple[str, int]],
    near: dict[str, int],
    points: list[dict[str, int]],
    training: bool,
) -> None:
    module = Learning(program)
    names = OF_STEP if training else OF_RUN
    try:
        formula = library.formula(module, input_size="N,4,H,W", near=near, quantities=names)
    except CostlabError:  # some runs are not followed with symbols
        return
    for point in (near, *points):
        try:
            given_there = values(formula.at(**point), training)
        except library.ShapeError:
            assert point != near
            continue
        assert given_there == held(module, (point["N"], 4, point["H"], point["W"]), training)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    "name", sampled(["googlenet", "mobilenet-v1", "naive"], "naive", "mobilenet-v1")
)
def test_the_networks_of_the_catalog_have_one(name: str, training: bool) -> None:
    graph = library.analyze(name).graph
    channels = graph.inputs[0][1]
    with torch.device("meta"):
        module = built_module(graph)
    names = OF_STEP if training else OF_RUN
    formula = library.formula(module, input_size=f"N,{channels},H,W", quantities=names)
    for size in (2, 224, 224), (2, 90, 133):
        at = dict(zip("NHW", size, strict=True))
        there = held(module, (size[0], channels, *size[1:]), training)
        assert values(formula.at(**at), training) == there


class Narrow(nn.Module):
    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(width)
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Any:
        return self.head(self.norm(self.stem(x)).relu().mean((2, 3)))


def test_widths_are_symbols_of_memory_too() -> None:
    formula = library.formula(
        Narrow, "width", input_size="N,3,H,W", quantities="peak_bytes,training_peak_bytes"
    )
    for width, batch, side in (8, 2, 32), (24, 1, 57), (640, 3, 8):
        at = formula.at(width=width, N=batch, H=side, W=side)
        for training, name in (False, "peak_bytes"), (True, "training_peak_bytes"):
            there = library.memory(Narrow(width), (batch, 3, side, side), training=training)
            assert int(at[name]) == there.peak_bytes


def test_of_the_largest_of_sums_the_one_at_the_point_is_shown() -> None:
    formula = library.formula(
        Narrow, "width", input_size="1,3,S,S", quantities="training_peak_bytes"
    )
    text = formula.to_markdown()
    assert "training_peak_bytes is the largest of " in text
    assert "Max(" in formula.data()["formulas"]["training_peak_bytes"]["formula"]


def test_what_a_run_holds_is_asked_for() -> None:
    formula = library.formula(Narrow(), input_size="N,3,H,W")
    with pytest.raises(library.UnknownNameError, match="quantities='peak_bytes'"):
        formula["peak_bytes"]


def test_a_name_of_the_catalog_is_built_and_followed() -> None:
    formula = library.formula("naive/branch5x5", "N", {"C": 64}, quantities="training_peak_bytes")
    assert formula.symbols == ("N", "H", "W")
    for batch, side in (2, 28), (64, 9):
        size = (batch, 64, side, side)
        there = library.memory("naive/branch5x5", size, training=True).peak_bytes
        assert formula.at(N=batch, H=side, W=side)["training_peak_bytes"] == there


def test_a_name_of_the_catalog_keeps_its_published_input() -> None:
    formula = library.formula("lenet5", quantities="peak_bytes")
    assert formula.at(H=32, W=32)["peak_bytes"] == library.memory("lenet5").peak_bytes
    with pytest.raises(library.ShapeError, match="was followed where"):
        formula.at(H=64)  # whose weights are others
    larger = library.formula("lenet5", near={"H": 64}, quantities="peak_bytes").at(H=64, W=32)
    assert larger["peak_bytes"] == library.memory("lenet5", (1, 1, 64, 32)).peak_bytes


def test_a_choice_is_no_symbol_of_what_is_built() -> None:
    with pytest.raises(library.ChoiceError, match="give c3r a number, as in 'reduced\\(c3r=96\\)'"):
        library.formula("reduced", "c3r", quantities="peak_bytes")


class Parts(nn.Module):
    """What torch's C++ asks plain sizes for on its way."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.stem(x)
        y = torch.cat([y[:, :2], y[:, [0, 3]], y[..., 2, None, :, :]], 1)
        size = y.shape[2:]
        y = nn.functional.interpolate(nn.functional.max_pool2d(y, 2), size, mode="bilinear")
        return nn.functional.interpolate(y[:], scale_factor=1.5, mode="nearest")


@pytest.mark.parametrize("training", [False, True])
def test_parts_and_other_sizes_have_formulas(training: bool) -> None:
    names = OF_STEP if training else OF_RUN
    formula = library.formula(Parts(), input_size="N,3,H,W", quantities=names)
    for batch, height, width in (2, 32, 32), (5, 33, 9):
        at = formula.at(N=batch, H=height, W=width)
        assert values(at, training) == held(Parts(), (batch, 3, height, width), training)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("how", [{}, {"bias": False, "num_layers": 2, "bidirectional": True}])
def test_an_lstm_has_a_formula(how: dict[str, Any], training: bool) -> None:
    names = OF_STEP if training else OF_RUN
    lstm = nn.LSTM(8, 16, batch_first=True, **how)
    formula = library.formula(lstm, input_size="N,T,8", quantities=names)
    for batch, length in (2, 64), (7, 3), (65, 33):
        there = held(lstm, (batch, length, 8), training)
        assert values(formula.at(N=batch, T=length), training) == there


def test_the_width_of_an_lstm_is_a_symbol_of_its_workspace() -> None:
    formula = library.formula(
        lambda h: nn.LSTM(40, h), input_size="T,N,40", near={"h": 80}, quantities=OF_STEP
    )
    for width in 80, 41, 83:
        there = held(nn.LSTM(40, width), (5, 3, 40), training=True)
        assert values(formula.at(h=width, T=5, N=3), training=True) == there


class Causal(nn.Module):
    """A decoder that is given a causal mask in one of the usual ways, and looks whether it is."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 16), 2)

    def forward(self, x: Tensor, memory: Tensor) -> Any:
        size = x.shape[0]
        if self.way == "torch's":
            mask = nn.Transformer.generate_square_subsequent_mask(size)
        elif self.way == "by hand":
            mask = torch.triu(torch.full((size, size), -torch.inf), diagonal=1)
        elif self.way == "like another":
            mask = torch.full_like(x[:, :1, :1] @ x[:, :1, :1].mT, 0).expand(size, 1, 1)
            mask = (mask.flatten() + torch.zeros(size, 1)).clone()
        else:
            mask = torch.ones(size, size).tril() == 0
            if self.way == "changed":
                mask[0].fill_(True)
        return self.decoder(x, memory, tgt_mask=mask)


@pytest.mark.parametrize("training", sampled([False, True], False))
@pytest.mark.parametrize("way", ["torch's", "by hand", "truths", "like another"])
def test_a_mask_that_follows_from_sizes_is_known(way: str, training: bool) -> None:
    names, size = OF_STEP if training else OF_RUN, [("T", "N", 8), ("S", "N", 8)]
    near = {"T": 5}
    formula = library.formula(Causal(way), input_size=size, near=near, quantities=names)
    is_fixed = "T = 5" in formula.requires
    assert is_fixed is (way in ("truths", "like another"))
    for length in (5,) if is_fixed else (5, 9):
        module, sizes = Causal(way), [(length, 2, 8), (7, 2, 8)]
        total = library.memory(module, sizes, training=training).total
        there = {name: total[name.removeprefix("training_")] for name in names}
        assert values(formula.at(T=length, N=2, S=7), training) == there


def test_what_is_written_into_a_mask_is_not_known() -> None:
    with pytest.raises(library.TraceError, match=r"has no formula: .* at decoder"):
        library.formula(
            Causal("changed"), input_size=[("T", "N", 8), (7, "N", 8)], quantities="peak_bytes"
        )


@pytest.mark.parametrize("training", sampled([False, True], True))
def test_masks_of_which_sizes_are_given_are_like_any_other(training: bool) -> None:
    names, module = OF_STEP if training else OF_RUN, Causal("").decoder
    size = {"tgt": ("T", "N", 8), "memory": ("S", "N", 8)}
    masks = {"tgt_mask": ("T", "T"), "memory_mask": ("T", "S"), "tgt_key_padding_mask": ("N", "T")}
    formula = library.formula(module, input_size={**size, **masks}, quantities=names)
    for at in {"T": 64, "N": 2, "S": 64}, {"T": 3, "N": 5, "S": 9}:
        sizes = {
            name: tuple(at[d] if isinstance(d, str) else d for d in shape)
            for name, shape in {**size, **masks}.items()
        }
        total = library.memory(module, sizes, training=training).total
        there = {name: total[name.removeprefix("training_")] for name in names}
        assert values(formula.at(**at), training) == there
        given = {name: torch.zeros(shape) for name, shape in sizes.items()}
        assert library.memory(module, inputs=given, training=training).total == total


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize("training", sampled([False, True], True))
@pytest.mark.parametrize(
    ("kind", "how"),
    [
        (nn.GRU, {}),
        (nn.GRU, {"num_layers": 2, "bidirectional": True, "dropout": 0.1, "bias": False}),
        (nn.RNN, {"bidirectional": True}),
        (nn.RNN, {"nonlinearity": "relu", "batch_first": True}),
        (nn.LSTM, {"proj_size": 3}),
        (nn.LSTM, {"proj_size": 2, "num_layers": 2, "bidirectional": True, "batch_first": True}),
    ],
)
def test_a_loop_over_positions_is_a_formula_of_the_batch(
    kind: Any, how: dict[str, Any], training: bool
) -> None:
    layer, names = kind(4, 5, **how), OF_STEP if training else OF_RUN
    first = bool(how.get("batch_first"))
    size, near = ("N,T,4" if first else "T,N,4"), {"N": 2, "T": 3}
    formula = library.formula(layer, input_size=size, near=near, quantities=names)
    assert "T = 3" in formula.requires
    for batch in 2, 9:
        there = held(layer, (batch, 3, 4) if first else (3, batch, 4), training)
        assert values(formula.at(N=batch, T=3), training) == there


def test_what_is_looked_up_and_cut_out_asks_nothing_of_the_batch() -> None:
    class Tagged(nn.Module):
        """A table of more rows than are looked up, and gradients of parts of a concatenation."""

        def __init__(self) -> None:
            super().__init__()
            self.words, self.sides = nn.Embedding(1000, 4), nn.Conv2d(4, 4, 3, padding=1)

        def forward(self, ids: Tensor) -> Any:
            x = self.words(ids).permute(0, 3, 1, 2).contiguous()
            low = nn.functional.interpolate(self.sides(x), (5, 5), mode="bilinear")
            wide = nn.functional.interpolate(low, (8, 8), mode="bilinear")
            return self.sides(torch.cat([wide, self.sides(wide)], 2))

    names = "peak_bytes,training_peak_bytes"
    formula = library.formula(Tagged(), input_size="N,6,7", input_type="int64", quantities=names)
    assert set(formula.requires) <= {"N ≥ 2"}
    for batch in 2, 40:
        size, at = (batch, 6, 7), formula.at(N=batch)
        for training, name in (False, "peak_bytes"), (True, "training_peak_bytes"):
            run = library.memory(Tagged(), size, training=training, input_type="int64")
            assert at[name] == run.peak_bytes


def test_what_is_smoothed_is_followed_at_one_size() -> None:
    class Smoothed(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.interpolate(x, (5, 5), mode="bilinear", antialias=True)

    formula = library.formula(Smoothed(), input_size="N,3,H,9", near={"H": 12})
    assert formula.requires == ("H = 12",)
    assert (
        formula.at(N=2, H=12)["mul"] == library.analyze(Smoothed(), (2, 3, 12, 9)).total.count.mul
    )


class Reads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.point, self.three = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.point(x)
        padded: Tensor = self.three(F.pad(x, (1, 1)))
        return padded


@pytest.mark.parametrize("threads", [1, 2])
def test_which_kernel_is_the_quickest_decides_nothing(threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        point, both = (
            library.formula(module, input_size="N,3,H,W", quantities=OF_STEP)
            for module in (nn.Conv2d(3, 8, 1), Reads())
        )
    finally:
        torch.set_num_threads(before)
    assert point.requires == ()
    for batch in 1, 15, 40:
        there = held(nn.Conv2d(3, 8, 1), (batch, 3, 9, 7), training=True)
        assert values(point.at(N=batch, H=9, W=7), training=True) == there
    padded = Reads.forward.__code__.co_firstlineno + 2
    assert both.conditions
    assert all(place.endswith(f"{__file__}:{padded})") for _, place in both.conditions)
