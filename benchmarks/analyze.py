"""`costlab.analyze("googlenet")` in process, beside other counters on the built module.

    python benchmarks/analyze.py [--rounds 15]

costlab starts from the name and reads every row's MACs and derivation: "first" builds the graph as
well, "again" finds it built, as the others find their module. A foreign figure is printed as it is
reported; FlopCounterMode gives two per MAC, and some count more than contractions, or less.
"""

from __future__ import annotations

import os
import warnings
from contextlib import redirect_stderr, redirect_stdout
from statistics import median

import torch
from rivals import rivals
from timing import Contender, interleaved, rounds, table

import costlab
from costlab.catalog import registry

MODEL = "googlenet"
FIRST, AGAIN = "costlab first", "costlab again"


def ours() -> int:
    result = costlab.analyze(MODEL)
    for row in result.rows:
        _ = row.macs, row.derivation
    return result.total.macs


def main() -> None:
    count = rounds(__doc__)
    warnings.simplefilter("ignore")
    others = rivals(costlab.build(MODEL).eval(), torch.zeros(1, 3, 224, 224))
    contenders = {
        FIRST: Contender(ours, prepare=registry.forget),
        AGAIN: Contender(ours, prepare=ours),
        **{name: Contender(run) for name, run in others.items()},
    }
    with open(os.devnull, "w") as null, redirect_stdout(null), redirect_stderr(null):
        said = {name: f"{contender.run():,}" for name, contender in contenders.items()}
        times = interleaved(contenders, count)
    print(f"{MODEL}, {count} rounds, {torch.get_num_threads()} threads\n")
    print(table(times, FIRST, said, digits=2))
    nearest = min(others, key=lambda name: median(times[name]))
    print("\nTarget: costlab takes less than 1/50 of each.")
    for name in (FIRST, AGAIN):
        ratio = median(times[nearest]) / median(times[name])
        print(f"{name}: 1/{ratio:.0f} of the fastest other, {nearest}")


if __name__ == "__main__":
    main()
