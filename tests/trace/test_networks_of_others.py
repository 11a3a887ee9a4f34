"""Networks that others wrote, counted by torch too: pytorchcv, and transformers if installed."""

from __future__ import annotations

import collection
import pytest
import torch
import transformer_models
from sampled import sampled
from torch.utils.flop_counter import FlopCounterMode
from tracing import checked

from costlab.costs.table import costs
from costlab.trace import trace


@pytest.mark.parametrize("name", sampled(collection.REPRESENTATIVE, *collection.SMALL))
def test_a_model_of_pytorchcv_has_torchs_macs_and_the_published_params(name: str) -> None:
    """All of them: python tests/collection.py. Shapes are compared with torch's, call by call."""
    counted = collection.counted(name)
    assert counted.agrees, counted
    assert counted.uncounted == ()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", transformer_models.TRANSFORMERS)
def test_a_model_of_transformers_has_torchs_macs_and_all_params(name: str) -> None:
    """MACs as torch's counter has them on meta, and every parameter."""
    inputs = transformer_models.TRANSFORMERS[name][-1]
    with torch.device("meta"):
        model = transformer_models.model(name)
    table = costs(checked(model, kwargs=inputs))
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        model(**{key: tensor.to("meta") for key, tensor in inputs.items()})
    assert table.total.macs * 2 == counter.get_total_flops()
    assert table.complete
    unread = sum(count for _, count in table.graph.unused)
    assert table.total.params + unread == sum(p.numel() for p in model.parameters())


@pytest.mark.filterwarnings("ignore")
def test_a_mixture_of_experts_counts_the_experts_that_are_asked() -> None:
    """Each token goes to 2 of 4 experts."""
    with torch.device("meta"):
        model = transformer_models.mixture().to(torch.bfloat16)
    table = costs(checked(model, kwargs={"input_ids": transformer_models.IDS}))
    experts = [row for row in table.rows if "experts" in row.path and row.macs]
    assert sum(row.macs for row in experts) == 16 * 2 * 3 * 64 * 128
    assert sum(row.params for row in experts) == 4 * 3 * 64 * 128
    assert table.complete


def test_time_is_linear_in_the_layers() -> None:
    """Not by the clock: by the records of a deep model, each of which costs the same."""
    layers = [torch.nn.Linear(4, 4) for _ in range(3000)]
    graph = trace(torch.nn.Sequential(*layers), (1, 4))
    assert len(graph.layers) == 3000
    assert costs(graph).total.params == 3000 * 20
