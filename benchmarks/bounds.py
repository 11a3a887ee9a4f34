"""Measured times beside bounds, of networks and of their layers, and which ranks layers better.

For each network of the catalog, and with --pytorchcv twenty of its networks: the whole beside its
bound, each layer alone beside its own, and the rank correlation (Spearman) of layers' times with
their bounds, and with their MACs. Beside it what torch.profiler says of one run, and DeepSpeed's
profiler where it is installed: of the whole, and of layers, how they rank them as the medians do,
and how far the middle half of their times is from the medians. ``--layers`` has each layer.

    python benchmarks/bounds.py [--pytorchcv] [--layers] [NAME ...]
"""

from __future__ import annotations

import argparse
import importlib.util
from statistics import median, quantiles
from typing import Any, NamedTuple, cast

import torch
from tabulate import tabulate
from torch import nn
from torch.profiler import ProfilerActivity, profile, record_function

import costlab
from costlab.models.reference import Run
from costlab.timing.subjects import Subject, ready, subject
from costlab.timing.timed import Timed

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


class Profile(NamedTuple):
    """What a profiler says of one run, in milliseconds: of all of it, and of layers by path."""

    total: float
    layers: dict[str, float]


def by_torch(one: Subject) -> Profile:
    """torch.profiler: its operators added up, and a range around each module without modules."""
    ranges: dict[str, Any] = {}

    def enter(path: str) -> None:
        ranges[path] = record_function(f"layer {path}").__enter__()

    def leave(path: str) -> None:
        ranges.pop(path).__exit__(None, None, None)

    hooks = []
    for path, module in leaves(one):
        hooks.append(module.register_forward_pre_hook(lambda *_, path=path: enter(path)))
        hooks.append(module.register_forward_hook(lambda *_, path=path: leave(path)))
    with ready([one]):
        one.run()
        with profile(activities=[ProfilerActivity.CPU]) as profiler:
            one.run()
    for hook in hooks:
        hook.remove()
    events = profiler.key_averages()
    layers = {
        event.key.removeprefix("layer "): event.cpu_time_total / event.count / 1e3
        for event in events
        if event.key.startswith("layer ")
    }
    operators = (event for event in events if not event.key.startswith("layer "))
    return Profile(sum(event.self_cpu_time_total for event in operators) / 1e3, layers)


def by_deepspeed(one: Subject) -> Profile | None:
    """DeepSpeed's profiler, if it is installed; of a module that ran twice its time is of both."""
    if importlib.util.find_spec("deepspeed") is None:
        return None
    from deepspeed.profiling.flops_profiler import FlopsProfiler
    from deepspeed.profiling.flops_profiler.profiler import get_module_duration

    with ready([one]):
        profiler = FlopsProfiler(one.module)
        profiler.start_profile()
        one.run()
        total = profiler.get_total_duration()
        layers = {path: 1e3 * get_module_duration(module) for path, module in leaves(one)}
        profiler.end_profile()
    return Profile(1e3 * total, layers)


def leaves(one: Subject) -> list[tuple[str, nn.Module]]:
    """The modules without modules in them, by path."""
    return [(path, m) for path, m in one.module.named_modules() if not any(m.children())]


def agreement(timed: Timed, profiled: Profile | None) -> str:
    """How a profiler ranks layers as the medians do, and the middle half of its times by theirs."""
    if profiled is None:
        return "not installed"
    both = [
        (profiled.layers[layer.path], 1e3 * layer.time.median)
        for layer in timed.layers
        if layer.bound.least and profiled.layers.get(layer.path)
    ]
    if len(both) < 2:
        return ""
    low, _, high = quantiles([theirs / ours for theirs, ours in both], n=4)
    rank = correlation([theirs for theirs, _ in both], [ours for _, ours in both])
    return f"{rank:.2f} ({low:.2f}–{high:.2f})"


def line(name: str, timed: Timed, profiles: list[Profile | None]) -> list[Any]:
    """A network's line."""
    layers = [layer for layer in timed.layers if layer.bound.least]
    times = [layer.time.median for layer in layers]
    closest = min(layers, key=lambda layer: layer.factor)
    return [
        name,
        f"{1e3 * timed.time.median:.1f}",
        f"{1e3 * float(timed.bound.seconds):.2f}",
        f"{timed.factor:.2f}",
        *("" if profiled is None else f"{profiled.total:.1f}" for profiled in profiles),
        len(layers),
        sum(layer.factor < 1 for layer in layers),
        f"{closest.factor:.2f} ({closest.path})",
        f"{correlation([float(layer.bound.seconds) for layer in layers], times):.2f}",
        f"{correlation([float(layer.bound.macs) for layer in layers], times):.2f}",
        *(agreement(timed, profiled) for profiled in profiles),
    ]


def layer_lines(timed: Timed, profiles: list[Profile | None]) -> list[list[str]]:
    """A line for each layer: its median alone, its bound, and what profilers say of one run."""
    return [
        [
            layer.path,
            f"{1e3 * layer.time.median:.3f}",
            f"{1e3 * float(layer.bound.seconds):.3f}",
            *(
                f"{profiled.layers[layer.path]:.3f}"
                if profiled and layer.path in profiled.layers
                else ""
                for profiled in profiles
            ),
        ]
        for layer in timed.layers
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--pytorchcv", action="store_true")
    parser.add_argument("--layers", action="store_true", help="print each layer too")
    parser.add_argument("--limit", type=float, default=5.0, help="seconds for each network")
    args = parser.parse_args()
    torch.manual_seed(0)
    networks: dict[str, tuple[Any, tuple[int, ...] | None]] = {}
    if args.pytorchcv:
        from pytorchcv.model_provider import get_model

        for name in args.names or TWENTY:
            size = (1, 3, 299, 299) if "inceptionv3" in name else (1, 3, 224, 224)
            networks[name] = (get_model(name).eval(), size)
    else:
        networks = {name: (name, None) for name in args.names or costlab.architectures()}
    lines, notes = [], set[str]()
    for name, (model, size) in networks.items():
        timing = costlab.time(model, input_size=size, by_layer=True, limit=args.limit, on="cpu")
        (timed,) = timing.timed
        one = subject(model, size, Run(), "cpu")
        profiles = [by_torch(one), by_deepspeed(one)]
        lines.append(line(name, timed, profiles))
        notes.update(timing.notes[:1])
        print(tabulate(lines[-1:], tablefmt="plain"), flush=True)
        if args.layers:
            columns = ["layer", "median", "at least", "torch.profiler", "DeepSpeed"]
            print(tabulate(layer_lines(timed, profiles), columns, disable_numparse=True))
    heads = [
        *("network", "ms", "at least", "factor", "torch.profiler", "DeepSpeed", "layers", "below"),
        *("closest layer", "rank: bound", "rank: MACs"),
        *("layers: torch.profiler", "layers: DeepSpeed"),
    ]
    print(tabulate(lines, heads, tablefmt="github", disable_numparse=True))
    for column, what in ((-4, "bounds"), (-3, "MACs")):
        print(
            f"median rank correlation of {what}: {median(float(row[column]) for row in lines):.2f}"
        )
    print(*sorted(notes), sep="\n")


if __name__ == "__main__":
    main()
