"""Formulas of modules beside their traces, and beside torch's counter on sizes that are symbols.

    python benchmarks/formulas.py [--rounds 5] [--others]

Processor time, and how many times that of a trace at one size a formula takes: followed with
symbols, compared with the trace at the hint, and MACs written as an expression. ``--others`` runs
torch's route too: FlopCounterMode on fake tensors under a ShapeEnv. Beside it is what those take
that know no symbols, for each single size: fvcore, and torch's counter on ``meta``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from copy import deepcopy
from time import process_time

import rivals
import torch
from tabulate import tabulate
from torch import nn

import costlab

COUNTERS = (("fvcore", "cpu"), ("flop_counter_mode", "meta"))


class Deep(nn.Module):
    """As many layers as that, half of them convolutions."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        convolutions = [nn.Conv2d(8, 8, 3, padding=1) for _ in range(layers // 2)]
        for stride_two in convolutions[50::100]:
            stride_two.stride = (2, 2)
        self.layers = nn.ModuleList(convolutions)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = torch.relu(layer(x))
        return x


def networks() -> dict[str, tuple[nn.Module, tuple[int | str, ...], tuple[int, ...]]]:
    """Modules on ``meta``, sizes with names, and the same as numbers."""
    images: tuple[int | str, ...] = ("N", 3, "H", "W")
    with torch.device("meta"):
        known = {
            name: (costlab.build(name), images, (2, 3, 224, 224))
            for name in ("googlenet", "resnet50", "mobilenet-v1")
        }
        known["1,000 layers"] = (Deep(1000), ("N", 8, "H", "W"), (2, 8, 224, 224))
        layer = nn.TransformerEncoderLayer(256, 8, batch_first=True)
        known["12 layers of a transformer"] = (
            nn.TransformerEncoder(layer, 12, enable_nested_tensor=False),
            ("N", "T", 256),
            (2, 64, 256),
        )
    return known


def least(times: int, *runs: Callable[[], object]) -> list[float]:
    """Milliseconds of the fastest run of each; they take turns, so that other work slows all."""
    taken: list[list[float]] = [[] for _ in runs]
    for _ in range(times):
        for run, durations in zip(runs, taken, strict=True):
            start = process_time()
            run()
            durations.append(process_time() - start)
    return [1e3 * min(durations) for durations in taken]


def one_size(counter: str, device: str, module: nn.Module, numbers: tuple[int, ...]) -> float:
    """Milliseconds that another counter takes for one size."""
    own = deepcopy(module).to_empty(device=device)
    inputs = torch.zeros(numbers, device=device)
    return least(1, lambda: getattr(rivals, counter)(own, inputs))[0]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    parser.add_argument("--others", action="store_true", help="torch's route, and fvcore's too")
    given = parser.parse_args()
    rows = []
    for name, (module, names, numbers) in networks().items():
        module.eval()

        def trace(module: nn.Module = module, numbers: tuple[int, ...] = numbers) -> object:
            return costlab.analyze(module, numbers).total.macs

        def formula(module: nn.Module = module, names: tuple[int | str, ...] = names) -> object:
            return costlab.formula(module, input_size=names).macs

        formula()  # what is imported once
        traced, followed = least(given.rounds, trace, formula)
        row = [name, f"{traced:.0f}", f"{followed:.0f}", f"{followed / traced:.1f}"]
        if given.others:
            row += [f"{one_size(*how, module, numbers):,.0f}" for how in COUNTERS]
            start = process_time()
            try:
                rivals.with_symbols(module, names, numbers)
                row.append(f"{1e3 * (process_time() - start):,.0f}")
            except Exception as error:
                row.append(type(error).__name__)
        rows.append(row)
    headers = ["network", "trace, ms", "formula, ms", "times"]
    if given.others:
        headers += [*(f"{name} at a size, ms" for name, _ in COUNTERS), "torch with symbols, ms"]
    print(tabulate(rows, headers, disable_numparse=True))


if __name__ == "__main__":
    main()
