"""Python files that users name, as modules: each is run once, as an import does it.

A class that a model and its inputs share is then one class, however both are named: by the file, by
a module (``mine:Net``), or by an import in another file. A file that has changed is run anew.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module, reload
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
    before = sys.modules.get(path.stem)
    loader = _Loader(path.stem, file, text)
    spec = spec_from_file_location(path.stem, file, loader=loader)
    assert spec is not None
    module = module_from_spec(spec)
    sys.modules[path.stem] = module  # as for an import, so that its classes can be pickled
    try:
        loader.exec_module(module)
    except BaseException as error:
        sys.modules.pop(path.stem, None)
        if before is not None:
            sys.modules[path.stem] = before
        if isinstance(error, ImportError) and "no known parent package" in str(error):
            return _run_in_package(path)
        raise
    return module


def _run_in_package(path: Path) -> ModuleType:
    """The module of a file that imports from its package, as a part of that."""
    folder = path.parent
    names = [folder.name, path.stem]
    while (folder / "__init__.py").is_file() and (folder.parent / "__init__.py").is_file():
        folder = folder.parent
        names.insert(0, folder.name)
    sys.path.insert(0, str(folder.parent))  # until the end of `importing_beside`
    name = ".".join(names)
    return reload(sys.modules[name]) if name in sys.modules else import_module(name)


def folder_of(where: str) -> Path:
    """The folder that code is in: of a file, or the current one."""
    return Path(where).resolve().parent if where.endswith(".py") else Path.cwd()


@contextmanager
def importing_beside(where: str) -> Iterator[None]:
    """Imports look in the current folder, and beside a file, first."""
    path, before = list(sys.path), set(sys.modules)
    folder = folder_of(where)
    sys.path[:0] = [str(folder)]
    try:
        yield
    finally:
        sys.path[:] = path
        for name in sys.modules.keys() - before:
            _note(sys.modules[name], folder)


def _note(module: ModuleType, folder: Path) -> None:
    """Remember a file of a folder that an import has run; not what is installed."""
    file = getattr(module, "__file__", None)
    if not isinstance(file, str) or not file.endswith(".py"):
        return
    with suppress(OSError):
        path = Path(file).resolve()
        if folder in path.parents and not {"site-packages", "dist-packages"} & {*path.parts}:
            _LOADED.setdefault(path, (module, path.read_bytes()))
