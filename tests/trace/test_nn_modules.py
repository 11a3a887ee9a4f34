"""Every kind of module in ``torch.nn``: shapes, MACs and params are torch's own."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from tracing import checked

from costlab.costs.table import costs
from costlab.trace import trace
from costlab.trace.tensors import tensors

V, X, D = torch.rand(2, 4, 8), torch.rand(2, 4, 8, 8), torch.rand(2, 4, 6, 6, 6)
L, S, ROW = torch.rand(3, 5, 6), torch.rand(2, 5, 12), torch.rand(2, 4)
IDS, LABEL = torch.zeros(2, 3, dtype=torch.long), torch.tensor([1, 2])
BY_RANK = {1: V, 2: X, 3: D}

Made = tuple[nn.Module, tuple[Any, ...]]
CASES: dict[str, Made] = {}


def case(module: nn.Module, *inputs: Any, note: str = "") -> None:
    CASES[f"{type(module).__name__} {note}".strip()] = (module, inputs)


def kind(name: str) -> Any:
    return getattr(nn, name)


PLAIN = """
ELU Hardshrink Hardsigmoid Hardtanh Hardswish LeakyReLU LogSigmoid PReLU ReLU ReLU6 RReLU SELU CELU
GELU Sigmoid SiLU Mish Softplus Softshrink Softsign Tanh Tanhshrink GLU Softmax2d Identity Flatten
Dropout Dropout2d Dropout3d AlphaDropout FeatureAlphaDropout
"""
for name in PLAIN.split():
    case(kind(name)(), X)
for name in [
    "ELU",
    "Hardtanh",
    "Hardswish",
    "LeakyReLU",
    "ReLU",
    "ReLU6",
    "SELU",
    "CELU",
    "SiLU",
    "Mish",
]:
    case(kind(name)(inplace=True), X, note="in place")
for name in ["Softmin", "Softmax", "LogSoftmax"]:
    case(kind(name)(1), X)
case(nn.Threshold(0.5, 0.1), X)
case(nn.Dropout1d(), V)
case(nn.GELU("tanh"), X, note="tanh")
case(nn.PReLU(4), X, note="by channel")
case(nn.ChannelShuffle(2), X)
case(nn.Unflatten(1, (2, 2)), X)

for rank, x in BY_RANK.items():
    case(kind(f"Conv{rank}d")(4, 6, 3, stride=2, padding=1, groups=2), x)
    case(kind(f"Conv{rank}d")(4, 6, 3, padding="same", dilation=2), x[0], note="unbatched")
    case(kind(f"Conv{rank}d")(4, 6, 3, padding=1, padding_mode="circular"), x, note="circular")
    case(kind(f"ConvTranspose{rank}d")(4, 6, 3, 2, 1, 1, 2), x)
    case(kind(f"ConvTranspose{rank}d")(4, 6, 3, bias=False), x[0], note="unbatched")
    case(kind(f"BatchNorm{rank}d")(4), x)
    case(kind(f"BatchNorm{rank}d")(4, track_running_stats=False), x, note="of the batch")
    case(kind(f"InstanceNorm{rank}d")(4), x)
    case(kind(f"InstanceNorm{rank}d")(4, affine=True, track_running_stats=True), x, note="tracking")
    for name in ["MaxPool", "AvgPool"]:
        case(kind(f"{name}{rank}d")(3, stride=2, padding=1, ceil_mode=True), x)
        case(kind(f"{name}{rank}d")(2), x[0], note="unbatched")
    case(kind(f"MaxPool{rank}d")(2, return_indices=True), x, note="with indices")
    case(kind(f"LPPool{rank}d")(2, 3), x)
    case(kind(f"AdaptiveAvgPool{rank}d")(3), x)
    case(kind(f"AdaptiveMaxPool{rank}d")(3), x)
    case(kind(f"AdaptiveMaxPool{rank}d")(3, return_indices=True), x, note="with indices")
    _, where = kind(f"MaxPool{rank}d")(2, return_indices=True)(x)
    case(kind(f"MaxUnpool{rank}d")(2), kind(f"MaxPool{rank}d")(2)(x), where)
    for name in ["ReflectionPad", "ReplicationPad", "ZeroPad", "CircularPad"]:
        case(kind(f"{name}{rank}d")(1), x)
    case(kind(f"ConstantPad{rank}d")(1, 0.5), x)
for rank in (2, 3):
    case(kind(f"FractionalMaxPool{rank}d")(2, output_size=3), BY_RANK[rank])
    case(kind(f"FractionalMaxPool{rank}d")(2, output_ratio=0.5), BY_RANK[rank], note="by ratio")
MODES = {1: "nearest linear", 2: "nearest bilinear bicubic nearest-exact area", 3: "trilinear area"}
for rank, modes in MODES.items():
    for mode in modes.split():
        case(nn.Upsample(scale_factor=2, mode=mode), BY_RANK[rank], note=f"{mode} {rank}")
        case(nn.Upsample(size=(5,) * rank, mode=mode), BY_RANK[rank], note=f"{mode} {rank} to 5")
case(nn.UpsamplingNearest2d(scale_factor=2), X)
case(nn.UpsamplingBilinear2d(scale_factor=2), X)
case(nn.PixelShuffle(2), X)
case(nn.PixelUnshuffle(2), X)
case(nn.Fold((8, 8), 3), torch.rand(2, 36, 36))
case(nn.Unfold(3), X)

case(nn.SyncBatchNorm(4), X)
case(nn.GroupNorm(2, 4), X)
case(nn.LayerNorm((8, 8)), X)
case(nn.RMSNorm(8), X)
case(nn.LocalResponseNorm(3), X)
case(nn.CrossMapLRN2d(3), X)

case(nn.Linear(8, 3), X)
case(nn.Bilinear(4, 4, 6), ROW, ROW)
case(nn.Embedding(9, 4), IDS)
for mode in ("sum", "mean", "max"):
    case(nn.EmbeddingBag(9, 4, mode=mode), IDS, note=mode)
case(nn.EmbeddingBag(9, 4), IDS.flatten(), torch.tensor([0, 2]), note="offsets")
case(nn.CosineSimilarity(), X, X)
case(nn.PairwiseDistance(), ROW, ROW)
for name in ["LSTM", "GRU", "RNN"]:
    case(kind(name)(6, 5, 3, bidirectional=True), L)
    case(kind(name)(6, 5, bias=False, batch_first=True), L, note="batch first")
    case(kind(name)(6, 5), L[0], note="unbatched")
    case(kind(f"{name}Cell")(6, 5), L[0])
case(nn.LSTM(6, 5, 2, proj_size=3, bidirectional=True), L, note="projected")

MANY: dict[str, dict[str, Any]] = {
    "": {},
    "batch first": {"batch_first": True},
    "with keys": {"add_bias_kv": True, "add_zero_attn": True},
    "of other widths": {"kdim": 7, "vdim": 9, "bias": False},
}
for note, more in MANY.items():
    k, v = torch.rand(2, 5, more.get("kdim", 12)), torch.rand(2, 5, more.get("vdim", 12))
    case(nn.MultiheadAttention(12, 3, **more), S, k, v, note=note)
    if "kdim" not in more:
        case(nn.MultiheadAttention(12, 3, **more), S, S, S, note=f"{note} of itself")
for first in (False, True):
    note = "batch first" if first else ""
    case(nn.TransformerEncoderLayer(12, 2, 24, batch_first=first), S, note=note)
    case(nn.TransformerDecoderLayer(12, 2, 24, batch_first=first, norm_first=True), S, S, note=note)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that batch_first were faster
        case(nn.Transformer(12, 2, 1, 1, 24, batch_first=first), S, S, note=note)
ENCODER = nn.TransformerEncoderLayer(12, 2, 24, batch_first=True)
DECODER = nn.TransformerDecoderLayer(12, 2, 24, batch_first=True)
case(nn.TransformerEncoder(ENCODER, 2), S)
MASK = nn.Transformer.generate_square_subsequent_mask(5)
case(nn.TransformerEncoder(ENCODER, 2), S, MASK, note="masked")
case(nn.TransformerEncoder(ENCODER, 2), S, MASK < 0, torch.zeros(2, 5).bool(), note="padded")
case(nn.TransformerDecoder(DECODER, 2), S, S)

for name in ["L1Loss", "MSELoss", "KLDivLoss", "HuberLoss", "SmoothL1Loss", "PoissonNLLLoss"]:
    case(kind(name)(), ROW, ROW)
case(nn.SoftMarginLoss(), ROW, ROW.sign())
for name in ["BCELoss", "BCEWithLogitsLoss", "HingeEmbeddingLoss"]:
    case(kind(name)(), ROW, ROW.round())
for name in ["CrossEntropyLoss", "NLLLoss"]:
    case(kind(name)(), ROW, LABEL)
    case(kind(name)(weight=torch.ones(4)), ROW, LABEL, note="weighted")
case(nn.MultiLabelSoftMarginLoss(), ROW, ROW.round())
case(nn.MarginRankingLoss(), ROW, ROW, ROW.sign())
case(nn.CosineEmbeddingLoss(), ROW, ROW, torch.ones(2))
for name in ["TripletMarginLoss", "TripletMarginWithDistanceLoss"]:
    case(kind(name)(), ROW, ROW, ROW)
if hasattr(nn, "LinearCrossEntropyLoss"):
    case(nn.LinearCrossEntropyLoss(12, 7), S[0], torch.zeros(5).long())

UNCOUNTED: dict[str, Made] = {
    "multilabel_margin_loss": (nn.MultiLabelMarginLoss(), (ROW, torch.zeros(2, 4).long())),
    "multi_margin_loss": (nn.MultiMarginLoss(), (ROW, LABEL)),
}
OF_VALUES: list[Made] = [
    (nn.AdaptiveLogSoftmaxWithLoss(8, 20, [5, 10], div_value=2.0), (torch.rand(2, 8), LABEL)),
    (nn.GaussianNLLLoss(), (ROW, ROW, ROW)),
]
HOLDERS = """
Module Container Sequential ModuleList ModuleDict ParameterList ParameterDict DataParallel RNNBase
RNNCellBase NLLLoss2d
"""
"""What only holds others, or is another name."""


def test_no_kind_of_module_of_torch_is_left_out() -> None:
    every = {
        name
        for name, each in vars(nn).items()
        if isinstance(each, type) and issubclass(each, nn.Module) and not name.startswith("Lazy")
    }
    made = [*CASES.values(), *UNCOUNTED.values(), *OF_VALUES]
    apart = {"CTCLoss"}  # see `test_losses`: torch is asked for its shape in vain
    assert every - {type(module).__name__ for module, _ in made} - apart == set(HOLDERS.split())


def wanted(module: nn.Module, inputs: tuple[Any, ...]) -> list[tuple[int, ...]]:
    with torch.no_grad():
        given = [each.clone() if isinstance(each, Tensor) else each for each in inputs]
        return [tuple(each.shape) for each in tensors(module.eval()(*given))]


def by_torch(module: nn.Module, inputs: tuple[Any, ...]) -> int:
    """What torch's counter finds on ``meta``, without what is fused: then it counts all of it."""
    counter = FlopCounterMode(display=False)
    on_meta = copy.deepcopy(module).to("meta")
    if "ransformer" in type(module).__name__ or isinstance(module, nn.MultiheadAttention):
        on_meta.train()
        given = [each.to("meta") for each in inputs]
    else:
        on_meta, given = module.eval(), list(inputs)
    with torch.no_grad(), counter:
        on_meta(*given)
    return counter.get_total_flops() // 2


