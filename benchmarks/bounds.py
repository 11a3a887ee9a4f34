"""Measured times beside bounds, of networks and of their layers, and which ranks layers better.

For each network of the catalog, and with --pytorchcv twenty of its networks: the whole beside its
bound, each layer alone beside its own, and the rank correlation (Spearman) of layers' times with
their bounds, and with their MACs. Beside it what torch.profiler says of one run, and DeepSpeed's
profiler where it is installed.

    python benchmarks/bounds.py [--pytorchcv] [NAME ...]
"""

from __future__ import annotations

import argparse
import importlib.util
from statistics import median
from typing import Any, cast

import torch
from tabulate import tabulate
from torch.profiler import ProfilerActivity, profile

import costlab
from costlab.models.reference import Run
from costlab.timing.result import Timed
from costlab.timing.subjects import ready, subject

TWENTY = (
    *("alexnet", "vgg11", "bninception", "resnet18", "resnet50", "preresnet18", "resnext50_32x4d"),
    *("seresnet50", "densenet121", "peleenet", "squeezenet_v1_1", "shufflenet_g1_w1"),
    *("shufflenetv2_w1", "menet108_8x1_g3", "mobilenet_w1", "mobilenetv2_w1", "mnasnet_b1"),
    *("mobilenetv3_large_w1", "efficientnet_b0", "inceptionv3"),
)
"""Networks of pytorchcv: one or two of each kind."""


def ranks(values: list[float]) -> list[float]:
    """The rank of each, equal ones in the middle."""
    ordered = sorted(values)
    places: dict[float, list[int]] = {}
    for place, value in enumerate(ordered):
        places.setdefault(value, []).append(place)
    return [sum(places[value]) / len(places[value]) for value in values]


def correlation(ours: list[float], theirs: list[float]) -> float:
    """Spearman's rank correlation."""
    a, b = ranks(ours), ranks(theirs)
    middle = (len(a) - 1) / 2
    products = sum((x - middle) * (y - middle) for x, y in zip(a, b, strict=True))
    squares = sum((x - middle) ** 2 for x in a) * sum((y - middle) ** 2 for y in b)
    return cast(float, products / squares**0.5) if squares else 0.0


def profiled(model: Any, size: tuple[int, ...] | None) -> float:
    """The milliseconds of operators in one run, as torch.profiler adds them up."""
    one = subject(model, size, Run(), "cpu")
    with ready([one]):
        one.run()
        with profile(activities=[ProfilerActivity.CPU]) as profiler:
            one.run()
    return sum(event.self_cpu_time_total for event in profiler.key_averages()) / 1e3


def deepspeed(model: Any, size: tuple[int, ...] | None) -> str:
    """The milliseconds of a run as DeepSpeed's profiler has it, if it is installed."""
    if importlib.util.find_spec("deepspeed") is None:
        return "not installed"
    from deepspeed.profiling.flops_profiler import FlopsProfiler

    one = subject(model, size, Run(), "cpu")
    with ready([one]):
        profiler = FlopsProfiler(one.module)
        profiler.start_profile()
        one.run()
        seconds = profiler.get_total_duration()
        profiler.end_profile()
    return f"{1e3 * seconds:.1f}"


def line(name: str, timed: Timed, by_profiler: float, by_deepspeed: str) -> list[Any]:
    """A network's line."""
    layers = [layer for layer in timed.layers if layer.bound.least]
    times = [layer.time.median for layer in layers]
    closest = min(layers, key=lambda layer: layer.factor)
    return [
        name,
        f"{1e3 * timed.time.median:.1f}",
        f"{1e3 * float(timed.bound.seconds):.1f}",
        f"{timed.factor:.2f}",
        by_profiler and f"{by_profiler:.1f}",
        by_deepspeed,
        len(layers),
        sum(layer.factor < 1 for layer in layers),
        f"{closest.factor:.2f} ({closest.path})",
        f"{correlation([float(layer.bound.seconds) for layer in layers], times):.2f}",
        f"{correlation([float(layer.bound.macs) for layer in layers], times):.2f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--pytorchcv", action="store_true")
    parser.add_argument("--limit", type=float, default=5.0, help="seconds for each network")
    args = parser.parse_args()
    torch.manual_seed(0)
    networks: dict[str, tuple[Any, tuple[int, ...] | None]] = {
        name: (name, None)
        for name in args.names or ([] if args.pytorchcv else costlab.architectures())
    }
    if args.pytorchcv:
        from pytorchcv.model_provider import get_model

        for name in TWENTY:
            size = (1, 3, 299, 299) if "inceptionv3" in name else (1, 3, 224, 224)
            networks[name] = (get_model(name).eval(), size)
    lines, notes = [], set[str]()
    for name, (model, size) in networks.items():
        timing = costlab.time(model, input_size=size, by_layer=True, limit=args.limit, on="cpu")
        lines.append(line(name, timing.timed[0], profiled(model, size), deepspeed(model, size)))
        notes.update(timing.notes[:1])
        print(tabulate(lines[-1:], tablefmt="plain"), flush=True)
    heads = [
        "network",
        "ms",
        "at least",
        "factor",
        "torch.profiler",
        "DeepSpeed",
        "layers",
        "below",
    ]
    heads += ["closest layer", "rank: bound", "rank: MACs"]
    print(tabulate(lines, heads, tablefmt="github", disable_numparse=True))
    for column, what in ((-2, "bounds"), (-1, "MACs")):
        print(
            f"median rank correlation of {what}: {median(float(row[column]) for row in lines):.2f}"
        )
    print(*sorted(notes), sep="\n")


if __name__ == "__main__":
    main()
