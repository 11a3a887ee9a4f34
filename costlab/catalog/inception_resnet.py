"""Inception-ResNet-v1 and v2, and their block: Inception modules with residual connections."""

from __future__ import annotations

from functools import partial

from costlab.catalog.blocks import Branch, conv, head, parallel, same, valid
from costlab.catalog.inception_v4 import SOURCE, reduction, stem
from costlab.catalog.registry import architecture
from costlab.graph import Edge, Net
from costlab.ops.adaptive_pool import AdaptiveAvgPool
from costlab.ops.broadcast import Add
from costlab.ops.conv import Conv
from costlab.ops.dense import Linear
from costlab.ops.elementwise import ReLU, Scale
from costlab.ops.norm import BatchNorm
from costlab.ops.pool import AvgPool, MaxPool
from costlab.ops.softmax import Softmax
from costlab.ops.zero_cost import Dropout, Flatten

unit = partial(conv, bias=False, bn=True, relu=True, eps=1e-3)


@architecture(
    input=(1, 384, 35, 35),
    summary="Inception-ResNet block A, for a 35×35 grid",
    source=f"{SOURCE}, Figure 16 (Inception-ResNet-v2)",
)
def residual(
    net: Net,
    x: Edge,
    *,
    c1: int = 32,
    c3: int = 32,
    cdr: int = 32,
    cdm: int = 48,
    cd: int = 64,
    scale: float = 1.0,
) -> Edge:
    """``[N, C, H, W]`` from ``[N, C, H, W]``: ``relu(x + scale·module(x))``.

    The module is a 1×1 of width c1, a 1×1 and a 3×3 of width c3, a 1×1 of width cdr with two 3×3
    of widths cdm and cd, and after them a 1×1 with a bias back to C, without batch norm and ReLU.
    A scale of 1 is no operation; the paper uses 0.1 to 0.3 where training is unstable.
    """
    return _residual(net, x, _block_a(c1, c3, cdr, cdm, cd), scale)


@architecture(
    input=(1, 3, 299, 299),
    summary="Inception-ResNet-v1, about as costly as Inception-v3",
    source=f"{SOURCE}, Figures 10 to 15",
    variants={
        "variant": {
            "paper": "5 + 10 + 5 blocks, then the classifier",
            "facenet": "5 + 10 + 6 blocks and 512 features before the classifier, as in FaceNet's "
            "open rebuildings",
        },
    },
)
def inception_resnet_v1(net: Net, x: Edge, *, variant: str = "paper", classes: int = 1000) -> Edge:
    """``[N, classes]`` from ``[N, C, H, W]``, probabilities.

    The last 1×1 of each block has a bias and no batch norm, as in the released v2. Residuals are
    scaled in the facenet variant only.
    """
    facenet = variant == "facenet"
    scales = (0.17, 0.1, 0.2) if facenet else (1.0, 1.0, 1.0)
    x = _plain_stem(net, x)
    x = unit(net, x, "conv6", 256, 3, 2)
    x = _repeat(net, x, "block_a", 5, _block_a(32, 32, 32, 32, 32), scales[0])
    with net.scope("reduction_a"):
        x = parallel(net, x, unit, reduction(192, 192, 256, 384))
    x = _repeat(net, x, "block_b", 10, _block_b(128, 128, 128, 128), scales[1])
    with net.scope("reduction_b"):
        x = parallel(net, x, unit, _reduction_b(256, 256, 256))
    block_c = _block_c(192, 192, 192, 192)
    x = _repeat(net, x, "block_c", 5, block_c, scales[2])
    if not facenet:
        return head(net, x, classes, dropout=0.2)
    with net.scope("block_c6"):
        x = _residual(net, x, block_c, relu=False)
    x = net.add("avgpool", AdaptiveAvgPool(1), x)
    x = net.add("flatten", Flatten(), x)
    x = net.add("dropout", Dropout(0.6), x)
    x = net.add("features", Linear(512, bias=False), x)
    x = net.add("features_bn", BatchNorm(1e-3), x)
    x = net.add("linear", Linear(classes), x)
    return net.add("softmax", Softmax(), x)


