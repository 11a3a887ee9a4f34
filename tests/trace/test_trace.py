"""Any nn.Module: what is counted, and where."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from sampled import LARGE, without
from torch import Tensor, nn
from torch.nn import functional as F
from tracing import checked, rows
from wrapped import Fn

import costlab
from costlab.costs.table import costs
from costlab.gc_pause import no_collections


def variants() -> list[str]:
    return [
        name if not choice else f'{name}({choice}="{word}")'
        for name, entry in costlab.architectures().items()
        for choice, word in [
            ("", ""),
            *((c, w) for c, words in entry.variants.items() for w in words),
        ]
    ]


@pytest.mark.parametrize(
    "model",
    without([*LARGE, "vgg16", "alexnet"], [*variants(), "googlenet(aux=True)", "vgg11(bn=True)"]),
)
def test_the_catalogs_built_modules_give_the_catalogs_tables(model: str) -> None:
    """Row for row, edges too: the circle of the two frontends."""
    ours = costlab.analyze(model)
    with torch.device("meta"):
        module = costlab.build(ours.graph)
    graph = checked(module, ours.graph.inputs[0])
    assert rows(costs(graph)) == rows(ours)
    assert graph.values == ours.graph.values
    assert [layer.all_operands for layer in graph.layers] == [
        layer.all_operands for layer in ours.graph.layers
    ]
    assert graph.outputs == ours.graph.outputs
    assert graph.unused == ()


S = torch.zeros(2, 5, 12)

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


def test_shared_entered_and_unused_layers() -> None:
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
    assert [row.label for row in table.rows] == [
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
def test_a_compiled_module_is_counted() -> None:
    module = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    compiled: Any = torch.compile(module)
    assert rows(costlab.analyze(compiled, (1, 4))) == rows(costlab.analyze(module, (1, 4)))
    graph = checked(Fn(lambda m, x: torch.compile(F.relu, backend="eager")(x)), (1, 4))
    assert [layer.op.name for layer in graph.layers] == ["relu"]


def test_inputs_may_be_nested_and_given_by_name() -> None:
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


def test_named_tuples_and_packed_sequences_are_inputs() -> None:
    class Pair(NamedTuple):
        a: Tensor
        b: Tensor

    one = torch.zeros(2, 3)
    table = costlab.analyze(Fn(lambda m, pair: pair.a @ pair.b.mT), inputs=(Pair(one, one),))
    assert (table.total.macs, len(table.graph.inputs)) == (12, 2)
    packed = nn.utils.rnn.pack_padded_sequence(torch.zeros(5, 2, 3), [5, 2])
    layer = nn.LSTM(3, 4)
    for real in (False, True):
        assert costlab.analyze(layer, inputs=(packed,), real=real).total.macs == 7 * 16 * 7

    class Sentences(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: Tensor) -> Any:
            packed = nn.utils.rnn.pack_padded_sequence(x, [5, 2])
            return nn.utils.rnn.pad_packed_sequence(self.layer(packed)[0])[0]

    table = costlab.analyze(Sentences(), inputs=torch.zeros(5, 2, 3), real=True)
    assert (table.total.macs, table.complete) == (7 * 16 * 7, True)


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


def test_a_stored_tensor_that_is_read_again_is_no_output_of_its_module() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(4))

        def forward(self, x: Tensor) -> Tensor:
            return x * self.scale + 1

    one = Scaled()
    graph = costlab.analyze(nn.Sequential(one, nn.Linear(4, 4), one), (2, 4)).graph
    assert graph.part("0").outputs == ((2, 4), (2, 4))  # of both calls
