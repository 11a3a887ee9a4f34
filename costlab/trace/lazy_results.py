"""What a forward returns that computes when it is asked: generators, iterators and coroutines.

It is asked for all that it gives while the run is followed, so that its operations are counted.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import (
    AsyncIterator,
    Callable,
    Coroutine,
    ItemsView,
    Iterator,
    KeysView,
    ValuesView,
)
from functools import partial
from io import IOBase
from itertools import chain
from types import FunctionType, MethodType
from typing import Any

import torch
from torch import Tensor, nn

from costlab.errors import TraceError
from costlab.isolation.contents import inside, is_opened
from costlab.trace.tensors import held, tensors

MOST_ITEMS = 10_000
"""An iterator that gives more is taken to have no end."""

_ITERATED = (Iterator, KeysView, ValuesView, ItemsView)
_FUNCTIONS = (FunctionType, MethodType, partial)
_FUTURES = (concurrent.futures.Future, torch.futures.Future)


def consumed(result: Any, is_computed: Callable[[Tensor], bool]) -> Any:
    """What a forward gives in the end, with lists in place of iterators, nested ones too.

    Raises ``TraceError`` for a function in place of a result, and for what does not end.
    """
    result = _consumed(result, is_computed)
    parts = list(_parts(result))
    if any(isinstance(part, _FUNCTIONS) for part in parts) and not tensors(result):
        raise TraceError(
            "forward returns a function, which has computed nothing yet: give a module whose "
            "forward calls it"
        )
    if any(map(is_computed, held(result))):
        return result
    for part in parts:
        if _is_yet_to_compute(part, is_computed):
            raise TraceError(
                f"forward returns a {type(part).__name__}, which has computed nothing yet: give a "
                "module whose forward has it compute, and returns what that gives"
            )
    return result


def _parts(value: Any) -> Iterator[Any]:
    """What stands in nested lists, tuples and dicts."""
    if not isinstance(value, (list, tuple, dict)):
        yield value
        return
    for item in value.values() if isinstance(value, dict) else value:
        yield from _parts(item)


def _consumed(value: Any, is_computed: Callable[[Tensor], bool]) -> Any:
    if isinstance(value, (list, tuple)):
        items = [_consumed(item, is_computed) for item in value]
        as_given: Any = tuple if type(value) is tuple else list
        return as_given(items) if _is_changed(value, items) else value
    if isinstance(value, dict):
        items = [_consumed(item, is_computed) for item in value.values()]
        return dict(zip(value, items, strict=True)) if _is_changed(value.values(), items) else value
    if isinstance(value, (Coroutine, AsyncIterator)):
        awaited = value if isinstance(value, Coroutine) else _all_of(value)
        return _consumed(_awaited(awaited), is_computed)
    if isinstance(value, _FUTURES):
        value = value.wait() if isinstance(value, torch.futures.Future) else value.result()
        return _consumed(value, is_computed)
    is_iterated = isinstance(value, _ITERATED) and not isinstance(value, IOBase)
    if not is_iterated and not (_can_be_asked(value) and _is_yet_to_compute(value, is_computed)):
        return value
    results: list[Any] = []
    for item in dict(value).values() if hasattr(value, "keys") else value:
        _require_an_end(results)
        results.append(_consumed(item, is_computed))
    return results


def _is_yet_to_compute(value: Any, is_computed: Callable[[Tensor], bool]) -> bool:
    """Whether it is an object of the user's that holds what can compute, and nothing computed."""
    kind = type(value)
    if isinstance(value, (Tensor, nn.Module, type, *_FUNCTIONS)) or not is_opened(kind):
        return False
    parts = [part for part in inside(value) if part is not None]
    parts += chain.from_iterable([part.values() for part in parts if type(part) is dict])
    can_compute = any(isinstance(part, (nn.Module, *_FUNCTIONS)) for part in parts)
    return can_compute and not any(map(is_computed, held(value)))


def _can_be_asked(value: Any) -> bool:
    """Whether it gives items, one after the other."""
    return hasattr(type(value), "__iter__") or hasattr(type(value), "__getitem__")


def _is_changed(before: Any, after: list[Any]) -> bool:
    return any(one is not other for one, other in zip(before, after, strict=True))


async def _all_of(value: AsyncIterator[Any]) -> list[Any]:
    items: list[Any] = []
    async for item in value:
        _require_an_end(items)
        items.append(item)
    return items


def _require_an_end(items: list[Any]) -> None:
    if len(items) >= MOST_ITEMS:
        raise TraceError(
            f"forward returns an iterator that gives more than {MOST_ITEMS:,} items: give a module "
            "whose forward returns as many as are to be counted"
        )


def _awaited(value: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine gives: in a loop of its own, in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        loop = asyncio.new_event_loop()
        try:
            return loop.run_until_complete(value)
        finally:
            loop.close()
    value.close()
    raise TraceError(
        "forward is a coroutine, and an event loop is running already: call costlab from code that "
        "is not asynchronous, such as asyncio.to_thread(costlab.analyze, ...)"
    )
