"""Inception-v4 and its grid reductions."""

from __future__ import annotations

from functools import partial

from costlab.catalog.blocks import Branch, branch, conv, head, parallel, same, valid
from costlab.catalog.registry import architecture
from costlab.graph import Edge, Net
from costlab.ops.pool import AvgPool, MaxPool
from costlab.ops.zero_cost import Concat

SOURCE = "Szegedy et al. 2016, Inception-v4, Inception-ResNet, arXiv:1602.07261"

unit = partial(conv, bias=False, bn=True, relu=True, eps=1e-3)
WIDE, TALL = (1, 7), (7, 1)


@architecture(
    input=(1, 384, 35, 35),
    summary="Reduction-A, from a 35×35 grid to 17×17",
    source=f"{SOURCE}, Figure 7 and Table 1",
)
def reduction_a(
    net: Net,
    x: Edge,
    *,
    k: int = 192,
    l: int = 224,  # noqa: E741
    m: int = 256,
    n: int = 384,
) -> Edge:
    """``[N, n + m + C, H', W']`` from ``[N, C, H, W]``, H' = (H - 1) // 2, batch norm, ReLU.

    k, l, m and n are Table 1's names; the defaults are Inception-v4's. Inception-ResNet-v1 has
    192, 192, 256, 384 and v2 256, 256, 384, 384.
    """
    return parallel(net, x, unit, reduction(k, l, m, n))


@architecture(
    input=(1, 1024, 17, 17),
    summary="Reduction-B of Inception-v4, from a 17×17 grid to 8×8",
    source=f"{SOURCE}, Figure 8",
)
def reduction_b(net: Net, x: Edge) -> Edge:
    """``[N, 512 + C, H', W']`` from ``[N, C, H, W]``, H' = (H - 1) // 2, batch norm, ReLU."""
    return parallel(net, x, unit, REDUCTION_B)


@architecture(
    input=(1, 3, 299, 299),
    summary="Inception-v4",
    source=f"{SOURCE}, Figures 3 to 9",
)
def inception_v4(net: Net, x: Edge, *, classes: int = 1000) -> Edge:
    """``[N, classes]`` from ``[N, C, H, W]``, probabilities."""
    x = stem(net, x)
    for i in range(4):
        with net.scope(f"inception_a{i + 1}"):
            x = parallel(net, x, unit, INCEPTION_A)
    with net.scope("reduction_a"):
        x = parallel(net, x, unit, reduction(192, 224, 256, 384))
    for i in range(7):
        with net.scope(f"inception_b{i + 1}"):
            x = parallel(net, x, unit, INCEPTION_B)
    with net.scope("reduction_b"):
        x = parallel(net, x, unit, REDUCTION_B)
    for i in range(3):
        with net.scope(f"inception_c{i + 1}"):
            x = parallel(net, x, unit, INCEPTION_C)
    return head(net, x, classes, dropout=0.2)


def stem(net: Net, x: Edge) -> Edge:
    """``[N, 384, 35, 35]`` from ``[N, 3, 299, 299]``: Figure 3, also of Inception-ResNet-v2."""
    x = unit(net, x, "conv1", 32, 3, 2)
    x = unit(net, x, "conv2", 32, 3)
    x = unit(net, x, "conv3", 64, 3, 1, 1)
    with net.scope("mixed1"):
        pooled = branch(net, x, unit, "branchpool", [MaxPool(3, stride=2)])
        x = branch(net, x, unit, "branch3x3", [valid(96, 3, 2)])
        x = net.add("concat", Concat(), pooled, x)
    with net.scope("mixed2"):
        long: Branch = [same(64, 1), same(64, WIDE), same(64, TALL), valid(96, 3)]
        x = parallel(net, x, unit, {"branch3x3": [same(64, 1), valid(96, 3)], "branch7x7": long})
    with net.scope("mixed3"):
        last: Branch = [valid(192, 3, 2)]
        return parallel(net, x, unit, {"branch3x3": last, "branchpool": [MaxPool(3, stride=2)]})


def reduction(k: int, l: int, m: int, n: int) -> dict[str, Branch]:  # noqa: E741
    """Figure 7."""
    return {
        "branch3x3": [valid(n, 3, 2)],
        "branch3x3double": [same(k, 1), same(l, 3), valid(m, 3, 2)],
        "branchpool": [MaxPool(3, stride=2)],
    }


INCEPTION_A: dict[str, Branch] = {  # Figure 4
    "branch1x1": [same(96, 1)],
    "branch3x3": [same(64, 1), same(96, 3)],
    "branch3x3double": [same(64, 1), same(96, 3), same(96, 3)],
    "branchpool": [AvgPool(3, stride=1, padding=1), same(96, 1)],
}
INCEPTION_B: dict[str, Branch] = {  # Figure 5
    "branch1x1": [same(384, 1)],
    "branch7x7": [same(192, 1), same(224, WIDE), same(256, TALL)],
    "branch7x7double": [
        same(192, 1),
        same(192, TALL),
        same(224, WIDE),
        same(224, TALL),
        same(256, WIDE),
    ],
    "branchpool": [AvgPool(3, stride=1, padding=1), same(128, 1)],
}
REDUCTION_B: dict[str, Branch] = {  # Figure 8
    "branch3x3": [same(192, 1), valid(192, 3, 2)],
    "branch7x7": [same(256, 1), same(256, WIDE), same(320, TALL), valid(320, 3, 2)],
    "branchpool": [MaxPool(3, stride=2)],
}
_FORK = [same(256, (1, 3)), same(256, (3, 1))]
INCEPTION_C: dict[str, Branch] = {  # Figure 6
    "branch1x1": [same(256, 1)],
    "branch3x3": [same(384, 1), _FORK],
    "branch3x3double": [same(384, 1), same(448, (3, 1)), same(512, (1, 3)), _FORK],
    "branchpool": [AvgPool(3, stride=1, padding=1), same(256, 1)],
}
