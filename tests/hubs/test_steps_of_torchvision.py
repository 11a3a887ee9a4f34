"""Training steps of torchvision's classifiers, where it is installed, against torch's counter."""

from __future__ import annotations

import pytest
import torch
from training import by_torch
from vision_models import classifiers

import costlab

FAULT = "gradients of weights of grouped convolutions, times the groups"


@pytest.mark.more
@pytest.mark.filterwarnings("ignore")
def test_a_step_of_a_classifier_is_what_torch_counts_through_backward() -> None:
    """Equal without grouped convolutions; with some nothing is left but the fault by its name."""
    for name, made, pixels in classifiers():
        module, x = made.to("meta"), torch.empty(2, 3, pixels, pixels, device="meta")
        ours = costlab.analyze(module, inputs=x, training_cost=True).total
        assert not ours.backward_bound, name
        account = costlab.reconcile(module, inputs=x, training_cost=True).accounts[0]
        by_itself = 2 * by_torch(module.eval(), x)
        assert (account.residual, account.reported) == (0, by_itself), name
        grouped = any(getattr(layer, "groups", 1) != 1 for layer in module.modules())
        faults = {term.cause: term.units for term in account.terms if term.fault}
        assert set(faults) == ({FAULT} if grouped else set()), name
        assert 2 * ours.training_macs + sum(faults.values()) == account.reported, name