NOT_BY_TORCH = ("LSTM", "GRU", "RNN", "Bilinear")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CASES)
def test_a_kind_of_module_has_torchs_shapes_params_and_macs(name: str) -> None:
    module, inputs = CASES[name]
    graph = checked(module, inputs=inputs)
    checked(module, inputs=inputs, training=True)
    table = costs(graph)
    assert list(graph.outputs) == wanted(module, inputs)
    assert table.complete
    assert table.total.params == sum(each.numel() for each in module.parameters())
    if not name.startswith(NOT_BY_TORCH) and "padded" not in name and "masked" not in name:
        assert table.total.macs == by_torch(module, inputs)
    real = costs(trace(module, inputs=inputs, real=True))
    assert [(row.label, row.count) for row in real.rows] == [(r.label, r.count) for r in table.rows]


@pytest.mark.parametrize("name", UNCOUNTED)
def test_a_kind_of_module_without_a_rule_is_named(name: str) -> None:
    module, inputs = UNCOUNTED[name]
    table = costs(checked(module, inputs=inputs))
    assert [row.label for row in table.uncounted] == [name]
    assert list(table.graph.outputs) == wanted(module, inputs)


@pytest.mark.parametrize(("module", "inputs"), OF_VALUES, ids=lambda m: type(m).__name__)
def test_a_kind_of_module_that_depends_on_values_needs_real_tensors(
    module: nn.Module, inputs: tuple[Any, ...]
) -> None:
    from costlab import TraceError

    unknown = tuple(each.to("meta") for each in inputs)
    with pytest.raises(TraceError, match="real=True"):
        trace(module, inputs=unknown)
    assert list(trace(module, inputs=inputs, real=True).outputs) == wanted(module, inputs)


def test_attention_is_its_layers_and_one_attention() -> None:
    """The rows of nn.MultiheadAttention, with their derivations, in evaluation and in training."""
    table = costs(trace(nn.TransformerEncoderLayer(12, 2, 24), inputs=S))
    rows = [(row.path, row.params, row.derivation) for row in table.rows if row.macs]
    assert rows == [
        ("self_attn.linear", 12 * 36 + 36, "(2·5·36)·12"),
        ("self_attn.attention", 0, "(5·2·2·2)·12"),
        ("self_attn.linear_2", 12 * 12 + 12, "(2·5·12)·12"),
        ("linear1", 12 * 24 + 24, "(2·5·24)·12"),
        ("linear2", 24 * 12 + 12, "(2·5·12)·24"),
    ]
    trained = costs(trace(nn.TransformerEncoderLayer(12, 2, 24), inputs=S, training=True))
    assert trained.total.macs == table.total.macs
