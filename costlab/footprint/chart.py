"""What a run holds as a chart: a bar for each visit of a layer, forward and then backward."""

from __future__ import annotations

from itertools import groupby

from costlab.footprint.timeline import Timeline
from costlab.graph.paths import truncated
from costlab.render.plots import Level, Levels


def levels(timeline: Timeline, title: str, depth: int | None, training: bool) -> Levels:
    """The most that is there while a layer works, of each kind of memory, one layer after another.

    A layer (with ``depth`` a scope) that works again, as in the backward pass, has a bar again.
    """
    live = timeline.live
    saved = timeline.live_of(piece for piece in timeline.pieces if piece.saved_by is not None)
    gradients = timeline.live_of(piece for piece in timeline.pieces if piece.gradient)
    bars = []
    numbered = enumerate(timeline.moments, 1)
    for (path, backward), visit in groupby(
        numbered, lambda layer: (truncated(layer[1].path, depth), layer[1].backward)
    ):
        most = max((number for number, _ in visit), key=live.__getitem__)
        name = path or "(the model)"
        other = live[most] - saved[most] - gradients[most]
        if training:
            phase = "backward" if backward else "forward"
            bars.append(Level(f"{name}, {phase}", (saved[most], gradients[most], other)))
        else:
            bars.append(Level(name, (other,)))
    kinds = ("kept for backward", "gradients of params", "other tensors") if training else ("",)
    return Levels(title, "bytes of tensors", kinds, tuple(bars))
