"""What samples images, in every spelling; torchvision's operators, under their full names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import pytest
import torch
from torch import Tensor, library, nn
from torch.nn import functional
from tracing import checked
from wrapped import Fn

import costlab

X, PLACES = torch.rand(2, 3, 5, 6), torch.rand(2, 4, 7, 2)
SAMPLES: dict[str, tuple[Callable[[Tensor], Any], int]] = {
    "bilinear": (lambda x: functional.grid_sample(x, PLACES, align_corners=False), 7),
    "nearest": (lambda x: functional.grid_sample(x, PLACES, "nearest", align_corners=True), 0),
    "bicubic": (lambda x: functional.grid_sample(x, PLACES, mode="bicubic"), 31),
    "by number": (lambda x: torch.grid_sampler(x, PLACES, 2, 0, True), 31),
    "of images": (lambda x: torch.grid_sampler_2d(x, PLACES, 0, 0, True), 7),
    "basic": (lambda x: torch.ops.aten.grid_sampler_2d(x, PLACES, 1, 0, True), 0),
    "volumes": (lambda x: functional.grid_sample(x[:, :, None], torch.rand(2, 1, 4, 7, 3)), 15),
}
PER_PLACE = {0: 4, 7: 4 + 4 + 4, 31: 4 + 2 * 26 + 16, 15: 6 + 6 + 16}


@pytest.mark.filterwarnings("ignore:Default grid_sample")
@pytest.mark.parametrize("name", SAMPLES)
def test_samples_of_a_grid_are_traced_in_every_spelling(name: str) -> None:
    """Operations by hand: of each place, and of each channel there."""
    function, each = SAMPLES[name]
    module = Fn(lambda m, x: function(x))
    graph = checked(module, inputs=X)
    assert graph.outputs == (tuple(module(X).shape),)
    for real in (False, True):
        table = costlab.analyze(module, inputs=X, real=real)
        assert table.complete
        assert table.total.count.other == 2 * 4 * 7 * (PER_PLACE[each] + 3 * each)


def test_a_grid_that_does_not_fit_is_an_error() -> None:
    for places in (torch.rand(3, 4, 7, 2), torch.rand(2, 4, 7, 3)):
        module = Fn(lambda m, x, p=places: functional.grid_sample(x, p, align_corners=False))
        with pytest.raises(RuntimeError):
            module(X)
        with pytest.raises(costlab.CostlabError, match="grid_sample on 2×3×5×6"):
            costlab.analyze(module, inputs=X)


LIBRARY: Any = library.Library
SCHEMAS = {
    "roi_align": "(Tensor input, Tensor rois, float spatial_scale, int pooled_height, "
    "int pooled_width, int sampling_ratio, bool aligned) -> Tensor",
    "ps_roi_align": "(Tensor input, Tensor rois, float spatial_scale, int pooled_height, "
    "int pooled_width, int sampling_ratio) -> (Tensor, Tensor)",
    "roi_pool": "(Tensor input, Tensor rois, float spatial_scale, int pooled_height, "
    "int pooled_width) -> (Tensor, Tensor)",
    "ps_roi_pool": "(Tensor input, Tensor rois, float spatial_scale, int pooled_height, "
    "int pooled_width) -> (Tensor, Tensor)",
    "deform_conv2d": "(Tensor input, Tensor weight, Tensor offset, Tensor mask, Tensor bias, "
    "int stride_h, int stride_w, int pad_h, int pad_w, int dilation_h, int dilation_w, "
    "int groups, int offset_groups, bool use_mask) -> Tensor",
    "nms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}


def _of_bins(x: Tensor, rois: Tensor, _: float, h: int, w: int, *more: Any) -> Any:
    """Values of a channel for each bin, and what they are of."""
    values = x.new_zeros(len(rois), x.shape[1] // (h * w), h, w)
    return values, values.int()


def _of_regions(x: Tensor, rois: Tensor, _: float, h: int, w: int) -> Any:
    values = x.new_zeros(len(rois), x.shape[1], h, w)
    return values, values.int()


RESULTS: dict[str, Callable[..., Any]] = {
    "roi_align": lambda x, rois, _, h, w, *more: x.new_zeros(len(rois), x.shape[1], h, w),
    "ps_roi_align": _of_bins,
    "roi_pool": _of_regions,
    "ps_roi_pool": _of_bins,
    "deform_conv2d": lambda x, weight, offset, *more: x.new_zeros(
        len(x), len(weight), *offset.shape[2:]
    ),
    "nms": lambda boxes, scores, _: torch.arange(len(boxes) // 2),
}


@pytest.fixture(scope="module", autouse=True)
def _operators() -> Iterator[None]:
    """Operators of torchvision's names, with its signatures, where it is not installed."""
    if find_spec("torchvision"):
        import torchvision  # type: ignore[import-not-found]  # noqa: F401

        yield
        return
    room = LIBRARY("torchvision", "DEF")
    for name, schema in SCHEMAS.items():
        room.define(name + schema)
        room.impl(name, RESULTS[name], "CPU")
        if name != "nms":
            room.impl(name, RESULTS[name], "Meta")
    yield
    room._destroy()


