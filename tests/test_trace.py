"""Any nn.Module: what is counted, and where."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode
from tracing import checked

import costlab
from costlab.costs import CostTable, costs
from costlab.garbage import no_collections


class Fn(nn.Module):
    """A function as a module, with tensors to use."""

    def __init__(self, function: Callable[..., Any], **tensors: Tensor) -> None:
        super().__init__()
        self.function = function
        for name, tensor in tensors.items():
            setattr(self, name, nn.Parameter(tensor))

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(self, *args, **kwargs)


def rows(table: CostTable) -> list[tuple[Any, ...]]:
    """What a table says of each layer."""
    return [
        (r.path, r.op, r.kernel, r.inputs, r.output, r.params, r.count, r.activations)
        for r in table.rows
    ]


def variants() -> list[str]:
    return [
        name if not choice else f'{name}({choice}="{word}")'
        for name, entry in costlab.architectures().items()
        for choice, word in [
            ("", ""),
            *((c, w) for c, words in entry.variants.items() for w in words),
        ]
    ]


@pytest.mark.parametrize("model", [*variants(), "googlenet(aux=True)", "vgg11(bn=True)"])
def test_the_catalogs_built_modules_give_the_catalogs_tables(model: str) -> None:
    """Row for row, edges too: the circle of the two frontends."""
    ours = costlab.analyze(model)
    with torch.device("meta"):
        module = costlab.build(ours.graph)
    graph = checked(module, ours.graph.inputs[0])
    assert rows(costs(graph)) == rows(ours)
    assert [layer.takes for layer in graph.layers] == [layer.takes for layer in ours.graph.layers]
    assert graph.outputs == ours.graph.outputs
    assert graph.unused == ()


X = torch.zeros(2, 6, 8, 8)
S = torch.zeros(2, 5, 12)

CALLS: dict[str, tuple[Callable[..., Any], Any]] = {
    "conv1d": (lambda m, x: F.conv1d(x.flatten(2), torch.zeros(4, 6, 3)), X),
    "conv2d": (lambda m, x: torch.conv2d(x, torch.zeros(4, 3, 3, 3), padding=1, groups=2), X),
    "conv2d same": (lambda m, x: F.conv2d(x, torch.zeros(4, 6, 3, 3), padding="same"), X),
    "conv2d unbatched": (lambda m, x: F.conv2d(x[0], torch.zeros(4, 6, 3, 3)), X),
    "conv3d": (lambda m, x: F.conv3d(x[:, :, None], torch.zeros(4, 6, 1, 3, 3)), X),
    "conv_transpose2d": (lambda m, x: F.conv_transpose2d(x, torch.zeros(6, 4, 3, 3), stride=2), X),
    "linear": (lambda m, x: F.linear(x, torch.zeros(7, 12), torch.zeros(7)), S),
    "linear of a vector": (lambda m, x: F.linear(x[0, 0], torch.zeros(7, 12)), S),
    "matmul": (lambda m, x: x @ x.transpose(-1, -2), S),
    "matmul broadcast": (lambda m, x: torch.matmul(x[:1], x.mT), S),
    "matmul of vectors": (lambda m, x: x[0, 0] @ x[0, 1], S),
    "matrix times vector": (lambda m, x: x @ x[0, 0], S),
    "vector times matrix": (lambda m, x: x[0, 0] @ x[0].T, S),
    "mm": (lambda m, x: torch.mm(x[0], x[0].t()), S),
    "bmm": (lambda m, x: torch.bmm(x, x.mT), S),
    "addmm": (lambda m, x: torch.addmm(torch.zeros(5), x[0], x[0].T), S),
    "baddbmm": (lambda m, x: torch.baddbmm(torch.zeros(2, 5, 5), x, x.mT), S),
    "einsum": (lambda m, x: torch.einsum("bij,bkj->bik", x, x), S),
    "einsum of three": (lambda m, x: torch.einsum("bij,bkj,bkl->bil", x, x, x), S),
    "attention": (lambda m, x: F.scaled_dot_product_attention(x, x, x, is_causal=True), S),
    "grouped queries": (
        lambda m, x: F.scaled_dot_product_attention(
            x.view(2, 5, 4, 3).transpose(1, 2),
            x.view(2, 5, 4, 3).transpose(1, 2)[:, :2],
            x.view(2, 5, 4, 3).transpose(1, 2)[:, :2],
            enable_gqa=True,
        ),
        S,
    ),
    "norms": (
        lambda m, x: F.group_norm(F.instance_norm(F.layer_norm(x, (8, 8))), 2),
        X,
    ),
    "rms_norm": (lambda m, x: F.rms_norm(x, (12,)), S),
    "local_response_norm": (lambda m, x: F.local_response_norm(x, 3), X),
    "batch_norm": (lambda m, x: F.batch_norm(x, torch.zeros(6), torch.ones(6)), X),
    "activations": (
        lambda m, x: F.gelu(
            F.silu(
                F.elu(
                    F.hardswish(
                        F.softplus(F.leaky_relu(x.relu6_() if hasattr(x, "relu6_") else F.relu6(x)))
                    )
                )
            )
        ),
        X,
    ),
    "softmax": (lambda m, x: F.log_softmax(x.softmax(-1), 1), S),
    "pools": (
        lambda m, x: (
            F.avg_pool2d(F.max_pool2d(x, 3, 2, ceil_mode=True), 2)
            + F.adaptive_avg_pool2d(x, (2, None))[..., :2]
        ),
        X,
    ),
    "adaptive max": (lambda m, x: F.adaptive_max_pool2d(x, 3), X),
    "max with indices": (lambda m, x: F.max_pool2d(x, 2, return_indices=True), X),
    "interpolate": (lambda m, x: F.interpolate(x, scale_factor=2.0, mode="bilinear"), X),
    "interpolate to a size": (lambda m, x: F.interpolate(x, size=5), X),
    "padding": (lambda m, x: F.pad(F.pad(x, (1, 1, 2, 2), mode="reflect"), (0, 2, 1, 0)), X),
    "scalars": (lambda m, x: (2 - x) / 3 + 1 / (x + 1) - x**2 + 2**x, X),
    "tensors": (lambda m, x: torch.maximum(x * x - x / (x + 1), x) % 2, X),
    "in place": (lambda m, x: x.add_(1).mul_(x).clamp_(0).relu_(), X),
    "operators in place": (lambda m, x: _grown(x), X),
    "assignment": (lambda m, x: _assigned(x), X),
    "comparisons": (lambda m, x: torch.where((x > 0) & ~(x == 1), x, 0.0), X),
    "reductions": (
        lambda m, x: x.sum(1) + x.mean((1,)) + x.amax(1) + x.norm(dim=1) + x.logsumexp(1),
        X,
    ),
    "extremes": (lambda m, x: (x.max(1), x.min(dim=-1, keepdim=True), x.argmax(2), x.max()), X),
    "variance": (lambda m, x: (x.var(1), x.std((2, 3)), torch.var_mean(x, dim=1)), X),
    "running sums": (lambda m, x: x.cumsum(1) + x.cumprod(-1), X),
    "shapes": (
        lambda m, x: torch.stack(
            [t.reshape(2, -1) for t in x.permute(0, 2, 3, 1).contiguous().chunk(2, -1)]
        ),
        X,
    ),
    "indexing": (
        lambda m, x: (
            torch.cat([x[:, ::2], x[:, [0, 1]], x[..., None, 0].mT], 1)
            if False
            else torch.cat([x[:, ::2], x[:, [0, 1]]], 1)
        ),
        X,
    ),
    "pixel_shuffle": (lambda m, x: F.pixel_unshuffle(x, 2).flip(1).roll(1, 2), X),
    "einops of one": (lambda m, x: x.unflatten(1, (2, 3)).transpose(1, 2).flatten(1, 2), X),
    "factories": (
        lambda m, x: x + torch.arange(8) + torch.ones_like(x) + x.new_zeros(8, device=x.device),
        X,
    ),
    "types": (lambda m, x: (x.double() + 1).to(torch.float32).type_as(x).long() + 1, X),
    "composite": (lambda m, x: F.cosine_similarity(F.normalize(x, dim=1), x, dim=1), X),
    "losses": (lambda m, x: F.cross_entropy(x[:, :, 0, 0], torch.zeros(2).long()), X),
    "unknown": (lambda m, x: torch.cdist(x, x), S),
}


# torch's counter has no number for what the CPU fuses, and none for products with vectors
NOT_BY_TORCH = {
    "grouped queries": 2 * 4 * 5 * 5 * (3 + 3),
    "matmul of vectors": 12,
    "matrix times vector": 2 * 5 * 12,
}


def _grown(x: Tensor) -> Tensor:
    x += 1
    x *= 2
    x -= x
    return x


def _assigned(x: Tensor) -> Tensor:
    y = torch.zeros_like(x)
    y[:, 0] = x[:, 0] * 2
    return y + 1


def run_by_torch(module: nn.Module, x: Tensor) -> int:
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        module(x.clone())
    flops = counter.get_total_flops()
    assert flops % 2 == 0
    return flops // 2


@pytest.mark.filterwarnings("ignore:The use of `x.T`")
@pytest.mark.parametrize("name", CALLS)
def test_calls(name: str) -> None:
    """Shapes and types are torch's, MACs those of torch's counter; real tensors give the same."""
    function, x = CALLS[name]
    module = Fn(function)
    graph = checked(module, inputs=x)
    table = costs(graph)
    real = module(x.clone())
    leaves = real if isinstance(real, tuple) else (real,)
    shapes = [
        tuple(t.shape) for leaf in leaves for t in (leaf if isinstance(leaf, tuple) else (leaf,))
    ]
    assert list(graph.outputs) == shapes
    if name in NOT_BY_TORCH:
        assert (table.total.macs, run_by_torch(module, x)) == (NOT_BY_TORCH[name], 0)
    else:
        assert table.total.macs == run_by_torch(module, x)
    again = costlab.analyze(module, inputs=x, real=True)
    assert [r[1:] for r in rows(again)] == [r[1:] for r in rows(table)]
    assert {row.op for row in table.uncounted} <= {"_cdist_forward"}
    assert bool(table.uncounted) == (name == "unknown")


def test_attention_is_counted_where_torchs_counter_counts_none() -> None:
    table = costlab.analyze(Fn(lambda m, x: F.scaled_dot_product_attention(x, x, x)), (2, 5, 12))
    assert table.total.macs == 2 * 5 * 5 * (12 + 12)
    assert table.rows[0].derivation == "(2·5·5)·24"


SEQUENCES = [
    nn.LSTM(6, 5, num_layers=2, bidirectional=True, batch_first=True),
    nn.LSTM(6, 5, proj_size=3, bias=False),
    nn.GRU(6, 5),
    nn.RNN(6, 5, nonlinearity="relu"),
]


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize("layer", SEQUENCES, ids=str)
def test_recurrent_layers(layer: Any) -> None:
    table = costlab.analyze(layer, (3, 4, 6))
    assert table.total.params == sum(p.numel() for p in layer.parameters())
    steps = 3 * 4
    weights = sum(p.numel() for n, p in layer.named_parameters() if n.startswith("weight"))
    assert table.total.macs == steps * weights
    assert table.complete
    assert table.graph.outputs[0] == tuple(layer(torch.zeros(3, 4, 6))[0].shape)


@pytest.mark.parametrize("cell", [nn.LSTMCell(6, 5), nn.GRUCell(6, 5), nn.RNNCell(6, 5)], ids=str)
def test_cells(cell: Any) -> None:
    table = costlab.analyze(cell, (4, 6))
    assert table.total.macs == 4 * (cell.weight_ih.numel() + cell.weight_hh.numel())
    assert table.total.params == sum(p.numel() for p in cell.parameters())


TRANSFORMERS = [
    (nn.MultiheadAttention(12, 3, batch_first=True), (S, S, S)),
    (nn.MultiheadAttention(12, 3, kdim=12, vdim=12), (S, S, S)),
    (nn.TransformerEncoderLayer(12, 2, 24, batch_first=True), (S,)),
    (
        nn.TransformerEncoder(nn.TransformerEncoderLayer(12, 2, 24, batch_first=True), 2),
        (S,),
    ),
    (nn.Transformer(12, 2, 1, 1, 24, batch_first=True), (S, S)),
]


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize(("module", "inputs"), TRANSFORMERS, ids=lambda m: type(m).__name__)
def test_transformers_of_torch(module: Any, inputs: tuple[Tensor, ...]) -> None:
    """The fast path is one opaque call; what it computes is counted, on meta by torch too."""
    table = costlab.analyze(module, inputs=inputs)
    counter = FlopCounterMode(display=False)
    training = module.training
    on_meta = module.to("meta").train()  # in training mode there is no fast path
    with torch.no_grad(), counter:
        on_meta(*(x.to("meta") for x in inputs))
    assert table.total.macs * 2 == counter.get_total_flops()
    assert table.total.params == sum(p.numel() for p in module.parameters())
    assert table.complete
    assert training


def test_embeddings_and_integer_inputs() -> None:
    module = nn.Sequential(nn.Embedding(100, 8), nn.Linear(8, 100, bias=False))
    module[1].weight = module[0].weight  # tied
    table = costlab.analyze(module, inputs=torch.zeros(2, 5, dtype=torch.long))
    assert table.total.params == 800
    assert [row.params for row in table.rows] == [800, 0]
    assert table.total.macs == 2 * 5 * 8 * 100


LEARNT: dict[str, tuple[Callable[[Any, Tensor], Any], Any]] = {
    "a state": (lambda m, x: m.layer(x, m.own)[0], (nn.GRU(12, 3), torch.ones(1, 5, 3))),
    "states": (
        lambda m, x: m.layer(x, (m.own.expand(-1, 5, -1),) * 2)[0],
        (nn.LSTM(12, 3), torch.ones(1, 1, 3)),
    ),
    "a cell's": (lambda m, x: m.layer(x[0], m.own), (nn.RNNCell(12, 3), torch.ones(5, 3))),
    "a mask": (
        lambda m, x: m.layer(x, x, x, attn_mask=m.own)[0],
        (nn.MultiheadAttention(12, 2), torch.ones(2, 2)),
    ),
    "a filling": (lambda m, x: x.masked_fill(x > 0, m.own), (nn.ReLU(), torch.ones(()))),
    "stacked": (
        lambda m, x: x[:, :2] * torch.stack([m.own, *m.layer.parameters()]),
        (nn.RMSNorm(12), torch.ones(12)),
    ),
    "a number": (lambda m, x: x * m.own.item() + float(m.own), (nn.ReLU(), torch.ones(1))),
    "put into zeros": (lambda m, x: x @ _put(m), (nn.ReLU(), torch.ones(12))),
}


def _put(m: Any) -> Tensor:
    weight = torch.zeros(12, 2)
    weight[:, 0] = m.own
    return weight


@pytest.mark.parametrize("name", LEARNT)
def test_a_parameter_is_read_wherever_it_is_given(name: str) -> None:
    forward, (layer, own) = LEARNT[name]
    module = Fn(forward, own=own)
    module.layer = layer
    graph = checked(module, inputs=S)
    assert graph.unused == ()
    assert costs(graph).total.params == sum(p.numel() for p in module.parameters())
    assert costlab.analyze(module, inputs=S, real=True).graph.unused == ()


class Shared(nn.Module):
    """One layer twice, one by its forward, one never, and a tensor that nothing reads."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 1)
        self.entered = nn.Conv2d(4, 4, 1)
        self.never = nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU())
        self.unread = nn.Parameter(torch.zeros(7))
        self.scale = nn.Parameter(torch.ones(4, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(self.conv(x))
        x = self.entered.forward(x)
        return F.relu(x * self.scale) + 1


def test_shared_entered_unused() -> None:
    table = costlab.analyze(Shared(), (1, 4, 2, 2))
    assert [(row.path, row.params) for row in table.rows] == [
        ("conv", 20),
        ("conv@2", 0),
        ("entered", 20),
        ("scale", 4),
        ("mul", 0),
        ("relu", 0),
        ("add", 0),
    ]
    assert table.total.macs == 3 * 4 * 16
    assert table.graph.unused == (("unread", 7), ("never.0.weight", 16), ("never.0.bias", 4))
    assert "27 params of unread (7), never.0 (20)" in table.to_text()


def test_control_flow_on_shapes_works_and_on_values_says_where() -> None:
    def by_shape(m: Any, x: Tensor) -> Tensor:
        for _ in range(x.shape[1]):
            x = x + 1 if x.dim() == 2 and len(x) == 2 else x
        return x

    assert len(costlab.analyze(Fn(by_shape), (2, 3)).rows) == 3
    for by_value in (
        lambda m, x: x * 2 if x.sum() > 0 else x,
        lambda m, x: x * x.max().item(),
        lambda m, x: x[x > 0],
        lambda m, x: x[:, torch.nonzero(x[0])[:, 0]],
    ):
        module = nn.Sequential(Fn(by_value))
        with pytest.raises(costlab.TraceError, match=r"0 .*test_trace\.py:\d+.* real=True"):
            costlab.analyze(module, (2, 3))
        table = costlab.analyze(module, inputs=torch.ones(2, 3), real=True)
        assert all(row.path.startswith("0.") for row in table.rows)


class Broken(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise KeyError("what\nnow")


def test_an_error_of_the_users_code_comes_with_its_place() -> None:
    module = nn.Sequential(nn.ReLU(), nn.Sequential(Broken()))
    with pytest.raises(
        costlab.TraceError, match=r"^1\.0 \(Broken\) cannot be run: KeyError"
    ) as error:
        costlab.analyze(module, (1, 2))
    assert isinstance(error.value.__cause__, KeyError)
    with pytest.raises(costlab.TraceError, match=r"^0 \(Conv2d\) .* 4 channels"):
        costlab.analyze(nn.Sequential(nn.Conv2d(3, 4, 3)), (1, 4, 8, 8))


def test_a_weight_that_is_set_is_read_as_what_it_was_set_to() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        m.weight.data = F.normalize(m.weight.data)
        return F.linear(x, m.weight)

    table = costlab.analyze(Fn(forward, weight=torch.ones(3, 4)), (2, 4))
    assert [row.op for row in table.rows] == [
        "parameter",
        "norm",
        "clamp_min",
        "expand",
        "div",
        "linear",
    ]
    assert table.total.params == 12


def test_training_mode_is_followed_by_choice() -> None:
    class Aux(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.main, self.aux = nn.Linear(4, 2), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Any:
            return (self.main(x), self.aux(x)) if self.training else self.main(x)

    module = Aux()
    assert module.training
    assert costlab.analyze(module, (1, 4)).total.macs == 8
    assert costlab.analyze(module, (1, 4)).graph.unused == (("aux.weight", 8), ("aux.bias", 2))
    assert costlab.analyze(module, (1, 4), training=True).total.macs == 16


@pytest.mark.filterwarnings("ignore")
def test_compiled_and_scripted_modules() -> None:
    module = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    assert rows(costlab.analyze(torch.compile(module), (1, 4))) == rows(
        costlab.analyze(module, (1, 4))
    )
    graph = checked(Fn(lambda m, x: torch.compile(F.relu, backend="eager")(x)), (1, 4))
    assert [layer.op.name for layer in graph.layers] == ["relu"]
    with pytest.raises(costlab.TraceError, match="scripted module has no Python code"):
        costlab.analyze(torch.jit.script(module), (1, 4))


def test_inputs_of_every_kind() -> None:
    def forward(m: Any, x: Tensor, pair: Any, *, more: dict[str, Tensor], flag: bool) -> Any:
        a, b = pair
        return {"sum": x + a, "list": [b + more["c"]], "flag": flag}

    one = torch.zeros(2, 3)
    table = costlab.analyze(
        Fn(forward), inputs=(one, [one, one]), kwargs={"more": {"c": one}, "flag": True}
    )
    assert table.graph.inputs == ((2, 3),) * 4
    assert table.graph.outputs == ((2, 3), (2, 3))
    named = costlab.analyze(Fn(lambda m, x, y: x @ y.mT), inputs={"x": one, "y": one})
    assert named.total.macs == 2 * 2 * 3


def test_inputs_that_are_named_or_packed() -> None:
    class Pair(NamedTuple):
        a: Tensor
        b: Tensor

    one = torch.zeros(2, 3)
    table = costlab.analyze(Fn(lambda m, pair: pair.a @ pair.b.mT), inputs=(Pair(one, one),))
    assert (table.total.macs, len(table.graph.inputs)) == (12, 2)
    packed = nn.utils.rnn.pack_padded_sequence(torch.zeros(5, 2, 3), [5, 2])
    layer = nn.LSTM(3, 4)
    with pytest.raises(costlab.TraceError, match="real=True"):
        costlab.analyze(layer, inputs=(packed,))
    assert costlab.analyze(layer, inputs=(packed,), real=True).total.macs == 7 * 16 * 7

    class Sentences(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: Tensor) -> Any:
            packed = nn.utils.rnn.pack_padded_sequence(x, [5, 2])
            return nn.utils.rnn.pad_packed_sequence(self.layer(packed)[0])[0]

    table = costlab.analyze(Sentences(), inputs=torch.zeros(5, 2, 3), real=True)
    assert (table.total.macs, table.complete) == (7 * 16 * 7, True)


@pytest.mark.parametrize(
    "by_value",
    [
        lambda m, x: f"{x.sum():.1f}" and x,
        lambda m, x: x.repeat_interleave(torch.tensor([1, 2]), 0),
        lambda m, x: F.one_hot(x.long()),
        lambda m, x: x[:, : torch.tensor(2)],
        lambda m, x: F.gaussian_nll_loss(x, x, x),
        lambda m, x: torch.where(x > 0)[0],
        lambda m, x: x.new_zeros(x.long().max()),
    ],
)
def test_hidden_needs_for_values_are_told(by_value: Any) -> None:
    """Where torch itself only says that a tensor is on meta."""
    with pytest.raises(costlab.TraceError, match=r"test_trace\.py:\d+.* real=True, or --real"):
        costlab.analyze(Fn(by_value), (2, 3))
    assert costlab.analyze(Fn(by_value), inputs=torch.ones(2, 3), real=True).graph.inputs


def test_an_unknown_operation_is_uncounted_until_the_user_gives_a_rule() -> None:
    module = Fn(lambda m, x: torch.cdist(x, x))
    table = costlab.analyze(module, (1, 4, 3))
    assert not table.complete
    assert [(row.path, row.op) for row in table.uncounted] == [("_cdist_forward", "_cdist_forward")]
    assert "Lower bound" in table.to_text()

    @costlab.counting(torch.cdist)
    def cdist(
        output: Tensor, x1: Tensor, x2: Tensor, p: float = 2.0, **more: Any
    ) -> costlab.OpCount:
        n = output.numel()
        return costlab.OpCount(mul=n * x1.shape[-1], add=n * (2 * x1.shape[-1] - 1), special=n)

    try:
        table = costlab.analyze(module, (1, 4, 3))
    finally:
        from costlab.custom import _COUNTING

        del _COUNTING[torch.cdist]
    assert table.complete
    (row,) = table.rows
    assert (row.path, row.op) == ("cdist", "cdist")
    assert row.count == costlab.OpCount(mul=48, add=80, special=16)


def test_a_rule_for_a_kind_of_module() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(self.linear(x)) + x

    @costlab.counting(Block)
    def block(module: Block, output: tuple[int, ...], *inputs: tuple[int, ...]) -> costlab.OpCount:
        return costlab.OpCount(macs=module.linear.weight.numel() * output[0])

    one = Block()
    module = nn.Sequential(nn.Linear(4, 4), one, one, nn.Linear(4, 2))
    table = costlab.analyze(module, (3, 4))
    assert [(row.path, row.op, row.params, row.macs) for row in table.rows] == [
        ("0", "linear", 20, 48),
        ("1", "Block", 20, 48),
        ("1@2", "Block", 0, 48),
        ("3", "linear", 10, 24),
    ]
    assert [layer.takes for layer in table.graph.layers] == [(0,), (1,), (2,), (3,)]
    (row,) = costlab.analyze(one, (3, 4)).rows
    assert (row.path, row.op, row.params, row.macs) == ("Block", "Block", 20, 48)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda: costlab.OpCount(mul=2.5), r"OpCount\(.*mul=2.5.*give whole numbers"),  # type: ignore[arg-type]
        (lambda: costlab.OpCount(mul=-1), "give whole numbers from 0"),
        (lambda: 3, "gave 3, not an OpCount"),
        (lambda: {}["width"], r"raised KeyError: 'width' \(at .*test_trace.py:\d+\)"),
    ],
    ids=["fraction", "negative", "number", "raises"],
)
@pytest.mark.parametrize("whole", [False, True])
def test_a_wrong_rule_is_named(answer: Callable[[], Any], said: str, whole: bool) -> None:
    from costlab.custom import _COUNTING

    class Far(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cdist(x, x)

    target = Far if whole else torch.cdist
    costlab.counting(target)(lambda *args, **kwargs: answer())
    try:
        with pytest.raises(costlab.CostlabError, match=f"the rule for {target.__name__} .*{said}"):
            costlab.analyze(Far(), (3, 4))
    finally:
        del _COUNTING[target]


def test_a_rule_that_raises_is_named() -> None:
    from costlab.custom import _COUNTING

    @costlab.counting(Broken)
    def broken(module: Broken, output: Any, *inputs: Any) -> costlab.OpCount:
        raise KeyError("what\nnow")

    module = nn.Sequential(nn.ReLU(), Broken())
    module[1].forward = lambda x: x + 1
    try:
        with pytest.raises(
            costlab.TraceError, match=r"^1 \(Broken\) .* KeyError: 'what\\nnow' \(at "
        ):
            costlab.analyze(module, (1, 3))
    finally:
        del _COUNTING[Broken]


def test_a_large_model_on_meta_needs_no_memory() -> None:
    import resource

    with torch.device("meta"):
        layers = [nn.TransformerEncoderLayer(16384, 128, 65536, batch_first=True) for _ in range(8)]
        module = nn.Sequential(*layers, nn.Linear(16384, 100_000))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    table = costlab.analyze(module, (1, 2048, 16384))
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert table.total.params > 25 * 10**9
    assert after - before < 500_000  # kilobytes


@pytest.mark.parametrize("real", [False, True])
def test_a_trace_leaves_no_garbage(real: bool) -> None:
    module = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.BatchNorm1d(4), nn.Linear(4, 2))
    costlab.analyze(module, (3, 4), real=real)
    gc.collect()
    with no_collections():
        assert costlab.analyze(module, (3, 4), real=real).complete
        assert not gc.isenabled()
        assert gc.collect() == 0
    assert gc.isenabled()


def test_names_in_the_library() -> None:
    assert costlab.OpCount(mul=1).other == 1
    with pytest.raises(costlab.ChoiceError, match="neither a function"):
        costlab.counting(3)


class Residual(nn.Module):
    def __init__(self, inner: nn.Module, in_place: bool) -> None:
        super().__init__()
        self.inner, self.in_place = inner, in_place
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.seen += 1  # type: ignore[operator, misc]
        self.last = x
        y = self.inner(x)
        return y.add_(x) if self.in_place else y + x


def leaf(number: int) -> nn.Module:
    makes: list[Callable[[], nn.Module]] = [
        lambda: nn.Conv2d(4, 4, 3, padding=1),
        lambda: nn.Conv2d(4, 4, 1, groups=2, bias=False),
        lambda: nn.BatchNorm2d(4),
        lambda: nn.GroupNorm(2, 4),
        lambda: nn.InstanceNorm2d(4, track_running_stats=True),
        lambda: nn.ReLU(inplace=True),
        nn.GELU,
        lambda: nn.Dropout(0.5),
        nn.PReLU,
        lambda: nn.Softmax(1),
        lambda: nn.MaxPool2d(3, 1, 1),
        lambda: nn.Upsample(scale_factor=1),
    ]
    return makes[number % len(makes)]()


modules = st.recursive(
    st.builds(leaf, st.integers(0, 11)),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: nn.Sequential(*parts)),
        inner.map(lambda part: nn.Sequential(part, part)),
        st.builds(Residual, inner, st.booleans()),
    ),
    max_leaves=6,
)


