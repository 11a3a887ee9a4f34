"""State outside of a model that is restored after a run: settings, random numbers."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from contextvars import copy_context
from ctypes import string_at
from functools import partial
from importlib import import_module
from typing import Any

import torch
from torch import backends
from torch.backends import opt_einsum
from torch.nn.modules import module as modules
from torch.nn.utils import parametrize

from costlab.isolation.process_settings import SETTINGS, Setting, put_back_variables
from costlab.torch_private import (
    default_device,
    dispatch_modes,
    function_modes,
    pop_dispatch_mode,
    pop_function_mode,
    print_options,
    set_grad_enabled,
)


class Globals:
    """Settings of torch and Python and all global generators of random numbers, as they are now.

    What `torch.nn.utils.parametrize.cached` keeps is taken away until they are put back: a run
    computes its own.
    """

    def __init__(self) -> None:
        self._settings = [get() for get, _ in _SETTINGS]
        self._generators = generators()
        self._modes = _modes()
        self._variables = copy_context()
        self._cached = parametrize._cache, parametrize._cache_enabled
        parametrize._cache = {}

    def put_back(self) -> None:
        """Make them what they were."""
        parametrize._cache, parametrize._cache_enabled = self._cached
        put_back_variables(self._variables)
        settings = [get() for get, _ in _SETTINGS]
        if settings != self._settings:
            for (_, put), now, before in zip(_SETTINGS, settings, self._settings, strict=True):
                if now != before:
                    put(before)
        for (length, pop), before in zip(_STACKS, self._modes, strict=True):
            for _ in range(length() - before):  # such as a device that was entered, and not left
                pop()
        restore(self._generators)


HOOKS = [
    hooks
    for name, hooks in vars(modules).items()
    if name.startswith("_global_") and hooks is not None
]
"""Those of all modules, and of what is registered in any: see `Contents`."""

_STACKS: list[tuple[Callable[[], int], Callable[[], Any]]] = [
    (function_modes, pop_function_mode),
    (dispatch_modes, pop_dispatch_mode),
]
"""How many modes there are that torch asks about its calls, and what takes away the last."""


def _modes() -> list[int]:
    return [length() for length, _ in _STACKS]


def _device() -> Any:
    """The mode that makes tensors on the default device; None where nobody has set one."""
    return getattr(default_device, "device_context", None)


def _set_device(mode: Any) -> None:
    torch.set_default_device(None if mode is None else mode.device)
    if mode is None:  # torch 2.6 and 2.9 cannot say a device that was set to none
        del default_device.device_context


def _deterministic() -> tuple[bool, bool]:
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    return torch.are_deterministic_algorithms_enabled(), warns


def _set_deterministic(modes: tuple[bool, bool]) -> None:
    torch.use_deterministic_algorithms(modes[0], warn_only=modes[1])


def _anomaly() -> tuple[bool, bool]:
    return torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()


def _set_anomaly(modes: tuple[bool, bool]) -> None:
    torch.autograd.set_detect_anomaly(*modes)


def _set_invariants(enabled: bool) -> None:
    checks: Any = torch.sparse.check_sparse_tensor_invariants
    checks.enable() if enabled else checks.disable()


def _print_options() -> dict[str, Any]:
    return dict(vars(print_options))


def _set_print_options(options: dict[str, Any]) -> None:
    vars(print_options).update(options)


def _attributes(home: Any, names: str) -> list[Setting]:
    """How attributes of a module of torch are asked for and set, those that this torch has."""
    return [
        (_getter(home, name), partial(setattr, home, name))
        for name in names.split()
        if hasattr(home, name)
    ]


def _getter(home: Any, name: str) -> Callable[[], Any]:
    """How an attribute is asked for; without the error that Python makes before ``__getattr__``."""
    other_way = getattr(type(home), "__getattr__", None)
    if other_way is None or hasattr(type(home), name):
        return partial(getattr, home, name)
    own = vars(home)
    return lambda: own[name] if name in own else other_way(home, name)


def _functions(home: Any, pairs: dict[str, str], *args: Any) -> list[Setting]:
    """The functions of torch that ask for settings and set them, those that this torch has."""
    return [
        (partial(getattr(home, get), *args), partial(getattr(home, put), *args))
        for get, put in pairs.items()
        if hasattr(home, get) and hasattr(home, put)
    ]


_SETTINGS: list[Setting] = [
    *SETTINGS,
    (torch.get_default_dtype, torch.set_default_dtype),
    (_device, _set_device),
    (torch.get_num_threads, torch.set_num_threads),
    (torch.is_grad_enabled, set_grad_enabled),
    (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    (torch.is_warn_always_enabled, torch.set_warn_always),
    (_anomaly, _set_anomaly),
    (_deterministic, _set_deterministic),
    (_print_options, _set_print_options),
    *_attributes(torch.utils.deterministic, "fill_uninitialized_memory"),
    *_attributes(
        backends.cudnn, "enabled benchmark benchmark_limit deterministic allow_tf32 fp32_precision"
    ),
    *_attributes(
        backends.cuda.matmul,
        "allow_tf32 allow_fp16_reduced_precision_reduction allow_bf16_reduced_precision_reduction "
        "allow_fp16_accumulation fp32_precision",
    ),
    *_attributes(backends.mkldnn, "enabled deterministic allow_tf32"),
    *_attributes(backends.quantized, "engine"),
    *_attributes(opt_einsum, "enabled strategy"),
    *_functions(
        backends.cuda,
        {
            "flash_sdp_enabled": "enable_flash_sdp",
            "mem_efficient_sdp_enabled": "enable_mem_efficient_sdp",
            "math_sdp_enabled": "enable_math_sdp",
            "cudnn_sdp_enabled": "enable_cudnn_sdp",
            "fp16_bf16_reduction_math_sdp_allowed": "allow_fp16_bf16_reduction_math_sdp",
            "preferred_blas_library": "preferred_blas_library",
            "preferred_linalg_library": "preferred_linalg_library",
        },
    ),
    *_functions(backends.mha, {"get_fastpath_enabled": "set_fastpath_enabled"}),
    *_functions(
        torch.__future__,
        {
            "get_swap_module_params_on_conversion": "set_swap_module_params_on_conversion",
            "get_overwrite_module_params_on_conversion": (
                "set_overwrite_module_params_on_conversion"
            ),
        },
    ),
    (torch.sparse.check_sparse_tensor_invariants.is_enabled, _set_invariants),
    *_functions(torch, {"is_autocast_cache_enabled": "set_autocast_cache_enabled"}),
    *[
        setting
        for device in ("cpu", "cuda")
        for setting in _functions(
            torch,
            {
                "is_autocast_enabled": "set_autocast_enabled",
                "get_autocast_dtype": "set_autocast_dtype",
            },
            device,
        )
    ],
]
"""How each global setting is asked for, and set."""


def not_compiled() -> AbstractContextManager[Any]:
    """What `torch.compile` has compiled runs in here as what it was made of."""
    if "torch._dynamo" not in sys.modules:
        return nullcontext()
    eager: AbstractContextManager[Any] = torch.compiler.set_stance("force_eager")
    return eager


def seed(load_numpy: bool = False) -> None:
    """Let torch, Python and numpy draw the same random numbers each time.

    numpy's are seeded if somebody has loaded them: ``load_numpy`` is for code that may do it later.
    """
    if load_numpy:
        with suppress(ImportError):
            import_module("numpy.random")
    torch.default_generator.manual_seed(0)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.manual_seed_all(0)
    random.seed(0)
    if numpy := sys.modules.get("numpy.random"):
        numpy.seed(0)


@contextmanager
def seeded(load_numpy: bool = False) -> Iterator[None]:
    """Draw the same random numbers in here each time; the generators go back to what they were."""
    before = generators()
    seed(load_numpy)
    try:
        yield
    finally:
        restore(before)


def generators() -> tuple[Any, ...]:
    """The states of all global generators; numpy's is None if nobody has loaded it yet."""
    numpy = sys.modules.get("numpy.random")
    return (
        torch.get_rng_state(),
        torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],  # type: ignore[no-untyped-call]
        _python_state(),
        _numpy_state(numpy) if numpy is not None else None,
    )


