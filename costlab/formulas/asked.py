"""Asking for a formula: of which model, with which symbols, and what to count."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from costlab.costs.quantities import asked, in_runs, names_training
from costlab.errors import ChoiceError
from costlab.formulas.formula import Formula
from costlab.models.arguments import keywords_of
from costlab.models.catalog_name import DIMENSIONS, named_model
from costlab.models.python_code import code_with_symbols
from costlab.models.reference import Run, reference

if TYPE_CHECKING:
    from costlab.trace.given import InputType


def formula(
    model: Any,
    symbols: str | Iterable[str] = (),
    at: Mapping[str, float] | None = None,
    *,
    input_size: Any = None,
    near: Mapping[str, int] | None = None,
    input_type: InputType = "",
    method: str = "forward",
    training: bool = False,
    factored: bool = False,
    training_cost: bool = False,
    device: str = "",
    dtype: str = "",
    optimizer: str = "",
    quantities: str | Iterable[str] = (),
    **choices: Any,
) -> Formula:
    """The costs of a model, or of a part of it, as sympy expressions.

    Of a module or Python code (``"mine.py:Net"``), ``input_size`` has names for the sizes that are
    symbols: ``"N,3,H,W"``, a tuple of ints and names, several of them, or by keywords. Its forward
    is followed once, near a point: ``near`` has numbers for names (by default images of 224×224,
    two of them, and 64 of anything else). What code asks of a size is answered by the number there,
    and kept as a condition: `conditions` has them with their places, and the formula is given
    nowhere else. ``input_type``, ``method`` and ``training`` are those of ``costlab.analyze``.

    An exported program has names for what varies itself: without ``input_size`` these are the
    symbols, and it is followed near the sizes that it was exported with.

    Of a model of the catalog, symbols are ``C``, ``H`` and ``W``, the channels, height and width of
    the whole model's input, and what ``symbols`` adds: ``N``, the batch, or choices of the
    architecture that are numbers, such as ``"c5r,c5"``. ``choices`` are choices as keyword
    arguments.

    ``quantities`` are some that are known only where they are asked for: what a run holds
    (``"peak_bytes"``) or a training step (``"training_peak_bytes,saved_bytes"``), what that costs
    (``"training_macs"``, as ``training_cost``), and of a module ``"read_bytes,written_bytes"``.
    They may hold in fewer places.
    Of a model of the catalog, what a run holds is that of the module which is built of it: its
    symbols are H, W, and N where it is named; C is a number. ``optimizer`` is what trains in such a
    step, ``"sgd"`` by default: ``"optimizer_bytes"`` is what it keeps, which is in
    ``"training_peak_bytes"`` too.

    ``at`` has numbers for some symbols. ``training_cost`` adds what a training step costs (see
    ``costlab.analyze``), ``device`` and ``dtype`` what layers take at least there (see
    ``costlab.bounds``).

    Raises ``UnknownNameError`` for an unknown name, ``ChoiceError`` for what cannot be a symbol and
    for a model that is not of the catalog, ``ShapeError`` where the model is not defined.
    """
    parts = symbols.split(",") if isinstance(symbols, str) else symbols
    named = [name.strip() for name in parts if name.strip()]
    if input_size is None and not (isinstance(model, str) and code_with_symbols(model)):
        own = getattr(reference(model), "varying", lambda: None)()
        if own is not None:
            input_size, near = own[0], own[1] | dict(near or {})
    texts = quantities.split(",") if isinstance(quantities, str) else quantities
    names = [name.strip() for name in texts if name.strip()]
    more = asked(names, bool(device), optimizer)
    training_cost = training_cost or names_training(names)
    if device or dtype:
        from costlab.roofline.quantity import on_device  # others do not wait for it

        more += on_device(device, dtype)[1]
    if input_size is not None:
        from costlab.models.symbolic_sizes import symbolic_sizes

        with keywords_of(choices, formula):
            if choices:
                raise ChoiceError("a module takes no choices here: give them in its name")
            sized = symbolic_sizes(
                model,
                input_size,
                named,
                dict(near or {}),
                Run(
                    input_type=input_type,
                    method=method,
                    training=training,
                    gradients=training_cost,
                ),
            )
        sized.require_at(at or {})
        from costlab.formulas.of_modules import module_formula  # which imports torch

        return module_formula(sized, dict(at or {}), factored, training_cost, more)
    if isinstance(model, str) and code_with_symbols(model):
        raise ChoiceError(
            f"of {model} an input size says what goes in, with names for what varies, such as "
            "N,3,H,W (input_size, --input-size)"
        )
    with keywords_of(choices, formula):
        chosen = named_model(model, **choices)
        chosen.graph()  # raises what is wrong with the name
    if in_runs(more):
        from costlab.formulas.of_built import built
        from costlab.formulas.of_modules import module_formula

        sized, values = built(chosen, named, dict(at or {}), dict(near or {}), training_cost)
        return module_formula(sized, values, factored, training_cost, more)
    wanted = dict.fromkeys(["C", "H", "W", *named])
    for name in wanted:
        chosen.require_number(name)
    values = dict(at or {})
    ordered = tuple(sorted(wanted, key=_order))
    return Formula(chosen, ordered, {}, factored, training_cost, more)._defined().at(**values)


def _order(name: str) -> tuple[int, str]:
    """The input's dimensions first, in their order."""
    return (list(DIMENSIONS).index(name) if name in DIMENSIONS else len(DIMENSIONS), name)
