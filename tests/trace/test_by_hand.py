"""Modules as people write them: on shapes and real, three times, as torch's own counter counts."""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize
from torch.utils.flop_counter import FlopCounterMode

import costlab

pytestmark = pytest.mark.filterwarnings("ignore")  # of torch

ANGLES: dict[tuple[int, int], Tensor] = {}


def cosines(length: int, width: int) -> Tensor:
    if (length, width) not in ANGLES:
        rates = 1 / 10000 ** (torch.arange(0, width, 2).float() / width)
        ANGLES[length, width] = torch.outer(torch.arange(length).float(), rates).cos()
    return ANGLES[length, width]


class Cached(nn.Module):
    """Attention whose keys and values stay for the next call."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.kv = nn.Linear(8, 8), nn.Linear(8, 16)
        self.cache: Any = None

    def forward(self, x: Tensor) -> Any:
        q, (k, v) = self.q(x), self.kv(x).chunk(2, -1)
        if self.cache is not None:
            k, v = torch.cat([self.cache[0], k], 1), torch.cat([self.cache[1], v], 1)
        self.cache = (k, v)
        return (q @ k.mT / math.sqrt(8)).softmax(-1) @ v


class Turned(nn.Module):
    """Positions that a table beside the class keeps."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        y, c = self.linear(x), cosines(x.shape[1], 8)
        y = torch.cat([y[..., ::2] * c, y[..., 1::2] * c], -1)
        return y @ y.mT


@dataclass
class Features:
    whole: Tensor
    heads: dict[str, Tensor]
    number: int = 0


class Heads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3)
        self.heads = nn.ModuleDict({"a": nn.Conv2d(8, 4, 1), "b": nn.Conv2d(8, 2, 3, groups=2)})

    def forward(self, x: Tensor) -> Features:
        f = self.stem(x).relu()
        return Features(f, {name: head(f) for name, head in self.heads.items()}, len(self.heads))


class Hooked(nn.Module):
    """Hooks that give something else: twice as many rows, and a projection of them."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.projection = nn.Linear(8, 8), nn.Linear(8, 4)
        self.linear.register_forward_hook(lambda module, args, y: self.projection(y))
        self.linear.register_forward_pre_hook(lambda module, args: torch.cat([*args, *args]))

    def forward(self, x: Tensor) -> Any:
        return self.linear(x)


class Symmetric(nn.Module):
    def forward(self, w: Tensor) -> Tensor:
        return w.triu() + w.triu(1).mT


class LowRank(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.u, self.v = nn.Parameter(torch.randn(8, 2)), nn.Parameter(torch.randn(2, 8))

    def forward(self, w: Tensor) -> Tensor:
        return w + self.u @ self.v


class Parametrized(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)
        parametrize.register_parametrization(self.linear, "weight", Symmetric())
        parametrize.register_parametrization(self.linear, "weight", LowRank())

    def forward(self, x: Tensor) -> Any:
        return self.linear(self.linear(x))


class Queue(nn.Module):
    """Negatives that a buffer keeps, filled where another buffer says."""

    queue: Tensor
    place: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(8, 4)
        self.register_buffer("queue", torch.randn(4, 16))
        self.register_buffer("place", torch.zeros(1, dtype=torch.long))

    def forward(self, x: Tensor) -> Tensor:
        z, here = F.normalize(self.encoder(x), dim=1), int(self.place)
        scores = z @ self.queue.clone()
        self.queue[:, here : here + len(x)] = z.T.detach()
        self.place[0] = (here + len(x)) % 16
        return scores


class Positions(nn.Module):
    """Of numpy, which no tensor gave."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Any:
        places = np.arange(x.shape[1])[:, None] / 10000 ** (np.arange(8) / 8)
        return self.linear(x + torch.from_numpy(np.sin(places)).float())


class Tries(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wide, self.narrow = nn.Linear(16, 8), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Any:
        try:
            x = x @ x.view(3, -1)
        except RuntimeError:
            x = self.narrow(x)
        try:
            return self.wide(x)
        except RuntimeError:
            return self.wide(torch.cat([x, x], -1))


class Compiled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        inner = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))
        self.inner: Any = torch.compile(inner)
        self.outer = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Any:
        return self.outer(self.inner(x)) + self.inner(x)


class Signs(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor) -> Tensor:
        return x.sign() @ w.sign().T


class Binary(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(6, 8))

    def forward(self, x: Tensor) -> Any:
        return Signs.apply(x, self.weight)  # type: ignore[no-untyped-call]


