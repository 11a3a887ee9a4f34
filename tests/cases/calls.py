"""A right call of torch for each rule of the tracer, and ways to make it wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from costlab.ops.element_functions import EACH, PAIR
from costlab.trace.tensors import nested

aten = torch.ops.aten
ENDS = torch.tensor([3, 8], dtype=torch.int32)


class Call(NamedTuple):
    """A function of torch, and what it is called with."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    named: Mapping[str, Any] = MappingProxyType({})


def t(*shape: int) -> Tensor:
    return torch.rand(shape) * 0.8 + 0.1


def zeros(*shape: int) -> Tensor:
    """Indices that any table with an element has."""
    return torch.zeros(shape, dtype=torch.int64)


def _windows(rank: int) -> dict[str, Call]:
    x, d = t(2, 4, *[6] * rank), f"{rank}d"
    kernel = (3,) * rank
    weight, back = t(6, 2, *kernel), t(4, 3, *kernel)
    conv, transposed = getattr(F, f"conv{d}"), getattr(F, f"conv_transpose{d}")
    calls = {
        f"conv{d}": Call(conv, (x, weight, t(6), 2, 1, 1, 2)),
        f"conv{d} same": Call(conv, (x, t(5, 4, *kernel)), {"padding": "same"}),
        f"conv{d} dilated": Call(conv, (x[0], t(5, 4, *kernel), None, 1, 0, 2)),
        f"conv_transpose{d}": Call(transposed, (x, back, t(6), 2, 1, 1, 2, 1)),
        f"max_pool{d}": Call(getattr(F, f"max_pool{d}"), (x, 3, 2, 1)),
        f"max_pool{d} dilated": Call(
            getattr(F, f"max_pool{d}"), (x[0], kernel, None, 0, 2, True, True)
        ),
        f"avg_pool{d}": Call(getattr(F, f"avg_pool{d}"), (x, 3, 2, 1, True)),
        f"avg_pool{d} whole": Call(getattr(F, f"avg_pool{d}"), (x, kernel)),
        f"adaptive_avg_pool{d}": Call(getattr(F, f"adaptive_avg_pool{d}"), (x, (2,) * rank)),
        f"adaptive_max_pool{d}": Call(getattr(F, f"adaptive_max_pool{d}"), (x[0], 2)),
        f"batch_norm of {d}": Call(F.batch_norm, (x, t(4), t(4), t(4), t(4))),
        f"instance_norm of {d}": Call(F.instance_norm, (x, None, None, t(4), t(4))),
        f"interpolate of {d}": Call(F.interpolate, (x, (7,) * rank)),
        f"interpolate of {d} by factors": Call(F.interpolate, (x,), {"scale_factor": 2.0}),
    }
    if rank > 1:
        pool = getattr(F, f"fractional_max_pool{d}")
        calls[f"fractional_max_pool{d}"] = Call(pool, (x, 2, (3,) * rank))
        calls[f"fractional_max_pool{d} and its places"] = Call(
            pool, (x, 2, 2), {"return_indices": True}
        )
        calls[f"fractional_max_pool{d} by ratio"] = Call(
            pool, (x, 2), {"output_ratio": (0.5,) * rank}
        )
        calls[f"avg_pool{d} by 3"] = Call(
            getattr(F, f"avg_pool{d}"), (x, 2), {"divisor_override": 3}
        )
    return calls


def _recurrent(name: str, gates: int) -> dict[str, Call]:
    """Of the layers only modules: their functions read outside of their memory."""
    weights = [t(gates * 5, 4), t(gates * 5, 5), t(gates * 5), t(gates * 5)]
    kinds: dict[str, Any] = {"lstm": nn.LSTM, "gru": nn.GRU}
    more = {} if name in kinds else {"nonlinearity": name.removeprefix("rnn_")}
    module = kinds.get(name, nn.RNN)(4, 5, 2, bidirectional=True, **more)
    state: Any = t(4, 3, 5)
    one: Any = t(3, 5)
    if name == "lstm":
        state, one = (state, t(4, 3, 5)), (one, t(3, 5))
    return {
        name: Call(module, (t(7, 3, 4), state)),
        f"{name} from zeros": Call(module, (t(7, 3, 4),)),
        f"{name}_cell": Call(getattr(torch, f"{name}_cell"), (t(3, 4), one, *weights)),
    }


def _attention_layer(**named: Any) -> Call:
    q, k = t(5, 2, 8), t(6, 2, 8)
    weights: tuple[Any, ...] = (8, 2, t(24, 8), t(24), None, None, False, 0.0, t(8, 8), t(8), False)
    return Call(F.multi_head_attention_forward, (q, k, k, *weights), named)


