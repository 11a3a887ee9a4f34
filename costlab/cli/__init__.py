"""The command line."""

from costlab.cli.commands import main

__all__ = ["main"]
