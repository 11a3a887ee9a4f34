"""MODEL by its name in another library: ``timm:convnext_tiny``, ``torchvision:resnet50``.

Or by a configuration of transformers: ``hf:FOLDER``, ``hf:config.json``. They are built without
weights, and nothing is fetched.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from costlab.errors import ShapeError
from costlab.graph.op import Shape
from costlab.graph.sizes import Sizes
from costlab.models.arguments import AFTER, keywords, literals
from costlab.models.module import Made, owner_of
from costlab.models.reference import Accepts, Network, Run

if TYPE_CHECKING:
    import ast
    from types import MethodType

    from torch import Tensor, nn

    from costlab.hubs.hub import HubInput

HUBS = ("timm", "torchvision", "hf")

_MODEL = re.compile(rf"(?P<hub>{'|'.join(HUBS)}):(?P<name>[^()]*){AFTER}", re.DOTALL)


def is_of_hub(name: str) -> bool:
    """Whether a name is that of models in a library: ``timm:resnet*``."""
    return name.partition(":")[0] in HUBS and ":" in name


def hub_that_is_meant(name: str) -> str:
    """The hub whose name is nearly that; ``""`` if there is none."""
    from difflib import get_close_matches

    return "".join(get_close_matches(name.lower(), HUBS, 1, 0.75))


class OfHub(Made):
    """A model of a hub by its name, with choices, and a part of it."""

    def __init__(self, text: str, hub: str, name: str, choices: dict[str, Any], part: str) -> None:
        self.text, self.hub, self.name = text, hub, name
        self.choices, self.part = choices, part

    @property
    def accepts(self) -> frozenset[Accepts]:
        return frozenset({"input size", "choices", "run", "no input"})

    @property
    def defaults(self) -> Mapping[str, Any]:
        """Choices that its library knows of it, and what each is by default."""
        from costlab.hubs.hub import hub_named

        return {**hub_named(self.hub).defaults(self.name), **self.choices}

    def require(self) -> None:
        """Raises ``CodeError`` where the library is not there, which needs neither it nor torch."""
        from costlab.hubs.hub import require_library

        require_library("transformers" if self.hub == "hf" else self.hub)

    def module(self, choices: dict[str, Any]) -> nn.Module:
        """The module, on ``meta`` where its library can build it there."""
        return self.made(choices, weightless=True)

    def made(
        self, choices: dict[str, Any], real: bool = False, weightless: bool = False
    ) -> nn.Module:
        """The module; with the values of its first weights where a run asks for some."""
        from costlab.hubs.building import built

        chosen = self.choices | choices
        return built(self.text, self.hub, self.name, chosen, real, weightless)

    def varying(self, symbols: Iterable[str] = ()) -> tuple[Sizes, dict[str, int]]:
        """The input that its library says, with names but for the channels and the batch.

        These have theirs if they are ``symbols``.
        """
        own, named = self._said({}), {*symbols}
        near = {
            name: size
            for given in own.values()
            for name, size in zip(given.names, given.shape, strict=False)
            if name not in "NC"
        }
        return self._with_names(own, lambda name: name in near or name in named), near

    def named_sizes(self, choices: dict[str, Any], varied: Collection[str]) -> Sizes:
        """The input that its library says, with names for what varies."""
        return self._with_names(self._said(choices), varied.__contains__)

    def sized(
        self, module: nn.Module, size: Shape | Sizes | None, run: Run
    ) -> tuple[Shape | Sizes | None, Run]:
        if run.inputs is not None:
            return size, run
        own = self._inputs(module) if run.method == "forward" else {}
        own = {name: given for name, given in own.items() if name not in (run.kwargs or {})}
        if any(given.listed for given in own.values()):
            return None, replace(run, inputs=(self._listed(own, size),))
        types = {name: given.dtype for name, given in own.items()}
        if isinstance(size, Sizes) and (size.positional or size.named):
            types = {name: types.get(name, "") for name in size.named}
        elif size is not None and not isinstance(size, Sizes):
            if any(types.values()):
                size = Sizes(named={next(iter(own)): size})
            else:
                types = {}
        elif own:
            batch = size.batch if isinstance(size, Sizes) else None
            size = replace(self._with_names(own), batch=batch)
        else:
            raise self._unknown_input(module)
        if any(types.values()) and not run.input_type:
            run = replace(run, input_type=types)
        return size, run

    def of_model(
        self, model: nn.Module | MethodType, input_size: Shape | Sizes | None, run: Run
    ) -> Network:
        network = super().of_model(model, input_size, run)
        if self.part or run.symbolic:
            return network
        from costlab.hubs.hub import hub_named

        printed = hub_named(self.hub).printed(self.name, owner_of(model))
        return network._replace(graph=replace(network.graph, about=printed))

    def _inputs(self, module: nn.Module) -> dict[str, HubInput]:
        from costlab.hubs.hub import hub_named

        return hub_named(self.hub).inputs(self.name, module)

    def _said(self, choices: dict[str, Any]) -> dict[str, HubInput]:
        """The inputs that its library says. Raises ``ShapeError`` where there are none."""
        module = self.module(choices)
        own = self._inputs(module)
        if not own:
            raise self._unknown_input(module)
        return own

    def _with_names(
        self, own: dict[str, HubInput], varied: Callable[[str], bool] = lambda name: False
    ) -> Sizes:
        """These inputs as sizes: by their names where one has a type of its own."""
        shapes = {name: given.varying(varied) for name, given in own.items()}
        if any(given.dtype for given in own.values()):
            return Sizes(named=shapes)
        return Sizes((*shapes.values(),))

    def _listed(self, own: dict[str, HubInput], size: Shape | Sizes | None) -> list[Tensor]:
        """A batch as a list of its items. Raises ``ShapeError``."""
        import torch

        [given] = own.values()
        shape = given.shape if size is None or isinstance(size, Sizes) else size
        if isinstance(size, Sizes):
            shape = size.batched((*size.positional, *size.named.values(), shape)[0])
        if len(shape) != len(given.shape):
            usual = ",".join(map(str, given.shape))
            raise ShapeError(f"{self.text} takes images, such as {usual}, not {shape}")
        return [torch.zeros(shape[1:]) for _ in range(shape[0])]

    def _unknown_input(self, module: nn.Module) -> ShapeError:
        from costlab.trace.misfits import taken_by

        takes = taken_by(module)
        return ShapeError(
            f"{self.text} does not say what its input is{takes and f': {takes}'}; give an input "
            "size for each (--input-size), or what goes in (--inputs FILE.py:NAME)"
        )


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
