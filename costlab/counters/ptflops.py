"""ptflops, its ``pytorch`` backend: hooks on modules, and patched functions, at the same time."""

from __future__ import annotations

from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

from costlab.counters import Counter, CounterTotal
from costlab.counters.events import Event
from costlab.counters.installed import version_of
from costlab.counters.quantities import (
    bias,
    inputs,
    macs,
    macs_of_the_first_stack,
    macs_of_the_layer,
    outputs,
    recurrent_macs,
    scores,
)
from costlab.counters.replaced import (
    ADDED_PRODUCTS,
    GRU,
    INTERPOLATIONS,
    LSTM,
    POOLS,
    RNN,
    functions,
    recurrent_layers,
    unlike_sums,
    without_a_batch,
)
from costlab.counters.terms import (
    GIVEN,
    Macs,
    Params,
    Repeats,
    Term,
    Where,
    call,
    module,
    of_ranks,
)

if TYPE_CHECKING:
    from torch import Tensor, nn


def _norms(**attributes: Any) -> Where:
    return module(*of_ranks("BatchNorm", "InstanceNorm"), "nn.GroupNorm", **attributes)


_CONTRACTIONS = module(
    *of_ranks("Conv", "ConvTranspose"),
    "nn.Linear",
)
_POOLS = ("MaxPool", "AvgPool", "AdaptiveMaxPool", "AdaptiveAvgPool")
_PRODUCTS = [f"{home}.{name}" for home in ("torch", "Tensor") for name in ("matmul", "mm", "bmm")]
_ATTENTION = module("nn.MultiheadAttention")


def _outputs_of_one_item(event: Event) -> int:
    return prod(event.output[1:])


def _inputs_together(event: Event) -> int:
    return sum(map(prod, event.inputs))


