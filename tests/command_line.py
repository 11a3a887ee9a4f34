"""The command line as tests call it: in this process, which is fast, or in one of its own."""

from __future__ import annotations

import io
import linecache
import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from subprocess import PIPE, CompletedProcess
from typing import Any, Protocol
from unittest.mock import patch

import pytest

from costlab.cli import main


class Run(Protocol):
    """The fixture ``costlab``."""

    def __call__(
        self, *args: str, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> CompletedProcess[str]: ...


class RunProcess(Protocol):
    """The fixture ``costlab_process``: a process has streams, files or ``subprocess.PIPE``."""

    def __call__(
        self,
        *args: str,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdout: Any = PIPE,
        stderr: Any = PIPE,
    ) -> CompletedProcess[str]: ...


def environment(**more: str) -> dict[str, str]:
    """That of the tests, without how wide their terminal is and that they run on GitHub."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name != "COLUMNS" and not name.startswith("GITHUB_")
    }
    return {**kept, **more}


def in_a_process(
    *args: str,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdout: Any = PIPE,
    stderr: Any = PIPE,
) -> CompletedProcess[str]:
    """``python -m costlab``; for what only a process has: streams, an encoding, an exit code.

    Without a time limit: a busy machine would reach it.
    """
    return subprocess.run(
        [sys.executable, "-m", "costlab", *args],
        cwd=cwd,
        env=environment() if env is None else env,
        stdout=stdout,
        stderr=stderr,
        encoding="utf-8",
        check=False,
    )


def in_this_process(
    *args: str, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> CompletedProcess[str]:
    """The same without starting Python, loading torch and so on for each call.

    It sees what a process without a terminal sees. What it leaves in this one is undone: modules
    of the current folder, which another call may have under the same names, and what stands below.
    A warning is written to stderr, as a process does it, and is no error.
    """
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    modules = dict(sys.modules)
    with (
        pytest.MonkeyPatch.context() as patched,
        patch.dict(os.environ, environment() if env is None else env, clear=True),
        warnings.catch_warnings(record=True) as warned,
    ):
        patched.setattr(sys, "stdout", out)
        patched.setattr(sys, "stderr", err)
        patched.setattr(sys, "__stdout__", None)  # which is asked for the terminal's width
        patched.setattr(logging.getLogger(), "handlers", [])  # pytest's
        patched.setattr(sys, "path", list(sys.path))
        if cwd is not None:
            patched.chdir(cwd)
        warnings.resetwarnings()
        for ignored in (DeprecationWarning, PendingDeprecationWarning, ImportWarning):
            warnings.simplefilter("ignore", ignored)
        try:
            main(args)
        except SystemExit as end:
            code = end.code or 0
        finally:
            if cwd is not None:
                forget_modules(cwd, modules)
        linecache.checkcache()  # another folder may have had a file of the same name
        for warning in warned:
            err.write(warnings.formatwarning(warning.message, *warning_place(warning)))
    assert isinstance(code, int)
    return CompletedProcess(args, code, written(out), written(err))


def warning_place(warning: warnings.WarningMessage) -> tuple[type[Warning], str, int]:
    return warning.category, warning.filename, warning.lineno


def written(stream: io.TextIOWrapper) -> str:
    stream.flush()
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue().decode()


def forget_modules(folder: Path, before: Mapping[str, Any]) -> None:
    """Those that were imported from the folder; in their place, what had their names before."""
    if sys.modules == before:  # as after most tests, and many times faster than to look at each
        return
    for name, module in list(sys.modules.items()):
        if module is before.get(name):
            continue
        file = getattr(module, "__file__", None)
        if file and Path(file).is_relative_to(folder):
            del sys.modules[name]
            if name in before:
                sys.modules[name] = before[name]