@given(modules, st.lists(st.booleans(), min_size=8, max_size=8), st.booleans(), st.booleans())
@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
def test_random_modules_are_counted_as_torch_does_and_not_changed(
    module: nn.Module, flags: list[bool], training: bool, real: bool
) -> None:
    for flag, each in zip(flags, module.modules(), strict=False):
        each.training = flag
        if flag:
            each.register_forward_hook(lambda *_: None)
    tensors = {
        name: (id(tensor), tensor._version, tensor.detach().clone())
        for name, tensor in module.state_dict(keep_vars=True).items()
    }
    before = [
        (
            id(each),
            {key: id(value) for key, value in each.__dict__.items()},
            len(each._forward_hooks),
        )
        for each in module.modules()
    ]
    generator = torch.get_rng_state()
    table = costlab.analyze(module, (1, 4, 5, 5), training=training, real=real)
    assert before == [
        (
            id(each),
            {key: id(value) for key, value in each.__dict__.items()},
            len(each._forward_hooks),
        )
        for each in module.modules()
    ]
    for name, tensor in module.state_dict(keep_vars=True).items():
        identity, version, value = tensors[name]
        assert (id(tensor), tensor._version) == (identity, version)
        assert torch.equal(tensor, value)
    assert torch.equal(torch.get_rng_state(), generator)
    assert table.complete
    assert table.total.params == sum(p.numel() for p in module.parameters())
    assert table.total.macs == run_by_torch(module.eval(), torch.zeros(1, 4, 5, 5))
    assert costs(checked(module, (1, 4, 5, 5))).total.macs == table.total.macs


def test_a_stored_tensor_that_is_read_again_is_no_output_of_its_module() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(4))

        def forward(self, x: Tensor) -> Tensor:
            return x * self.scale + 1

    one = Scaled()
    graph = costlab.analyze(nn.Sequential(one, nn.Linear(4, 4), one), (2, 4)).graph
    assert graph.part("0").outputs == ((2, 4),)