def right() -> dict[str, Call]:
    """Calls that torch takes, with new tensors."""
    x, y = t(2, 4, 6), t(2, 4, 6)
    calls: dict[str, Call] = {}
    for rank in (1, 2, 3):
        calls |= _windows(rank)
    for name, gates in {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}.items():
        calls |= _recurrent(name, gates)
    q = t(2, 3, 5, 8)
    attend = F.scaled_dot_product_attention
    calls |= {
        "convolution": Call(
            torch.convolution, (x, t(3, 4, 2), t(3), (1,), (0,), (1,), False, (0,), 1)
        ),
        "conv_tbc": Call(torch.conv_tbc, (t(6, 2, 4), t(3, 4, 5), t(5), 1)),
        "linear": Call(F.linear, (x, t(5, 6), t(5))),
        "linear of a vector": Call(F.linear, (t(6), t(5, 6))),
        "matmul": Call(torch.matmul, (x, t(2, 6, 3))),
        "matmul by a vector": Call(torch.matmul, (x, t(6))),
        "mm": Call(torch.mm, (t(3, 4), t(4, 5))),
        "bmm": Call(torch.bmm, (x, t(2, 6, 3))),
        "rmatmul": Call(Tensor.__rmatmul__, (t(6, 3), x)),
        "mv": Call(torch.mv, (t(3, 4), t(4))),
        "dot": Call(torch.dot, (t(4), t(4))),
        "vdot": Call(torch.vdot, (t(4), t(4))),
        "inner": Call(torch.inner, (t(3, 4), t(4))),
        "addmm": Call(torch.addmm, (t(5), t(3, 4), t(4, 5)), {"beta": 2}),
        "baddbmm": Call(torch.baddbmm, (t(2, 4, 3), x, t(2, 6, 3))),
        "grouped_mm": Call(F.grouped_mm, (t(8, 16), t(2, 16, 12)), {"offs": ENDS}),
        "_grouped_mm of stacks": Call(torch._grouped_mm, (t(2, 4, 8), t(2, 8, 16))),
        "addbmm": Call(torch.addbmm, (t(4, 3), x, t(2, 6, 3))),
        "addmv": Call(torch.addmv, (t(3), t(3, 4), t(4))),
        "addr": Call(torch.addr, (t(3, 4), t(3), t(4))),
        "einsum": Call(torch.einsum, ("bij,bjk->bik", x, t(2, 6, 3))),
        "bilinear": Call(F.bilinear, (t(2, 3, 4), t(2, 3, 5), t(6, 4, 5), t(6))),
        "outer": Call(torch.outer, (t(3), t(4))),
        "cross": Call(torch.linalg.cross, (t(2, 3), t(2, 3))),
        "cross along an axis": Call(torch.cross, (t(3, 2), t(3, 2), 0)),
        "batch_norm of rows": Call(F.batch_norm, (t(3, 4), t(4), t(4), None, None)),
        "batch_norm without statistics": Call(
            F.batch_norm, (x, None, None, t(4), t(4)), {"training": True}
        ),
        "layer_norm": Call(F.layer_norm, (x, (4, 6), t(4, 6), t(4, 6))),
        "layer_norm alone": Call(F.layer_norm, (x, (6,))),
        "rms_norm": Call(F.rms_norm, (x, (6,), t(6))),
        "group_norm": Call(F.group_norm, (x, 2, t(4), t(4))),
        "group_norm of rows": Call(F.group_norm, (t(2, 6), 3)),
        "instance_norm with statistics": Call(F.instance_norm, (x, t(4), t(4), None, None, False)),
        "_weight_norm": Call(torch._weight_norm, (t(4, 5), t(4, 1), 0)),
        "local_response_norm": Call(F.local_response_norm, (x, 3)),
        "attention": Call(attend, (q, t(2, 3, 6, 8), t(2, 3, 6, 7), t(5, 6))),
        "attention with a mask of its own": Call(
            attend, (q, t(2, 3, 6, 8), t(2, 3, 6, 7), t(2, 3, 5, 6) > 0.5)
        ),
        "attention of what came before": Call(attend, (q, q, q), {"is_causal": True}),
        "attention in groups": Call(attend, (t(2, 6, 5, 8), q, q), {"enable_gqa": True}),
        "attention layer": _attention_layer(),
        "attention layer with masks": _attention_layer(
            key_padding_mask=torch.zeros(2, 6, dtype=torch.bool),
            attn_mask=torch.zeros(5, 6, dtype=torch.bool),
        ),
        "attention layer with a mask a head": _attention_layer(
            attn_mask=torch.zeros(4, 5, 6), need_weights=False
        ),
        "prelu": Call(F.prelu, (x, t(4))),
        "clamp": Call(torch.clamp, (x, 0.2, 0.7)),
        "clamp by tensors": Call(torch.clamp, (x, t(6), t(4, 1))),
        "clamp_min": Call(torch.clamp_min, (x, 0.2)),
        "clamp_max": Call(torch.clamp_max, (x, t(6))),
        "dropout": Call(F.dropout, (x, 0.5, True)),
        "alpha_dropout": Call(F.alpha_dropout, (x, 0.5)),
        "dropout2d": Call(F.dropout2d, (t(2, 4, 6, 6), 0.5)),
        "softmax": Call(F.softmax, (x, 1)),
        "log_softmax": Call(torch.log_softmax, (x, -1)),
        "glu": Call(F.glu, (x, 1)),
        "polar": Call(torch.polar, (x, y)),
        "where": Call(torch.where, (x > 0.5, t(4, 1), y)),
        "masked_fill": Call(Tensor.masked_fill, (x, t(4, 1) > 0.5, 0.5)),
        "masked_fill in place": Call(Tensor.masked_fill_, (x, t(4, 1) > 0.5, 0.5)),
        "lerp": Call(torch.lerp, (x, t(4, 1), 0.5)),
        "addcmul": Call(torch.addcmul, (x, t(4, 1), t(6))),
        "addcdiv": Call(torch.addcdiv, (x, t(4, 1), t(6))),
        "embedding": Call(F.embedding, (zeros(2, 3), t(5, 4))),
        "multinomial": Call(torch.multinomial, (t(3, 5).abs() + 1, 2)),
        "embedding_bag": Call(F.embedding_bag, (zeros(2, 3), t(5, 4))),
        "embedding_bag of one row": Call(
            F.embedding_bag, (zeros(6), t(5, 4), torch.tensor([0, 2])), {"mode": "sum"}
        ),
        "embedding_bag with weights": Call(
            F.embedding_bag,
            (zeros(2, 3), t(5, 4)),
            {"mode": "sum", "per_sample_weights": t(2, 3)},
        ),
        "cat": Call(torch.cat, ([x, t(2, 1, 6), t(2, 3, 6)], 1)),
        "fold": Call(F.fold, (t(2, 36, 36), (8, 8), (3, 3))),
        "fold without a batch": Call(F.fold, (t(36, 9), (8, 8), 3, 1, 0, (2, 2))),
        "mse_loss": Call(F.mse_loss, (x, y)),
        "smooth_l1_loss": Call(F.smooth_l1_loss, (x, y)),
        "smooth_l1_loss of 0": Call(F.smooth_l1_loss, (x, y), {"beta": 0.0}),
        "huber_loss": Call(F.huber_loss, (x, y), {"reduction": "sum"}),
        "soft_margin_loss": Call(F.soft_margin_loss, (x, y)),
        "ctc_loss": Call(F.ctc_loss, (t(6, 2, 4), zeros(2, 3) + 1, (6, 6), (3, 3))),
        "trace": Call(torch.trace, (t(3, 4),)),
        "binary_cross_entropy": Call(F.binary_cross_entropy, (x, y)),
        "binary_cross_entropy_with_logits": Call(F.binary_cross_entropy_with_logits, (x, y, t(6))),
        "nll_loss": Call(F.nll_loss, (t(5, 3), zeros(5), t(3))),
        "cross_entropy": Call(F.cross_entropy, (t(5, 3, 4), zeros(5, 4))),
        "norm": Call(torch.norm, (x, 2, 1, True)),
        "vector_norm": Call(torch.linalg.vector_norm, (x, 3, (0, 1))),
        "linalg_norm": Call(torch.linalg.norm, (x, None, (1, 2))),
        "dist": Call(torch.dist, (x, t(4, 1))),
        "aminmax": Call(torch.aminmax, (x,), {"dim": 1}),
        "var": Call(torch.var, (x, (0, 2)), {"keepdim": True}),
        "std_mean": Call(torch.std_mean, (x, 1)),
        "var_mean": Call(torch.var_mean, (x, 1)),
        "std": Call(torch.std, (x, 1)),
        "max of two": Call(torch.max, (x, t(4, 1))),
        "min of two": Call(torch.min, (x, t(4, 1))),
        "scatter_add": Call(torch.scatter_add, (x, 1, zeros(2, 3, 6), t(2, 3, 6))),
        "scatter_reduce": Call(torch.scatter_reduce, (x, 1, zeros(2, 3, 6), t(2, 3, 6), "amax")),
        "index_add": Call(torch.index_add, (x, 1, zeros(3), t(2, 3, 6))),
        "max": Call(torch.max, (x, 1)),
        "min": Call(torch.min, (x, -1, True)),
        "clamp of whole numbers": Call(torch.clamp, (zeros(3, 4), 0, 3)),
        "rrelu": Call(F.rrelu, (x,)),
        "gelu": Call(F.gelu, (x,), {"approximate": "tanh"}),
        "relu in place": Call(F.relu, (x, True)),
        "silu in place": Call(F.silu, (x, True)),
        "tanh": Call(torch.tanh, (x,)),
        "relu": Call(F.relu, (x,)),
        "ger": Call(torch.ger, (t(3), t(4))),
    }
    calls |= _modules()
    for name in ("amax", "amin", "logsumexp", "sum", "mean", "any", "all"):
        calls[name] = Call(getattr(torch, name), (x, (0, 2), True))
    calls |= _ordered_and_transformed(x)
    for name in ("prod", "argmax", "argmin", "nansum", "count_nonzero"):
        calls[name] = Call(getattr(torch, name), (x, 1))
    for name in ("cumsum", "cumprod", "cummax", "cummin", "logcumsumexp"):
        calls[name] = Call(getattr(torch, name), (x, 1))
    more: dict[str, tuple[Any, ...]] = {"threshold": (0.5, 0.0)}
    for name in sorted(EACH.keys() - {"clamp", "clamp_min", "clamp_max", "gelu_tanh"}):
        function = next(
            getattr(room, name) for room in (torch, F, torch.special, Tensor) if hasattr(room, name)
        )
        bits = name.startswith("bitwise")
        calls.setdefault(name, Call(function, (zeros(3, 4) if bits else x, *more.get(name, ()))))
    for name in sorted(PAIR.keys() - {"masked_fill", "where", "lerp", "addcmul", "addcdiv"}):
        bits = name.startswith("bitwise")
        inputs = (zeros(2, 4, 6) + 1, zeros(4, 1) + 1) if bits else (x, t(4, 1))
        calls.setdefault(name, Call(getattr(torch, name), inputs))
        if hasattr(Tensor, f"{name}_"):
            calls.setdefault(f"{name} in place", Call(getattr(Tensor, f"{name}_"), inputs))
    for name in ("radd", "rsub", "rmul", "rdiv", "rpow", "rfloordiv", "rmod"):
        calls[name] = Call(getattr(Tensor, f"__{name}__"), (x, 2))
    for name in ("lshift", "rshift"):
        calls[name] = Call(getattr(Tensor, f"__{name}__"), (zeros(3, 4), 1))
    return calls


