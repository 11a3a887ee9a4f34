"""Programs of torch.export, held and saved, cost what the modules cost that they are of."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from sampled import sampled
from torch import Tensor, library, nn
from torch.export import Dim, ExportedProgram
from torch.nn import functional

import costlab
from costlab.costs.table import CostTable
from costlab.errors import ChoiceError, CostlabError, ShapeError

Made = Callable[..., tuple[ExportedProgram, str]]


@pytest.fixture
def exported(tmp_path: Path) -> Made:
    """A function that exports a module, and saves the program."""

    def export(module: nn.Module, *inputs: Tensor, **how: Any) -> tuple[ExportedProgram, str]:
        file = tmp_path / "net.pt2"
        with warnings.catch_warnings():  # of torch's exporter
            warnings.simplefilter("ignore")
            program = torch.export.export(module.eval(), inputs, **how)
            torch.export.save(program, file)
        return program, str(file)

    return export


def totals(table: CostTable) -> tuple[Any, ...]:
    return table.total.macs, table.total.params, table.graph.outputs, table.graph.unused


def costs(table: CostTable) -> list[tuple[Any, ...]]:
    """Paths, operations and costs of the layers, and the classes of modules."""
    return [
        (row.path, row.layer.op.label(*row.layer.inputs), row.count, row.params)
        for row in table.rows
    ]


@pytest.mark.parametrize(
    "name",
    sampled(
        ["reduced", "lenet5", "alexnet", "googlenet", "resnet50", "mobilenet-v1"],
        *("reduced", "googlenet"),
    ),
)
def test_a_program_of_the_catalog_costs_what_the_module_costs(exported: Made, name: str) -> None:
    module = costlab.build(name)
    size = costlab.analyze(name).graph.inputs[0]
    held, file = exported(module, torch.zeros(size))
    traced, of_held, of_file = (costlab.analyze(model) for model in (name, held, file))
    assert totals(of_held) == totals(of_file) == totals(traced)
    assert costs(of_held) == costs(of_file)
    assert of_held.graph.classes == of_file.graph.classes
    assert of_file.graph.classes == costlab.analyze(module, size).graph.classes
    of_file.graph.check()


@pytest.mark.parametrize(
    "name",
    sampled(["resnet50b", "shufflenetv2_w1", "efficientnet_b0", "xception"], "shufflenetv2_w1"),
)
def test_a_program_of_others_costs_what_the_module_costs(exported: Made, name: str) -> None:
    from pytorchcv.model_provider import get_model

    module = get_model(name)
    size = (1, 3, *module.in_size)
    traced = costlab.analyze(module, size)
    for model in exported(module, torch.zeros(size)):
        assert totals(costlab.analyze(model)) == totals(traced)


class Words(nn.Module):
    """What the exporter keeps as one operation, and costlab as one row."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(10, 4)
        self.lstm = nn.LSTM(4, 6, 2, batch_first=True, bidirectional=True)
        self.norm = nn.LayerNorm(12)
        self.attend = nn.MultiheadAttention(12, 3, batch_first=True)
        self.words = nn.Linear(4, 10, bias=False)
        self.words.weight = self.embed.weight

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        x, _ = self.lstm(self.embed(ids))
        x = self.norm(x)
        x = x + self.attend(x, x, x, need_weights=False)[0]
        return self.words(x[..., :4]).softmax(-1), x.topk(2).values


def test_attention_and_recurrent_layers_are_rows(exported: Made) -> None:
    ids = torch.zeros(2, 5, dtype=torch.long)
    traced = costlab.analyze(Words(), inputs=ids)
    for strict in (False, True):
        for model in exported(Words(), ids, strict=strict):
            table = costlab.analyze(model)
            assert totals(table) == totals(traced)  # with the tied weight once
            kinds = [row.layer.op.kind for row in table.rows]
            assert (kinds.count("recurrent"), kinds.count("attention")) == (4, 1)


def test_a_decomposed_program_keeps_its_paths(exported: Made, tmp_path: Path) -> None:
    module = costlab.build("reduced")
    held, _ = exported(module, torch.zeros(1, 192, 28, 28))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        basic = held.run_decompositions()
    torch.export.save(basic, tmp_path / "basic.pt2")
    for model in (basic, str(tmp_path / "basic.pt2")):
        table = costlab.analyze(model)
        assert totals(table) == totals(costlab.analyze("reduced"))
        assert [row.path for row in table.rows if row.macs] == [
            row.path for row in costlab.analyze("reduced").rows if row.macs
        ]


class Resized(nn.Module):
    """Resampling in every mode, by a factor and to a size."""

    def forward(self, x: Tensor) -> list[Tensor]:
        modes = [("nearest", None), ("nearest-exact", None), ("bilinear", True), ("bicubic", False)]
        return [
            functional.interpolate(x, mode=mode, align_corners=corners, **how)
            for mode, corners in modes
            for how in ({"scale_factor": 2.0}, {"size": (7, 9)})
        ]


