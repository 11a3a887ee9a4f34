"""MODEL as a revision of git has it: ``main:mine.py:Net``, ``v1.0:package.module:Net``.

The revision is checked out into a temporary work tree, the model is made there, and nothing stays.
Like any Python code it is imported, which runs it.
"""

from __future__ import annotations

import importlib
import os
import pickle
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from costlab.errors import CodeError, ReportError, UnknownNameError, said_of
from costlab.graph import Graph
from costlab.interruptions import ended_only_after_this
from costlab.models.python_code import FRONTEND as PYTHON_CODE
from costlab.models.python_files import importing_beside
from costlab.models.reference import Accepts, Network, Reference, Run
from costlab.models.saved_report import FRONTEND as SAVED_REPORTS

_TEXT = re.compile(r"(?P<revision>[^:]*):(?P<model>[^:\\/].*)", re.DOTALL)
_NAME = re.compile(r"(?!.*\.\.)\w[\w./@{}^~+#-]*")
"""Names of revisions that we hand to git: none that it could take for an option or a range."""


class Revised(NamedTuple):
    """A model in Python code, or in a saved report, as a revision has it."""

    revision: str
    model: Reference

    @property
    def accepts(self) -> frozenset[Accepts]:
        return self.model.accepts

    @property
    def whole(self) -> Revised:
        """The same of a report without the part."""
        return self._replace(model=getattr(self.model, "whole", self.model))

    def network(
        self, input_size: tuple[int, ...] | None, run: Run, choices: dict[str, Any]
    ) -> Network:
        given = _Moved((run.inputs, run.kwargs))
        with self.there() as named:
            inputs, keywords = given.made_anew(getattr(self.model, "where", ""))
            own = replace(run, inputs=inputs, kwargs=keywords)
            network = self.model.network(input_size, own, choices)
            return network._replace(graph=named(network.graph))

    @contextmanager
    def there(self) -> Iterator[Callable[[Graph], Graph]]:
        """In here the revision is checked out; gives what names a graph after it."""
        with _checked_out(self.revision) as (commit, here, tree), _imports_from(here, tree):
            try:
                yield lambda graph: replace(
                    graph,
                    name=f"{self.revision}:{graph.name}",
                    about=f"As of {self.revision}, commit {commit}.",
                )
            except (CodeError, ReportError) as error:
                raise type(error)(f"at {self.revision}: {error}") from None


class _Moved:
    """Inputs for a revision: objects of the user's classes are made anew, of its own classes.

    Those of a file as it is now would be strangers to the revision's code: ``isinstance`` says no.
    """

    def __init__(self, given: Any) -> None:
        self._tensors: list[Any] = []
        self._given, self._pickled = given, None
        if any(value is not None for value in given):
            with _blamed_on_inputs():
                self._pickled = self._dumped(given)

    def made_anew(self, where: str) -> Any:
        """The inputs, inside of the revision; ``where`` its model is imported from."""
        if self._pickled is None:
            return self._given
        unpickler = pickle.Unpickler(BytesIO(self._pickled))
        unpickler.persistent_load = self._tensors.__getitem__  # type: ignore[method-assign]
        with importing_beside(where), _blamed_on_inputs():
            return unpickler.load()

    def _dumped(self, given: Any) -> bytes:
        from torch import Tensor

        def place_of_tensor(value: Any) -> int | None:
            if not isinstance(value, Tensor):
                return None
            self._tensors.append(value)
            return len(self._tensors) - 1

        file = BytesIO()
        pickler = pickle.Pickler(file)
        pickler.persistent_id = place_of_tensor  # type: ignore[method-assign]
        pickler.dump(given)
        return file.getvalue()


@contextmanager
def _blamed_on_inputs() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # whatever the user's classes raise
        raise CodeError(
            f"the inputs cannot be made anew for a revision ({said_of(error)}): give tensors, in "
            "tuples, lists and dicts"
        ) from error


class _Revisions:
    priority = 0  # what stands behind the revision is a MODEL of another kind
    about = "either of these as a git revision has it"
    grammar = ("main:file.py:factory", "v1.0:report.json")

    def read(self, model: object) -> Revised | None:
        match = _TEXT.fullmatch(model.strip()) if isinstance(model, str) else None
        if match is None or match["revision"].endswith((".py", ".json")):
            return None
        # Code has a colon of its own: package.module:Net is of no revision.
        inside = PYTHON_CODE.read(match["model"]) if ":" in match["model"] else None
        known: Reference | None = inside or SAVED_REPORTS.read(match["model"])
        if known is None or _is_file(match.string):
            return None
        if not _NAME.fullmatch(match["revision"]):
            raise CodeError(
                f"{match['revision']!r} is no name of a git revision: give a branch, a tag or a "
                f"commit, as in main:{match['model']}"
            )
        return Revised(match["revision"], known)


