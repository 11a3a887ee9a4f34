"""The cross-check: what agrees, what differs, and what a counter does not cover."""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune, spectral_norm, weight_norm
from torch.nn.utils.rnn import pack_sequence
from torch.utils.flop_counter import flop_registry
from wrapped import Applied, Attends

import costlab
from costlab.checks.crosscheck import COUNTERS, CrossCheck
from costlab.checks.verdicts import Check
from costlab.counters import Measurement, known, measure
from costlab.graph import Net
from costlab.modules.block import empty
from costlab.ops.conv import Conv
from costlab.ops.elementwise import ReLU

COUNTS_ATTENTION = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu in flop_registry
"""Torch's counter does from 2.15 on, where the CPU fuses it."""


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


@pytest.mark.parametrize("name", ["squeezenet_v1_0", "mobilenetv2_w1", "dpn68"])
def test_other_counters_agree_on_a_module(name: str) -> None:
    from pytorchcv.model_provider import get_model

    check = costlab.crosscheck(get_model(name), input_size=(1, 3, 224, 224))
    assert check.agrees
    assert all(row.verdict == "agrees" for row in check.rows if row.ours)
    assert set(check.versions) == {"fvcore", "torch"}


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
    for name in COUNTERS:
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
    assert costlab.crosscheck(graph, counters=["torch", "module"]).agrees


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
    return costlab.crosscheck("naive", counters=["torch"])


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
    assert check.rows[0].because == "it failed with RuntimeError: no such; kernel"


def test_a_model_without_contractions_has_nothing_to_disagree_about() -> None:
    check = costlab.crosscheck(one_layer(ReLU()))
    assert check.agrees
    assert "fvcore: nothing to compare in one." in check.to_text()


def test_too_large_to_run_is_said_before_it_runs() -> None:
    with pytest.raises(costlab.CounterError, match=r"needs 1\.02 TB to run"):
        costlab.crosscheck("reduced(c1=99999999)")


def test_the_default_counters_exist() -> None:
    assert set(COUNTERS) <= set(known())


def test_what_a_counter_passes_over_is_not_covered_and_not_a_difference() -> None:
    """Attention on the CPU: torch's counter has no formula for it, fvcore no rule."""

    check = costlab.crosscheck(torch.nn.Sequential(Attends(), torch.nn.Flatten()), (2, 5, 8))
    verdicts = {(c.counter, c.path): (c.verdict, c.because) for c in check.rows if c.ours}
    assert verdicts["torch", "0.inner"][0] == verdicts["fvcore", "0.inner"][0] == "agrees"
    passed_over = ("not covered", "it has no formula for attention, fused on the CPU")
    by_torch = verdicts["torch", "0.attention"]
    assert by_torch[0] == "agrees" if COUNTS_ATTENTION else by_torch == passed_over
    assert verdicts["fvcore", "0.attention"][0] == "not covered"
    assert check.agrees


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (torch.nn.LSTM(8, 4), "an LSTM, one call of oneDNN"),
        (torch.nn.Bilinear(8, 8, 4), "bilinear"),
    ],
    ids=["LSTM", "Bilinear"],
)
def test_layers_without_a_formula_of_torchs_counter(layer: torch.nn.Module, said: str) -> None:
    class With(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: Tensor) -> Any:
            return self.layer(x, x) if isinstance(layer, torch.nn.Bilinear) else self.layer(x)

    checks = costlab.crosscheck(With(), (5, 2, 8), counters=["torch"]).rows
    missed = [check for check in checks if check.ours and check.verdict != "agrees"]
    assert missed
    assert {(check.verdict, check.because) for check in missed} == {
        ("not covered", f"it has no formula for {said}")
    }


class SelfAttention(torch.nn.Module):
    """Two linear layers, which counters see, and attention, which they have no formula for."""

    def __init__(self, need_weights: bool = False) -> None:
        super().__init__()
        self.attn = torch.nn.MultiheadAttention(64, 4, batch_first=True)
        self.need_weights = need_weights

    def forward(self, x: Tensor) -> Any:
        return self.attn(x, x, x, need_weights=self.need_weights)[0]


