"""Sequences that are packed and padded again: shapes that depend on their lengths alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from costlab.torch_private import unseen_by_modes
from costlab.trace.tensors import META

if TYPE_CHECKING:
    from costlab.trace.recorder import Recorder

NAMES = ("_pack_padded_sequence", "_pad_packed_sequence")


def by_lengths(
    recorder: Recorder, name: str, func: Any, data: Tensor, lengths: Tensor, *more: Any
) -> Any:
    """What such a call gives if the lengths, or sizes of batches, are known; None if not.

    It is done on sequences of one feature.
    """
    known = recorder.known.of(lengths)
    if known is None:
        return None
    axes = 1 if name == "_pad_packed_sequence" else 2
    one = torch.zeros(*data.shape[:axes], 1, dtype=data.dtype, device="cpu")
    with unseen_by_modes():
        moved, counts = func(one, known.copy, *more)
    recorder.known.decide(name, recorder.where(), known.inputs)
    shape = (*moved.shape[:-1], *data.shape[axes:])
    elements = torch.empty(shape, dtype=data.dtype, device=META)
    standin = torch.empty(counts.shape, dtype=counts.dtype, device=META)
    recorder.tape.moved(name, recorder.tape.stood((data, lengths)), elements)
    recorder.tape.further(elements, standin)
    recorder.tape.stands_for(standin, counts)  # which torch wants on the CPU
    recorder.known.remember(counts, counts.clone(), known.inputs)
    return elements, counts
