"""Random modules whose forward changes what it can reach, and all that should be as it was.

    python tests/isolation/random_modules.py [--modules 1000] [--first 0]

follows each on shapes and on real tensors, in evaluation and in training mode, and prints what is
not what it was.
"""

from __future__ import annotations

import argparse
import decimal
import gc
import locale
import logging
import os
import pickle
import random
import sys
import warnings
from array import array
from collections import ChainMap, OrderedDict, UserDict, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from io import BytesIO, StringIO
from queue import Queue
from threading import local
from types import FunctionType, ModuleType, SimpleNamespace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
import traits
from torch import Tensor, nn
from torch.nn.modules import module as hooks
from torch.nn.utils import parametrize
from traits import TRAITS, VARIABLE, Cache, Trait

import costlab
from costlab.isolation.torch_globals import _SETTINGS

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
        "numpy's generator": pickle.dumps(np.random.get_state()),
        "collector": (gc.isenabled(), gc.get_threshold()),
        "modes": torch._C._len_torch_function_stack(),
        "parametrize": (parametrize._cache, parametrize._cache_enabled),
    }
    found |= _outside()
    found |= {f"setting {i}": get() for i, (get, _) in enumerate(_SETTINGS)}
    for name, each in vars(hooks).items():
        if name.startswith("_global_"):
            _note(name, each, found, set())
    known: set[int] = set()
    for number, value in enumerate(values):
        _note(f"{number}", value, found, known)
    _note_names(found, known)
    return found


def _outside() -> dict[str, Any]:
    """Settings of Python and numpy."""
    context, root = decimal.getcontext(), logging.getLogger()
    return {
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "path": (id(sys.path), list(sys.path)),
        "streams": (sys.stdin, sys.stdout, sys.stderr),
        "recursion": sys.getrecursionlimit(),
        "locale": locale.setlocale(locale.LC_ALL),
        "decimals": (id(context), repr(context)),
        "errors of numpy": np.geterr(),
        "print options of numpy": np.get_printoptions(),
        "variable": VARIABLE.get(),
        "filters": (id(warnings.filters), list(warnings.filters), warnings.showwarning),
        "root logger": (root.level, list(root.handlers)),
    }


def _note_names(found: dict[str, Any], known: set[int]) -> None:
    """What is bound to names in the file of the traits."""
    for name, value in vars(traits).items():
        if name == "TRAITS" or isinstance(value, ModuleType) or name[:2] == "__":
            continue
        _note(name, value, found, known)
        if isinstance(value, FunctionType):
            _note(f"{name}: default", value.__defaults__, found, known)
            _note(f"{name}: dict", vars(value), found, known)
        elif isinstance(value, type) and value.__module__ == traits.__name__:
            for each, attribute in vars(value).items():
                _note(f"{name}.{each}", attribute, found, known)
    found["cache of a function"] = traits._ones.cache_info().currsize


def _state(value: Any) -> Any:
    """What an object of Python or numpy holds elsewhere than in attributes."""
    if isinstance(value, (bytearray, array)):
        return bytes(value)
    if isinstance(value, np.ndarray):
        return value.tobytes()
    if isinstance(value, (StringIO, BytesIO)):
        return value.getvalue(), value.tell()
    if isinstance(value, torch.Generator):
        return value.get_state().numpy().tobytes()
    if isinstance(value, random.Random):
        return value.getstate()
    if isinstance(value, (np.random.Generator, np.random.RandomState, np.random.BitGenerator)):
        return pickle.dumps(value)
    if isinstance(value, FunctionType):
        return [cell.cell_contents for cell in value.__closure__ or ()]
    if isinstance(value, partial):
        return _state(value.func)
    if isinstance(value, logging.Logger):
        return value.level, list(value.handlers), value.isEnabledFor(5)
    return None


def _note(path: str, value: Any, found: dict[str, Any], known: set[int]) -> None:
    if isinstance(value, (int, float, str, bytes, type(None))):
        found[path] = value
        return
    found[path] = (type(value), id(value))
    if id(value) in known:
        return
    known.add(id(value))
    found[f"{path}: state"] = _state(value)
    if isinstance(value, Tensor):
        _note_tensor(path, value, found, known)
    inside = _items(value)
    found[f"{path}: names"] = [str(name) for name, _ in inside]
    if isinstance(value, OrderedDict):
        found[f"{path}: reversed"] = list(map(str, reversed(value)))
    if _is_ours(value):
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


def _is_ours(value: Any) -> bool:
    return type(value).__module__ in (__name__, Trait.__module__)


def _items(value: Any) -> list[tuple[Any, Any]]:
    """What an object holds, by names."""
    items: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        items += value.items()
    elif isinstance(value, (list, tuple, deque)):
        items += enumerate(value)
    elif isinstance(value, (set, frozenset)):
        items += [(repr(each), each) for each in sorted(value, key=repr)]
    elif isinstance(value, np.ma.MaskedArray):
        items.append(("mask", value.mask.tobytes()))
    elif isinstance(value, np.ndarray) and value.dtype.hasobject:
        items += enumerate(value.flat)
    opened = (nn.Module, nn.Parameter, SimpleNamespace, UserDict, ChainMap, Queue, local)
    if isinstance(value, (*opened, WeakKeyDictionary)) or _is_ours(value):
        items += getattr(value, "__dict__", {}).items()
        items += [(slot, getattr(value, slot)) for slot in getattr(value, "__slots__", ())]
    return items


WAYS: list[dict[str, Any]] = [
    {"training": training, "real": real} for training in (False, True) for real in (False, True)
]


def differences(seed: int, *names: str, ways: Sequence[dict[str, Any]] = WAYS) -> list[str]:
    """What is not as it was after a module, drawn anew for each way, was followed in these ways.

    Those of the traits with these names, or some that are drawn.
    """
    draw = random.Random(seed)
    torch.manual_seed(seed)
    result: list[str] = []
    for how in ways:
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