def test_layers_of_a_module_are_compared_by_call() -> None:
    """What a counter lacks in a module is no reason to doubt what it counts there."""
    check = costlab.crosscheck(SelfAttention(), (1, 16, 64))
    assert check.agrees
    rows = {(c.counter, c.path): c for c in check.rows if c.ours}
    for counter in ("fvcore",) if COUNTS_ATTENTION else ("fvcore", "torch"):
        for path, macs in (("attn.linear", 196_608), ("attn.linear_2", 65_536)):
            row = rows[counter, path]
            assert (row.verdict, row.ours, row.theirs) == ("agrees", macs, macs)
    (fvcore,) = check.of("fvcore", "not covered")[1:2]
    assert fvcore.path == "attn.attention"
    assert fvcore.because == "it has no rule for attention (aten::scaled_dot_product_attention)"
    verdict = "agrees" if COUNTS_ATTENTION else "not covered"
    assert rows["torch", "attn.attention"].verdict == verdict
    both = costlab.compare(SelfAttention(), SelfAttention(), input_size=(1, 16, 64))
    text = " ".join(both.to_text().split())
    assert "agrees on 2 of 3 contractions" in text
    assert "it does not cover 1 (it has no rule for attention" in text


def test_attention_by_its_products_is_compared_by_call() -> None:
    check = costlab.crosscheck(SelfAttention(need_weights=True), (1, 16, 64))
    assert check.agrees
    assert {c.verdict for c in check.rows if c.ours} == {"agrees"}


