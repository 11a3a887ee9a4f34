"""The architectures, one file per family. No torch in here: an architecture is a graph.

A file registers its architectures with ``@architecture``; every file in this folder is found, and
``FILES`` says in which one a name is, so that who asks for a network waits for no others.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from costlab.catalog.registry import ARCHITECTURES, Architecture
from costlab.errors import UnknownNameError

FILES = {
    "alexnet": "alexnet",
    "bn_inception": "bn-inception",
    "googlenet": "googlenet",
    "inception_module": "naive reduced factorized pointwise",
    "inception_resnet": "inception-resnet-v1 inception-resnet-v2 residual",
    "inception_v3": "inception-v2 inception-v3 asymmetric expanded grid-reduction",
    "inception_v4": "inception-v4 reduction-a reduction-b",
    "lenet": "lenet5",
    "mobilenet": "mobilenet-v1",
    "resnet": "resnet50",
    "vgg": "vgg11 vgg13 vgg16 vgg19",
    "xception": "xception",
}
"""The names of the architectures in each file."""

_FILE_OF = {name: file for file, names in FILES.items() for name in names.split()}


@cache
def architectures() -> dict[str, Architecture]:
    """All architectures by name."""
    for module in iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
    return dict(sorted(ARCHITECTURES.items()))


def architecture(name: str) -> Architecture:
    """The architecture of that name. Raises ``UnknownNameError``, with what was perhaps meant."""
    if name in _FILE_OF:
        import_module(f"{__name__}.{_FILE_OF[name]}")
        return ARCHITECTURES[name]
    try:
        return architectures()[name]
    except KeyError:
        hint = (
            "costlab list shows them all; a library's are written timm:NAME, torchvision:NAME or "
            "hf:NAME, Python code file.py:NAME or module:NAME"
        )
        raise UnknownNameError("model", name, architectures(), hint) from None
