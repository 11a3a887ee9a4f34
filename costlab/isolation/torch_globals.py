"""What is outside of a model and goes back to what it was: torch's settings, random numbers."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from ctypes import string_at
from typing import Any

import torch


class Globals:
    """Torch's settings and all global generators of random numbers, as they are now."""

    def __init__(self) -> None:
        self._settings = [get() for get, _ in _SETTINGS]
        self._generators = _generators()

    def put_back(self) -> None:
        """Make them what they were."""
        for (get, put), value in zip(_SETTINGS, self._settings, strict=True):
            if get() != value:
                put(value)
        _restore(self._generators)


def _set_device(device: torch.device) -> None:
    torch.set_default_device(None if device.type == "cpu" else device)


def _deterministic() -> tuple[bool, bool]:
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    return torch.are_deterministic_algorithms_enabled(), warns


def _set_deterministic(modes: tuple[bool, bool]) -> None:
    torch.use_deterministic_algorithms(modes[0], warn_only=modes[1])


def _cudnn() -> tuple[bool, ...]:
    cudnn = torch.backends.cudnn
    return cudnn.enabled, cudnn.benchmark, cudnn.deterministic


def _set_cudnn(flags: tuple[bool, ...]) -> None:
    cudnn = torch.backends.cudnn
    cudnn.enabled, cudnn.benchmark, cudnn.deterministic = flags


_SETTINGS: list[tuple[Callable[[], Any], Callable[[Any], Any]]] = [
    (torch.get_default_dtype, torch.set_default_dtype),
    (torch.get_default_device, _set_device),
    (torch.get_num_threads, torch.set_num_threads),
    (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    (torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
    (_deterministic, _set_deterministic),
    (_cudnn, _set_cudnn),
]
"""How each of torch's global settings is asked for, and set."""


def _generators() -> tuple[Any, ...]:
    """The states of all global generators; numpy's is None if nobody has loaded it yet."""
    numpy = sys.modules.get("numpy.random")
    return (
        torch.get_rng_state(),
        torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],  # type: ignore[no-untyped-call]
        random.getstate(),
        _numpy_state(numpy) if numpy is not None else None,
    )


def _restore(generators: tuple[Any, ...]) -> None:
    cpu, cuda, python, array = generators
    torch.set_rng_state(cpu)
    if cuda:
        torch.cuda.set_rng_state_all(cuda)
    random.setstate(python)
    numpy = sys.modules.get("numpy.random")
    if numpy is not None and array is not None:
        if not _is_as(array, numpy):
            numpy.set_state(array)
    elif numpy is not None:
        numpy.seed()  # the run was the first to load it: it is anew what it is when it is loaded


def _numpy_state(numpy: Any) -> dict[str, Any]:
    """The state of numpy's global generator, and its memory.

    The state is made of 624 words one by one, which takes as long as to follow ten modules.
    """
    if not _is_as(_LAST, numpy):
        _LAST.update(numpy.get_state(legacy=False), words=_words(numpy))
    return _LAST.copy()


def _is_as(state: dict[str, Any], numpy: Any) -> bool:
    """Whether the generator is in that state beyond doubt, without asking for its own.

    A second number of a normal distribution that is kept to be given away is elsewhere in memory.
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