def test_one_more_beside_what_is_not_covered_is_a_difference(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    macs = dict.fromkeys(("", "attn"), 196_608 + 65_536 + 1)
    monkeypatch.setattr(
        import_module("costlab.checks.crosscheck"),
        "measure",
        lambda counter, *_: Measurement(counter, "9", {"macs": macs}),
    )
    check = costlab.crosscheck(SelfAttention(), (1, 16, 64), counters=["fvcore"])
    assert {c.verdict for c in check.rows if c.ours} == {"differs"}


class Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x @ x.mT


product: Any = Product.apply


class Early(torch.nn.Module):
    """Its second layer works only where values say so."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = torch.nn.Linear(8, 8), torch.nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.a(x)
        return self.b(y) if x.sum() > 0 else y


def test_counters_get_the_inputs_that_were_given() -> None:
    x = torch.ones(2, 8)
    check = costlab.crosscheck(Early(), inputs=(x,), real=True)
    assert check.agrees, check.to_text(200)
    assert {row.path for row in check.of("fvcore", "agrees")} == {"a", "b"}
    found = costlab.reconcile(Early(), inputs=(x,), real=True, against="fvcore,torch")
    assert found.explained, found.to_text(200)
    assert found.macs == 2 * 2 * 8 * 8
    assert torch.equal(x, torch.ones(2, 8))


def test_a_counter_that_changes_its_input_changes_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    def spoils(_: str, module: torch.nn.Module, inputs: tuple[Tensor]) -> Measurement:
        inputs[0].zero_()
        next(module.parameters()).data.zero_()
        return Measurement("fvcore", "9", {"macs": {}})

    monkeypatch.setattr(import_module("costlab.checks.crosscheck"), "measure", spoils)
    x, model = torch.ones(2, 8), Early()
    weight = model.a.weight.detach().clone()
    costlab.crosscheck(model, inputs=(x,), real=True, counters=["fvcore"])
    assert torch.equal(x, torch.ones(2, 8))
    assert torch.equal(model.a.weight, weight)


def pruned(layer: torch.nn.Module) -> torch.nn.Module:
    prune.l1_unstructured(layer, "weight", 0.5)  # type: ignore[no-untyped-call]
    return layer


class Remembers(torch.nn.Linear):
    """Keeps what it computed, with the graph of its gradient."""

    last: dict[str, list[Tensor]]

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)


def remembering(layer: torch.nn.Module) -> torch.nn.Module:
    model = Remembers(8, 8)
    model.last = {"outputs": [layer(torch.ones(2, 8))]}
    return model


@pytest.mark.filterwarnings("ignore:.*weight_norm.*is deprecated")
@pytest.mark.parametrize(
    "make", [pruned, weight_norm, spectral_norm, remembering], ids=lambda make: make.__name__
)
def test_modules_that_hold_computed_tensors_are_copied(make: Any) -> None:
    model = torch.nn.Sequential(make(torch.nn.Linear(8, 8)))
    model(torch.ones(2, 8))
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    check = costlab.crosscheck(model, (2, 8))
    assert check.agrees, check.to_text(200)
    assert costlab.reconcile(model, (2, 8), against="fvcore,torch").explained
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


class Given(NamedTuple):
    sequence: Any


def test_outputs_that_are_attributes_are_outputs() -> None:
    """What nothing depends on is gone from what ``torch.jit.trace`` gives fvcore."""
    model = Applied(lambda x, layer: SimpleNamespace(y=layer(x)), torch.nn.Linear(8, 4))
    check = costlab.crosscheck(model, (2, 8), counters=["fvcore"])
    assert check.agrees, check.to_text(200)


def test_packed_sequences_and_named_tuples_reach_counters_as_they_are() -> None:
    class Packed(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gru = torch.nn.GRU(8, 4)

        def forward(self, given: Any) -> Any:
            assert given._fields == ("sequence",)
            return self.gru(given.sequence)[0].data

    given = Given(pack_sequence([torch.ones(n, 8) for n in (4, 2)]))
    check = costlab.crosscheck(Packed(), inputs=(given,), real=True, counters=["torch"])
    assert check.agrees, check.to_text(200)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: costlab.crosscheck("naive", ["fvcore"]), r"write counters=\['fvcore'\]"),  # type: ignore[arg-type]
        (lambda: costlab.reconcile("naive", "fvcore"), r"write counters=\['fvcore'\]"),  # type: ignore[arg-type]
        (lambda: costlab.analyze(Early(), torch.ones(2, 8)), "give tensors as inputs="),
        (lambda: costlab.crosscheck(Early(), (torch.ones(2, 8),)), "give tensors as inputs="),
        (lambda: costlab.compare("naive", "naive", input_size=3), "input_size is a shape"),
        (lambda: costlab.analyze(Early(), (2, 8), input_type=3), "torch has no type 3"),  # type: ignore[arg-type]
    ],
)
def test_wrong_calls_say_what_to_do(call: Any, said: str) -> None:
    with pytest.raises(costlab.CostlabError, match=said):
        call()


def test_each_command_of_the_library_takes_the_input_size_second() -> None:
    """A model, its input's shape, and everything else by keyword."""
    size, ids = (1, 192, 28, 28), torch.nn.Embedding(3, 4)
    assert costlab.analyze("reduced", size).total == costlab.analyze("reduced").total
    assert costlab.crosscheck("reduced", size, counters="fvcore,torch").agrees
    assert costlab.reconcile("reduced", size, against="fvcore").explained
    assert costlab.compare("reduced", "reduced", input_size=size).tables
    for kind in (torch.int64, "torch.int64", "int64"):
        assert costlab.analyze(ids, (2, 3), input_type=kind).total.params == 12


X = (2, 5, 8)


@pytest.mark.parametrize(
    ("function", "cause"),
    [
        (lambda x: x[:1] @ x.new_zeros(6, 8, 3), "products of stacks"),
        (
            lambda x: torch.einsum("bli,bmi->blm", x, x.new_zeros(2, 1237, 8)),
            "einsum in four digits",
        ),
        (lambda x: torch.einsum("bld,dn->bldn", x, x.new_zeros(8, 4)), "einsum as numpy"),
        (lambda x: torch.einsum("bij->b", x), "einsum as numpy"),
        (product, "autograd.Functions"),
        (lambda x: x[0].mv(x.new_zeros(8)), "products with a vector"),
    ],
    ids=["stacks", "four digits", "outer product", "sum", "autograd.Function", "vector"],
)
def test_known_faults_of_a_counter_are_named(function: Any, cause: str) -> None:
    """They are no differences, and the layers beside them are compared as ever."""
    model = Applied(lambda x, layer: (layer(x), function(x)), torch.nn.Linear(8, 4))
    check = costlab.crosscheck(model, X, counters=["fvcore"])
    assert check.agrees, check.to_text(200)
    wrong = [c for c in check.rows if c.verdict != "agrees" and (c.ours or c.theirs)]
    assert len(wrong) == 1
    assert cause in wrong[0].because
    found = costlab.reconcile(model, X, against="fvcore")
    assert found.explained, found.to_text(200)
    assert any(cause in term.cause for term in found.accounts[0].terms if term.fault)


def test_what_no_output_depends_on_is_not_covered_by_fvcore() -> None:
    """``torch.jit.trace`` leaves it out."""
    model = Applied(lambda x, f, g: (f(x), g(x))[1], torch.nn.Linear(8, 4), torch.nn.Linear(8, 3))
    check = costlab.crosscheck(model, X, counters="fvcore,torch")
    assert check.agrees, check.to_text(200)
    (left_out,) = check.of("fvcore", "not covered")
    assert (left_out.path, left_out.ours) == ("parts.0", 320)
    assert left_out.because == "it has no trace of what no output depends on"
    assert len(check.of("torch", "agrees")) == 2


def test_compiled_modules_are_counted_as_what_they_were_made_of() -> None:
    inner: Any = torch.compile(torch.nn.Linear(8, 8), backend="eager")
    check = costlab.crosscheck(torch.nn.Sequential(inner, torch.nn.Linear(8, 3)), X)
    assert check.agrees, check.to_text(200)
    assert {len(check.of(counter, "agrees")) for counter in check.versions} == {2}


def test_what_costlab_has_no_rule_for_is_said_by_those_who_compare() -> None:
    class Far(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.near = torch.nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            values: Tensor = torch.linalg.svdvals(self.near(x))
            return values

    check = costlab.crosscheck(Far(), (3, 4), counters=["fvcore"])
    (far,) = (row for row in check.rows if row.path != "near")
    assert (far.verdict, far.because) == ("not covered", "costlab has no rule for svdvals")
    found = costlab.reconcile(Far(), (3, 4), against="fvcore")
    for result in (check, found):
        assert "Lower bound: 1 operation without a rule, not counted" in result.to_markdown()


def test_what_is_confirmed_is_a_share_of_the_macs() -> None:
    table = costlab.analyze("reduced/branch5x5")
    first, second = (row for row in table.rows if row.contraction)
    checks = (
        Check(first.path, "fvcore", "macs", first.macs, first.macs, "agrees"),
        Check(second.path, "fvcore", "macs", second.macs, 0, "not covered", "it has no rule"),
    )
    text = CrossCheck(table, checks, {"fvcore": "1"}).verdict("fvcore").text
    assert "agrees on 1 of 2 contractions of reduced/branch5x5, 19.4% of the MACs; it does" in text


def test_a_network_without_operations_is_said_to_be_one() -> None:
    checked = costlab.crosscheck(nn.Identity(), (1, 3, 8, 8))
    held = costlab.memory(nn.Identity(), (1, 3, 8, 8))
    bounds = costlab.bounds(nn.Identity(), (1, 3, 8, 8), device="h100-sxm")
    for result in (checked, checked.table, held, bounds):
        assert "It calls no operation" in result.to_text()
    assert "0 of 0" not in checked.to_text()
    assert "Layer by layer" not in held.to_text()