def _ordered_and_transformed(x: Tensor) -> dict[str, Call]:
    return {
        **{name: Call(getattr(torch, name), (x, 2, 1)) for name in ("topk", "kthvalue")},
        **{name: Call(getattr(torch, name), (x, 1)) for name in ("sort", "argsort", "median")},
        **{
            f"fft.{name}": Call(getattr(torch.fft, name), (x, 4, 1))
            for name in ("fft", "ifft", "rfft", "hfft")
        },
        "msort": Call(torch.msort, (x,)),
        "isin": Call(torch.isin, (zeros(3, 4), zeros(5))),
        "cdist": Call(torch.cdist, (t(2, 3, 4), t(2, 5, 4))),
        **{
            name: Call(getattr(torch.linalg, name), (t(2, 3, 3) + 3 * torch.eye(3),))
            for name in ("cholesky", "cholesky_ex", "det", "inv", "inv_ex", "lu_factor", "slogdet")
        },
        **{
            name: Call(getattr(torch.linalg, name), (t(2, 3, 3) + torch.eye(3), t(2, 3, 4)))
            for name in ("solve", "solve_ex")
        },
        "lu_factor_ex": Call(torch.linalg.lu_factor_ex, (t(3, 3) + torch.eye(3),)),
        "logdet": Call(torch.logdet, (t(3, 3) + torch.eye(3),)),
        "cholesky_solve": Call(torch.cholesky_solve, (t(3, 4), t(3, 3) + torch.eye(3))),
        "solve_triangular": Call(
            torch.linalg.solve_triangular, (t(2, 3, 3), t(2, 3, 4)), {"upper": True}
        ),
        "grid_sample": Call(
            F.grid_sample, (t(2, 3, 5, 6), t(2, 4, 7, 2)), {"align_corners": False}
        ),
    }


