"""The paths of modules where they are called: those of the scopes that call them.

A module is registered under one path or several, or called by a module that does not have it (one
that was given it, or keeps it in a list). Its path is that of the caller with what leads from there
to the module; most modules have one path, and are called by those around them: theirs is as it is.
"""

from __future__ import annotations

from torch import nn

from costlab.graph.paths import ancestry, within

_HOLDERS = (nn.ModuleList, nn.ModuleDict)
"""Modules that are never called themselves."""


class CallPaths:
    """Paths of calls, and under which path each module that is called so is registered first."""

    def __init__(self, registered: dict[int, str]) -> None:
        self._registered = registered
        self.several: set[int] = set()
        """Modules with several registered paths, by their identity."""
        self._paths: dict[tuple[str, int], str] = {}
        self._foreign: dict[str, int] = {}
        self.elsewhere: dict[str, str] = {}
        """The first registered path, by that of a call that is another."""

    def note_several(self, module: nn.Module) -> None:
        """A module has been met again: it, and what is in it, has several paths."""
        if id(module) not in self.several:
            self.several.update(map(id, module.modules()))

    def of(self, module: nn.Module, path: str, caller: nn.Module | None) -> str:
        """The path of a module that ``caller``, which is at work as ``path``, calls."""
        known = self._paths.get((path, id(module)))
        if known is None:
            known = self._paths[path, id(module)] = self._new(module, path, caller)
        return known

    def _new(self, module: nn.Module, path: str, caller: nn.Module | None) -> str:
        own = self._registered[id(module)]
        if caller is None:
            return own
        if id(module) not in self.several and path not in self.elsewhere and within(own, path):
            return own
        way = _way(caller, module)
        called = self._beside(module, own, path) if way is None else f"{path}.{way}".lstrip(".")
        if called != own:
            self.elsewhere[called] = own
        return called

    def _beside(self, module: nn.Module, own: str, path: str) -> str:
        """The path of a module that its caller does not have: of what the two do not share."""
        names, around = own.split("."), path.split(".")
        while len(names) > 1 and around and names[0] == around[0]:
            names, around = names[1:], around[1:]
        called = alone = f"{path}.{'.'.join(names) or type(module).__name__}"
        number, taken = 1, set(self._registered.values())
        while called in taken or self._foreign.setdefault(called, id(module)) != id(module):
            number += 1
            called = f"{alone}_{number}"
        return called

    def registered(self, path: str) -> str:
        """The first registered path of what is called so."""
        if self.elsewhere:
            for scope in reversed(ancestry(path)):
                if scope in self.elsewhere:
                    return self.elsewhere[scope] + path[len(scope) :]
        return path

    def called(self, name: str, path: str) -> str:
        """The name of a tensor of a module, where the scope at work there is called ``path``."""
        if self.elsewhere:
            for scope in reversed(ancestry(path)):
                own = self.elsewhere.get(scope)
                if own is not None and within(name, own):
                    return scope + name[len(own) :]
        return name


def _way(scope: nn.Module, wanted: nn.Module) -> str | None:
    """The shortest path from a module to another one inside of it; None if it is not inside."""
    known = {id(scope)}
    waiting = [("", scope)]
    while waiting:
        outer, waiting = waiting, []
        for path, module in outer:  # which gets longer by those in holders
            for name, child in module._modules.items():
                if child is wanted:
                    return path + name
                if child is None or id(child) in known:
                    continue
                known.add(id(child))
                level = outer if isinstance(child, _HOLDERS) else waiting
                level.append((f"{path}{name}.", child))
    return None
