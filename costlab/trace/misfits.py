"""What a module is called with, where its forward takes something else: what to give, in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dis import get_instructions
from inspect import Parameter, Signature, signature
from typing import Any

from torch import Tensor, nn

from costlab import formatting
from costlab.errors import own_place, place_of, suggestion

_MOST_NAMES = 8


def taken_by(called: Callable[..., Any]) -> str:
    """``forward takes x, y, mask=None``; nothing where that is not known."""
    method, takes = _signature(called)
    return f"{method} takes {_all(takes)}" if takes and takes.parameters else ""


def misfit(
    error: BaseException,
    called: Callable[..., Any],
    inputs: Any,
    args: tuple[Any, ...],
    named: dict[str, Any],
) -> str:
    """What is wrong, if the error is that forward, or another method, does not take these.

    ``inputs`` are what the caller gave as such; None if it was sizes.
    """
    method, takes = _signature(called)
    if (
        takes is None
        or not isinstance(error, TypeError)
        or place_of(error)
        or _fits(takes, args, named)
    ):
        return ""
    misfits = _said(method, takes, args, named)
    if inputs is None:
        missing = misfits.endswith("missing")
        return misfits + "; give an input size (--input-size) for each, or inputs" * missing
    if isinstance(inputs, Mapping):
        return f"{misfits} (inputs by name; one that has names itself is inputs=({{...}},))"
    if shapes := of_shapes(inputs):
        return misfits + shapes
    if isinstance(inputs, list):
        return f"{misfits} (a list is one input: several are inputs=(x, y))"
    return f"{misfits} (several are inputs=(x, y), or by name inputs={{'x': x, 'y': y}})"


def of_shapes(inputs: Any) -> str:
    """That shapes are no inputs, as the end of a message, if shapes were given as such."""
    if (
        isinstance(inputs, (tuple, list))
        and inputs
        and (_is_shape(inputs) or all(map(_is_shape, inputs)))
    ):
        return f"; shapes are given as input_size={inputs!r}"
    return ""


def _is_shape(given: Any) -> bool:
    whole = isinstance(given, (tuple, list)) and all(type(size) is int for size in given)
    return whole and len(given) > 0


def of_an_image(inputs: Any, args: tuple[Any, ...]) -> str:
    """That a size may be missing, as the end of a message, if sizes are nearly those of images."""
    if inputs is not None or len(args) != 1 or args[0].dim() != 3:
        return ""
    first, second = args[0].shape[:2]
    if type(first) is int and first == 3:
        return f"; if the batch is missing: {','.join(map(str, (1, *args[0].shape)))}"
    if type(second) is int and second == 3:
        return "; if a size is missing: a batch of images is N,3,H,W"
    return ""


def of_a_dict(error: BaseException) -> str:
    """That a tensor was given where code takes a dict, as the end of a message, if that is so."""
    as_dict = (
        isinstance(error, AttributeError)
        and isinstance(error.obj, Tensor)
        and error.name in dir(dict)
    ) or (isinstance(error, TypeError) and "must be a mapping, not " in str(error))
    if as_dict or (isinstance(error, (IndexError, TypeError)) and _takes_by_text(error)):
        return (
            "; is it a dict that is taken, and no tensor? Give that as inputs=({'x': x},), or "
            "--inputs FILE.py:NAME"
        )
    return ""


def _takes_by_text(error: BaseException) -> bool:
    """Whether the user's own code that raised it asks something for ``[".."]``."""
    if (trace := own_place(error)) is None:
        return False
    before = None
    for instruction in get_instructions(trace.tb_frame.f_code):
        if instruction.offset == trace.tb_lasti:
            subscript = "SUBSCR" in instruction.opname or instruction.argrepr == "[]"
            return subscript and before is not None and type(before.argval) is str
        before = instruction
    return False


def _signature(called: Callable[..., Any]) -> tuple[str, Signature | None]:
    """The name of what is called, and what it takes, if that is known."""
    function = called.forward if isinstance(called, nn.Module) else called
    try:
        return getattr(function, "__name__", "forward"), signature(function)
    except (TypeError, ValueError):
        return "forward", None


def _fits(takes: Signature, args: tuple[Any, ...], named: dict[str, Any]) -> bool:
    try:
        takes.bind(*args, **named)
    except TypeError:
        return False
    return True


def _said(method: str, takes: Signature, args: tuple[Any, ...], named: dict[str, Any]) -> str:
    names, in_order = _names(takes), _names(takes, by_keyword=False)
    for name in named:
        if name not in names:
            return f"{method} takes no {name!r}{suggestion(name, names)}"
        if name in in_order[: len(args)]:
            return f"{method} is given {name} twice, in order and by name: give it once"
    if len(args) > len(in_order):
        inputs = formatting.plural(len(args), "input") + (" is" if len(args) == 1 else " are")
        return f"{method} takes {_all(takes) or 'nothing'}, and {inputs} given"
    given = {*in_order[: len(args)], *named}
    missing = [
        name
        for name in names
        if name not in given and takes.parameters[name].default is Parameter.empty
    ]
    are = "is" if len(missing) == 1 else "are"
    return f"{method} takes {_all(takes)}, and {', '.join(missing)} {are} missing"


def _names(takes: Signature, by_keyword: bool = True) -> list[str]:
    named = [(name, parameter.kind) for name, parameter in takes.parameters.items()]
    named = [parameter for parameter in named if "VAR" not in parameter[1].name]
    return [name for name, kind in named if by_keyword or kind != Parameter.KEYWORD_ONLY]


def _all(takes: Signature) -> str:
    """``x, y, mask=None``: what it takes, as its author wrote it."""
    words = [
        str(parameter.replace(annotation=Parameter.empty))
        for parameter in takes.parameters.values()
    ]
    more = ["..."] if len(words) > _MOST_NAMES else []
    return ", ".join(words[:_MOST_NAMES] + more)