def _modules() -> dict[str, Call]:
    """Modules, with an input that each takes."""
    image = t(2, 4, 8, 8)
    return {
        "nn.Conv1d": Call(nn.Conv1d(4, 6, 3, groups=2), (t(2, 4, 8),)),
        "nn.Conv2d": Call(nn.Conv2d(4, 6, 3, 2, 1), (image,)),
        "nn.Conv3d": Call(nn.Conv3d(4, 6, 3, dilation=2), (t(2, 4, 8, 8, 8),)),
        "nn.Linear": Call(nn.Linear(8, 5), (image,)),
        "nn.BatchNorm1d": Call(nn.BatchNorm1d(4), (t(2, 4, 8),)),
        "nn.BatchNorm2d": Call(nn.BatchNorm2d(4), (image,)),
        "nn.BatchNorm3d": Call(nn.BatchNorm3d(4), (t(2, 4, 8, 8, 8),)),
        "nn.LayerNorm": Call(nn.LayerNorm(8), (image,)),
        "nn.ReLU": Call(nn.ReLU(), (image,)),
        "nn.SiLU": Call(nn.SiLU(inplace=True), (image,)),
        "nn.GELU": Call(nn.GELU(), (image,)),
        "nn.Dropout": Call(nn.Dropout(), (image,)),
        "nn.MaxPool2d": Call(nn.MaxPool2d(3, 2, 1), (image,)),
        "nn.AvgPool2d": Call(nn.AvgPool2d(2), (image,)),
        "nn.AdaptiveAvgPool2d": Call(nn.AdaptiveAvgPool2d(1), (image,)),
        "nn.GRUCell": Call(nn.GRUCell(8, 5), (t(2, 8),)),
        "nn.GroupNorm": Call(nn.GroupNorm(2, 4), (image,)),
        "nn.InstanceNorm2d": Call(nn.InstanceNorm2d(4, track_running_stats=True), (image,)),
        "nn.RMSNorm": Call(nn.RMSNorm(8), (image,)),
        "nn.Embedding": Call(nn.Embedding(5, 4), (zeros(2, 3),)),
        "nn.PReLU": Call(nn.PReLU(4), (image,)),
        "nn.Upsample": Call(nn.Upsample(scale_factor=2), (image,)),
        "nn.TransformerEncoderLayer": Call(nn.TransformerEncoderLayer(8, 2, 16), (t(3, 2, 8),)),
        "nn.GLU": Call(nn.GLU(1), (image,)),
        "nn.Fold": Call(nn.Fold((8, 8), 3), (t(2, 36, 36),)),
    }


