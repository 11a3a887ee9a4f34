"""Counting models and judging their limits: what ``costlab check`` does, and its baselines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from costlab import formatting
from costlab.alignment import Pair, align
from costlab.atomic_files import replacing
from costlab.costs.cost import Cost
from costlab.costs.of_runs import OF_RUNS
from costlab.costs.quantities import More, asked
from costlab.costs.quantity import Quantity
from costlab.costs.table import CostTable, analyze
from costlab.errors import GateError, OutputError, blaming, said_of
from costlab.expressions.expression import Expression
from costlab.expressions.tables import of_training
from costlab.gates.limits import Judged, judged, limit
from costlab.gates.result import CheckedModel, Gate
from costlab.gates.settings import Check
from costlab.models.reference import Model, reference
from costlab.models.rules import load_rules
from costlab.models.saved_report import Saved

if TYPE_CHECKING:
    from costlab.footprint.result import Memory
    from costlab.trace.given import InputType


def check(
    model: Model | CostTable,
    *limits: str,
    input_size: Any = None,
    vary: Mapping[str, str | Iterable[Any]] | None = None,
    baseline: Model | CostTable | None = None,
    inputs: Any = None,
    input_type: InputType = "",
    training: bool = False,
    real: bool = False,
    method: str = "forward",
    device: str = "",
    dtype: str = "",
    optimizer: str = "",
) -> Gate:
    """Whether a model keeps its limits: ``check("googlenet", "macs <= 1.6 G").holds``.

    ``vary`` has the sizes and choices for all of which they are to hold, as for ``costlab.sweep``;
    the input size of a module has names for sizes, then. Every variant is counted, and each limit
    is shown where it fails most or has the least room.

    ``limits`` are conditions (docs/expressions.md). With a ``baseline``, a model too, such as a
    saved report, they may say ``base.macs`` and the like, and on a ``device``
    ``time_bound <= 5 ms``, of numbers of type ``dtype`` (see ``costlab.bounds``). The rest is as
    ``analyze`` has it. Raises what ``analyze`` raises, ``ExpressionError`` and ``GateError``.
    """
    if not limits:
        raise GateError("no limits: give conditions, such as 'macs <= 1.6 G'")
    return gate(
        [
            Check(
                model,
                limits,
                input_size=input_size,
                vary=vary,
                input_type=input_type,
                inputs=inputs,
                training=training,
                real=real,
                method=method,
                device=device,
                dtype=dtype,
                optimizer=optimizer,
                baseline=baseline,
            )
        ]
    )


def gate(
    checks: Sequence[Check], update: bool = False, progress: Callable[[str], None] = lambda _: None
) -> Gate:
    """The result of some checks; with ``update`` baselines that are files are written first."""
    files = _files(checks) if update else {}
    models = []
    for number, wanted in enumerate(checks):
        progress(
            f"{number + 1} of {formatting.plural(len(checks), 'model')}: counting {wanted.called}"
        )
        if wanted.vary:
            models.append(_in_range(wanted, progress))
        else:
            models.append(_checked(wanted, renewed=number in files))
    texts = {file: models[number].table.to_json() for number, file in files.items()}
    _write(texts)
    return Gate(tuple(models), tuple(texts))


def _in_range(wanted: Check, progress: Callable[[str], None]) -> CheckedModel:
    """The limits of a model for all that varies."""
    from costlab.gates.ranges import Range  # others do not wait for it

    with blaming(str(wanted.place)):
        if wanted.rules:
            load_rules(wanted.rules)
        return Range(wanted, progress).checked()


def _of_runs(wanted: Check, expressions: Iterable[Expression]) -> More:
    """The quantities of a run or a step that limits name, with what they are."""
    names = {name.name for expression in expressions for name in expression.variables}
    more = asked((name for name in OF_RUNS if name in names), optimizer=wanted.optimizer)
    held = {
        optimizer: _held(wanted, optimizer)
        for optimizer in dict.fromkeys(quantity.optimizer for quantity in more)
    }
    return tuple(
        replace(quantity, of=partial(_itself, _known(quantity, held[quantity.optimizer])))
        for quantity in more
    )


def _held(wanted: Check, optimizer: str) -> Memory:
    """What a run holds, or a step with an ``optimizer``. Raises ``GateError``."""
    from costlab.footprint.memory import memory  # others do not wait for it

    run = wanted.run()
    if run["method"] != "forward":
        raise GateError(f"what a run holds is of forward: leave out method {run['method']}")
    how = {name: run[name] for name in ("inputs", "input_type", "real")}
    training = bool(optimizer)
    return memory(wanted.model, wanted.input_size, training=training, optimizer=optimizer, **how)


def _known(quantity: Quantity, held: Memory) -> int:
    """That of what is held. Raises ``GateError`` where it is known at least only."""
    if not held.complete:
        raise GateError(
            f"{quantity.name} is known at least only, for {' '.join(held.held.unseen[0])}"
        )
    return held.total[quantity.name.removeprefix("training_")]


def _itself(number: int, cost: Cost) -> int:
    return number


def _checked(wanted: Check, renewed: bool) -> CheckedModel:
    # Before anything is counted, which may take long, the limits are read.
    based, timed = wanted.baseline is not None, bool(wanted.device)
    expressions = []
    for place, text in wanted.placed_limits():
        with blaming(str(place)):
            expressions.append((place, limit(text, based, timed)))
    with blaming(str(wanted.place)):
        if wanted.rules:
            load_rules(wanted.rules)
        more = _more(wanted)
        of_runs = _of_runs(wanted, [expression for _, expression in expressions])
        training_cost = wanted.training_cost or any(
            of_training(expression) for _, expression in expressions
        )
        table = replace(
            analyze(wanted.model, wanted.input_size, training_cost=training_cost, **wanted.run()),
            more=more + of_runs,
        )
        base = (table if renewed else _base(wanted, training_cost)) if based else None
        base = base and replace(base, more=more)
        _require_its_input(wanted, table, base)

    @cache  # once for all limits that fail
    def pairs() -> Sequence[Pair]:
        return () if base is None else align(base, table).pairs

    limits: list[Judged] = []
    for place, expression in expressions:
        with blaming(str(place)):
            limits.append(judged(expression, place, table, base, pairs))
    return CheckedModel(wanted.called or table.model, table, base, tuple(limits))


def _more(wanted: Check) -> More:
    """The time on the device of a check, if it has one."""
    if not (wanted.device or wanted.dtype):
        return ()
    from costlab.roofline.quantity import on_device  # others do not wait for it

    return on_device(wanted.device, wanted.dtype)[1]


def _base(wanted: Check, training_cost: bool) -> CostTable:
    """The baseline's table; it is run as the model is, if it is a kind of MODEL that is run."""
    if isinstance(wanted.baseline, CostTable):
        return analyze(wanted.baseline, training_cost=training_cost)
    known = reference(wanted.baseline)
    if isinstance(known, Saved) and not Path(known.file).exists():
        here = "costlab check --update writes it"
        if known.part or not wanted.place.file:  # checks of a file would write only their own
            here = f"costlab show MODEL -o {known.file} writes it"
            here += "" if known.part else ", or --update with this check"
        raise GateError(f"there is no baseline {known.file} yet: {here}")
    with blaming(wanted.baseline if isinstance(wanted.baseline, str) else ""):
        return analyze(
            wanted.baseline,
            wanted.input_size if "input size" in known.accepts else None,
            training_cost=training_cost,
            **(wanted.run() if "run" in known.accepts else {}),
        )


