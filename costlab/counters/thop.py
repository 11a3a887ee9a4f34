"""thop (pytorch-OpCounter): hooks on modules of known classes; functions are not seen."""

from __future__ import annotations

from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

from costlab.counters import Counter, CounterTotal
from costlab.counters.events import Event
from costlab.counters.installed import version_of
from costlab.counters.quantities import (
    gates,
    gates_of,
    gates_with_bias,
    inputs,
    macs_of_the_layer,
    outputs,
    recurrent_macs,
    rows_of_scores,
    scores,
    states,
)
from costlab.counters.replaced import without_a_batch
from costlab.counters.terms import Macs, Params, Repeats, Term, Where, module, of_ranks
from costlab.counters.ultralytics_thop import is_imported as is_ultralytics

if TYPE_CHECKING:
    from torch import Tensor, nn


def _norms(**attributes: Any) -> Where:
    return module(*of_ranks("BatchNorm", "InstanceNorm"), "nn.SyncBatchNorm", **attributes)


_CONVS = module(*of_ranks("Conv"))
_TRANSPOSED = module(*of_ranks("ConvTranspose"))
_LINEAR, _LAYER_NORM, _PRELU = module("nn.Linear"), module("nn.LayerNorm"), module("nn.PReLU")
_RNN, _GRU = module("nn.RNN", "nn.RNNCell"), module("nn.GRU", "nn.GRUCell")
_LSTM = module("nn.LSTM", "nn.LSTMCell")


@Macs
def _macs_on_the_output_grid(event: Event) -> int:
    """MACs of transposed convolutions, if they were for each output and not for each input."""
    return sum(
        operation.macs // prod(operation.inputs[0][2:]) * prod(operation.output[2:])
        for operation in event.of("conv_transpose")
    )


@Macs
def _recurrent_macs_without_projection(event: Event) -> int:
    """MACs of recurrent layers if their states were as wide as their outputs."""
    layer: Any = event.module
    directions = 2 if layer.bidirectional else 1
    return sum(
        gates_of(module)
        * (
            (layer.input_size if number < directions else directions * layer.hidden_size)
            + module.attributes.hidden
        )
        for number, module in enumerate(event.of("recurrent"))
    )


def _rounded_means(event: Event) -> int:
    """One per input and output of an adaptive pooling, by windows in floating point."""
    window = 1.0
    for size, pooled in zip(event.inputs[0][2:], event.output[2:], strict=True):
        window *= size / pooled
    return int((window + 1) * prod(event.output))


# It leaves a hook for each path on the module, and adds up all modules by path.
_REPEATS = Repeats("with a hook for each in each", power=2)
_Term = partial(Term, repeats=_REPEATS)

_RECURRENT = (
    _Term(
        "contractions",
        "1 per MAC, of recurrent layers",
        where=_RNN + _GRU + _LSTM,
        units={recurrent_macs: 1},
    ),
    _Term(
        "LSTM with a projection",
        "as if there were none",
        where=module("nn.LSTM"),
        units={_recurrent_macs_without_projection: 1, recurrent_macs: -1},
        fault=True,
    ),
    _Term(
        "gates of recurrent layers",
        "1 per element",
        where=_RNN + _GRU + _LSTM,
        units={gates: 1},
    ),
    _Term(
        "bias of recurrent layers",
        "2 per gate",
        where=_RNN + _GRU + _LSTM,
        units={gates_with_bias: 2},
    ),
    _Term("states of recurrent layers", "4 per element", where=_GRU + _LSTM, units={states: 4}),
)

_CONVENTION = (
    _Term(
        "contractions",
        "1 per MAC, of modules",
        where=_CONVS + _TRANSPOSED + _LINEAR,
        units={macs_of_the_layer: 1},
    ),
    _Term(
        "transposed convolutions",
        "on the output grid",
        where=_TRANSPOSED,
        units={_macs_on_the_output_grid: 1, macs_of_the_layer: -1},
        fault=True,
    ),
    *_RECURRENT,
    without_a_batch(_RECURRENT, _REPEATS),
    _Term("norms", "2 per element", where=_norms() + _LAYER_NORM, units={inputs: 2}),
    _Term(
        "scale and shift of norms",
        "2 per element",
        where=_norms(affine=True) + module("nn.LayerNorm", elementwise_affine=True),
        units={inputs: 2},
    ),
    _Term("activations", "1 per element, of PReLU only", where=_PRELU, units={inputs: 1}),
    _Term(
        "softmax",
        "3 per element, less 1 per row",
        where=module("nn.Softmax"),
        units={scores: 3, rows_of_scores: -1},
    ),
    _Term(
        "average pooling",
        "1 per output",
        where=module(*of_ranks("AvgPool")),
        units={outputs: 1},
    ),
    _Term(
        "adaptive average pooling",
        "1 per input and output, rounded",
        where=module(*of_ranks("AdaptiveAvgPool")),
        units={_rounded_means: 1},
    ),
    _Term(
        "interpolation",
        "1 per output, to the nearest",
        where=module("nn.Upsample", mode="nearest") + module("nn.UpsamplingNearest2d"),
        units={outputs: 1},
    ),
    _Term(
        "interpolation",
        "5 per output, linear",
        where=module("nn.Upsample", mode="linear"),
        units={outputs: 5},
    ),
    _Term(
        "interpolation",
        "11 per output, bilinear",
        where=module("nn.Upsample", mode="bilinear") + module("nn.UpsamplingBilinear2d"),
        units={outputs: 11},
    ),
    _Term(
        "interpolation",
        "259 per output, bicubic",
        where=module("nn.Upsample", mode="bicubic"),
        units={outputs: 259},
    ),
)

_PARAMS = Params(
    _CONVS + _TRANSPOSED + _RNN + _GRU + _LSTM + _norms() + _LAYER_NORM + _PRELU + _LINEAR,
    missing="of modules that it does not know, or that it does not see called",
    repeated="of modules in several places, or a tensor in several modules, once more for each",
)


def total(module: nn.Module, inputs: tuple[Tensor, ...]) -> CounterTotal:
    """What ``thop.profile`` gives. Raises ``ImportError`` if it is not installed."""
    import thop

    counted, params, inside = thop.profile(
        module, inputs=inputs, verbose=False, ret_layer_info=True
    )
    by_path = {path: round(count) for path, count in _flat(inside, "")}
    return CounterTotal(version_of("thop"), round(counted), round(params), by_path)


def _flat(nested: dict[str, Any], around: str) -> list[tuple[str, float]]:
    """Nested counts by path."""
    counts: list[tuple[str, float]] = []
    for name, (count, _, inside) in nested.items():
        counts += [(f"{around}{name}", count), *_flat(inside, f"{around}{name}.")]
    return counts


COUNTER = Counter(
    "thop",
    package="thop",
    is_imported=lambda thop: not is_ultralytics(thop),
    versions=("0.1.1",),
    total=total,
    by_module=True,
    convention=_CONVENTION,
    params=_PARAMS,
)