class Shared(nn.Module):
    """Two stages of one block."""

    def __init__(self) -> None:
        super().__init__()
        block = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU())
        self.stages = nn.Sequential(
            nn.Sequential(block, nn.MaxPool2d(2)), nn.Sequential(block, block)
        )

    def forward(self, x: Tensor) -> Any:
        return self.stages(x)


class Several(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(8, 4) for _ in range(3))

    def forward(self, *each: Tensor, scale: float = 1.0, **more: Any) -> Any:
        return sum(f(x) for f, x in zip(self.layers, each, strict=True)) * scale


class Batch(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, batch: dict[str, Any], times: int = 2, mode: str = "a") -> Any:
        x = batch["x"]
        for _ in range(times):
            x = self.linear(x)
        return x if mode == "a" else x @ x.mT


class Yields(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(8, 8) for _ in range(3))

    def forward(self, x: Tensor) -> Iterator[Tensor]:
        for layer in self.layers:
            yield (x := layer(x))


class Experts(nn.Module):
    """By ids that are given."""

    def __init__(self) -> None:
        super().__init__()
        self.experts = nn.ModuleList(nn.Linear(8, 8) for _ in range(2))

    def forward(self, x: Tensor, ids: Tensor) -> Tensor:
        out = torch.zeros_like(x)
        for number, expert in enumerate(self.experts):
            rows = (ids == number).nonzero().squeeze(1)
            out.index_add_(0, rows, expert(x[rows]))
        return out


class Counts(nn.Module):
    step: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.calls = nn.Linear(8, 8), 0
        self.register_buffer("step", torch.tensor(0))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.step += 1
        for _ in range(self.calls + int(self.step)):
            x = self.linear(x)
        return x


class Kept(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)

    @functools.cached_property
    def mask(self) -> Tensor:
        return torch.ones(4, 4).tril()

    @functools.lru_cache  # noqa: B019
    def scale(self, width: int) -> Tensor:
        return torch.full((width,), 2.0)

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            y: Tensor = self.linear(x)
            return (self.mask @ y) * self.scale(8)


X = torch.rand(2, 8)
ROWS = torch.rand(2, 4, 8)
MODULES: dict[str, tuple[type[nn.Module], tuple[Any, ...], dict[str, Any]]] = {
    "a cache": (Cached, (ROWS,), {}),
    "a table beside the class": (Turned, (ROWS,), {}),
    "a dataclass": (Heads, (torch.rand(1, 3, 8, 8),), {}),
    "hooks that give": (Hooked, (X,), {}),
    "parametrizations": (Parametrized, (X,), {}),
    "a queue": (Queue, (X,), {}),
    "numpy": (Positions, (ROWS,), {}),
    "what is tried": (Tries, (X,), {}),
    "compiled submodules": (Compiled, (X,), {}),
    "a function of autograd": (Binary, (X,), {}),
    "shared stages": (Shared, (torch.rand(1, 4, 8, 8),), {}),
    "several inputs": (Several, (X, X, torch.rand(3, 2, 8)), {"scale": 2.0}),
    "inputs of other kinds": (Batch, ({"x": ROWS, "id": "s"},), {"times": 3, "mode": "b"}),
    "a generator": (Yields, (X,), {}),
    "experts": (Experts, (torch.rand(6, 8), torch.tensor([0, 0, 1, 1, 1, 0])), {}),
    "counters": (Counts, (X,), {}),
    "what is kept": (Kept, (ROWS,), {}),
}


@pytest.mark.parametrize("name", MODULES)
def test_it_costs_what_torch_counts_and_the_same_each_time(name: str) -> None:
    kind, args, kwargs = MODULES[name]
    module = kind()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        given = copy.deepcopy(module)(*args, **kwargs)
        if isinstance(given, Iterator):
            list(given)
    params = sum(p.numel() for p in module.parameters())
    expected = {(counter.get_total_flops() // 2, params, True)}
    totals = {
        (table.total.macs, table.total.params, table.complete)
        for real in (False, True)
        for _ in range(3)
        for table in [costlab.analyze(module, inputs=args, kwargs=kwargs, real=real)]
    }
    assert totals == expected


def test_a_nested_tensor_that_forward_makes_is_followed_on_shapes_only() -> None:
    class Nested(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(8, 4)

        def forward(self, x: Tensor) -> Any:
            rows = torch.nested.nested_tensor([x[0, :2], x[1, :3]], layout=torch.jagged)
            return self.linear(rows).values()

    assert costlab.analyze(Nested(), inputs=ROWS).total.macs == 5 * 8 * 4
    with pytest.raises(costlab.TraceError, match="makes a nested tensor, which is followed on"):
        costlab.analyze(Nested(), inputs=ROWS, real=True)
