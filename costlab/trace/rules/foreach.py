"""Functions of lists of tensors, ``torch._foreach_add``: one operation for each tensor."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from costlab.trace.classification import MOVES
from costlab.trace.registry import rule, rules
from costlab.trace.tape import Tape
from costlab.trace.tensors import META

_PREFIX = "_foreach_"


def _foreach(name: str) -> Any:
    def foreach(on: Tape, tensors: Any, *args: Any, **kwargs: Any) -> Any:
        results = []
        for number, tensor in enumerate(tensors):

            def own(value: Any, number: int = number) -> Any:
                """Of a list the item for this tensor; what is no list is for all of them."""
                return value[number] if isinstance(value, (list, tuple)) else value

            more = [own(value) for value in args]
            named = {key: own(value) for key, value in kwargs.items()}
            if name in MOVES:
                sources = [source for source in (tensor, *more) if isinstance(source, Tensor)]
                result = torch.empty(tensor.shape, dtype=tensor.dtype, device=META)
                results.append(on.moved(name, sources, result))
            elif (by_name := rules().get(name)) is None:
                return NotImplemented
            else:
                results.append(by_name(on, tensor, *more, **named))
        return NotImplemented if any(result is NotImplemented for result in results) else results

    return foreach


for _function in dir(torch):
    if _function.startswith(_PREFIX) and not _function.endswith("_"):
        rule(_function)(_foreach(_function.removeprefix(_PREFIX)))
for _moved in ("copy", "zero"):  # only in place
    rule(_PREFIX + _moved)(_foreach(_moved))
