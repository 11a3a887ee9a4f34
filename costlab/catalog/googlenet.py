"""GoogLeNet, the paper's Table 1 and Figure 3."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from costlab.catalog.blocks import Unit, conv, head, widened
from costlab.catalog.inception_module import SOURCE, inception
from costlab.catalog.registry import architecture
from costlab.graph import Edge, Net
from costlab.graph.arithmetic import as_ratio
from costlab.ops.conv import Conv
from costlab.ops.dense import Linear
from costlab.ops.elementwise import ReLU
from costlab.ops.norm import LocalResponseNorm
from costlab.ops.pool import AvgPool, MaxPool
from costlab.ops.softmax import Softmax
from costlab.ops.zero_cost import Dropout, Flatten

# Table 1:   #1x1  #3x3   #3x3  #5x5   #5x5  pool
#                  reduce       reduce       proj
TABLE_1 = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


STEMS = {
    "plain": "a 7×7 first convolution, as Table 1 lists it",
    "separable": "a depthwise 7×7 with multiplier 8, then 1×1, as Table 1's figures have it",
}


@architecture(
    input=(1, 3, 224, 224),
    summary="GoogLeNet (Inception v1), 22 weighted layers deep",
    source=f"{SOURCE}, Table 1 and Figure 3",
    variants={"stem": STEMS},
)
def googlenet(
    net: Net,
    x: Edge,
    *,
    stem: str = "plain",
    aux: bool = False,
    bn: bool = False,
    k5: int = 5,
    width: float = 1.0,
    ceil: bool = True,
    classes: int = 1000,
) -> Edge | tuple[Edge, ...]:
    """``[N, classes]`` from ``[N, C, H, W]``, probabilities.

    ``stem="separable"`` has as first layer a 7×7 depthwise convolution with 8 outputs per input
    channel and a 1×1 to 64, the form that Ioffe and Szegedy 2015 (arXiv:1502.03167, appendix) tell
    of; Table 1's 2.7K params and 34M ops are its. ``aux`` adds the two auxiliary classifiers:
    outputs (main, after 4a, after 4d).

    ``bn`` gives the batch-normalised form: batch norm in place of the convolutions' biases, and
    no local response normalisation. ``k5`` is the kernel of the 5×5 branches, an odd number: the
    network that TF-Slim and torchvision released is ``bn=True, k5=3``. ``width`` multiplies the
    channels of every layer but the classes, rounded down, as MobileNet's multiplier does; the
    paper has no such choice.

    Pooling rounds up (ceil mode), as 112 → 56 → 28 → 14 → 7 asks for without padding; with
    ``ceil=False`` it rounds down, and the grids are 55, 27, 13 and 6, as in PaddleClas. The last
    average pooling takes in all that is left: Table 1's 7×7 at 224.
    """
    layer = partial(conv, bias=not bn, bn=bn, relu=True, eps=1e-3)
    module = partial(inception, k5=k5, bias=not bn, bn=bn, relu=True, eps=1e-3)
    pool = MaxPool(3, stride=2, ceil_mode=ceil)
    wide = partial(widened, width=as_ratio(width))

    x = first(net, x, layer, stem, wide(64))
    x = net.add("pool1", pool, x)
    if not bn:
        x = net.add("norm1", LocalResponseNorm(5), x)
    with net.scope("conv2"):
        x = layer(net, x, "reduce", wide(64), 1)
        x = layer(net, x, "conv", wide(192), 3, padding=1)
    if not bn:
        x = net.add("norm2", LocalResponseNorm(5), x)
    x = net.add("pool2", pool, x)

    extra: list[Edge] = []
    for stage, widths in TABLE_1.items():
        if stage in ("4a", "5a"):
            x = net.add(f"pool{int(stage[0]) - 1}", pool, x)
        with net.scope(f"inception_{stage}"):
            x = module(net, x, *map(wide, widths))
        if aux and stage in ("4a", "4d"):
            with net.scope(f"aux{len(extra) + 1}"):
                extra.append(_auxiliary(net, x, layer, wide, classes))

    return head(net, x, classes, dropout=0.4), *extra


def first(net: Net, x: Edge, layer: Unit, stem: str, channels: int = 64) -> Edge:
    """``[N, channels, H/2, W/2]``: the 7×7 convolution with stride 2, plain or separable."""
    with net.scope("conv1"):
        if stem == "separable":
            colors = x.shape[1]
            kernel = Conv(8 * colors, 7, stride=2, padding=3, groups=colors, bias=False)
            x = net.add("depthwise", kernel, x)
            return layer(net, x, "pointwise", channels, 1)
        return layer(net, x, "conv", channels, 7, stride=2, padding=3)


def _auxiliary(net: Net, x: Edge, layer: Unit, wide: Callable[[int], int], classes: int) -> Edge:
    """``[N, classes]``: a classifier on an intermediate stage, for training only (section 5)."""
    x = net.add("avgpool", AvgPool(5, stride=3), x)
    x = layer(net, x, "conv", wide(128), 1)
    x = net.add("flatten", Flatten(), x)
    x = net.add("hidden", Linear(wide(1024)), x)
    x = net.add("hidden_relu", ReLU(), x)
    x = net.add("dropout", Dropout(0.7), x)
    x = net.add("linear", Linear(classes), x)
    return net.add("softmax", Softmax(), x)
