"""Short labels for models that stand side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count

from costlab import formatting
from costlab.costs.table import CostTable
from costlab.errors import ChoiceError
from costlab.formatting import printable

_SHORT = 12
"""A name of so many characters is its own label."""


def names_of(tables: Sequence[CostTable], written: Sequence[str] = ()) -> tuple[str, ...]:
    """The models' names; those of one name by how they are ``written``, or else by their inputs.

    Two saved reports are one name in two folders, for example.
    """
    names = [table.model for table in tables]
    names = _told_apart(
        names, [text or name for text, name in zip(written or names, names, strict=True)]
    )
    names = _told_apart(
        names,
        [f"{name} on {table.graph.entering}" for name, table in zip(names, tables, strict=True)],
    )
    return tuple(
        _told_apart(
            names, [f"{name} ({names[: i + 1].count(name)})" for i, name in enumerate(names)]
        )
    )


def _told_apart(names: Sequence[str], longer: Sequence[str]) -> list[str]:
    """The names, each that is there more than once by a longer one."""
    return [
        more if names.count(name) > 1 else name for name, more in zip(names, longer, strict=True)
    ]


def labels_of(names: Sequence[str], given: Sequence[str] = ()) -> tuple[str, ...]:
    """A label for each name: what is given for it, else the name if all are short, else a letter.

    Raises ``ChoiceError`` for a label that is given twice, and for more labels than models.
    """
    if len(given) > len(names):
        raise ChoiceError(
            f"{formatting.plural(len(given), 'name')} for "
            f"{formatting.plural(len(names), 'model')}: give at most one for each"
        )
    given = [*map(printable, given), *[""] * (len(names) - len(given))]
    chosen = [label for label in given if label]
    if len(set(chosen)) < len(chosen):
        twice = next(label for label in chosen if chosen.count(label) > 1)
        raise ChoiceError(f"two models are named {twice!r}: give each a name of its own")
    unnamed = [printable(name) for name, label in zip(names, given, strict=True) if not label]
    short = all(len(name) <= _SHORT for name in unnamed) and not set(unnamed) & set(chosen)
    if short and len(set(unnamed)) == len(unnamed):
        rest = iter(unnamed)
    else:
        rest = (letter for letter in _letters() if letter not in chosen)
    return tuple(label or next(rest) for label in given)


def _letters() -> Iterator[str]:
    """A, B, C..., Z, A2, B2..."""
    for i in count():
        yield chr(ord("A") + i % 26) + (str(i // 26 + 1) if i >= 26 else "")


def legend_of(
    labels: Sequence[str], names: Sequence[str], tables: Sequence[CostTable]
) -> list[str]:
    """A line for each label: whose it is, and what goes in and comes out."""
    return [
        f"{label if label == name else f'{label} = {name}'}: {table.graph.ends}"
        for label, name, table in zip(labels, names, tables, strict=True)
    ]
