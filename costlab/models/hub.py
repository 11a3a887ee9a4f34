"""MODEL by its name in another library: ``timm:convnext_tiny``, ``torchvision:resnet50``.

Or by a configuration of transformers: ``hf:FOLDER``, ``hf:config.json``. They are built without
weights, and nothing is fetched.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from costlab.errors import ShapeError
from costlab.graph.op import Shape
from costlab.graph.sizes import Sizes
from costlab.models.arguments import AFTER, keywords, literals
from costlab.models.module import Made
from costlab.models.reference import Accepts, Network, Run

if TYPE_CHECKING:
    import ast

    from torch import nn

HUBS = ("timm", "torchvision", "hf")

_MODEL = re.compile(rf"(?P<hub>{'|'.join(HUBS)}):(?P<name>[^()]*){AFTER}", re.DOTALL)


def is_of_hub(name: str) -> bool:
    """Whether a name is that of models in a library: ``timm:resnet*``."""
    return name.partition(":")[0] in HUBS and ":" in name


class OfHub(Made):
    """A model of a hub by its name, with choices, and a part of it."""

    def __init__(self, text: str, hub: str, name: str, choices: dict[str, Any], part: str) -> None:
        self.text, self.hub, self.name = text, hub, name
        self.choices, self.part = choices, part

    @property
    def accepts(self) -> frozenset[Accepts]:
        return frozenset({"input size", "choices", "run", "no input"})

    def module(self, choices: dict[str, Any]) -> nn.Module:
        """The module, on ``meta`` where its library can build it there."""
        from costlab.hubs.building import built

        return built(self.text, self.hub, self.name, self.choices | choices)

    def made(
        self, choices: dict[str, Any], real: bool = False, weightless: bool = False
    ) -> nn.Module:
        """The module; with the values of its first weights where a run asks for some."""
        from costlab.hubs.building import built

        return built(self.text, self.hub, self.name, self.choices | choices, real)

    def sized(
        self, module: nn.Module, size: Shape | Sizes | None, run: Run
    ) -> tuple[Shape | Sizes | None, Run]:
        from costlab.hubs.hub import hub_named

        if run.inputs is not None:
            return size, run
        own = hub_named(self.hub).inputs(self.name, module) if run.method == "forward" else {}
        own = {name: one for name, one in own.items() if name not in (run.kwargs or {})}
        types = {name: one.dtype for name, one in own.items()}
        if isinstance(size, Sizes) and (size.positional or size.named):
            types = {name: types.get(name, "") for name in size.named}
        elif size is not None and not isinstance(size, Sizes):
            if any(types.values()):
                size = Sizes(named={next(iter(own)): size})
            else:
                types = {}
        elif own:
            shapes = {name: one.shape for name, one in own.items()}
            batch = size.batch if isinstance(size, Sizes) else None
            by_name = any(types.values())
            size = Sizes((), shapes, batch) if by_name else Sizes((*shapes.values(),), {}, batch)
        else:
            raise ShapeError(
                f"{self.text} does not say what its input is: give an input size (--input-size), "
                "or what goes in (--inputs FILE.py:NAME)"
            )
        if any(types.values()) and not run.input_type:
            run = replace(run, input_type=types)
        return size, run

    def network(
        self, input_size: Shape | Sizes | None, run: Run, choices: dict[str, Any]
    ) -> Network:
        network = super().network(input_size, run, choices)
        if self.part or self.choices or choices:
            return network
        from costlab.hubs.hub import hub_named

        printed = hub_named(self.hub).printed(self.name)
        return network._replace(graph=replace(network.graph, about=printed))


class _Hubs:
    priority = -1  # what is written like a package and a name in it
    about = "a name in timm or torchvision, or a configuration of transformers, without weights"
    grammar = ("timm:convnext_tiny", "'torchvision:resnet50(num_classes=10)'", "hf:config.json")

    def read(self, model: object) -> OfHub | None:
        match = _MODEL.fullmatch(model.strip()) if isinstance(model, str) else None
        return match and _of_hub(match, literals(match.string, match["choices"] or ""))


FRONTEND = _Hubs()


def _of_hub(match: re.Match[str], choices: dict[str, Any]) -> OfHub:
    name, part = match["name"].strip(), match["part"] or ""
    if not part and match["hub"] != "hf":
        name, _, part = name.partition("/")
    return OfHub(match.string, match["hub"], name, choices, part)


def hub_with_symbols(model: str) -> tuple[OfHub, dict[str, ast.expr]] | None:
    """A name in a library without its choices, and these as Python reads them: as for code."""
    match = _MODEL.fullmatch(model.strip())
    if match is None:
        return None
    try:
        return _of_hub(match, {}), keywords(match["choices"] or "")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
