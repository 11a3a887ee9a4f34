"""Cases for the operations that only traced modules have; torch's functions give the values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from oracle import Array, Tally, elements, functions, grid
from torch import Tensor, nn
from torch.nn import functional

from cases.base import Case, Draw, Drawn, Inputs, shaped, small
from cases.elements import Call, pair, pairs, pointwise, prelus, run_pair, run_pointwise
from cases.reductions import (
    any_axes,
    cumulative,
    cumulatives,
    one_axis,
    reduction,
    reductions,
    scatter,
    scatters,
    spots,
    variance,
    variances,
)
from costlab.graph.op import Op, Shape
from costlab.ops.adaptive_pool import FractionalMaxPool
from costlab.ops.attention import Attention, PackedAttention
from costlab.ops.custom import Custom
from costlab.ops.element_functions import EACH, PAIR, QUANTIZING
from costlab.ops.layer_norm import GroupNorm, InstanceNorm, LayerNorm, RMSNorm
from costlab.ops.lookup import Embedding
from costlab.ops.movement import Leaf, Movement
from costlab.ops.pointwise import Pair, Pointwise, PReLU
from costlab.ops.recorded import Recorded
from costlab.ops.recurrent import CELLS, Recurrent
from costlab.ops.reduce import (
    ARITHMETIC,
    Cumulative,
    Reduce,
    Scatter,
    Variance,
)
from costlab.ops.resample import Fold, Interpolate
from costlab.ops.softmax import LogSoftmax


def places(shape: Shape, key: Callable[[tuple[int, ...]], Any]) -> list[list[tuple[int, ...]]]:
    groups: dict[Any, list[tuple[int, ...]]] = {}
    for here in grid(map(range, shape)):
        groups.setdefault(key(here), []).append(here)
    return list(groups.values())


def full(tensor: Any, shape: Shape, channels: bool) -> Array | None:
    """A scale or shift, spread over the input."""
    if tensor is None:
        return None
    array: Array = tensor.detach().numpy()
    if channels:
        array = array.reshape(1, -1, *[1] * (len(shape) - 2))
    return np.broadcast_to(array, shape)


def run_norm(tally: Tally, op: Any, module: Any, inputs: Inputs) -> Array:
    (x,) = inputs
    per_channel = isinstance(op, (GroupNorm, InstanceNorm))
    if isinstance(op, GroupNorm):
        width = x.shape[1] // op.channel_groups
        groups = places(x.shape, lambda here: (here[0], here[1] // width))
    elif isinstance(op, InstanceNorm):
        groups = places(x.shape, lambda here: here[:2])
    else:
        groups = places(x.shape, lambda here: here[: x.ndim - op.axes])
    scale = full(getattr(module, "weight", None), x.shape, per_channel)
    shift = full(getattr(module, "bias", None), x.shape, per_channel)
    centred = not isinstance(op, RMSNorm)
    eps = np.finfo(float).eps if isinstance(op, RMSNorm) else 1e-5
    return functions.normalised(tally, groups, x, scale, shift, centred, eps)


@st.composite
def layer_norms(draw: Draw, root: bool) -> Drawn:
    shape = tuple(draw(st.lists(st.integers(1, 4), min_size=2, max_size=4)))
    axes, affine = draw(st.integers(1, len(shape))), draw(st.booleans())
    if root:
        return RMSNorm(axes, affine), (shape,)
    return LayerNorm(axes, affine, draw(st.booleans()) if affine else True), (shape,)


@st.composite
def group_norms(draw: Draw) -> Drawn:
    groups = draw(small)
    # torch wants more than one value in a group
    shape = (draw(small), groups * draw(small), *draw(st.lists(st.integers(2, 3), max_size=2)))
    if len(shape) == 2 and shape[1] == groups:
        shape = (*shape, 2)
    return GroupNorm(groups, draw(st.booleans())), (shape,)


@st.composite
def instance_norms(draw: Draw) -> Drawn:
    places = draw(st.lists(st.integers(2, 3), min_size=1, max_size=3))
    return InstanceNorm(draw(st.booleans())), ((draw(small), draw(small), *places),)


@st.composite
def fractional_pools(draw: Draw) -> Drawn:
    rank = draw(st.integers(2, 3))
    window = tuple(draw(small) for _ in range(rank))
    size = tuple(draw(st.integers(2, 3)) for _ in range(rank))
    places = (k + n - 1 + draw(small) for k, n in zip(window, size, strict=True))
    return FractionalMaxPool(window, size), ((draw(small), draw(small), *places),)


def fractional_pool(op: FractionalMaxPool, shapes: tuple[Shape, ...]) -> nn.Module:
    ((batch, channels, *places),) = shapes
    pool: Any = getattr(functional, f"fractional_max_pool{len(places)}d")
    halves = torch.full((batch, channels, len(places)), 0.5)
    return Call(
        lambda x: pool(x, op.kernel_size, op.output_size, _random_samples=halves.to(x.dtype))
    )


@st.composite
def folds(draw: Draw) -> Drawn:
    kernel = (draw(small), draw(small))
    steps = (draw(small), draw(small))
    size = tuple(k + n - 1 for k, n in zip(kernel, steps, strict=True))
    taps = kernel[0] * kernel[1]
    return Fold(size, taps), ((draw(small), draw(small) * taps, steps[0] * steps[1]),)


def kernel_of(op: Fold, windows: int) -> tuple[int, int]:
    """Of the kernels with so many taps one that gives so many windows of stride 1."""
    return next(
        (k, op.window // k)
        for k in range(1, op.window + 1)
        if op.window % k == 0
        and (op.size[0] - k + 1) * (op.size[1] - op.window // k + 1) == windows
    )


@st.composite
def attentions(draw: Draw) -> Drawn:
    length, keys, width, values = (draw(small) for _ in range(4))
    grouped = draw(st.booleans())
    heads = draw(small)
    shared = draw(st.sampled_from([n for n in range(1, heads + 1) if heads % n == 0]))
    more = heads * draw(small) if grouped else heads
    batch = draw(small)
    masked = draw(st.booleans())
    elements = draw(st.sampled_from([None, length * keys, keys])) if masked else None
    op = Attention(masked, grouped, elements)
    stacks = [(batch, more), (batch, heads), (batch, shared if grouped else heads)]
    if grouped:
        stacks = [(draw(st.sampled_from([1, batch])), own) for _, own in stacks]
    else:
        stacks = [tuple(draw(st.sampled_from([1, d])) for d in stack) for stack in stacks]
    inner = ((length, width), (keys, width), (keys, values))
    return op, tuple((*stack, *each) for stack, each in zip(stacks, inner, strict=True))


def mask(op: Attention | PackedAttention, q: int, k: int) -> Array | None:
    return np.arange(q * k).reshape(q, k) / 10 if op.masked else None


def mask_of(module: Any, queries: int, keys: int) -> Array | None:
    if module.mask is None:
        return None
    values: Array = module.mask.detach().numpy()
    return np.broadcast_to(values, (queries, keys))


def run_attention(tally: Tally, op: Attention, module: nn.Module, inputs: Inputs) -> Array:
    q, k, v = inputs
    own = mask_of(module, q.shape[-2], k.shape[-2])
    return functions.attention(tally, q, k, v, own, op.grouped)


class Attending(nn.Module):
    """Attention, with a mask that learns if it has elements, which is taken, not its own."""

    def __init__(self, op: Attention, shapes: tuple[Shape, ...]) -> None:
        super().__init__()
        self.grouped = op.grouped
        self.mask: Tensor | None = None
        chosen = mask(op, shapes[0][-2], shapes[1][-2])
        if chosen is not None:
            values = torch.from_numpy(chosen)
            if op.mask_elements is not None:
                values = values[: op.mask_elements // values.shape[1]].clone().requires_grad_()
            self.mask = values

    def taken(self) -> list[Tensor]:
        return [] if self.mask is None or not self.mask.requires_grad else [self.mask]

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        result: Tensor = functional.scaled_dot_product_attention(
            q, k, v, attn_mask=self.mask, enable_gqa=self.grouped
        )
        return result


@st.composite
def packed_attentions(draw: Draw) -> Drawn:
    lengths = tuple(draw(st.lists(st.tuples(small, small), min_size=1, max_size=3)))
    heads, width, values = draw(small), draw(small), draw(small)
    queries, keys = map(sum, zip(*lengths, strict=True))
    shapes = ((queries, heads * draw(small), width), (keys, heads, width), (keys, heads, values))
    return PackedAttention(lengths, draw(st.booleans())), shapes


def of_sequences(op: PackedAttention, attend: Callable[..., Any], q: Any, k: Any, v: Any) -> Any:
    """What ``attend`` gives for each sequence and its mask, one after the other."""
    results, first, second = [], 0, 0
    for queries, keys in op.lengths:
        own = (q[first : first + queries], *(each[second : second + keys] for each in (k, v)))
        heads_first = [each.swapaxes(0, 1) for each in own]
        results.append(attend(*heads_first, mask(op, queries, keys)).swapaxes(0, 1))
        first, second = first + queries, second + keys
    return results


def run_packed_attention(tally: Tally, op: PackedAttention, _: nn.Module, inputs: Inputs) -> Array:
    def attend(q: Array, k: Array, v: Array, hidden: Array | None) -> Array:
        return functions.attention(tally, q, k, v, hidden, True)

    return np.concatenate(of_sequences(op, attend, *inputs))


def packed_attending(op: PackedAttention, shapes: tuple[Shape, ...]) -> nn.Module:
    def attend(q: Tensor, k: Tensor, v: Tensor, hidden: Array | None) -> Tensor:
        chosen = None if hidden is None else torch.from_numpy(hidden)
        whole = functional.scaled_dot_product_attention(
            q[None], k[None], v[None], attn_mask=chosen, enable_gqa=True
        )
        return whole[0]

    return Call(lambda q, k, v: torch.cat(of_sequences(op, attend, q, k, v)))


@st.composite
def recurrences(draw: Draw) -> Drawn:
    op = Recurrent(draw(st.sampled_from(sorted(CELLS))), draw(small), draw(st.booleans()))
    return op, ((draw(small), draw(small), draw(small)),)


class First(nn.Module):
    """A recurrent layer, and of what it gives the outputs."""

    def __init__(self, op: Recurrent, width: int) -> None:
        super().__init__()
        kinds: dict[str, Any] = {"lstm": nn.LSTM, "gru": nn.GRU}
        more = {} if op.cell in kinds else {"nonlinearity": op.cell.removeprefix("rnn_")}
        self.layer = kinds.get(op.cell, nn.RNN)(width, op.hidden, bias=op.bias, **more)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.layer(x)[0]
        return result


def run_recurrent(tally: Tally, op: Recurrent, module: Any, inputs: Inputs) -> Array:
    names = ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"]
    weights = [
        getattr(module.layer, name).detach().numpy() if hasattr(module.layer, name) else None
        for name in names
    ]
    return functions.recurrent(tally, op.cell, *inputs, *weights)


@st.composite
def interpolations(draw: Draw) -> Drawn:
    rank = draw(small)
    linear = {1: "linear", 2: "bilinear", 3: "trilinear"}[rank]
    modes = ["nearest", linear] + ["bicubic"] * (rank == 2)
    x = (draw(small), draw(small), *(draw(small) for _ in range(rank)))
    size = tuple(draw(st.integers(1, 5)) for _ in range(rank))
    return Interpolate(draw(st.sampled_from(modes)), size), (x,)


class Table(nn.Module):
    """An embedding of indices that are made of any numbers."""

    def __init__(self, op: Embedding) -> None:
        super().__init__()
        self.table = nn.Embedding(op.size, op.width)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.table((x.abs() * 1000).long() % self.table.num_embeddings)
        return result


def run_embedding(_: Tally, op: Embedding, module: Any, inputs: Inputs) -> Array:
    rows = (np.abs(inputs[0]) * 1000).astype(int) % op.size
    table: Array = module.table.weight.detach().numpy()
    looked_up: Array = table[rows]
    return looked_up


@st.composite
def moves(draw: Draw) -> Drawn:
    shape = tuple(draw(st.lists(small, min_size=1, max_size=4)))
    return Movement("permute", shape[::-1]), (shape,)


TRACED: dict[type[Op], Case] = {
    Pointwise: Case(
        shaped(lambda draw, _: Pointwise(draw(st.sampled_from(sorted([*EACH, *QUANTIZING]))))),
        run_pointwise,
        pointwise,
    ),
    Pair: Case(pairs(), run_pair, pair),
    PReLU: Case(
        prelus(),
        lambda t, op, module, inputs: elements.prelu(
            t,
            inputs[0],
            module.weight.detach().numpy(),
        ),
        lambda op, shapes: nn.PReLU(op.slopes),
    ),
    LogSoftmax: Case(
        shaped(lambda draw, rank: LogSoftmax(draw(st.integers(-rank, rank - 1)))),
        lambda t, op, module, inputs: functions.log_softmax(t, inputs[0], op.dim),
        lambda op, shapes: nn.LogSoftmax(op.dim),
    ),
    LayerNorm: Case(layer_norms(root=False), run_norm),
    RMSNorm: Case(layer_norms(root=True), run_norm),
    GroupNorm: Case(group_norms(), run_norm),
    InstanceNorm: Case(instance_norms(), run_norm),
    Reduce: Case(
        st.one_of(reductions(any_axes), reductions(one_axis)),
        lambda t, op, module, inputs: functions.reduced(
            t, op.function, inputs[0], op.dims, op.keepdim
        ),
        reduction,
    ),
    Variance: Case(
        reductions(variances),
        lambda t, op, module, inputs: functions.reduced(t, "var", inputs[0], op.dims, op.keepdim),
        variance,
    ),
    Cumulative: Case(
        cumulatives(),
        lambda t, op, module, inputs: functions.running(t, op.function, inputs[0], op.dim),
        cumulative,
    ),
    Scatter: Case(
        scatters(),
        lambda t, op, module, inputs: functions.scattered(
            t, op.function, inputs[0], inputs[1], spots(inputs[0].shape, inputs[1].shape)
        ),
        scatter,
    ),
    FractionalMaxPool: Case(
        fractional_pools(),
        lambda t, op, module, inputs: functions.fractional_max_pool(
            t, inputs[0], op.kernel_size, op.output_size
        ),
        fractional_pool,
    ),
    Fold: Case(
        folds(),
        lambda t, op, module, inputs: functions.folded(
            t, inputs[0], op.size, kernel_of(op, inputs[0].shape[2])
        ),
        lambda op, shapes: nn.Fold(op.size, kernel_of(op, shapes[0][2])),
    ),
    Attention: Case(
        attentions(),
        run_attention,
        Attending,
    ),
    PackedAttention: Case(packed_attentions(), run_packed_attention, packed_attending),
    Recurrent: Case(recurrences(), run_recurrent, lambda op, shapes: First(op, shapes[0][-1])),
    Interpolate: Case(
        interpolations(),
        lambda t, op, module, inputs: functions.interpolated(t, inputs[0], op.size, op.mode),
        lambda op, shapes: Call(lambda x: functional.interpolate(x, size=op.size, mode=op.mode)),
    ),
    Embedding: Case(
        shaped(lambda draw, _: Embedding(draw(small), draw(small))),
        run_embedding,
        lambda op, shapes: Table(op),
    ),
    Movement: Case(
        moves(),
        lambda t, op, module, inputs: np.transpose(inputs[0]),
        lambda op, shapes: Call(lambda x: x.permute(*reversed(range(x.dim())))),
    ),
}

assert {*elements.FUNCTIONS} == {*EACH, *QUANTIZING}
assert {*elements.PAIRS} == {*PAIR}
assert {*functions.COMBINED, "argmax", "argmin"} == {*ARITHMETIC}
RULELESS = {Custom, Recorded, Leaf}
"""Of which costlab has no rule of its own: there is no definition to execute."""