TYPES = (torch.float16, torch.float64, torch.int64, torch.bool)


def wrong(value: Any, random: Random) -> Any:
    """The argument in another way: another shape, type, number or length; or the same."""
    if isinstance(value, Tensor):
        return _wrong_tensor(value, random)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return random.choice([value - 1, value + 1, 0, -1, value + 4, float(value), (value, value)])
    if isinstance(value, float):
        return random.choice([-1.0, 2.0, value + 1])
    if isinstance(value, (tuple, list)) and value:
        items, place = list(value), random.randrange(len(value))
        how = random.randrange(4)
        if how == 0:
            items.pop(place)
        elif how == 1:
            items.append(items[place])
        else:
            items[place] = wrong(items[place], random)
        return type(value)(items)
    return value


def _wrong_tensor(value: Tensor, random: Random) -> Tensor:
    """Never an empty one: torch looks at these less closely, and some crash it."""
    shape = list(value.shape)
    how = random.randrange(6)
    if how == 0:
        return value.to(random.choice(TYPES))
    if how == 1 and shape:
        shape.pop(random.randrange(len(shape)))
    elif how == 2:
        shape.insert(random.randrange(len(shape) + 1), random.choice([1, 2]))
    elif shape:
        place = random.randrange(len(shape))
        size = shape[place]
        shape[place] = random.choice([max(size - 1, 1), size + 1, size + 2, 1, 2, size * 2])
    made = torch.rand(shape) * 0.8 + 0.1
    return made if value.is_floating_point() else torch.zeros(shape, dtype=value.dtype)


def mutated(call: Call, random: Random) -> Call:
    """The call with one or two of its arguments made wrong."""
    args, named = list(call.args), dict(call.named)
    if random.random() < 0.1:
        dtype = random.choice(TYPES)
        floating = lambda x: x.to(dtype) if x.is_floating_point() else x  # noqa: E731
        return Call(call.function, nested(floating, call.args), nested(floating, named))
    for _ in range(random.choice([1, 1, 1, 2])):
        place: Any = random.choice([*range(len(args)), *named])
        if isinstance(place, int):
            args[place] = wrong(args[place], random)
        else:
            named[place] = wrong(named[place], random)
    return Call(call.function, tuple(args), named)
