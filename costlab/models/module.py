"""MODEL as an ``nn.Module``, or one of its methods: its forward, or that method, is followed."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from types import MethodType
from typing import TYPE_CHECKING, Any, NamedTuple

from costlab.errors import ChoiceError, TraceError, ValuesError
from costlab.graph.op import Shape
from costlab.graph.sizes import Sizes
from costlab.models.reference import Accepts, Network, Run

if TYPE_CHECKING:
    from torch import nn


class Held(NamedTuple):
    """A module that the caller has, or a method that is bound to one."""

    model: nn.Module | MethodType

    @property
    def module(self) -> nn.Module:
        """The module; that of a method is its owner."""
        return owner_of(self.model)

    @property
    def accepts(self) -> frozenset[Accepts]:
        return frozenset({"input size", "run"})

    def network(
        self, input_size: Shape | Sizes | None, run: Run, choices: dict[str, Any]
    ) -> Network:
        if choices:
            raise ChoiceError("a module takes no choices: give them where it is made")
        return followed(self.model, input_size, run)


class Made:
    """A module that is made of what a text names: of code, of a file, or by another library."""

    text: str
    part: str

    @property
    def accepts(self) -> frozenset[Accepts]:
        """What may be given beside it."""
        return frozenset({"input size", "choices", "run"})

    @property
    def whole(self) -> str:
        """The model as it was named, without the part."""
        return self.text.removesuffix(f"/{self.part}") if self.part else self.text

    def require(self) -> None:
        """Raises what is known to be wrong with it before anything is imported."""

    def module(self, choices: dict[str, Any]) -> nn.Module:
        """The module, made with these choices too."""
        raise NotImplementedError

    def made(
        self, choices: dict[str, Any], real: bool = False, weightless: bool = False
    ) -> nn.Module | MethodType:
        """The model, made with these choices too.

        ``real`` says that its values matter, ``weightless`` that weights need none, where code can
        do without.
        """
        return self.module(choices)

    def sized(
        self, module: nn.Module, size: Shape | Sizes | None, run: Run
    ) -> tuple[Shape | Sizes | None, Run]:
        """The sizes and types of inputs, where the module has its own and none is given."""
        return size, run

    def varying(self, symbols: Iterable[str] = ()) -> tuple[Sizes, dict[str, int]] | None:
        """The input with names for what varies, and numbers for these; None if it does not say.

        ``symbols`` are names that are asked for.
        """
        return None

    def network(
        self, input_size: Shape | Sizes | None, run: Run, choices: dict[str, Any]
    ) -> Network:
        """The network of the module, or of the part that is meant."""
        return MadeOnce(self, choices, run).network(input_size, run, {})

    def of_model(
        self, model: nn.Module | MethodType, input_size: Shape | Sizes | None, run: Run
    ) -> Network:
        """The network of that module or method, or of the part that is meant."""
        size, run = self.sized(owner_of(model), input_size, run)
        network = followed(model, size, run, self.whole)
        if not self.part:
            return network
        return Network(network.graph.part(self.part, shown=network.graph.name))


class MadeOnce:
    """A model that is made for several runs, with values of its weights where a run asks for some.

    Raises what making it does.
    """

    def __init__(self, of: Made, choices: dict[str, Any], run: Run) -> None:
        self.of, self._choices = of, choices
        self.model = of.made(choices, run.real, weightless=not (run.real or run.observed))

    @property
    def accepts(self) -> frozenset[Accepts]:
        return frozenset({"input size", "run"})

    def network(
        self, input_size: Shape | Sizes | None, run: Run, choices: dict[str, Any]
    ) -> Network:
        try:
            return self.of.of_model(self.model, input_size, run)
        except ValuesError:
            if not self.has_left_out:
                raise
        self.model = self.of.made(self._choices)
        return self.of.of_model(self.model, input_size, run)

    @property
    def has_left_out(self) -> bool:
        """Whether the model has not all of its values."""
        from costlab.trace.weightless import is_weightless

        return is_weightless(owner_of(self.model))


def owner_of(model: nn.Module | MethodType) -> nn.Module:
    """The module that a method is bound to, or the module itself."""
    owner: Any = model.__self__ if isinstance(model, MethodType) else model
    module: nn.Module = owner
    return module


def followed(
    model: nn.Module | MethodType,
    input_size: Shape | Sizes | None,
    run: Run,
    name: str = "",
) -> Network:
    """The network that a module, or a method that is bound to one, computes.

    Imports torch; raises what ``trace.follow`` raises.
    """
    from costlab.trace import follow

    kind: dict[str, Any] = {}
    if run.symbolic:
        from costlab.trace.symbolic import SymbolicRecorder

        kind = {"kind": partial(SymbolicRecorder, run.symbolic)}
    module: Any = model
    if isinstance(model, MethodType):
        module, method = model.__self__, _name_of(model)
        if run.method not in ("forward", method):
            raise ChoiceError(
                f"the model is the method {method} already: leave out method, or give the module"
            )
        run = replace(run, method=method)
    trace = follow(
        module,
        input_size,
        run.inputs,
        run.kwargs,
        input_type=run.input_type,
        training=run.training,
        real=run.real,
        name=name,
        observed=run.observed,
        gradients=run.gradients,
        method=run.method,
        **kind,
    )
    return Network(trace.graph, trace)


def is_model(value: object) -> bool:
    """Whether it is an ``nn.Module``, or a method that is bound to one.

    Raises ``TraceError`` for one whose constructor leaves out that of ``nn.Module``.
    """
    torch = sys.modules.get("torch")  # who has a module has imported it
    if torch is None:
        return False
    holder = value.__self__ if isinstance(value, MethodType) else value
    if not isinstance(holder, torch.nn.Module):
        return False
    is_scripted = isinstance(holder, torch.jit.ScriptModule)  # which keeps them elsewhere
    if not is_scripted and not {"_parameters", "_buffers", "_modules"} <= vars(holder).keys():
        raise TraceError(
            f"{type(holder).__name__} is no whole nn.Module: does its __init__ call "
            "super().__init__()?"
        )
    return True


def _name_of(method: MethodType) -> str:
    """By which name the module has a method; the method's own may be that of what it wraps."""
    module: Any = method.__self__
    if method == module.__call__:
        return "forward"
    kind = type(module)
    names = [
        method.__name__,
        *vars(module),
        *(name for base in kind.__mro__ for name in vars(base)),
    ]
    name: str | None = next((own for own in names if getattr(module, own, None) == method), None)
    if name is None:
        raise ChoiceError(f"{method.__name__} is no method of {kind.__name__}: give the module")
    return name


class _Modules:
    priority = 0
    about = ""
    grammar: tuple[str, ...] = ()

    def read(self, model: object) -> Held | None:
        return Held(model) if is_model(model) else None  # type: ignore[arg-type]


FRONTEND = _Modules()
