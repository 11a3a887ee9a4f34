# mypy: disable-error-code="func-returns-value, no-untyped-call"
"""Modules whose forward changes something that it can reach, by the name of what it changes."""

from __future__ import annotations

import decimal
import gc
import locale
import logging
import os
import random
import sys
import warnings
from array import array
from collections import ChainMap, Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache, partial
from io import BytesIO, StringIO
from queue import Queue
from threading import local
from types import SimpleNamespace
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules import module as hooks
from torch.nn.utils import parametrizations, parametrize

Change = Callable[[Any, Tensor], Any]

TABLE: dict[str, Any] = {"a": [1]}
NUMBERS = np.ones(2)
RATES = -torch.ones(6)
CALLS = 0
FIRST: Any


class Options:
    """Attributes that a forward sets, of a class that is none of a module."""

    calls: ClassVar[int] = 0
    seen: ClassVar[list[Any]] = []


def _remembers(x: Tensor, memory: list[Any] = []) -> None:  # noqa: B006
    memory.append(x)
    _remembers.last = x  # type: ignore[attr-defined]


def _sets_names(x: Tensor) -> None:
    global CALLS, FIRST  # noqa: PLW0603
    CALLS += 1
    FIRST = x
    TABLE["a"].append(x)
    TABLE["b"] = x
    NUMBERS[0] = 5
    RATES.add_(1)


@lru_cache
def _ones(size: int) -> Tensor:
    return torch.ones(size)


def _counting() -> Callable[..., None]:
    count, seen = 0, [1]

    def counts(*_: Any) -> None:
        nonlocal count
        count += 1
        seen.append(count)

    return counts


VARIABLE: ContextVar[int] = ContextVar("VARIABLE", default=1)


class Trait(nn.Module):
    """A module without effect on its input, that changes something when it runs."""

    total: ClassVar[int] = 0
    shared: ClassVar[list[Any]] = []
    made: ClassVar[Any] = None
    removed: ClassVar[int] = 1

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.linear = nn.Linear(6, 6)
        self.norm = nn.BatchNorm2d(4)
        self.embedding = nn.Embedding(5, 6, max_norm=0.1)
        self.normed = parametrizations.weight_norm(nn.Linear(6, 6))
        self.weight = nn.Parameter(-torch.ones(6))
        self.weight.tag = "mine"  # type: ignore[attr-defined]
        self.weight.grad = torch.ones(6)
        self.register_buffer("steps", torch.zeros(6))
        self.plain, self.mean, self.variance = -torch.ones(6), torch.zeros(4), torch.ones(4)
        self.count, self.log, self.table = 0, [1], {"a": 1}
        self.nested: Any = {"a": ([1], {"b": {2}}, frozenset((3,)))}
        self.tensors = ([-torch.ones(6)], {"a": -torch.ones(6)})
        self.ordered = OrderedDict(a=1, b=2)
        self.lists: defaultdict[str, list[Any]] = defaultdict(list, a=[1])
        self.seen, self.last = Counter("aab"), deque([1, 2], maxlen=2)
        self.names = {"a"}
        self.cache, self.slotted, self.space = Cache(), Slotted(), SimpleNamespace(count=0)
        self.sub, self.rows = Table(a=1), Rows([1])
        self.loop: list[Any] = []
        self.loop.append(self.loop)
        self.mode = torch.device("cpu")
        self.bytes, self.array, self.numbers = bytearray(b"ab"), array("f", [1.0]), np.ones(3)
        self.objects, self.whole = (
            np.array([[1], None], object),
            np.ma.masked_array([1, 2], [False, True]),
        )
        self.text, self.file = StringIO("ab"), BytesIO(b"ab")
        self.queue: Queue[Any] = Queue()
        self.weak: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
        self.chain, self.own = ChainMap({"a": 1}), local()
        self.weak[self.weight] = self.own.value = [1]
        self.counts, self.bound = _counting(), self.late
        self.part = partial(_counting(), self.log)
        self.linear.register_forward_hook(_counting())
        self.logger = logging.getLogger("a.logger")
        self.drawn = (
            *(torch.Generator(), random.Random(1), np.random.default_rng(1)),
            *(np.random.RandomState(1), np.random.MT19937(1)),
        )
        self.handle = self.linear.register_forward_hook(lambda *_: None)
        self.register_forward_pre_hook(lambda *_: None)

    def forward(self, x: Tensor) -> Tensor:
        TRAITS[self.name](self, x)
        return x

    def late(self, x: Tensor) -> None:
        """Reached by its name alone."""
        _sets_names(x)


