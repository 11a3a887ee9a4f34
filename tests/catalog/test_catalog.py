"""Every architecture: published checksums, a second transcription, and other counters."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
import torch
from pytorchcv.model_provider import get_model
from sampled import sampled
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import costlab
from costlab.catalog import FILES

# Parameters as published to the unit, with where.
PARAMS = {
    "alexnet": 60_965_224,  # BVLC Caffe's network, OpenVINO Open Model Zoo: 60.965M
    'alexnet(variant="single-tower")': 61_100_840,  # torchvision
    'alexnet(variant="ungrouped")': 62_378_344,  # osmr/imgclsmob
    "vgg11": 132_863_336,  # torchvision, as all of VGG
    "vgg13": 133_047_848,
    "vgg16": 138_357_544,
    "vgg19": 143_667_240,
    "vgg11(bn=True)": 132_868_840,
    "vgg13(bn=True)": 133_053_736,
    "vgg16(bn=True)": 138_365_992,
    "vgg19(bn=True)": 143_678_248,
    "googlenet": 6_998_552,  # BVLC Caffe's network
    "googlenet(bn=True, k5=3)": 6_624_904,  # torchvision, without its auxiliary classifiers
    "bn-inception": 11_295_240,  # osmr/imgclsmob
    "inception-v3": 23_834_568,  # osmr/imgclsmob
    "inception-v3(aux=True)": 27_161_264,  # torchvision
    "inception-v4": 42_679_816,  # osmr/imgclsmob
    'inception-resnet-v1(variant="facenet")': 23_995_624,  # osmr/imgclsmob
    "inception-resnet-v2": 55_843_464,  # osmr/imgclsmob
    "xception": 22_855_952,  # Chollet 2016, Table 3
    "lenet5": 60_000,  # LeCun et al. 1998, section II-B
    'lenet5(variant="dense")': 61_706,
    "resnet50": 25_557_032,  # torchvision
    'resnet50(stride="3x3")': 25_557_032,
}

# Networks that others wrote down, in pytorchcv.
TRANSCRIBED = {
    "alexnet": 'alexnet(variant="ungrouped")',
    "alexnetb": 'alexnet(variant="single-tower")',
    "vgg11": "vgg11",
    "vgg13": "vgg13",
    "vgg16": "vgg16",
    "vgg19": "vgg19",
    "bn_vgg11b": "vgg11(bn=True)",
    "bn_vgg13b": "vgg13(bn=True)",
    "bn_vgg16b": "vgg16(bn=True)",
    "bn_vgg19b": "vgg19(bn=True)",
    "bninception": "bn-inception",
    "inceptionv3": "inception-v3",
    "inceptionv4": "inception-v4",
    "inceptionresnetv1": 'inception-resnet-v1(variant="facenet")',
    "inceptionresnetv2": "inception-resnet-v2",
    "xception": "xception",
    "mobilenet_w1": "mobilenet-v1",
    "mobilenet_w3d4": "mobilenet-v1(width=0.75)",
    "mobilenet_wd2": "mobilenet-v1(width=0.5)",
    "mobilenet_wd4": "mobilenet-v1(width=0.25)",
    "resnet50": "resnet50",
    "resnet50b": 'resnet50(stride="3x3")',
}

OTHERS = [
    "pointwise",
    "naive",
    "reduced",
    "googlenet(aux=True)",
    "googlenet(bn=True)",
    "naive/branch5x5",
    "naive/concat",
    "factorized",
    "asymmetric",
    "expanded",
    "grid-reduction",
    "reduction-a",
    "reduction-b",
    'googlenet(stem="separable")',
    "googlenet(aux=True, ceil=False)",
    'bn-inception(reading="outputs", stem="separable", bias=False)',
    'inception-v2(stem="7x7")',
    'inception-v3(variant="paper", aux=True)',
    'inception-resnet-v2(variant="paper")',
    "inception-resnet-v1",
    "mobilenet-v1(separable=False)",
    "mobilenet-v1(shallow=True, width=0.5)",
    'vgg16(variant="C")',
    "vgg11(lrn=True)",
    "residual(scale=0.3)",
]


@pytest.mark.parametrize("model", PARAMS)
def test_parameters_are_the_published_ones(model: str) -> None:
    assert costlab.analyze(model).total.params == PARAMS[model]


@pytest.mark.parametrize("name", TRANSCRIBED)
def test_a_network_that_nobody_here_wrote_is_the_same(name: str) -> None:
    """Params, MACs by torch's counter, every contraction, and the stages in their order."""
    table = costlab.analyze(TRANSCRIBED[name])
    with torch.device("meta"):
        theirs: Any = get_model(name).eval()
        x = torch.empty(table.graph.inputs[0])
    contractions: Counter[Any] = Counter()
    stages: list[tuple[int, ...]] = []

    def contraction(module: Any, _: Any, output: torch.Tensor) -> None:
        stride = module.stride if isinstance(module, nn.Conv2d) else None
        contractions[tuple(module.weight.shape), stride, tuple(output.shape)] += 1

    for module in theirs.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.register_forward_hook(contraction)
    for stage in theirs.features.children():
        stage.register_forward_hook(lambda *args: stages.append(tuple(args[-1].shape)))
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        theirs(x)

    assert table.total.params == sum(p.numel() for p in theirs.parameters())
    assert 2 * table.total.macs == counter.get_total_flops()
    assert contractions == Counter(
        (
            tuple(module.weight.shape),
            module.stride if isinstance(module, nn.Conv2d) else None,
            row.output,
        )
        for row, module in modules(table)
    )
    ours = [row.output for row in table.rows]
    for stage in stages:  # each is somewhere in ours, after the one before
        while ours and ours[0] != stage:
            ours.pop(0)
        assert ours, (name, stage, stages)


