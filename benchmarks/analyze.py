"""`costlab.analyze("googlenet")` in process, beside other counters on the built module.

    python benchmarks/analyze.py [--rounds 15]

costlab starts from the name. "first" builds the graph as well, as the first call does; "again"
finds it built, as the others find their module. Both read every row's MACs and derivation.
"""

from __future__ import annotations

import argparse
import copy
import warnings
from collections.abc import Callable
from statistics import median

import torch
from fvcore.nn import FlopCountAnalysis
from timing import Contender, interleaved, nothing, report
from torch.utils.flop_counter import FlopCounterMode

import costlab
from costlab.catalog import registry

MODEL = "googlenet"


def ours() -> int:
    table = costlab.analyze(MODEL)
    for row in table.rows:
        _ = row.macs, row.derivation
    return table.total.macs


def rivals() -> dict[str, Callable[[], object]]:
    """The other counters that are installed, each with a module of its own."""
    built = costlab.build(MODEL).eval()
    shape = costlab.analyze(MODEL).graph.inputs[0]
    x = torch.zeros(shape)
    found: dict[str, Callable[[], object]] = {}

    def fvcore() -> object:
        analysis = FlopCountAnalysis(traced, x).unsupported_ops_warnings(False)
        return analysis.uncalled_modules_warnings(False).total()

    def torchs(module: torch.nn.Module, tensor: torch.Tensor) -> object:
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            module(tensor)
        return counter.get_total_flops()

    found["fvcore"] = fvcore
    traced, cpu, meta = (copy.deepcopy(built) for _ in range(3))
    meta.to("meta")
    found["torch"] = lambda: torchs(cpu, x)
    found["torch on meta"] = lambda: torchs(meta, x.to("meta"))
    try:
        import ptflops
        import thop
        import torchinfo
    except ImportError as missing:
        print(f"without {missing.name}: pip install -c constraints.txt -e '.[counters]'\n")
        return found
    for_info, for_thop, for_ptflops = (copy.deepcopy(built) for _ in range(3))
    found["torchinfo"] = lambda: torchinfo.summary(for_info, input_data=x, verbose=0)
    found["thop"] = lambda: thop.profile(for_thop, (x,), verbose=False)
    for backend in ("pytorch", "aten"):
        found[f"ptflops {backend}"] = lambda backend=backend: ptflops.get_model_complexity_info(
            for_ptflops,
            shape[1:],
            backend=backend,
            print_per_layer_stat=False,
            verbose=False,
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    warnings.simplefilter("ignore")
    contenders: dict[str, Contender] = {
        "costlab first": (registry.forget, ours),
        "costlab again": (ours, ours),
        **{name: (nothing, rival) for name, rival in rivals().items()},
    }
    times = interleaved(contenders, rounds)
    print(report(times, "costlab again"))
    fastest = min(median(runs) for name, runs in times.items() if not name.startswith("costlab"))
    for name in ("costlab first", "costlab again"):
        print(f"{name}: 1/{fastest / median(times[name]):.0f} of the fastest other (target: 1/50)")


if __name__ == "__main__":
    main()
