"""MODEL as Python code: ``package.module:factory(width=2)``, ``file.py:factory``.

The code is imported, which runs it. What stands in parentheses are literals, never evaluated.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from costlab import user_files
from costlab.errors import CodeError, CostlabError, said_of, suggestion, unreadable
from costlab.models.arguments import AFTER, keywords, literals, read_as
from costlab.models.module import Made, is_model, owner_of
from costlab.models.python_files import folder_of, importing_beside, module_of_file
from costlab.models.source import arguments_in, defined_in, lacks, names_in

if TYPE_CHECKING:
    import ast

    from torch import nn


_CODE = re.compile(rf"(?P<where>.*?\.py|[\w.]+):(?P<name>[\w.]+)(?<!\.json){AFTER}", re.DOTALL)
"""A file ends where ``.py:`` stands first: it may be on a drive, as in ``C:\\nets\\mine.py``.

What ends in ``.json`` is a saved report, whatever its name.
"""


class Code(Made):
    """A class, function or module in Python code: ``where`` is a file or package, ``name`` in it.

    ``choices`` are its arguments, ``part`` the part of the model that is meant, or ``""``.
    """

    def __init__(
        self, text: str, where: str, name: str, choices: dict[str, Any], part: str
    ) -> None:
        self.text, self.where, self.name = text, where, name
        self.choices, self.part = choices, part

    def module(self, choices: dict[str, Any]) -> nn.Module:
        """The module, made with these arguments too; that of a method is its owner."""
        return owner_of(self.made(choices))

    def require(self) -> None:
        _require(self.where, self.name)

    def written_arguments(self) -> list[str] | None:
        """What it takes, where its text alone says it: nothing is imported."""
        is_file = self.where.endswith(".py")
        return arguments_in(Path(self.where), self.name) if is_file else None

    def arguments(self) -> Arguments | None:
        """What it takes when it is called. Raises ``CodeError`` if it cannot be imported."""
        with importing_beside(self.where), _blamed(f"{self.where}:{self.name} raised"):
            return arguments_of(_named(self.where, self.name))

    @property
    def defaults(self) -> dict[str, Any]:
        """What it takes, and what each argument is by default."""
        known = self.arguments()
        return {} if known is None else known.defaults

    def made(
        self, choices: dict[str, Any], real: bool = False, weightless: bool = False
    ) -> nn.Module | MethodType:
        """The module or method, made with these arguments too."""
        return load_model(self.where, self.name, self.choices | choices, real, weightless)

    def sources(self) -> Iterator[bytes]:
        """The code itself, and what it has imported of its own folder; not what is installed."""
        folder = folder_of(self.where)
        with importing_beside(self.where), suppress(CodeError):
            own = _imported(self.where)
            for _, module in sorted(sys.modules.items()):
                file = Path(getattr(module, "__file__", None) or "").resolve()
                installed = {"site-packages", "dist-packages"} & {*file.parts}
                if module is own or (folder in file.parents and not installed):
                    with suppress(OSError):
                        yield file.read_bytes()


class Arguments(NamedTuple):
    """What a callable takes, with defaults (``...`` for none), and whether it takes others."""

    defaults: dict[str, Any]
    others: bool


def arguments_of(member: Any) -> Arguments | None:
    """What it takes when it is called; None for a module, and where nothing says it."""
    from inspect import Parameter, signature  # here: a first answer does not wait for it

    if is_model(member) or not callable(member):
        return None
    try:
        known = signature(member).parameters.values()
    except (TypeError, ValueError):
        return None
    several = (Parameter.VAR_KEYWORD, Parameter.VAR_POSITIONAL)
    return Arguments(
        {
            own.name: ... if own.default is Parameter.empty else own.default
            for own in known
            if own.kind not in several
        },
        any(own.kind is Parameter.VAR_KEYWORD for own in known),
    )


class _Code:
    priority = 1
    about = "Python code, which is imported"
    grammar = ("package.module:factory", "'file.py:factory(width=2)/head'")

    def read(self, model: object) -> Code | None:
        if not isinstance(model, str):
            return None
        if match := read_as(_CODE, model):
            return _code(match, literals(model, match["choices"] or ""))
        if model.strip().endswith(".py"):
            names = names_in(Path(model.strip()), data=False)
            known = suggestion("", names) if names else ""
            raise CodeError(
                f"{model} is a file: say what makes the module, such as {model}:NAME{known}"
            )
        return None


FRONTEND = _Code()


def _code(match: re.Match[str], choices: dict[str, Any]) -> Code:
    return Code(match.string, match["where"], match["name"], choices, match["part"] or "")


def code_with_symbols(model: str) -> tuple[Code, dict[str, ast.expr]] | None:
    """Python code without its arguments, and these as Python reads them: some may have symbols.

    None for what is no Python code, or is written wrongly.
    """
    match = read_as(_CODE, model)
    if match is None:
        return None
    try:
        return _code(match, {}), keywords(match["choices"] or "")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


def names_in_arguments(model: str) -> dict[str, set[str]]:
    """The arguments of Python code that are made of names, and of which: symbols or mistakes."""
    import ast  # here: few models have any

    _, given = code_with_symbols(model) or (None, {})
    names = {
        argument: {node.id for node in ast.walk(value) if isinstance(node, ast.Name)}
        for argument, value in given.items()
    }
    return {argument: own for argument, own in names.items() if own}


def defaults_of(function: Callable[..., Any]) -> dict[str, Any]:
    """What a function takes, and the default of each argument; ``...`` where there is none."""
    known = arguments_of(function)
    return {} if known is None else known.defaults


def load_model(
    where: str,
    name: str,
    arguments: dict[str, Any],
    real: bool = False,
    weightless: bool = False,
) -> nn.Module | MethodType:
    """The module that ``name`` in the Python file or module ``where`` is, or makes when called.

    It may also be, or give, a method that is bound to one. It is made with the same random numbers
    each time; ``real`` says that its values matter, ``weightless`` that those of weights do not.
    Raises ``CodeError`` if it cannot be imported, is not there, or gives something else.
    """
    _require(where, name)
    with importing_beside(where):
        import torch  # noqa: F401 - a module is known once torch is there

        return model_of(lambda: _named(where, name), f"{where}:{name}", arguments, real, weightless)


def model_of(
    named: Callable[[], Any],
    name: str,
    arguments: dict[str, Any],
    real: bool = False,
    weightless: bool = False,
) -> nn.Module | MethodType:
    """The module that what is ``named`` is, or makes when called; see `load_model`."""
    from costlab.isolation.torch_globals import seeded

    with _blamed(f"{name} raised"):
        with seeded(load_numpy=real):  # apart: it is imported the first time alone
            member = named()
        if is_model(member):
            if arguments:
                raise CodeError(f"{name} is a module already and takes no choices")
            return member  # type: ignore[no-any-return]
        if not callable(member):
            raise CodeError(
                f"{name} is neither an nn.Module nor a class or function that gives one"
            )
        with seeded(load_numpy=real):
            model = None
            if weightless:
                from costlab.trace.weightless import made_weightless

                model = made_weightless(lambda: _called(name, member, arguments))
            if model is None:
                model = _called(name, member, arguments)
        if not is_model(model):
            raise CodeError(f"{name} gives {type(model).__name__}, not an nn.Module")
    return model  # type: ignore[no-any-return]


def _called(name: str, member: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """What it gives; of an argument that it does not take the error says which was meant."""
    try:
        return member(**arguments)
    except TypeError as error:
        from inspect import Parameter, signature  # here: a first answer does not wait for it

        with suppress(TypeError, ValueError):  # it has no signature
            known = signature(member).parameters
            open_to_all = any(taken.kind is Parameter.VAR_KEYWORD for taken in known.values())
            unknown = [argument for argument in arguments if argument not in known]
            missing = [
                argument
                for argument, taken in known.items()
                if taken.default is Parameter.empty
                and taken.kind in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
                and argument not in arguments
            ]
            if missing and not unknown:
                raise CodeError(
                    f"{name} needs {' and '.join(missing)}: write "
                    f"'{name}({', '.join(f'{argument}=...' for argument in missing)})', or name a "
                    "function without arguments that makes it"
                ) from error
            if unknown and not open_to_all:
                close = suggestion(unknown[0], list(known))
                raise CodeError(f"{name} takes no {unknown[0]!r}{close}") from error
        raise


def inputs_of(text: str) -> Any:
    """The inputs that ``file.py:NAME`` is, or gives when called.

    A tensor, a tuple of what forward takes, or a dict of keywords, of the same random numbers each
    time. Raises ``CodeError``.
    """
    match = read_as(_CODE, text)
    if match is None or match["part"]:
        raise CodeError(f"cannot read the inputs {text!r}: write FILE.py:NAME")
    where, name = match["where"], match["name"]
    _require(where, name, _INPUTS)
    from costlab.isolation.torch_globals import seeded

    with importing_beside(where), _blamed(f"{where}:{name} raised"):
        with seeded(load_numpy=True):  # apart: it is imported the first time alone
            member = _named(where, name, _INPUTS)
        if not callable(member):
            return member
        with seeded(load_numpy=True):
            return member(**literals(text, match["choices"] or ""))


def require_file(path: str) -> None:
    """Raises ``CodeError`` for a Python file that is not there."""
    _require(path)


def module_of(path: str) -> ModuleType:
    """The module of a Python file, imported for what it does. Raises ``CodeError``."""
    with importing_beside(path):
        return _imported(path)


_MODULES = "a class or a function"
_INPUTS = "a tensor, a tuple, a dict, or a function that gives one"


def _named(where: str, name: str, what: str = _MODULES) -> Any:
    """What has that name in a file or package, and is to be that; the name may have dots."""
    _require(where, name, what)
    member: Any = _imported(where)
    for part in name.split("."):
        if not hasattr(member, part):
            if inside := defined_in(getattr(member, "__path__", ()), part):
                home = f"{where}.{inside}"
                raise CodeError(f"{where} has no {part!r}, but {home}: write {home}:{part}")
            known = _callables(member) if what == _MODULES else _inputs(member)
            raise _absent(where, part, known, what)
        member = getattr(member, part)
    return member


def _absent(where: str, name: str, known: list[str], what: str) -> CodeError:
    close = suggestion(name, known)
    return CodeError(f"{where} has no {name!r}{close} (write {where}:NAME, {what})")


def _callables(home: Any) -> list[str]:
    """What can be called there; some packages have names whose import fails."""
    known = []
    for name in dir(home):
        with suppress(Exception):
            if callable(getattr(home, name)):
                known.append(name)
    return sorted(known)


def _inputs(home: Any) -> list[str]:
    """What a file has of its own that may be inputs, or give them."""
    from torch import Tensor

    return sorted(
        name
        for name, value in vars(home).items()
        if isinstance(value, (Tensor, tuple, FunctionType))
        or (isinstance(value, (list, dict)) and not name.startswith("_"))
    )


def _require(where: str, name: str = "", what: str = _MODULES) -> None:
    """Raises ``CodeError`` for a Python file that is not there, or that cannot have that name.

    That needs neither the code nor torch, which take seconds to import.
    """
    if not where.endswith(".py"):
        return
    path, first = Path(where), name.partition(".")[0]
    try:
        user_files.require_file(path)
    except OSError as error:
        raise CodeError(unreadable(where, error)) from None
    with suppress(OSError):  # what is wrong with it is said by its import
        if first and lacks(path, first):
            raise _absent(where, first, names_in(path, data=what == _INPUTS), what)


def _imported(where: str) -> ModuleType:
    with _blamed(f"cannot import {where}:"):
        if not where.endswith(".py"):
            try:
                if where.startswith("."):  # of which package nobody says
                    raise ModuleNotFoundError(name=where)
                return importlib.import_module(where)
            except ModuleNotFoundError as error:
                if error.name not in (where, where.partition(".")[0]):
                    raise
                from costlab.models.hub import hub_that_is_meant  # what is right does not wait

                hint = "write file.py:NAME, module:NAME, or a git REVISION:file.py:NAME"
                if hub := hub_that_is_meant(where):
                    hint = f"did you mean {hub}:NAME?"
                if where.endswith(".json"):
                    hint = f"a part of a report is written {where}/PART"
                raise CodeError(
                    f"cannot import {where}: there is no such Python module; {hint}"
                ) from error
        _require(where)
        return module_of_file(where)


@contextmanager
def _blamed(what: str) -> Iterator[None]:
    """Whatever user code raises is a ``CodeError``, ``sys.exit`` too; only Ctrl-C is not."""
    try:
        yield
    except (CostlabError, KeyboardInterrupt):
        raise
    except SystemExit as error:
        hint = "what is to run as a script alone stands under if __name__ == '__main__'"
        raise CodeError(f"{what} {said_of(error)}: {hint}") from error
    except BaseException as error:
        raise CodeError(f"{what} {said_of(error)}") from error