@Macs
def _units_of_added_keys(event: Event) -> int:
    """What it would count for the keys that attention adds: products of two, and their scores."""
    attention: Any = event.module
    keys = int(attention.bias_k is not None) + int(attention.add_zero_attn)
    of_a_key: int = attention.num_heads * (outputs(event) // attention.embed_dim)
    return keys * (2 * outputs(event) + of_a_key)


def _rows_and_widths(event: Event) -> tuple[tuple[int, int], ...]:
    """Of queries, keys and values: how many there are in all of the batch, and their width."""
    return tuple((prod(shape[:-1]), shape[-1]) for shape in event.inputs)


@Macs
def _more_macs_of_other_widths(event: Event) -> int:
    """What it counts more for products with keys and values that are not as wide as queries."""
    attention: Any = event.module
    (queries, width), (keys, of_keys), (values, of_values) = _rows_and_widths(event)
    lengths = event.inputs[1][1 if attention.batch_first else 0]
    heads: int = attention.num_heads
    return (
        keys * of_keys * (of_keys - width)
        + values * of_values * (of_values - width)
        + queries * (of_values**2 - width**2)
        + queries * lengths * heads * (of_values // heads - width // heads)
    )


def _more_bias_of_other_widths(event: Event) -> int:
    """What it counts more for their bias."""
    attention: Any = event.module
    (queries, width), (keys, of_keys), (values, of_values) = _rows_and_widths(event)
    of_inputs = keys * (width - of_keys) + values * (width - of_values)
    has_bias = attention.in_proj_bias is not None
    return queries * (of_values - width) + (of_inputs if has_bias else 0)


_ONCE_MORE = Repeats("once more for each")
_OfModules = partial(Term, repeats=_ONCE_MORE)

_RECURRENT = (
    _OfModules(
        "contractions",
        "1 per MAC, of recurrent layers",
        where=RNN + GRU + LSTM,
        units={recurrent_macs: 1},
    ),
    *recurrent_layers(_ONCE_MORE),
)

_CONVENTION = (
    _OfModules(
        "contractions",
        "1 per MAC, of modules",
        where=_CONTRACTIONS,
        units={macs_of_the_layer: 1},
    ),
    _OfModules("bias", "1 per output", where=_CONTRACTIONS, units={bias: 1}),
    *_RECURRENT,
    without_a_batch(_RECURRENT, _ONCE_MORE),
    Term(
        "contractions",
        "1 per MAC, by function or method",
        where=call(*_PRODUCTS, *ADDED_PRODUCTS),
        units={macs: 1},
    ),
    Term(
        "products of stacks",
        "as many as the first has",
        where=call(*_PRODUCTS, consists_of="matmul"),
        units={macs_of_the_first_stack: 1, macs: -1},
        fault=True,
    ),
    *functions(None),
    unlike_sums(None),
    _OfModules(
        "norms",
        "1 per element",
        where=_norms() + module("nn.LayerNorm"),
        units={inputs: 1},
    ),
    _OfModules(
        "scale and shift of norms",
        "1 per element",
        where=_norms(affine=True),
        units={inputs: 1},
    ),
    Term(
        "activations",
        "1 per element, by function",
        where=call("F.relu", "F.prelu", "F.elu", "F.relu6", "F.gelu", "F.silu"),
        units={outputs: 1},
    ),
    _OfModules(
        "activations",
        "1 per element, of modules",
        where=module("nn.LeakyReLU"),  # whose function is not replaced
        units={outputs: 1},
    ),
    _OfModules(
        "activations called by modules",
        "counted twice",
        where=module("nn.ReLU", "nn.PReLU", "nn.ELU", "nn.ReLU6", "nn.GELU"),
        units={outputs: 1},
        fault=True,
    ),
    Term(
        "pooling",
        "1 per input, by function",
        where=POOLS,
        units={inputs: 1},
    ),
    _OfModules(
        "pooling called by modules",
        "counted twice",
        where=module(*of_ranks(*_POOLS)),
        units={inputs: 1},
        fault=True,
    ),
    Term("softmax", "1 per element", where=call("F.softmax"), units={outputs: 1}),
    Term(
        "interpolation",
        "1 per output",
        where=call(*INTERPOLATIONS),
        units={outputs: 1},
    ),
    _OfModules(
        "upsampling modules again",
        "one item of the batch",
        where=module("nn.Upsample"),
        units={_outputs_of_one_item: 1},
        fault=True,
    ),
    _OfModules(
        "multi-head attention",
        "1 per MAC, score and scaled query",
        where=_ATTENTION,
        units={macs: 1, scores: 1, inputs: 1},
    ),
    _OfModules(
        "multi-head attention",
        "without keys that it adds",
        where=_ATTENTION,
        units={_units_of_added_keys: -1},
        fault=True,
    ),
    _OfModules(
        "multi-head attention",
        "as if keys and values stayed as wide as they are",
        where=_ATTENTION,
        units={_more_macs_of_other_widths: 1, _more_bias_of_other_widths: 1},
        fault=True,
    ),
    _OfModules(
        "bias of multi-head attention",
        "1 per output",
        where=_ATTENTION,
        units={outputs: 1},
    ),
    _OfModules(
        "bias of multi-head attention",
        "1 per query, key and value",
        where=module("nn.MultiheadAttention", in_proj_bias=GIVEN),
        units={_inputs_together: 1},
    ),
)

PARAMS = Params("trainable", missing="that are frozen")


def total(module: nn.Module, inputs: tuple[Tensor, ...], backend: str = "pytorch") -> CounterTotal:
    """What ``get_model_complexity_info`` gives. Raises ``ImportError`` if it is not installed."""
    from contextlib import redirect_stdout
    from io import StringIO

    import ptflops
    from torch import nn

    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, inputs: tuple[Tensor, ...]) -> Any:
            return self.module(*inputs)

    printed = StringIO()
    with redirect_stdout(printed):  # where it says what went wrong
        counted, params = ptflops.get_model_complexity_info(
            Whole(),
            (1,),
            as_strings=False,
            print_per_layer_stat=False,
            verbose=False,
            backend=backend,
            input_constructor=lambda _: {"inputs": inputs},
        )
    if counted is None:
        raise RuntimeError(printed.getvalue().partition("exception:")[2].strip())
    return CounterTotal(version_of("ptflops"), int(counted), int(params))


COUNTER = Counter(
    "ptflops",
    package="ptflops",
    versions=("0.7.4", "0.7.5"),
    total=total,
    convention=_CONVENTION,
    params=PARAMS,
)