OPS: Any = torch.ops
ROIS = torch.tensor([[0, 0.0, 0.0, 3.0, 3.0], [1, 1.0, 1.0, 4.0, 4.0]])


def deformed(m: Any, x: Tensor, masked: bool, bias: Tensor | None) -> Any:
    offset, mask = x.new_zeros(2, 18, 5, 6), x.new_zeros(2, 9, 5, 6)
    bias = x.new_zeros(4) if bias is None else bias
    how = (1, 1, 1, 1, 1, 1, 1, 1, masked)
    return OPS.torchvision.deform_conv2d(x, m.weight, offset, mask, bias, *how)


VISION: dict[str, tuple[Callable[..., Any], int, int]] = {
    "aligned": (
        lambda m, x: OPS.torchvision.roi_align(x, ROIS, 1.0, 2, 3, 2, True),
        0,
        2 * 6 * 4 * (4 + 8) + 2 * 3 * 6 * (4 * 7 + 3 + 1),
    ),
    "overload": (
        lambda m, x: OPS.torchvision.roi_align.default(x, ROIS, 1.0, 2, 3, 1, True),
        0,
        2 * 6 * (4 + 8) + 2 * 3 * 6 * (7 + 1),
    ),
    "positional": (
        lambda m, x: OPS.torchvision.ps_roi_align(x, ROIS, 1.0, 1, 3, 2)[0],
        0,
        2 * 3 * 4 * (4 + 8) + 2 * 1 * 3 * (4 * 7 + 3 + 1),
    ),
    "deformable": (
        lambda m, x: deformed(m, x, False, m.bias),
        2 * 4 * 30 * 27,
        2 * 30 * 9 * (2 + 8 + 3 * 7) + 2 * 4 * 30,
    ),
    "with a mask, without a bias": (
        lambda m, x: deformed(m, x, True, None),
        2 * 4 * 30 * 27,
        2 * 30 * 9 * (2 + 8 + 3 * 8),
    ),
}


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize("name", VISION)
def test_operators_of_torchvision_are_traced(name: str, real: bool) -> None:
    function, macs, others = VISION[name]
    module = nn.Sequential(
        nn.Conv2d(3, 3, 1, bias=False),
        Fn(function, weight=torch.rand(4, 3, 3, 3), bias=torch.rand(4)),
    )
    table = costlab.analyze(module, inputs=X, real=real)
    assert table.complete
    row = table.rows[-1]
    assert (row.macs, row.count.other if row.count else None) == (macs, others)
    assert table.graph.outputs == (tuple(module(X).shape),)
    table.graph.check()


