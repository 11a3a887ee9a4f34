# mypy: disable-error-code="func-returns-value, no-untyped-call"
"""Random modules whose forward changes what it can reach, and all that should be as it was.

    python tests/isolation/random_modules.py [--modules 1000] [--first 0]

follows each on shapes and on real tensors, in evaluation and in training mode, and prints what is
not what it was.
"""

from __future__ import annotations

import argparse
import gc
import random
import sys
import warnings
from collections import Counter, OrderedDict, UserDict, defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules import module as hooks
from torch.nn.utils import parametrizations, parametrize

import costlab
from costlab.isolation.torch_globals import _SETTINGS

Change = Callable[[Any, Tensor], Any]


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
        self.handle = self.linear.register_forward_hook(lambda *_: None)
        self.register_forward_pre_hook(lambda *_: None)

    def forward(self, x: Tensor) -> Tensor:
        TRAITS[self.name](self, x)
        return x


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
    "input": lambda m, x: x.add_(1),
    "raises": _raises(ValueError("no")),
    "interrupted": _raises(KeyboardInterrupt()),
    "exits": _raises(SystemExit(3)),
}
"""What a forward changes, by a name."""

LEAVES: list[Callable[[], nn.Module]] = [
    lambda: nn.Conv2d(4, 4, 3, padding=1),
    lambda: nn.BatchNorm2d(4),
    lambda: nn.InstanceNorm2d(4, affine=True, track_running_stats=True),
    lambda: nn.ReLU(inplace=True),
    nn.RReLU,
    nn.Dropout,
    lambda: nn.Linear(6, 6),
    lambda: nn.PReLU(4),
    lambda: nn.MaxPool2d(3, 1, 1),
]


class Residual(nn.Module):
    def __init__(self, *parts: nn.Module) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, x: Tensor, state: Any = None) -> Tensor:
        if isinstance(state, Cache):  # an input
            state.keys.append(state.keys[0].mul_(2))
            state.length += 1
        elif isinstance(state, UserDict):
            state["more"] = x
        for part in self.parts:
            x = x + part(x)
        return x


def module(draw: random.Random, *names: str) -> Residual:
    """These traits, or some that are drawn, and some modules of torch between them."""
    names = names or tuple(draw.sample(list(TRAITS), draw.randint(1, 4)))
    parts: list[nn.Module] = [Trait(name) for name in names]
    parts += [draw.choice(LEAVES)() for _ in range(draw.randint(0, 4))]
    draw.shuffle(parts)
    result = Residual(*parts, Residual(draw.choice(parts)), nn.Sequential(draw.choice(LEAVES)()))
    for each in result.modules():
        if draw.random() < 0.2:
            each.training = not each.training
    return result


def state(*values: Any) -> dict[str, Any]:
    """All that values hold, and what is outside of them."""
    found: dict[str, Any] = {
        "torch's generator": torch.get_rng_state().numpy().tobytes(),
        "python's generator": random.getstate(),
        "numpy's generator": str(np.random.get_state()),
        "collector": (gc.isenabled(), gc.get_threshold()),
        "modes": torch._C._len_torch_function_stack(),
        "parametrize": (parametrize._cache, parametrize._cache_enabled),
    }
    found |= {f"setting {i}": repr(get()) for i, (get, _) in enumerate(_SETTINGS)}
    for name, each in vars(hooks).items():
        if name.startswith("_global_"):
            _note(name, each, found, set())
    known: set[int] = set()
    for number, value in enumerate(values):
        _note(f"{number}", value, found, known)
    return found


def _note(path: str, value: Any, found: dict[str, Any], known: set[int]) -> None:
    if isinstance(value, (int, float, str, bytes, type(None))):
        found[path] = value
        return
    found[path] = (type(value), id(value))
    if id(value) in known:
        return
    known.add(id(value))
    if isinstance(value, Tensor):
        _note_tensor(path, value, found, known)
    inside = _items(value)
    found[f"{path}: names"] = [str(name) for name, _ in inside]
    if isinstance(value, OrderedDict):
        found[f"{path}: reversed"] = list(map(str, reversed(value)))
    if type(value).__module__ == __name__:
        for name, each in vars(type(value)).items():
            if not name.startswith("__"):
                _note(f"{type(value).__name__}.{name}", each, found, known)
        found[f"{type(value).__name__}: names"] = sorted(vars(type(value)))
    for name, each in inside:
        _note(f"{path}.{name}", each, found, known)


def _note_tensor(path: str, tensor: Tensor, found: dict[str, Any], known: set[int]) -> None:
    data = b"" if tensor.device.type == "meta" else tensor.detach().numpy().tobytes()
    found[f"{path}: tensor"] = (
        *(tensor.shape, tensor.dtype, tensor.device, tensor.requires_grad, tensor._version, data),
        *(tensor.data_ptr(), tensor._backward_hooks),
    )
    if tensor.is_leaf:
        _note(f"{path}.grad", tensor.grad, found, known)


def _items(value: Any) -> list[tuple[Any, Any]]:
    """What an object holds, by names."""
    items: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        items += value.items()
    elif isinstance(value, (list, tuple, deque)):
        items += enumerate(value)
    elif isinstance(value, (set, frozenset)):
        items += [(repr(each), each) for each in sorted(value, key=repr)]
    opened = (nn.Module, nn.Parameter, SimpleNamespace, UserDict)
    if isinstance(value, opened) or type(value).__module__ == __name__:
        items += getattr(value, "__dict__", {}).items()
        items += [(slot, getattr(value, slot)) for slot in getattr(value, "__slots__", ())]
    return items


WAYS: list[dict[str, Any]] = [
    {"training": training, "real": real} for training in (False, True) for real in (False, True)
]


def differences(seed: int, *names: str) -> list[str]:
    """What is not as it was after a module, drawn anew for each of them, was followed in all ways.

    Those of the traits with these names, or some that are drawn.
    """
    draw = random.Random(seed)
    torch.manual_seed(seed)
    result: list[str] = []
    for how in WAYS:
        model = module(draw, *names)
        traits = [part.name for part in model.parts if isinstance(part, Trait)]
        given = (torch.randn(2, 4, 6, 6), draw.choice([None, Cache(), UserDict(a=torch.ones(2))]))
        before = state(model, *given)
        with suppress(costlab.CostlabError, KeyboardInterrupt, SystemExit):
            costlab.analyze(model, inputs=given, **how)
        after = state(model, *given)
        for key in sorted(before.keys() | after.keys()):
            was, now = before.get(key), after.get(key)
            if was != now:
                result.append(f"module {seed}, {how}, {traits}: {key}: {was}, now {now}"[:500])
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--modules", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    different = 0
    for seed in range(asked.first, asked.first + asked.modules):
        found = differences(seed)
        different += bool(found)
        print(*found, sep="\n", end="\n" if found else "")
    print(f"{asked.modules} modules, followed in {len(WAYS)} ways each: {different} different")
    sys.exit(bool(different))


if __name__ == "__main__":
    main()
