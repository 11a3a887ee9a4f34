"""Building blocks of several architectures."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from costlab.graph import Edge, Net
from costlab.graph.arithmetic import Ratio, larger
from costlab.graph.op import Op
from costlab.ops.conv import Conv
from costlab.ops.elementwise import ReLU
from costlab.ops.norm import BatchNorm
from costlab.ops.spatial import Size
from costlab.ops.zero_cost import Concat, Dropout, Flatten

Unit: TypeAlias = Callable[..., Edge]
"""``conv`` with a network's own bias, batch norm and ReLU filled in."""

ConvStep: TypeAlias = tuple[int, Size, Size, Size]
"""A convolution of a branch: channels, kernel, stride, padding."""

Branch: TypeAlias = "list[ConvStep | list[ConvStep] | Op]"
"""Steps in a row. A list of steps is side by side on the same input, and joined."""


def conv(
    net: Net,
    x: Edge,
    name: str,
    channels: int,
    kernel: Size,
    stride: Size = 1,
    padding: Size = 0,
    *,
    groups: int = 1,
    bias: bool = True,
    bn: bool = False,
    relu: bool = False,
    eps: float = 1e-5,
) -> Edge:
    """A convolution and what follows it, as sibling layers.

    ``name="conv"`` gives the layers ``conv``, ``bn`` and ``relu``, any other name, such as
    ``reduce``, gives ``reduce``, ``reduce_bn`` and ``reduce_relu``.
    """
    after = "" if name == "conv" else f"{name}_"
    x = net.add(name, Conv(channels, kernel, stride, padding, groups=groups, bias=bias), x)
    if bn:
        x = net.add(f"{after}bn", BatchNorm(eps), x)
    if relu:
        x = net.add(f"{after}relu", ReLU(), x)
    return x


def widened(channels: int, width: Ratio, least: int = 1) -> int:
    """Channels times a width multiplier, rounded down, at least ``least``."""
    return larger(least, width.of(channels))


def same(channels: int, kernel: Size, stride: Size = 1) -> ConvStep:
    """A convolution with an odd kernel, padded so that stride 1 keeps the size."""
    padding = tuple(k // 2 for k in kernel) if isinstance(kernel, tuple) else kernel // 2
    return (channels, kernel, stride, padding)


def valid(channels: int, kernel: Size, stride: Size = 1) -> ConvStep:
    """A convolution without padding, which the Inception papers mark with V."""
    return (channels, kernel, stride, 0)


def branch(net: Net, x: Edge, unit: Unit, name: str, steps: Branch) -> Edge:
    """One scope: ``conv`` if it has one convolution, else ``conv1``, ``conv2``...; and ``pool``."""
    convs = sum(not isinstance(step, Op) for step in steps)
    number = 0
    with net.scope(name):
        for step in steps:
            if isinstance(step, Op):
                x = net.add("pool", step, x)
                continue
            number += 1
            here = "conv" if convs == 1 else f"conv{number}"
            if isinstance(step, list):
                fork = [
                    unit(net, x, f"{here}{letter}", *settings)
                    for letter, settings in zip("abc", step, strict=False)
                ]
                x = net.add("concat", Concat(), *fork)
            else:
                x = unit(net, x, here, *step)
    return x


def parallel(net: Net, x: Edge, unit: Unit, branches: dict[str, Branch]) -> Edge:
    """Branches on the same input, their outputs concatenated: an Inception module."""
    ends = [branch(net, x, unit, name, steps) for name, steps in branches.items()]
    return net.add("concat", Concat(), *ends)


def head(net: Net, x: Edge, classes: int, dropout: float = 0.0) -> Edge:
    """``[N, classes]`` from ``[N, C, H, W]``: global average, dropout, linear, softmax."""
    # A module of a network does not wait for what only whole networks have.
    from costlab.ops.adaptive_pool import AdaptiveAvgPool
    from costlab.ops.dense import Linear
    from costlab.ops.softmax import Softmax

    x = net.add("avgpool", AdaptiveAvgPool(1), x)
    x = net.add("flatten", Flatten(), x)
    if dropout:
        x = net.add("dropout", Dropout(dropout), x)
    x = net.add("linear", Linear(classes), x)
    return net.add("softmax", Softmax(), x)
