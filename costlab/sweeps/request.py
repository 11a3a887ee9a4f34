"""What a sweep is asked for, as its caller writes it, and the plan of that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from costlab.costs.quantities import (
    OF_MEMORY,
    WITHOUT_DEVICE,
    More,
    asked,
    in_runs,
    named_in,
    names_training,
    quantities,
)
from costlab.errors import ChoiceError
from costlab.expressions.parser import Names, listed, require_known
from costlab.models.reference import Run
from costlab.sweeps.architectures import OfCatalog
from costlab.sweeps.axes import Vary, read_axes, require_ranges
from costlab.sweeps.keep import Wanted
from costlab.sweeps.own_models import INPUT_OF_CATALOG, OwnModel, is_own, own_model
from costlab.sweeps.plan import Plan
from costlab.sweeps.search import search
from costlab.sweeps.subject import Subject

if TYPE_CHECKING:
    from costlab.trace.given import InputType

MOST_SHOWN = 100_000
"""Variants that a table, Markdown or JSON may have."""

_BEST = 20


@dataclass(frozen=True)
class Request:
    """The arguments of `costlab.sweep` that say what is wanted, not how it is done."""

    model: Any
    vary: Vary
    choices: Mapping[str, Any] = field(default_factory=dict)
    where: str = ""
    minimize: str = ""
    maximize: str = ""
    top: int | None = None
    pareto: str | Iterable[str] = ()
    input_size: Any = None
    input_type: InputType = ""
    method: str = "forward"
    training: bool = False
    training_cost: bool = False
    device: str = ""
    dtype: str = ""
    optimizer: str = ""
    quantities: str | Iterable[str] = ()

    def plan(self) -> Plan:
        """The plan of it. Raises what ``costlab.sweep`` raises; counts nothing yet."""
        wanted = self._wanted()
        subject = self._subject(wanted)
        the_plan = Plan(
            subject,
            read_axes(subject, self.vary),
            wanted,
            self.where,
            block_size=subject.block_size,
            training_cost=self._counts_training(wanted),
            device=self.device,
            dtype=self.dtype,
            optimizer=self.optimizer,
            asked=self._asked(subject, wanted),
        )
        search(the_plan)  # raises what is wrong with the expressions
        return the_plan

    def _asked(self, subject: Subject, wanted: Wanted) -> tuple[str, ...]:
        """The quantities that are asked for: by name, in the condition and in the goals."""
        by_name_alone = type(subject) is OfCatalog  # which has the others without being asked
        more = self._named() if by_name_alone else self._named(wanted)
        return tuple(quantity.name for quantity in more)

    def _named(self, wanted: Wanted | None = None) -> More:
        """The quantities that are asked for by name, and those that what is wanted names."""
        return asked(self._names(wanted), bool(self.device), self.optimizer)

    def _names(self, wanted: Wanted | None) -> list[str]:
        given = self.quantities
        texts = given.split(",") if isinstance(given, str) else given
        names = [text.strip() for text in texts if text.strip()]
        return names + named_in((self.where, *wanted.goals)) if wanted else names

    def _counts_training(self, wanted: Wanted) -> bool:
        """Whether what a training step costs is asked for, or named."""
        return self.training_cost or names_training(self._names(wanted))

    def _of_catalog(self, wanted: Wanted) -> OfCatalog:
        """A model of the catalog: built where what a run holds is asked for."""
        if in_runs(self._named(wanted)):
            from costlab.sweeps.built_models import built_of_catalog  # others do not wait for it

            return built_of_catalog(self.model, tuple(self.choices.items()), self.vary)
        return OfCatalog(self.model, tuple(self.choices.items()))

    def _require_names(self, wanted: Wanted) -> None:
        """Raises ``ExpressionError`` for a name that is no quantity, no choice, and does not vary.

        It is known before the code is imported, and so what kinds of values it takes.
        """
        more = self._named(wanted)
        if self.device or self.dtype:
            from costlab.roofline.quantity import on_device  # others do not wait for it

            more += on_device(self.device, self.dtype)[1]
        varied = [name.strip() for written in self.vary for name in written.split("=")]
        known = [
            *quantities(self._counts_training(wanted), more),
            *OwnModel.notes,
            *self.choices,
            *varied,
        ]
        names = Names(dict.fromkeys(known, "number"), elsewhere={**OF_MEMORY, **WITHOUT_DEVICE})
        for text in filter(None, (self.where, *wanted.goals)):
            require_known(text, names)

    def _wanted(self) -> Wanted:
        pareto = self.pareto
        goals = listed(pareto) if isinstance(pareto, str) else [text for text in pareto if text]
        best, top = self.minimize or self.maximize, self.top
        if sum(map(bool, (self.minimize, self.maximize, goals))) > 1:
            raise ChoiceError("minimize, maximize and pareto exclude each other: give one of them")
        if top is not None and not best:
            raise ChoiceError("top needs an order: give minimize or maximize too, such as macs")
        if top is not None and not (type(top) is int and 1 <= top <= MOST_SHOWN):
            raise ChoiceError(f"top is a whole number from 1 to {MOST_SHOWN:,}")
        if best:
            return Wanted("best", (best,), top or _BEST, most=bool(self.maximize))
        return Wanted("front", tuple(goals)) if goals else Wanted()

    def _subject(self, wanted: Wanted) -> Subject:
        if not is_own(self.model, self.input_size):
            if self.input_size is not None:
                raise ChoiceError(INPUT_OF_CATALOG)
            return self._of_catalog(wanted)
        require_ranges(self.vary)  # before an input size is asked for, and the code is imported
        self._require_names(wanted)
        run = Run(training=self.training, input_type=self.input_type, method=self.method)
        return own_model(self.model, self.vary, self.input_size, run, self.choices)
