"""What runs hold in memory: quantities of a run as a whole, known where that is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from costlab.costs.cost import Cost
from costlab.costs.optimizers import STEPS
from costlab.costs.quantity import Quantity
from costlab.errors import UnknownNameError


def optimizer_named(name: str) -> str:
    """An optimizer by its name. Raises ``UnknownNameError``."""
    if name.lower() not in STEPS:
        raise UnknownNameError("optimizer", name, STEPS)
    return name.lower()


def of_runs(optimizer: str) -> Mapping[str, Quantity]:
    """The quantities of a run in evaluation mode, and of a step that ``optimizer`` trains."""
    tensors = "bytes of the tensors that a {} makes, at most at once"
    everything = "bytes of params, buffers, inputs and the tensors that a {} makes, at most at once"
    run, step = "run in evaluation mode", "training step"
    of_step = f"{everything.format(step)}, with " + (
        f"what {optimizer} keeps" if STEPS[optimizer].state else optimizer
    )
    return {
        quantity.name: quantity
        for quantity in (
            _of_run("inputs_bytes", "inputs bytes", "bytes of inputs"),
            _of_run(
                "peak_tensors_bytes",
                "peak bytes of tensors",
                tensors.format(run),
                f"peak bytes of tensors = {tensors.format(run)}",
            ),
            _of_run(
                "peak_bytes",
                "peak bytes",
                everything.format(run),
                f"peak bytes = {everything.format(run)}",
            ),
            _of_run(
                "gradients_bytes", "gradients bytes", "bytes of gradients of params", "", optimizer
            ),
            _of_run(
                "saved_bytes",
                "saved bytes",
                "bytes that a training step keeps for its backward pass when that begins",
                "saved bytes = kept for the backward pass when it begins",
                optimizer,
            ),
            _of_run(
                "training_peak_tensors_bytes",
                "training peak bytes of tensors",
                tensors.format(step),
                f"training peak bytes of tensors = {tensors.format(step)}",
                optimizer,
            ),
            _of_run(
                "optimizer_bytes",
                "optimizer bytes",
                f"bytes that {optimizer} keeps between two training steps",
                f"optimizer bytes = what {optimizer} keeps between two training steps",
                optimizer,
            ),
            _of_run(
                "training_peak_bytes",
                "training peak bytes",
                of_step,
                f"training peak bytes = {of_step}",
                optimizer,
            ),
        )
    }


def _of_run(
    name: str, heading: str, unit: str, definition: str = "", optimizer: str = ""
) -> Quantity:
    return Quantity(
        name,
        heading,
        unit,
        _not_run,
        definition,
        {"formula": 0, "sweep": 0},
        needs_rule=False,
        adds_up=False,
        of_run=True,
        optimizer=optimizer,
    )


def _not_run(cost: Cost) -> int:
    raise AssertionError("a quantity of a run, which was not run")


OF_RUNS: Mapping[str, Quantity] = MappingProxyType(dict(of_runs("sgd")))
"""What a run or a training step holds in memory, where that is asked for."""
