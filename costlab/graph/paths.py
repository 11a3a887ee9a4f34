"""Paths such as ``stem.block.conv``: names of layers and scopes, joined by dots.

A layer of a module that is called again has the number of the call behind the module's name:
``stem.conv@2``.
"""

from __future__ import annotations

import re


def ancestry(path: str) -> list[str]:
    """``a.b.conv`` as ``["a", "a.b", "a.b.conv"]``."""
    names = path.split(".")
    return [".".join(names[: i + 1]) for i in range(len(names))]


def within(path: str, scope: str) -> bool:
    """Whether ``path`` is ``scope`` or lies inside it; everything lies inside ``""``."""
    return not scope or path == scope or path.startswith(scope + ".")


def within_calls(path: str, scope: str) -> bool:
    """Whether ``path`` lies inside ``scope``, or inside a further call of the module there."""
    return within(path, scope) or path.startswith(f"{scope}@")


def relative(path: str, scope: str) -> str:
    """``path`` as seen from inside ``scope``; a layer seen from itself keeps its own name.

    So does a further call of the module there.
    """
    if not scope:
        return path
    if path != scope and within(path, scope):
        return path[len(scope) + 1 :]
    return path[scope.rfind(".") + 1 :]


def module_of(path: str) -> str:
    """A path without the numbers of calls: ``block.conv@2`` is ``block.conv``."""
    return re.sub(r"@\d+", "", path)


def truncated(path: str, depth: int | None) -> str:
    """The scope of that depth that ``path`` lies in; itself if it is no deeper, or for None."""
    return path if depth is None else ".".join(path.split(".")[:depth])
