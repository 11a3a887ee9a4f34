"""The command line."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

__all__ = ["main"]


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit. What it needs is imported here, as that may be interrupted."""
    try:
        from costlab.cli.commands import main as run
    except KeyboardInterrupt:
        print("costlab: interrupted", file=sys.stderr)
        sys.exit(130)
    run(args)
