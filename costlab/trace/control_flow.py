"""Functions of torch that take functions: ``cond``, ``map``, ``scan``, ``while_loop``.

They are followed as the loops and branches that they are, a call of the body for each step. The
operators that exported modules have for them are called with flat arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from costlab import formatting
from costlab.errors import ShapeError
from costlab.torch_private import HigherOrderOperator
from costlab.trace.tensors import META, nested, tensors

if TYPE_CHECKING:
    from costlab.trace.recorder import Recorder


def follow(recorder: Recorder, function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """What such a function gives."""
    if isinstance(function, HigherOrderOperator):
        return _OPERATORS[function._name](recorder, *args, **kwargs)
    return _FUNCTIONS[function.__name__](recorder, *args, **kwargs)


def is_followed(function: Any) -> bool:
    """Whether a higher-order operator is one of these."""
    return isinstance(function, HigherOrderOperator) and function._name in _OPERATORS


def _branch(recorder: Recorder, pred: Any, true_fn: Any, false_fn: Any, operands: Any = ()) -> Any:
    """The branch that is taken; the dearer one if that is not known."""
    site = recorder.tape.site
    is_known = (
        not isinstance(pred, Tensor)
        or pred.device.type != "meta"
        or recorder.known.of(pred) is not None
    )
    if not is_known and recorder.is_weightless:
        raise recorder.needs_values("cond")
    with recorder:
        if is_known:
            return (true_fn if pred else false_fn)(*operands)
        flops = [recorder.tape.tried(partial(f, *operands)) for f in (true_fn, false_fn)]
        result = (true_fn if flops[0] >= flops[1] else false_fn)(*operands)
    leaves = tensors(result)
    own = [torch.empty(t.shape, dtype=t.dtype, device=META) for t in leaves]
    with recorder.tape.at(site):
        for leaf, chosen in zip(leaves, own, strict=True):
            recorder.tape.moved("cond_dearer_branch", [leaf, pred], chosen)
    return _like(result, own)


def _map(recorder: Recorder, f: Any, xs: Any, *args: Any) -> Any:
    with recorder:
        return _joined([f(step, *args) for step in _steps("map", xs, 0)], 0)


def _scan(
    recorder: Recorder,
    combine_fn: Any,
    init: Any,
    xs: Any,
    *,
    dim: int = 0,
    reverse: bool = False,
) -> Any:
    if not bool(tensors(xs)):
        return init, []
    carry, results = init, []
    with recorder:
        dim = dim % tensors(xs)[0].dim()
        steps = _steps("scan", xs, dim)
        for step in reversed(steps) if reverse else steps:
            before = carry
            carry, result = combine_fn(carry, step)
            _require_alike("scan", before, carry)
            results.append(result)
        return carry, _joined(results[::-1] if reverse else results, dim)


def _while_loop(recorder: Recorder, cond_fn: Any, body_fn: Any, carried_inputs: Any) -> Any:
    """Conditions are asked as in any loop: what is not known is an error with its place."""
    carried = carried_inputs
    with recorder:
        while cond_fn(*carried):
            before, carried = carried, body_fn(*carried)
            _require_alike("while_loop", before, carried)
    return carried


def _steps(what: str, xs: Any, dim: int) -> list[Any]:
    """Nested tensors along an axis, one after the other."""
    leaves = tensors(xs)
    if len({leaf.shape[dim] for leaf in leaves}) > 1 or leaves[0].shape[dim] == 0:
        raise ShapeError(
            f"{what} over {formatting.shapes(tuple(leaf.shape) for leaf in leaves)}: "
            f"expected the same number of steps along axis {dim}, at least 1"
        )
    rows = zip(*[leaf.unbind(dim) for leaf in leaves], strict=True)
    return [_like(xs, row) for row in rows]


def _like(value: Any, leaves: Iterable[Tensor]) -> Any:
    """Nested tensors with others in their place."""
    others = iter(leaves)
    return nested(lambda _: next(others), value)


def _joined(results: list[Any], dim: int) -> Any:
    """What the steps gave, one after the other along an axis."""
    leaves = zip(*[tensors(result) for result in results], strict=True)
    stacked = [torch.stack(own, dim if dim <= own[0].dim() else 0) for own in leaves]
    return _like(results[0], stacked)


def _require_alike(what: str, before: Any, after: Any) -> None:
    """Refuse a step that gives on something else than it took. Raises ``ShapeError``."""
    shapes = [[(tuple(t.shape), t.dtype) for t in tensors(value)] for value in (before, after)]
    if shapes[0] != shapes[1]:
        first, second = (formatting.shapes(shape for shape, _ in kinds) for kinds in shapes)
        raise ShapeError(f"{what} takes on {first} and gives on {second}: expected the same")


def _scan_operator(
    recorder: Recorder, combine_fn: Any, init: Any, xs: Any, additional_inputs: Any = ()
) -> Any:
    def combine(carry: Any, step: Any) -> Any:
        flat = combine_fn(*carry, *step, *additional_inputs)
        return flat[: len(init)], flat[len(init) :]

    carry, results = _scan(recorder, combine, init, xs)
    return (*carry, *results)


def _map_operator(
    recorder: Recorder, f: Any, xs: Any, pos_args: Any = (), *more: Any, **named: Any
) -> Any:
    """Since torch 2.14 with what ``f`` changes of its arguments: that is seen anyhow."""
    return _map(recorder, lambda step: f(*step, *pos_args), xs)


def _while_operator(
    recorder: Recorder, cond_fn: Any, body_fn: Any, carried: Any, additional_inputs: Any = ()
) -> Any:
    return _while_loop(
        recorder,
        lambda *own: cond_fn(*own, *additional_inputs),
        lambda *own: body_fn(*own, *additional_inputs),
        carried,
    )


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "cond": _branch,
    "map": _map,
    "scan": _scan,
    "while_loop": _while_loop,
}
_OPERATORS: dict[str, Callable[..., Any]] = {
    "cond": _branch,
    "map_impl": _map_operator,
    "scan": _scan_operator,
    "while_loop": _while_operator,
}
