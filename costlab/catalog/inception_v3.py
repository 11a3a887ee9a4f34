"""Inception-v2 and v3 of "Rethinking the Inception Architecture", and their modules."""

from __future__ import annotations

from functools import partial

from costlab.catalog.blocks import Branch, conv, head, parallel, same, valid
from costlab.catalog.registry import architecture
from costlab.graph import Edge, Net
from costlab.ops.adaptive_pool import AdaptiveAvgPool
from costlab.ops.dense import Linear
from costlab.ops.pool import AvgPool, MaxPool
from costlab.ops.softmax import Softmax
from costlab.ops.zero_cost import Flatten

SOURCE = "Szegedy et al. 2015, Rethinking the Inception Architecture, arXiv:1512.00567"
RELEASED = "TF-Slim and torchvision inception_v3"

unit = partial(conv, bias=False, bn=True, relu=True, eps=1e-3)


@architecture(
    input=(1, 768, 17, 17),
    summary="Inception module with 7×7 as 1×7 and 7×1, for grids of 12 to 20",
    source=f"{SOURCE}, Figure 6; widths of {RELEASED}, Mixed_6b",
)
def asymmetric(
    net: Net, x: Edge, *, c1: int = 192, c7r: int = 128, c7: int = 192, cp: int = 192
) -> Edge:
    """``[N, c1 + 2·c7 + cp, H, W]`` from ``[N, C, H, W]``, with batch norm and ReLU.

    c7r is the width inside the two branches of 1×7 and 7×1, c7 that of their ends.
    """
    return parallel(net, x, unit, _asymmetric(c1, c7r, c7, cp))


@architecture(
    input=(1, 1280, 8, 8),
    summary="Inception module with 1×3 and 3×1 side by side, for the coarsest grid",
    source=f"{SOURCE}, Figure 7; widths of {RELEASED}, Mixed_7b",
)
def expanded(
    net: Net,
    x: Edge,
    *,
    c1: int = 320,
    c3r: int = 384,
    cdr: int = 448,
    c3: int = 384,
    cp: int = 192,
) -> Edge:
    """``[N, c1 + 4·c3 + cp, H, W]`` from ``[N, C, H, W]``, with batch norm and ReLU.

    c3 is the width of each 1×3 and 3×1; c3r and cdr those of the 1×1 before the single and the
    double branch.
    """
    return parallel(net, x, unit, _expanded(c1, c3r, cdr, c3, cp))


@architecture(
    input=(1, 288, 35, 35),
    summary="Grid reduction of Inception-v3: convolutions and pooling with stride 2, side by side",
    source=f"{SOURCE}, Figure 10; widths of {RELEASED}, Mixed_6a",
)
def grid_reduction(net: Net, x: Edge, *, c3: int = 384, cdr: int = 64, cd: int = 96) -> Edge:
    """``[N, c3 + cd + C, H', W']`` from ``[N, C, H, W]``, H' = (H - 1) // 2, batch norm, ReLU."""
    return parallel(net, x, unit, _reduction(c3, cdr, cd))


@architecture(
    input=(1, 3, 299, 299),
    summary="Inception-v2 of the v3 paper (TF-Slim's inception_v2 is bn-inception)",
    source=f"{SOURCE}, Table 1 and Figures 5 to 7, 10; widths of {RELEASED}",
    variants={
        "stem": {
            "3x3": "the 7×7 factorized into three 3×3, as Table 1 lists them",
            "7x7": "a 7×7 first convolution as in GoogLeNet, before that change",
        },
    },
)
def inception_v2(net: Net, x: Edge, *, stem: str = "3x3", classes: int = 1000) -> Edge:
    """``[N, classes]`` from ``[N, C, H, W]``, probabilities.

    Table 1 gives grids and their channels, not the widths inside the modules; those are of the
    released Inception-v3, with two 3×3 in place of its 5×5 (Figure 5). ``stem="7x7"`` is a reading
    of Table 3's first Inception-v2, which the paper does not spell out: 7×7/2, pool, 1×1, 3×3,
    pool.
    """
    if stem == "7x7":
        x = unit(net, x, "conv1", 64, 7, 2)
        x = net.add("pool1", MaxPool(3, stride=2), x)
        x = unit(net, x, "conv2", 64, 1)
        x = unit(net, x, "conv3", 192, 3)
        x = net.add("pool2", MaxPool(3, stride=2), x)
    else:
        x = _paper_stem(net, x)
    return head(net, _body(net, x, _figure_5)[0], classes, dropout=0.2)


