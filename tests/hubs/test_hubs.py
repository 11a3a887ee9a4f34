"""Models of other libraries by their names; small libraries stand in for these."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import Run

import costlab as library
from costlab.errors import (
    ChoiceError,
    CodeError,
    ShapeError,
    TraceError,
    UnknownNameError,
    ValuesError,
)

TIMM = """
import torch
from torch import nn

class Net(nn.Module):
    pretrained_cfg = {"input_size": (3, 16, 16)}

    def __init__(self, width=4):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3)
        self.head = nn.Linear(width, 10)
        self.rate = torch.linspace(0, 1, 2)[1].item() if width == 5 else 0

    def forward(self, x):
        return self.head(torch.relu(self.conv(x)).mean((2, 3)))

def list_models():
    return ["resnet_small", "resnet_large", "vit"]

def create_model(name, pretrained, **choices):
    assert not pretrained
    if choices.get("width", 1) < 1:
        raise ValueError("no such width")
    return Net(**choices)
"""

TORCHVISION = """
from torch import nn
from types import SimpleNamespace as Has

def resnet(*, weights=1, weights_backbone=1, classes=10):
    assert weights is None and weights_backbone is None
    first, last = nn.Conv2d(3, 4, 3), nn.Linear(4, classes)
    return nn.Sequential(first, nn.AdaptiveAvgPool2d(1), nn.Flatten(), last)

def preset():
    return Has(crop_size=[12])

class Detector(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(4, 4)
        nn.init.ones_(self.head.weight)

    def forward(self, images):
        kept = self.head(images[0]).mean() > 0
        return self.head(images[0]) if kept else images[0]

def segmenting(*, weights=1, aux_loss=None):
    assert weights is None
    layers = [nn.Conv2d(3, 4, 3)] if aux_loss else [nn.Conv2d(3, 2, 3)]
    return nn.Sequential(*layers)

class Sided(nn.Sequential):
    image_size = 8

    def __init__(self):
        super().__init__(nn.Conv2d(3, 3, 1, groups=3, bias=False), nn.Conv2d(3, 2, 1, bias=False))

class Boxes(nn.Module):
    transform = Has(fixed_size=None, min_size=(2, 4))

    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.BatchNorm2d(1))
        self.head = nn.Linear(4, 1, bias=False)
        self.scale = nn.Parameter(nn.init.ones_(self.head.weight.new_empty(2)))

    def forward(self, images):
        found = [self.head(image[0, :, :4]) for image in images]
        return [one if one.sum() > 0 else self.scale for one in found]

class Weights(list):
    def __init__(self, *known):
        super().__init__(known)
        if known:
            self.DEFAULT = known[0]

