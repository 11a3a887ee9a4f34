"""Xception: depthwise separable convolutions with residual connections."""

from __future__ import annotations

from functools import partial

from costlab.catalog.blocks import conv, head
from costlab.catalog.registry import architecture
from costlab.graph import Edge, Net
from costlab.ops.broadcast import Add
from costlab.ops.conv import Conv
from costlab.ops.elementwise import ReLU
from costlab.ops.norm import BatchNorm
from costlab.ops.pool import MaxPool

unit = partial(conv, bias=False, bn=True)


@architecture(
    input=(1, 3, 299, 299),
    summary="Xception, with about as many params as Inception-v3",
    source="Chollet 2016, Xception, arXiv:1610.02357, Figure 5",
)
def xception(net: Net, x: Edge, *, classes: int = 1000) -> Edge:
    """``[N, classes]`` from ``[N, C, H, W]``, probabilities.

    A separable convolution is a depthwise 3×3 and a 1×1, nothing between them, and batch norm after
    both. No convolution has a bias.
    """
    x = unit(net, x, "conv1", 32, 3, 2, relu=True)
    x = unit(net, x, "conv2", 64, 3, relu=True)
    for i, width in enumerate((128, 256, 728), start=1):
        x = _down(net, x, f"entry{i}", (width, width), relu=i > 1)
    for i in range(1, 9):
        with net.scope(f"middle{i}"):
            y = x
            for j in (1, 2, 3):
                y = net.add(f"relu{j}", ReLU(), y)
                y = _separable(net, y, f"separable{j}", 728)
            x = net.add("add", Add(), x, y)
    x = _down(net, x, "exit", (728, 1024))
    for name, width in (("separable1", 1536), ("separable2", 2048)):
        x = _separable(net, x, name, width)
        x = net.add(f"{name}_relu", ReLU(), x)
    return head(net, x, classes)


def _down(net: Net, x: Edge, name: str, widths: tuple[int, int], relu: bool = True) -> Edge:
    """Two separable convolutions and a pooling with stride 2, beside a 1×1 with stride 2."""
    with net.scope(name):
        y = x
        for j, width in enumerate(widths, start=1):
            if relu or j > 1:
                y = net.add(f"relu{j}", ReLU(), y)
            y = _separable(net, y, f"separable{j}", width)
        y = net.add("pool", MaxPool(3, stride=2, padding=1), y)
        x = unit(net, x, "shortcut", widths[1], 1, 2)
        return net.add("add", Add(), x, y)


def _separable(net: Net, x: Edge, name: str, width: int) -> Edge:
    with net.scope(name):
        depth = x.shape[1]
        x = net.add("depthwise", Conv(depth, 3, padding=1, groups=depth, bias=False), x)
        x = net.add("pointwise", Conv(width, 1, bias=False), x)
        return net.add("bn", BatchNorm(1e-3), x)
