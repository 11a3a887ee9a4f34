"""MODEL as a name of the catalog, with choices and part: ``reduced(c5r=24)/branch5x5``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from costlab import catalog
from costlab.catalog.registry import Architecture
from costlab.errors import ChoiceError, ShapeError, UnknownNameError
from costlab.graph import Graph
from costlab.graph.op import Shape
from costlab.graph.sizes import Sizes
from costlab.models.arguments import AFTER, is_file, literals
from costlab.models.reference import Accepts, Network, Run, reference

_MODEL = re.compile(rf"(?P<name>[^/():]*){AFTER}", re.DOTALL)

DIMENSIONS = {"N": "batch", "C": "channels", "H": "height", "W": "width"}
"""The dimensions of an input of the catalog, in order, by their letters."""


class Named(NamedTuple):
    """A model of the catalog as it was named: an architecture, its choices, and a part of it."""

    architecture: Architecture
    choices: dict[str, Any]
    part: str
    text: str = ""

    @property
    def accepts(self) -> frozenset[Accepts]:
        return frozenset({"input size", "choices"})

    def network(
        self, input_size: Shape | Sizes | None, run: Run, choices: dict[str, Any]
    ) -> Network:
        chosen = self.chosen(choices)
        if isinstance(input_size, Sizes):
            entry = self.architecture
            if input_size.positional or input_size.named:
                raise ShapeError(f"{entry.name} takes one input: give one input size, without name")
            choices = {**entry.choices, **chosen.choices}
            input_size = input_size.batched(entry.published_input(choices))
            own = {name: value for name, value in choices.items() if name not in entry.sizing}
            chosen = Named(entry, own, self.part)
        return Network(chosen.graph(input_size))

    def chosen(self, choices: dict[str, Any]) -> Named:
        """A copy with more choices. Raises ``ChoiceError`` for one that is there already."""
        if twice := sorted(self.choices.keys() & choices.keys()):
            raise ChoiceError(f"{self.text!r} and the arguments both give {twice[0]}: give it once")
        return Named(self.architecture, self.choices | choices, self.part, self.text)

    def graph(self, input_size: Shape | None = None, **choices: Any) -> Graph:
        """The graph on that input (default: the published one); ``choices`` replace its own."""
        graph = self.architecture.graph(input_size, **self.choices | choices)
        return graph.part(self.part, shown=graph.name) if self.part else graph

    def values(self, chosen: Mapping[str, Any]) -> dict[str, Any]:
        """All choices and input dimensions by name: ``chosen`` ones, else the published values.

        A choice that only sets the input's size is left out where dimensions are chosen.
        """
        entry = self.architecture
        choices = {**entry.choices, **self.choices, **chosen}
        sides = dict(zip(DIMENSIONS, entry.published_input(choices), strict=True))
        known = {**choices, **sides, **chosen}
        left_out = entry.sizing if chosen.keys() & DIMENSIONS.keys() else frozenset()
        return {name: value for name, value in known.items() if name not in left_out}

    def sized(self, chosen: Mapping[str, Any]) -> Graph:
        """The graph with these choices and input dimensions, which may be symbols or arrays."""
        choices = {name: value for name, value in chosen.items() if name not in DIMENSIONS}
        if len(choices) == len(chosen):
            return self.graph(None, **choices)
        values = self.values(chosen)
        size = tuple(values[side] for side in DIMENSIONS)
        own = {name: value for name, value in self.choices.items() if name in values}
        return Named(self.architecture, own, self.part).graph(size, **choices)

    def published(self, name: str) -> Any:
        """The published value of a choice, or 1 for a dimension. Raises ``UnknownNameError``."""
        entry = self.architecture
        if name in DIMENSIONS:
            return 1
        if name not in entry.choices:
            raise UnknownNameError(f"choice of {entry.name}", name, [*DIMENSIONS, *entry.choices])
        return entry.choices[name]

    def require_number(self, name: str) -> None:
        """Raises ``UnknownNameError`` or ``ChoiceError`` if it is no number that can vary."""
        entry, published = self.architecture, self.published(name)
        if name in entry.sizing:
            raise ChoiceError(f"{name} of {entry.name} is the size of its input: use H and W")
        if name not in DIMENSIONS and not entry.takes_many(name):
            example = f'"{entry.name}({name}={published!r})"'  # as a shell takes it
            raise ChoiceError(
                f"{name} of {entry.name} cannot be a symbol or an array: each value builds a "
                f"different network; name it in the model, as in {example}"
            )


def named_model(model: object, **choices: Any) -> Named:
    """The model that a name of the catalog means, with these choices too.

    Raises ``UnknownNameError`` or ``ChoiceError``.
    """
    known = reference(model)
    if not isinstance(known, Named):
        raise ChoiceError(
            "of what is no name of the catalog, an input size with names says what varies, such as "
            "N,3,H,W (input_size, --input-size)"
        )
    return known.chosen(choices)


class _Catalog:
    priority = 9  # any word may be a name: what other kinds read is not asked for here
    about = "a name from `costlab list`, with choices or a part if wanted"
    grammar = ("reduced", "'reduced(c5r=24)'", "naive/branch5x5", "'googlenet(aux=True)/aux1'")

    def read(self, model: object) -> Named | None:
        if not isinstance(model, str):
            return None
        try:
            return self._named(model)
        except (ChoiceError, UnknownNameError):
            if is_file(model.strip()):
                raise ChoiceError(
                    f"{model.strip()} is a file, but no MODEL: a report is what costlab show "
                    "-o FILE.json writes, Python code is file.py:NAME"
                ) from None
            raise

    def _named(self, model: str) -> Named:
        match = _MODEL.fullmatch(model.strip())
        if match is None:
            raise ChoiceError(
                f"cannot read the model {model!r}: write NAME, NAME(choice=value) or NAME/part"
            )
        architecture = catalog.architecture(match["name"])
        return Named(
            architecture, literals(model, match["choices"] or ""), match["part"] or "", model
        )


FRONTEND = _Catalog()
