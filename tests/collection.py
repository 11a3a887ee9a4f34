"""Models of pytorchcv, counted by costlab, by torch, and by those who published their params.

All that it can build, some minutes: python tests/collection.py [NAME ...]
By fvcore too, which runs each of them: python tests/collection.py --fvcore [NAME ...]
A training step beside torch's counter through `backward`:
python tests/collection.py --training [NAME ...]
By all counters, in named terms, and costlab's own catalog too:
python tests/collection.py --reconcile [NAME ...]
"""

from __future__ import annotations

import csv
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from tracing import checked
from training import by_torch, step, with_torchs_fault

import costlab
from costlab.costs.table import costs

DATA = Path(__file__).parent / "data" / "imgclsmob.csv"
"""Params as the tables of https://github.com/osmr/imgclsmob print them."""

PRINTED_MORE = {
    "espnetv2_wd2": 240,
    "espnetv2_w1": 480,
    "espnetv2_w5d4": 608,
    "espnetv2_w3d2": 736,
    "espnetv2_w2": 992,
}
"""Params that the table prints and the modules that pytorchcv 0.0.67 builds do not have."""

SMALL = ("resnext50_32x4d", "squeezenet_v1_0", "shufflenet_g3_w1", "mobilenetv2_w1")
"""A few that are fast to count: plain, grouped and depthwise."""

REPRESENTATIVE = [
    "alexnet",
    "vgg16",
    "bninception",
    "resnet50b",
    "resnext50_32x4d",
    "seresnet50",
    "densenet121",
    "dpn68",
    "squeezenet_v1_0",
    "shufflenet_g3_w1",
    "shufflenetv2_w1",
    "mobilenetv2_w1",
    "mobilenetv3_large_w1",
    "efficientnet_b0",
    "nasnet_4a1056",
    "inceptionv4",
    "xception",
    "hrnet_w18_small_v1",
    "condensenet74_c4_g4",
    "espnetv2_wd2",
]


@dataclass(frozen=True)
class Counted:
    """What three counts say of one model."""

    name: str
    published: int
    params: int
    registered: int
    macs: int
    torch: int
    uncounted: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        """All of them to the unit, but for what the table is known to print wrongly."""
        published = self.published - PRINTED_MORE.get(self.name, 0)
        return published == self.params == self.registered and self.macs == self.torch


def published() -> dict[str, int]:
    """Params by pytorchcv's name."""
    with DATA.open(encoding="utf-8") as file:
        return {row["pytorchcv"]: int(row["params"]) for row in csv.DictReader(file)}


def built(name: str) -> nn.Module:
    """The model on ``meta``: shapes, and no weights."""
    from pytorchcv.model_provider import get_model

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        numpy: Any = np
        if not hasattr(numpy, "int"):
            numpy.int = int  # what pytorchcv 0.0.67 calls, and numpy has dropped
        with torch.device("meta"):
            model: nn.Module = get_model(name)
    return model.eval()


def size(model: Any) -> tuple[int, int, int, int]:
    """The input that a model is made for."""
    return (1, getattr(model, "in_channels", 3), *getattr(model, "in_size", (224, 224)))


def counted(name: str) -> Counted:
    """Count one model, by shapes alone, each of which is compared with torch's own."""
    model = built(name)
    table = costs(checked(model, size(model)))
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        model(torch.empty(size(model), device="meta"))
    flops = counter.get_total_flops()
    assert flops % 2 == 0
    unread = sum(count for _, count in table.graph.unused)
    return Counted(
        name,
        published()[name],
        table.total.params + unread,
        sum(parameter.numel() for parameter in model.parameters()),
        table.total.macs,
        flops // 2,
        tuple(sorted({row.label for row in table.uncounted})),
    )


def filled(name: str) -> nn.Module:
    """The model with zeros."""
    module = built(name).to_empty(device="cpu")
    with torch.no_grad():
        for tensor in (*module.parameters(), *module.buffers()):
            tensor.zero_()
    return module


def by_fvcore(name: str) -> list[str]:
    """The layers on which fvcore does not agree, with its reason or ours."""
    module = filled(name)
    check = costlab.crosscheck(module, size(module), counters=["fvcore"])
    return [
        f"{row.path}: {row.verdict}, {row.because}"
        for row in check.rows
        if row.ours and row.verdict != "agrees"
    ]


