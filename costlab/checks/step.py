"""Torch's count of a training step beside ours, in named terms, its faults among them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from costlab.checks.account import Account, Amount
from costlab.checks.asking import tried
from costlab.checks.runnable import running
from costlab.costs.rows import Row
from costlab.costs.table import CostTable, analyze
from costlab.errors import ChoiceError
from costlab.graph.paths import module_of
from costlab.graph.sizes import InputSize
from costlab.models.reference import Model

_FAULT = "gradients of weights of grouped convolutions"


def step_table(model: Model | CostTable, input_size: InputSize | None, **how: Any) -> CostTable:
    """The table with what a training step computes."""
    return analyze(model, input_size, training_cost=True, **how)


def step_account(table: CostTable, asked: list[str] | None, timeout: float) -> Account:
    """What torch's counter says of forward and backward, on ``meta``, rebuilt from the table.

    Raises ``ChoiceError`` where another counter is asked, ``CounterError`` if it cannot run.
    """
    from costlab.counters.torch import multiplies_by_groups, total_of_a_step

    if asked not in (None, ["torch"]):
        raise ChoiceError(
            "of training steps torch's counter alone is reconciled: counters='torch', or --counter "
            "torch"
        )
    module, tensors = running(table)
    given = [value for value in table.graph.values if value.kind == "input"]
    if table.trace is None:  # a part's inputs want gradients if they do in the whole
        for tensor, value in zip(tensors, given, strict=True):
            tensor.requires_grad_(not value.detached)
    count = partial(total_of_a_step, module, tensors)
    total, problem = tried(timeout, count, modules=module.modules())
    if total is None:
        return Account("torch", None, problem=problem)
    faulty = multiplies_by_groups()
    parts = tuple(part for row in table.rows for part in _parts(row, faulty))
    return Account("torch", total, parts)


def _parts(row: Row, faulty: bool) -> Iterator[Amount]:
    """The units of a layer: 2 for each multiply-add, and what the counter has wrong."""
    groups = 1
    if faulty and row.layer.op.kind in ("conv", "conv_transpose"):
        groups = row.layer.op.attribute("groups")
    of_weights = row.weight_gradient_macs
    for what, how, macs in (
        ("forward", "2 per MAC", row.macs),
        ("forward, again", "2 per MAC", row.recomputed_macs),
        ("gradients of inputs", "2 per MAC", row.input_gradient_macs),
        ("gradients of weights", "2 per MAC", of_weights),
        (_FAULT, "times the groups", (groups - 1) * of_weights),
    ):
        if macs:
            fault = what == _FAULT
            yield Amount(what, how, 2 * macs, fault, row.path, module_of(row.path))