DEFAULT = Has(transforms=preset, meta={"num_params": 162, "_ops": 0.01})
SEGMENTING = Has(transforms=lambda: Has(resize_size=[20]), meta={"num_params": 112})
SIDES = [
    Has(transforms=lambda side=side: Has(crop_size=[side]), meta={"num_params": side + 1})
    for side in (12, 8)
]
FROZEN = Has(transforms=lambda: None, meta={"num_params": 6})
KNOWN = {
    "resnet": Weights(DEFAULT),
    "detector": Weights(),
    "fcn": Weights(SEGMENTING),
    "segmenting": Weights(SEGMENTING),
    "sided": Weights(*SIDES),
    "boxes": Weights(FROZEN),
}
BUILDERS = {"detector": Detector, "segmenting": segmenting, "sided": Sided, "boxes": Boxes}
models = Has(
    list_models=lambda: list(KNOWN),
    get_model_builder=lambda name: BUILDERS.get(name, resnet),
    get_model_weights=KNOWN.__getitem__,
)
"""


@pytest.fixture(autouse=True)
def libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, code in (("timm", TIMM), ("torchvision", TORCHVISION)):
        (tmp_path / f"{name}.py").write_text(code, encoding="utf-8")
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    for name in ("timm", "torchvision"):
        sys.modules.pop(name, None)


MACS = {side: (side - 2) ** 2 * 4 * 27 + 40 for side in (12, 16, 20)}


def test_a_name_is_a_model_with_its_own_input() -> None:
    table = library.analyze("timm:resnet_small")
    assert table.graph.inputs == ((1, 3, 16, 16),)
    assert (table.total.macs, table.total.params) == (MACS[16], 112 + 50)
    table = library.analyze("torchvision:resnet")
    assert (table.graph.inputs, table.total.macs) == (((1, 3, 12, 12),), MACS[12])
    assert table.graph.about == "torchvision prints 162 params and 0.01 GFLOPS (1 for each MAC)."


def test_choices_sizes_and_parts() -> None:
    assert library.analyze("timm:vit(width=8)").total.params == 224 + 90
    assert library.analyze("timm:vit", width=8).total.params == 224 + 90
    assert library.analyze("timm:vit", (1, 3, 20, 20)).total.macs == MACS[20]
    assert library.analyze("timm:vit/head").total.macs == 40
    assert library.analyze("timm:vit(width=5)").total.params == 140 + 60  # not on meta
    assert library.parameters("timm:vit").total.params == 162
    assert library.memory("timm:vit").peak_bytes > 0


def test_formulas_and_sweeps_of_a_name() -> None:
    formula = library.formula("timm:vit", input_size="N,3,H,W")
    assert formula.at(N=1, H=20, W=20).macs == MACS[20]
    own = library.formula("timm:vit", "N")  # of the input that the library says
    assert [own.at(N=n).at(H=20, W=20).macs for n in (1, 2)] == [MACS[20], 2 * MACS[20]]
    wide = library.formula("timm:vit(width=w)/head", "w")
    assert str(wide.params) == "10*w + 10"
    with pytest.raises(ChoiceError, match=r"width=w / 2: .* divided by //, as in"):
        library.formula("timm:vit(width=w/2)", "w")
    frame = library.sweep("timm:vit", {"width": [4, 8], "H=W": [12, 20]})
    assert frame.macs.tolist()[:2] == [MACS[12], MACS[20]]
    assert not library.check("timm:vit", "macs <= 30 K", vary={"H=W": "12:20:4"}).holds
    with pytest.raises(CodeError, match=r"no such width .* followed at w=64: give other"):
        library.formula("timm:vit(width=w-64)", "w", input_size="1,3,8,8")


def test_names_beside_those_of_the_catalog() -> None:
    comparison = library.compare("torchvision:resnet", "timm:vit", "reduced", trace=False)
    assert [table.total.macs for table in comparison.tables[:2]] == [MACS[12], MACS[16]]


def test_other_counters_confirm_a_name() -> None:
    assert library.crosscheck("timm:vit").agrees


def test_what_is_not_there() -> None:
    with pytest.raises(UnknownNameError, match=r"of timm 'resnet_smal': did you mean 'resnet_s"):
        library.analyze("timm:resnet_smal")
    with pytest.raises(CodeError, match="cannot be built: ValueError: no such width"):
        library.analyze("timm:vit(width=0)")
    with pytest.raises(ShapeError, match="torchvision:detector does not say what its input is"):
        library.analyze("torchvision:detector")
    for model in ("timm:vit(pretrained=True)", "torchvision:resnet(weights='DEFAULT')"):
        with pytest.raises(
            ChoiceError, match=r"nothing is fetched: leave out (pretrained|weights)"
        ):
            library.analyze(model)


def test_what_a_library_prints_is_of_another_choice() -> None:
    printed = "torchvision prints 112 params"
    said = f"{printed} of torchvision:segmenting(aux_loss=True)."
    assert library.analyze("torchvision:segmenting").graph.about == said
    with_it = library.analyze("torchvision:segmenting", aux_loss=True)
    assert (with_it.graph.about, with_it.total.params) == (f"{printed}.", 112)
    assert library.analyze("torchvision:fcn").graph.about == ""  # nobody knows why
    assert "prints 9 params." in library.analyze("torchvision:sided").graph.about


def test_a_network_has_the_input_that_it_was_made_for() -> None:
    assert library.analyze("torchvision:sided").graph.inputs == ((1, 3, 8, 8),)


def test_detectors_take_a_list_of_images() -> None:
    with pytest.raises(ValuesError):
        library.analyze("torchvision:boxes")
    table = library.analyze("torchvision:boxes", real=True)
    assert (table.graph.inputs, table.total.macs) == (((3, 4, 4),), 16)
    frozen = "torchvision prints 6 params: 2 params fewer, batch norms of a trained backbone are"
    assert table.graph.about.startswith(frozen)
    two = library.analyze("torchvision:boxes", (2, 3, 4, 6), real=True)
    assert two.graph.inputs == ((3, 4, 6), (3, 4, 6))
    with pytest.raises(ShapeError, match="takes images, such as 1,3,4,4"):
        library.analyze("torchvision:boxes", (4, 4), real=True)


def test_a_segmenting_network_has_the_size_that_its_images_are_resized_to() -> None:
    assert library.analyze("torchvision:fcn").total.macs == MACS[20]


def test_inputs_that_are_given_and_values_that_decide() -> None:
    images: Any = ([torch.ones(2, 4)],)
    with pytest.raises(ValuesError):
        library.analyze("torchvision:detector", inputs=images)
    table = library.analyze("torchvision:detector", inputs=images, real=True)
    assert (table.total.macs, table.total.params) == (2 * 2 * 4 * 4, 20)
    account = library.reconcile(
        "torchvision:detector", inputs=images, real=True, counters=["torch"]
    )
    assert account.explained  # the counter's run has the values that decided
    assert library.analyze("timm:vit", training=True).total.macs == MACS[16]
    assert library.analyze("timm:vit", inputs=torch.zeros(1, 3, 12, 12)).total.macs == MACS[12]
    with pytest.raises(TraceError, match="its input 1×3×16×16 is float64"):
        library.analyze("timm:vit", input_type="float64")


def test_the_input_of_another_stays_its_own(costlab: Run, tmp_path: Path) -> None:
    (tmp_path / "before.json").write_text(library.analyze("reduced").to_json(), encoding="utf-8")
    done = costlab("compare", str(tmp_path / "before.json"), "timm:vit", "--no-trace")
    assert done.returncode == 0
    assert "timm:vit: input 1×3×16×16" in done.stdout


def test_a_library_that_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(CodeError, match="timm is not installed: pip install timm"):
        library.analyze("timm:vit")
    (tmp_path / "torchvision.py").write_text("raise RuntimeError('another torch')")
    with pytest.raises(CodeError, match="torchvision cannot be imported: RuntimeError: another"):
        library.analyze("torchvision:resnet")


def test_lists_with_patterns(costlab: Run) -> None:
    everything = costlab("list", "timm:", "--format", "csv").stdout.splitlines()
    names = ["timm:resnet_small", "timm:resnet_large", "timm:vit"]
    assert [line.partition(",")[0] for line in everything[1:]] == names
    some = costlab("list", "timm:resnet*", "torchvision:").stdout
    assert "timm:resnet_large" in some
    assert "timm:vit" not in some
    assert "torchvision prints 162 params" in some
    for wrong, said in (
        (("timm:vitt",), "did you mean 'vit'?"),
        (("hf:",), "hf: has no list"),
        (("timm:", "reduced"), "in a call of their own"),
    ):
        done = costlab("list", *wrong)
        assert (done.returncode, done.stdout) == (2, "")
        assert said in done.stderr
