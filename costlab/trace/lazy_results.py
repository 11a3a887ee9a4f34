"""What a forward returns that computes when it is asked: generators, iterators and coroutines.

It is asked for all that it gives while the run is followed, so that its operations are counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, ItemsView, Iterator, KeysView, ValuesView
from functools import partial
from io import IOBase
from types import FunctionType, MethodType
from typing import Any

from costlab.errors import TraceError
from costlab.trace.tensors import tensors

MOST_ITEMS = 10_000
"""An iterator that gives more is taken to have no end."""

_ITERATED = (Iterator, KeysView, ValuesView, ItemsView)
_FUNCTIONS = (FunctionType, MethodType, partial)


def consumed(result: Any) -> Any:
    """What a forward gives in the end, with lists in place of iterators, nested ones too.

    Raises ``TraceError`` for a function in place of a result, and for what does not end.
    """
    result = _consumed(result)
    parts = result if type(result) in (tuple, list) else (result,)
    parts = result.values() if type(result) is dict else parts
    if any(isinstance(part, _FUNCTIONS) for part in parts) and not tensors(result):
        raise TraceError(
            "forward returns a function, which has computed nothing yet: give a module whose "
            "forward calls it"
        )
    return result


def _consumed(value: Any) -> Any:
    kind = type(value)
    if kind is list or kind is tuple:
        items = list(map(_consumed, value))
        return kind(items) if _is_changed(value, items) else value
    if kind is dict:
        items = list(map(_consumed, value.values()))
        return dict(zip(value, items, strict=True)) if _is_changed(value.values(), items) else value
    if isinstance(value, Coroutine):
        return _consumed(_awaited(value))
    if isinstance(value, AsyncIterator):
        return _consumed(_awaited(_all_of(value)))
    if not isinstance(value, _ITERATED) or isinstance(value, IOBase):
        return value
    results: list[Any] = []
    for item in value:
        _require_an_end(results)
        results.append(_consumed(item))
    return results


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