class Cache:
    """As those of keys and values."""

    calls: ClassVar[int] = 0

    def __init__(self) -> None:
        self.keys, self.length = [torch.ones(1, 6)], 0


@dataclass(slots=True)
class Slotted:
    values: list[int] = field(default_factory=lambda: [1])
    tensor: Tensor | None = None


class Table(dict[str, Any]):
    pass


class Rows(list[Any]):
    pass


def _sets(home: Any, name: str, value: Any) -> Change:
    return lambda module, x: setattr(home, name, value)


def _cached(module: Any, x: Tensor) -> None:
    with parametrize.cached():
        module.normed(module.normed(x))


def _kept_open(module: Any, x: Tensor) -> None:
    def without_gradients() -> Iterator[None]:
        with torch.enable_grad():
            yield

    module.open = without_gradients()
    next(module.open)


def _renamed_class(module: Any, x: Tensor) -> None:
    module.__class__ = type("Another", (type(module),), {})


def _raises(error: BaseException) -> Change:
    def change(module: Any, x: Tensor) -> None:
        module.log.append(0)
        raise error

    return change


def _statistics(module: Any, x: Tensor) -> None:
    F.batch_norm(x, module.mean, module.variance, None, None, True)


def _drops(module: Any, x: Tensor) -> None:
    del module.weight, module.linear, type(module).removed


def _under_autocast(module: Any, x: Tensor) -> None:
    with torch.enable_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        module.linear(x)


