"""Parameters that a module uses and has not registered, such as those of layers in a plain list.

``module.parameters()`` lacks them, and so do optimizers and other counters: they are no params. The
result says so, by the names under which the modules hold them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor, nn

from costlab.isolation.contents import is_opened
from costlab.trace.module_stack import Places
from costlab.trace.tape import Tape

_DEPTH = 8
"""How deep names are looked for: in a list in a dict in an object..."""


def name_unregistered(tape: Tape, places: Places) -> None:
    """Give the parameters among the constants of a run the names by which modules hold them."""
    strays = tape.stored.unregistered()
    if not strays:
        return
    names: dict[int, str] = {}
    for module in places.modules:
        path = places.by_identity[id(module)]
        own = [(name, value) for name, value in vars(module).items() if not name.startswith("_")]
        for name, tensor in _named(f"{path}." if path else "", own, _DEPTH):
            names.setdefault(id(tensor), name)
    taken = {value.name for value in tape.values}
    for count, (number, tensor) in enumerate(strays.items(), 1):
        name = names.get(id(tensor), f"elsewhere.{count}")
        if name in taken:  # a module registers another one under the name
            name = f"{name} ({count})"
        taken.add(name)
        whole = tuple(tensor.shape)  # where layers took a view of it
        tape.values[number] = tape.values[number]._replace(name=name, shape=whole)


def _named(inside: str, items: Any, depth: int) -> Iterator[tuple[str, Tensor]]:
    """The tensors in what modules hold, by their names there: ``layers.0.weight``."""
    if not depth:
        return
    for key, value in items:
        name = f"{inside}{key}"
        if isinstance(value, Tensor):
            yield name, value
        elif isinstance(value, nn.Module):
            yield from ((f"{name}.{own}", tensor) for own, tensor in value.named_parameters())
        elif isinstance(value, Mapping):
            yield from _named(f"{name}.", value.items(), depth - 1)
        elif isinstance(value, (list, tuple)):
            yield from _named(f"{name}.", enumerate(value), depth - 1)
        elif is_opened(type(value)) and hasattr(value, "__dict__"):
            yield from _named(f"{name}.", vars(value).items(), depth - 1)