@architecture(
    input=(1, 3, 299, 299),
    summary="Inception-ResNet-v2",
    source=f"{SOURCE}, Figures 3 and 15 to 19; TF-Slim inception_resnet_v2",
    variants={
        "variant": {
            "paper": "Inception-v4's stem, 5 + 10 + 5 blocks",
            "released": "Inception-v3's stem and one module, 10 + 20 + 10 blocks, a last 1×1",
        },
    },
)
def inception_resnet_v2(
    net: Net, x: Edge, *, variant: str = "released", classes: int = 1000
) -> Edge:
    """``[N, classes]`` from ``[N, C, H, W]``, probabilities.

    The network whose weights were released is another, wider and twice as deep, than the paper's.
    The last 1×1 of each block has a bias and no batch norm, in both. It leads back to as many
    channels as the block reads: where Figures 17 and 19 print 1154 and 2048, these are 1152 and
    2144, since nothing else can be added. Residuals are scaled in the released network only.
    """
    if variant == "paper":
        x = stem(net, x)
        repeats, scales = (5, 10, 5), (1.0, 1.0, 1.0)
    else:
        x = _plain_stem(net, x)
        x = net.add("pool2", MaxPool(3, stride=2), x)
        with net.scope("inception_5b"):
            x = parallel(net, x, unit, INCEPTION_5B)
        repeats, scales = (10, 20, 9), (0.17, 0.1, 0.2)
    x = _repeat(net, x, "block_a", repeats[0], _block_a(32, 32, 32, 48, 64), scales[0])
    with net.scope("reduction_a"):
        x = parallel(net, x, unit, reduction(256, 256, 384, 384))
    x = _repeat(net, x, "block_b", repeats[1], _block_b(192, 128, 160, 192), scales[1])
    with net.scope("reduction_b"):
        x = parallel(net, x, unit, _reduction_b(288, 288, 320))
    block_c = _block_c(192, 192, 224, 256)
    x = _repeat(net, x, "block_c", repeats[2], block_c, scales[2])
    if variant == "released":
        with net.scope("block_c10"):
            x = _residual(net, x, block_c, relu=False)
        x = unit(net, x, "conv7", 1536, 1)
    return head(net, x, classes, dropout=0.2)


def _plain_stem(net: Net, x: Edge) -> Edge:
    """``[N, 192, 71, 71]`` from ``[N, 3, 299, 299]``: Figure 14 up to its last convolution."""
    x = unit(net, x, "conv1", 32, 3, 2)
    x = unit(net, x, "conv2", 32, 3)
    x = unit(net, x, "conv3", 64, 3, 1, 1)
    x = net.add("pool1", MaxPool(3, stride=2), x)
    x = unit(net, x, "conv4", 80, 1)
    return unit(net, x, "conv5", 192, 3)


def _repeat(
    net: Net, x: Edge, name: str, times: int, branches: dict[str, Branch], scale: float = 1.0
) -> Edge:
    for i in range(times):
        with net.scope(f"{name}{i + 1}"):
            x = _residual(net, x, branches, scale)
    return x


def _residual(
    net: Net, x: Edge, branches: dict[str, Branch], scale: float = 1.0, relu: bool = True
) -> Edge:
    y = parallel(net, x, unit, branches)
    y = net.add("linear", Conv(x.shape[1], 1), y)
    if scale != 1:
        y = net.add("scale", Scale(scale), y)
    x = net.add("add", Add(), x, y)
    return net.add("relu", ReLU(), x) if relu else x


def _block_a(c1: int, c3: int, cdr: int, cdm: int, cd: int) -> dict[str, Branch]:
    """Figures 10 and 16."""
    return {
        "branch1x1": [same(c1, 1)],
        "branch3x3": [same(c3, 1), same(c3, 3)],
        "branch3x3double": [same(cdr, 1), same(cdm, 3), same(cd, 3)],
    }


def _block_b(c1: int, c7r: int, c7m: int, c7: int) -> dict[str, Branch]:
    """Figures 11 and 17."""
    return {
        "branch1x1": [same(c1, 1)],
        "branch7x7": [same(c7r, 1), same(c7m, (1, 7)), same(c7, (7, 1))],
    }


def _block_c(c1: int, c3r: int, c3m: int, c3: int) -> dict[str, Branch]:
    """Figures 13 and 19."""
    return {
        "branch1x1": [same(c1, 1)],
        "branch3x3": [same(c3r, 1), same(c3m, (1, 3)), same(c3, (3, 1))],
    }


def _reduction_b(c3: int, cdm: int, cd: int) -> dict[str, Branch]:
    """Figures 12 and 18."""
    return {
        "branch3x3a": [same(256, 1), valid(384, 3, 2)],
        "branch3x3b": [same(256, 1), valid(c3, 3, 2)],
        "branch3x3double": [same(256, 1), same(cdm, 3), valid(cd, 3, 2)],
        "branchpool": [MaxPool(3, stride=2)],
    }


INCEPTION_5B: dict[str, Branch] = {
    "branch1x1": [same(96, 1)],
    "branch5x5": [same(48, 1), same(64, 5)],
    "branch3x3double": [same(64, 1), same(96, 3), same(96, 3)],
    "branchpool": [AvgPool(3, stride=1, padding=1), same(64, 1)],
}
