"""MobileNet (v1)."""

from __future__ import annotations

from functools import partial

from costlab.catalog.blocks import conv, head, widened
from costlab.catalog.registry import architecture
from costlab.graph import Edge, Net
from costlab.graph.arithmetic import as_ratio
from costlab.graph.op import Shape

# Table 1: width and stride of each depthwise separable layer.
TABLE_1 = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)]
TABLE_1 += [(512, 1)] * 5 + [(1024, 2), (1024, 1)]


def _input(resolution: int = 224) -> Shape:
    return (1, 3, resolution, resolution)


@architecture(
    input=_input,
    summary="MobileNet-v1 with its two multipliers, width and resolution",
    source="Howard et al. 2017, MobileNets, arXiv:1704.04861, Table 1",
)
def mobilenet_v1(
    net: Net,
    x: Edge,
    *,
    width: float = 1.0,
    separable: bool = True,
    shallow: bool = False,
    classes: int = 1000,
) -> Edge:
    """``[N, classes]`` from ``[N, C, H, W]``, probabilities.

    ``width`` is the paper's α: channels are the floor of α times the table's, at least 8, as in
    TF-Slim. The paper's ρ is the input: ``resolution`` is its side, ρ·224, or give an input size.
    ``separable=False`` has full convolutions instead (Table 4), ``shallow=True`` leaves out the
    five layers of 14×14×512 (Table 5). Table 1 prints stride 2 for the last layer, whose input and
    output it has as 7×7: stride 1.
    """
    layer = partial(conv, bias=False, bn=True, relu=True)
    wide = partial(widened, width=as_ratio(width), least=8)
    x = layer(net, x, "conv1", wide(32), 3, 2, 1)
    rows = TABLE_1[:6] + TABLE_1[11:] if shallow else TABLE_1
    for number, (channels, stride) in enumerate(rows, start=2):
        with net.scope(f"conv{number}"):
            if separable:
                depth = x.shape[1]
                x = layer(net, x, "depthwise", depth, 3, stride, 1, groups=depth)
                x = layer(net, x, "pointwise", wide(channels), 1)
            else:
                x = layer(net, x, "conv", wide(channels), 3, stride, 1)
    return head(net, x, classes)
