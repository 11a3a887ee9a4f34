"""Networks that others wrote, counted by torch too: pytorchcv, and transformers if installed."""

from __future__ import annotations

import logging
from typing import Any

import collection
import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from tracing import checked

import costlab
from costlab.costs.table import costs
from costlab.trace import trace


@pytest.mark.parametrize("name", collection.REPRESENTATIVE)
def test_a_model_of_pytorchcv(name: str) -> None:
    """All of them: python tests/collection.py. Shapes are compared with torch's, call by call."""
    counted = collection.counted(name)
    assert counted.agrees, counted
    assert counted.uncounted == ()


@pytest.mark.parametrize("name", ["squeezenet_v1_0", "mobilenetv2_w1", "dpn68"])
def test_other_counters_agree_on_a_module(name: str) -> None:
    from pytorchcv.model_provider import get_model

    check = costlab.crosscheck(get_model(name), input_size=(1, 3, 224, 224))
    assert check.agrees
    assert all(row.verdict == "agrees" for row in check.rows if row.ours)
    assert set(check.versions) == {"fvcore", "torch"}


IDS = torch.zeros(1, 16, dtype=torch.long)
IMAGE = torch.zeros(1, 3, 64, 64)
SMALL = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
}
TEXT = {**SMALL, "vocab_size": 100}
VISION = {**SMALL, "image_size": 64, "patch_size": 16}

TRANSFORMERS: dict[str, tuple[str, str, dict[str, Any], dict[str, Tensor]]] = {
    "bert": ("BertConfig", "BertModel", TEXT, {"input_ids": IDS}),
    "gpt2": (
        "GPT2Config",
        "GPT2LMHeadModel",
        {"n_embd": 64, "n_layer": 2, "n_head": 4, "vocab_size": 100},
        {"input_ids": IDS},
    ),
    "llama": (
        "LlamaConfig",
        "LlamaForCausalLM",
        {**TEXT, "num_key_value_heads": 2},
        {"input_ids": IDS},
    ),
    "t5": (
        "T5Config",
        "T5Model",
        {"d_model": 64, "d_kv": 16, "d_ff": 128, "num_layers": 2, "num_heads": 4, "vocab_size": 99},
        {"input_ids": IDS, "decoder_input_ids": IDS},
    ),
    "vit": ("ViTConfig", "ViTModel", VISION, {"pixel_values": IMAGE}),
    "swin": (
        "SwinConfig",
        "SwinModel",
        {
            "image_size": 64,
            "embed_dim": 24,
            "depths": [2, 2],
            "num_heads": [2, 4],
            "window_size": 4,
        },
        {"pixel_values": IMAGE},
    ),
    "convnext": (
        "ConvNextConfig",
        "ConvNextModel",
        {"hidden_sizes": [16, 32, 64, 128], "depths": [1, 1, 2, 1]},
        {"pixel_values": IMAGE},
    ),
    "clip": (
        "CLIPConfig",
        "CLIPModel",
        {"text_config": TEXT, "vision_config": VISION},
        {"input_ids": IDS, "pixel_values": IMAGE},
    ),
    "whisper": (
        "WhisperConfig",
        "WhisperModel",
        {
            "d_model": 64,
            "encoder_layers": 2,
            "decoder_layers": 2,
            "encoder_attention_heads": 4,
            "decoder_attention_heads": 4,
            "encoder_ffn_dim": 128,
            "decoder_ffn_dim": 128,
            "vocab_size": 100,
            "max_source_positions": 50,
            "pad_token_id": 0,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "decoder_start_token_id": 1,
        },
        {"input_features": torch.zeros(1, 80, 100), "decoder_input_ids": IDS},
    ),
    "mamba": (
        "MambaConfig",
        "MambaForCausalLM",
        {"hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 100},
        {"input_ids": IDS},
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", TRANSFORMERS)
def test_a_model_of_transformers(name: str) -> None:
    """MACs as torch's counter has them on meta, and every parameter."""
    transformers = pytest.importorskip("transformers", reason="pip install -e '.[transformers]'")
    logging.getLogger("transformers").setLevel(logging.ERROR)
    config, kind, choices, inputs = TRANSFORMERS[name]
    with torch.device("meta"):
        model = getattr(transformers, kind)(getattr(transformers, config)(**choices)).eval()
    table = costs(checked(model, kwargs=inputs))
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        model(**{key: tensor.to("meta") for key, tensor in inputs.items()})
    assert table.total.macs * 2 == counter.get_total_flops()
    assert table.complete
    unread = sum(count for _, count in table.graph.unused)
    assert table.total.params + unread == sum(p.numel() for p in model.parameters())


@pytest.mark.filterwarnings("ignore")
def test_a_mixture_of_experts() -> None:
    """Each token goes to 2 of 4 experts; what the router picks is uncounted, they are not."""
    transformers = pytest.importorskip("transformers", reason="pip install -e '.[transformers]'")
    config = transformers.MixtralConfig(
        **{**TEXT, "num_key_value_heads": 2, "num_local_experts": 4, "num_hidden_layers": 1}
    )
    with torch.device("meta"):
        model = transformers.MixtralModel(config).to(torch.bfloat16).eval()
    table = costs(checked(model, kwargs={"input_ids": IDS}))
    experts = [row for row in table.rows if "experts" in row.path and row.macs]
    assert sum(row.macs for row in experts) == 16 * 2 * 3 * 64 * 128
    assert sum(row.params for row in experts) == 4 * 3 * 64 * 128
    assert not table.complete


def test_time_is_linear_in_the_layers() -> None:
    """Not by the clock: by the records of a deep model, each of which costs the same."""
    layers = [torch.nn.Linear(4, 4) for _ in range(3000)]
    graph = trace(torch.nn.Sequential(*layers), (1, 4))
    assert len(graph.layers) == 3000
    assert costs(graph).total.params == 3000 * 20


class Attends(torch.nn.Module):
    """A layer, and attention on what it gives."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = torch.nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        y = self.inner(x).view(2, 5, 2, 4).transpose(1, 2)
        return torch.nn.functional.scaled_dot_product_attention(y, y, y)


def test_what_a_counter_passes_over_is_not_covered_and_not_a_difference() -> None:
    """Attention on the CPU: torch's counter has no formula for it, fvcore no rule."""

    check = costlab.crosscheck(torch.nn.Sequential(Attends(), torch.nn.Flatten()), None, (2, 5, 8))
    verdicts = {(c.counter, c.path): (c.verdict, c.because) for c in check.rows if c.ours}
    assert verdicts["torch", "0.inner"][0] == verdicts["fvcore", "0.inner"][0] == "agrees"
    assert verdicts["torch", "0.attention"] == (
        "not covered",
        "it has no formula for attention, fused on the CPU",
    )
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

    checks = costlab.crosscheck(With(), ["torch"], (5, 2, 8)).rows
    missed = [check for check in checks if check.ours and check.verdict != "agrees"]
    assert missed
    assert {(check.verdict, check.because) for check in missed} == {
        ("not covered", f"it has no formula for {said}")
    }


def test_what_costlab_has_no_rule_for_is_said_by_those_who_compare() -> None:
    class Far(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.near = torch.nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return torch.cdist(self.near(x), x)

    check = costlab.crosscheck(Far(), ["fvcore"], (3, 4))
    (far,) = (row for row in check.rows if row.path != "near")
    assert (far.verdict, far.because) == ("not covered", "costlab has no rule for _cdist_forward")
    found = costlab.reconcile(Far(), "fvcore", (3, 4))
    for result in (check, found):
        assert "Lower bound: 1 operation without a rule, not counted" in result.to_markdown()
