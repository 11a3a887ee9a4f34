"""Which layers ``[...]`` means.

A name is an operation (``conv``, or ``conv2d`` with its rank) if the model has it, and else the
path of a scope or layer (``inception_3a``, ``inception_3a.branch5x5``). Parts are often called
after the operation that they hold, so a name that is both is the operation; but where the part of
that name holds none of it, that is ambiguous and an error. ``op.conv`` is always the operation,
``"conv"`` in quotes always the path. A path in quotes may have ``*`` and ``?``; then it is a
pattern of the paths of layers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from costlab.errors import suggestion
from costlab.expressions.mistakes import MistakeError
from costlab.expressions.nodes import Selector
from costlab.graph import Layer
from costlab.graph.paths import ancestry


def selected(
    selectors: Iterable[Selector], layers: Sequence[Layer], require_in: str = ""
) -> list[int]:
    """The numbers of the layers that are meant, each once, in order; all without selectors.

    Raises ``MistakeError`` for an ambiguous selector, and, if a model's name is given, for one that
    fits no layer of that model.
    """
    fits = []
    for selector in selectors:
        fits.append(fitting(selector, layers))
        if require_in and not fits[-1]:
            raise absent(selector, require_in, layers)
    return sorted(set().union(*fits)) if fits else [*range(len(layers))]


def fitting(selector: Selector, layers: Sequence[Layer]) -> set[int]:
    """The numbers of the layers that one selector means.

    Raises ``MistakeError`` for an ambiguous one.
    """
    text = selector.text
    if selector.form == "path":
        return _at(text, layers) or {
            number for number, layer in enumerate(layers) if fnmatchcase(layer.path, text)
        }
    operation = {
        number
        for number, layer in enumerate(layers)
        if text == layer.op.kind or text == layer.op.label(*layer.inputs)
    }
    if selector.form == "operation":
        return operation
    path = _at(text, layers)
    if operation and path and not operation & path:
        raise MistakeError(
            f"{text} is an operation, and also a part of the model without it: write op.{text} for "
            f'the operation, "{text}" in quotes for the part',
            selector.place,
        )
    return operation or path


def absent(selector: Selector, model: str, layers: Sequence[Layer]) -> MistakeError:
    """That the model has no such layer, with what was perhaps meant."""
    known: set[str] = set()
    for layer in layers:
        if selector.form != "path":
            known |= {layer.op.kind, layer.op.label(*layer.inputs)}
        if selector.form != "operation":
            known |= {*ancestry(layer.path)}
    close = suggestion(selector.text, sorted(known))
    return MistakeError(f"{model} has no layer {selector.text!r}{close}", selector.place)


def _at(path: str, layers: Sequence[Layer]) -> set[int]:
    """The layer of that path, or those inside the scope of that path."""
    scope = f"{path}."
    return {
        number
        for number, layer in enumerate(layers)
        if layer.path == path or layer.path.startswith(scope)
    }
