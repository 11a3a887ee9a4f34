"""`costlab.analyze(module, input_size)` beside other counters and the bare forward pass on `meta`.

    python benchmarks/modules.py [--rounds 15]

Every contender has a module of its own, built beforehand. In each round it runs for some time: the
table is about its runs after the first. The first one finds the caches full of what the contenders
before it left there, such as the weights of a forward pass; it is in parentheses. A foreign figure
is printed as it is reported. The last lines are the time for each layer of deep models.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from statistics import median

import torch
from rivals import rivals
from timing import Contender, interleaved, repeated, rounds, table
from torch import Tensor, nn
from torch.nn import functional

import costlab

OURS, BARE = "costlab", "bare forward on meta"


class Layer(nn.Module):
    """One of a ViT's."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, length, width = x.shape
        qkv = self.qkv(self.norm1(x)).reshape(n, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        y = functional.scaled_dot_product_attention(*qkv.unbind(0))
        x = x + self.out(y.transpose(1, 2).reshape(n, length, width))
        return x + self.down(functional.gelu(self.up(self.norm2(x))))


class ViT(nn.Module):
    """Of the size of ViT-B/16."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 768, 16, 16)
        self.place = nn.Parameter(torch.zeros(1, 196, 768))
        self.layers = nn.Sequential(*(Layer(768, 12) for _ in range(12)))
        self.norm, self.head = nn.LayerNorm(768), nn.Linear(768, 1000)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2) + self.place
        head: Tensor = self.head(self.norm(self.layers(x)).mean(1))
        return head


def of_pytorchcv(name: str) -> nn.Module:
    from pytorchcv.model_provider import get_model

    module: nn.Module = get_model(name)
    return module


MODELS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "GoogLeNet": (partial(costlab.build, "googlenet", bn=True), 224),
    "Inception-v3": (partial(of_pytorchcv, "inceptionv3"), 299),
    "DenseNet-201": (partial(of_pytorchcv, "densenet201"), 224),
    "VGG-16": (partial(of_pytorchcv, "vgg16"), 224),
    "ViT-B/16": (ViT, 224),
}


def ours(module: nn.Module, size: int) -> int:
    return costlab.analyze(module, (1, 3, size, size)).total.macs


def bare(module: nn.Module, x: Tensor) -> object:
    with torch.no_grad():
        return module(x)


def measure(name: str, count: int) -> str:
    """Print one model's table; the ratios in a line."""
    make, size = MODELS[name]
    module, x = make().eval(), torch.zeros(1, 3, size, size)
    others = {
        **rivals(module, x),
        BARE: partial(bare, make().eval().to("meta"), x.to("meta")),
    }
    contenders = {
        OURS: Contender(partial(ours, module, size)),
        **{other: Contender(run) for other, run in others.items()},
    }
    with open(os.devnull, "w") as null, redirect_stdout(null), redirect_stderr(null):
        said = {
            other: "" if other == BARE else f"{contender.run():,}"
            for other, contender in contenders.items()
        }
        first, again = repeated(contenders, count)
    print(f"\n{name}, {count} rounds, {torch.get_num_threads()} threads\n")
    print(table(again, OURS, said, digits=2))
    counters = [other for other in others if other != BARE]
    fastest = min(counters, key=lambda other: median(again[other]))

    def faster(than: str) -> str:
        times, cold = (median(each[than]) / median(each[OURS]) for each in (again, first))
        return f"{times:.1f} ({cold:.1f}) times faster than {than}"

    return f"{name}: {faster(fastest)}, the fastest other counter; {faster(BARE)}"


def deep() -> None:
    """Microseconds for each layer of models of more and more layers."""
    for layers in (1250, 2500, 5000, 10_000):
        module = nn.Sequential(*(nn.Linear(4, 4) for _ in range(layers)))
        run = Contender(lambda module=module: costlab.analyze(module, (1, 4)).total)  # type: ignore[misc]
        times = interleaved({OURS: run}, 5)[OURS]
        print(f"{layers:6,} layers: {1000 * min(times) / layers:.1f} microseconds a layer")


def main() -> None:
    count = rounds(__doc__)
    warnings.simplefilter("ignore")
    lines = [measure(name, count) for name in MODELS]
    print("\nTarget: 5 times faster than any other counter, and faster than the bare forward pass.")
    print(*lines, sep="\n")
    deep()


if __name__ == "__main__":
    main()
