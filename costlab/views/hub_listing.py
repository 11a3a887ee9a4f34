"""The list of the models that a library has by names, as a result."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from costlab import formatting
from costlab.costs.result import CostResult
from costlab.errors import ChoiceError, UnknownNameError
from costlab.models.hub import is_of_hub
from costlab.render.document import Column, Document, Line, Paragraph, Record, Table


@dataclass(frozen=True, repr=False)
class HubListing(CostResult):
    """Names of models in libraries, as MODELs, and what the library prints of each."""

    models: tuple[tuple[str, str], ...]

    def headline(self) -> str:
        return formatting.plural(len(self.models), "model")

    def document(self) -> Document:
        return (
            Paragraph("Models", "title"),
            Table(
                (Column("model", right=False), Column("what its library says", right=False)),
                tuple(Line(model) for model in self.models),
            ),
            Paragraph(
                f"{self.headline()}. None has been built: costlab show {self.models[0][0]} counts "
                "one."
            ),
        )

    def records(self) -> list[Record]:
        return [{"model": model, "printed": printed} for model, printed in self.models]

    def data(self) -> dict[str, Any]:
        return {"models": self.records()}


def hub_listing(names: Iterable[str]) -> HubListing:
    """The models whose names fit: ``timm:`` are all, ``timm:resnet*`` some.

    Raises ``UnknownNameError``, ``ChoiceError``, and ``CodeError`` where the library is missing.
    """
    from costlab.hubs.hub import hub_named

    models = []
    for name in names:
        home, _, pattern = name.partition(":")
        if not is_of_hub(name):
            raise ChoiceError(f"{name} is no model of a hub: list these in a call of their own")
        hub = hub_named(home)
        known = hub.names()
        if not known:
            raise ChoiceError(
                f"{home}: has no list: a MODEL is {home}:FOLDER or {home}:config.json"
            )
        fitting = [name for name in known if fnmatchcase(name, pattern or "*")]
        if not fitting:
            raise UnknownNameError(f"model of {home}", pattern, known, "patterns are resnet*")
        models += [(f"{home}:{name}", hub.printed(name)) for name in fitting]
    return HubListing(tuple(models))
