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
from tracing import Fn, checked, rows, run_by_torch

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


@pytest.mark.parametrize("model", [*variants(), "googlenet(aux=True)", "vgg11(bn=True)"])
def test_the_catalogs_built_modules_give_the_catalogs_tables(model: str) -> None:
    """Row for row, edges too: the circle of the two frontends."""
    ours = costlab.analyze(model)
    with torch.device("meta"):
        module = costlab.build(ours.graph)
    graph = checked(module, ours.graph.inputs[0])
    assert rows(costs(graph)) == rows(ours)
    assert graph.values == ours.graph.values
    assert [layer.takes for layer in graph.layers] == [layer.takes for layer in ours.graph.layers]
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
    (row,) = table.uncounted
    assert (row.path, row.label) == ("_cdist_forward", "_cdist_forward")
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
        from costlab.ops.custom import _COUNTING

        del _COUNTING[torch.cdist]
    assert table.complete
    (row,) = table.rows
    assert (row.path, row.label) == ("cdist", "cdist")
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
    assert [(row.path, row.label, row.params, row.macs) for row in table.rows] == [
        ("0", "linear", 20, 48),
        ("1", "Block", 20, 48),
        ("1@2", "Block", 0, 48),
        ("3", "linear", 10, 24),
    ]
    graph = table.graph
    given = [0, *(layer.results[0] for layer in graph.layers)]
    assert [layer.operands for layer in graph.layers] == [(number,) for number in given[:-1]]
    assert graph.layers[1].weights == graph.layers[2].weights
    assert [graph.values[n].name for n in graph.layers[1].weights] == [
        "1.linear.weight",
        "1.linear.bias",
    ]
    (row,) = costlab.analyze(one, (3, 4)).rows
    assert (row.path, row.label, row.params, row.macs) == ("Block", "Block", 20, 48)


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
    from costlab.ops.custom import _COUNTING

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
    from costlab.ops.custom import _COUNTING

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
