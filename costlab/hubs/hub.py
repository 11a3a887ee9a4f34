"""What costlab asks of a library that has models by names."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from costlab.errors import CodeError, said_of
from costlab.graph.op import Shape

if TYPE_CHECKING:
    from torch import nn


class HubInput(NamedTuple):
    """The shape of an input, and its type; ``""`` is that of the parameters."""

    shape: Shape
    dtype: str = ""


class Hub(Protocol):
    """A library; a file of this folder for each, with its ``HUB``."""

    def names(self) -> list[str]:
        """The models that it has; none of which it is not known."""

    def build(self, name: str, choices: dict[str, Any]) -> nn.Module:
        """A model without weights."""

    def inputs(self, name: str, module: nn.Module) -> dict[str, HubInput]:
        """What it is called with, by the names of forward's arguments; empty if not known."""

    def printed(self, name: str) -> str:
        """What the library prints of it, for people; ``""`` for nothing."""


def hub_named(name: str) -> Hub:
    """The hub of that name; its library is imported when it is asked."""
    hub: Hub = import_module(f"costlab.hubs.{name}").HUB
    return hub


def library(package: str) -> Any:
    """The library. Raises ``CodeError`` that says how to get it."""
    try:
        return import_module(package)
    except ImportError as error:
        if getattr(error, "name", "") == package:
            raise CodeError(f"{package} is not installed: pip install {package}") from None
        raise CodeError(f"{package} cannot be imported: {said_of(error)}") from error
    except Exception as error:  # such as a build for another torch
        raise CodeError(f"{package} cannot be imported: {said_of(error)}") from error
