"""A cross-check as a picture: what each counter has of each stage, beside what we have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from costlab import formatting
from costlab.graph.paths import truncated
from costlab.render.verdict_plots import AGREEMENTS, OURS, Agreement, Side, Stage

if TYPE_CHECKING:
    from costlab.checks.verdicts import Check, CrossCheck

MOST_STAGES = 40
"""More of them are no picture: those on which all agree are then one line."""

_HEADS = {"macs": "MACs", "params": "params", "output": "output shapes"}


def agreement(crossed: CrossCheck) -> Agreement:
    """The stages with MACs or params, and others where not all agree; the rest is one line."""
    order = {row.path: number for number, row in enumerate(crossed.table.rows)}
    compared = [check for check in crossed.rows if check.ours or check.theirs]
    compared.sort(key=lambda check: order[check.path])
    stages = _stages(compared)
    columns: list[tuple[str, str]] = []
    for quantity in _HEADS:
        counters = dict.fromkeys(check.counter for check in compared if check.quantity == quantity)
        columns += [(who, quantity) for who in (OURS, *counters) if counters]
    differing = [name for name, checks in stages.items() if not _agrees(checks)]
    shown = [name for name, checks in stages.items() if name in differing or _large(checks)]
    if len(shown) > MOST_STAGES:
        shown = differing[:MOST_STAGES] or shown[:MOST_STAGES]
    sides = {name: [_side(stages[name], *column) for column in columns] for name in shown}
    lines = [Stage(name, tuple(sides[name])) for name in shown]
    others = [check for name, checks in stages.items() if name not in shown for check in checks]
    if others:
        left = formatting.plural(len(stages) - len(shown), "more stage")
        label = f"{left}, all agree" if _agrees(others) else left
        sums = (_side(others, *column)._replace(parts=()) for column in columns)
        lines.append(Stage(label, tuple(sums)))
    heads = ((AGREEMENTS[OURS][1] if who == OURS else who, _HEADS[what]) for who, what in columns)
    return Agreement(f"{crossed.table.model} by stage", tuple(heads), tuple(lines))


def _stages(checks: list[Check]) -> dict[str, list[Check]]:
    """The checks by the outermost scopes of which there are several, or by layers."""
    deepest = max((check.path.count(".") + 1 for check in checks), default=1)
    stages: dict[str, list[Check]] = {}
    for depth in range(1, deepest + 1):
        stages = {}
        for check in checks:
            stages.setdefault(truncated(check.path, depth), []).append(check)
        if len(stages) > 1:
            break
    return stages


def _agrees(checks: Iterable[Check]) -> bool:
    return all(check.verdict == "agrees" for check in checks)


def _large(checks: Iterable[Check]) -> bool:
    """Whether it has more than output shapes."""
    return any(check.quantity != "output" for check in checks)


def _side(checks: Iterable[Check], who: str, what: str) -> Side:
    """What we or a counter have of a stage; of output shapes, how many there are."""
    here = [check for check in checks if check.quantity == what and who in (OURS, check.counter)]
    if not here:
        return Side()
    if who == OURS:
        amount = sum({check.path: _amount(check, of_ours=True) for check in here}.values())
        return Side(((OURS, amount),), formatting.scaled(amount))
    amounts = dict.fromkeys(AGREEMENTS, 0)
    numbers = Counter[str](check.verdict for check in here)
    for check in here:
        amounts[check.verdict] += _amount(check, of_ours=check.verdict == "not covered")
    signs = []
    for verdict, (sign, _) in AGREEMENTS.items():
        if numbers[verdict] == len(here):
            signs.append(sign)
        elif numbers[verdict] and verdict != "agrees":
            signs.append(f"{sign} {numbers[verdict]} of {len(here)}")
    counted = sum(amounts.values()) - amounts["not covered"]
    parts = tuple((verdict, amount) for verdict, amount in amounts.items() if amount)
    return Side(parts, " ".join([formatting.scaled(counted), *signs]))


def _amount(check: Check, of_ours: bool) -> int:
    if check.quantity == "output":
        return 1
    return int((check.ours if of_ours else check.theirs) or 0)
