"""MODEL as a program of ``torch.export``: ``net.pt2``, or a ``torch.export.ExportedProgram``.

A file is read as data: no code of it is run, and its weights are not read.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from costlab import formatting
from costlab.errors import ChoiceError, ShapeError
from costlab.graph.op import Shape
from costlab.graph.sizes import Sizes
from costlab.models.arguments import read_as
from costlab.models.module import Made
from costlab.models.reference import Accepts, Network, Run

if TYPE_CHECKING:
    from torch import nn

    from costlab.programs.program import Input, Program

_FILE = re.compile(r"(?P<where>.*\.pt2)(/(?P<part>[^()/]*(/[^()]*)?))?", re.DOTALL)
_DERIVED = re.compile(
    r"((?P<factor>[1-9]\d*)\*)?(?P<symbol>[^\W\d]\w*)( (?P<sign>[+-]) (?P<offset>\d+))?"
)
"""A dimension that is a symbol, or computed of one, as torch's ``Dim`` can be: ``2*s77 + 1``."""


class Exported(Made):
    """A program: ``exported`` is one of torch's, or None for that of the file ``where``."""

    def __init__(self, text: str, where: str, part: str, exported: Any = None) -> None:
        self.text, self.where, self.part, self.exported = text, where, part, exported

    @property
    def accepts(self) -> frozenset[Accepts]:
        return frozenset({"input size"})

    def module(self, choices: dict[str, Any]) -> nn.Module:
        """The program as a module; its tensors are on ``meta`` if it is a file's."""
        if choices:
            raise ChoiceError("an exported program takes no choices: give them where it is made")
        if self.exported is not None:
            from costlab.programs.exported import program_of
            from costlab.programs.module import module_of

            return module_of(program_of(self.exported))
        from costlab.programs.pt2 import read

        return read(self.where)

    def sized(
        self, module: nn.Module, size: Shape | Sizes | None, run: Run
    ) -> tuple[Shape | Sizes | None, Run]:
        program = _program(module)
        shapes = _shapes(program, size)
        types = [str(given.kind.dtype).removeprefix("torch.") for given in program.inputs]
        return Sizes(shapes), replace(run, input_type=types)

    def varying(self, symbols: Iterable[str] = ()) -> tuple[Sizes, dict[str, int]]:
        """The program's inputs with its own names, and the sizes that it was exported with.

        Raises ``ShapeError`` where nothing varies.
        """
        shapes: list[Any] = []
        near: dict[str, int] = {}
        derived: dict[str, str] = {}
        for given in _program(self.module({})).inputs:
            names = []
            for axis, dim in enumerate(given.kind.dims):
                name = _symbol(dim.name, given.name, axis)
                names.append(derived.setdefault(dim.name, name) if _is_derived(dim.name) else name)
            shapes.append(
                tuple(name or dim.size for name, dim in zip(names, given.kind.dims, strict=True))
            )
            for name, dim in zip(names, given.kind.dims, strict=True):
                if name and dim.size > 1:
                    near.setdefault(name, dim.size)
        if not any(isinstance(size, str) for shape in shapes for size in shape):
            raise ShapeError(
                f"{self.text or 'the program'} was exported for {formatting.shapes(shapes)} alone, "
                "so nothing of it varies: costlab show counts it (dynamic_shapes of the exporter "
                "say what may vary)"
            )
        return Sizes(tuple(shapes)), near

    def network(
        self, input_size: Shape | Sizes | None, run: Run, choices: dict[str, Any]
    ) -> Network:
        module = self.module(choices)
        network = self.of_model(module, input_size, run)
        if self.part:
            return network
        about = _about(_program(module), network.graph.inputs)
        return network._replace(graph=replace(network.graph, about=about))


def _program(module: nn.Module) -> Program:
    program: Program = module.__dict__["program"]()
    return program


