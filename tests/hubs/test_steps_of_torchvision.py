"""Training steps of torchvision's classifiers, where it is installed, against torch's counter."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
import torch
from training import by_torch

import costlab
from costlab.hubs.building import built

FAULT = "gradients of weights of grouped convolutions, times the groups"


def classifiers() -> list[Any]:
    """Their names; without torchvision one case, which is skipped."""
    try:
        models = import_module("torchvision.models")
    except ImportError:
        return [pytest.param("", marks=pytest.mark.skip("needs torchvision"))]
    names: list[Any] = models.list_models(module=models)
    return names


@pytest.mark.more
@pytest.mark.filterwarnings("ignore:The default weight initialization:FutureWarning")
@pytest.mark.parametrize("name", classifiers())
def test_a_step_is_what_torch_counts_through_backward(name: str) -> None:
    """Equal without grouped convolutions; with some nothing is left but the fault by its name."""
    module = built(f"torchvision:{name}", "torchvision", name, {}).to("meta")
    x = torch.empty(2, 3, 224, 224, device="meta")
    ours = costlab.analyze(module, inputs=x, training_cost=True).total
    assert not ours.backward_bound
    account = costlab.reconcile(module, inputs=x, training_cost=True).accounts[0]
    assert (account.residual, account.reported) == (0, 2 * by_torch(module, x))
    grouped = any(getattr(layer, "groups", 1) != 1 for layer in module.modules())
    faults = {term.cause: term.units for term in account.terms if term.fault}
    assert set(faults) == ({FAULT} if grouped else set())
    assert 2 * ours.training_macs + sum(faults.values()) == account.reported
