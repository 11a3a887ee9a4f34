"""Models of torchvision."""

from __future__ import annotations

from functools import partial
from inspect import signature
from typing import TYPE_CHECKING, Any

from costlab import formatting
from costlab.hubs.hub import IMAGES, Hub, HubInput, library

if TYPE_CHECKING:
    from torch import nn

_AUXILIARY = {"aux_loss": True, "aux_logits": False}
"""Choices that torchvision takes from the weights that it loads: a head beside that of the result,
which segmentation has with weights and not without, and GoogLeNet without and not with."""

_FLOW = 512
"""The side of images of optical flow, which may be of any: its printed figures are of this one."""


class _Torchvision:
    def names(self) -> list[str]:
        names: list[str] = library("torchvision").models.list_models()
        return names

    def build(self, name: str, choices: dict[str, Any]) -> nn.Module:
        builder: Any = library("torchvision").models.get_model_builder(name)
        own = signature(builder).parameters
        weights = dict.fromkeys(own.keys() & {"weights", "weights_backbone"})
        module: nn.Module = builder(**weights | choices)
        return module

    def defaults(self, name: str) -> dict[str, Any]:
        builder: Any = library("torchvision").models.get_model_builder(name)
        own = signature(builder).parameters.values()
        return {taken.name: taken.default for taken in own if taken.kind is not taken.VAR_KEYWORD}

    def inputs(self, name: str, module: nn.Module) -> dict[str, HubInput]:
        resized: Any = getattr(module, "transform", None)
        if resized is not None:  # of detection, to which images are resized inside of the model
            height, width = resized.fixed_size or (resized.min_size[-1],) * 2
            return {"images": HubInput((1, 3, height, width), names=IMAGES, listed=True)}
        kind = type(module).__module__
        if kind.startswith("torchvision.models.optical_flow"):
            image = HubInput((1, 3, _FLOW, _FLOW), names=IMAGES)
            return {"image1": image, "image2": image}
        size = _side(_weights(name, module))
        if not size:
            return {}
        height, width = (*size, *size)[:2]
        if kind.startswith("torchvision.models.video"):
            return {"x": HubInput((1, 3, 16, height, width), names=("N", "C", "T", "H", "W"))}
        return {"x": HubInput((1, 3, height, width), names=IMAGES)}

    def printed(self, name: str, module: nn.Module | None = None) -> str:
        known = _weights(name, module)
        about = {} if known is None else known.meta
        figures = []
        if "num_params" in about:
            figures.append(f"{formatting.integer(about['num_params'])} params")
        if "_ops" in about:
            figures.append(f"{about['_ops']} GFLOPS (1 for each MAC)")
        if not figures:
            return ""
        of_what = "" if module is None else self._because(name, module, about.get("num_params"))
        return "" if of_what is None else f"torchvision prints {' and '.join(figures)}{of_what}."

    def _because(self, name: str, module: nn.Module, printed: int | None) -> str | None:
        """What the figures are of, where it is not this module; None if that is not known."""
        from costlab.hubs.building import on_meta

        boxes = "; how many boxes it looks at depends on its weights"
        more = boxes if hasattr(module, "roi_heads") else ""
        differs = _params(module) - (printed or 0)
        if printed is None or not differs:
            return more
        norms = sum(
            _params(inner)
            for inner in getattr(module, "backbone", module).modules()
            if type(inner).__name__ == "BatchNorm2d"
        )
        if hasattr(module, "transform") and differs == norms:
            fewer = formatting.integer(differs)
            return f": {fewer} params fewer, batch norms of a trained backbone are frozen{more}"
        for choice, value in _AUXILIARY.items():
            try:
                other = on_meta(partial(self.build, name, {choice: value}))
            except (TypeError, ValueError):  # it has no such choice
                continue
            if other is not None and _params(other) == printed:
                return f" of torchvision:{name}({choice}={value})"
        return None


def _params(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _weights(name: str, module: nn.Module | None) -> Any:
    """What is known of weights for the module: those of its size of images, or the default.

    None for a model without any.
    """
    weights = library("torchvision").models.get_model_weights(name)
    usual = getattr(weights, "DEFAULT", None)
    side = getattr(module, "image_size", None)
    fitting = [known for known in (usual, *weights) if side and _side(known) == [side]]
    return fitting[0] if fitting else usual


def _side(weights: Any) -> list[int]:
    """The size of images that weights are for, a number or two; empty if they do not say."""
    ready = None if weights is None else weights.transforms()
    size: Any = getattr(ready, "crop_size", None) or getattr(ready, "resize_size", None)
    return list(size or ())


HUB: Hub = _Torchvision()
