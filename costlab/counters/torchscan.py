"""torchscan: formulas of modules that have no others inside; what it calls MACs."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from costlab.counters import Counter, CounterTotal, of_modules
from costlab.counters.events import Event
from costlab.counters.installed import version_of
from costlab.counters.quantities import macs_by_settings, macs_of_the_layer, outputs
from costlab.counters.terms import Macs, Params, Term, derived, of_ranks

if TYPE_CHECKING:
    from torch import Tensor, nn


_CONVS, _TRANSPOSED = derived(*of_ranks("Conv")), derived(*of_ranks("ConvTranspose"))
_CONTRACTIONS = _CONVS + _TRANSPOSED + derived("nn.Linear")
_ADAPTIVE = derived(*of_ranks("AdaptiveMaxPool", "AdaptiveAvgPool"))
_BATCH_NORMS = (*of_ranks("BatchNorm"), "nn.SyncBatchNorm")


def _has_parts(event: Event) -> bool:
    """Whether it is a module with others inside, such as one with a parametrization."""
    return event.module is not None and any(True for _ in event.module.children())


@Macs
def _beyond_its_class(event: Event) -> int:
    return macs_by_settings(event) - macs_of_the_layer(event)


def _axes(event: Event) -> int:
    return len(event.output) - 2


def _axes_of_outputs(event: Event) -> int:
    return _axes(event) * outputs(event)


def _window(event: Event) -> int:
    """Elements of a pooling's windows, of all outputs."""
    kernel: Any = event.operations[-1].attributes.kernel_size
    sizes = kernel if isinstance(kernel, tuple) else (kernel,) * _axes(event)
    return prod(sizes) * outputs(event)


def _window_by_a_side(event: Event) -> int:
    """The same, if a kernel that is given as a number has as many elements."""
    layer: Any = event.module
    kernel = layer.kernel_size
    return (prod(kernel) if isinstance(kernel, tuple) else kernel) * outputs(event)


def _adaptive_window(event: Event) -> int:
    """Elements of windows of an adaptive pooling, if all were alike."""
    sizes = zip(event.inputs[0][2:], event.output[2:], strict=True)
    return outputs(event) * prod(
        size // places if size % places == 0 else size % places + 1 for size, places in sizes
    )


_MAX, _AVERAGE = derived(*of_ranks("MaxPool")), derived(*of_ranks("AvgPool"))

_CONVENTION = (
    Term(
        "contractions",
        "1 per MAC, of modules",
        where=_CONTRACTIONS,
        but=(_has_parts,),
        units={macs_of_the_layer: 1},
    ),
    Term(
        "transposed convolutions",
        "on the output grid",
        where=_TRANSPOSED,
        but=(_has_parts,),
        units={_beyond_its_class: 1},
        fault=True,
    ),
    Term(
        "transposed convolutions",
        "4 per axis of their padding",
        where=_TRANSPOSED,
        but=(_has_parts,),
        units={_axes: 4},
    ),
    Term(
        "layers that compute otherwise",
        "as the class that they are derived from",
        where=_CONVS + derived("nn.Linear"),
        but=(_has_parts,),
        units={_beyond_its_class: 1},
        fault=True,
    ),
    Term("norms", "1 per element of batch norm", where=derived(*_BATCH_NORMS), units={outputs: 1}),
    Term(
        "scale and shift of norms",
        "1 per element of batch norm",
        where=derived(*_BATCH_NORMS, affine=True),
        units={outputs: 1},
    ),
    Term(
        "pooling",
        "1 per element of a window, less 1 per output",
        where=_MAX + _AVERAGE,
        units={_window: 1, outputs: -1},
    ),
    Term(
        "pooling with a square window",
        "whose side is a number, as if it had as many elements",
        where=_MAX + _AVERAGE,
        units={_window_by_a_side: 1, _window: -1},
        fault=True,
    ),
    Term(
        "adaptive pooling",
        "1 per element of a window, less 1 per output",
        where=_ADAPTIVE,
        units={_adaptive_window: 1, outputs: -1},
    ),
    Term(
        "average pooling",
        "1 per axis and output",
        where=_AVERAGE + derived(*of_ranks("AdaptiveAvgPool")),
        units={_axes_of_outputs: 1},
    ),
)


def total(module: nn.Module, inputs: tuple[Tensor, ...]) -> CounterTotal:
    """What ``crawl_module`` gives. Raises ``ImportError`` if it is not installed."""
    import torchscan

    report: Any = torchscan.crawl_module(module, args=inputs)
    totals = report["totals"]
    counted = totals["macs"]["known_value"] or 0
    by_path = of_modules(
        (layer["path"], int(layer["metrics"]["macs"]["known_value"] or 0))
        for layer in report["layers"]
        if "macs" in layer["metrics"]
    )
    params = int(totals["parameters"]["value"])
    return CounterTotal(version_of("torchscan"), int(counted), params, by_path)


COUNTER = Counter(
    "torchscan",
    package="torchscan",
    versions=("0.2",),
    total=total,
    by_module=True,
    convention=_CONVENTION,
    params=Params("all"),
)
