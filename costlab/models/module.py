"""MODEL as an ``nn.Module``: its forward is followed."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from costlab.errors import ChoiceError
from costlab.graph.op import Shape
from costlab.graph.sizes import Sizes
from costlab.models.reference import Accepts, Network, Run

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Held:
    """A module that the caller has."""

    module: nn.Module

    @property
    def accepts(self) -> frozenset[Accepts]:
        return frozenset({"input size", "run"})

    def network(
        self, input_size: Shape | Sizes | None, run: Run, choices: dict[str, Any]
    ) -> Network:
        if choices:
            raise ChoiceError("a module takes no choices: give them where it is made")
        return followed(self.module, input_size, run)


def followed(
    module: nn.Module, input_size: Shape | Sizes | None, run: Run, name: str = ""
) -> Network:
    """The network that a module computes. Imports torch; raises what ``trace.follow`` raises."""
    from costlab.trace import follow

    trace = follow(
        module,
        input_size,
        run.inputs,
        run.kwargs,
        input_type=run.input_type,
        training=run.training,
        real=run.real,
        name=name,
        observed=run.observed,
        gradients=run.gradients,
    )
    return Network(trace.graph, trace)


class _Modules:
    priority = 0
    about = ""
    grammar: tuple[str, ...] = ()

    def read(self, model: object) -> Held | None:
        torch = sys.modules.get("torch")  # who has a module has imported it
        is_module = torch is not None and isinstance(model, torch.nn.Module)
        return Held(model) if is_module else None  # type: ignore[arg-type]


FRONTEND = _Modules()
