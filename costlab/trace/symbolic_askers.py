"""Which code of torch asks a size that is a symbol, as the calls around a question say."""

from __future__ import annotations

import sys
from types import FrameType


def about_memory() -> bool:
    """Whether torch asks how elements lie in memory, which decides nothing that is counted."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        home = frame.f_globals.get("__name__", "")
        if home not in _ASKING:
            return home in ("torch._prims_common", "torch._prims")
        frame = frame.f_back
    return False


def looks_for_strides() -> bool:
    """Whether torch looks for the strides of a view, whose shape is given."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_globals.get("__name__", "") not in (*_ASKING, "torch"):
            return frame.f_code.co_name in (
                "_reshape_view_helper_core_alg",
                "_collapse_view_helper",
            )
        frame = frame.f_back
    return False


_ASKING = (
    __name__,
    "costlab.trace.symbolic_numbers",
    "torch.fx.experimental.symbolic_shapes",
    "torch.fx.experimental.sym_node",
)
