"""Sweeps of many small blocks that the tests of sweeps share."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from costlab.sweeps.files import Store
from costlab.sweeps.plan import Plan
from costlab.sweeps.request import Request
from costlab.sweeps.sweep import Sweep, counts, run_sweep

VARY = {"c3r": "16:128:4", "c3": "32:128:12", "c5r": "0:24:8", "c5": "8:64:8", "H=W": "7:14:7"}
WANTED: dict[str, dict[str, Any]] = {
    "all": {"where": "macs < 30e6 and c5r % 16 == 0"},
    "best": {"maximize": "macs / params", "top": 50, "where": "params < 9e4"},
    "front": {"pareto": "macs,-activations,params"},
}


def planned(kind: str, cells: int = 300) -> Plan:
    """A sweep of many small blocks."""
    whole = Request("reduced", VARY, **WANTED[kind]).plan()
    return replace(whole, block_size=cells)


def rows(the_plan: Plan, workers: int = 1, client: Any = None) -> Any:
    store = Store(the_plan)
    run_sweep(the_plan, store, workers, client, lambda _step: None)
    return Sweep(store).to_frame(), counts(store)
