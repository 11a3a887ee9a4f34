"""What a run held, and when: every piece of memory from the operation that made it to its end.

A moment is an operation of torch, numbered from 1. What an operation makes is there at its moment;
what is let go between two operations was still there at the first of them. What was there before
the run, and was let go by it, is there from moment 0 on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from typing import NamedTuple

from costlab.graph.paths import truncated


@dataclass(slots=True, eq=False)
class Piece:
    """A piece of memory (a storage of torch): how large, which layer made it, and when."""

    bytes: int
    path: str
    born: int
    backward: bool
    """Whether it was made in the backward pass."""
    died: int | None = None
    """The last moment at which it was there; None if it outlived the run."""
    saved_by: str | None = None
    """The layer that kept it for its backward pass, if one did until that began."""
    gradient: bool = False
    """Whether it is the gradient of a parameter, or of an input."""
    returned: bool = False
    read_by: set[str] = field(default_factory=set)
    """The layers whose forward read it."""

    def there_at(self, moment: int) -> bool:
        """Whether it was there then."""
        return self.born <= moment and (self.died is None or moment <= self.died)


class Moment(NamedTuple):
    """An operation: the layer that it is of, and whether it is one of the backward pass."""

    path: str
    backward: bool


class Moved(NamedTuple):
    """Bytes that are read and written."""

    read: int
    written: int


class Holder(NamedTuple):
    """What a layer has made and is still there: in bytes, and for what."""

    path: str
    bytes: int
    saved: int
    """How much of it is kept for the backward pass."""
    gradients: int
    """How much of it is gradients of parameters."""


class LayerMemory(NamedTuple):
    """The bytes of a layer, or of a scope of layers."""

    path: str
    params: int
    buffers: int
    inputs: int
    outputs: int
    saved: int
    read: int
    written: int
    """What its operations read and write, forward and backward, each by itself."""
    live: int
    """The most that was there at one of its operations, forward."""
    live_backward: int | None
    """The most that was there at one of its operations, backward; None if there were none."""


@dataclass(frozen=True)
class Timeline:
    """All pieces and moments of a run."""

    pieces: tuple[Piece, ...]
    moments: tuple[Moment, ...]
    given: tuple[tuple[int, frozenset[str]], ...] = ()
    """Of each input of the network its bytes, and the layers that read it."""
    params: tuple[tuple[str, int], ...] = ()
    """The layer and the bytes of each piece of memory of parameters."""
    buffers: tuple[tuple[str, int], ...] = ()
    """The same of each buffer."""
    moved: Mapping[str, Moved] = field(default_factory=dict)
    """What each layer reads and writes, forward and backward."""

    @cached_property
    def live(self) -> list[int]:
        """The bytes that were there at each moment; at 0, before the run, what it lets go of."""
        return self.live_of(self.pieces)

    def live_of(self, some: Iterable[Piece]) -> list[int]:
        """How many of them were bytes of some of the pieces."""
        changes = [0] * (len(self.moments) + 2)
        for piece in some:
            changes[piece.born] += piece.bytes
            if piece.died is not None:
                changes[piece.died + 1] -= piece.bytes
        return list(accumulate(changes))[: len(self.moments) + 1]

    @property
    def peak(self) -> int:
        """The most bytes that were there at once."""
        return max(self.live)

    @property
    def peak_moment(self) -> Moment:
        """The operation at which there were the most bytes, for the first time."""
        number = self.live.index(self.peak)
        return self.moments[number - 1] if number else Moment("", False)

    @property
    def saved(self) -> int:
        """The bytes that are kept for the backward pass when it begins."""
        return sum(piece.bytes for piece in self.pieces if piece.saved_by is not None)

    @property
    def all_moved(self) -> Moved:
        """The bytes that all operations read and write, each by itself."""
        moved = self.moved.values()
        return Moved(sum(move.read for move in moved), sum(move.written for move in moved))

    @property
    def gradients(self) -> int:
        """The bytes of gradients that are there when the step ends."""
        return sum(piece.bytes for piece in self.pieces if piece.gradient)

    def holders(self, depth: int | None = None) -> list[Holder]:
        """Who holds what at the peak, most first."""
        moment = self.live.index(self.peak)
        held: dict[str, list[int]] = {}
        for piece in self.pieces:
            if piece.there_at(moment):
                of_layer = held.setdefault(truncated(piece.path, depth), [0, 0, 0])
                of_layer[0] += piece.bytes
                of_layer[1] += piece.bytes * (piece.saved_by is not None)
                of_layer[2] += piece.bytes * piece.gradient
        holders = [Holder(path, *sums) for path, sums in held.items() if sums[0]]
        return sorted(holders, key=lambda holder: -holder.bytes)

    def layers(self, depth: int | None = None) -> list[LayerMemory]:
        """The bytes of each layer, in the order in which they first work; scopes of that depth."""
        forward: dict[str, int] = {}
        backward: dict[str, int] = {}
        for moment, live in zip(self.moments, self.live[1:], strict=True):
            path = truncated(moment.path, depth)
            most = backward if moment.backward else forward
            most[path] = max(most.get(path, 0), live)
        sums = self._sums(forward, depth)
        return [
            LayerMemory(path, **of_layer, live=forward[path], live_backward=backward.get(path))
            for path, of_layer in sums.items()
        ]

    def _sums(self, layers: Iterable[str], depth: int | None) -> dict[str, dict[str, int]]:
        """The bytes of layers, or of scopes of that depth, by what they are of."""
        kinds = ("params", "buffers", "inputs", "outputs", "saved", "read", "written")
        sums = {path: dict.fromkeys(kinds, 0) for path in layers}
        for kind, own in (("params", self.params), ("buffers", self.buffers)):
            for path, size in own:
                if (scope := truncated(path, depth)) in sums:
                    sums[scope][kind] += size
        for path, moved in self.moved.items():
            for kind, size in (("read", moved.read), ("written", moved.written)):
                if (scope := truncated(path, depth)) in sums:
                    sums[scope][kind] += size
        for size, readers in self.given:
            for scope in _scopes(readers, depth):
                sums[scope]["inputs"] += size
        self._add_pieces(sums, depth)
        return sums

    def _add_pieces(self, sums: dict[str, dict[str, int]], depth: int | None) -> None:
        """Add what layers made, kept and read of each other."""
        for piece in self.pieces:
            if piece.saved_by is not None:
                scope = truncated(piece.saved_by, depth)
                if scope in sums:
                    sums[scope]["saved"] += piece.bytes
            if piece.backward:
                continue
            home = truncated(piece.path, depth)
            others = _scopes(piece.read_by, depth)
            if piece.born:  # else it was there beforehand
                others -= {home}
                if others or piece.returned:
                    sums[home]["outputs"] += piece.bytes
            for scope in others:
                sums[scope]["inputs"] += piece.bytes


def _scopes(paths: Iterable[str], depth: int | None) -> set[str]:
    return {truncated(path, depth) for path in paths}
