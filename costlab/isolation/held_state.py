"""Objects of Python, torch and numpy that hold memory or a state of their own, to be put back.

Arrays, buffers of bytes, texts that are written to like files, generators of random numbers, and
loggers.
"""

from __future__ import annotations

import logging
import pickle
import random
from array import array
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from io import BytesIO, StringIO
from typing import Any, TypeAlias

import torch

LARGEST = 2**20
"""Bytes of memory that is kept. What is larger stays as a run leaves it: nobody sees who writes to
it, so that it would have to be copied each time."""

State: TypeAlias = tuple[Callable[[Any], Any], Callable[[Any, Any], None], Callable[[Any], int]]
"""How a state is asked for, as something to compare, how it is set, and how many bytes it takes."""


class HeldStates:
    """The states of those among some objects that have one, as they are now."""

    def __init__(self, objects: list[Any]) -> None:
        self._before = []
        for holder in objects:
            kind: Any = type(holder)
            if state := state_of(kind):
                with suppress(Exception):  # closed, or not made as its class makes them
                    get, put, size = state
                    if size(holder) <= LARGEST:
                        self._before.append((holder, get, put, get(holder)))

    def put_back(self) -> None:
        """Set again what is another now."""
        for holder, get, put, before in self._before:
            with suppress(Exception):  # closed since, or of a length that somebody else holds
                if get(holder) != before:
                    put(holder, before)


@lru_cache(maxsize=1024)
def state_of(kind: Any) -> State | None:
    """What is known of the state of objects of that type; None if they have none."""
    states = _OF_PYTHON
    if any(base.__module__.partition(".")[0] == "numpy" for base in kind.__mro__):
        states = states | _of_numpy()
    return next((states[base] for base in kind.__mro__ if base in states), None)


def objects_in(value: Any) -> list[Any]:
    """What an array of numpy refers to, if it is one of objects."""
    kind: Any = type(value)
    dtype = getattr(value, "dtype", None) if state_of(kind) else None
    return value.ravel().tolist() if dtype is not None and dtype.hasobject else []


def _none(holder: Any) -> int:
    return 0


def _set_bytes(holder: Any, before: bytes) -> None:
    bytearray.__setitem__(holder, slice(None), before)


def _set_array(holder: Any, before: bytes) -> None:
    array.__setitem__(holder, slice(None), array(holder.typecode, before))


def _of_file(kind: Any, size: Callable[[Any], int]) -> State:
    return kind.__getstate__, kind.__setstate__, size


def _set_torch(holder: torch.Generator, before: bytes) -> None:
    holder.set_state(torch.frombuffer(bytearray(before), dtype=torch.uint8))


def of_logger(holder: logging.Logger) -> tuple[Any, ...]:
    """What is set of a logger."""
    return (
        holder.level,
        holder.disabled,
        holder.propagate,
        tuple(holder.handlers),
        tuple(holder.filters),
    )


def set_logger(holder: logging.Logger, before: tuple[Any, ...]) -> None:
    """Set that."""
    level, holder.disabled, holder.propagate, handlers, filters = before
    holder.handlers[:], holder.filters[:] = handlers, filters
    holder.setLevel(level)  # those that ask it notice


_OF_PYTHON: dict[type, State] = {
    bytearray: (bytes, _set_bytes, len),
    array: (array.tobytes, _set_array, lambda holder: len(holder) * holder.itemsize),
    BytesIO: _of_file(BytesIO, lambda holder: holder.getbuffer().nbytes),
    StringIO: _of_file(StringIO, lambda holder: len(holder.getvalue())),
    random.Random: (random.Random.getstate, random.Random.setstate, _none),
    logging.Logger: (of_logger, set_logger, _none),
    torch.Generator: (lambda holder: holder.get_state().numpy().tobytes(), _set_torch, _none),
}


class _Elements:
    """The elements of an array of numpy: equal if they are the same bytes, or the same objects."""

    def __init__(self, array: Any) -> None:
        import numpy as np

        self.copy = array.view(np.ndarray).copy()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Elements) and self.copy.tobytes() == other.copy.tobytes()

    __hash__ = None  # type: ignore[assignment]

    def put_into(self, array: Any) -> None:
        import numpy as np

        array.view(np.ndarray)[...] = self.copy


def _set_bits(generator: Any, before: bytes) -> None:
    generator.state = pickle.loads(before)


def _of_numpy() -> dict[type, State]:
    """Those of numpy, which is there: somebody has such an object."""
    import numpy as np

    return {
        np.ndarray: (
            _Elements,
            lambda holder, before: before.put_into(holder),
            lambda holder: holder.nbytes,
        ),
        np.random.BitGenerator: (lambda holder: pickle.dumps(holder.state), _set_bits, _none),
        np.random.Generator: (
            lambda holder: pickle.dumps(holder.bit_generator.state),
            lambda holder, before: _set_bits(holder.bit_generator, before),
            _none,
        ),
        np.random.RandomState: (
            lambda holder: pickle.dumps(holder.get_state(legacy=False)),
            lambda holder, before: holder.set_state(pickle.loads(before)),
            _none,
        ),
    }
