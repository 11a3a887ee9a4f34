"""Right calls of torch that move elements, or put them into a tensor, of which torch is asked."""

from __future__ import annotations

from operator import setitem

import torch
from torch import Tensor
from torch.nn import functional as F

from cases.calls import Call, t, zeros


def right() -> dict[str, Call]:
    """Calls that torch takes, with new tensors."""
    x, mask = t(2, 4, 6), t(4, 1) > 0.5
    calls = {
        "view": Call(Tensor.view, (x, 8, 6)),
        "reshape": Call(torch.reshape, (x, (4, -1))),
        "flatten": Call(torch.flatten, (x, 1)),
        "unflatten": Call(torch.unflatten, (x, 2, (2, 3))),
        "permute": Call(torch.permute, (x, (2, 0, 1))),
        "transpose": Call(torch.transpose, (x, 1, 2)),
        "movedim": Call(torch.movedim, (x, 0, 2)),
        "squeeze": Call(torch.squeeze, (t(2, 1, 3), 1)),
        "unsqueeze": Call(torch.unsqueeze, (x, 3)),
        "expand": Call(Tensor.expand, (t(4, 1), 2, 4, 6)),
        "narrow": Call(torch.narrow, (x, 1, 1, 2)),
        "select": Call(torch.select, (x, 1, 3)),
        "split": Call(torch.split, (x, [1, 3], 1)),
        "chunk": Call(torch.chunk, (x, 2, 1)),
        "tensor_split": Call(torch.tensor_split, (x, 3, 2)),
        "unbind": Call(torch.unbind, (x, 1)),
        "unfold": Call(Tensor.unfold, (x, 2, 3, 1)),
        "F.unfold": Call(F.unfold, (t(2, 3, 6, 6), 3, 1, 1, 2)),
        "pad": Call(F.pad, (x, (1, 2))),
        "pad by reflection": Call(F.pad, (x, (1, 2), "reflect")),
        "pad in a circle": Call(F.pad, (x, (1, 2), "circular")),
        "roll": Call(torch.roll, (x, 1, 2)),
        "flip": Call(torch.flip, (x, (0, 2))),
        "rot90": Call(torch.rot90, (x, 1, (1, 2))),
        "repeat": Call(Tensor.repeat, (x, 1, 2, 1)),
        "repeat_interleave": Call(torch.repeat_interleave, (x, 2, 1)),
        "tile": Call(torch.tile, (x, (2, 1))),
        "stack": Call(torch.stack, ([x, x], 1)),
        "hstack": Call(torch.hstack, ([x, x],)),
        "pixel_shuffle": Call(F.pixel_shuffle, (t(1, 8, 3, 3), 2)),
        "pixel_unshuffle": Call(F.pixel_unshuffle, (t(1, 2, 4, 4), 2)),
        "diagonal": Call(torch.diagonal, (x, 0, 1, 2)),
        "tril": Call(torch.tril, (x, 1)),
        "one_hot": Call(F.one_hot, (zeros(3), 4)),
        "gather": Call(torch.gather, (x, 1, zeros(2, 3, 6))),
        "take": Call(torch.take, (x, zeros(3))),
        "take_along_dim": Call(torch.take_along_dim, (x, zeros(2, 3, 6), 1)),
        "index_select": Call(torch.index_select, (x, 1, zeros(3))),
        "x[:, index]": Call(torch.ops.aten.index, (x, [None, zeros(3)])),
        "index_copy": Call(torch.index_copy, (x, 1, zeros(3), t(2, 3, 6))),
        "index_fill": Call(torch.index_fill, (x, 1, zeros(3), 0.5)),
        "index_put": Call(torch.index_put, (x, (zeros(3),), t(4, 6))),
        "scatter": Call(torch.scatter, (x, 1, zeros(2, 3, 6), t(2, 3, 6))),
        "masked_scatter": Call(torch.masked_scatter, (x, mask, t(2, 4, 6))),
        "select_scatter": Call(torch.select_scatter, (x, t(2, 6), 1, 2)),
        "slice_scatter": Call(torch.slice_scatter, (x, t(2, 2, 6), 1, 1, 3)),
        "diagonal_scatter": Call(torch.diagonal_scatter, (x, t(2, 4), 0, 1, 2)),
    }
    in_place = {
        "copy": Call(Tensor.copy_, (x, t(4, 1))),
        "fill": Call(Tensor.fill_, (x, torch.tensor(0.5))),
        "index_copy": Call(Tensor.index_copy_, (x, 1, zeros(3), t(2, 3, 6))),
        "index_fill": Call(Tensor.index_fill_, (x, 1, zeros(3), 0.5)),
        "index_put": Call(Tensor.index_put_, (x, (zeros(3),), t(4, 6))),
        "masked_scatter": Call(Tensor.masked_scatter_, (x, mask, t(2, 4, 6))),
        "scatter": Call(Tensor.scatter_, (x, 1, zeros(2, 3, 6), t(2, 3, 6))),
        "put": Call(Tensor.put_, (x, zeros(3), t(3))),
        "squeeze": Call(Tensor.squeeze_, (t(2, 1, 3), 1)),
        "x[0] =": Call(setitem, (x, 0, t(4, 6))),
        "x[index] =": Call(setitem, (x, zeros(3), t(3, 1, 6))),
        "x[:, index] =": Call(setitem, (x, (slice(None), zeros(3)), t(3, 6))),
        "x[mask] =": Call(setitem, (x, torch.tensor([True, False]), t(1, 4, 6))),
    }
    return calls | {f"{name} in place": call for name, call in in_place.items()}
