"""AlexNet."""

from __future__ import annotations

from costlab.catalog.blocks import conv
from costlab.catalog.registry import architecture
from costlab.graph import Edge, Net
from costlab.graph.op import Shape
from costlab.ops.dense import Linear
from costlab.ops.elementwise import ReLU
from costlab.ops.norm import LocalResponseNorm
from costlab.ops.pool import MaxPool
from costlab.ops.softmax import Softmax
from costlab.ops.zero_cost import Dropout, Flatten


def _input(variant: str = "grouped") -> Shape:
    side = 224 if variant == "single-tower" else 227
    return (1, 3, side, side)


@architecture(
    input=_input,
    summary="AlexNet",
    source="Krizhevsky, Sutskever and Hinton 2012, ImageNet Classification with Deep Convolutional "
    "Neural Networks, NIPS, Figure 2; single tower: Krizhevsky 2014, arXiv:1404.5997",
    variants={
        "variant": {
            "grouped": "the original for two GPUs, conv2, 4 and 5 in two groups, 227×227",
            "single-tower": "the one column of 2014, 64 to 256 channels, no LRN, 224×224",
            "ungrouped": "the original's widths without groups, 227×227",
        },
    },
)
def alexnet(net: Net, x: Edge, *, variant: str = "grouped", classes: int = 1000) -> Edge:
    """``[N, classes]`` from ``[N, C, H, W]``, probabilities.

    The paper says 224×224; its 11×11 with stride 4 gives the 55×55 that its widths speak of on
    227×227, or on 224×224 with padding 2, as in the single tower (torchvision's form).
    """
    single = variant == "single-tower"
    groups = 2 if variant == "grouped" else 1
    widths = (64, 192, 384, 256, 256) if single else (96, 256, 384, 384, 256)
    for number, channels in enumerate(widths, start=1):
        with net.scope(f"conv{number}"):
            if number == 1:
                x = conv(net, x, "conv", channels, 11, 4, 2 if single else 0, relu=True)
            else:
                kernel = 5 if number == 2 else 3
                split = 1 if number == 3 else groups
                x = conv(net, x, "conv", channels, kernel, 1, kernel // 2, groups=split, relu=True)
            if number < 3 and not single:
                x = net.add("norm", LocalResponseNorm(5, k=2.0), x)
        if number in (1, 2, 5):
            x = net.add(f"pool{number}", MaxPool(3, stride=2), x)
    x = net.add("flatten", Flatten(), x)
    for number in (6, 7):
        with net.scope(f"fc{number}"):
            x = net.add("dropout", Dropout(0.5), x)
            x = net.add("linear", Linear(4096), x)
            x = net.add("relu", ReLU(), x)
    with net.scope("fc8"):
        x = net.add("linear", Linear(classes), x)
    return net.add("softmax", Softmax(), x)