TRAITS: dict[str, Change] = {
    "count": lambda m, x: setattr(m, "count", m.count + 1),
    "new attribute": lambda m, x: setattr(m, "new", x),
    "list": lambda m, x: m.log.append(x),
    "dict": lambda m, x: m.table.update(a=x, b=2),
    "nested": lambda m, x: (m.nested["a"][0].append(2), m.nested["a"][1]["b"].add(9)),
    "ordered": lambda m, x: (m.ordered.move_to_end("a"), m.ordered.update(c=x)),
    "ordered, popped": lambda m, x: m.ordered.popitem(last=False),
    "defaultdict": lambda m, x: m.lists["b"].append(x),
    "Counter": lambda m, x: m.seen.update("abc"),
    "deque": lambda m, x: (m.last.append(x), m.last.rotate(1)),
    "set": lambda m, x: (m.names.add("b"), m.names.discard("a")),
    "loop": lambda m, x: m.loop.append(1),
    "object": lambda m, x: (setattr(m.cache, "length", 9), m.cache.keys.append(x)),
    "slots": lambda m, x: (setattr(m.slotted, "tensor", x), m.slotted.values.append(2)),
    "namespace": lambda m, x: (setattr(m.space, "count", 1), setattr(m.space, "x", x)),
    "dict's subclass": lambda m, x: m.sub.update(a=x),
    "list's subclass": lambda m, x: m.rows.append(x),
    "class": lambda m, x: setattr(type(m), "total", type(m).total + 1),
    "class, tensor": lambda m, x: setattr(type(m), "made", torch.arange(4)),
    "class, new": lambda m, x: setattr(type(m), "brand_new", x),
    "class, list": lambda m, x: type(m).shared.append(x),
    "class of an object": lambda m, x: setattr(type(m.cache), "calls", 1),
    "deleted": _drops,
    "another class": _renamed_class,
    "tensor": lambda m, x: m.plain.add_(1),
    "tensor, inplace": lambda m, x: F.relu(m.plain, True),
    "tensors in tuples": lambda m, x: (
        m.tensors[0][0].add_(1),
        F.elu(m.tensors[1]["a"], 1.0, True),
    ),
    "tensor of an object": lambda m, x: m.cache.keys[0].mul_(2),
    "statistics": _statistics,
    "buffer": lambda m, x: m.steps.add_(1),
    "buffer, rebound": lambda m, x: setattr(m, "steps", m.steps + 1),
    "buffer, item": lambda m, x: m.steps.__setitem__(0, 5),
    "buffer, view": lambda m, x: m.steps.view(2, 3).add_(1),
    "buffer, out": lambda m, x: torch.add(m.plain, 1, out=m.steps),
    "weight": lambda m, x: m.weight.data.mul_(2),
    "weight, inplace": lambda m, x: nn.ReLU(inplace=True)(m.weight),
    "weight, leaky": lambda m, x: F.leaky_relu(m.weight, 0.1, True),
    "weight, dropout": lambda m, x: F.dropout(m.weight, 0.5, True, True),
    "weight, view": lambda m, x: F.hardtanh(m.weight.view(2, 3), inplace=True),
    "weight, data": lambda m, x: setattr(m.weight, "data", m.weight.data * 2),
    "weight, foreach": lambda m, x: torch._foreach_add_([m.weight.data], 1.0),
    "max_norm": lambda m, x: m.embedding(torch.tensor([1, 2])),
    "max_norm of a bag": lambda m, x: F.embedding_bag(
        torch.tensor([[1, 2]]), m.embedding.weight, max_norm=0.05
    ),
    "weight, set": lambda m, x: m.weight.set_(torch.ones(6)),
    "weight, set to another shape": lambda m, x: m.weight.data.set_(torch.ones(3)),
    "weight, swapped": lambda m, x: torch.utils.swap_tensors(m.weight, nn.Parameter(torch.ones(3))),
    "weight, new": lambda m, x: setattr(m, "weight", nn.Parameter(torch.ones(2))),
    "weight, tag": lambda m, x: (setattr(m.weight, "tag", x), setattr(m.weight, "other", 1)),
    "weight, frozen": lambda m, x: m.weight.requires_grad_(False),
    "weight, hook": lambda m, x: m.weight.register_hook(lambda grad: grad),
    "gradient": lambda m, x: m.weight.grad.add_(1),
    "gradient, gone": lambda m, x: m.zero_grad(),
    "types": lambda m, x: m.half().float(),
    "initialised": lambda m, x: m.linear.reset_parameters(),
    "mode": lambda m, x: (m.train(), m.linear.eval()),
    "hooks": lambda m, x: (m.linear.register_forward_hook(lambda *_: None), m.handle.remove()),
    "hooks of its own": lambda m, x: m.register_full_backward_hook(lambda *_: None),
    "global hook": lambda m, x: hooks.register_module_forward_hook(lambda *_: None),
    "global registration hook": lambda m, x: hooks.register_module_parameter_registration_hook(
        lambda *_: None
    ),
    "submodule": lambda m, x: setattr(m, "late", nn.ReLU()),
    "submodule, another": lambda m, x: setattr(m, "linear", nn.ReLU()),
    "forward": lambda m, x: setattr(m.linear, "forward", lambda x: x),
    "norm": lambda m, x: (m.norm.train(), m.norm(x), m.norm.reset_running_stats()),
    "parametrized": lambda m, x: m.normed(x),
    "parametrized, cached": _cached,
    "parametrized, newly": lambda m, x: parametrize.register_parametrization(
        m.linear, "weight", nn.Identity()
    ),
    "random numbers": lambda m, x: (torch.rand(3), random.gauss(0, 1), np.random.rand()),
    "seeds": lambda m, x: (torch.manual_seed(5), random.seed(3), np.random.seed(4)),
    "default dtype": lambda m, x: torch.set_default_dtype(torch.float64),
    "default device": lambda m, x: torch.set_default_device("meta"),
    "deterministic": lambda m, x: torch.use_deterministic_algorithms(True, warn_only=True),
    "uninitialized": _sets(torch.utils.deterministic, "fill_uninitialized_memory", False),
    "threads": lambda m, x: torch.set_num_threads(2),
    "precision": lambda m, x: torch.set_float32_matmul_precision("medium"),
    "cudnn": _sets(torch.backends.cudnn, "benchmark", True),
    "cudnn, tf32": _sets(torch.backends.cudnn, "allow_tf32", False),
    "matmul": _sets(torch.backends.cuda.matmul, "allow_fp16_reduced_precision_reduction", False),
    "mkldnn": lambda m, x: torch._C._set_mkldnn_enabled(False),
    "sdp": lambda m, x: torch.backends.cuda.enable_flash_sdp(False),
    "attention": lambda m, x: torch.backends.mha.set_fastpath_enabled(False),
    "print options": lambda m, x: torch.set_printoptions(precision=2),
    "warnings": lambda m, x: torch.set_warn_always(True),
    "swapping": lambda m, x: torch.__future__.set_swap_module_params_on_conversion(True),
    "autocast": lambda m, x: torch.set_autocast_enabled("cpu", True),
    "under autocast": _under_autocast,
    "gradients": lambda m, x: torch.set_grad_enabled(True),
    "gradients, kept open": _kept_open,
    "device, kept open": lambda m, x: m.mode.__enter__(),
    "collector": lambda m, x: gc.enable(),
    "collector, off": lambda m, x: gc.disable(),
    "collector's thresholds": lambda m, x: gc.set_threshold(5),
    "bytes": lambda m, x: m.bytes.extend(b"c"),
    "bytes, one": lambda m, x: m.bytes.__setitem__(0, 0),
    "array": lambda m, x: (m.array.append(2.0), m.array.__setitem__(0, float("nan"))),
    "numpy": lambda m, x: np.add(m.numbers, 1, out=m.numbers),
    "numpy, a view": lambda m, x: m.numbers[1:].fill(5),
    "numpy, objects": lambda m, x: (m.objects[0].append(2), m.objects.__setitem__(1, x)),
    "numpy, masked": lambda m, x: m.whole.__setitem__(0, np.ma.masked),
    "text": lambda m, x: print(x.shape, file=m.text),
    "file": lambda m, x: (m.file.write(b"more"), m.file.seek(1)),
    "queue": lambda m, x: m.queue.put(x),
    "chain": lambda m, x: m.chain.update(a=2, b=x),
    "thread's own": lambda m, x: (setattr(m.own, "x", x), m.own.value.append(2)),
    "weak": lambda m, x: m.weak.update({m.weight: 2, m.linear: 3}),
    "logger": lambda m, x: (m.logger.setLevel(1), m.logger.addHandler(logging.NullHandler())),
    "generator": lambda m, x: torch.rand(2, generator=m.drawn[0]),
    "generator of Python": lambda m, x: m.drawn[1].gauss(),
    "generator of numpy": lambda m, x: m.drawn[2].normal(),
    "generator of numpy, old": lambda m, x: m.drawn[3].normal(),
    "generator of numpy, bits": lambda m, x: m.drawn[4].random_raw(),
    "names": lambda m, x: _sets_names(x),
    "names, by a method": lambda m, x: m.late(x),
    "names, by a method that is held": lambda m, x: m.bound(x),
    "default": lambda m, x: _remembers(x),
    "class that is named": lambda m, x: (setattr(Options, "calls", 1), Options.seen.append(x)),
    "cache of a function": lambda m, x: _ones(3),
    "variable around": lambda m, x: m.counts(),
    "variable around, of a part": lambda m, x: m.part(),
    "variable around, of a hook": lambda m, x: m.linear(torch.ones(1, 6)),
    "environment": lambda m, x: (os.environ.update(A_NEW_ONE="1"), os.environ.pop("HOME", None)),
    "folder": lambda m, x: os.chdir("/"),
    "path": lambda m, x: sys.path.append("somewhere"),
    "path, another": lambda m, x: setattr(sys, "path", ["elsewhere"]),
    "streams": lambda m, x: (setattr(sys, "stdout", StringIO()), setattr(sys, "stderr", None)),
    "recursion": lambda m, x: sys.setrecursionlimit(5000),
    "locale": lambda m, x: locale.setlocale(locale.LC_ALL, "C"),
    "decimals": lambda m, x: (
        setattr(decimal.getcontext(), "prec", 3),
        decimal.Decimal(1) / decimal.Decimal(3),
    ),
    "decimals, traps": lambda m, x: decimal.getcontext().traps.update({decimal.Inexact: True}),
    "decimals, another": lambda m, x: decimal.setcontext(decimal.Context(prec=5)),
    "errors of numpy": lambda m, x: np.seterr(all="ignore"),
    "print options of numpy": lambda m, x: np.set_printoptions(precision=2),
    "variable": lambda m, x: VARIABLE.set(2),
    "filters": lambda m, x: warnings.simplefilter("error"),
    "filters, gone": lambda m, x: warnings.resetwarnings(),
    "filters, another": lambda m, x: setattr(warnings, "filters", []),
    "warnings, shown": lambda m, x: setattr(warnings, "showwarning", print),
    "root logger": lambda m, x: (logging.basicConfig(level=1), logging.getLogger().setLevel(5)),
    "invariants": lambda m, x: torch.sparse.check_sparse_tensor_invariants.enable(),
    "kernels of integers": _sets(torch.backends.quantized, "engine", "none"),
    "sdp, precision": lambda m, x: torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(True),
    "input": lambda m, x: x.add_(1),
    "raises": _raises(ValueError("no")),
    "interrupted": _raises(KeyboardInterrupt()),
    "exits": _raises(SystemExit(3)),
}
"""What a forward changes, by a name."""
