"""`costlab.analyze("googlenet")` in process, beside other counters on the built module.

    python benchmarks/analyze.py [--rounds 15]

costlab starts from the name and reads every row's MACs and derivation: "first" builds the graph as
well, "again" finds it built, as the others find their module. A foreign figure is printed as it is
reported; FlopCounterMode gives two per MAC, and some count more than contractions, or less.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from copy import deepcopy
from functools import partial
from importlib import import_module
from statistics import median
from typing import Any

import torch
from fvcore.nn import FlopCountAnalysis
from timing import Contender, interleaved, rounds, table
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import costlab
from costlab.catalog import registry

MODEL = "googlenet"
FIRST, AGAIN = "costlab first", "costlab again"
Counter = Callable[[nn.Module, Tensor], object]


def ours() -> int:
    result = costlab.analyze(MODEL)
    for row in result.rows:
        _ = row.macs, row.derivation
    return result.total.macs


def fvcore(module: nn.Module, x: Tensor) -> object:
    analysis = FlopCountAnalysis(module, x).unsupported_ops_warnings(False)
    return analysis.uncalled_modules_warnings(False).total()


def flop_counter_mode(module: nn.Module, x: Tensor) -> object:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(x)
    return counter.get_total_flops()


def torchinfo(library: Any, module: nn.Module, x: Tensor) -> object:
    return library.summary(module, input_data=x, verbose=0).total_mult_adds


def ptflops(library: Any, module: nn.Module, x: Tensor, backend: str) -> object:
    return library.get_model_complexity_info(
        module,
        tuple(x.shape[1:]),
        as_strings=False,
        print_per_layer_stat=False,
        verbose=False,
        backend=backend,
    )[0]


def thop(library: Any, module: nn.Module, x: Tensor) -> object:
    return library.profile(module, inputs=(x,), verbose=False)[0]


OPTIONAL: dict[str, tuple[str, Callable[..., object]]] = {
    "torchinfo": ("torchinfo", torchinfo),
    "ptflops pytorch": ("ptflops", partial(ptflops, backend="pytorch")),
    "ptflops aten": ("ptflops", partial(ptflops, backend="aten")),
    "thop": ("thop", thop),
}


def rivals() -> Mapping[str, Callable[[], object]]:
    """The counters that are installed, each with a module of its own."""
    module = costlab.build(MODEL).eval()
    x = torch.zeros(1, 3, 224, 224)
    found: dict[str, Counter] = {"fvcore": fvcore, "torch": flop_counter_mode}
    missing = set()
    for name, (package, count) in OPTIONAL.items():
        try:
            found[name] = partial(count, import_module(package))
        except ImportError:
            missing.add(package)
    if missing:
        print(f"without {', '.join(sorted(missing))}: pip install -e '.[counters]'")
    bound = {name: partial(count, deepcopy(module), x) for name, count in found.items()}
    bound["torch on meta"] = partial(flop_counter_mode, deepcopy(module).to("meta"), x.to("meta"))
    return bound


def main() -> None:
    count = rounds(__doc__)
    warnings.simplefilter("ignore")
    others = rivals()
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
