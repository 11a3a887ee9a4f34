"""Classifiers of torchvision, where it is installed: without its compiled operators too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import library, nn


def classifiers() -> Iterator[tuple[str, nn.Module, int]]:
    """Each by its name, on `meta` where its code can be made there, with the size of an image.

    Skips the test where there is no torchvision.
    """
    models = _torchvision().models
    for name in models.list_models(module=models):
        crops = [
            weights.transforms.keywords["crop_size"] for weights in models.get_model_weights(name)
        ]
        with torch.device("meta"):
            try:
                module = models.get_model(name, weights=None)
            except RuntimeError:  # of RegNet, which asks for values
                module = None
        yield name, module or models.get_model(name, weights=None), min(crops)


def _torchvision() -> Any:
    """The library, which may have been built for another torch: then it has no operators."""
    register = library.register_fake

    def without_operators(name: Any, *args: Any, **how: Any) -> Any:
        def registered(function: Any) -> Any:
            try:
                return register(name, *args, **how)(function)
            except RuntimeError:
                return function

        return registered

    with patch.object(library, "register_fake", without_operators):
        return pytest.importorskip("torchvision")
