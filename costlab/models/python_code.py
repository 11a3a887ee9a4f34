"""MODEL as Python code: ``package.module:factory(width=2)``, ``file.py:factory``.

The code is imported, which runs it. What stands in parentheses are literals, never evaluated.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from costlab.errors import CodeError, CostlabError, place_of, suggestion
from costlab.models.arguments import AFTER, literals
from costlab.models.module import followed
from costlab.models.reference import Accepts, Network, Run

if TYPE_CHECKING:
    from torch import nn


_CODE = re.compile(rf"(?P<where>[^():]*\.py|[\w.]+):(?P<name>[\w.]+){AFTER}", re.DOTALL)


@dataclass(frozen=True)
class Code:
    """A class, function or module in Python code: ``where`` is a file or package, ``name`` in it.

    ``choices`` are its arguments, ``part`` the part of the model that is meant, or ``""``.
    """

    text: str
    where: str
    name: str
    choices: dict[str, Any]
    part: str

    @property
    def accepts(self) -> frozenset[Accepts]:
        return frozenset({"input size", "choices", "run"})

    def network(
        self, input_size: tuple[int, ...] | None, run: Run, choices: dict[str, Any]
    ) -> Network:
        module = load_module(self.where, self.name, self.choices | choices)
        network = followed(module, input_size, run, self.text.removesuffix(f"/{self.part}"))
        return Network(network.graph.part(self.part)) if self.part else network


class _Code:
    grammar = ("package.module:factory", "'file.py:factory(width=2)/head'")

    def read(self, model: object) -> Code | None:
        if not isinstance(model, str):
            return None
        text = model.strip()
        if match := _CODE.fullmatch(text):
            choices = literals(model, match["choices"] or "")
            return Code(text, match["where"], match["name"], choices, match["part"] or "")
        if text.endswith(".py"):
            raise CodeError(f"{model} is a file: say what makes the module, such as {model}:NAME")
        return None


FRONTEND = _Code()


def load_module(where: str, name: str, arguments: dict[str, Any]) -> nn.Module:
    """The module that ``name`` in the Python file or module ``place`` is, or makes when called.

    Raises ``CodeError`` if it cannot be imported, is not there, or gives no ``nn.Module``.
    """
    with _here(where):
        member: Any = _imported(where)
        for part in name.split("."):
            if not hasattr(member, part):
                known = sorted(name for name in dir(member) if callable(getattr(member, name)))
                raise CodeError(
                    f"{where} has no {part!r}{suggestion(part, known)}; "
                    f"write {where}:NAME, a class or a function"
                )
            member = getattr(member, part)
        from torch import nn

        if isinstance(member, nn.Module):
            if arguments:
                raise CodeError(f"{where}:{name} is a module already and takes no choices")
            return member
        if not callable(member):
            raise CodeError(
                f"{where}:{name} is neither an nn.Module nor a callable that returns one"
            )
        try:
            module = member(**arguments)
        except CostlabError:
            raise
        except Exception as error:
            raise CodeError(f"{where}:{name} raised {_in_one_line(error)}") from error
    if not isinstance(module, nn.Module):
        raise CodeError(f"{where}:{name} gives {type(module).__name__}, not an nn.Module")
    return module


def _imported(where: str) -> ModuleType:
    try:
        if not where.endswith(".py"):
            return importlib.import_module(where)
        path = Path(where)
        if not path.is_file():
            raise CodeError(f"there is no file {where}")
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module  # as for an import, so that its classes can be pickled
        spec.loader.exec_module(module)
        return module
    except CostlabError:
        raise
    except (Exception, SystemExit) as error:
        raise CodeError(f"cannot import {where}: {_in_one_line(error)}") from error


@contextmanager
def _here(where: str) -> Iterator[None]:
    """Imports look in the current folder, and beside a file, first."""
    before = list(sys.path)
    sys.path[:0] = (
        [str(Path(where).resolve().parent)] if where.endswith(".py") else [str(Path.cwd())]
    )
    try:
        yield
    finally:
        sys.path[:] = before


def _in_one_line(error: BaseException) -> str:
    text = f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": ")
    return text + place_of(error)
