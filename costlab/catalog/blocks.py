"""What several architectures are made of."""

from __future__ import annotations

from costlab.graph import Net, Value
from costlab.ops.conv import Conv
from costlab.ops.elementwise import ReLU
from costlab.ops.norm import BatchNorm
from costlab.ops.spatial import Size


def conv(
    net: Net,
    x: Value,
    name: str,
    channels: int,
    kernel: Size,
    stride: Size = 1,
    padding: Size = 0,
    *,
    bias: bool = True,
    bn: bool = False,
    relu: bool = False,
    eps: float = 1e-5,
) -> Value:
    """A convolution and what follows it, as sibling layers.

    ``name="conv"`` gives the layers ``conv``, ``bn`` and ``relu``, any other name, such as
    ``reduce``, gives ``reduce``, ``reduce_bn`` and ``reduce_relu``.
    """
    after = "" if name == "conv" else f"{name}_"
    x = net.add(name, Conv(channels, kernel, stride, padding, bias=bias), x)
    if bn:
        x = net.add(f"{after}bn", BatchNorm(eps), x)
    if relu:
        x = net.add(f"{after}relu", ReLU(), x)
    return x
