"""Makes modules without the values of their weights: these are on ``meta`` and take no memory.

The code of a constructor runs as it is. Tensors of floating-point numbers that it makes have no
values, but for small ones that are filled alike, which may decide something. As soon as code asks
for a value that is not there, or draws random numbers that would have been others behind those of
the weights, the module is made with all its values.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any
from weakref import WeakSet

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from costlab.isolation.code_replaced import asking
from costlab.isolation.torch_globals import generators, restore
from costlab.trace.classification import DEVICE, READS, classify
from costlab.trace.devices import default_device
from costlab.trace.known_values import MOST_OTHER
from costlab.trace.tensors import META, nested, tensors
from costlab.trace.without_values import note_made

_DRAWN = frozenset(("empty", "rand", "randn", "normal"))
"""What makes tensors without values of their own, or with random ones."""
_FILLED = frozenset(("zeros", "ones", "full"))
_PLACES = frozenset(("data_ptr", "untyped_storage", "storage", "is_set_to"))
"""What tells tensors by where they are in memory."""
_READING_FILL: Any = nn.init.trunc_normal_
"""What fills weights with values that it draws again, until it has seen that they fit."""
_CPU = torch.device("cpu")

_WEIGHTLESS: WeakSet[nn.Module] = WeakSet()


def is_weightless(module: nn.Module) -> bool:
    """Whether a module was made without values that it would have."""
    return module in _WEIGHTLESS


def made_weightless(make: Callable[[], Any]) -> Any:
    """What a function makes, without weights where that can be; None where it cannot.

    The function may be called twice: first nothing large is filled, then only what is random is
    left out. A constructor's own error is as good as it would be with all values.
    """
    if default_device().type != "cpu":
        return None
    before = generators()
    for fills in (False, True):
        mode = _Weightless(fills)
        try:
            with warnings.catch_warnings(), asking([_READING_FILL]), mode:
                warnings.filterwarnings("ignore", ".*no-op", UserWarning)  # a checkpoint's values
                made = make()
        except _ValuesAsked:
            made = None
        except Exception:
            if not mode.asked and not _has_drawn(mode):
                raise
            made = None
        if mode.asked or _has_drawn(mode):
            restore(before)
            continue
        owner = getattr(made, "__self__", made)
        if isinstance(owner, nn.Module) and mode.behind is not None:
            if any(isinstance(inside, torch.jit.ScriptModule) for inside in owner.modules()):
                restore(before)  # its graph may have read where tensors are
                return None
            _WEIGHTLESS.add(owner)
            note_made(owner)
        return made
    return None


class _ValuesAsked(BaseException):
    """Code asks for values that were left out: no user code is to catch it."""


class _Weightless(TorchFunctionMode):
    """Answers the calls of a constructor; ``fills`` says whether large filled tensors are real."""

    def __init__(self, fills: bool) -> None:
        super().__init__()
        self._left_out = _DRAWN if fills else _DRAWN | _FILLED
        self.asked = False
        self.behind: Tensor | None = None
        """The state of random numbers where something was first left out."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        given = tensors((args, kwargs))
        if any(tensor.is_meta for tensor in given):
            return self._of_left_out(func, args, kwargs)
        name = getattr(func, "__name__", "")
        if name in self._left_out and not given:
            return self._made(func, name, args, kwargs)
        result = func(*args, **kwargs)
        if any(tensor.is_meta for tensor in tensors(result)):
            self._ask()  # the constructor's own, which could not be told from what is left out
        return result

    def _made(self, func: Any, name: str, args: Any, kwargs: dict[str, Any]) -> Any:
        """A new tensor, left out if it is of floating-point numbers and its values do not count."""
        if kwargs.get("device") not in (None, "cpu", _CPU) or kwargs.get("out") is not None:
            self._ask()
        made: Tensor = func(*args, **kwargs | {"device": META})
        counts = not (made.is_floating_point() or made.is_complex())
        elements = made.numel()  # or an expression of symbols, of which nothing is asked
        small = type(elements) is int and elements <= (MOST_OTHER if name in _FILLED else 0)
        if counts or small:
            return func(*args, **kwargs)
        if self.behind is None:
            self.behind = torch.get_rng_state()
        return made

    def _of_left_out(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """What a call gives that takes something which was left out."""
        if func is _READING_FILL:
            return args[0] if args else kwargs["tensor"]
        made = classify(func)
        if made.name in DEVICE:
            return {"device": _CPU, "get_device": -1, "is_cpu": True}.get(made.name, False)
        if made.name in READS or made.name in _PLACES:
            self._ask()
        if made.name in ("to", "cpu"):
            args, kwargs = self._stays(args), self._stays(kwargs)
            if made.name == "cpu":
                return args[0]
        changed = [*args, *kwargs.values()][:1] if _changes(func, made.in_place) else []
        if not all(tensor.is_meta for tensor in tensors((changed, kwargs.get("out")))):
            self._ask()
        if "index" not in made.name and made.name not in ("__getitem__", "__setitem__"):
            # Others take no tensors of two devices; an index needs its values.
            args, kwargs = nested(_stood, args), nested(_stood, kwargs)
        try:
            result = func(*args, **kwargs)
        except (NotImplementedError, RuntimeError):
            self.asked = True  # torch may want values; else all values come to the same error
            raise
        for tensor in tensors(result):
            exact = not (tensor.is_floating_point() or tensor.is_complex())
            if tensor.is_meta and (exact or tensor.layout is not torch.strided):
                self._ask()
        return result

    def _ask(self) -> None:
        self.asked = True
        raise _ValuesAsked

    def _stays(self, value: Any) -> Any:
        """Arguments of ``to`` whose device is where a tensor is already: a CPU, and so ``meta``."""
        if isinstance(value, dict):
            return {key: self._stays(item) for key, item in value.items()}
        if isinstance(value, tuple):
            return tuple(map(self._stays, value))
        if not isinstance(value, (str, torch.device, int)) or isinstance(value, bool):
            return value
        if not isinstance(value, int) and torch.device(value).type == "cpu":
            return META
        return self._ask()


def _has_drawn(mode: _Weightless) -> bool:
    """Whether numbers were drawn that would be others, had none of the weights been left out."""
    return mode.behind is not None and not torch.equal(mode.behind, torch.get_rng_state())


def _changes(func: Any, in_place: bool) -> bool:
    """Whether a call changes its first argument."""
    return in_place or getattr(func, "__name__", "") in ("__set__", "__setitem__")


def _stood(tensor: Tensor) -> Tensor:
    """A tensor beside one that was left out: it has no values either."""
    if tensor.is_meta:
        return tensor
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=META)
