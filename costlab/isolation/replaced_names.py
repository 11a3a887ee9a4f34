"""What foreign code has put in the place of torch's functions, and of methods of module classes."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from itertools import chain
from operator import is_
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

    _last: _Loaded | None = None

    def __init__(self, modules: Iterable[nn.Module] = ()) -> None:
        kinds = {Tensor: None, nn.Module: None} | {type(module): None for module in modules}
        bases = {base: None for kind in kinds for base in kind.__mro__[:-1]}
        last = TorchNames._last
        self._loaded = last if last is not None and last.is_all_there_is() else _Loaded()
        TorchNames._last = self._loaded
        self._hiding: list[tuple[Any, dict[str, Any]]] = [
            (home, dict(vars(home))) for home in (recurrent_functions, *bases)
        ]

    def put_back(self) -> None:
        """Make them what they were."""
        self._loaded.put_back()
        for home, names in self._hiding:
            now = dict(vars(home))
            for name in [name for name in {**names, **now} if now.get(name) is not names.get(name)]:
                if name in names:
                    setattr(home, name, names[name])
                else:
                    delattr(home, name)


class _Loaded:
    """All names in the 1,000 modules of torch that are loaded, as they are now.

    The next run looks whether that is so still, a tenth of the time that copies of them take.
    """

    def __init__(self) -> None:
        self._all = [*sys.modules.values()]
        self._homes = [
            home
            for name, home in list(sys.modules.items())
            if name.partition(".")[0] == "torch" and isinstance(home, ModuleType)
        ]
        self._names = [vars(home) for home in self._homes]
        self._before = [names.copy() for names in self._names]
        self._values = [*chain.from_iterable(map(dict.values, self._before))]

    def is_all_there_is(self) -> bool:
        """Whether nothing was loaded, added or replaced since."""
        is_same = len(sys.modules) == len(self._all) and all(
            map(is_, list(sys.modules.values()), self._all)
        )
        return is_same and self._is_as_it_was()

    def _is_as_it_was(self) -> bool:
        values = [*chain.from_iterable(map(dict.values, self._names))]
        try:  # lists look at identities first, which is ten times faster than to ask for them
            return values == self._values
        except Exception:  # what differs need not be what can be compared
            return False

    def put_back(self) -> None:
        """Set the functions again that were replaced."""
        if self._is_as_it_was():
            return
        for home, now, before in zip(self._homes, self._names, self._before, strict=True):
            for name, value in before.items():
                if now.get(name) is not value and callable(value):
                    setattr(home, name, value)
