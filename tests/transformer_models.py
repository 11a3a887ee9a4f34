"""Small models of transformers, if it is installed."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch
from torch import Tensor, nn

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


def transformers() -> Any:
    """The package; a test that asks for it is skipped where it is not installed."""
    package = pytest.importorskip("transformers", reason="pip install -e '.[transformers]'")
    logging.getLogger("transformers").setLevel(logging.ERROR)
    return package


def model(name: str, **more: Any) -> nn.Module:
    """One of ``TRANSFORMERS``, with more settings of its configuration."""
    config, kind, choices, _ = TRANSFORMERS[name]
    package = transformers()
    module: nn.Module = getattr(package, kind)(getattr(package, config)(**choices, **more))
    return module.eval()


def mixture() -> nn.Module:
    """A mixture of 4 experts, two of which each token goes to."""
    package = transformers()
    more = {"num_key_value_heads": 2, "num_local_experts": 4, "num_hidden_layers": 1}
    module: nn.Module = package.MixtralModel(package.MixtralConfig(**{**TEXT, **more}))
    return module.eval()
