"""A user's module, classes, random numbers and settings are what they were after a trace."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter, UserList, defaultdict, deque
from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

import costlab
from costlab.isolation import contents as contents_module
from costlab.isolation.contents import Contents


class Restless(nn.Module):
    """Changes all that it can reach when it runs."""

    steps: Tensor

    def __init__(self, fails: bool) -> None:
        super().__init__()
        self.fails = fails
        self.norm = nn.BatchNorm2d(3)
        self.drop = nn.Dropout()
        self.register_buffer("steps", torch.zeros(()))
        self.calls = 0
        self.log: list[int] = []
        self.cache: dict[str, Any] = {}
        self.linear = nn.Linear(3, 3)
        self.linear.eval()

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.log.append(self.calls)
        self.cache["x"] = x
        self.steps += 1
        self.steps = self.steps + 1
        self.new = x
        self.late = nn.Linear(1, 1)
        self.linear.train()
        self.linear.weight.data.add_(1)
        with torch.no_grad():
            self.linear.bias.mul_(0)
        self.register_forward_hook(lambda *args: None)
        torch.rand(3), random.random(), np.random.rand()
        torch.set_default_dtype(torch.float64)
        x = self.drop(self.norm(x)) + torch.rand_like(x)
        if self.fails:
            raise ValueError("no")
        return x


def state(module: Restless) -> Any:
    return (
        [
            (name, id(p), p.detach().clone().numpy().tobytes(), p._version)
            for name, p in module.state_dict(keep_vars=True).items()
        ],
        [(name, id(m), m.training, sorted(m.__dict__)) for name, m in module.named_modules()],
        [len(m._forward_hooks) for m in module.modules()],
        (module.calls, list(module.log), dict(module.cache)),
        torch.get_rng_state().numpy().tobytes(),
        random.getstate(),
        np.random.get_state(legacy=False)["state"]["key"].tobytes(),
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
    )


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("real", [False, True])
def test_nothing_of_the_users_module_is_changed(fails: bool, training: bool, real: bool) -> None:
    module = Restless(fails)
    before = state(module)
    if fails:
        with pytest.raises(costlab.TraceError, match="ValueError: no"):
            costlab.analyze(module, (2, 3, 4, 4), training=training, real=real)
    else:
        costlab.analyze(module, (2, 3, 4, 4), training=training, real=real)
    assert state(module) == before


def test_what_is_held_twice_is_looked_into_once() -> None:
    """And is so at each depth: 2⁴⁰ ways lead to the list of each."""
    module = Restless(False)
    kept: list[int] = [1]
    held: Any = Counter(a=1), kept
    for _ in range(40):
        held = (held, held)
    objects: Any = [module.log]
    for _ in range(40):
        objects = UserList([objects, objects])
    module.held, module.objects = held, objects
    costlab.analyze(module, (2, 3, 4, 4))
    assert (kept, module.log) == ([1], [])


@lru_cache
def places(number: int) -> Tensor:
    return torch.arange(number)


def test_what_classes_and_caches_keep_is_not_left_without_values() -> None:
    """A module that finds an index on meta there reads memory that is no weight of its."""

    def kept_inside(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        within = lru_cache(function)
        return wraps(function)(lambda number: within(number) + 0)

    class Keeps(nn.Module):
        found: ClassVar[dict[int, Tensor]] = {}

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(9, 4))
            self.last: deque[Any] = deque([1], maxlen=3)
            self.named: defaultdict[str, list[Any]] = defaultdict(list, a=[1])
            self.seen = Counter("aab")

        @staticmethod
        @lru_cache
        def rows(number: int) -> Tensor:
            return torch.arange(number)

        @staticmethod
        @kept_inside
        def more(number: int) -> Tensor:
            return torch.arange(number)

        def forward(self, x: Tensor) -> Tensor:
            if 4 not in self.found:
                self.found[4] = torch.arange(4)
            self.last.append(x)
            self.named["a"].append(x)
            self.named["b"].append(x)
            self.seen["a"] += 1
            for index in (self.found[4], self.rows(4), self.more(4), places(4)):
                x = x + self.weight[index]
            return x

    module, x = Keeps(), torch.zeros(4, 4)
    assert costlab.analyze(module, (4, 4)).total.params == 36
    assert (Keeps.found, list(module.last), module.last.maxlen) == ({}, [1], 3)
    assert (dict(module.named), module.seen) == ({"a": [1]}, Counter("aab"))
    assert torch.equal(module(x), torch.full((4, 4), 4.0))
    kept = places(4)
    costlab.analyze(module, (4, 4))
    assert places(4) is kept


def test_an_interrupt_leaves_the_module_as_it_was() -> None:
    class Interrupted(Restless):
        def forward(self, x: Tensor) -> Tensor:
            super().forward(x)
            raise KeyboardInterrupt

    module = Interrupted(fails=False)
    before = state(module)
    with pytest.raises(KeyboardInterrupt):
        costlab.analyze(module, (2, 3, 4, 4))
    assert state(module) == before


def of(body: str) -> Callable[[Any, Tensor], None]:
    room: dict[str, Any] = {"torch": torch, "nn": nn}
    exec(f"def change(self, x):\n    {body}", room)
    return room["change"]  # type: ignore[no-any-return]


CHANGES = [
    "self.linear.weight.data = self.linear.weight.data * 2",
    "self.linear.weight.data.mul_(2)",
    "self.linear.weight.requires_grad_(False)",
    "self.linear.weight.requires_grad = False",
    "self.linear.weight.grad = None",
    "self.linear.weight.grad.zero_()",
    "self.zero_grad()",
    "self.half().float()",
    "self.apply(lambda module: [p.data.zero_() for p in module.parameters()])",
    "self.linear.weight = nn.Parameter(torch.ones(4, 4))",
    "nn.init.zeros_(self.linear.weight)",
    "self.plain.add_(1)",
    "self.kept['a'][0].add_(1)",
    "self.kept['a'].append(3)",
    "self.kept['b']['c'] = 1",
    "torch.add(x[0], 1, out=self.plain)",
    "torch.mul(x[0], 1, out=self.steps)",
    "self.linear.weight.register_hook(lambda grad: grad)",
    "torch.set_default_device('meta')",
    "torch.use_deterministic_algorithms(True)",
    "torch.set_num_threads(1)",
    "torch.set_float32_matmul_precision('medium')",
    "torch.backends.cudnn.benchmark = True",
    "torch.autograd.set_detect_anomaly(True)",
    "torch.set_grad_enabled(False)",
]


class Changing(nn.Module):
    def __init__(self, change: Callable[[Any, Tensor], None]) -> None:
        super().__init__()
        self.change = change
        self.linear = nn.Linear(4, 4)
        self.register_buffer("steps", torch.zeros(4))
        self.plain = torch.zeros(4)
        self.kept: dict[str, Any] = {"a": [torch.zeros(2), 1], "b": {}}
        self.linear(torch.ones(1, 4)).sum().backward()

    def forward(self, x: Tensor) -> Tensor:
        self.change(self, x)
        result: Tensor = self.linear(x)
        return result


def held(module: Any) -> Any:
    tensors = [*module.state_dict(keep_vars=True).values(), module.plain, module.kept["a"][0]]
    tensors += [parameter.grad for parameter in module.parameters()]
    return (
        [
            (id(t), t.dtype, t.requires_grad, t._version, t.data_ptr(), t.tolist(), id(t.grad))
            for t in tensors
        ],
        [t._backward_hooks for t in tensors],
        [list(map(id, module.kept["a"])), dict(module.kept["b"])],
        torch.get_default_device(),
        torch.are_deterministic_algorithms_enabled(),
        torch.get_num_threads(),
        torch.get_float32_matmul_precision(),
        torch.backends.cudnn.benchmark,
        torch.is_anomaly_enabled(),
        torch.is_grad_enabled(),
    )


@pytest.mark.filterwarnings("ignore:Anomaly Detection")
@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize("body", CHANGES)
def test_a_change_is_followed_and_put_back(body: str, real: bool) -> None:
    module = Changing(of(body))
    before = held(module)
    table = costlab.analyze(module, (2, 4), real=real)
    assert held(module) == before
    assert table.total.macs == 2 * 4 * 4
    assert table.complete


class Remembering(nn.Module):
    """Whose functions keep something: a default of an argument, an attribute."""

    def forward(self, x: Tensor, calls: Any = [], *, sizes: Any = {}) -> Tensor:  # noqa: B006
        calls.append(x.shape)
        sizes[len(calls)] = self.helped()
        vars(Remembering.forward)["last"] = x
        return x * 2

    @staticmethod
    def helped(calls: Any = []) -> int:  # noqa: B006
        calls.append(1)
        return len(calls)


@pytest.mark.parametrize("real", [False, True])
def test_what_functions_of_a_class_keep_is_as_it_was(real: bool) -> None:
    for _ in range(2):
        costlab.analyze(Remembering(), (2, 4), real=real)
    forward = Remembering.forward
    assert (forward.__defaults__, forward.__kwdefaults__) == (([],), {"sizes": {}})
    assert vars(forward) == {}
    assert Remembering.helped.__defaults__ == ([],)


class Drawing(nn.Module):
    """Draws from numpy's global generator."""

    def __init__(self, *draws: Callable[[], object]) -> None:
        super().__init__()
        self.draws = draws

    def forward(self, x: Tensor) -> Tensor:
        for draw in self.draws:
            draw()
        return x


