"""The figures that costlab must reach, with their arithmetic; the published ones have a source."""

from __future__ import annotations

import pytest

import costlab

FIGURES = [
    # 6×6 places, 2 filters of 1×1×32
    ("pointwise", 6 * 6 * 2 * 32, 32 * 2 + 2),
    # "about 120M" and "about 12.4M" multiplications of the 5×5 branch
    ("naive/branch5x5", (28 * 28 * 32) * (5 * 5 * 192), 5 * 5 * 192 * 32 + 32 + 2 * 32),
    (
        "reduced/branch5x5",
        (28 * 28 * 16) * (1 * 1 * 192) + (28 * 28 * 32) * (5 * 5 * 16),
        192 * 16 + 16 + 2 * 16 + 5 * 5 * 16 * 32 + 32 + 2 * 32,
    ),
    ("naive", 28 * 28 * 192 * (64 + 3 * 3 * 128 + 5 * 5 * 32), 387_744),
    (
        "reduced",
        28 * 28 * (192 * (64 + 96 + 16 + 32) + 3 * 3 * 96 * 128 + 5 * 5 * 16 * 32),
        164_432,
    ),
    ("googlenet/inception_3a", 128_049_152, 163_696),
    # Szegedy et al. 2014, Table 1, with a plain 7×7 as its first layer
    ("googlenet", 1_582_671_872, 6_998_552),
    # 5×5/3 pooling to 4×4, 1×1×128, linear 2048 → 1024 → 1000
    (
        "googlenet(aux=True)/aux1",
        4 * 4 * 128 * 512 + 2048 * 1024 + 1024 * 1000,
        512 * 128 + 128 + 2049 * 1024 + 1025 * 1000,
    ),
    (
        "googlenet(aux=True)/aux2",
        4 * 4 * 128 * 528 + 2048 * 1024 + 1024 * 1000,
        528 * 128 + 128 + 2049 * 1024 + 1025 * 1000,
    ),
    # batch norm: 2 params for each of the 7,280 channels, in place of a bias
    ("googlenet(bn=True)", 1_582_671_872, 6_998_552 + 7_280),
]


@pytest.mark.parametrize(("model", "macs", "params"), FIGURES)
def test_macs_and_params_are_those_of_the_arithmetic(model: str, macs: int, params: int) -> None:
    total = costlab.analyze(model).total
    assert (total.macs, total.params) == (macs, params)
    assert type(total.macs) is int
    assert type(total.params) is int


def test_the_arithmetic_gives_the_figures_as_printed() -> None:
    at = {model: (macs, params) for model, macs, params in FIGURES}
    assert at["pointwise"][0] == 2_304
    assert at["naive/branch5x5"][0] == 120_422_400
    assert at["reduced/branch5x5"][0] == 12_443_648 == 10_035_200 + 2_408_448
    assert at["naive"][0] == 303_464_448
    assert at["reduced"][0] == 128_049_152
    assert at["googlenet(aux=True)/aux1"] == (4_169_728, 3_188_840)
    assert at["googlenet(aux=True)/aux2"] == (4_202_496, 3_190_888)


@pytest.mark.parametrize(
    ("model", "output"),
    [
        ("pointwise", ((1, 2, 6, 6),)),
        ("naive", ((1, 416, 28, 28),)),
        ("reduced", ((1, 256, 28, 28),)),
        ("googlenet", ((1, 1000),)),
        ("googlenet(aux=True)", ((1, 1000),) * 3),
    ],
)
def test_output_shapes_of_the_models_of_the_main_job(
    model: str, output: tuple[tuple[int, ...], ...]
) -> None:
    assert costlab.analyze(model).graph.outputs == output


# Szegedy et al. 2014, Table 1, column "output size", as height × width × channels.
TABLE_1 = {
    "conv1": (112, 112, 64),
    "pool1": (56, 56, 64),
    "conv2": (56, 56, 192),
    "pool2": (28, 28, 192),
    "inception_3a": (28, 28, 256),
    "inception_3b": (28, 28, 480),
    "pool3": (14, 14, 480),
    "inception_4a": (14, 14, 512),
    "inception_4b": (14, 14, 512),
    "inception_4c": (14, 14, 512),
    "inception_4d": (14, 14, 528),
    "inception_4e": (14, 14, 832),
    "pool4": (7, 7, 832),
    "inception_5a": (7, 7, 832),
    "inception_5b": (7, 7, 1024),
    "avgpool": (1, 1, 1024),
}


@pytest.mark.parametrize("stage", TABLE_1)
def test_googlenet_stages_have_the_papers_sizes(stage: str) -> None:
    height, width, channels = TABLE_1[stage]
    graph = costlab.analyze("googlenet").at(stage).graph
    assert graph.outputs == ((1, channels, height, width),)


def test_googlenet_is_as_deep_as_the_paper_says() -> None:
    """Section 5: 22 layers with parameters on the longest path, and nine modules."""
    table = costlab.analyze("googlenet")
    deepest = [0] * len(table.graph.values)
    for row in table.rows:
        before = max(deepest[number] for number in row.layer.operands)
        deepest[row.layer.results[0]] = before + bool(row.params)
    assert deepest[table.graph.returns[0]] == 22
    assert sum(path.startswith("inception_") for path in TABLE_1) == 9


def test_local_response_norm_goes_with_batch_norm() -> None:
    plain = {row.label for row in costlab.analyze("googlenet").rows}
    normed = {row.label for row in costlab.analyze("googlenet", bn=True).rows}
    assert {"lrn", "batch_norm"} & plain == {"lrn"}
    assert {"lrn", "batch_norm"} & normed == {"batch_norm"}


def test_choices_by_keyword_and_in_the_name_are_the_same() -> None:
    assert costlab.analyze("googlenet(classes=1000)").model == "googlenet"
    by_name = costlab.analyze("reduced(c5r=24)")
    by_keyword = costlab.analyze("reduced", c5r=24)
    assert by_name.graph == by_keyword.graph
    assert by_name.model == "reduced(c5r=24)"
    assert by_name.total.macs == 128_049_152 + 28 * 28 * 8 * (192 + 5 * 5 * 32)
