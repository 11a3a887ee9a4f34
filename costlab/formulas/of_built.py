"""What a run of a model of the catalog holds, as a function: its module is built and followed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from costlab.errors import ChoiceError
from costlab.graph.sizes import Sizes
from costlab.models.catalog_name import DIMENSIONS, Named
from costlab.models.reference import Run
from costlab.models.symbolic_sizes import SymbolicSizes
from costlab.modules.of_catalog import SIZES, Built, shape_of, without_sizing


def built(
    named: Named,
    symbols: Iterable[str],
    at: Mapping[str, float],
    near: Mapping[str, int],
    training_cost: bool,
) -> tuple[SymbolicSizes, dict[str, float]]:
    """The module with H and W as symbols, N too if it is named, and the numbers of symbols.

    It is built and followed at ``near``, or else the published size, whose weights it has. ``at``
    may have another C, with which it is built.
    Raises ``UnknownNameError``, ``ChoiceError`` and ``ShapeError``.
    """
    symbols = dict.fromkeys(["H", "W", *symbols])
    for name in symbols:
        named.require_number(name)
        if name not in DIMENSIONS:
            raise ChoiceError(
                "what a run holds is of a module, which is built for each choice: give "
                f"{name} a number, as in '{named.architecture.name}({name}="
                f"{named.published(name)!r})', or sweep over it (costlab sweep --vary {name}=...)"
            )
    sides = {name: near[name] for name in SIZES if name in near}
    values = without_sizing(named, {"N": 1, **sides, **{k: v for k, v in at.items() if k == "C"}})
    inputs = {side: side if side in SIZES and side in symbols else values[side] for side in values}
    sizes = Sizes((shape_of(inputs),))
    hints = {side: values[side] for side in ("H", "W")}
    left = {name: value for name, value in at.items() if name != "C"}
    run = Run(gradients=training_cost)
    model = Built(named, values)
    return SymbolicSizes(model, sizes, near={**hints, **near}, run=run), left