def modules(table: costlab.CostTable) -> list[tuple[Any, Any]]:
    """Each row with a contraction, and the torch module that it builds."""
    with torch.device("meta"):
        return [(row, row.layer.op.module(*row.inputs)) for row in table.rows if row.contraction]


def test_every_architecture_is_found_in_its_file() -> None:
    names: dict[str, set[str]] = {}
    for name, entry in costlab.architectures().items():
        names.setdefault(entry.define.__module__.rpartition(".")[2], set()).add(name)
    assert {file: set(text.split()) for file, text in FILES.items()} == names


def test_every_architecture_is_checked() -> None:
    checked = {name.partition("(")[0] for name in [*PARAMS, *OTHERS]}
    assert set(costlab.architectures()) <= checked


CROSSCHECKED = [
    model
    for model in [*PARAMS, *OTHERS]
    # as published, costlab report runs them, and tests/docs reads the verdicts
    if model not in costlab.architectures()
    # the operations of vgg11(bn=True) again; torch's counter has counted them above
    and model not in ("vgg13(bn=True)", "vgg16(bn=True)", "vgg19(bn=True)")
]


@pytest.mark.parametrize(
    "model",
    sampled(
        CROSSCHECKED,
        "googlenet(aux=True, ceil=False)",
        'inception-v2(stem="7x7")',
        "mobilenet-v1(shallow=True, width=0.5)",
        "residual(scale=0.3)",
    ),
)
def test_other_counters_agree_on_each_layer_of_a_network(model: str) -> None:
    check = costlab.crosscheck(model)
    assert check.agrees, check.to_text(200)
    contractions = [row.path for row in check.table.rows if row.contraction]
    for counter in ("fvcore", "torch"):
        assert [each.path for each in check.of(counter, "agrees")] == contractions
    assert {each.verdict for each in check.of("module")} == {"agrees"}


@pytest.mark.parametrize("name", sorted(costlab.architectures()))
def test_every_variant_is_a_network_of_its_own(name: str) -> None:
    entry = costlab.architectures()[name]
    for choice, words in entry.variants.items():
        assert entry.choices[choice] in words
        tables = [costlab.analyze(f"{name}({choice}={word!r})") for word in words]
        for table, word in zip(tables, words, strict=True):
            assert f'Here {choice}="{word}": {words[word]} (also: ' in table.graph.about
        for one, other in pairwise(tables):
            assert one.rows != other.rows


def test_a_module_variant_gives_what_the_reduced_module_gives() -> None:
    comparison = costlab.compare("naive", "reduced", "factorized", trace=False)
    reduced, factorized = (table.graph.outputs for table in comparison.tables[1:])
    assert reduced == factorized
    five = [table.at("branch5x5").total.macs for table in comparison.tables]
    assert five == [
        28 * 28 * 32 * 25 * 192,
        28 * 28 * (16 * 192 + 32 * 25 * 16),
        28 * 28 * (16 * 192 + 24 * 9 * 16 + 32 * 9 * 24),
    ]


