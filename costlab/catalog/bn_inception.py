"""BN-Inception, the network of the batch normalisation paper; TF-Slim calls it Inception v2."""

from __future__ import annotations

from functools import partial

from costlab.catalog.blocks import Branch, conv, head, parallel, same
from costlab.catalog.googlenet import STEMS, first
from costlab.catalog.registry import architecture
from costlab.graph import Edge, Net
from costlab.ops.pool import AvgPool, MaxPool

# Figure 5:  #1x1  #3x3    #3x3  double double  pool, then
#                  reduce        reduce #3x3    projection
FIGURE_5 = {
    "3a": (64, 64, 64, 64, 96, "avg", 32),
    "3b": (64, 64, 96, 64, 96, "avg", 64),
    "3c": (0, 128, 160, 64, 96, "max", 0),
    "4a": (224, 64, 96, 96, 128, "avg", 128),
    "4b": (192, 96, 128, 96, 128, "avg", 128),
    "4c": (160, 128, 160, 128, 160, "avg", 128),
    "4d": (96, 128, 192, 160, 192, "avg", 128),
    "4e": (0, 128, 192, 192, 256, "max", 0),
    "5a": (352, 192, 320, 160, 224, "avg", 128),
    "5b": (352, 192, 320, 192, 224, "max", 128),
}


@architecture(
    input=(1, 3, 224, 224),
    summary="BN-Inception, called Inception v2 by TF-Slim: batch norm, 5×5 as two 3×3",
    source="Ioffe and Szegedy 2015, Batch Normalization, arXiv:1502.03167, Figure 5",
    variants={
        "reading": {
            "widths": "4c and 4d as wide as printed, so 608 and not the printed 576 channels",
            "outputs": "4c and 4d with the printed 576 channels, their projections 96, not 128",
        },
        "stem": STEMS,
    },
)
def bn_inception(
    net: Net,
    x: Edge,
    *,
    reading: str = "widths",
    stem: str = "plain",
    bias: bool = True,
    classes: int = 1000,
) -> Edge:
    """``[N, classes]`` from ``[N, C, H, W]``, probabilities.

    Figure 5 contradicts itself: the widths of 4c and 4d add up to 608 where it prints 576, and then
    4e gives 1056, not 1024. Released networks have both readings: ``widths`` in Caffe and its
    descendants, ``outputs`` in TF-Slim. ``stem="separable"`` is the first layer that the appendix
    tells of. ``bias`` says whether convolutions keep a bias before batch norm, as in the Caffe
    network.
    """
    unit = partial(conv, bias=bias, bn=True, relu=True)
    x = first(net, x, unit, stem)
    x = net.add("pool1", MaxPool(3, stride=2, ceil_mode=True), x)
    with net.scope("conv2"):
        x = unit(net, x, "reduce", 64, 1)
        x = unit(net, x, "conv", 192, 3, padding=1)
    x = net.add("pool2", MaxPool(3, stride=2, ceil_mode=True), x)
    for stage, (c1, c3r, c3, cdr, cd, pool, cp) in FIGURE_5.items():
        narrow = reading == "outputs" and stage in ("4c", "4d")
        with net.scope(f"inception_{stage}"):
            x = parallel(net, x, unit, _module(c1, c3r, c3, cdr, cd, pool, 96 if narrow else cp))
    return head(net, x, classes)


def _module(c1: int, c3r: int, c3: int, cdr: int, cd: int, pool: str, cp: int) -> dict[str, Branch]:
    """A row of Figure 5. Without a 1×1 the module has stride 2 and passes the pooled input on."""
    stride = 1 if c1 else 2
    branches: dict[str, Branch] = {
        "branch1x1": [same(c1, 1)],
        "branch3x3": [same(c3r, 1), same(c3, 3, stride)],
        "branch3x3double": [same(cdr, 1), same(cd, 3), same(cd, 3, stride)],
        "branchpool": [
            AvgPool(3, stride=1, padding=1) if pool == "avg" else MaxPool(3, stride=1, padding=1),
            same(cp, 1),
        ],
    }
    if not c1:
        del branches["branch1x1"]
        branches["branchpool"] = [MaxPool(3, stride=2, ceil_mode=True)]
    return branches