@architecture(
    input=(1, 3, 299, 299),
    summary="Inception-v3",
    source=f"{SOURCE}, section 6; {RELEASED}",
    variants={
        "variant": {
            "released": "1×1 to 80 and a second pooling in the stem, 5×5 in the first modules",
            "paper": "Table 1's stem of 3×3 convolutions, two 3×3 in the first modules",
        },
    },
)
def inception_v3(
    net: Net, x: Edge, *, variant: str = "released", aux: bool = False, classes: int = 1000
) -> Edge | tuple[Edge, ...]:
    """``[N, classes]`` from ``[N, C, H, W]``, probabilities.

    ``aux`` adds the auxiliary classifier on the last 17×17 grid: outputs (main, auxiliary). The
    paper's network is ``inception-v2`` with batch norm in that classifier.
    """
    if variant == "paper":
        x = _paper_stem(net, x)
    else:
        x = unit(net, x, "conv1", 32, 3, 2)
        x = unit(net, x, "conv2", 32, 3)
        x = unit(net, x, "conv3", 64, 3, 1, 1)
        x = net.add("pool1", MaxPool(3, stride=2), x)
        x = unit(net, x, "conv4", 80, 1)
        x = unit(net, x, "conv5", 192, 3)
        x = net.add("pool2", MaxPool(3, stride=2), x)
    x, before = _body(net, x, _figure_5 if variant == "paper" else _figure_4)
    extra = []
    if aux:
        with net.scope("aux"):
            extra.append(_auxiliary(net, before, classes))
    return head(net, x, classes, dropout=0.5), *extra


def _paper_stem(net: Net, x: Edge) -> Edge:
    """``[N, 288, 35, 35]`` from ``[N, 3, 299, 299]``: the first rows of Table 1."""
    x = unit(net, x, "conv1", 32, 3, 2)
    x = unit(net, x, "conv2", 32, 3)
    x = unit(net, x, "conv3", 64, 3, 1, 1)
    x = net.add("pool1", MaxPool(3, stride=2), x)
    x = unit(net, x, "conv4", 80, 3)
    x = unit(net, x, "conv5", 192, 3, 2)
    return unit(net, x, "conv6", 288, 3, 1, 1)


def _body(net: Net, x: Edge, first: partial[dict[str, Branch]]) -> tuple[Edge, Edge]:
    """The modules: the last 8×8 grid, and the last 17×17 before it."""
    modules: dict[str, dict[str, Branch]] = {
        "inception_5b": first(32),
        "inception_5c": first(64),
        "inception_5d": first(64),
        "reduction_6a": _reduction(384, 64, 96),
        "inception_6b": _asymmetric(192, 128, 192, 192),
        "inception_6c": _asymmetric(192, 160, 192, 192),
        "inception_6d": _asymmetric(192, 160, 192, 192),
        "inception_6e": _asymmetric(192, 192, 192, 192),
        "reduction_7a": {
            "branch3x3": [same(192, 1), valid(320, 3, 2)],
            "branch7x7x3": [same(192, 1), same(192, (1, 7)), same(192, (7, 1)), valid(192, 3, 2)],
            "branchpool": [MaxPool(3, stride=2)],
        },
        "inception_7b": _expanded(320, 384, 448, 384, 192),
        "inception_7c": _expanded(320, 384, 448, 384, 192),
    }
    before = x
    for name, branches in modules.items():
        if name == "reduction_7a":
            before = x
        with net.scope(name):
            x = parallel(net, x, unit, branches)
    return x, before


def _first(cp: int, *, five: Branch) -> dict[str, Branch]:
    """A module on the 35×35 grid; ``five`` stands where GoogLeNet has its 5×5."""
    return {
        "branch1x1": [same(64, 1)],
        "branch5x5": [same(48, 1), *five],
        "branch3x3double": [same(64, 1), same(96, 3), same(96, 3)],
        "branchpool": [AvgPool(3, stride=1, padding=1), same(cp, 1)],
    }


_figure_4 = partial(_first, five=[same(64, 5)])
_figure_5 = partial(_first, five=[same(64, 3)])


def _asymmetric(c1: int, c7r: int, c7: int, cp: int) -> dict[str, Branch]:
    """Figure 6, n = 7."""
    wide, tall = (1, 7), (7, 1)
    return {
        "branch1x1": [same(c1, 1)],
        "branch7x7": [same(c7r, 1), same(c7r, wide), same(c7, tall)],
        "branch7x7double": [
            same(c7r, 1),
            same(c7r, tall),
            same(c7r, wide),
            same(c7r, tall),
            same(c7, wide),
        ],
        "branchpool": [AvgPool(3, stride=1, padding=1), same(cp, 1)],
    }


def _expanded(c1: int, c3r: int, cdr: int, c3: int, cp: int) -> dict[str, Branch]:
    """Figure 7."""
    fork = [same(c3, (1, 3)), same(c3, (3, 1))]
    return {
        "branch1x1": [same(c1, 1)],
        "branch3x3": [same(c3r, 1), fork],
        "branch3x3double": [same(cdr, 1), same(c3, 3), fork],
        "branchpool": [AvgPool(3, stride=1, padding=1), same(cp, 1)],
    }


def _reduction(c3: int, cdr: int, cd: int) -> dict[str, Branch]:
    """Figure 10."""
    return {
        "branch3x3": [valid(c3, 3, 2)],
        "branch3x3double": [same(cdr, 1), same(cd, 3), valid(cd, 3, 2)],
        "branchpool": [MaxPool(3, stride=2)],
    }


def _auxiliary(net: Net, x: Edge, classes: int) -> Edge:
    """``[N, classes]``, for training only."""
    x = net.add("avgpool", AvgPool(5, stride=3), x)
    x = unit(net, x, "conv1", 128, 1)
    x = unit(net, x, "conv2", 768, 5)
    x = net.add("pool", AdaptiveAvgPool(1), x)
    x = net.add("flatten", Flatten(), x)
    x = net.add("linear", Linear(classes), x)
    return net.add("softmax", Softmax(), x)