def _require_its_input(wanted: Check, table: CostTable, base: CostTable | None) -> None:
    """A baseline that is a file is the same model before: costs on another input say nothing.

    Raises ``GateError``.
    """
    if base is None or not isinstance(wanted.baseline, str):
        return
    known = reference(wanted.baseline)
    if isinstance(getattr(known, "model", known), Saved):  # also as a git revision has it
        before, now = base.graph, table.graph
        if before.inputs and before.entering != now.entering:
            raise GateError(
                f"the baseline {wanted.baseline} is on {before.entering}, the model on "
                f"{now.entering}: check it on that input, or write the baseline anew (--update)"
            )


def _files(checks: Sequence[Check]) -> dict[int, str]:
    """The files that are baselines, by the numbers of their checks. Raises ``GateError``."""
    files: dict[int, str] = {}
    for number, wanted in enumerate(checks):
        known = reference(wanted.baseline) if isinstance(wanted.baseline, str) else None
        if not isinstance(known, Saved) or known.part:
            continue
        if known.file in files.values():
            with blaming(str(wanted.place)):
                raise GateError(
                    f"{known.file} is the baseline of another check too: give each its own"
                )
        files[number] = known.file
    if not files:
        raise GateError(
            'no baseline is a file that could be written: give one, as baseline = "base.json" or '
            "--baseline base.json"
        )
    return files


def _write(texts: Mapping[str, str]) -> None:
    """Put each text into its file: all of them, or nothing has changed. Raises ``OutputError``."""
    file = ""
    try:
        with ExitStack() as stack:
            for file, text in texts.items():
                Path(file).parent.mkdir(parents=True, exist_ok=True)
                stack.enter_context(replacing(Path(file))).write_bytes(text.encode("utf-8"))
    except OSError as error:
        raise OutputError(f"cannot write the baseline {file}: {said_of(error)}") from None
