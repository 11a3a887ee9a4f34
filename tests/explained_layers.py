"""Layers of each kind, and ways to write them: counters are explained to the last unit."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import prune, spectral_norm, weight_norm
from wrapped import Applied

X = (2, 6, 8, 10)


class Squares(torch.autograd.Function):
    """A product and a norm that ``torch.jit.trace`` does not look into."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return F.batch_norm(x @ x.mT, torch.zeros(6), torch.ones(6))


squares: Any = Squares.apply


EQUATIONS = (
    "bchw,wv->bchwv",  # an outer product
    "bchw,wv->bcw",  # sums, and a product of what is left
    "bchw,wv->bchv",
    "bchw,wv,v->bc",
    "...hw,wv->...hv",
    "bchw,wv",
    "bchw->b",
    "bchw->cbwh",
    "bchw,wv->",
)


def of_rows(kind: Callable[..., nn.Module], **more: Any) -> nn.Module:
    """A recurrent layer on a batch that is first, or on one that was moved to be second."""
    if more.get("batch_first"):
        return Applied(lambda x, f: f(x[0])[0], kind(10, 4, **more))
    return Applied(lambda x, f: f(x[0].transpose(0, 1))[0], kind(10, 4, **more))


STRIDED: dict[str, dict[str, Any]] = {
    "the batch first": {"batch_first": True},
    "stacked": {"batch_first": True, "num_layers": 2, "bidirectional": True},
    "moved": {},
    "without bias": {"batch_first": True, "bias": False},
}

SEQUENCES: dict[str, dict[str, Any]] = {
    "alone": {},
    "stacked": {"num_layers": 3, "bidirectional": True},
    "without bias": {"bias": False, "batch_first": True},
}


