"""VGG: convolutions of 3×3 only."""

from __future__ import annotations

from costlab.catalog.blocks import conv
from costlab.catalog.registry import architecture
from costlab.graph import Edge, Net
from costlab.ops.dense import Linear
from costlab.ops.elementwise import ReLU
from costlab.ops.norm import LocalResponseNorm
from costlab.ops.pool import MaxPool
from costlab.ops.softmax import Softmax
from costlab.ops.zero_cost import Dropout, Flatten

INPUT = (1, 3, 224, 224)
SOURCE = "Simonyan and Zisserman 2014, Very Deep Convolutional Networks, arXiv:1409.1556, Table 1"

# Table 1: kernels of the convolutions of each stage.
A = ((3,), (3,), (3, 3), (3, 3), (3, 3))
B = ((3, 3),) * 5
C = ((3, 3), (3, 3), (3, 3, 1), (3, 3, 1), (3, 3, 1))
D = ((3, 3), (3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3))
E = ((3, 3), (3, 3), (3,) * 4, (3,) * 4, (3,) * 4)


@architecture(input=INPUT, summary="VGG-11, configuration A", source=SOURCE)
def vgg11(net: Net, x: Edge, *, bn: bool = False, lrn: bool = False, classes: int = 1000) -> Edge:
    """``[N, classes]`` from ``[N, C, H, W]``, probabilities.

    ``bn`` adds batch norm after each convolution, which keeps its bias; ``lrn`` adds local response
    normalisation after the first, the paper's A-LRN.
    """
    return _vgg(net, x, A, bn, classes, lrn)


@architecture(input=INPUT, summary="VGG-13, configuration B", source=SOURCE)
def vgg13(net: Net, x: Edge, *, bn: bool = False, classes: int = 1000) -> Edge:
    """``[N, classes]`` from ``[N, C, H, W]``, probabilities; ``bn`` as in ``vgg11``."""
    return _vgg(net, x, B, bn, classes)


@architecture(
    input=INPUT,
    summary="VGG-16",
    source=SOURCE,
    variants={
        "variant": {
            "D": "configuration D, all convolutions 3×3",
            "C": "configuration C, 1×1 as the last convolution of stages 3 to 5",
        },
    },
)
def vgg16(net: Net, x: Edge, *, variant: str = "D", bn: bool = False, classes: int = 1000) -> Edge:
    """``[N, classes]`` from ``[N, C, H, W]``, probabilities; ``bn`` as in ``vgg11``."""
    return _vgg(net, x, C if variant == "C" else D, bn, classes)


@architecture(input=INPUT, summary="VGG-19, configuration E", source=SOURCE)
def vgg19(net: Net, x: Edge, *, bn: bool = False, classes: int = 1000) -> Edge:
    """``[N, classes]`` from ``[N, C, H, W]``, probabilities; ``bn`` as in ``vgg11``."""
    return _vgg(net, x, E, bn, classes)


def _vgg(
    net: Net,
    x: Edge,
    stages: tuple[tuple[int, ...], ...],
    bn: bool,
    classes: int,
    lrn: bool = False,
) -> Edge:
    widths = (64, 128, 256, 512, 512)
    for stage, (width, kernels) in enumerate(zip(widths, stages, strict=True), start=1):
        with net.scope(f"stage{stage}"):
            for i, kernel in enumerate(kernels, start=1):
                x = conv(net, x, f"conv{i}", width, kernel, 1, kernel // 2, bn=bn, relu=True)
            if lrn and stage == 1:
                x = net.add("norm", LocalResponseNorm(5), x)
            x = net.add("pool", MaxPool(2), x)
    x = net.add("flatten", Flatten(), x)
    for number in (6, 7):
        with net.scope(f"fc{number}"):
            x = net.add("linear", Linear(4096), x)
            x = net.add("relu", ReLU(), x)
            x = net.add("dropout", Dropout(0.5), x)
    with net.scope("fc8"):
        x = net.add("linear", Linear(classes), x)
    return net.add("softmax", Softmax(), x)