WIDE = torch.tensor([[0, 0.0, 0.0, 3.2, 4.0], [1, 1.0, 1.0, 1.4, 2.9]])
"""With 2×3 bins: samples of a bin 2×2 and 1×1 (of sides that are at least 1: 1×1)."""
BY_SIZE: dict[str, tuple[Callable[..., Any], int]] = {
    "roi_align": (
        lambda x, rois: OPS.torchvision.roi_align(x, rois, 1.0, 2, 3, -1, True),
        6 * 5 * 12 + 6 * 6 * (5 * 7 + 3) + 2 * 6 * 6,
    ),
    "ps_roi_align": (
        lambda x, rois: OPS.torchvision.ps_roi_align(x, rois, 1.0, 2, 3, 0)[0],
        6 * 5 * 12 + 6 * 1 * (5 * 7 + 3) + 2 * 6 * 1,
    ),
    # Rows 0 to 4 and columns 0 to 3, and rows 1 to 3 and the column 1, corners as whole elements.
    "roi_pool": (
        lambda x, rois: OPS.torchvision.roi_pool(x, rois, 1.0, 2, 3)[0],
        6 * ((3 + 3) * (2 + 2 + 2) + (2 + 2) * 3 - 2 * 6),
    ),
    # Without the last row and column, but at least one.
    "ps_roi_pool": (
        lambda x, rois: OPS.torchvision.ps_roi_pool(x, rois, 1.0, 2, 3)[0],
        1 * ((2 + 2) * 3 + (1 + 1) * 3),
    ),
}


@pytest.mark.parametrize("name", BY_SIZE)
def test_sizes_of_regions_decide_where_they_are_known(name: str) -> None:
    function, operations = BY_SIZE[name]
    x = torch.rand(2, 6, 5, 6)
    module = Fn(lambda m, x, rois: function(x, rois))
    for real in (False, True):
        table = costlab.analyze(module, inputs=(x, WIDE), real=real)
        assert table.complete
        assert [(row.label, row.macs) for row in table.rows] == [(name, 0)]
        assert table.total.count.other == operations
    unknown = costlab.analyze(module, inputs=(x, WIDE.to("meta")))
    assert [row.label for row in unknown.uncounted] == [name]


def test_known_boxes_are_suppressed_on_shapes() -> None:
    boxes = torch.tensor([[float(i), 0, i + 1, 1] for i in range(3)]).repeat(2, 1)  # each twice
    scores = torch.rand(6)
    module = Fn(lambda m, x, boxes, scores: x[OPS.torchvision.nms(boxes, scores, 0.5)])
    table = costlab.analyze(module, inputs=(torch.rand(6, 8), boxes, scores))
    assert table.complete
    assert table.graph.outputs == ((3, 8),)
    assert table.total.count.other == 15 * 13 + 6 * 3 + 11
    table.graph.check()
    with pytest.raises(costlab.TraceError, match="nms at the model"):
        costlab.analyze(module, inputs=(torch.rand(6, 8), boxes.to("meta"), scores))


@pytest.mark.parametrize("real", [False, True])
def test_what_is_counted_in_bins_is_counted_on_shapes(real: bool) -> None:
    ids = torch.tensor([1, 2, 3, 3])
    counted = Fn(lambda m, x, ids: (torch.histc(x, 4), torch.bincount(ids, minlength=6)))
    table = costlab.analyze(counted, inputs=(torch.rand(10), ids), real=real)
    assert table.complete
    assert table.total.count.other == 10 * 5 + 2 * 9 + 4
    assert table.graph.outputs == ((4,), (6,))


def test_boxes_that_overlap_are_compared_in_pairs() -> None:
    boxes, scores = torch.rand(6, 4), torch.rand(6)
    module = Fn(lambda m, boxes, scores: OPS.torchvision.nms(boxes, scores, 0.5))
    table = costlab.analyze(module, inputs=(boxes, scores), real=True)
    assert table.complete
    assert table.total.count.other == 15 * 13 + 6 * 3 + 11