FRONTEND = _Revisions()


def _is_file(text: str) -> bool:
    """Whether the text names a file as it is, colons in its path and all."""
    whole = PYTHON_CODE.read(text) or SAVED_REPORTS.read(text)
    where = getattr(whole, "where", "") or getattr(whole, "file", "")
    try:
        return bool(where) and Path(where).is_file()
    except (OSError, ValueError):  # too long, or with a null byte
        return False


@contextmanager
def _checked_out(revision: str) -> Iterator[tuple[str, Path, Path]]:
    """The commit, the root of the user's own work tree, and that of one of the revision.

    The current folder is that of the same name in the revision's tree. Raises ``CodeError``.
    """
    from tempfile import TemporaryDirectory

    before = Path.cwd()
    here, prefix = Path(_git("rev-parse", "--show-toplevel")), _git("rev-parse", "--show-prefix")
    commit = _commit(revision)
    with ended_only_after_this(), TemporaryDirectory(prefix="costlab-") as temporary:
        # Resolved, since modules are known by where they are; named anew, since git knows it so.
        tree = Path(temporary).resolve() / Path(temporary).name
        try:
            _git("worktree", "add", "--quiet", "--detach", str(tree), commit)
            try:
                os.chdir(tree / prefix)
            except OSError:
                raise CodeError(f"{revision} has no folder {prefix}") from None
            yield commit[:12], here.resolve(), tree
        finally:
            os.chdir(before)
            if tree.exists():  # git has not undone it itself
                _git("worktree", "remove", "--force", "--force", str(tree))


def _commit(revision: str) -> str:
    try:
        return _git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    except CodeError:
        refs = _git("for-each-ref", "--format=%(refname:short)").split()
        hint = "a shallow clone has few: git fetch"
        raise UnknownNameError("git revision", revision, refs, hint) from None


_OF_A_REPOSITORY = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR")
"""What a hook of git sets: it would have us change the index that it is about."""


def _git(*arguments: str) -> str:
    """What git prints. No hook runs. Raises ``CodeError``."""
    import subprocess

    environment = {k: v for k, v in os.environ.items() if k not in _OF_A_REPOSITORY}
    command = ["git", "-c", f"core.hooksPath={os.devnull}", *arguments]
    try:
        done = subprocess.run(
            command,
            env=environment | {"GIT_LFS_SKIP_SMUDGE": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=True,
        )
    except FileNotFoundError:
        raise CodeError("a model of a git revision needs git, which is not installed") from None
    except subprocess.CalledProcessError as error:
        reason = " ".join(str(error.stderr).split()).removeprefix("fatal: ")
        if "not a git repository" in reason:
            raise CodeError("this folder is in no git repository, so it has no revisions") from None
        raise CodeError(f"git {arguments[0]} failed: {reason or 'it does not say why'}") from None
    return done.stdout.rstrip("\n")


@contextmanager
def _imports_from(here: Path, tree: Path) -> Iterator[None]:
    """Modules are imported from ``tree`` that else come from ``here``, and are forgotten again.

    Raises ``CodeError`` if one came from ``here`` nevertheless: it would not be the revision's.
    """
    modules, path = dict(sys.modules), list(sys.path)
    hidden = {name: module for name, module in modules.items() if _lies_in(name, module, here)}
    for name in hidden:
        del sys.modules[name]
    sys.path[:] = [
        str(tree / Path(p).relative_to(here)) if _own(Path(p), here) else p for p in path
    ]
    importlib.invalidate_caches()
    try:
        yield
        for name, module in list(sys.modules.items()):
            if module is not modules.get(name) and _lies_in(name, module, here):
                raise CodeError(
                    f"{name} was imported from {module.__file__}, not from the revision: "
                    "is its package installed from there?"
                )
    finally:
        for name, module in list(sys.modules.items()):
            if _lies_in(name, module, tree) or _lies_in(name, module, here):
                del sys.modules[name]
        sys.modules.update(hidden)
        sys.path[:] = path


def _lies_in(name: str, module: ModuleType, folder: Path) -> bool:
    """Whether it is a module of the user's own in that folder; costlab itself stays as it is."""
    if name.partition(".")[0] in ("costlab", "__main__"):
        return False
    known = getattr(module, "__dict__", {})
    places = [known.get("__file__"), *(known.get("__path__") or ())]
    return any(isinstance(place, str) and _own(Path(place), folder) for place in places)


def _own(place: Path, folder: Path) -> bool:
    """Whether it lies in the folder, and is not installed there, as in a virtual environment."""
    if not place.is_absolute() or {"site-packages", "dist-packages"} & set(place.parts):
        return False
    return Path(os.path.realpath(place)).is_relative_to(folder)
