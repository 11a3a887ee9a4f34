"""ptflops, its ``pytorch`` backend: hooks on modules, and patched functions, at the same time."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from costlab.counters import Counter, CounterTotal
from costlab.counters.installed import version_of
from costlab.counters.quantities import (
    bias,
    bias_elements,
    broadcast_from_the_left,
    gates_with_bias,
    inputs,
    macs,
    macs_of_the_first_stack,
    macs_of_the_layer,
    outputs,
    padded_channels,
    recurrent_macs,
    scores,
    second_input,
    states,
)
from costlab.counters.terms import (
    GIVEN,
    Event,
    Macs,
    Params,
    Repeats,
    Term,
    Where,
    call,
    function,
    module,
    operation,
)

if TYPE_CHECKING:
    from torch import Tensor, nn


def _norms(**attributes: Any) -> Where:
    kinds = [f"{kind}{rank}d" for kind in ("BatchNorm", "InstanceNorm") for rank in (1, 2, 3)]
    return module(*(f"nn.{kind}" for kind in [*kinds, "GroupNorm"]), **attributes)


_CONTRACTIONS = module(
    *(f"nn.{kind}{rank}d" for kind in ("Conv", "ConvTranspose") for rank in (1, 2, 3)),
    "nn.Linear",
)
_POOLS = {
    "MaxPool": "max_pool",
    "AvgPool": "avg_pool",
    "AdaptiveMaxPool": "adaptive_max_pool",
    "AdaptiveAvgPool": "adaptive_avg_pool",
}
_RNN, _GRU = module("nn.RNN", "nn.RNNCell"), module("nn.GRU", "nn.GRUCell")
_LSTM = module("nn.LSTM", "nn.LSTMCell")
_PRODUCTS = [f"{home}.{name}" for home in ("torch", "Tensor") for name in ("matmul", "mm", "bmm")]
_ADDED_PRODUCTS = ("torch.addmm", "torch.baddbmm", "Tensor.addmm")
_INTERPOLATIONS = ("F.interpolate", "F.interpolate_to_size", "F.interpolate_to_number")
_SUMS = call("torch.add", "torch.mul", "Tensor.add", "Tensor.mul")
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


_ONCE_MORE = Repeats("once more for each")

_CONVENTION = (
    Term(
        "contractions",
        "1 per MAC, of modules",
        where=_CONTRACTIONS,
        units={macs_of_the_layer: 1},
        repeats=_ONCE_MORE,
    ),
    Term("bias", "1 per output", where=_CONTRACTIONS, units={bias: 1}, repeats=_ONCE_MORE),
    Term(
        "contractions",
        "1 per MAC, of recurrent layers",
        where=_RNN + _GRU + _LSTM,
        units={recurrent_macs: 1},
        repeats=_ONCE_MORE,
    ),
    Term(
        "bias of recurrent layers",
        "2 per gate",
        where=_RNN + _GRU + _LSTM,
        units={gates_with_bias: 2},
        repeats=_ONCE_MORE,
    ),
    Term(
        "states of recurrent layers",
        "1 per element of an RNN",
        where=_RNN,
        units={states: 1},
        repeats=_ONCE_MORE,
    ),
    Term(
        "states of recurrent layers",
        "7 per element of a GRU",
        where=_GRU,
        units={states: 7},
        repeats=_ONCE_MORE,
    ),
    Term(
        "states of recurrent layers",
        "10 per element of an LSTM",
        where=_LSTM,
        units={states: 10},
        repeats=_ONCE_MORE,
    ),
    Term(
        "contractions",
        "1 per MAC, by function or method",
        where=call(*_PRODUCTS, *_ADDED_PRODUCTS),
        units={macs: 1},
    ),
    Term(
        "products of stacks",
        "as many as the first has",
        where=call(*_PRODUCTS, consists_of="matmul"),
        units={macs_of_the_first_stack: 1, macs: -1},
        fault=True,
    ),
    Term(
        "bias of addmm",
        "once and not for each row",
        where=call("torch.addmm", "Tensor.addmm", consists_of="linear"),
        units={bias_elements: 1},
        fault=True,
    ),
    Term(
        "what addmm and baddbmm add",
        "1 per element",
        where=call(*_ADDED_PRODUCTS, consists_of="add"),
        units={second_input: 1},
    ),
    Term(
        "sums and products",
        "1 per element, by function or method",
        where=_SUMS,
        units={outputs: 1},
    ),
    Term(
        "sums of unlike shapes",
        "aligned from the left",
        where=_SUMS,
        units={broadcast_from_the_left: 1, outputs: -1},
        fault=True,
    ),
    Term(
        "norms",
        "1 per element",
        where=_norms() + module("nn.LayerNorm"),
        units={inputs: 1},
        repeats=_ONCE_MORE,
    ),
    Term(
        "scale and shift of norms",
        "1 per element",
        where=_norms(affine=True),
        units={inputs: 1},
        repeats=_ONCE_MORE,
    ),
    Term(
        "activations",
        "1 per element, by function",
        where=call("F.relu", "F.prelu", "F.elu", "F.relu6", "F.gelu", "F.silu"),
        units={outputs: 1},
    ),
    Term(
        "activations",
        "1 per element, of modules",
        where=module("nn.LeakyReLU"),  # whose function is not replaced
        units={outputs: 1},
        repeats=_ONCE_MORE,
    ),
    Term(
        "activations called by modules",
        "counted twice",
        where=module("nn.ReLU", "nn.PReLU", "nn.ELU", "nn.ReLU6", "nn.GELU"),
        units={outputs: 1},
        fault=True,
        repeats=_ONCE_MORE,
    ),
    Term(
        "pooling",
        "1 per input, by function",
        where=sum(
            (
                call(*(f"F.{name}{rank}d" for rank in (1, 2, 3)), consists_of=name)
                for name in _POOLS.values()
            ),
            (),
        ),
        units={inputs: 1},
    ),
    Term(
        "pooling called by modules",
        "counted twice",
        where=module(*(f"nn.{kind}{rank}d" for kind in _POOLS for rank in (1, 2, 3))),
        units={inputs: 1},
        fault=True,
        repeats=_ONCE_MORE,
    ),
    Term(
        "pooling of powers",
        "1 per input and 2 per output",
        where=function("lp_pool1d", "lp_pool2d", "lp_pool3d", consists_of="avg_pool"),
        units={inputs: 1, outputs: 2},
    ),
    Term(
        "interpolation by areas",
        "1 per input of its pooling too",
        where=call(*_INTERPOLATIONS, consists_of="adaptive_avg_pool"),
        units={inputs: 1},
        fault=True,
    ),
    Term("softmax", "1 per element", where=call("F.softmax"), units={outputs: 1}),
    Term(
        "interpolation",
        "1 per output",
        where=call(*_INTERPOLATIONS),
        units={outputs: 1},
    ),
    Term(
        "upsampling modules again",
        "one item of the batch",
        where=module("nn.Upsample"),
        units={_outputs_of_one_item: 1},
        fault=True,
        repeats=_ONCE_MORE,
    ),
    Term(
        "local response norm",
        "by its own steps",
        where=operation("lrn"),
        units={outputs: 3, padded_channels: 1},
    ),
    Term(
        "multi-head attention",
        "1 per MAC, score and scaled query",
        where=_ATTENTION,
        units={macs: 1, scores: 1, inputs: 1},
        repeats=_ONCE_MORE,
    ),
    Term(
        "multi-head attention",
        "without keys that it adds",
        where=_ATTENTION,
        units={_units_of_added_keys: -1},
        fault=True,
        repeats=_ONCE_MORE,
    ),
    Term(
        "bias of multi-head attention",
        "1 per output",
        where=_ATTENTION,
        units={outputs: 1},
        repeats=_ONCE_MORE,
    ),
    Term(
        "bias of multi-head attention",
        "1 per query, key and value",
        where=module("nn.MultiheadAttention", in_proj_bias=GIVEN),
        units={_inputs_together: 1},
        repeats=_ONCE_MORE,
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
