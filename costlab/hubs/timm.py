"""Models of timm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costlab.hubs.hub import IMAGES, Hub, HubInput, library

if TYPE_CHECKING:
    from torch import nn


class _Timm:
    def names(self) -> list[str]:
        names: list[str] = library("timm").list_models()
        return names

    def build(self, name: str, choices: dict[str, Any]) -> nn.Module:
        module: nn.Module = library("timm").create_model(name, pretrained=False, **choices)
        return module

    def defaults(self, name: str) -> dict[str, Any]:
        return {}  # its builders take any, and hand them on

    def inputs(self, name: str, module: nn.Module) -> dict[str, HubInput]:
        known: Any = getattr(module, "pretrained_cfg", None) or {}
        size = known.get("input_size")
        return {"x": HubInput((1, *size), names=IMAGES)} if size else {}

    def printed(self, name: str, module: nn.Module | None = None) -> str:
        return ""


HUB: Hub = _Timm()
