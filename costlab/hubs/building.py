"""Models of hubs as modules, on ``meta`` where their library can build them there."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
from torch import nn

from costlab.errors import ChoiceError, CodeError, CostlabError, UnknownNameError, said_of
from costlab.hubs.hub import hub_named
from costlab.isolation.torch_globals import seeded
from costlab.trace.without_values import note_made

_FETCHED = ("weights", "weights_backbone", "pretrained", "pretrained_backbone", "checkpoint_path")
"""Choices that let a library fetch or read weights."""


def built(text: str, hub: str, name: str, choices: dict[str, Any], real: bool = False) -> nn.Module:
    """The module of that name in a hub; ``real`` says that its values matter.

    Raises ``UnknownNameError``, ``CodeError``.
    """
    if wanted := [name for name in _FETCHED if choices.get(name)]:
        raise ChoiceError(f"costs need no weights, and nothing is fetched: leave out {wanted[0]}")
    own = hub_named(hub)
    names = own.names()
    if names and name not in names:
        raise UnknownNameError(f"model of {hub}", name, names, f"see: costlab list {hub}:")
    try:
        with seeded(load_numpy=real):
            try:
                with nullcontext() if real else torch.device("meta"):
                    module = own.build(name, choices)
            except (NotImplementedError, RuntimeError):  # it computes with values
                if real:
                    raise
                module = own.build(name, choices)
    except CostlabError:
        raise
    except Exception as error:
        raise CodeError(f"{text} cannot be built: {said_of(error)}") from error
    if not real:
        note_made(module)
    return module.eval()
