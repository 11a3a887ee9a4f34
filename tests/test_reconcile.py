"""Other counters' totals, rebuilt from our table: to the last unit, or with what is left over."""

from __future__ import annotations

import json
import logging
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import collection
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import costlab as library
from costlab.counters import Line, Params, reconcilable

Run = Callable[..., "subprocess.CompletedProcess[str]"]

pytestmark = pytest.mark.filterwarnings("ignore")  # the counters' own


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


def left(model: Any, **how: Any) -> dict[str, Any]:
    """What is not explained, by counter; empty if all is. Some counters may not be installed."""
    found = library.reconcile(model, **how)
    assert {account.counter for account in found.accounts} == set(reconcilable())
    return {
        what: value
        for what, value in collection.left_over(found).items()
        if not str(value).startswith("not installed")
    }


CATALOG = [
    name
    for name in library.architectures()
    if not name.startswith(("vgg1", "inception-res", "inception-v4"))
]


@pytest.mark.parametrize(
    "model", [*CATALOG, "vgg11", "googlenet(aux=True)", "lenet5(variant='dense')"]
)
def test_every_unit_of_the_catalog_is_explained(model: str) -> None:
    assert left(model) == {}


@pytest.mark.parametrize(
    "name", ["squeezenet_v1_0", "mobilenetv2_w1", "dpn68", "seresnet50", "shufflenet_g3_w1"]
)
def test_every_unit_of_a_model_of_pytorchcv_is_explained(name: str) -> None:
    module = collection.filled(name)
    assert left(module, input_size=collection.size(module)) == {}


X = (2, 6, 8, 10)


