"""Models of hubs as modules, on ``meta`` where their library can build them there."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn

from costlab.errors import ChoiceError, CodeError, CostlabError, UnknownNameError, said_of
from costlab.hubs.hub import hub_named
from costlab.isolation.torch_globals import seeded
from costlab.trace.weightless import made_weightless
from costlab.trace.without_values import note_made

_FETCHED = ("weights", "weights_backbone", "pretrained", "pretrained_backbone", "checkpoint_path")
"""Choices that let a library fetch or read weights."""


def built(
    text: str,
    hub: str,
    name: str,
    choices: dict[str, Any],
    real: bool = False,
    weightless: bool = False,
) -> nn.Module:
    """The module of that name in a hub.

    ``real`` says that its values matter, ``weightless`` that those of its weights do not, where it
    cannot be built on ``meta``.

    Raises ``UnknownNameError``, ``CodeError``.
    """
    if wanted := [name for name in _FETCHED if choices.get(name)]:
        raise ChoiceError(f"costs need no weights, and nothing is fetched: leave out {wanted[0]}")
    own = hub_named(hub)
    names = own.names()
    if names and name not in names:
        raise UnknownNameError(f"model of {hub}", name, names, f"see: costlab list {hub}:")
    try:
        with _unwarned(), seeded(load_numpy=real):
            build = partial(own.build, name, choices)
            module = (None if real else on_meta(build)) or (
                (made_weightless(build) if weightless else None) or build()
            )
    except CostlabError:
        raise
    except Exception as error:
        raise CodeError(f"{text} cannot be built: {said_of(error)}") from error
    if not real:
        note_made(module)
    return module.eval()


def on_meta(build: Callable[[], nn.Module]) -> nn.Module | None:
    """What is built on ``meta``; None where it computes with values."""
    try:
        with _unwarned(), torch.device("meta"):
            return build()
    except (NotImplementedError, RuntimeError):
        return None


@contextmanager
def _unwarned() -> Iterator[None]:
    """Without what libraries warn of while they fill weights."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
