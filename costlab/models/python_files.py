"""Python files that users name, as modules: each is run once, as an import does it.

A class that a model and its inputs share is then one class, however both are named: by the file, by
a module (``mine:Net``), or by an import in another file. A file that has changed is run anew, not
those that import it. What code outside of costlab has imported before is another module, but for
parts of packages.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType

_LOADED: dict[Path, tuple[ModuleType, bytes]] = {}
"""Files that were run, by their own places: the module, and what the file had in it then."""


def module_of_file(file: str) -> ModuleType:
    """The module of a file. Raises ``OSError``, and what its code raises."""
    path = Path(file).resolve()
    text = path.read_bytes()
    module, text_before = _LOADED.get(path, (None, b""))
    if module is None or text != text_before:
        module = _run(path, file, text)
        _LOADED[path] = module, text
    sys.modules[module.__name__] = module  # another file of that name may have been run since
    return module


class _Loader(SourceFileLoader):
    """Runs a text as that of a file: what was compiled of it may be of another one.

    Python knows the latter by its length and the second in which it was written.
    """

    def __init__(self, name: str, file: str, text: bytes) -> None:
        super().__init__(name, file)
        self._text = text

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self._text, self.path)


def _run(path: Path, file: str, text: bytes) -> ModuleType:
    try:
        return _run_as(path.stem, file, text)
    except ImportError as error:
        if "no known parent package" in str(error):
            return _run_in_package(path, text)
        raise


def _run_as(name: str, file: str, text: bytes) -> ModuleType:
    before = sys.modules.get(name)
    file = os.path.abspath(file)  # it is read again, for people, wherever the process is then
    loader = _Loader(name, file, text)
    spec = spec_from_file_location(name, file, loader=loader)
    assert spec is not None
    module = module_from_spec(spec)
    sys.modules[name] = module  # as for an import, so that its classes can be pickled
    try:
        loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        if before is not None:
            sys.modules[name] = before
        raise
    return module


def _run_in_package(path: Path, text: bytes) -> ModuleType:
    """The module of a file that imports from its package, as a part of that."""
    folder = path.parent
    names = [folder.name, path.stem]
    while (folder / "__init__.py").is_file() and (folder.parent / "__init__.py").is_file():
        folder = folder.parent
        names.insert(0, folder.name)
    _prefer(folder.parent)
    sys.path.insert(0, str(folder.parent))  # until the end of `importing_beside`
    name = ".".join(names)
    module = import_module(name)
    if Path(module.__file__ or "").resolve() != path:
        raise ImportError(f"{name} is already {module.__file__}: give the folder another name")
    return _run_as(name, str(path), text) if path in _LOADED else module


def folder_of(where: str) -> Path:
    """The folder that code is in: of a file, or the current one."""
    return Path(where).resolve().parent if where.endswith(".py") else Path.cwd()


@contextmanager
def importing_beside(where: str) -> Iterator[None]:
    """Imports look in the current folder, and beside a file, first."""
    path, before = list(sys.path), set(sys.modules)
    folder = folder_of(where)
    sys.path[:0] = [str(folder)]
    _prefer(folder)
    try:
        yield
    finally:
        sys.path[:] = path
        for name in sys.modules.keys() - before:
            _note(sys.modules[name], folder)


def _prefer(folder: Path) -> None:
    """Let names mean what this folder has, where files of another with these names were run."""
    for path, (module, _) in list(_LOADED.items()):
        name = module.__name__
        if _imported_from(path, name) == folder:
            sys.modules.setdefault(name, module)
        elif sys.modules.get(name) is module and _has(folder, name.partition(".")[0]):
            del sys.modules[name]


def _has(folder: Path, name: str) -> bool:
    return (folder / name).is_dir() or (folder / f"{name}.py").is_file()


def _imported_from(path: Path, name: str) -> Path:
    """The folder that an import has found a module in, or the package that it is a part of."""
    return path.parents[name.count(".") + (path.name == "__init__.py")]


def _note(module: ModuleType, folder: Path) -> None:
    """Remember a file of a folder that an import has run; not what is installed."""
    file = getattr(module, "__file__", None)
    if not isinstance(file, str) or not file.endswith(".py"):
        return
    with suppress(OSError):
        path = Path(file).resolve()
        if folder in path.parents and not {"site-packages", "dist-packages"} & {*path.parts}:
            _LOADED.setdefault(path, (module, path.read_bytes()))
