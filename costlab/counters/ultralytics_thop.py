"""ultralytics-thop 2.x: hooks on modules and what is derived from them, products by functions.

It has thop's import name: which of them is there is what the module itself says.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING, Any

from costlab.counters import Counter, CounterTotal
from costlab.counters.events import Event
from costlab.counters.installed import version_of
from costlab.counters.quantities import (
    gates,
    gates_with_bias,
    letters_of_einsum,
    macs,
    macs_by_settings,
    macs_of_the_layer,
    outputs,
    rows_of_scores,
    scores,
    states,
)
from costlab.counters.terms import (
    ByModule,
    Macs,
    Params,
    Term,
    built,
    derived,
    function,
    is_einsum,
    of_ranks,
)

if TYPE_CHECKING:
    from torch import Tensor, nn


def _norms(**attributes: Any) -> tuple[ByModule, ...]:
    kinds = of_ranks("BatchNorm", "InstanceNorm")
    return derived(*kinds, "nn.SyncBatchNorm", "nn.GroupNorm", **attributes)


_CONVS, _TRANSPOSED, _LINEAR = (
    derived(*of_ranks("Conv")),
    derived(*of_ranks("ConvTranspose")),
    derived("nn.Linear"),
)
_CONTRACTIONS = _CONVS + _TRANSPOSED + _LINEAR
_NORMS_OF_ROWS = ("nn.LayerNorm", "nn.RMSNorm")
_NORMS = _norms() + derived(*_NORMS_OF_ROWS)
_SCALED = _norms(affine=True) + derived(*_NORMS_OF_ROWS, elementwise_affine=True)
_BILINEAR, _ATTENTION = derived("nn.Bilinear"), derived("nn.MultiheadAttention")
_SOFTMAX, _LOG, _MIN = (derived(f"nn.{kind}") for kind in ("Softmax", "LogSoftmax", "Softmin"))
_SOFTMAXES = _SOFTMAX + _LOG + _MIN + derived("nn.Softmax2d")
_AVERAGES, _ADAPTIVE = derived(*of_ranks("AvgPool")), derived(*of_ranks("AdaptiveAvgPool"))
_RNN, _GRU = derived("nn.RNN", "nn.RNNCell"), derived("nn.GRU", "nn.GRUCell")
_LSTM, _PRELU = derived("nn.LSTM", "nn.LSTMCell"), derived("nn.PReLU")

_PRODUCTS = function("matmul", "bmm", "linear", "scaled_dot_product_attention", "einsum")

_OWN = (
    *(_CONTRACTIONS + _NORMS + _BILINEAR + _ATTENTION + _SOFTMAXES + _AVERAGES + _ADAPTIVE),
    *(_RNN + _GRU + _LSTM + _PRELU + derived("nn.Embedding", "nn.Upsample")),
)
"""The modules that it has a rule for, inside of which it counts no functions."""


def _inside_of_one(event: Event) -> bool:
    """Whether a module is running that it has a rule for."""
    running = event.operation.within if event.operation is not None else ()
    return any(kind.fits(module) for module in running for kind in _OWN)


def _input(event: Event) -> tuple[int, ...]:
    """The shape of what the module takes, also by keyword."""
    return event.inputs[0] if event.inputs else event.operations[0].inputs[0]


@Macs
def _beyond_its_class(event: Event) -> int:
    """MACs by its module's settings, less those of what it computes."""
    layer: Any = event.module
    counted = macs_by_settings(event)
    if any(kind.fits(layer) for kind in _TRANSPOSED):
        kernels = layer.out_channels // layer.groups * prod(layer.kernel_size)
        counted = prod(_input(event)) * kernels
    return counted - macs_of_the_layer(event)


@Macs
def _more_of_einsum(event: Event) -> int:
    """What it counts more than MACs of an einsum: the sizes of all letters of two operands.

    But for those that one operand lacks, or has one of, and the result too: they are added up.
    """
    einsum = event.operations[0].einsum
    assert einsum is not None
    if len(einsum.shapes) != 2:
        return -einsum.macs
    given, result = letters_of_einsum(einsum)
    first, other = ({name: n for name, n in sizes.items() if n != 1} for sizes in given)
    multiplied = [
        first.get(letter) or other[letter]
        for letter in first.keys() | other.keys()
        if letter in result or (letter in first and letter in other)
    ]
    return prod(multiplied) - einsum.macs


def _windows(event: Event) -> int:
    """Elements in the windows of an average pooling, as far as they are in its input."""
    layer: Any = event.module
    given, pooled = _input(event), event.output
    rank = next(rank for rank in (1, 2, 3) if _AVERAGES[rank - 1].fits(layer))
    settings = (layer.kernel_size, layer.stride, layer.padding)
    per_axis = [own if isinstance(own, tuple) else (own,) * rank for own in settings]
    windows = prod(given[:-rank])
    for size, places, kernel, stride, padding in zip(
        given[-rank:], pooled[-rank:], *per_axis, strict=True
    ):
        outside = padding if layer.count_include_pad else 0
        ends = (
            (place * stride - padding, place * stride - padding + kernel) for place in range(places)
        )
        windows *= sum(
            max(min(last, size + outside) - max(first, -outside), 0) for first, last in ends
        )
    return windows


