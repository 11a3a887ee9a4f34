"""Torch's count of a training step beside ours, in named terms, its faults among them."""

from __future__ import annotations

from typing import Any

from costlab.checks.account import Account
from costlab.checks.asking import account_of
from costlab.checks.convention import events
from costlab.checks.runnable import observed
from costlab.costs.table import CostTable, analyze
from costlab.errors import ChoiceError
from costlab.graph.sizes import InputSize
from costlab.models.reference import Model


def step_table(model: Model | CostTable, input_size: InputSize | None, **how: Any) -> CostTable:
    """The table with what a training step computes."""
    return analyze(model, input_size, training_cost=True, **how)


def step_account(table: CostTable, asked: list[str] | None, timeout: float) -> Account:
    """What torch's counter says of forward and backward, on ``meta``, rebuilt from the table.

    Raises ``ChoiceError`` where another counter is asked, ``CounterError`` if it cannot run.
    """
    from costlab.counters.torch_step import STEP

    if asked not in (None, ["torch"]):
        raise ChoiceError(
            "of training steps torch's counter alone is reconciled: counters='torch', or --counter "
            "torch"
        )
    traced = observed(table)
    return account_of(STEP, traced, events(traced), timeout)
