"""Built modules: real, trainable, with the graph's paths; and the cross-check against them."""

from __future__ import annotations

import copy
import io
import pickle
from importlib import import_module

import pytest
import torch

import costlab
from costlab.checks.crosscheck import COUNTERS, CrossCheck
from costlab.counters import Measurement, known, measure
from costlab.graph import Net
from costlab.modules.block import empty
from costlab.modules.build import build
from costlab.ops.conv import Conv
from costlab.ops.elementwise import Add, ReLU
from costlab.ops.zero_cost import Concat

MODELS = [
    "pointwise",
    "naive",
    "reduced",
    "googlenet",
    "googlenet(aux=True)",
    "googlenet(bn=True)",
    "googlenet/inception_3a",
    "naive/branch5x5",
    "naive/concat",
]


@pytest.mark.parametrize("model", MODELS)
def test_every_counter_agrees_with_every_model(model: str) -> None:
    check = costlab.crosscheck(model)
    assert check.agrees, check.to_text(200)
    contractions = [row.path for row in check.table.rows if row.contraction]
    for counter in ("fvcore", "torch"):
        assert [each.path for each in check.of(counter, "agrees")] == contractions
    for each in check.of("module"):
        assert each.verdict == "agrees"


@pytest.mark.parametrize(
    ("model", "size"),
    [
        ("googlenet", (2, 3, 227, 301)),
        ("googlenet(aux=True, classes=10)", (1, 3, 256, 288)),
        ("googlenet(bn=True)", (1, 1, 96, 96)),
        ("reduced", (3, 100, 7, 9)),
        ("naive(c1=1, c3=1, c5=1)", (1, 1, 1, 1)),
    ],
)
def test_every_counter_agrees_at_other_sizes(model: str, size: tuple[int, ...]) -> None:
    check = costlab.crosscheck(model, input_size=size)
    assert check.agrees, check.to_text(200)
    assert len(check.of("fvcore", "agrees")) == sum(
        row.contraction is not None for row in check.table.rows
    )


def test_module_paths_are_graph_paths() -> None:
    table = costlab.analyze("googlenet", aux=True)
    module = build("googlenet", aux=True)
    leaves = [path for path, each in module.named_modules() if not list(each.children())]
    assert leaves == [row.path for row in table.rows]
    assert sum(p.numel() for p in module.parameters()) == table.total.params


def test_a_built_module_trains() -> None:
    torch.manual_seed(0)
    module = build("googlenet", input_size=(2, 3, 64, 64), bn=True)
    assert module.training
    optimiser = torch.optim.SGD(module.parameters(), lr=0.1)
    before = copy.deepcopy(module.state_dict())
    module(torch.randn(2, 3, 64, 64))[:, 0].log().sum().backward()
    assert all(p.grad is not None for p in module.parameters())
    optimiser.step()
    assert any(not torch.equal(before[key], value) for key, value in module.state_dict().items())


def test_a_scope_is_a_module_of_its_own() -> None:
    module = build("googlenet").eval()
    x = torch.randn(1, 192, 28, 28)
    assert module.inception_3a(x).shape == (1, 256, 28, 28)
    with pytest.raises(TypeError, match="takes 1 tensors, not 2"):
        module.inception_3a(x, x)


def test_a_scope_may_read_and_give_several_values() -> None:
    net = Net("two", (1, 4, 8, 8), (1, 4, 8, 8))
    with net.scope("middle"):
        both = net.add("add", Add(), *net.inputs)
        left = net.add("left", Conv(2, 1), both)
        right = net.add("right", Conv(3, 1), both)
    out = net.add("concat", Concat(), right, left)
    graph = net.graph((out, left))
    assert costlab.crosscheck(graph).agrees
    module = build(graph)
    a, b = torch.randn(1, 4, 8, 8), torch.randn(1, 4, 8, 8)
    joined, first = module(a, b)
    assert torch.equal(first, module.middle.left(a + b))
    assert torch.equal(joined, torch.cat([module.middle.right(a + b), first], 1))


def test_a_built_module_can_be_saved_and_copied() -> None:
    module = build("reduced").eval()
    x = torch.randn(1, 192, 28, 28)
    expected = module(x)
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    for again in (
        torch.load(file, weights_only=False),
        copy.deepcopy(module),
        pickle.loads(pickle.dumps(module)),
    ):
        assert torch.equal(again(x), expected)


