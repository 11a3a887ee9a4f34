"""Models of torchvision."""

from __future__ import annotations

from inspect import signature
from typing import TYPE_CHECKING, Any

from costlab import formatting
from costlab.hubs.hub import HubInput, library

if TYPE_CHECKING:
    from torch import nn


class _Torchvision:
    def names(self) -> list[str]:
        names: list[str] = library("torchvision").models.list_models()
        return names

    def build(self, name: str, choices: dict[str, Any]) -> nn.Module:
        models = library("torchvision").models
        own = signature(models.get_model_builder(name)).parameters
        weights = dict.fromkeys(own.keys() & {"weights", "weights_backbone"})
        builder: Any = models.get_model_builder(name)
        module: nn.Module = builder(**weights | choices)
        return module

    def inputs(self, name: str, module: nn.Module) -> dict[str, HubInput]:
        known = _default_weights(name)
        ready = None if known is None else known.transforms()
        size = getattr(ready, "crop_size", None) or getattr(ready, "resize_size", None)
        if not size:  # of detection: a list of images of any size
            return {}
        height, width = (*size, *size)[:2]
        frames = (16,) if type(module).__module__.startswith("torchvision.models.video") else ()
        return {"x": HubInput((1, 3, *frames, height, width))}

    def printed(self, name: str) -> str:
        known = _default_weights(name)
        about = {} if known is None else known.meta
        said = []
        if "num_params" in about:
            said.append(f"{formatting.integer(about['num_params'])} params")
        if "_ops" in about:
            said.append(f"{about['_ops']} GFLOPS (1 for each MAC)")
        return f"torchvision prints {' and '.join(said)}." if said else ""


def _default_weights(name: str) -> Any:
    """What is known of the weights that it would have; None for a model without any."""
    weights = library("torchvision").models.get_model_weights(name)
    return getattr(weights, "DEFAULT", None)


HUB = _Torchvision()
