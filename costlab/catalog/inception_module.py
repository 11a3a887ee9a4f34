"""The Inception module, alone on 28×28×192, as GoogLeNet's inception (3a) meets it."""

from __future__ import annotations

from functools import partial

from costlab.catalog.blocks import conv
from costlab.catalog.registry import architecture
from costlab.graph import Edge, Net
from costlab.ops.pool import MaxPool
from costlab.ops.zero_cost import Concat

SOURCE = "Szegedy et al. 2014, Going Deeper with Convolutions, arXiv:1409.4842"


@architecture(
    input=(1, 32, 6, 6),
    summary="A 1×1 convolution: 6×6×32 through two 1×1×32 filters to 6×6×2",
    source="Lin et al. 2013, Network In Network, arXiv:1312.4400",
)
def pointwise(net: Net, x: Edge, *, c: int = 2) -> Edge:
    """``[N, c, H, W]`` from ``[N, C, H, W]``: c weighted sums over the channels at each place."""
    return conv(net, x, "conv", c, 1)


@architecture(
    input=(1, 192, 28, 28),
    summary="Naive Inception module: 1×1, 3×3, 5×5 and pooling; batch norm, no ReLU",
    source=f"{SOURCE}, Figure 2(a), with the widths of inception (3a)",
)
def naive(net: Net, x: Edge, *, c1: int = 64, c3: int = 128, c5: int = 32) -> Edge:
    """``[N, c1 + c3 + c5 + C, H, W]`` from ``[N, C, H, W]``: the pooled input is passed on whole.

    c1, c3 and c5 are the widths of the 1×1, 3×3 and 5×5. Each convolution has a bias and is
    followed by batch norm, without ReLU.
    """
    with net.scope("branch1x1"):
        a = conv(net, x, "conv", c1, 1, bn=True)
    with net.scope("branch3x3"):
        b = conv(net, x, "conv", c3, 3, padding=1, bn=True)
    with net.scope("branch5x5"):
        c = conv(net, x, "conv", c5, 5, padding=2, bn=True)
    with net.scope("branchpool"):
        d = net.add("pool", MaxPool(3, stride=1, padding=1), x)
    return net.add("concat", Concat(), a, b, c, d)


@architecture(
    input=(1, 192, 28, 28),
    summary="Inception module with 1×1 reductions; batch norm, no ReLU",
    source=f"{SOURCE}, Figure 2(b), with the widths of inception (3a)",
)
def reduced(
    net: Net,
    x: Edge,
    *,
    c1: int = 64,
    c3r: int = 96,
    c3: int = 128,
    c5r: int = 16,
    c5: int = 32,
    cp: int = 32,
) -> Edge:
    """``[N, c1 + c3 + c5 + cp, H, W]`` from ``[N, C, H, W]``.

    c1, c3 and c5 are the widths of the 1×1, 3×3 and 5×5; c3r and c5r those of the 1×1 reductions
    before them; cp that of the 1×1 projection after the pooling. Each convolution has a bias and is
    followed by batch norm, without ReLU, as in ``naive``.
    """
    return inception(net, x, c1, c3r, c3, c5r, c5, cp, bn=True)


@architecture(
    input=(1, 192, 28, 28),
    summary="Reduced Inception module, its 5×5 as two 3×3; batch norm, no ReLU",
    source="Szegedy et al. 2015, Rethinking the Inception Architecture, arXiv:1512.00567, Figure 5",
)
def factorized(
    net: Net,
    x: Edge,
    *,
    c1: int = 64,
    c3r: int = 96,
    c3: int = 128,
    c5r: int = 16,
    c5m: int = 24,
    c5: int = 32,
    cp: int = 32,
) -> Edge:
    """``[N, c1 + c3 + c5 + cp, H, W]`` from ``[N, C, H, W]``: ``reduced`` with another 5×5 branch.

    Its 3×3 convolutions have c5m and c5 outputs and see together what a 5×5 sees. Section 3.1 asks
    for the growth from c5r to c5 in two equal steps: 16·√2 = 22.6, here the 24 next to it.
    """
    unit = partial(conv, bn=True)
    with net.scope("branch1x1"):
        a = unit(net, x, "conv", c1, 1)
    with net.scope("branch3x3"):
        b = unit(net, x, "reduce", c3r, 1)
        b = unit(net, b, "conv", c3, 3, padding=1)
    with net.scope("branch5x5"):
        c = unit(net, x, "reduce", c5r, 1)
        c = unit(net, c, "conv1", c5m, 3, padding=1)
        c = unit(net, c, "conv2", c5, 3, padding=1)
    with net.scope("branchpool"):
        d = net.add("pool", MaxPool(3, stride=1, padding=1), x)
        d = unit(net, d, "project", cp, 1)
    return net.add("concat", Concat(), a, b, c, d)


def inception(
    net: Net,
    x: Edge,
    c1: int,
    c3r: int,
    c3: int,
    c5r: int,
    c5: int,
    cp: int,
    *,
    k5: int = 5,
    bias: bool = True,
    bn: bool = False,
    relu: bool = False,
    eps: float = 1e-5,
) -> Edge:
    """The module with dimension reductions, its widths in the order of Table 1's columns.

    ``[N, c1 + c3 + c5 + cp, H, W]`` from ``[N, C, H, W]``. ``k5`` is the kernel of the 5×5 branch.
    """
    unit = partial(conv, bias=bias, bn=bn, relu=relu, eps=eps)
    with net.scope("branch1x1"):
        a = unit(net, x, "conv", c1, 1)
    with net.scope("branch3x3"):
        b = unit(net, x, "reduce", c3r, 1)
        b = unit(net, b, "conv", c3, 3, padding=1)
    with net.scope("branch5x5"):
        c = unit(net, x, "reduce", c5r, 1)
        c = unit(net, c, "conv", c5, k5, padding=k5 // 2)
    with net.scope("branchpool"):
        d = net.add("pool", MaxPool(3, stride=1, padding=1), x)
        d = unit(net, d, "project", cp, 1)
    return net.add("concat", Concat(), a, b, c, d)
