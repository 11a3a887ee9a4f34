"""What a user writes behind the name of a model, and beside it: choices, parts, sizes, numbers."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from costlab.errors import ChoiceError, CostlabError, ShapeError, can_be_read, shown
from costlab.graph.op import Shape
from costlab.graph.sizes import InputSize, Sizes
from costlab.graph.values import may_be_type, no_type

if TYPE_CHECKING:
    import ast
    from fractions import Fraction


@contextmanager
def keywords_of(given: Iterable[str], *functions: Callable[..., Any]) -> Iterator[None]:
    """An error in here says which of the ``given`` names may be a keyword that is misspelt.

    What ``functions`` take beside their own keywords are choices of the model, which may have any
    name.
    """
    try:
        yield
    except CostlabError as error:
        from difflib import get_close_matches
        from inspect import signature

        own = [name for function in functions for name in signature(function).parameters]
        meant = {name: get_close_matches(name, own, 1, 0.75) for name in given if name not in own}
        hints = [f"{name}= be {close[0]}=" for name, close in meant.items() if close]
        if hints and error.args:
            error.args = (f"{error.args[0]}; should {' and '.join(hints)}?", *error.args[1:])
        raise


AFTER = r"(\((?P<choices>.*)\))?(/(?P<part>[^()]*))?"
"""A pattern of choices and a part: ``(c5r=24)/branch5x5``."""


def read_as(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    """A MODEL as a pattern with a file (``where``), whose name may have blanks around it."""
    match = pattern.fullmatch(text)
    if match and is_file(match["where"]):
        return match
    return pattern.fullmatch(text.strip())


def is_file(text: str) -> bool:
    """Whether it names a file; any text may be asked for, such as one too long for a name."""
    try:
        return Path(text).is_file()
    except (OSError, ValueError):
        return False


def literals(model: str, arguments: str) -> dict[str, Any]:
    """``c5r=24, aux=True`` as a dict. Values are Python literals; nothing is evaluated.

    Raises ``ChoiceError``.
    """
    import ast

    try:
        values = {name: ast.literal_eval(value) for name, value in keywords(arguments).items()}
        if ... not in values.values():
            return values
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        pass
    raise ChoiceError(
        f"cannot read the choices of {model!r}: write NAME=VALUE, separated by commas, "
        "with numbers, True, False or quoted words, such as reduced(c5r=24)"
    )


def keywords(arguments: str) -> dict[str, ast.expr]:
    """``c5r=24, aux=True`` as Python reads it. Raises ``SyntaxError`` and other errors of that."""
    import ast

    if not arguments.strip():
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about strange escapes in strings
        call = ast.parse(f"_({arguments})", mode="eval").body
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.args:
        raise SyntaxError(arguments)
    named = {word.arg: word.value for word in call.keywords if word.arg is not None}
    if len(named) < len(call.keywords):
        raise SyntaxError(arguments)
    return named


def sizes_of(size: InputSize) -> Shape | Sizes:
    """An input size as one shape, or several. Raises ``ShapeError`` for what is none."""
    if isinstance(size, Sizes):
        one = len(size.positional) == 1 and not size.named
        return size.batched(size.positional[0]) if one else size
    if isinstance(size, Mapping):
        return Sizes(named={name: shape_of(shape) for name, shape in size.items()})
    if isinstance(size, (list, tuple)) and size and all(map(_is_shape, size)):
        return Sizes(tuple(map(shape_of, size)))
    return shape_of(size)  # type: ignore[arg-type]


_MOST_AXES = 64
"""Of a tensor of torch."""


def _is_shape(value: object) -> bool:
    return isinstance(value, (list, tuple)) and all(type(d) is int for d in value)


def shape_of(size: Iterable[int]) -> Shape:
    """An input size as a shape. Raises ``ShapeError`` for what is none."""
    if _has_axes(size) or (isinstance(size, (list, tuple)) and any(map(_has_axes, size))):
        raise ShapeError(
            "input_size is a shape, the batch first, such as (1, 3, 224, 224): "
            "give tensors as inputs=..., a tuple of them if there are several"
        )
    if isinstance(size, str) or not can_be_read(size):
        raise ShapeError(
            f"input_size is a shape, the batch first, such as (1, 3, 224, 224), not {shown(size)}"
        )
    shape = tuple(islice(size, _MOST_AXES + 1))
    if len(shape) > _MOST_AXES:
        raise ShapeError(f"input_size has more axes than the {_MOST_AXES} that a tensor may have")
    return shape


def _has_axes(value: object) -> bool:
    """Whether it is a tensor or an array, and no number of one."""
    return len(getattr(value, "shape", ())) > 0


def parse_size(text: str) -> tuple[int, ...]:
    """``"1,3,224,224"`` as a shape, the batch first. Raises ``ShapeError``."""
    numbers = [word.strip() for word in text.split(",")]
    if not all(re.fullmatch("[0-9]{1,12}", word) for word in numbers):
        name = next(filter(str.isidentifier, numbers), "")
        varied = f"; {name} varies in costlab formula, sweep, and check --vary {name}=1,8"
        raise ShapeError(
            f"cannot read the input size {text!r}: write whole numbers from 1, of at most 12 "
            f"digits, the batch first, such as 1,3,224,224{varied if name else ''}"
        )
    return tuple(int(word) for word in numbers)


def parse_sizes(texts: Iterable[str], batch: int | None = None) -> Shape | Sizes | None:
    """``["1,300", "mask=1,300"]`` as sizes; one shape alone is a shape. Raises ``ShapeError``."""
    positional: list[Shape] = []
    named: dict[str, Shape] = {}
    for text in texts:
        name, equals, numbers = text.rpartition("=")
        if not equals:
            positional.append(parse_size(text))
        elif not name.strip().isidentifier():
            raise ShapeError(f"cannot read {text!r}: write NAME=1,300, with the name of an input")
        elif name.strip() in named:
            raise ShapeError(f"the size of {name.strip()} is given twice: give it once")
        else:
            named[name.strip()] = parse_size(numbers)
    if not (positional or named or batch):
        return None
    sizes = Sizes(tuple(positional), named, batch)
    return sizes if batch else sizes_of(sizes)  # without the batch they are asked, too: `resolve`


def parse_types(texts: Iterable[str]) -> str | tuple[str, ...] | dict[str, str]:
    """``["int64"]`` as it is, several in order as a tuple; ``NAME=TYPE`` is that of a keyword."""
    positional, named = [], {}
    for text in texts:
        name, equals, kind = text.rpartition("=")
        if equals:
            named[name.strip()] = kind
        else:
            positional.append(text)
        if not may_be_type(kind):
            raise no_type(kind)
    if named and positional:
        raise ChoiceError(
            "give --input-type in order, or as NAME=TYPE for each input: not both in one call"
        )
    return named or (positional[0] if len(positional) == 1 else tuple(positional) or "")


def parse_share(text: str) -> Fraction:
    """``"1%"`` or ``"0.01"`` as a share, exactly. Raises ``ChoiceError``."""
    from fractions import Fraction  # where it is needed: a first answer does not wait for it

    match = re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]{1,12})?)(%?)", text.strip())
    if match is None:
        raise ChoiceError(f"cannot read the share {text!r}: write 1% or 0.01")
    share = Fraction(match[1]) / (100 if match[2] else 1)
    if share > 1:
        raise ChoiceError(
            f"{text.strip()} is more than all of it: write a share such as 1% or 0.01"
        )
    return share


def parse_axes(texts: Iterable[str]) -> dict[str, str]:
    """``["H=W=14,28"]`` as ``{"H=W": "14,28"}``. Raises ``ChoiceError``."""
    axes: dict[str, str] = {}
    for text in texts:
        names, _, values = text.rpartition("=")
        if not all(names.split("=")):
            raise ChoiceError(f"cannot read --vary {text!r}: write NAME=lo:hi:step or NAME=a,b")
        if names in axes:
            raise ChoiceError(f"--vary {names} is given twice: give it once")
        axes[names] = values
    return axes


def parse_point(assignments: Iterable[str]) -> dict[str, int]:
    """``["H=W=28", "N=2"]`` as a dict of whole numbers. Raises ``ChoiceError``."""
    numbers = parse_numbers(assignments)
    for name, value in numbers.items():
        if type(value) is not int:
            raise ChoiceError(f"{name}={value}: a size is a whole number from 1")
    return {name: int(value) for name, value in numbers.items()}


def parse_numbers(assignments: Iterable[str]) -> dict[str, float]:
    """``["H=W=28", "c5=24,width=0.5"]`` as a dict. Raises ``ChoiceError``."""
    values: dict[str, float] = {}
    for assignment in (part for text in assignments for part in text.split(",")):
        *names, value = (word.strip() for word in assignment.split("="))
        if not names or not re.fullmatch(r"[0-9]{1,12}|[0-9]{0,12}\.[0-9]{1,12}", value):
            raise ChoiceError(
                f"cannot read {assignment!r}: write NAME=VALUE, such as H=28 or H=W=28"
            )
        if twice := [name for name in names if name in values]:
            raise ChoiceError(f"{twice[0]} is given twice: give it once")
        values.update(dict.fromkeys(names, float(value) if "." in value else int(value)))
    return values
