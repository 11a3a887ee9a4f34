"""Conventions of other counters: they explain every unit, of each layer and of whole networks."""

from __future__ import annotations

from typing import Any

import collection
import pytest
import torch
import transformer_models
from explained_layers import LAYERS, X
from sampled import LARGE, sampled, without
from torch import Tensor, nn
from torch.nn import functional as F
from wrapped import Applied, Fn

import costlab as library
from costlab.checks.convention import events
from costlab.costs.table import analyze
from costlab.counters import reconcilable

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # the counters' own
    pytest.mark.usefixtures("quiet"),
]


def left(model: Any, **how: Any) -> dict[str, Any]:
    """What is not explained, by counter; empty if all is. Some counters may not be installed.

    Of thop and ultralytics-thop, which have one name, it is the one that is.
    """
    found = library.reconcile(model, **how)
    asked = {account.counter for account in found.accounts}
    assert asked | {"thop", "ultralytics_thop"} == set(reconcilable())
    return collection.unexplained(found)


# They have no operation that the others lack; googlenet itself is reconciled by tests/docs.
SKIPPED = ("vgg", "inception", "xception", "googlenet")
NETWORKS = [name for name in library.architectures() if not name.startswith(SKIPPED)]


@pytest.mark.parametrize(
    "model",
    without(
        ["googlenet(aux=True)", *LARGE, "alexnet"],
        [*NETWORKS, "googlenet(aux=True)", "lenet5(variant='dense')"],
    ),
)
def test_every_unit_of_the_catalog_is_explained(model: str) -> None:
    """All of it: python tests/collection.py --reconcile."""
    assert left(model) == {}


@pytest.mark.parametrize(
    "name",
    sampled(["squeezenet_v1_0", "mobilenetv2_w1", "seresnet10", "shufflenet_g3_w1"], "seresnet10"),
)
def test_every_unit_of_a_model_of_pytorchcv_is_explained(name: str) -> None:
    module = collection.filled(name)
    assert left(module, input_size=collection.size(module)) == {}


@pytest.mark.parametrize("name", transformer_models.TRANSFORMERS)
def test_every_unit_of_a_model_of_transformers_is_explained(name: str) -> None:
    inputs = transformer_models.TRANSFORMERS[name][-1]
    assert left(transformer_models.model(name), kwargs=inputs) == {}


def test_every_unit_of_a_mixture_of_experts_is_explained() -> None:
    inputs = {"input_ids": transformer_models.IDS}
    assert left(transformer_models.mixture(), kwargs=inputs) == {}


@pytest.mark.parametrize("name", sampled(LAYERS, *list(LAYERS)[::2]))
def test_every_unit_of_each_kind_of_layer_is_explained(name: str) -> None:
    """By running every counter; it fails when one of them is mended, or changes its mind."""
    assert left(nn.Sequential(LAYERS[name]), input_size=X) == {}


def test_what_a_call_takes_of_registered_parameters_is_noted() -> None:
    """As torchlens sees them: not a part of one, and nothing that is computed."""
    layer = nn.Linear(10, 7)
    by_its_own = Applied(lambda x, f: F.linear(x, f.weight, bias=f.bias), layer)
    by_a_part = Applied(lambda x, f: F.linear(x, f.weight[:3], 2 * f.bias[:3]), layer)
    registered = []
    for module in (by_its_own, by_a_part):
        table = analyze(module, X, observed=True)
        registered += [
            event.operation.parameters
            for event in events(table)
            if event.operation and event.operation.name == "linear"
        ]
    assert registered == [((7, 10), (7,)), ()]


def test_compiled_modules_are_reconciled_as_what_they_were_made_of() -> None:
    inner: Any = torch.compile(nn.Linear(10, 3), backend="eager")
    assert left(nn.Sequential(inner, nn.ReLU()), input_size=X) == {}


@pytest.mark.parametrize(
    "shapes",
    [((3, 1, 1, 1), (1, 1, 2, 1), (1, 2, 2, 3)), ((1, 1, 2, 1), (1, 1, 2, 1), (1, 3, 2, 1))],
)
def test_attention_whose_values_have_more_heads_is_explained(shapes: Any) -> None:
    """The CPU does not fuse it, and multiplies queries and keys before it has the values' heads."""
    inputs = tuple(map(torch.zeros, shapes))
    assert left(Fn(lambda m, q, k, v: F.scaled_dot_product_attention(q, k, v)), inputs=inputs) == {}


class Recurring(nn.Module):
    """A linear layer on what an LSTM gives with the batch first, or on its steps first."""

    def __init__(self, both: bool, projection: int, steps_first: bool) -> None:
        super().__init__()
        self.layer = nn.LSTM(8, 6, 2, batch_first=True, bidirectional=both, proj_size=projection)
        self.linear = nn.Linear((projection or 6) * (1 + both), 10)
        self.steps_first = steps_first

    def forward(self, x: Tensor) -> Any:
        y = self.layer(x)[0]
        return self.linear(y.transpose(0, 1) if self.steps_first else y)


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("projection", [0, 4])
@pytest.mark.parametrize("steps_first", [False, True])
def test_a_recurrent_result_with_the_batch_first_lies_as_torchs_does(
    both: bool, projection: int, steps_first: bool
) -> None:
    """Of linear layers ptflops_aten counts no bias on what is not contiguous."""
    module = Recurring(both, projection, steps_first)
    found = library.reconcile(module, (2, 5, 8), against="ptflops_aten")
    assert collection.unexplained(found) == {}