def _adaptive_windows(event: Event) -> int:
    """Elements in the windows of an adaptive pooling."""
    windows = 1
    for size, places in zip(_input(event), event.output, strict=True):
        windows *= sum(
            -(-(place + 1) * size // places) - place * size // places for place in range(places)
        )
    return windows


_CONVENTION = (
    Term(
        "contractions", "1 per MAC, of modules", where=_CONTRACTIONS, units={macs_of_the_layer: 1}
    ),
    Term(
        "layers that compute otherwise",
        "as the class that they are derived from",
        where=_CONTRACTIONS,
        units={_beyond_its_class: 1},
        fault=True,
    ),
    Term("contractions", "1 per MAC, of bilinear layers", where=_BILINEAR, units={macs: 1}),
    Term(
        "contractions",
        "1 per MAC, of recurrent layers",
        where=_RNN + _GRU + _LSTM,
        units={macs: 1},
    ),
    Term(
        "contractions",
        "1 per MAC, by functions that are products",
        where=_PRODUCTS + built("matmul"),
        but=(_inside_of_one,),
        units={macs: 1},
    ),
    Term(
        "einsum of two",
        "1 per product, also of elements",
        where=(is_einsum,),
        but=(_inside_of_one,),
        units={_more_of_einsum: 1},
    ),
    Term(
        "multi-head attention",
        "1 per MAC",
        where=_ATTENTION,
        units={macs: 1},
    ),
    Term(
        "softmax",
        "3 per element, less 1 per row",
        where=_SOFTMAXES + _ATTENTION,
        units={scores: 3, rows_of_scores: -1},
    ),
    Term("softmax", "1 per element, of Softmin", where=_MIN, units={scores: 1}),
    Term("softmax", "1 per row, of LogSoftmax", where=_LOG, units={rows_of_scores: 1}),
    Term(
        "gates of recurrent layers",
        "1 per element",
        where=_RNN + _GRU + _LSTM,
        units={gates: 1},
    ),
    Term(
        "bias of recurrent layers",
        "2 per gate",
        where=_RNN + _GRU + _LSTM,
        units={gates_with_bias: 2},
    ),
    Term("states of recurrent layers", "4 per element", where=_GRU + _LSTM, units={states: 4}),
    Term("norms", "2 per element", where=_NORMS, units={outputs: 2}),
    Term("scale and shift of norms", "2 per element", where=_SCALED, units={outputs: 2}),
    Term("activations", "1 per element, of PReLU only", where=_PRELU, units={outputs: 1}),
    Term(
        "average pooling",
        "1 per element of a window, and per output",
        where=_AVERAGES,
        units={_windows: 1, outputs: 1},
    ),
    Term(
        "adaptive average pooling",
        "1 per element of a window, and per output",
        where=_ADAPTIVE,
        units={_adaptive_windows: 1, outputs: 1},
    ),
    *(
        Term(
            "interpolation",
            f"{units} per output, {mode}",
            where=derived("nn.Upsample", mode=mode),
            units={outputs: units},
        )
        for mode, units in (("linear", 5), ("bilinear", 11), ("trilinear", 31), ("bicubic", 259))
    ),
)


def is_imported(thop: Any) -> bool:
    """Whether what is imported as ``thop`` is this tool; thop itself ended with 0.1."""
    return not str(getattr(thop, "__version__", "")).startswith(("0.0", "0.1"))


def total(module: nn.Module, inputs: tuple[Tensor, ...]) -> CounterTotal:
    """What its ``thop.profile`` gives. Raises ``ImportError`` if it is not installed."""
    import thop

    counted, params, inside = thop.profile(
        module, inputs=inputs, verbose=False, ret_layer_info=True
    )
    version = version_of("thop", "ultralytics-thop")
    by_path = dict(_of_leaves(inside, ""))
    return CounterTotal(version, round(counted), round(params), by_path)


def _of_leaves(nested: dict[str, Any], around: str) -> Iterator[tuple[str, int]]:
    """Counts of modules that it has a rule for: those of others lack what functions count."""
    for name, (count, _, inside) in nested.items():
        if inside:
            yield from _of_leaves(inside, f"{around}{name}.")
        elif count:
            yield f"{around}{name}", round(count)


COUNTER = Counter(
    "ultralytics_thop",
    package="thop",
    is_imported=is_imported,
    install="ultralytics-thop",
    versions=("2.2",),
    total=total,
    by_module=True,
    convention=_CONVENTION,
    params=Params("all"),
)
