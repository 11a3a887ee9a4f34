"""What foreign code has put in the place of torch's functions, and of methods of module classes."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from torch import Tensor, nn

from costlab.torch_private import recurrent_functions


class TorchNames:
    """The functions and classes in torch's modules, and all that classes of modules have.

    What is no function may be a setting or something known. A name that is new in a module is left,
    since an import adds such; but in these classes, and in the module that torch's own code asks
    for functions of C++, it hides what was there.
    """

    def __init__(self, modules: Iterable[nn.Module] = ()) -> None:
        kinds = {Tensor: None, nn.Module: None} | {type(module): None for module in modules}
        bases = {base: None for kind in kinds for base in kind.__mro__[:-1]}
        self._modules = [
            (home, dict(vars(home)))
            for name, home in list(sys.modules.items())
            if name.partition(".")[0] == "torch" and isinstance(home, ModuleType)
        ]
        self._hiding: list[tuple[Any, dict[str, Any]]] = [
            (home, dict(vars(home))) for home in (recurrent_functions, *bases)
        ]

    def put_back(self) -> None:
        """Make them what they were."""
        for home, names in self._modules:
            now = vars(home)
            for name, value in names.items():
                if now.get(name) is not value and callable(value):
                    setattr(home, name, value)
        for home, names in self._hiding:
            now = dict(vars(home))
            for name in [name for name in {**names, **now} if now.get(name) is not names.get(name)]:
                if name in names:
                    setattr(home, name, names[name])
                else:
                    delattr(home, name)
