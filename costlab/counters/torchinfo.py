"""torchinfo: sizes of parameters times places of the output, for modules without children."""

from __future__ import annotations

from collections.abc import Container, Iterable
from math import prod
from typing import TYPE_CHECKING, Any

from costlab.counters import Counter, CounterTotal, of_modules, scopes
from costlab.counters.events import Event
from costlab.counters.installed import version_of
from costlab.counters.quantities import bias, macs
from costlab.counters.terms import Macs, Params, Term, module, of_ranks

if TYPE_CHECKING:
    from torch import Tensor, nn

_TRANSPOSED = module(*of_ranks("ConvTranspose"))
_CONVS = module(*of_ranks("Conv"))
_KNOWN = _CONVS + _TRANSPOSED + module("nn.Linear")


def _leaf(event: Event) -> bool:
    """Whether it is a call of a module without children."""
    return event.module is not None and not any(True for _ in event.module.children())


def _leaf_named_conv(event: Event) -> bool:
    return _leaf(event) and "Conv" in type(event.module).__name__


def _leaf_named_otherwise(event: Event) -> bool:
    return _leaf(event) and not _leaf_named_conv(event)


def _recurrent_leaf(event: Event) -> bool:
    return _leaf(event) and type(event.module).__name__ in ("RNN", "LSTM", "GRU")


def _other_leaf(event: Event) -> bool:
    return _leaf(event) and not _recurrent_leaf(event)


def _parameters_by_item(event: Event) -> int:
    """Elements of the module's ``weight`` and ``bias``, for each item of the batch."""
    return _weight_by_item(event) + _bias_by_item(event)


def _parameters_by_place(event: Event) -> int:
    """The same, for each place of the output too."""
    return _weight_by_place(event) + _bias_by_place(event)


@Macs
def _weight_by_item(event: Event) -> int:
    return _elements(event, {"weight"}) * prod(event.output[:1])


@Macs
def _weight_by_place(event: Event) -> int:
    return _weight_by_item(event) * prod(event.output[2:])


def _bias_by_item(event: Event) -> int:
    return _elements(event, {"bias"}) * prod(event.output[:1])


def _bias_by_place(event: Event) -> int:
    return _bias_by_item(event) * prod(event.output[2:])


def _others_by_step(event: Event) -> int:
    """Elements of parameters such as ``weight_ih_l0``, by the first two axes of the output."""
    assert event.module is not None
    names = {name for name, _ in _counted(event.module) if "weight" in name or "bias" in name}
    return _elements(event, names - {"weight", "bias"}) * prod(event.output[:2])


def _elements(event: Event, names: Container[str]) -> int:
    """Elements of the module's parameters of these names."""
    assert event.module is not None
    return sum(count for name, count in _counted(event.module) if name in names)


def _counted(module: nn.Module) -> list[tuple[str, int]]:
    """Parameters by their names, with their elements; of pruned ones those that are left."""
    counted = []
    for name, parameter in module.named_parameters():
        pruned = name.removesuffix("_orig")
        mask = _member(module, f"{pruned}_mask") if name.endswith("_orig") else None
        counted.append(
            (name, parameter.numel()) if mask is None else (pruned, int(mask.sum().item()))
        )
    return counted


def _member(module: nn.Module, path: str) -> Tensor | None:
    owner, _, name = path.rpartition(".")
    member: Tensor | None = getattr(module.get_submodule(owner), name, None)
    return member


def _lacks_weight_or_bias(event: Event) -> bool:
    """Whether hooks of a convolution compute what it uses: by pruning, norms of weights."""
    return any(fits(event) for fits in _CONVS) and not {"weight", "bias"}.issubset(
        event.module._parameters if event.module is not None else ()
    )


_CONVENTION = (
    Term("contractions", "1 per MAC, of modules", where=_KNOWN, units={macs: 1}),
    Term("bias", "1 per output", where=_KNOWN, units={bias: 1}),
    Term(
        "linear layers",
        "for each item of the batch and not for each row",
        where=module("nn.Linear"),
        units={_weight_by_item: 1, _bias_by_item: 1, macs: -1, bias: -1},
        fault=True,
    ),
    Term(
        "transposed convolutions",
        "on the output grid",
        where=_TRANSPOSED,
        units={_weight_by_place: 1, _bias_by_place: 1, macs: -1, bias: -1},
        fault=True,
    ),
    Term(
        "convolutions whose weights hooks compute",
        "of the parameters that are left",
        where=(_lacks_weight_or_bias,),
        units={_weight_by_place: 1, _bias_by_place: 1, macs: -1, bias: -1},
        fault=True,
    ),
    Term(
        "other modules",
        "their weight and bias for each item of the batch",
        where=(_leaf_named_otherwise,),
        but=_KNOWN,
        units={_parameters_by_item: 1},
    ),
    Term(
        "other modules",
        "named Conv, their weight and bias for each place of the output",
        where=(_leaf_named_conv,),
        but=_KNOWN,
        units={_parameters_by_place: 1},
    ),
    Term(
        "recurrent layers",
        "their weights and biases for each step of each item",
        where=(_recurrent_leaf,),
        units={_others_by_step: 1},
    ),
    Term(
        "other parameters",
        "if named like a weight or bias, by the first two axes of the output",
        where=(_other_leaf,),
        units={_others_by_step: 1},
        fault=True,
    ),
)


def _params_of_the_tree(root: nn.Module, called: Iterable[str]) -> int:
    """Params of called modules without children, and of others what their parts do not have.

    Where parts have more, since they share a tensor, the difference is 0, not negative.
    """
    shown = {scope for path in called for scope in scopes(path)} | {""}
    total = 0
    for path, inner in root.named_modules():
        if path not in shown:
            continue
        inside = f"{path}." if path else ""
        parts = [part for name, part in inner.named_children() if inside + name in shown]
        total += max(0, _own_params(inner) - sum(map(_own_params, parts)))
    return total


def _own_params(module: nn.Module) -> int:
    return sum(count for _, count in _counted(module))


def total(module: nn.Module, inputs: tuple[Tensor, ...]) -> CounterTotal:
    """What ``torchinfo.summary`` gives. Raises ``ImportError`` if it is not installed."""
    import torchinfo

    summary = torchinfo.summary(module, input_data=inputs, verbose=0)
    by_path = of_modules(
        (_path(layer), layer.macs) for layer in summary.summary_list if layer.is_leaf_layer
    )
    total, params = int(summary.total_mult_adds), int(summary.total_params)
    return CounterTotal(version_of("torchinfo"), total, params, by_path)


def _path(layer: Any) -> str:
    names: list[str] = []
    while layer.parent_info is not None:
        names.insert(0, layer.var_name)
        layer = layer.parent_info
    return ".".join(names)


COUNTER = Counter(
    "torchinfo",
    package="torchinfo",
    versions=("1.8",),
    total=total,
    by_module=True,
    convention=_CONVENTION,
    params=Params(
        "all",
        repeated="of tensors in several modules, once more for each, less what it takes for them",
        together=_params_of_the_tree,
    ),
)