def numpys() -> tuple[Any, ...]:
    state: dict[str, Any] = np.random.get_state(legacy=False)
    own = {name: str(np.asarray(value).tolist()) for name, value in state["state"].items()}
    return own, state["has_gauss"], state["gauss"]


@pytest.mark.parametrize("kind", [np.random.MT19937, np.random.PCG64])
def test_numpys_generator_goes_on_as_if_nothing_had_been_drawn(kind: Any) -> None:
    """Also where the generator holds a cached normal number."""
    numpy: Any = np.random  # whose types lack what exchanges the generator
    before = numpy.get_bit_generator()
    one, two = np.random.randn, np.random.rand
    outsides: list[tuple[Callable[[], object], ...]] = [
        (),
        (one,),
        (two,),
        (one, one),
        (lambda: np.random.seed(1),),
    ]
    try:
        numpy.set_bit_generator(kind(1))
        for draws in [(), (one,), (two,), (one, one), (one, two, one)] * 2:
            for outside in outsides:
                if kind is np.random.MT19937 or not outside or outside[0] in (one, two):
                    for draw in outside:
                        draw()
                state = numpys()
                costlab.analyze(Drawing(*draws), (1, 2))
                assert numpys() == state
    finally:
        numpy.set_bit_generator(before)


def test_a_run_that_is_the_first_to_draw_from_numpy_leaves_no_seed() -> None:
    code = """
import sys, costlab
from torch import nn
class Seeds(nn.Module):
    def forward(self, x):
        import numpy.random
        numpy.random.seed(0)
        return x + numpy.random.rand()
costlab.analyze(Seeds(), (1, 3))
import numpy.random
print(numpy.random.rand(), numpy.random.RandomState(0).rand(2).tolist())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    drawn, _, seeded = done.stdout.partition(" ")
    assert drawn not in seeded


@pytest.mark.parametrize("real", [False, True])
def test_what_parametrize_keeps_is_neither_used_nor_changed(real: bool) -> None:
    module, x = parametrizations.weight_norm(nn.Linear(4, 4)), torch.ones(1, 4)
    wanted = costlab.analyze(module, (1, 4), real=real).total
    with torch.no_grad(), parametrize.cached():
        assert costlab.analyze(module, (1, 4), real=real).total == wanted
        output = module(x)
        kept = module.weight
        assert costlab.analyze(module, (1, 4), real=real).total == wanted
        assert module.weight is kept
    with torch.no_grad():
        assert torch.equal(module(x), output)


@pytest.mark.parametrize("real", [False, True])
def test_three_calls_with_a_cache_give_the_same_answer(real: bool) -> None:
    """And what other counters do to it is neither the user's nor the next counter's."""

    class Cache:
        def __init__(self) -> None:
            self.keys = torch.ones(1, 10, 4)

    class Decoder(nn.Module):
        def forward(self, x: Tensor, cache: Cache) -> Tensor:
            cache.keys = torch.cat([cache.keys, x], 1)
            return x @ cache.keys.mT

    cache = Cache()
    keys = cache.keys
    for _ in range(3):
        table = costlab.analyze(Decoder(), inputs=(torch.ones(1, 1, 4), cache), real=real)
        assert table.total.macs == 11 * 4
        assert cache.keys is keys
    checks = costlab.crosscheck(table, counters=["fvcore", "torch"]).of("torch")
    assert [check.verdict for check in checks if check.ours] == ["agrees"]
    assert cache.keys is keys


def test_what_was_not_changed_is_compared_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where sizes are no longer one object for each number."""
    held = [[each] for each in range(300)]
    contents = Contents([held, dict.fromkeys(range(300))])
    monkeypatch.setattr(contents_module, "_fill_changed", None)
    contents.put_back()