class Fn(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


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
    "F.relu": Fn(lambda x: F.relu(x, inplace=False)),
    "a function that was taken": Fn(F.relu),
    "torch.relu": Fn(torch.relu),
    "sums by operators": Fn(lambda x: x + x * 2),
    "sums by methods": Fn(lambda x: torch.add(x.mul(x), x).add(1)),
    "products by methods": Fn(lambda x: x.matmul(x.mT) + torch.matmul(x, x.mT)),
    "cat": Fn(lambda x: torch.cat([x, x], 1)),
    "F.softmax": Fn(lambda x: F.softmax(x, 1)),
    "F.max_pool2d": Fn(lambda x: F.max_pool2d(x, 2)),
    "F.avg_pool2d": Fn(lambda x: F.avg_pool2d(x, 2)),
    "F.batch_norm": Fn(lambda x: F.batch_norm(x, torch.zeros(6), torch.ones(6))),
    "mean": Fn(lambda x: x.mean((2, 3))),
    "@": Fn(lambda x: x @ x.mT),
    "bmm": Fn(lambda x: torch.bmm(x[0], x[0].mT)),
    "einsum": Fn(lambda x: torch.einsum("bchw,bcvw->bchv", x, x)),
    "F.linear": Fn(lambda x: F.linear(x, torch.zeros(7, 10))),
    "F.conv2d": Fn(lambda x: F.conv2d(x, torch.zeros(4, 6, 3, 3))),
    "attention": Fn(lambda x: F.scaled_dot_product_attention(x, x, x)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_the_convention_of_each_layer(name: str) -> None:
    """By running every counter; it fails when one of them is mended, or changes its mind."""
    assert left(nn.Sequential(LAYERS[name]), input_size=X) == {}


class Recurs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.linear = nn.LSTM(10, 3), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.linear(self.lstm(x)[0])
        return result


def test_what_is_not_explained_is_said_with_its_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    from costlab.counters import fvcore, ptflops

    for counter, what in ((ptflops, "nn.LSTM"), (fvcore, "contraction")):
        known = tuple(line for line in counter.CONVENTION if what not in line.calls)
        monkeypatch.setattr(counter, "CONVENTION", known)
    found = library.reconcile(Recurs(), ["ptflops", "fvcore"], (2, 6, 10))
    assert not found.explained
    text = " ".join(found.to_text().split())
    by = found.accounts[0].residual
    said = (
        f"ptflops: {by:+,} units are not explained; layers of which its convention says nothing: "
    )
    assert by > 0
    assert f"{said}lstm" in text
    assert "fvcore: +1,944 units are not explained; lstm (+1,872), linear (+72)." in text


def test_a_wrong_convention_leaves_a_residual(monkeypatch: pytest.MonkeyPatch) -> None:
    from costlab.counters import fvcore

    monkeypatch.setattr(fvcore, "CONVENTION", (Line("half", "contraction", {"macs": 2}),))
    (account,) = library.reconcile("pointwise", ["fvcore"]).accounts
    assert account.residual == -2304


class Parameters(nn.Module):
    """Ten of each kind: read, twice there, not read, frozen, not of a module, and buffers."""

    def __init__(self) -> None:
        super().__init__()
        self.read, self.frozen = nn.Linear(5, 2, bias=False), nn.Linear(2, 5, bias=False)
        self.first, self.second = nn.Linear(5, 2, bias=False), nn.Linear(5, 2, bias=False)
        self.second.weight = self.first.weight
        self.aux = nn.Linear(5, 2, bias=False)
        self.own = nn.Parameter(torch.zeros(10))
        self.norm = nn.BatchNorm1d(5)
        self.frozen.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.frozen(self.read(x)))
        return (self.first(x) + self.second(x)) * self.own.sum()


def test_params_by_why_they_differ() -> None:
    """Running statistics are buffers, and no counter's params."""
    found = library.reconcile(Parameters(), input_size=(3, 5))
    assert found.explained
    assert found.table.total.params == 50
    terms = {
        account.counter: {term.cause: term.units for term in account.params}
        for account in found.told
    }
    read, others = {"that are read": 50}, {"that nothing reads": 10}
    assert terms["fvcore"] == read | others
    assert terms["torch"] == {}
    assert terms["ptflops"] == terms["ptflops_aten"] == read | others | {"that are frozen": -10}
    assert terms["thop"] == read | {
        "of modules that it does not know, or that it does not see called": -10,
        "of modules in several places, or a tensor in several modules, once more for each": 10,
    }
    # 10 that are there twice, less the 10 of aux and 10 of its own that it takes for them
    assert terms["torchinfo"] == read | others
    for account in found.told:
        assert account.total is not None
        assert (account.total.params or 0) == sum(terms[account.counter].values())
    text = " ".join(found.to_text().split())
    assert "fvcore says 60 params: 50 that are read, 10 that nothing reads." in text
    data = json.loads(found.to_json())["counters"]["ptflops"]["params"]
    assert data == {"actual": 50, "terms": terms["ptflops"], "residual": 0}


def test_a_wrong_convention_of_params_leaves_a_residual(monkeypatch: pytest.MonkeyPatch) -> None:
    from costlab.counters import ptflops

    monkeypatch.setattr(ptflops, "PARAMS", Params("all"))
    found = library.reconcile(Parameters(), ["ptflops"], (3, 5))
    assert not found.explained
    assert found.accounts[0].params_residual == -10
    assert "-10 not explained." in " ".join(found.to_text().split())


def test_by_layer_too() -> None:
    """The terms add up to the totals, scope by scope; where a counter tells, it says the same."""
    found = library.reconcile("reduced", depth=1)
    told = set()
    for account in found.told:
        assert account.total is not None
        assert sum(part.units for part in account.parts) == account.total.total
        for path in account.total.places:
            assert account.at(path).residual == 0, (account.counter, path)
            told.add(account.counter)
        assert account.otherwise() == []
    assert told >= {"fvcore", "torch", "thop", "torchinfo"}
    text = found.to_text(100)
    assert "branch5x5" in text
    assert "says" not in text
    for layer in found.data()["layers"]:
        for name, counted in layer["counters"].items():
            assert counted["actual"] in (None, counted["units"]), (layer["path"], name)


def test_a_part(costlab: Run) -> None:
    found = library.reconcile(
        "googlenet", ["fvcore", "ptflops"], path="inception_3a/branch5x5", depth=1
    )
    fvcore, ptflops = found.accounts
    assert (found.macs, fvcore.said, fvcore.residual) == (12_443_648, 12_443_648, 0)
    assert (ptflops.said, ptflops.residual) == (None, 0)
    assert sum(term.units for term in ptflops.terms) > 12_443_648
    assert [layer["path"].rpartition(".")[2] for layer in found.data()["layers"]] == [
        "reduce",
        "reduce_relu",
        "conv",
        "relu",
    ]
    assert "inception_3a.branch5x5 of googlenet" in found.to_text(100)
    done = costlab("reconcile", "reduced", "--against", "fvcore", "--path", "branch5")
    assert (done.returncode, done.stdout) == (2, "")
    assert "did you mean 'branch5x5'" in done.stderr


def test_on_the_command_line(costlab: Run) -> None:
    done = costlab("reconcile", "reduced", "--against", "fvcore,torch", "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    data = json.loads(done.stdout)
    assert data["explained"] is True
    assert data["counters"]["torch"]["actual"] == 2 * 128_049_152
    assert data["counters"]["fvcore"]["terms"] == {
        "contractions, 1 per MAC": 128_049_152,
        "batch norm, 2 per element": 2 * 28 * 28 * 368,
    }
    done = costlab("reconcile", "reduced", "--against", "fvcoer")
    assert (done.returncode, done.stdout) == (2, "")
    assert "did you mean 'fvcore'" in done.stderr
