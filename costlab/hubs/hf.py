"""Configurations of transformers: a folder or a file of one, nothing from elsewhere."""

from __future__ import annotations

import json
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from costlab.errors import CodeError, UnknownNameError, misread, unreadable
from costlab.hubs.hub import IMAGES, WORDS, Hub, HubInput, library
from costlab.user_files import text_of

if TYPE_CHECKING:
    from torch import nn

_LENGTH = 128
"""How many tokens a text has, where the configuration allows as many."""
_SAMPLES = 16_000
"""How many samples sound has that is not cut into frames: a second of what such models hear."""

_FRAMES = "num_frames"
"""Of a model of videos."""

_WARNS = "warn_if_padding_and_no_attention_mask"
"""A method of models that only warns."""

_PLACES = "max_source_positions"
"""Of an encoder of sound, which halves what goes in before it counts places."""


class _Transformers:
    def names(self) -> list[str]:
        return []

    def defaults(self, name: str) -> dict[str, Any]:
        known = _configuration(name)
        kind = _kind(known)
        own: dict[str, Any] = kind.from_dict(known).to_dict()
        return own | {other: own.get(meant) for other, meant in kind.attribute_map.items()}

    def build(self, name: str, choices: dict[str, Any]) -> nn.Module:
        transformers = library("transformers")
        known = _configuration(name)
        named = [
            getattr(transformers, str(text), None) for text in known.get("architectures") or ()
        ]
        base = transformers.PreTrainedModel
        own = [one for one in named if isinstance(one, type) and issubclass(one, base)]
        if not own and known.get("auto_map"):
            raise CodeError(
                f"hf:{name} needs code of its own repository, which is not run: import it "
                "yourself, and give costlab.analyze the module"
            )
        kind = _kind(known)
        _require_known(kind(), choices)
        config = kind(**{**known, **choices})
        if own:
            module: nn.Module = own[0](config)
        else:
            module = transformers.AutoModel.from_config(config)
        for inside in module.modules():
            if hasattr(inside, _WARNS):  # of ids whose values it would look at
                setattr(inside, _WARNS, _not_warned)
        return module

    def inputs(self, name: str, module: nn.Module) -> dict[str, HubInput]:
        config: Any = module.config
        takes = signature(module.forward).parameters
        text = getattr(config, "text_config", None) or config
        vision = getattr(config, "vision_config", None) or config
        longest = getattr(text, "max_position_embeddings", None) or _LENGTH
        length = min(_LENGTH, longest) if longest > 0 else _LENGTH
        words = HubInput((1, length), "int64", WORDS)
        found = {}
        if "input_ids" in takes and getattr(text, "vocab_size", None):
            found["input_ids"] = words
        side = getattr(vision, "image_size", None)
        if "pixel_values" in takes and side:
            height, width = (side, side) if isinstance(side, int) else side
            channels, frames = getattr(vision, "num_channels", 3), getattr(config, _FRAMES, 0)
            image = HubInput((1, channels, height, width), names=IMAGES)
            video = HubInput((1, frames, channels, height, width), names=("N", "T", *"CHW"))
            found["pixel_values"] = video if frames else image
        elif "pixel_values" in takes and not found:
            shape = (1, getattr(vision, "num_channels", 3), 224, 224)
            found["pixel_values"] = HubInput(shape, names=IMAGES)
        longest = getattr(config, "max_length", None)
        if "input_values" in takes and getattr(config, "conv_stride", None):
            found["input_values"] = HubInput((1, _SAMPLES), names=WORDS)
        elif "input_values" in takes and longest and getattr(config, "num_mel_bins", None):
            found["input_values"] = HubInput((1, longest, config.num_mel_bins))
        bins, places = (getattr(config, own, None) for own in ("num_mel_bins", _PLACES))
        if "input_features" in takes and bins and places:
            found["input_features"] = HubInput((1, bins, 2 * places))
        if found and getattr(config, "is_encoder_decoder", False) and "decoder_input_ids" in takes:
            found["decoder_input_ids"] = words._replace(names=("N", "T"))
        return found

    def printed(self, name: str, module: nn.Module | None = None) -> str:
        return ""


def _not_warned(*given: Any, **named: Any) -> None:
    """In the place of what only warns."""


def _kind(known: dict[str, Any]) -> Any:
    """The class of a configuration, whose ``model_type`` is taken out. ``UnknownNameError``."""
    kinds = library("transformers").CONFIG_MAPPING
    kind = known.pop("model_type", "")
    if kind not in kinds:
        raise UnknownNameError("model_type of transformers", kind, list(kinds))
    return kinds[kind]


def _require_known(usual: Any, choices: dict[str, Any]) -> None:
    """Transformers keeps what it does not know, and says nothing. Raises ``UnknownNameError``."""
    names = [*usual.to_dict(), *usual.attribute_map]
    for name in choices:
        if name not in names and callable(getattr(usual, name, len)):
            raise UnknownNameError(f"choice of {usual.model_type}", name, names)


def _configuration(name: str) -> dict[str, Any]:
    """What the file says. Raises ``CodeError``."""
    path = Path(name)
    path = path / "config.json" if path.is_dir() else path
    try:
        known = json.loads(text_of(path))
    except (OSError, UnicodeDecodeError) as error:
        raise CodeError(
            f"{unreadable(path, error)}; hf: takes the folder of a model or its config.json, and "
            "fetches nothing"
        ) from None
    except (ValueError, RecursionError) as error:
        raise CodeError(f"{path} is not valid JSON: {misread(error)}") from None
    if not isinstance(known, dict):
        raise CodeError(f"{path} is no configuration of transformers")
    return known


HUB: Hub = _Transformers()
