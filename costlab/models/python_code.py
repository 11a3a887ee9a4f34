"""MODEL as Python code: ``package.module:factory(width=2)``, ``file.py:factory``.

The code is imported, which runs it. What stands in parentheses are literals, never evaluated.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from costlab.errors import CodeError, CostlabError, said_of, suggestion
from costlab.models.arguments import AFTER, literals
from costlab.models.module import followed
from costlab.models.reference import Accepts, Network, Run

if TYPE_CHECKING:
    from torch import nn


_CODE = re.compile(rf"(?P<place>.*?\.py|[\w.]+):(?P<name>[\w.]+){AFTER}", re.DOTALL)
"""A file ends where ``.py:`` stands first: it may be on a drive, as in ``C:\\nets\\mine.py``."""


@dataclass(frozen=True)
class Code:
    """What makes a module, by its place and name, with choices and a part."""

    text: str
    place: str
    name: str
    choices: dict[str, Any]
    part: str

    @property
    def accepts(self) -> frozenset[Accepts]:
        return frozenset({"input size", "choices", "run"})

    def network(
        self, input_size: tuple[int, ...] | None, run: Run, choices: dict[str, Any]
    ) -> Network:
        module = load(self.place, self.name, self.choices | choices)
        whole = followed(module, input_size, run, self.text.removesuffix(f"/{self.part}"))
        return Network(whole.graph.part(self.part)) if self.part else whole


class _Code:
    grammar = ("package.module:factory", "'file.py:factory(width=2)/head'")

    def read(self, model: object) -> Code | None:
        if not isinstance(model, str):
            return None
        text = model.strip()
        if match := _CODE.fullmatch(text):
            choices = literals(model, match["choices"] or "")
            return Code(text, match["place"], match["name"], choices, match["part"] or "")
        if text.endswith(".py"):
            raise CodeError(f"{model} is a file: say what makes the module, such as {model}:NAME")
        return None


FRONTEND = _Code()


def load(place: str, name: str, arguments: dict[str, Any]) -> nn.Module:
    """The module that ``name`` in the Python file or module ``place`` is, or makes when called.

    Raises ``CodeError`` if it cannot be imported, is not there, or gives no ``nn.Module``.
    """
    with _here(place):
        with _blamed(f"cannot import {place}:"):
            found: Any = _imported(place)
        from torch import nn

        with _blamed(f"{place}:{name} raised"):
            for part in name.split("."):
                if not hasattr(found, part):
                    raise CodeError(
                        f"{place} has no {part!r}{suggestion(part, _callables(found))}; "
                        f"write {place}:NAME, a class or a function"
                    )
                found = getattr(found, part)
            if isinstance(found, nn.Module):
                if arguments:
                    raise CodeError(f"{place}:{name} is a module already and takes no choices")
                return found
            if not callable(found):
                raise CodeError(
                    f"{place}:{name} is neither an nn.Module nor a callable that returns one"
                )
            made = found(**arguments)
            if not isinstance(made, nn.Module):
                raise CodeError(f"{place}:{name} gives {type(made).__name__}, not an nn.Module")
    return made


def _callables(home: Any) -> list[str]:
    """What can be called there; some packages have names whose import fails."""
    known = []
    for name in dir(home):
        with suppress(Exception):
            if callable(getattr(home, name)):
                known.append(name)
    return sorted(known)


def _imported(place: str) -> ModuleType:
    if not place.endswith(".py"):
        return importlib.import_module(place)
    path = Path(place)
    if not path.is_file():
        raise CodeError(f"there is no file {place}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # as for an import, so that its classes can be pickled
    spec.loader.exec_module(module)
    return module


@contextmanager
def _blamed(what: str) -> Iterator[None]:
    """Whatever user code raises is a ``CodeError``, ``sys.exit`` too; only Ctrl-C is not."""
    try:
        yield
    except (CostlabError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise CodeError(f"{what} {said_of(error)}") from error


@contextmanager
def _here(place: str) -> Iterator[None]:
    """Imports look in the current folder, and beside a file, first."""
    before = list(sys.path)
    sys.path[:0] = (
        [str(Path(place).resolve().parent)] if place.endswith(".py") else [str(Path.cwd())]
    )
    try:
        yield
    finally:
        sys.path[:] = before