def _shapes(program: Program, size: Shape | Sizes | None) -> tuple[Shape, ...]:
    """The shapes of inputs: those that were exported, or those asked for, if it takes them.

    Raises ``ShapeError``.
    """
    own = tuple(given.kind.shape for given in program.inputs)
    if isinstance(size, Sizes):
        if size.named:
            raise ShapeError("an exported program takes its inputs in order: give sizes alone")
        asked = size.positional or own
        shapes = tuple(map(size.batched, asked))
    else:
        shapes = own if size is None else (size,)
    if len(shapes) != len(own):
        takes = formatting.plural(len(own), "input")
        raise ShapeError(f"the program takes {takes}, {formatting.shapes(own)}: give all, or none")
    for given, shape in zip(program.inputs, shapes, strict=True):
        if 0 in shape and any(dim.name and not dim.size for dim in given.kind.dims):
            dims = "×".join(str(dim.size or dim.name) for dim in given.kind.dims)
            raise ShapeError(
                f"input {given.name} is {dims} in the program: give an input size (--input-size)"
            )
    known: dict[str, int] = {}
    for number, (given, shape) in enumerate(zip(program.inputs, shapes, strict=True), 1):
        _require(program, number, given, shape, known)
    return shapes


def _require(
    program: Program, number: int, given: Input, shape: Shape, known: dict[str, int]
) -> None:
    """Raises ``ShapeError`` for a shape that the program was not exported for."""
    what = f"input {number} is {formatting.shape(given.kind.shape)}"
    dims = given.kind.dims
    if len(shape) != len(dims):
        raise ShapeError(f"{what} in the program, and {formatting.shape(shape)} is not of its rank")
    for axis, (dim, size) in enumerate(zip(dims, shape, strict=True)):
        if not dim.name and dim.size != size:
            free = [str(n) for n, other in enumerate(dims) if other.name]
            hint = f"only {', '.join(free)} may vary" if free else "none may vary"
            raise ShapeError(
                f"{what} in the program, whose dimension {axis} is {dim.size}, not {size}: of its "
                f"dimensions {hint} (dynamic_shapes of torch.export)"
            )
        varying = _DERIVED.fullmatch(dim.name)
        if varying is None:
            continue
        least, most = program.limits.get(dim.name, (0, None))
        if not (least <= size and (most is None or size <= most)):
            limit = "" if most is None else f" to {most}"
            raise ShapeError(f"{what} in the program, whose dimension {axis} is {least}{limit}")
        offset = int(varying["offset"] or 0) * (-1 if varying["sign"] == "-" else 1)
        factor, symbol = int(varying["factor"] or 1), varying["symbol"]
        if (size - offset) % factor:
            raise ShapeError(
                f"{what} in the program, whose dimension {axis} is {dim.name}: {size} is not"
            )
        before = factor * known.setdefault(symbol, (size - offset) // factor) + offset
        if before != size:
            raise ShapeError(
                f"the program has one size, {dim.name}, for what is {before} and {size}"
            )


def _about(program: Program, shapes: tuple[Shape, ...]) -> str:
    """What is to be said of it: who exported it, and what its dimensions are here."""
    sizes: dict[str, int] = {}
    if any(type(size) is not int for shape in shapes for size in shape):  # symbols, with conditions
        return _sentence(program.about)
    for given, shape in zip(program.inputs, shapes, strict=True):
        for dim, size in zip(given.kind.dims, shape, strict=True):
            if dim.name:
                sizes.setdefault(dim.name, size)
    varying = ", ".join(f"{name} = {size}" for name, size in sizes.items())
    parts = [program.about, f"dimensions that may vary are counted at {varying}" if sizes else ""]
    return _sentence("; ".join(filter(None, parts)))


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _is_derived(name: str) -> bool:
    """Whether it is a size that is computed of a symbol: the same one wherever it stands."""
    return _DERIVED.fullmatch(name) is not None


def _symbol(name: str, owner: str, axis: int) -> str:
    """A name for a dimension that varies, its own if that is one; "" for one that does not."""
    if not name or (name.isidentifier() and not name.startswith("_")):
        return name
    return re.sub(r"\W", "_", f"{owner}_{axis}").lstrip("_")


class _Programs:
    priority = 3
    about = "a program of torch.export.save, of which nothing is run"
    grammar = ("net.pt2", "net.pt2/part")

    def read(self, model: object) -> Exported | None:
        if isinstance(model, str):
            match = read_as(_FILE, model)
            return match and Exported(match.string, match["where"], match["part"] or "")
        torch = sys.modules.get("torch.export")  # who has a program has imported it
        if torch is not None and isinstance(model, torch.ExportedProgram):
            return Exported("", "", "", model)
        return None


FRONTEND = _Programs()
