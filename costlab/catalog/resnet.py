"""ResNet-50, for scale."""

from __future__ import annotations

from functools import partial

from costlab.catalog.blocks import conv, head
from costlab.catalog.registry import architecture
from costlab.graph import Edge, Net
from costlab.ops.broadcast import Add
from costlab.ops.elementwise import ReLU
from costlab.ops.pool import MaxPool

unit = partial(conv, bias=False, bn=True)


@architecture(
    input=(1, 3, 224, 224),
    summary="ResNet-50",
    source="He et al. 2015, Deep Residual Learning, arXiv:1512.03385, Table 1",
    variants={
        "stride": {
            "1x1": "a stage's stride is in its first 1×1, as in the paper",
            "3x3": "a stage's stride is in its first 3×3, as in torchvision, also called v1.5",
        },
    },
)
def resnet50(net: Net, x: Edge, *, stride: str = "1x1", classes: int = 1000) -> Edge:
    """``[N, classes]`` from ``[N, C, H, W]``, probabilities. No convolution has a bias."""
    x = unit(net, x, "conv1", 64, 7, 2, 3, relu=True)
    x = net.add("pool1", MaxPool(3, stride=2, padding=1), x)
    stages = zip((64, 128, 256, 512), (3, 4, 6, 3), strict=True)
    for stage, (width, blocks) in enumerate(stages, start=2):
        for block in range(1, blocks + 1):
            step = 2 if stage > 2 and block == 1 else 1
            with net.scope(f"conv{stage}_{block}"):
                x = _bottleneck(net, x, width, step, stride, project=block == 1)
    return head(net, x, classes)


def _bottleneck(net: Net, x: Edge, width: int, step: int, stride: str, *, project: bool) -> Edge:
    """1×1, 3×3 and 1×1 to four times the width, added to the input or its projection."""
    y = unit(net, x, "conv1", width, 1, step if stride == "1x1" else 1, relu=True)
    y = unit(net, y, "conv2", width, 3, step if stride == "3x3" else 1, 1, relu=True)
    y = unit(net, y, "conv3", 4 * width, 1)
    if project:
        x = unit(net, x, "project", 4 * width, 1, step)
    return net.add("relu", ReLU(), net.add("add", Add(), x, y))
