"""`costlab sweep` beside the same sweep by building modules and running fvcore or torch's counter.

    python benchmarks/sweep.py [--rounds 5]

Variants a second of processor time, of one core; those of processes are of a clock. The rivals
count a sample of the same grid, each variant built as an nn.Module, since all of it would take them
days. The second table is of networks as users bring them, costlab's rates without the first block,
in which they are followed; torch's own symbols beside it are FlopCounterMode under a ShapeEnv,
evaluated by numpy.
"""

from __future__ import annotations

import os
from copy import deepcopy
from itertools import islice
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np
from tabulate import tabulate
from timing import rounds

import costlab
from costlab.sweeps.files import Store
from costlab.sweeps.plan import Plan
from costlab.sweeps.request import Request
from costlab.sweeps.search import count_blocks, search
from costlab.sweeps.sweep import run_sweep

WIDTHS = {
    "c1": "16:128:8",
    "c3r": "16:192:8",
    "c3": "16:256:8",
    "c5r": "4:64:4",
    "c5": "8:128:8",
    "cp": "8:128:8",
}
SWEEPS: dict[str, tuple[str, dict[str, str], dict[str, Any]]] = {
    "reduced, six widths, --where": ("reduced", WIDTHS, {"where": "macs < 15e6"}),
    "reduced, six widths, --where --minimize": (
        "reduced",
        WIDTHS,
        {"where": "macs < 120e6 and params <= 160e3", "minimize": "macs"},
    ),
    "reduced, six widths, --pareto": ("reduced", WIDTHS, {"pareto": "macs,-params"}),
    "googlenet, width and resolution": (
        "googlenet",
        {"width": "0.01:2:0.01", "H=W": "96:480"},
        {"minimize": "macs"},
    ),
}
BLOCKS, SAMPLE = 64, 12
OF_MODULES = 2
"""Sizes of a module at which rivals count: some are above 1000×1000, and take them seconds."""
RIVALS = (("fvcore", "cpu"), ("flop_counter_mode", "meta"))


def rate(the_plan: Plan, times: int) -> float:
    """Variants a second of one core: the median of some runs over the grid's first blocks."""
    blocks = min(BLOCKS, the_plan.grid.blocks)
    count_blocks(the_plan, 0, 1)
    rates = []
    for _ in range(times):
        start = process_time()
        variants = count_blocks(the_plan, 0, blocks)[0].seen
        rates.append(variants / (process_time() - start))
    return median(rates)


