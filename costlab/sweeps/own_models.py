"""A sweep of a user's own network: sizes on arrays, each value of an argument a network."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from hashlib import sha256
from itertools import count
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, ClassVar

from costlab.catalog.registry import TOO_LARGE
from costlab.costs.quantities import More, in_runs, lays_out, quantities
from costlab.costs.quantity import Quantity
from costlab.errors import ChoiceError, CostlabError, ShapeError, UnknownNameError
from costlab.graph import Graph
from costlab.graph.op import Shape
from costlab.graph.sizes import Sizes
from costlab.models.catalog_name import DIMENSIONS, Named
from costlab.models.exported_program import Exported
from costlab.models.hub import OfHub
from costlab.models.module import Held, Made, MadeOnce, is_model
from costlab.models.python_code import Arguments, Code, arguments_of, names_in_arguments
from costlab.models.reference import Reference, Run, reference
from costlab.models.symbolic_choices import Maker
from costlab.models.symbolic_sizes import has_names, names_in, read_sizes, with_numbers
from costlab.sweeps.own_networks import OwnNetworks
from costlab.sweeps.subject import Kind, Networks, Sum

_KINDS: dict[type, tuple[Kind, ...]] = {
    bool: ("truth",),
    int: ("whole number", "number"),
    float: ("number",),
    str: ("word",),
}
_ANY: tuple[Kind, ...] = ("whole number", "number", "literal", "word")
INPUT_OF_CATALOG = (
    "the input of a model of the catalog varies by N, C, H and W: leave out the input size, and "
    "vary these, such as H=W=224"
)
_NAMED_SIZES = "sizes are named in the input size: N,3,H,W"
_objects = count()

_FEW = 3
"""At so many sizes a network is followed at each by itself, which takes less than with symbols."""


@dataclass(frozen=True)
class OwnModel:
    """Python code, a name in another library, or a class or module that the caller holds.

    ``sizes`` has the inputs, with names for what varies.
    """

    model: Any = field(compare=False)
    key: str
    """What it is, the same in each process."""
    choices: tuple[tuple[str, Any], ...]
    sizes: Sizes
    run: Run
    notes: ClassVar[tuple[str, ...]] = ("uncounted",)
    block_size: ClassVar[int] = 2**12
    most_tried: ClassVar[int] = 16

    def __hash__(self) -> int:
        return hash((self.key, repr(self.choices), repr(self.sizes)))

    @cached_property
    def _reference(self) -> Reference:
        return own_reference(self.model)

    @property
    def _arguments(self) -> Arguments | None:
        return _arguments(self._reference)

    @property
    def title(self) -> str:
        known: Any = self._reference
        text: str = (
            type(known.module).__name__ if isinstance(known, Held) else known.text or known.name
        )
        if not self.choices:
            return text
        given = ", ".join(f"{name}={value!r}" for name, value in self.choices)
        return f"{text}({given})" if "(" not in text else f"{text}, {given}"

    @property
    def dimensions(self) -> Mapping[str, str]:
        return {name: DIMENSIONS.get(name, "size") for name in names_in(self.sizes)}

    def kinds(self, name: str) -> tuple[Kind, ...]:
        if name in self.dimensions:
            return ("whole number",)
        known: Any = self._reference
        if isinstance(known, (Held, Exported)):
            hint = (
                "give the class, so that its arguments can vary" if isinstance(known, Held) else ""
            )
            raise UnknownNameError("size", name, self.dimensions, hint)
        arguments = self._arguments
        if arguments is None:
            return _ANY
        if name not in arguments.defaults and not arguments.others:
            names = [*arguments.defaults, *self.dimensions]
            raise UnknownNameError(f"argument or size of {self.title}", name, names, _NAMED_SIZES)
        return _KINDS.get(type(arguments.defaults.get(name)), _ANY)

    def check(self, name: str, value: Any) -> None:
        known: Any = self._reference
        if name in dict(self.choices) or name in getattr(known, "choices", {}):
            raise ChoiceError(f"{name} is given twice: give it once")
        if name not in self.dimensions:
            return
        if self._arguments is not None and name in self._arguments.defaults:
            raise ChoiceError(
                f"{name} is an argument of {self.title} and a size of its input: call the size "
                f"otherwise there, such as of_{name}, and vary {name}=of_{name} if they are equal"
            )
        if not 1 <= value < TOO_LARGE:
            raise ChoiceError(f"{name}={value}: a size is from 1, and below {TOO_LARGE:,}")

    def check_names(self, varied: set[str]) -> None:
        for name in self.dimensions:
            if name not in varied:
                raise ChoiceError(
                    f"{name} of the input has no size: vary it too, such as {name}=1,8, or write "
                    "a number in its place in the input size"
                )

    def takes_many(self, name: str) -> bool:
        return name in self.dimensions

    def values(self, chosen: Mapping[str, Any]) -> dict[str, Any]:
        return {**dict(self.choices), **chosen}

    def quantities(self, training_cost: bool, more: More) -> dict[str, Quantity]:
        known = quantities(training_cost, more)
        if not self.dimensions or lays_out(more):  # it is followed what is a view
            return known
        return {name: quantity for name, quantity in known.items() if not quantity.needs_layout}

    def networks(
        self, sums: Iterable[Sum], training_cost: bool, more: More, sizes: int
    ) -> Networks:
        one_by_one = self.is_few(sizes)
        if more:  # what no later sweep is sure to want
            return OwnNetworks(self, tuple(sums), training_cost, more, one_by_one)
        return _networks(self, tuple(sums), training_cost, one_by_one)

    @staticmethod
    def is_few(sizes: int) -> bool:
        """Whether a network at so many sizes is followed at each by itself: that takes less."""
        return sizes <= _FEW

    def graph(self, values: Mapping[str, Any], gradients: bool = False) -> Graph:
        run = replace(self.run, gradients=gradients)
        return self.made(values).network(self.sized(values), run, {}).graph

    def known(self, more: More, values: Mapping[str, Any]) -> More:
        if not in_runs(more):
            return more
        from costlab.footprint.of_sizes import memory_of_numbers  # others do not wait for it

        return memory_of_numbers(self.made(values), self.sized(values), self.run, more)

    def refusal(self, values: Mapping[str, Any]) -> str:
        try:
            self.graph(values)
        except CostlabError as error:
            return str(error)
        return ""

    # What its networks are made of.

    def made(self, values: Mapping[str, Any]) -> Reference:
        """The module with these choices. Raises what code raises, as a ``CodeError``."""
        known: Any = self._reference
        if isinstance(known, Held):
            return known
        return MadeOnce(known, dict(self.choices) | self.apart(values), self.run)

    def sizes_of(self, values: Mapping[str, Any]) -> Sizes:
        """The inputs, with names for what may be a symbol."""
        return self.sizes

    def apart(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values that are arguments of what makes the module."""
        sizes = self.dimensions
        return {name: value for name, value in values.items() if name not in sizes}

    def point(self, values: Mapping[str, Any]) -> dict[str, int]:
        """The sizes among the values."""
        return {name: int(values[name]) for name in self.dimensions}

    def sized(self, values: Mapping[str, Any]) -> Any:
        """The input sizes with these numbers."""
        from costlab.models.arguments import sizes_of

        return sizes_of(with_numbers(self.sizes, self.point(values)))