class Adapted(nn.Linear):
    """A linear layer with a product beside it."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + F.linear(x @ torch.zeros(10, 2), torch.zeros(7, 2))


def normed(layer: nn.Module, name: str) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch has another by now
        return weight_norm(layer, name)


HOOKS: dict[str, Any] = {
    "that is pruned": partial(prune.l1_unstructured, amount=0.5),
    "with a weight norm": normed,
    "with a spectral norm": spectral_norm,
}

LAYERS: dict[str, nn.Module] = {
    "conv": nn.Conv2d(6, 4, 3),
    "conv without bias": nn.Conv2d(6, 4, 3, groups=2, bias=False),
    'conv with padding="same"': nn.Conv2d(6, 4, 3, padding="same"),
    "transposed": nn.ConvTranspose2d(6, 4, 3, 2),
    "linear": nn.Linear(10, 7),
    "batch norm": nn.BatchNorm2d(6),
    "batch norm without scale": nn.BatchNorm2d(6, affine=False),
    "layer norm": nn.LayerNorm(10),
    "layer norm without scale": nn.LayerNorm(10, elementwise_affine=False),
    "group norm": nn.GroupNorm(2, 6),
    "instance norm": nn.InstanceNorm2d(6),
    "instance norm with scale": nn.InstanceNorm2d(6, affine=True),
    "rms norm": nn.RMSNorm(10),
    "local response norm": nn.LocalResponseNorm(3),
    **{
        each.__name__: each()
        for each in (
            nn.ReLU,
            nn.ReLU6,
            nn.GELU,
            nn.SiLU,
            nn.Sigmoid,
            nn.Tanh,
            nn.Hardswish,
            nn.PReLU,
            nn.ELU,
            nn.LeakyReLU,
            nn.Dropout,
            nn.Flatten,
        )
    },
    "softmax": nn.Softmax(1),
    "max pool": nn.MaxPool2d(3, 1, 1),
    "average pool": nn.AvgPool2d(2),
    "adaptive pool": nn.AdaptiveAvgPool2d((4, 5)),
    "adaptive max pool": nn.AdaptiveMaxPool2d(2),
    "nearest": nn.Upsample(scale_factor=2),
    "bilinear": nn.Upsample(scale_factor=2, mode="bilinear"),
    "F.relu": Applied(lambda x: F.relu(x, inplace=False)),
    "a function that was taken": Applied(F.relu),
    "torch.relu": Applied(torch.relu),
    "sums by operators": Applied(lambda x: x + x * 2),
    "sums by methods": Applied(lambda x: torch.add(x.mul(x), x).add(1)),
    "products by methods": Applied(lambda x: x.matmul(x.mT) + torch.matmul(x, x.mT)),
    "cat": Applied(lambda x: torch.cat([x, x], 1)),
    "F.softmax": Applied(lambda x: F.softmax(x, 1)),
    "F.max_pool2d": Applied(lambda x: F.max_pool2d(x, 2)),
    "F.avg_pool2d": Applied(lambda x: F.avg_pool2d(x, 2)),
    "F.batch_norm": Applied(lambda x: F.batch_norm(x, torch.zeros(6), torch.ones(6))),
    "mean": Applied(lambda x: x.mean((2, 3))),
    "@": Applied(lambda x: x @ x.mT),
    "bmm": Applied(lambda x: torch.bmm(x[0], x[0].mT)),
    "einsum": Applied(lambda x: torch.einsum("bchw,bcvw->bchv", x, x)),
    "F.linear": Applied(lambda x: F.linear(x, torch.zeros(7, 10))),
    "F.conv2d": Applied(lambda x: F.conv2d(x, torch.zeros(4, 6, 3, 3))),
    "attention": Applied(lambda x: F.scaled_dot_product_attention(x, x, x)),
    "attention by its products": Applied(
        lambda x: F.scaled_dot_product_attention(x, x, x[..., :3])
    ),
    "padding by a word": nn.Conv2d(6, 4, 3, padding="valid"),
    "an even kernel": nn.Conv2d(6, 4, (2, 3), padding="same", dilation=(1, 2)),
    "transposed, in groups": nn.ConvTranspose2d(6, 6, 3, groups=3),
    "linear on what is not contiguous": Applied(
        lambda x, f: f(x.permute(0, 2, 3, 1)), nn.Linear(6, 4)
    ),
    "a broadcast product": Applied(lambda x: torch.matmul(x[:, :1], torch.zeros(6, 10, 3))),
    "a broadcast product by @": Applied(lambda x: x[:, :1] @ torch.zeros(6, 10, 3)),
    "a vector": Applied(
        lambda x: torch.mv(x[0, 0], torch.zeros(10)) + torch.dot(x[0, 0, 0], x[0, 0, 1])
    ),
    "addmm": Applied(lambda x: torch.addmm(torch.zeros(8), x[0, 0], x[0, 0].mT)),
    "addmm with weights": Applied(
        lambda x, f: torch.addmm(f.bias, x[0, 0], f.weight.mT), nn.Linear(10, 4)
    ),
    "baddbmm": Applied(lambda x: torch.baddbmm(torch.zeros(6, 8, 8), x[0], x[0].mT)),
    "sums that broadcast": Applied(lambda x: torch.add(x, torch.zeros(10)) + torch.mul(x[0], x)),
    "einsum in four digits": Applied(
        lambda x: torch.einsum("bchw,bcvw->bchv", x, x.repeat(1, 1, 47, 1))
    ),
    "pooling by getattr": Applied(lambda x: getattr(F, "max_pool2d")(x, 2)),  # noqa: B009
    "pooling with indices": Applied(lambda x, f: f(x)[0], nn.MaxPool2d(2, return_indices=True)),
    "pooling to a third": nn.AdaptiveAvgPool2d((3, 7)),
    "upsampling to a size": nn.Upsample((9, 9)),
    "bicubic": nn.Upsample(scale_factor=2, mode="bicubic"),
    "entered by forward": Applied(lambda x, f: f.forward(x), nn.Linear(10, 3)),
    "called twice": Applied(lambda x, f: f(f(x)), nn.Linear(10, 10)),
    "multi-head attention": Applied(
        lambda x, f: f(x[0], x[0], x[0])[0], nn.MultiheadAttention(10, 2, batch_first=True)
    ),
    "multi-head attention without weights": Applied(
        lambda x, f: f(x[0], x[0], x[0], need_weights=False)[0],
        nn.MultiheadAttention(10, 2, bias=False, batch_first=True),
    ),
    "an encoder": Applied(
        lambda x, f: f(x[0]), nn.TransformerEncoderLayer(10, 2, 16, batch_first=True)
    ),
    **{
        f"{kind}, {how}": Applied(lambda x, f: f(x[0])[0], getattr(nn, kind)(10, 4, **more))
        for kind in ("RNN", "GRU", "LSTM")
        for how, more in SEQUENCES.items()
    },
    **{
        f"einsum {equation}": Applied(
            lambda x, equation=equation: torch.einsum(
                equation, *(x, torch.zeros(10, 5), torch.zeros(5))[: equation.count(",") + 1]
            )
        )
        for equation in EQUATIONS
    },
    "einsum over one element": Applied(
        lambda x: torch.einsum("bi,ij->bj", x[0, 0, :, :1], x[0, 0, :1])
    ),
    "an autograd.Function": Applied(lambda x, f: f(squares(x)), nn.Linear(8, 3)),
    "tensordot": Applied(lambda x: torch.tensordot(x, torch.zeros(10, 3), 1)),
    "multi_dot": Applied(lambda x: torch.linalg.multi_dot([x[0, 0], x[0, 0].mT, x[0, 0]])),
    "inner": Applied(lambda x: torch.inner(x[0, 0], x[0, 1])),
    "matrix_power": Applied(lambda x: torch.linalg.matrix_power(x[..., :8], 3)),
    "addmv": Applied(lambda x: torch.addmv(x[0, 0, :, 0], x[0, 0], torch.zeros(10))),
    "addbmm": Applied(lambda x: torch.addbmm(torch.zeros(8, 8), x[0], x[0].mT)),
    "conv_tbc": Applied(lambda x: torch.conv_tbc(x[0], torch.zeros(3, 10, 5), torch.zeros(5))),
    "tracked instance norm": nn.InstanceNorm2d(6, track_running_stats=True),
    "tracked instance norm with scale": nn.InstanceNorm2d(6, True, track_running_stats=True),
    "upsampling to a number": nn.Upsample(size=7),
    "spectral norm by a hook": spectral_norm(nn.Linear(10, 7)),
    "attention with more keys": Applied(
        lambda x, f: f(x[0], x[0], x[0])[0],
        nn.MultiheadAttention(10, 2, add_bias_kv=True, add_zero_attn=True, batch_first=True),
    ),
    **{
        f"attention of other widths, {'batch' if first else 'steps'} first": Applied(
            lambda x, f: f(x[0], x[0, ..., :6], x[0, ..., 2:])[0],
            nn.MultiheadAttention(10, 5, bias, kdim=6, vdim=8, batch_first=first),
        )
        for first, bias in ((True, True), (False, False))
    },
    **{
        f"{kind}, without a batch, {layers}": Applied(
            lambda x, f: f(x[0, 0])[0],
            getattr(nn, kind)(10, 4, layers, bidirectional=True, batch_first=layers > 1),
        )
        for kind in ("RNN", "GRU", "LSTM")
        for layers in (1, 2)
    },
    "LSTM, projected, without a batch": Applied(
        lambda x, f: f(x[0, 0])[0], nn.LSTM(10, 6, proj_size=3)
    ),
    **{
        f"LSTM of {kind}": Applied(
            lambda x, f, kind=kind: f(x[0].to(kind))[0], nn.LSTM(10, 4, batch_first=True).to(kind)
        )
        for kind in (torch.float64, torch.bfloat16, torch.float16)
    },
    "LSTM, projected, stacked": Applied(
        lambda x, f: f(x[0])[0], nn.LSTM(10, 6, 3, proj_size=3, bidirectional=True)
    ),
    **{
        f"{kind.__name__}, strided, {how}": of_rows(kind, **more)
        for kind in (nn.GRU, nn.RNN, nn.LSTM)
        for how, more in STRIDED.items()
    },
    "LSTM, projected, the batch first": Applied(
        lambda x, f: f(x[0])[0], nn.LSTM(10, 6, proj_size=3, batch_first=True)
    ),
    "LSTM, projected": Applied(lambda x, f: f(x[0])[0], nn.LSTM(10, 6, proj_size=3)),
    "matrix_power by its first name": Applied(lambda x: torch.matrix_power(x[..., :8], 3)),
    "pooling of powers": nn.LPPool2d(2, 2),
    "interpolation by areas": nn.Upsample(size=5, mode="area"),
    "GRU, strided, with the batch first": Applied(
        lambda x, f: f(x[0].mT)[0], nn.GRU(8, 4, batch_first=True)
    ),
    **{
        f"{kind} {how}": hook(layer, "weight")
        for how, hook in HOOKS.items()
        for kind, layer in (
            ("a convolution", nn.Conv2d(6, 4, 3)),
            ("a linear layer", nn.Linear(10, 7)),
            ("a transposed convolution", nn.ConvTranspose2d(6, 4, 3)),
        )
    },
    "a pruned norm": prune.random_unstructured(nn.BatchNorm2d(6), "weight", 0.5),  # type: ignore[no-untyped-call]
    "what no output depends on": Applied(
        lambda x, f, g, h: (f(h(x)), g(x), x.unsqueeze(0) @ x.mT)[1],
        nn.Conv2d(6, 4, 3),
        nn.Linear(10, 3),
        nn.BatchNorm2d(6),
    ),
    "derived from a linear layer": Adapted(10, 7),
    "a kind of softmax for images": nn.Softmax2d(),
    "the logarithm of a softmax": nn.LogSoftmax(1),
    "a softmax of the least": nn.Softmin(1),
    "average pool of what is inside": nn.AvgPool2d(3, 2, 1, True, False),
    "bilinear layer": Applied(lambda x, f: f(x, x), nn.Bilinear(10, 10, 3)),
    "sizes that are multiplied": Applied(lambda x: x.reshape(x.shape[0] * x.shape[1] // 2, -1)),
    "leaky ReLU in place": nn.LeakyReLU(0.1, inplace=True),
    "products in place": Applied(lambda x: x.clone().mul_(2).mul(x)),
    "no output": Applied(lambda x, f: [f(x)].clear(), nn.Linear(10, 3)),
    "an output that is changed in place": Applied(
        lambda x, f: (y := torch.zeros(2, 6, 8, 7), y[:, 2:].copy_(f(x)[:, 2:]), y.relu_())[0],
        nn.Linear(10, 7),
    ),
    **{
        kind: Applied(lambda x, f: f(x[0, 0]), getattr(nn, kind)(10, 4))
        for kind in ("RNNCell", "GRUCell", "LSTMCell")
    },
}
