"""Scaled dot-product attention."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import ClassVar

from costlab import formatting
from costlab.errors import ShapeError
from costlab.graph.op import Condition, Op, Shape
from costlab.graph.opcount import Contraction, Gradient, GradientScalars, OpCount, collected
from costlab.ops.broadcast import broadcast, broadcast_conditions


@dataclass(frozen=True, slots=True)
class Attention(Op):
    """``softmax(scale · q kᵀ + mask) v`` (Vaswani et al. 2017), the batch broadcast.

    ``q`` is ``[.., L, E]``, ``k`` ``[.., S, E]``, ``v`` ``[.., S, V]``. MACs: batch·L·S·(E + V),
    the dense convention: what a mask hides counts. A multiplication per score for the scale, an
    addition for the mask, and the softmax. ``grouped`` lets heads of q share those of k and v.
    ``mask_elements`` are those of the mask that is added, which it takes as a weight; None where no
    gradient can be had of what says the mask.
    """

    masked: bool = False
    grouped: bool = False
    mask_elements: int | None = None

    name: ClassVar[str] = "attention"
    arity: ClassVar[int | None] = 3

    def output(self, *inputs: Shape) -> Shape:
        q, _, v = inputs
        if min(map(len, inputs)) < 2:
            raise ShapeError(
                f"attention takes [.., length, width], not {formatting.shapes(inputs)}"
            )
        return (*self._batch(*inputs), q[-2], v[-1])

    def conditions(self, *inputs: Shape) -> Iterable[Condition]:
        q, k, v = inputs
        of_q, of_k, of_v = self._batches(*inputs)
        yield from broadcast_conditions(of_q, of_k)
        yield from broadcast_conditions(broadcast(of_q, of_k), of_v)
        yield abs(q[-1] - k[-1]) <= 0, "queries and keys differ in width"
        yield abs(k[-2] - v[-2]) <= 0, "there is not a value for each key"
        if self.grouped:
            yield q[-3] % k[-3] <= 0, "heads of keys must divide those of queries"
            yield q[-3] % v[-3] <= 0, "heads of values must divide those of queries"

    def contraction(self, output: Shape, *inputs: Shape) -> Contraction:
        q, k, v = inputs
        names = (*["batch"] * (len(output) - 2), "queries", "keys")
        return Contraction(
            (*output[:-1], k[-2]), (q[-1] + v[-1],), (names, ("width of keys + of values",))
        )

    def gradients(self, output: Shape, *inputs: Shape) -> tuple[Gradient, ...]:
        """Of the values, ``dV = Pᵀ·dO``; of the scores, ``dP = dO·Vᵀ``; from these ``dQ``, ``dK``.

        The probabilities P are kept, not computed again. A mask that learns (a bias for each
        place) needs the scores' gradient only.
        """
        q, k, v = inputs
        (*batch, queries, _), keys = output, k[-2]
        names = ("batch",) * len(batch)
        of_v, of_scores, of_q, of_k = (
            Contraction((*batch, *outer), (inner,), ((*names, *outer_names), (inner_name,)))
            for outer, outer_names, inner, inner_name in (
                ((keys, v[-1]), ("keys", "width of values"), queries, "queries"),
                ((queries, keys), ("queries", "keys"), v[-1], "width of values"),
                ((queries, q[-1]), ("queries", "width of keys"), keys, "keys"),
                ((keys, q[-1]), ("keys", "width of keys"), queries, "queries"),
            )
        )
        return (
            Gradient(of_v, operands=(2,)),
            Gradient(of_scores, operands=(0, 1), weights=(0,)),
            Gradient(of_q, operands=(0,)),
            Gradient(of_k, operands=(1,)),
        )

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        rows = prod(output[:-1])
        scores = rows * inputs[1][-2]
        return OpCount(
            mul=scores,
            add=2 * scores - rows + scores * int(self.masked),
            cmp=scores - rows,
            div=scores,
            special=scores,
        )

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...]:
        """Back through the softmax, ``P·(dP - Σ dP·P)``, and the scale of the scores.

        What was broadcast, and what heads of keys and values collect of several queries, is summed.
        """
        q, k, v = inputs
        rows = prod(output[:-1])
        scores, batch = rows * k[-2], output[:-2]
        elements = self.mask_elements
        of_mask = None if elements is None else OpCount(add=scores - elements)
        return (
            *_of_scores(scores, rows),
            GradientScalars(of_mask, weights=(0,)),
            GradientScalars(collected((*batch, *q[-2:]), q), operands=(0,)),
            GradientScalars(collected((*batch, *k[-2:]), k), operands=(1,)),
            GradientScalars(collected((*batch, *v[-2:]), v), operands=(2,)),
        )

    def _batch(self, *inputs: Shape) -> Shape:
        q, k, v = self._batches(*inputs)
        return broadcast(broadcast(q, k), v)

    def _batches(self, *inputs: Shape) -> tuple[Shape, Shape, Shape]:
        """What each input has a matrix for: heads of keys and values as often as queries ask."""
        q, k, v = (x[:-2] for x in inputs)
        return (q, (*k[:-1], q[-1]), (*v[:-1], q[-1])) if self.grouped else (q, k, v)


@dataclass(frozen=True, slots=True)
class PackedAttention(Op):
    """Attention of sequences that lie one after the other, each within itself.

    ``q`` is ``[T, H, E]``, ``k`` ``[S, K, E]``, ``v`` ``[S, K, V]``, where K divides H; ``lengths``
    are the numbers of queries and of keys of each sequence. What of ``Attention`` is L·S is the sum
    of these products here.
    """

    lengths: tuple[tuple[int, int], ...]
    masked: bool = False

    name: ClassVar[str] = "attention"
    arity: ClassVar[int | None] = 3
    grouped: ClassVar[bool] = False  # kernels of packed sequences repeat no keys

    @property
    def detail(self) -> str:
        return formatting.plural(len(self.lengths), "sequence")

    def output(self, *inputs: Shape) -> Shape:
        q, _, v = inputs
        return (*q[:2], v[2])

    def conditions(self, *inputs: Shape) -> Iterable[Condition]:
        q, k, v = inputs
        yield len(q) == len(k) == len(v) == 3, "it takes [total length, heads, width]"
        yield abs(q[2] - k[2]) <= 0, "queries and keys differ in width"
        yield k[:2] == v[:2], "there is not a value for each key"
        yield q[1] % k[1] <= 0, "heads of keys must divide those of queries"
        queries, keys = map(sum, zip(*self.lengths, strict=True))
        yield queries <= q[0], f"the sequences have {queries} queries, there are {q[0]}"
        yield keys <= k[0], f"the sequences have {keys} keys, there are {k[0]}"

    def contraction(self, output: Shape, *inputs: Shape) -> Contraction:
        names = ("heads", "pairs of a query and a key")
        inner = (inputs[0][2] + inputs[2][2],)
        return Contraction((output[1], self._pairs), inner, (names, ("width of keys + of values",)))

    def gradients(self, output: Shape, *inputs: Shape) -> tuple[Gradient, ...]:
        """Those of ``Attention``, over the pairs."""
        names = ("heads", "pairs of a query and a key")
        pairs = (output[1], self._pairs)
        of_values = Contraction(pairs, (inputs[2][2],), (names, ("width of values",)))
        of_keys = Contraction(pairs, (inputs[0][2],), (names, ("width of keys",)))
        return (
            Gradient(of_values, operands=(2,)),
            Gradient(of_values, operands=(0, 1), weights=(0,)),
            Gradient(of_keys, operands=(0,)),
            Gradient(of_keys, operands=(1,)),
        )

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...]:
        """Those of ``Attention``; what heads of keys and values collect is summed.

        How large a mask is that learns is not known here.
        """
        q, k, v = inputs
        rows = output[1] * sum(queries for queries, _ in self.lengths)
        keys = sum(own for _, own in self.lengths)
        shared = (q[1] - k[1]) * keys
        return (
            *_of_scores(output[1] * self._pairs, rows),
            GradientScalars(None, weights=(0,)),
            GradientScalars(OpCount(add=shared * k[2]), operands=(1,)),
            GradientScalars(OpCount(add=shared * v[2]), operands=(2,)),
        )

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        scores = output[1] * self._pairs
        rows = output[1] * sum(queries for queries, _ in self.lengths)
        return OpCount(
            mul=scores,
            add=2 * scores - rows + scores * int(self.masked),
            cmp=scores - rows,
            div=scores,
            special=scores,
        )

    @property
    def _pairs(self) -> int:
        return sum(queries * keys for queries, keys in self.lengths)


def _of_scores(scores: int, rows: int) -> tuple[GradientScalars, ...]:
    """Back through the softmax, to a mask that learns too, and then through the scale."""
    softmax = OpCount(mul=2 * scores, add=2 * scores - rows)
    return (
        GradientScalars(softmax, operands=(0, 1), weights=(0,)),
        GradientScalars(OpCount(mul=scores), operands=(0, 1)),
    )