def left_over(found: costlab.Reconciliation) -> dict[str, int | str]:
    """What is not explained of a counter's total, its params, or why it says nothing."""
    left: dict[str, int | str] = {}
    for account in found.accounts:
        left[account.counter] = account.residual or account.problem
        left[f"{account.counter} params"] = account.params_residual
    return {what: value for what, value in left.items() if value}


RAISES = {
    "torchprofile": (
        "it failed with AssertionError",  # attention whose keys or values are broadcast
        "it failed with RuntimeError: Unsupported value kind: Tensor",  # sparse ones
    ),
    "torchlens": ("it failed with InvalidArgumentError: Layer 'input_",),  # inputs used alike
}
"""Why counters raise for what they do not know, as docs/reconcile.md says."""


def unexplained(found: costlab.Reconciliation) -> dict[str, int | str]:
    """What is left over of the counters that are installed, and that count such modules."""
    return {
        what: value
        for what, value in left_over(found).items()
        if not str(value).startswith("not installed")
        and not str(value).startswith(RAISES.get(what, ()))
    }


def catalog() -> list[str]:
    """Every architecture of costlab's, and each of its variants."""
    return [
        model
        for name, architecture in costlab.architectures().items()
        for model in (
            name,
            *(
                f"{name}({choice}={word!r})"
                for choice, words in architecture.variants.items()
                for word in words
            ),
        )
    ]


def reconciled(names: list[str]) -> int:
    """Print what is not explained of each model, and of how many nothing is."""
    own, explained = catalog(), 0
    for name in names or [*own, *published()]:
        try:
            if name in own:
                found = costlab.reconcile(name)
            else:
                module = filled(name)
                found = costlab.reconcile(module, input_size=size(module))
            left = left_over(found)
        except Exception as error:
            left = {type(error).__name__: str(error)[:200]}
        explained += not left
        print(f"{name}: {left or 'explained'}", flush=True)
    print(f"every unit of every counter is explained of {explained} models")
    return 0 if explained == len(names or [*own, *published()]) else 1


def with_fvcore(names: list[str]) -> int:
    """Print the models on which fvcore does not agree in each layer, and how many it does on."""
    agreed = 0
    for name in names:
        try:
            left = by_fvcore(name)
        except Exception as error:
            left = [f"{type(error).__name__}: {str(error)[:200]}"]
        agreed += not left
        if left:
            print(f"{name}: {len(left)} layers, first {left[0]}", flush=True)
    print(f"fvcore agrees on every contraction of {agreed} of {len(names)}")
    return 0 if agreed == len(names) else 1


def through_backward(names: list[str]) -> int:
    """Print the models whose training step is not what torch counts, and of how many it is."""
    agreed = 0
    for name in names:
        try:
            module = built(name).train()
            images = torch.empty(2, *size(module)[1:], device="meta")
            ours, theirs = with_torchs_fault(step(module, images)), by_torch(module, images)
        except Exception as error:
            print(f"{name}: {type(error).__name__}: {str(error)[:200]}", flush=True)
            continue
        agreed += ours == theirs
        if ours != theirs:
            print(f"{name}: {ours:,} MACs, torch {theirs:,}", flush=True)
    print(f"torch's counter, less its fault of groups, agrees on {agreed} of {len(names)}")
    return 0 if agreed == len(names) else 1


def main(names: list[str]) -> int:
    """Print each model that differs, and how many agree."""
    if names[:1] == ["--fvcore"]:
        return with_fvcore(names[1:] or list(published()))
    if names[:1] == ["--training"]:
        return through_backward(names[1:] or list(published()))
    if names[:1] == ["--reconcile"]:
        return reconciled(names[1:])
    agreed, failed = 0, []
    for name in names or published():
        try:
            result = counted(name)
        except Exception as error:
            failed.append(f"{name}: {type(error).__name__}: {str(error)[:200]}")
            continue
        agreed += result.agrees
        if not result.agrees or result.uncounted:
            print(result, flush=True)
    print(f"{agreed} of {len(names or published())} agree to the unit")
    print(*failed, sep="\n")
    return 0 if agreed == len(names or published()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
