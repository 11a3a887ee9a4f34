"""What costlab counts: one entry for each quantity, which every view, format and language reads."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias, get_args

from costlab import formatting
from costlab.costs.of_runs import OF_RUNS, of_runs, optimizer_named
from costlab.costs.quantity import Quantity, View
from costlab.errors import ChoiceError, UnknownNameError
from costlab.render.document import Units

MAC_UNIT = "1 multiplication + 1 addition"

if TYPE_CHECKING:
    from costlab.costs.rows import Row
    from costlab.graph.opcount import Gradient


def _flops(row: Row) -> str:
    if not row.derivation:
        return row.operation
    other = f" + {formatting.integer(row.other)} other ops" if row.other else ""
    return f"2·{row.derivation}{other}"


def _added(gradients: Iterable[Gradient]) -> str:
    return " + ".join(str(gradient.contraction) for gradient in gradients)


def _training_macs(row: Row) -> str:
    terms = {
        "forward": row.macs,
        "again": row.recomputed_macs,
        "input gradient": row.input_gradient_macs,
        "weight gradient": row.weight_gradient_macs,
    }
    return " + ".join(f"{name} {formatting.integer(macs)}" for name, macs in terms.items() if macs)


QUANTITIES: dict[str, Quantity] = {
    quantity.name: quantity
    for quantity in (
        Quantity(
            "params",
            "params",
            "elements of learnable tensors",
            lambda cost: cost.params,
            "params = elements of learnable tensors",
            {"show": 0, "list": 0, "compare": 0, "formula": 0, "sweep": 0, "report": 0},
            needs_rule=False,
            derivation=lambda row: formatting.shapes(value.shape for value in row.parameters),
        ),
        Quantity(
            "trainable",
            "trainable",
            "params that are trained",
            lambda cost: cost.params - cost.frozen,
            "trainable = params that are trained",
            needs_rule=False,
        ),
        Quantity(
            "frozen",
            "frozen",
            "params that are not trained (requires_grad is false)",
            lambda cost: cost.frozen,
            "frozen = params that are not (requires_grad is false)",
            needs_rule=False,
        ),
        Quantity(
            "macs",
            "MACs",
            f"MACs: {MAC_UNIT} inside a contraction",
            lambda cost: cost.count.macs,
            "1 MAC = 1 multiplication + 1 addition inside a convolution, linear layer or matrix "
            "product",
            {"show": 0, "list": 0, "compare": 0, "formula": 0, "sweep": 0, "report": 0},
            derivation=lambda row: row.derivation,
        ),
        Quantity("mul", "mul", "multiplications outside contractions", lambda cost: cost.count.mul),
        Quantity("add", "add", "additions outside contractions", lambda cost: cost.count.add),
        Quantity("cmp", "cmp", "comparisons outside contractions", lambda cost: cost.count.cmp),
        Quantity("div", "div", "divisions outside contractions", lambda cost: cost.count.div),
        Quantity(
            "special",
            "special",
            "exp, log, pow, sqrt... outside contractions",
            lambda cost: cost.count.special,
        ),
        Quantity(
            "other",
            "other ops",
            "scalar operations outside contractions",
            lambda cost: cost.other,
            "other ops = scalar mul, add, cmp, div and special (exp, log, pow...) outside "
            "contractions",
            {"show": 4, "compare": 0, "sweep": 2, "report": 0},
        ),
        Quantity(
            "flops",
            "FLOPs",
            "FLOPs: 2 for each MAC, and every other scalar operation",
            lambda cost: cost.flops,
            "FLOPs = 2·MACs + other ops",
            {"compare": 1, "formula": 0, "sweep": 1},
            derivation=_flops,
        ),
        Quantity(
            "activations",
            "activations",
            "elements that operations compute, each once",
            lambda cost: cost.activations,
            "activations = elements that operations compute, each once: views, operations in "
            "place and what only moves elements add none",
            {"show": 5, "compare": 2, "formula": 0, "sweep": 3, "report": 4},
            needs_rule=False,
            derivation=lambda row: formatting.shape(row.output),
        ),
        Quantity(
            "conv_outputs",
            "conv outputs",
            "elements of the outputs of convolutions, linear layers and matrix products",
            lambda cost: cost.conv_outputs,
            "conv outputs = elements of the outputs of convolutions, linear layers and matrix "
            "products (what fvcore and timm call activations)",
        ),
        Quantity(
            "params_bytes",
            "params bytes",
            "bytes of learnable tensors",
            lambda cost: cost.params_bytes,
            needs_rule=False,
        ),
        Quantity(
            "buffers_bytes",
            "buffers bytes",
            "bytes of buffers that layers take, such as running statistics",
            lambda cost: cost.buffers_bytes,
            needs_rule=False,
            needs_values=True,
        ),
        Quantity(
            "read_bytes",
            "bytes read",
            "bytes that layers read: params, buffers, inputs, what earlier layers gave",
            lambda cost: cost.read_bytes,
            "bytes read = bytes of all that each layer takes, params too, if nothing is kept "
            "between layers; views move none",
            needs_rule=False,
            needs_values=True,
            needs_layout=True,
        ),
        Quantity(
            "written_bytes",
            "bytes written",
            "bytes that layers write: what they give, also in place",
            lambda cost: cost.written_bytes,
            "bytes written = bytes of all that each layer gives, also in place",
            needs_rule=False,
            needs_values=True,
            needs_layout=True,
        ),
    )
}
"""All that is counted of every model, by name, in the order of columns."""

_EVERYWHERE: dict[View, int] = dict.fromkeys(get_args(View), 0)

OF_TRAINING: dict[str, Quantity] = {
    quantity.name: quantity
    for quantity in (
        Quantity(
            "input_gradient_macs",
            "input-grad MACs",
            "MACs of the backward pass to what a layer takes, other than parameters",
            lambda cost: cost.input_gradient_macs,
            "input-grad MACs = MACs of the backward pass to what layers take",
            _EVERYWHERE | {"compare": 1},
            needs_rule=False,
            needs_backward=True,
            derivation=lambda row: _added(row.backward.inputs if row.backward else ()),
        ),
        Quantity(
            "weight_gradient_macs",
            "weight-grad MACs",
            "MACs of the backward pass to parameters",
            lambda cost: cost.weight_gradient_macs,
            "weight-grad MACs = MACs of the backward pass to parameters",
            _EVERYWHERE | {"compare": 1},
            needs_rule=False,
            needs_backward=True,
            derivation=lambda row: _added(row.backward.weights if row.backward else ()),
        ),
        Quantity(
            "recomputed_macs",
            "recomputed MACs",
            "MACs of the forward pass that run again in the backward pass (torch.utils.checkpoint)",
            lambda cost: cost.recomputed_macs,
            shown={"compare": 2},
            needs_backward=True,
        ),
        Quantity(
            "training_macs",
            "training MACs",
            "MACs of forward and backward pass together, what runs again too",
            lambda cost: cost.training_macs,
            "training MACs = MACs + input-grad MACs + weight-grad MACs + what checkpoints compute "
            "again, without the optimizer",
            _EVERYWHERE | {"show": 1},
            needs_backward=True,
            derivation=_training_macs,
        ),
        Quantity(
            "input_gradient_other",
            "input-grad other ops",
            "scalar operations of the backward pass to what a layer takes, other than parameters",
            lambda cost: cost.input_gradient_other,
            shown={"compare": 2},
            needs_rule=False,
            needs_backward_ops=True,
        ),
        Quantity(
            "weight_gradient_other",
            "weight-grad other ops",
            "scalar operations of the backward pass to parameters",
            lambda cost: cost.weight_gradient_other,
            shown={"compare": 2},
            needs_rule=False,
            needs_backward_ops=True,
        ),
        Quantity(
            "training_other",
            "training other ops",
            "scalar operations of forward and backward pass together, what runs again too",
            lambda cost: cost.training_other,
            shown={"compare": 2},
            needs_backward_ops=True,
        ),
        Quantity(
            "training_flops",
            "training FLOPs",
            "FLOPs of forward and backward pass: 2 for each MAC, and every other operation",
            lambda cost: cost.training_flops,
            shown={"compare": 2},
            needs_backward=True,
            needs_backward_ops=True,
        ),
    )
}
"""What is counted of a training step, where that is asked for."""


OF_MEMORY: Mapping[str, str] = dict.fromkeys(
    OF_RUNS,
    "memory is of a run at one size, not of layers that add up: costlab memory says it",
)
"""What is counted elsewhere, and why not here."""

TIME_BOUNDS = ("time_bound", "time_bound_fused")
"""The names of the quantities that need a device (``costlab.roofline.quantity``)."""

WITHOUT_DEVICE: Mapping[str, str] = dict.fromkeys(
    TIME_BOUNDS,
    'on which device? give one, as device = "h100-sxm" or --device h100-sxm (costlab devices lists '
    "them)",
)
"""What is said of these where there is none."""

More: TypeAlias = tuple[Quantity, ...]
"""Quantities that are asked for beside those of every model, such as times on a device."""


def named_in(texts: Iterable[str]) -> list[str]:
    """The quantities that conditions and numbers name, of those that have to be asked for."""
    layouts = {name: q for name, q in QUANTITIES.items() if q.needs_layout}
    known = {**OF_RUNS, **OF_TRAINING, **layouts}
    words = dict.fromkeys(word for text in texts for word in re.findall(r"\w+", text))
    return [word for word in words if word in known]


def asked(names: Iterable[str], timed: bool = False, optimizer: str = "") -> More:
    """The quantities of these names, which are shown then; of a step that ``optimizer`` trains.

    On a device (``timed``) times are there unasked. Raises ``UnknownNameError`` for what is no
    quantity or no optimizer, and ``ChoiceError`` for a time without a device, or an optimizer
    where nothing of a step is asked for.
    """
    runs = of_runs(optimizer_named(optimizer)) if optimizer else OF_RUNS
    more = tuple(
        replace(quantity, shown={**quantity.shown, "formula": 0, "sweep": 0})
        for name in dict.fromkeys(names)
        if not (timed and name in TIME_BOUNDS)
        for quantity in [runs.get(name) or quantity_named(name, runs)]
    )
    if optimizer and not any(quantity.optimizer for quantity in more):
        raise ChoiceError(
            "an optimizer is of what a training step holds: ask for that too, such as "
            "optimizer_bytes or training_peak_bytes"
        )
    return more


def names_training(names: Iterable[str]) -> bool:
    """Whether one of these is of what a training step costs, which is counted where it is named."""
    return any(name in OF_TRAINING for name in names)


ASKED = "it is known where it is asked for: quantities={0!r}, or --quantity {0}"
"""How to have a quantity that has to be asked for."""


def lays_out(more: More) -> bool:
    """Whether it has to be known what is a view and what a copy."""
    return any(quantity.needs_layout for quantity in more)


def in_runs(more: More) -> bool:
    """Whether it has to be known what a run holds."""
    return any(quantity.of_run for quantity in more)


def quantities(training_cost: bool = False, more: More = ()) -> dict[str, Quantity]:
    """All that is counted, of a training step too if asked, and what else is asked for."""
    known = QUANTITIES | OF_TRAINING if training_cost else QUANTITIES
    return known | {quantity.name: quantity for quantity in more} if more else known


def quantity_named(name: str, others: Iterable[str] = ()) -> Quantity:
    """The quantity of that name, also of a training step. Raises ``UnknownNameError``.

    ``others`` are names that might have been meant as well.
    """
    known = quantities(training_cost=True)
    if name not in known:
        if name == "share" or name.removesuffix("_share") in known:
            of = "macs" if name == "share" else name.removesuffix("_share")
            raise ChoiceError(f"{name} has the order of {of}: take that")
        if name in TIME_BOUNDS:
            raise ChoiceError(f"{name}: {WITHOUT_DEVICE[name]}")
        names = [*known, *others]
        raise UnknownNameError("quantity", name, names, listed=", ".join(names))
    return known[name]


def shown(
    view: View, first: str = "", training_cost: bool = False, more: More = ()
) -> list[Quantity]:
    """The quantities of a view, in its order; the one named ``first`` comes first."""
    known = quantities(training_cost, more).values()
    chosen = [quantity for quantity in known if view in quantity.shown]
    return sorted(chosen, key=lambda quantity: quantity.name != first)


def legend(names: Iterable[str] | None = None, training_cost: bool = False, more: More = ()) -> str:
    """One line that defines these quantities, or all that some view shows by itself."""
    usual = [name for name, known in quantities(training_cost, more).items() if known.shown]
    return "; ".join(definitions(usual if names is None else names, training_cost, more)) + "."


def definitions(
    names: Iterable[str] | None = None, training_cost: bool = False, more: More = ()
) -> tuple[str, ...]:
    """The definitions of these quantities or of all: first of what is computed, then of sizes."""
    known = quantities(training_cost, more)
    chosen = known.keys() if names is None else set(names)
    ordered = sorted(known.values(), key=lambda q: not (q.needs_rule or q.needs_backward))
    return tuple(
        quantity.definition
        for quantity in ordered
        if quantity.name in chosen and quantity.definition
    )


def units(training_cost: bool = False, more: More = ()) -> Units:
    """The units and definitions that files of numbers carry."""
    of = {quantity.name: quantity.unit for quantity in quantities(training_cost, more).values()}
    return Units(of, definitions(training_cost=training_cost, more=more), MAC_UNIT)