def test_crosscheck_leaves_torch_as_it_was() -> None:
    torch.manual_seed(7)
    state, grad = torch.get_rng_state(), torch.is_grad_enabled()
    costlab.crosscheck("reduced")
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.is_grad_enabled() is grad
    assert torch.get_default_dtype() is torch.float32


def test_counters_leave_no_hooks() -> None:
    table = costlab.analyze("reduced")
    module, x = empty(table.graph), torch.zeros(1, 192, 28, 28)
    for name in known():
        measure(name, module, (x,))
    for each in module.modules():
        assert not each._forward_hooks
        assert not each._forward_pre_hooks
        assert not each.training


def one_layer(op: object) -> costlab.Graph:
    net = Net("one", (1, 4, 8, 8))
    return net.graph(net.add("layer", op, *net.inputs))  # type: ignore[arg-type]


def test_what_fvcore_has_no_rule_for_is_not_covered() -> None:
    """fvcore 0.1.5 counts 0 for padding='same' (aten::_convolution_mode); torch counts it."""
    graph = one_layer(Conv(4, 3, padding="same"))
    check = costlab.crosscheck(graph)
    (fvcore,) = check.of("fvcore")
    assert (fvcore.verdict, fvcore.theirs) == ("not covered", 0)
    assert "aten::_convolution_mode" in fvcore.because
    assert [each.verdict for each in check.of("torch")] == ["agrees"]
    # fvcore confirmed nothing although there was something to confirm: that is no agreement
    assert not check.agrees
    assert costlab.crosscheck(graph, ["torch", "module"]).agrees


def measured(
    monkeypatch: pytest.MonkeyPatch,
    macs: dict[str, int] | Exception,
    gaps: dict[str, str] | None = None,
) -> CrossCheck:
    def fake(counter: str, *_: object) -> Measurement:
        if isinstance(macs, Exception):
            raise macs
        return Measurement(counter, "9", {"macs": macs}, gaps or {})

    monkeypatch.setattr(import_module("costlab.checks.crosscheck"), "measure", fake)
    return costlab.crosscheck("naive", ["torch"])


def test_a_difference_of_one_is_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    true = {row.path: row.macs for row in costlab.analyze("naive").rows}
    assert measured(monkeypatch, true).agrees
    check = measured(monkeypatch, true | {"branch5x5.conv": 120_422_401})
    assert not check.agrees
    (wrong,) = [each for each in check.rows if each.verdict == "differs"]
    assert (wrong.path, wrong.ours, wrong.theirs) == ("branch5x5.conv", 120_422_400, 120_422_401)
    assert wrong.because == "it says 120,422,401, +1"
    assert "it says 120,422,401, +1" in check.to_text()


def test_a_gap_explains_too_little_never_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    true = {row.path: row.macs for row in costlab.analyze("naive").rows}
    gaps = {"branch5x5.conv": "it has no rule for this"}
    for theirs, verdict in ((0, "not covered"), (10**12, "differs")):
        check = measured(monkeypatch, true | {"branch5x5.conv": theirs}, gaps)
        (row,) = [each for each in check.rows if each.path == "branch5x5.conv"]
        assert row.verdict == verdict


def test_work_where_we_count_none_is_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    true = {row.path: row.macs for row in costlab.analyze("naive").rows}
    check = measured(monkeypatch, true | {"branchpool.pool": 5})
    assert [each.path for each in check.rows if each.verdict == "differs"] == ["branchpool.pool"]


def test_a_counter_that_fails_covers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    check = measured(monkeypatch, RuntimeError("no such\nkernel"))
    assert not check.agrees
    assert {each.verdict for each in check.rows} == {"not covered"}
    assert check.rows[0].because == "it failed with RuntimeError: no such"


def test_a_model_without_contractions_has_nothing_to_disagree_about() -> None:
    check = costlab.crosscheck(one_layer(ReLU()))
    assert check.agrees
    assert "fvcore: nothing to compare in one." in check.to_text()


def test_too_large_to_run_is_said_before_it_runs() -> None:
    with pytest.raises(costlab.CounterError, match=r"needs 1\.02 TB to run"):
        costlab.crosscheck("reduced(c1=99999999)")


def test_default_counters_exist() -> None:
    assert set(COUNTERS) <= set(known())