@pytest.mark.parametrize(
    ("model", "output"),
    [
        ("asymmetric", (1, 768, 17, 17)),
        ("expanded", (1, 2048, 8, 8)),
        ("residual", (1, 384, 35, 35)),
        ("grid-reduction", (1, 768, 17, 17)),
        ("reduction-a", (1, 1024, 17, 17)),
        ("reduction-b", (1, 1536, 8, 8)),
    ],
)
def test_a_module_alone_gives_the_papers_grid(model: str, output: tuple[int, ...]) -> None:
    assert costlab.analyze(model).graph.outputs == (output,)


def test_a_module_alone_is_the_one_in_its_network() -> None:
    for module, place in {
        "asymmetric": "inception-v3/inception_6b",
        "expanded": "inception-v3/inception_7b",
        "grid-reduction": "inception-v3/reduction_6a",
        "reduction-a": "inception-v4/reduction_a",
        "reduction-b": "inception-v4/reduction_b",
        "residual": 'inception-resnet-v2(variant="paper")/block_a1',
    }.items():
        assert costlab.analyze(module).rows == costlab.analyze(place).rows


def test_lenets_partial_connections_are_table_i() -> None:
    """1,516 params of C3: 6 maps read 3, 9 read 4, 1 reads 6."""
    rows = costlab.analyze("lenet5").at("c3").rows
    read = [row.inputs[0][1] for row in rows if row.label == "conv2d"]
    assert read == [3] * 6 + [4] * 9 + [6]
    assert sum(25 * n + 1 for n in read) == 1_516 == sum(row.params for row in rows)
    readers = Counter(c for row in rows if row.label == "select" for c in row.layer.op.channels)  # type: ignore[attr-defined]
    assert set(readers.values()) == {10}  # each map of S2 is read ten times


def test_pooling_that_rounds_down_gives_smaller_grids() -> None:
    """PaddleClas' GoogLeNet: a classifier of 1,152 features is 128 channels of 3×3, so of 13×13."""
    table = costlab.analyze("googlenet(aux=True, ceil=False)")
    grids = [table.at(f"pool{i}").graph.outputs[0][2:] for i in (1, 2, 3, 4)]
    assert grids == [(n, n) for n in (55, 27, 13, 6)]
    hidden = table.at("aux1").rows[4]
    assert (hidden.path, hidden.inputs) == ("hidden", ((1, 1152),))
    assert table.graph.outputs == ((1, 1000),) * 3


def test_the_resolution_multiplier_is_the_input() -> None:
    by_choice = costlab.analyze("mobilenet-v1(resolution=160)")
    assert by_choice.graph.inputs == ((1, 3, 160, 160),)
    assert by_choice.rows == costlab.analyze("mobilenet-v1", (1, 3, 160, 160)).rows
    with pytest.raises(costlab.ChoiceError, match="give it or an input size"):
        costlab.analyze("mobilenet-v1(resolution=160)", (1, 3, 160, 160))


def test_a_choice_that_is_a_number_takes_whole_ones_and_no_others_kinds() -> None:
    assert costlab.analyze("mobilenet-v1(width=1)").model == "mobilenet-v1"
    with pytest.raises(costlab.ChoiceError, match="takes a number"):
        costlab.analyze("mobilenet-v1", width=True)
    with pytest.raises(costlab.ChoiceError, match="is too large"):
        costlab.analyze("mobilenet-v1", width=float("nan"))
    for stranger in (torch.tensor(3), torch.eye(3).to_sparse(), object()):
        with pytest.raises(costlab.ChoiceError, match="takes a whole number, such as c5r=16, not"):
            costlab.analyze("reduced", c5r=stranger)


def test_an_unknown_variant_names_those_there_are() -> None:
    with pytest.raises(costlab.UnknownNameError, match="known are grouped, single-tower, ungroup"):
        costlab.analyze("alexnet", variant="two")


@pytest.mark.parametrize("width", [0.1, 0.35, 0.7])
def test_widths_are_exact_floors(width: float) -> None:
    """0.7 of 32 is 22.4 and 0.35 of 1024 358.4; binary fractions would not be exact."""
    first, *_, last = [
        row.output[1] for row in costlab.analyze("mobilenet-v1", width=width).rows if row.params
    ][:-1]
    tenths = round(width * 100)
    assert (first, last) == (max(8, 32 * tenths // 100), max(8, 1024 * tenths // 100))
