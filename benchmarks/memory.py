"""How much longer than a table of costs the memory of a run and of a training step take.

A step is also set against a table with `training_cost`, which follows a step too.

The processor time of one process, the least of several calls that take turns; a first call of a
network is apart, since what torch has said of its operations is remembered.

    python benchmarks/memory.py
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

import costlab


def _took(calls: list[Callable[[], Any]], times: int) -> list[float]:
    """Milliseconds of each call, the least of several; they take turns."""
    took: list[list[float]] = [[] for _ in calls]
    for _ in range(times):
        for call, own in zip(calls, took, strict=True):
            start = time.process_time()
            call()
            own.append(1000 * (time.process_time() - start))
    return list(map(min, took))


def _networks() -> dict[str, tuple[nn.Module, Callable[[int], dict[str, Any]]]]:
    def image(batch: int) -> dict[str, Any]:
        return {"input_size": (batch, 3, 224, 224)}

    networks: dict[str, Any] = {
        name: (costlab.build(name, (1, 3, 224, 224)), image)
        for name in ("vgg16", "googlenet", "resnet50")
    }
    try:
        from transformers import BertConfig, BertModel, ViTConfig, ViTModel
    except ImportError:
        return networks
    networks["vit"] = ViTModel(ViTConfig()), image
    networks["bert"] = (
        BertModel(BertConfig()),
        lambda batch: {"input_size": (batch, 128), "input_type": "int64"},
    )
    return networks


def _ratios(
    module: nn.Module, given: dict[str, Any], times: int
) -> tuple[float, float, float, float]:
    """The milliseconds of a table, and how many times as long a run and a step take.

    A step of a table, and of one with the cost of training.
    """
    calls = [
        partial(costlab.analyze, module, **given),
        partial(costlab.analyze, module, training_cost=True, **given),
        partial(costlab.memory, module, **given),
        partial(costlab.memory, module, training=True, **given),
    ]
    table, training, run, step = _took(calls, times)
    return table, run / table, step / table, step / training


def main() -> None:
    networks = _networks()
    for module, given in networks.values():  # what is imported once
        _ratios(module, given(1), 1)
    print("network     table ms   run: first, again   step: first, again, of training's table")
    for name, (module, given) in networks.items():
        _, first_run, first_step, _ = _ratios(module, given(3), 1)
        table, run, step, of_training = _ratios(module, given(3), 9)
        print(
            f"{name:10} {table:9.1f} {first_run:11.1f} {run:6.1f} {first_step:13.1f} {step:6.1f} "
            f"{of_training:20.1f}"
        )


if __name__ == "__main__":
    main()
