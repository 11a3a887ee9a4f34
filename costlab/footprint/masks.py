"""Whether a mask is the causal one, which torch's encoders and decoders ask of its values."""

from __future__ import annotations

import sys
from typing import TypeAlias
from weakref import ReferenceType

from torch import Tensor

from costlab.torch_private import FakeTensor, detect_causal_mask
from costlab.trace.classification import code_at_work

Standing: TypeAlias = dict[int, tuple[ReferenceType[Tensor], Tensor]]
"""Stand-ins by their identities, and what they stand for; a run may let go of them."""


def is_causal(given: Standing) -> bool | None:
    """The answer, if that is what code asks of a tensor that is given; None if not.

    A mask without values is one like any other.
    """
    frame = code_at_work(sys._getframe(1))
    if frame is None or frame.f_code is not detect_causal_mask.__code__:
        return None
    asked = frame.f_locals["mask"]
    standin, mask = given.get(id(asked), (None, None))
    if standin is None or mask is None or standin() is not asked:
        return None
    if mask.is_meta or isinstance(mask, FakeTensor):
        return False
    return bool(detect_causal_mask(mask, size=frame.f_locals["size"]))