def rival(
    the_plan: Plan, counter: str, device: str, channels: int = 0, sample: int = SAMPLE
) -> float:
    """Variants a second of building a module, unless there is one, and counting it."""
    import rivals  # here, and torch too: processes of a sweep load this file again
    import torch

    count = getattr(rivals, counter)
    numbers = np.arange(sample) * (the_plan.grid.size // sample)
    names = [name for axis in the_plan.axes for name in axis.names]
    rows = search(the_plan).rows(numbers)
    start = process_time()
    for i in range(sample):
        values = {name: rows[name][i].item() for name in names}
        deep = channels or int(rows["C"][i])
        size = (int(rows["N"][i]), deep, int(rows["H"][i]), int(rows["W"][i]))
        choices = {name: value for name, value in values.items() if name not in "NCHW"}
        with torch.device(device):
            model = the_plan.subject.model
            if isinstance(model, str):
                module = costlab.build(model, input_size=size, **choices).eval()
            else:
                module = deepcopy(model).to(device).eval()
            count(module, torch.zeros(size))
    return sample / (process_time() - start)


def symbolic(module: Any, channels: int, the_plan: Plan) -> tuple[float, float]:
    """Torch's counter on sizes that are symbols: seconds for its expression, variants a second.

    The expression is evaluated on arrays of the sweep's first variants.
    """
    import rivals
    import sympy

    hints = {"N": 2, "H": 320, "W": 352}
    own = deepcopy(module).to("meta").eval()
    start = process_time()
    flops: Any = rivals.with_symbols(own, ("N", channels, "H", "W"), (2, channels, 320, 352))
    followed = process_time() - start
    known = flops.node.shape_env.backed_var_to_val
    of_hint = {number: name for name, number in hints.items()}
    symbols = sorted(flops.node.expr.free_symbols, key=str)
    names = [of_hint[int(known[symbol])] for symbol in symbols]
    function = sympy.lambdify(
        symbols, flops.node.expr, [{"FloorDiv": lambda a, b: a // b}, "numpy"]
    )
    assert function(*(hints[name] for name in names)) == flops.node.hint
    count = min(the_plan.grid.size, 2**17)
    rows = search(the_plan).rows(np.arange(count))
    start = process_time()
    function(*(rows[name] for name in names))
    return followed, count / (process_time() - start)


def own_networks(times: int) -> list[list[str]]:
    """Sizes of modules: how long it takes to follow one, then variants a second."""
    lines = []
    for name in ("reduced", "googlenet", "inception-v3"):
        module = costlab.build(name)
        channels = costlab.architectures()[name].input[1]
        begin = process_time()
        the_plan = Request(
            module,
            {"N": "1:4", "H": "128:1127", "W": "128:1127"},
            minimize="macs",
            input_size=f"N,{channels},H,W",
        ).plan()
        count_blocks(the_plan, 0, 1)
        followed = process_time() - begin
        ours = rate(the_plan, times)
        others = [rival(the_plan, *how, channels, OF_MODULES) for how in RIVALS]
        by_torch, of_torch = symbolic(module, channels, the_plan)
        lines.append(
            [
                name,
                f"{the_plan.grid.size:,}",
                f"{followed:,.2f} s",
                f"{ours:,.0f}",
                f"{by_torch:,.2f} s",
                f"{of_torch:,.0f}",
                *(f"{other:,.1f} ({ours / other:,.0f}x)" for other in others),
            ]
        )
    return lines


def main() -> None:
    times = rounds(__doc__)
    lines = []
    for name, (model, vary, wanted) in SWEEPS.items():
        the_plan = Request(model, vary, **wanted).plan()
        ours = rate(the_plan, times)
        others = [rival(the_plan, *how) for how in RIVALS]
        lines.append(
            [
                name,
                f"{the_plan.grid.size:,}",
                f"{ours:,.0f}",
                *(f"{other:,.1f} ({ours / other:,.0f}x)" for other in others),
            ]
        )
    print("Variants a second and core")
    heads = ["sweep", "grid", "costlab", "build + fvcore", "build + torch on meta"]
    print(tabulate(lines, heads, disable_numparse=True, colalign=("left", *["right"] * 4)))

    print("\nSizes of a module")
    heads = ["module", "grid", "followed in", "costlab", "torch's symbols in", "variants/s"]
    heads += ["fvcore", "torch on meta"]
    lines = own_networks(times)
    print(tabulate(lines, heads, disable_numparse=True, colalign=("left", *["right"] * 7)))

    cores = len(os.sched_getaffinity(0))
    model, vary, wanted = SWEEPS["reduced, six widths, --where --minimize"]
    the_plan = Request(model, {**vary, "c1": "16:128", "c3r": "16:192:4"}, **wanted).plan()
    print(f"\nAll {the_plan.grid.size:,} variants, with the start of the processes")
    lines = []
    base = 0.0
    for workers in islice((n for n in (1, 2, 4, 8, 16, 32, 64) if n <= cores), 7):
        start = perf_counter()
        run_sweep(the_plan, Store(the_plan), workers)
        elapsed = perf_counter() - start
        base = base or elapsed
        per = the_plan.grid.size / elapsed
        lines.append([str(workers), f"{elapsed:.1f}", f"{per:,.0f}", f"{base / elapsed:.2f}"])
    print(tabulate(lines, ["workers", "s", "variants/s", "speed-up"], disable_numparse=True))


if __name__ == "__main__":
    main()