@lru_cache(maxsize=2)
def _networks(
    model: OwnModel, sums: tuple[Sum, ...], training_cost: bool, one_by_one: bool
) -> OwnNetworks:
    """What has been followed, also for another sweep of the same model."""
    return OwnNetworks(model, sums, training_cost, one_by_one=one_by_one)


def own_reference(model: Any) -> Reference:
    """What a MODEL is, or a class or function of the caller that makes modules."""
    if callable(model) and not is_model(model):
        return Maker(model)
    try:
        return reference(model)
    except ChoiceError as error:
        names = list(names_in_arguments(model)) if isinstance(model, str) else []
        if not names:
            raise
        raise ChoiceError(
            f"{names[0]} of {model!r} is no number: leave it out there, and vary it by its own "
            f"name, as {names[0]}=8,16"
        ) from error


def _arguments(known: Any) -> Arguments | None:
    """What makes the module, as far as it says what it takes."""
    if isinstance(known, Maker):
        return arguments_of(known.function)
    return known.arguments() if isinstance(known, Code) else None


def own_model(
    model: Any, vary: Iterable[str], input_size: Any, run: Run, choices: Mapping[str, Any]
) -> OwnModel:
    """The subject of a sweep of a user's own model. Raises ``ChoiceError``, ``ShapeError``."""
    known: Any = own_reference(model)
    if isinstance(known, Named):
        raise ChoiceError(INPUT_OF_CATALOG)
    if not isinstance(known, (Made, Held)):
        raise ChoiceError(
            "what is swept is a model of the catalog, an nn.Module, a class, Python code, a name "
            "in another library, an exported program or an ONNX file: a report has one size"
        )
    names = {name.strip() for written in vary for name in written.split("=")}
    if isinstance(known, Code):
        known.require()
        sizes = DIMENSIONS if input_size is None else names_in(read_sizes(input_size))
        _require_taken(known, names, known.written_arguments(), sizes)
    return OwnModel(
        known.model if isinstance(known, Held) else model,
        _key(known, model) + _rules(),
        tuple(choices.items()),
        _sizes(known, names, input_size, dict(choices)),
        run,
    )


