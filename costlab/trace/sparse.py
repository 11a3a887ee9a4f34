"""Calls with sparse tensors: what is stored of them is what a product costs.

Torch has hardly any of these calls on ``meta``. So a sparse tensor whose pattern is known (it was
there before, or is made of such, or of indices that are known) stands for itself: calls are done on
it, with zeros for what is not known. Of others only the shape is known: what they cost is not.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.sparse import SparseSemiStructuredTensor

from costlab.ops.sparse import SparseProduct
from costlab.ops.uncounted import Uncounted
from costlab.torch_private import unseen_by_modes
from costlab.trace import jagged
from costlab.trace.basics import by_rule
from costlab.trace.classification import SPARSE, Call, Kind
from costlab.trace.rules.products import added
from costlab.trace.sparse_refusals import require_taken
from costlab.trace.tape import Tape
from costlab.trace.tensors import META, nested, tensors

if TYPE_CHECKING:
    from costlab.trace.recorder import Recorder

_PRODUCTS = {
    **dict.fromkeys(("mm", "matmul", "rmatmul", "bmm", "mv", "linear", "_sparse_mm"), 0),
    **dict.fromkeys(("hspmm", "smm"), 0),
    **dict.fromkeys(("addmm", "baddbmm", "addmv", "_sparse_addmm", "sspaddmm"), 1),
}
"""Products by name, and the position of their first operand: before it is what is added to them."""

_MOVES = SPARSE | {
    *("cat", "to_dense", "values", "_values", "indices", "_indices"),
    *("crow_indices", "col_indices", "ccol_indices", "row_indices"),
}
"""What gives elements and their places, beside what moves those of all tensors."""

_EACH = frozenset(("mul", "div", "neg", "abs", "relu", "sqrt", "pow", "tanh", "sin"))
"""What is done to each element, and leaves those that are not stored what they are."""

_ORDER = ("input", "self", "mat", "mat1", "batch1", "other", "mat2", "batch2", "vec", "weight")
"""The names of the operands, in the order in which functions take them."""


def is_sparse(tensor: Tensor) -> bool:
    """Whether not all of its elements are stored."""
    return tensor.layout is not torch.strided or isinstance(tensor, SparseSemiStructuredTensor)


def is_among(arguments: Any) -> bool:
    """Whether an argument is sparse, or in a list of arguments."""
    for value in arguments.values() if type(arguments) is dict else arguments:
        if isinstance(value, Tensor):
            if value.layout is not torch.strided:
                return True
        elif type(value) in (list, tuple) and is_among(value):
            return True
    return False


def is_semi_structured_among(arguments: Any) -> bool:
    """The same for tensors of whose elements two of each four are stored too."""
    return any(map(is_sparse, tensors(arguments)))


def taken(tensor: Tensor) -> Tensor:
    """What stands for a sparse input: a copy on the CPU, whose pattern is known."""
    if tensor.device == META or tensor.layout is torch.strided:
        return tensor
    return tensor.detach().cpu().clone()


class SparseCalls:
    """Answers calls with sparse tensors, and notes them."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._stored: dict[int, int] = {}
        """Of tensors on ``meta`` whose pattern is not known, but how many elements they store."""
        self._now: dict[int, Tensor] = {}
        """What tensors are that were changed in place."""

    def answer(
        self, recorder: Recorder, made: Call, func: Any, args: Any, kwargs: dict[str, Any]
    ) -> Any:
        """What a call on shapes gives."""
        if jagged.is_among((args, kwargs)):
            return jagged.answer(recorder, made, func, args, kwargs)
        if made.users is not None:
            return recorder.by_users_rule(made, func, args, kwargs)
        if made.name in ("cpu", "cuda"):
            return args[0]
        if made.name == "_nnz":
            if self.stored(args[0]) is None:
                raise recorder.needs_values(made.name)
            return self._now.get(id(args[0]), args[0])._nnz()
        operands = self._operands(made, args, kwargs)
        if operands is not None:
            require_taken(recorder, func, args, kwargs)
        if operands is not None and any(not is_sparse(operand) for operand in operands):
            result: Any = self._shape_of_product(recorder, made, func, args, kwargs, operands)
        else:
            result = self._done(recorder, made, func, args, kwargs, operands)
        self.note(made, args, kwargs, result)
        if made.in_place and args and isinstance(args[0], Tensor):
            if is_sparse(args[0]):
                self._now[id(args[0])] = result
            return self._tape.renewed(args[0], result)
        return result

    def note(self, made: Call, args: Any, kwargs: dict[str, Any], result: Any) -> None:
        """Note a call that gave these tensors."""
        tape, name = self._tape, made.name
        given = tensors((args, kwargs))
        leaves = [
            leaf
            for leaf in tensors(result)
            if made.in_place or not any(leaf is tensor for tensor in given)
        ]
        if not leaves or self._note_each(made, args, kwargs, given, leaves[0]):
            return
        operands = self._operands(made, args, kwargs)
        if operands is not None and self._note_product(made, args, kwargs, operands, leaves[0]):
            return
        moves = made.kind is Kind.MOVES or name in _MOVES
        moves = moves or (name == "coalesce" and self._keeps_all(given[0], leaves[0]))
        for leaf in leaves:
            if moves:
                tape.moved(name.strip("_"), given, leaf)
            elif leaf is leaves[0]:
                tape.record(Uncounted(name.strip("_"), tuple(leaf.shape)), given, result=leaf)
            else:
                tape.further(leaves[0], leaf)

    def stored(self, tensor: Tensor) -> int | None:
        """How many elements a sparse tensor stores; None if that is not known."""
        tensor = self._now.get(id(tensor), tensor)
        if tensor.layout is torch.strided:
            return tensor.numel() // 2
        if tensor.device == META:
            return self._stored.get(id(tensor))
        with unseen_by_modes():
            values = tensor._values() if tensor.layout is torch.sparse_coo else tensor.values()
        return values.numel()

    def _note_each(
        self, made: Call, args: Any, kwargs: dict[str, Any], given: list[Tensor], result: Tensor
    ) -> bool:
        """Note what is done to each stored element alone."""
        alone = len(given) == 1 and given[0] is args[0] and is_sparse(given[0])
        number = self.stored(given[0]) if alone else None
        if number is None or made.name not in _EACH or made.rule is None:
            return False
        stored = torch.empty((number,), dtype=given[0].dtype, device=META)
        self._tape.value(given[0])
        self._tape.alike(stored, given[0])
        own = by_rule(self._tape, made.rule, (stored, *args[1:]), kwargs)
        if own is NotImplemented:
            return False
        self._tape.alike(result, own)
        return True

    def _keeps_all(self, before: Tensor, after: Tensor) -> bool:
        number = self.stored(before)
        return number is not None and number == self.stored(after)

    def _operands(
        self, made: Call, args: Any, kwargs: dict[str, Any]
    ) -> tuple[Tensor, Tensor] | None:
        """The two operands of a product, of which one is sparse."""
        first = _PRODUCTS.get(made.name)
        if made.name == "sparse_sampled_addmm":
            first = 1
        if first is None:
            return None
        named = [kwargs[name] for name in _ORDER if name in kwargs]
        operands = [value for value in (*args, *named) if isinstance(value, Tensor)]
        a, b = operands[first : first + 2]
        if made.name == "rmatmul":
            a, b = b, a
        return a, b

    def _note_product(
        self,
        made: Call,
        args: Any,
        kwargs: dict[str, Any],
        operands: tuple[Tensor, Tensor],
        result: Tensor,
    ) -> bool:
        """Note a product, if it is known how many elements its operands store."""
        tape, (a, b) = self._tape, operands
        reduced = [value for value in (*args, *kwargs.values()) if isinstance(value, str)]
        if reduced and reduced != ["sum"]:
            return False
        if made.name == "sparse_sampled_addmm":
            stored, times = self.stored(result), a.shape[-1]
        elif is_sparse(a) and is_sparse(b):
            stored, times = self._pairs(a, b), 1
        elif is_sparse(a):
            stored, times = self.stored(a), 1 if b.dim() == 1 else b.shape[-1]
        else:
            stored, times = self.stored(b), prod(a.shape[:-1])
            if made.name in ("bmm", "baddbmm"):
                times = a.shape[-2]
        if stored is None:
            return False
        op = SparseProduct(stored, times, a.shape[-1], tuple(result.shape))
        weights = [operand for operand in operands if tape.is_weight(operand)]
        inputs = [operand for operand in operands if not tape.is_weight(operand)]
        extra = self._added_to_it(made, args, kwargs)
        beta, alpha = kwargs.get("beta", 1), kwargs.get("alpha", 1)
        if extra is None or made.name == "sparse_sampled_addmm":
            tape.record(op, inputs, weights, result=result)
        else:
            product = tape.record(op, inputs, weights, dtype=result.dtype)
            tape.alike(result, added(tape, extra, product, beta, alpha))
        return True

    def _added_to_it(self, made: Call, args: Any, kwargs: dict[str, Any]) -> Tensor | None:
        """What is added to a product."""
        if made.name == "linear":
            bias: Tensor | None = args[2] if len(args) > 2 else kwargs.get("bias")
            return bias
        if not _PRODUCTS.get(made.name, 1):
            return None
        named = (kwargs.get("input"), kwargs.get("self"))
        return next((value for value in (*args, *named) if isinstance(value, Tensor)), None)

    def _pairs(self, a: Tensor, b: Tensor) -> int | None:
        """How many stored elements of two matrices meet: a column of one and a row of the other."""
        a, b = self._now.get(id(a), a), self._now.get(id(b), b)
        if META in (a.device, b.device) or a.dim() != 2 or b.dim() != 2:
            return None
        with unseen_by_modes():
            columns = torch.bincount(_places(a)[1], minlength=a.shape[1])
            rows = torch.bincount(_places(b)[0], minlength=b.shape[0])
            return int((columns * rows).sum())

    def _shape_of_product(
        self,
        recorder: Recorder,
        made: Call,
        func: Any,
        args: Any,
        kwargs: dict[str, Any],
        operands: Any,
    ) -> Tensor:
        """What stands for a product of a sparse and a dense operand, which is dense.

        Some products give sparse ones: those are done.
        """
        a, b = operands
        if made.name == "linear":
            inner, outer = b.shape[-1], b.shape[:-1]
        elif b.dim() == 1:
            inner, outer = b.shape[0], ()
        else:
            inner, outer = b.shape[-2], b.shape[-1:]
        batched = b.dim() > 2
        fits = a.dim() > 1 and a.shape[-1] == inner
        fits = fits and (not batched or a.shape[:-2] == b.shape[:-2])
        if not fits or made.name in ("hspmm", "smm", "sspaddmm", "sparse_sampled_addmm"):
            return self._done(recorder, made, func, args, kwargs)  # type: ignore[no-any-return]
        return torch.empty((*a.shape[:-1], *outer), dtype=a.dtype, device=META)

    def _done(
        self,
        recorder: Recorder,
        made: Call,
        func: Any,
        args: Any,
        kwargs: dict[str, Any],
        operands: Any = None,
    ) -> Any:
        """Do a call on what is known, and give what stands for its results."""
        known = recorder.known
        unknown = [
            tensor
            for tensor in tensors((args, kwargs))
            if tensor.device == META and known.of(tensor) is None
        ]
        patterns = [tensor for tensor in unknown if is_sparse(tensor)]
        places = [tensor for tensor in unknown if not tensor.dtype.is_floating_point]
        if (
            patterns
            or (places and made.name in _MOVES)
            or (unknown and made.name.startswith("to_sparse"))
        ):
            return self._of_unknown(recorder, made, func, args, kwargs)

        def stand(tensor: Tensor) -> Tensor:
            if is_sparse(tensor):
                own = self._now.get(id(tensor), tensor).detach()
                return own.clone() if made.in_place else own
            value = known.of(tensor)
            if value is not None:
                return value.copy
            if tensor.device != META and not known.is_changed(tensor):
                return tensor.detach().cpu()
            return torch.zeros((), dtype=tensor.dtype).expand(tensor.shape)

        with unseen_by_modes():
            stood, named = nested(stand, (args, kwargs))
            if made.name == "to":
                stood = ["cpu" if isinstance(v, (torch.device, str)) else v for v in stood]
            if "device" in named:
                named["device"] = "cpu"
            if operands is not None and not _PRODUCTS.get(made.name, 1):
                # Torch has kernels of this that give nothing, but not this one.
                a, b = (
                    self._now.get(id(operand), operand).detach().to_sparse() for operand in operands
                )
                result: Any = torch.sparse.mm(a, b).to_sparse(layout=operands[0].layout)
            else:
                result = func(*stood, **named)

            def shown(leaf: Tensor) -> Tensor:
                if is_sparse(leaf):
                    return leaf
                standin = torch.empty(leaf.shape, dtype=leaf.dtype, device=META)
                if not (leaf.is_floating_point() or leaf.is_complex()) and not places:
                    known.remember(standin, leaf, frozenset())
                return standin

            return nested(shown, result)

    def _of_unknown(
        self, recorder: Recorder, made: Call, func: Any, args: Any, kwargs: dict[str, Any]
    ) -> Any:
        """What stands for the result of a call with a tensor whose pattern is not known."""
        with unseen_by_modes():
            stood, named = nested(self._on_meta, (args, kwargs))
            if "device" in named:
                named["device"] = META
            if made.name.startswith("to_sparse"):
                layout = getattr(torch, f"sparse_{made.name.rpartition('_')[2]}", torch.sparse_coo)
                layout = next(
                    (v for v in (*args, *kwargs.values()) if isinstance(v, torch.layout)), layout
                )
                return _empty(stood[0], layout)
            if made.name == "to_dense":
                return torch.empty(stood[0].shape, dtype=stood[0].dtype, device=META)
            try:
                result = func(*stood, **named)
            except (NotImplementedError, RuntimeError):
                raise recorder.needs_values(made.name) from None
            leaves = tensors(result)
            if made.name == "sparse_coo_tensor" and len(leaves) == 1:
                indices = tensors((args, kwargs))[0]
                values = tensors((args, kwargs))[1]
                self._stored[id(leaves[0])] = indices.shape[1] * prod(values.shape[1:])
            return result

    def _on_meta(self, tensor: Tensor) -> Tensor:
        if tensor.device == META:
            return tensor
        if is_sparse(tensor):
            return _empty(tensor, tensor.layout)
        return self._tape.standin(tensor)


def _empty(tensor: Tensor, layout: torch.layout) -> Tensor:
    """A tensor on ``meta`` that stores nothing, and stands for one of any pattern."""
    if layout in (torch.sparse_bsr, torch.sparse_bsc):
        layout = torch.sparse_csr
    return torch.empty(tensor.shape, dtype=tensor.dtype, layout=layout, device=META)


def _places(matrix: Tensor) -> Tensor:
    """The row and the column of each stored element."""
    if matrix.layout is not torch.sparse_coo:
        matrix = matrix.to_sparse()
    return matrix._indices()
