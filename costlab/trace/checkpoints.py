"""The calls of ``torch.utils.checkpoint``: what they run is run again in the backward pass."""

from __future__ import annotations

from types import FrameType
from typing import Any

from torch.utils import checkpoint as checkpointing

from costlab.graph.network import Checkpoint

FUNCTION = checkpointing.CheckpointFunction.__name__
"""What runs the older, reentrant kind."""

_CODE = getattr(checkpointing.checkpoint, "__wrapped__", checkpointing.checkpoint).__code__


class Checkpoints:
    """The calls of ``checkpoint`` in one run, by their frames, which are kept alive."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}
        self._frames: list[FrameType] = []

    def around(self, frame: FrameType | None) -> Checkpoint | None:
        """The outermost one around a frame."""
        outermost: FrameType | None = None
        while frame is not None:
            if frame.f_code is _CODE:
                outermost = frame
            frame = frame.f_back
        if outermost is None:
            return None
        if id(outermost) not in self._numbers:
            self._numbers[id(outermost)] = len(self._frames)
            self._frames.append(outermost)
        arguments: dict[str, Any] = outermost.f_locals
        whole = arguments.get("use_reentrant") is not False or not arguments.get("early_stop", True)
        return Checkpoint(self._numbers[id(outermost)], whole)

    def clear(self) -> None:
        """The run is over: frames hold all that it made."""
        self._frames.clear()
        self._numbers.clear()