def _key(known: Any, model: Any) -> str:
    if isinstance(known, Code):
        digest = sha256()
        for source in known.sources():
            digest.update(sha256(source).digest())
        return f"{known.text} {digest.hexdigest()}"
    if isinstance(known, Exported) and known.where:
        file = Path(known.where).stat()
        return f"{known.text} {file.st_size} {file.st_mtime_ns}"
    if isinstance(model, str):
        return model
    return (
        f"{getattr(model, '__module__', '')}.{getattr(model, '__qualname__', '')} {next(_objects)}"
    )


def _rules() -> str:
    """The rules of users (``costlab.counting``), by what they are for and what they do."""
    from costlab.trace.users import RULES, label  # waits for torch

    digest = sha256()
    for target, rule in RULES.items():
        for function in (rule.cost, rule.output):
            text = repr((label(target), _what_does(function)))
            digest.update(_ADDRESS.sub("", text).encode())
    return f" rules {digest.hexdigest()}" if RULES else ""


_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
"""Where objects lie, which is another place in each process that goes on with a sweep."""


def _what_does(value: Any, around: tuple[Any, ...] = ()) -> Any:
    """What a function does: its code, and what that uses. Anything else is itself."""
    if isinstance(value, ModuleType):
        return value.__name__
    code = getattr(value, "__code__", None)
    if not isinstance(code, CodeType) or value in around:
        return value
    codes = _codes(code)
    names = {name: None for part in codes for name in part.co_names}
    used = [value.__globals__[name] for name in names if name in value.__globals__]
    used += [cell.cell_contents for cell in value.__closure__ or ()]
    constants = [
        constant for part in codes for constant in part.co_consts if type(constant) is not CodeType
    ]
    given = (value.__defaults__, value.__kwdefaults__)
    within = [_what_does(used_value, (*around, value)) for used_value in used]
    return [part.co_code for part in codes], [*names], constants, within, given


def _codes(code: CodeType) -> list[CodeType]:
    """A function's code, and that of functions inside of it."""
    inner = [constant for constant in code.co_consts if type(constant) is CodeType]
    return [code, *(part for inner_code in inner for part in _codes(inner_code))]


def _sizes(known: Any, varied: set[str], input_size: Any, choices: dict[str, Any]) -> Sizes:
    """The input, with names for what varies."""
    if input_size is not None:
        return read_sizes(input_size)
    if isinstance(known, OfHub):
        return known.named_sizes(choices, varied)
    if isinstance(known, Exported):
        return known.varying()[0]
    arguments = _arguments(known)
    taken = () if arguments is None else arguments.defaults
    if {"H", "W"} <= varied and not {"H", "W"} & set(taken):
        return _image(varied, (1, 3, 0, 0))
    if arguments is not None and not arguments.others:
        _require_taken(known, varied, arguments.defaults, DIMENSIONS)
    raise ShapeError(
        "say what goes in: an input size, such as 1,3,224,224, with names for what varies, such "
        "as 1,3,H,W (input_size, --input-size); where H and W vary, it is 1,3,H,W by itself"
    )


def _require_taken(
    known: Any, varied: set[str], arguments: Iterable[str] | None, sizes: Iterable[str]
) -> None:
    """Raises ``UnknownNameError`` for what varies and is neither; None: any may be an argument."""
    names = [] if arguments is None else [*arguments, *sizes]
    if names and (unknown := sorted(varied.difference(names))):
        whose = f"argument or size of {known.text or known.name}"
        raise UnknownNameError(whose, unknown[0], names, _NAMED_SIZES)


def _image(varied: set[str], usual: Shape) -> Sizes:
    """An image of that shape, with names for what varies."""
    named: Any = (
        name if name in varied else size for name, size in zip(DIMENSIONS, usual, strict=True)
    )
    return Sizes((tuple(named),))


def is_own(model: Any, input_size: Any) -> bool:
    """Whether it is a user's own model, not a name of the catalog."""
    if input_size is not None and has_names(input_size):
        return True
    return not isinstance(own_reference(model), Named)
