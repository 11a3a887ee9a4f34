"""LeNet-5."""

from __future__ import annotations

from costlab.catalog.registry import architecture
from costlab.graph import Edge, Net
from costlab.ops.conv import Conv
from costlab.ops.dense import Linear, RadialBasis
from costlab.ops.elementwise import Affine, Tanh
from costlab.ops.pool import AvgPool
from costlab.ops.softmax import Softmax
from costlab.ops.zero_cost import Concat, Flatten, Select

# Table I: the maps of S2 that each map of C3 reads.
TABLE_I = [
    *[(i, (i + 1) % 6, (i + 2) % 6) for i in range(6)],
    *[(i, (i + 1) % 6, (i + 2) % 6, (i + 3) % 6) for i in range(6)],
    *[(i, i + 1, (i + 3) % 6, (i + 4) % 6) for i in range(3)],
    (0, 1, 2, 3, 4, 5),
]


@architecture(
    input=(1, 1, 32, 32),
    summary="LeNet-5, for handwritten digits",
    source="LeCun et al. 1998, Gradient-Based Learning Applied to Document Recognition, Proc. IEEE "
    "86(11), section II-B",
    variants={
        "variant": {
            "original": "C3 reads some maps of S2 (Table I), trainable subsampling, RBF outputs",
            "dense": "C3 reads all maps, average pooling, a linear output, as it is often rebuilt",
        },
    },
)
def lenet5(net: Net, x: Edge, *, variant: str = "original", classes: int = 10) -> Edge:
    """``[N, classes]`` from ``[N, 1, H, W]``.

    Original: squared distances to fixed patterns; subsampling adds four inputs, multiplies by a
    trainable coefficient and adds a bias, one of each for a map. Dense: probabilities. The
    squashing function 1.7159·tanh(2x/3) is counted as one tanh; its constants can be taken into
    the weights around it.
    """
    original = variant == "original"
    with net.scope("c1"):
        x = _squashed(net, net.add("conv", Conv(6, 5), x))
    with net.scope("s2"):
        x = _subsampled(net, x, original)
    with net.scope("c3"):
        x = _squashed(net, _partial(net, x) if original else net.add("conv", Conv(16, 5), x))
    with net.scope("s4"):
        x = _subsampled(net, x, original)
    with net.scope("c5"):
        x = _squashed(net, net.add("conv", Conv(120, 5), x))
    x = net.add("flatten", Flatten(), x)
    with net.scope("f6"):
        x = _squashed(net, net.add("linear", Linear(84), x))
    if original:
        return net.add("output", RadialBasis(classes), x)
    x = net.add("output", Linear(classes), x)
    return net.add("softmax", Softmax(), x)


def _partial(net: Net, x: Edge) -> Edge:
    """``[N, 16, H - 4, W - 4]``: each output map reads the maps that Table I marks."""
    maps = []
    for number, channels in enumerate(TABLE_I):
        with net.scope(f"map{number}"):
            maps.append(net.add("conv", Conv(1, 5), net.add("select", Select(channels), x)))
    return net.add("concat", Concat(), *maps)


def _subsampled(net: Net, x: Edge, original: bool) -> Edge:
    if not original:
        return net.add("pool", AvgPool(2), x)
    x = net.add("sum", AvgPool(2, divisor_override=1), x)
    return _squashed(net, net.add("affine", Affine(), x))


def _squashed(net: Net, x: Edge) -> Edge:
    return net.add("tanh", Tanh(), x)
