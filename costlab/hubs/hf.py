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
_SIDE = 224
"""The side of an image of which the configuration does not say it."""
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
        own = [kind for kind in named if isinstance(kind, type) and issubclass(kind, base)]
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
        words = _words(text)
        inputs = {}
        if "input_ids" in takes and getattr(text, "vocab_size", None):
            inputs["input_ids"] = words
        known = {"pixel_values": _pixels(config, usual=not inputs), **_sound(config)}
        inputs |= {taken: given for taken, given in known.items() if taken in takes and given}
        if inputs and getattr(config, "is_encoder_decoder", False) and "decoder_input_ids" in takes:
            inputs["decoder_input_ids"] = words._replace(names=("N", "T"))
        return inputs

    def printed(self, name: str, module: nn.Module | None = None) -> str:
        return ""


def _words(text: Any) -> HubInput:
    """The numbers of tokens."""
    longest = getattr(text, "max_position_embeddings", None) or _LENGTH
    return HubInput((1, min(_LENGTH, longest) if longest > 0 else _LENGTH), "int64", WORDS)


def _pixels(config: Any, usual: bool) -> HubInput | None:
    """An image or a video, of the size that is usual where none is said; None where that is not."""
    vision = getattr(config, "vision_config", None) or config
    side = getattr(vision, "image_size", None) or (_SIDE if usual else None)
    if not side:
        return None
    height, width = (side, side) if isinstance(side, int) else side
    channels, frames = getattr(vision, "num_channels", 3), getattr(config, _FRAMES, 0)
    if frames:
        return HubInput((1, frames, channels, height, width), names=("N", "T", *"CHW"))
    return HubInput((1, channels, height, width), names=IMAGES)


def _sound(config: Any) -> dict[str, HubInput | None]:
    """Sound, as samples or in bands of frequencies, by the names that forward may have for it."""
    longest, bins, places = (
        getattr(config, own, None) for own in ("max_length", "num_mel_bins", _PLACES)
    )
    in_bands = HubInput((1, longest, bins)) if longest and bins else None
    samples = HubInput((1, _SAMPLES), names=WORDS) if getattr(config, "conv_stride", None) else None
    features = HubInput((1, bins, 2 * places)) if bins and places else None
    return {"input_values": samples or in_bands, "input_features": features}


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