def test_resampled_images_are_one_row(exported: Made) -> None:
    x = torch.zeros(1, 2, 4, 5)
    traced = costlab.analyze(Resized(), inputs=x)
    for model in exported(Resized(), x):
        table = costlab.analyze(model)
        assert totals(table) == totals(traced)
        assert costs(table) == costs(traced)
        assert table.complete


class Twice(nn.Module):
    """One block that stands in two places, and a module that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        block = nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU())
        self.blocks = nn.Sequential(block, nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU()), block)
        self.act = nn.ReLU()
        self.idle = nn.Linear(2, 3)

    def forward(self, x: Tensor) -> Any:
        return self.act(self.blocks(self.act(x)))


def test_shared_modules_count_their_work_twice_and_their_parameters_once(exported: Made) -> None:
    x = torch.zeros(1, 4, 2, 2)
    traced = costlab.analyze(Twice(), inputs=x)
    for model in exported(Twice(), x):
        table = costlab.analyze(model)
        assert totals(table) == totals(traced)
        assert [row.path for row in table.rows] == [
            *("act", "blocks.0.0", "blocks.0.1", "blocks.1.0", "blocks.1.1"),
            *("blocks.2.0", "blocks.2.1", "act@2"),
        ]
        assert table.graph.unused == (("idle.weight", 6), ("idle.bias", 3))


@library.custom_op("costlab_tests::scan", mutates_args=())
def scan(x: Tensor, n: int) -> Tensor:
    return torch.mul(x, n)


@scan.register_fake
def _(x: Tensor, n: int) -> Tensor:
    return torch.empty_like(x)


class Sized(nn.Module):
    def __init__(self, scans: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding="same")
        self.inner = nn.Linear(4, 4)
        self.scans = scans

    def forward(self, x: Tensor, flag: Tensor, twice: bool = True) -> dict[str, Any]:
        with torch.no_grad():
            y = self.conv(x)
        first, second = y.split(2, 1)
        y = torch.cat([second, first], 1).view(x.shape[0], 4, -1)
        if self.scans:
            y = torch.ops.costlab_tests.scan(y, 3)
        z = torch.cond(y.sum() > 0, lambda t: self.inner(t.mean(2)), lambda t: t.mean(2), (y,))
        return {"out": z + flag, "pair": (y, x.shape[0])}


DYNAMIC = {"x": {0: Dim("batch", max=32), 2: Dim("side"), 3: Dim("side")}, "flag": None}


def test_dimensions_that_may_vary(exported: Made) -> None:
    own = torch.zeros(2, 3, 8, 8), torch.ones(2, 4)[:1]
    for model in exported(Sized(), *own, dynamic_shapes=DYNAMIC):
        for size in ((2, 3, 8, 8), (5, 3, 6, 6)):
            table = costlab.analyze(model, [size, (1, 4)])
            assert totals(table) == totals(costlab.analyze(Sized(), [size, (1, 4)]))
        assert costlab.analyze(model).graph.inputs == ((2, 3, 8, 8), (1, 4))
        assert "counted at" in costlab.analyze(model).graph.about
        wrong: Any
        for wrong, said in [
            ([(40, 3, 8, 8), (1, 4)], "dimension 0 is 0 to 32"),
            ([(2, 4, 8, 8), (1, 4)], "dimension 1 is 3, not 4: of its dimensions only 0, 2, 3"),
            ([(2, 3, 8, 9), (1, 4)], "for what is 8 and 9"),
            ([(2, 3, 8), (1, 4)], "not of its rank"),
            ([(2, 3, 8, 8)], "takes 2 inputs, 2×3×8×8 . 1×4"),
        ]:
            with pytest.raises(ShapeError, match=said):
                costlab.analyze(model, wrong)


def test_what_varies_is_a_symbol_of_formulas(exported: Made) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    sizes = {0: Dim("batch", max=32), 2: Dim("side", min=6), 3: Dim("side", min=6)}
    for model in exported(net, torch.zeros(2, 3, 8, 8), dynamic_shapes=(sizes,)):
        known = costlab.formula(model)
        batch, side = known.symbols
        assert known.published == {batch: 2, side: 8}
        for n, s in (3, 7), (32, 500):
            there = known.at(**{batch: n, side: s})
            expected = costlab.analyze(model, (n, 3, s, s)).total
            assert (int(there.macs), int(there.flops)) == (expected.macs, expected.flops)
        assert costlab.formula(model, input_size="N,3,S,S").symbols == ("N", "S")
        with pytest.raises(ShapeError, match=f"{batch} ≤ 32"):
            known.at(**{batch: 33})
    with pytest.raises(ShapeError, match="nothing of it varies"):
        costlab.formula(exported(nn.Linear(2, 2), torch.zeros(1, 2))[0])


class Pair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.other = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv1d(3, 4, 1)

    def forward(self, x: Tensor, y: Tensor, z: Tensor) -> Any:
        return self.conv(x), self.other(y) + self.other(z[..., 1:])


def test_dimensions_that_are_computed_of_others(exported: Made) -> None:
    half = Dim("half", min=2, max=64)
    sizes = ({2: 2 * half, 3: 2 * half}, {2: half}, {2: half + 1})
    own = torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 4), torch.zeros(1, 3, 5)
    for model in exported(Pair(), *own, dynamic_shapes=sizes):
        given = [(1, 3, 24, 24), (1, 3, 12), (1, 3, 13)]
        assert totals(costlab.analyze(model, given)) == totals(costlab.analyze(Pair(), given))
        for wrong, said in [
            ([(1, 3, 25, 25), *given[1:]], r"dimension 2 is 2\*s\d+: 25 is not"),
            ([(1, 3, 24, 26), *given[1:]], r"2\*s\d+, for what is 24 and 26"),
            ([*given[:2], (1, 3, 12)], r"s\d+ \+ 1, for what is 13 and 12"),
            ([(1, 3, 130, 130), (1, 3, 65), (1, 3, 66)], "dimension 2 is 4 to 128"),
        ]:
            with pytest.raises(ShapeError, match=said):
                costlab.analyze(model, wrong)
        known = costlab.formula(model)
        side, short, long = known.symbols
        there = known.at(**{side: 24, short: 12, long: 13})
        assert int(there.macs) == costlab.analyze(Pair(), given).total.macs


def test_an_operator_of_another_library_is_uncounted_and_has_a_place(exported: Made) -> None:
    own = torch.zeros(2, 3, 8, 8), torch.ones(1, 4)
    for model in exported(Sized(True), *own, dynamic_shapes=DYNAMIC):
        table = costlab.analyze(model)
        assert not table.complete
        assert [row.path for row in table.rows if row.uncounted] == ["costlab_tests::scan"]
        assert table.total.macs == costlab.analyze(Sized(), [(2, 3, 8, 8), (1, 4)]).total.macs
        with pytest.raises(CostlabError, match="only known for the sizes that it was exported"):
            costlab.analyze(model, [(3, 3, 8, 8), (1, 4)])


@library.custom_op("costlab_tests::positive", mutates_args=())
def positive(x: Tensor) -> Tensor:
    return x[x[:, 0] > 0].clone()


@positive.register_fake
def _(x: Tensor) -> Tensor:
    return x.new_empty(library.get_ctx().new_dynamic_size(), x.shape[1])


class Picks(nn.Module):
    def forward(self, x: Tensor) -> Any:
        return torch.ops.costlab_tests.positive(x)


def test_a_size_that_depends_on_values_is_not_guessed(exported: Made) -> None:
    for model in exported(nn.Sequential(Picks(), nn.Linear(8, 4)), torch.ones(6, 8)):
        with pytest.raises(CostlabError, match="says only that it gives u0×8: give the operator a"):
            costlab.analyze(model)


def test_other_counters_confirm_a_file(exported: Made) -> None:
    _, file = exported(costlab.build("reduced"), torch.zeros(1, 192, 28, 28))
    assert costlab.crosscheck(file).agrees
    assert costlab.reconcile(file, counters="fvcore,torch,torchinfo").explained


def test_a_file_in_every_command(exported: Made) -> None:
    module = costlab.build("reduced")
    _, file = exported(module, torch.zeros(1, 192, 28, 28))
    part = costlab.analyze(f"{file}/branch5x5").total
    assert part.macs == costlab.analyze("reduced/branch5x5").total.macs
    assert costlab.memory(file).peak_bytes == costlab.memory("reduced").peak_bytes
    assert costlab.parameters(file).total.params == costlab.analyze("reduced").total.params
    assert costlab.compare("reduced", file, trace=False).tables[1].total.macs


def test_what_a_program_does_not_take(exported: Made) -> None:
    _, file = exported(nn.Linear(2, 2), torch.zeros(1, 2))
    with pytest.raises(ChoiceError, match="takes no choices"):
        costlab.analyze(file, width=2)
    with pytest.raises(ChoiceError, match="training is for an"):
        costlab.analyze(file, training=True)
    with pytest.raises(ShapeError, match="takes its inputs in order"):
        costlab.analyze(file, {"x": (1, 2)})


def test_the_program_is_left_as_it_was(exported: Made) -> None:
    held, _ = exported(Twice(), torch.zeros(1, 4, 2, 2))
    before = {name: id(tensor) for name, tensor in held.state_dict.items()}, held.graph_module.code
    costlab.analyze(held)
    assert before == (
        {name: id(tensor) for name, tensor in held.state_dict.items()},
        held.graph_module.code,
    )
