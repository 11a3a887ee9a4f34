"""Configurations of transformers as models: files, of which no code is run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import costlab as library
from costlab.errors import CodeError, UnknownNameError

transformers = pytest.importorskip("transformers", reason="transformers is not installed")


def test_a_configuration_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CodeError, match=r"there is no file .*nothing.*fetches nothing"):
        library.analyze(f"hf:{tmp_path / 'nothing'}")
    file = tmp_path / "config.json"
    for content, said in (
        ("{", "is not valid JSON"),
        ("[]", "is no configuration of transformers"),
        ('{"model_type": "bertt"}', "unknown model_type of transformers 'bertt'"),
        ('{"auto_map": {"AutoModel": "code.Net"}}', "needs code of its own repository"),
    ):
        file.write_text(content, encoding="utf-8")
        with pytest.raises(library.CostlabError, match=said):
            library.analyze(f"hf:{tmp_path}")


def test_a_configuration_of_transformers(tmp_path: Path) -> None:
    small = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = transformers.BertConfig(**small, intermediate_size=128, vocab_size=100)
    known = {**config.to_dict(), "architectures": ["BertForMaskedLM"]}
    (tmp_path / "config.json").write_text(json.dumps(known), encoding="utf-8")
    module = transformers.BertForMaskedLM(config).eval()
    for model in (f"hf:{tmp_path}", f"hf:{tmp_path / 'config.json'}"):
        table = library.analyze(model)
        assert table.graph.inputs == ((1, 128),)
        own = library.analyze(module, {"input_ids": (1, 128)}, input_type="int64")
        assert (table.total.macs, table.total.params) == (own.total.macs, own.total.params)
        assert library.analyze(model, (1, 32)).total.macs < own.total.macs


def test_a_formula_of_choices_of_a_configuration(tmp_path: Path) -> None:
    layers = {"num_hidden_layers": 2, "vocab_size": 100, "max_position_embeddings": 64}
    sizes = {"hidden_size": 64, "intermediate_size": 32, "num_attention_heads": 4}
    known = {"model_type": "llama", **layers, **sizes, "num_key_value_heads": 2}
    (tmp_path / "config.json").write_text(json.dumps(known), encoding="utf-8")
    formula = library.formula(f"hf:{tmp_path}(hidden_size=16*h, num_attention_heads=h)", "h,N")
    for heads, words, batch in ((4, 64, 1), (6, 9, 3)):
        at = formula.at(h=heads, S=words, N=batch)
        own: Any = {"hidden_size": 16 * heads, "num_attention_heads": heads}
        table = library.analyze(f"hf:{tmp_path}", (batch, words), **own).total
        assert (at.macs, at.params, at.flops) == (table.macs, table.params, table.flops)
    inner = library.formula(f"hf:{tmp_path}", "intermediate_size").at(S=8)
    one = library.analyze(f"hf:{tmp_path}", (1, 8), intermediate_size=48).total
    assert inner.at(intermediate_size=48).macs == one.macs
    frame = library.sweep(f"hf:{tmp_path}", {"S": [8, 16]})
    assert frame.macs.tolist()[0] == library.analyze(f"hf:{tmp_path}", (1, 8)).total.macs


def test_sound_has_the_length_that_its_places_take(tmp_path: Path) -> None:
    small = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "vocab_size": 100}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    places = {"num_mel_bins": 8, "max_source_positions": 10}
    known = {"model_type": "whisper", "pad_token_id": 0, **small, **heads, **places}
    (tmp_path / "config.json").write_text(json.dumps(known), encoding="utf-8")
    assert library.analyze(f"hf:{tmp_path}").graph.inputs == ((1, 8, 20), (1, 128))


HEADS: dict[str, Any] = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
INNER: dict[str, Any] = {**HEADS, "intermediate_size": 32}


@pytest.mark.parametrize(
    ("known", "size"),
    [
        ({"model_type": "deberta", **INNER, "vocab_size": 100}, (1, 128)),  # warns of padding
        (
            {"model_type": "xlnet", "d_model": 16, "n_layer": 1, "n_head": 2, "d_inner": 32},
            (1, 128),
        ),
        ({"model_type": "wav2vec2", **INNER, "num_conv_pos_embedding_groups": 2}, (1, 16000)),
        ({"model_type": "audio-spectrogram-transformer", **INNER}, (1, 1024, 128)),
        ({"model_type": "videomae", **INNER, "image_size": 32}, (1, 16, 3, 32, 32)),
    ],
)
def test_inputs_that_configurations_say(
    known: dict[str, Any], size: tuple[int, ...], tmp_path: Path
) -> None:
    """Costs are those that torch counts in the module that is made of the configuration."""
    (tmp_path / "config.json").write_text(json.dumps(known), encoding="utf-8")
    table = library.analyze(f"hf:{tmp_path}")
    assert table.graph.inputs == (size,)
    kind = transformers.CONFIG_MAPPING[str(known["model_type"])]
    config = kind.from_dict(dict(known))
    config._attn_implementation = "eager"  # torch does not count kernels on the CPU
    module = transformers.AutoModel.from_config(config).eval()
    params = sum(parameter.numel() for parameter in module.parameters())
    assert table.total.params + sum(count for _, count in table.graph.unused) == params
    ids = torch.ones(size, dtype=torch.int64)
    given = ids if len(size) == 2 and size[1] == 128 else ids.float()
    with FlopCounterMode(display=False) as counted, torch.no_grad():
        module(given)
    assert 2 * table.total.macs == counted.get_total_flops()


def test_choices_of_a_configuration(tmp_path: Path) -> None:
    known = {"model_type": "gpt2", "n_embd": 16, "n_head": 2, "vocab_size": 100}
    (tmp_path / "config.json").write_text(json.dumps(known), encoding="utf-8")
    model = f"hf:{tmp_path}"
    frame = library.sweep(model, {"n_layer": [1, 2]})
    counted = [library.analyze(model, n_layer=layers).total.macs for layers in (1, 2)]
    assert frame.macs.tolist() == counted
    assert library.parameters(model, num_hidden_layers=1).total.params == frame.params[0]
    with pytest.raises(
        UnknownNameError, match=r"choice of gpt2 'n_layers': did you mean 'n_layer'"
    ):
        library.analyze(model, n_layers=1)