def restore(states: tuple[Any, ...]) -> None:
    """Put all global generators into the states that ``generators`` has given."""
    cpu, cuda, python, array = states
    torch.set_rng_state(cpu)
    if cuda:
        torch.cuda.set_rng_state_all(cuda)
    if _python_state() != python:
        random.setstate(python)
    numpy = sys.modules.get("numpy.random")
    if numpy is not None and array is not None:
        if not _is_as(array, numpy):
            numpy.set_state(array)
    elif numpy is not None:
        numpy.seed()  # the run was the first to load it: it is anew what it is when it is loaded


def _python_state() -> Any:
    """The state of Python's global generator, which is not asked again where it has not changed.

    It is made of 625 words one by one. They are in the generator's own memory; beside them it has
    a normal number for the next call.
    """
    words = _words_of_python()
    if words is None:
        return random.getstate()
    if _LAST_OF_PYTHON.get("words") != words:
        state = random.getstate()
        if _words_of_python() != words:  # another thread draws numbers
            return state
        _LAST_OF_PYTHON.update(words=words, state=state)
    version, state, _ = _LAST_OF_PYTHON["state"]
    return version, state, _OF_PYTHON.gauss_next


def _words_of_python() -> bytes | None:
    """The memory of Python's global generator, if it is the usual one."""
    head, whole = object.__basicsize__, type(_OF_PYTHON).__basicsize__
    if not isinstance(_OF_PYTHON, random.Random) or whole < 625 * 4:
        return None
    return string_at(id(_OF_PYTHON) + head, whole - head)


_OF_PYTHON: Any = getattr(random.getstate, "__self__", None)


def _numpy_state(numpy: Any) -> dict[str, Any]:
    """The state of numpy's global generator, and its memory.

    The state is made of 624 words one by one, which takes as long as to follow ten modules.
    """
    if not _is_as(_LAST, numpy):
        _LAST.update(numpy.get_state(legacy=False), words=_words(numpy))
    return _LAST.copy()


def _is_as(state: dict[str, Any], numpy: Any) -> bool:
    """Whether the generator is in that state beyond doubt, without asking for its own.

    Not where the generator holds a cached normal number: that is elsewhere in memory.
    """
    words = state.get("words")
    return words is not None and not state["has_gauss"] and _words(numpy) == words


def _words(numpy: Any) -> bytes | None:
    """The memory of numpy's global generator, if it is of the usual kind."""
    generator: Any = numpy.get_bit_generator() if hasattr(numpy, "get_bit_generator") else None
    if type(generator) is not numpy.MT19937:
        return None
    return string_at(generator.ctypes.state_address, 625 * 4)  # with the place of the next word


_LAST: dict[str, Any] = {}
"""The state of numpy's generator when it was last asked for."""
_LAST_OF_PYTHON: dict[str, Any] = {}
"""The same of Python's."""
