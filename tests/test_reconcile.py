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
from costlab.counters import Line, Total, reconcilable
from costlab.graph import within

Run = Callable[..., "subprocess.CompletedProcess[str]"]

pytestmark = pytest.mark.filterwarnings("ignore")  # the counters' own


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


def left(model: Any, **how: Any) -> dict[str, Any]:
    """What is not explained, by counter; empty if all is."""
    found = library.reconcile(model, **how)
    assert {account.counter for account in found.accounts} == set(reconcilable())
    assert found.explained == (not any(account.residual for account in found.accounts))
    return {
        account.counter: account.residual or account.problem
        for account in found.accounts
        if account.residual or account.problem
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
    module = collection.built(name).to_empty(device="cpu")
    with torch.no_grad():
        for tensor in (*module.parameters(), *module.buffers()):
            tensor.zero_()
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


def test_what_is_not_explained_is_said_with_its_layers(costlab: Run) -> None:
    module = nn.Sequential(nn.ReLU(), nn.LSTM(10, 3))
    found = library.reconcile(module, ["ptflops", "fvcore"], (2, 6, 10))
    residuals = {account.counter: account.residual for account in found.accounts}
    assert residuals["fvcore"] == 0
    assert residuals["ptflops"] > 0
    assert not found.explained
    said = f"ptflops: +{residuals['ptflops']:,} units are not explained"
    assert said in " ".join(found.to_text().split())
    assert "1.lstm" in found.accounts[0].unknown


def test_a_counter_that_fails_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from costlab.counters import thop, torchinfo

    def broken(module: nn.Module, inputs: tuple[Tensor, ...]) -> Total:
        raise RuntimeError("two\nlines")

    def missing(module: nn.Module, inputs: tuple[Tensor, ...]) -> Total:
        raise ImportError

    monkeypatch.setattr(thop, "total", broken)
    monkeypatch.setattr(torchinfo, "total", missing)
    found = library.reconcile("pointwise", ["thop", "torchinfo", "fvcore"])
    assert [account.problem for account in found.accounts] == [
        "it failed with RuntimeError: two lines",
        "not installed: pip install 'costlab[counters]'",
        "",
    ]
    assert found.explained


def test_a_wrong_convention_leaves_a_residual(monkeypatch: pytest.MonkeyPatch) -> None:
    from costlab.counters import fvcore

    monkeypatch.setattr(fvcore, "CONVENTION", (Line("half", "contraction", {"macs": 2}),))
    (account,) = library.reconcile("pointwise", ["fvcore"]).accounts
    assert account.residual == -2304


def test_params_that_nothing_reads_are_why_they_differ() -> None:
    class Heads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.main, self.aux = nn.Linear(10, 3), nn.Linear(10, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.main(x)  # type: ignore[no-any-return]

    text = " ".join(library.reconcile(Heads(), ["fvcore"], (1, 10)).to_text().split())
    assert "fvcore says 66 params: 33 that are read, 33 that nothing reads." in text


def test_by_layer_too() -> None:
    """The terms add up to the totals, scope by scope; where a counter tells, it says the same."""
    found = library.reconcile("reduced", depth=1)
    for account in found.accounts:
        assert account.total is not None
        assert sum(account.units) == account.total.total
        rows = [row.path for row in found.traced.rows]
        for path, count in account.total.places.items():
            inside = [i for i, each in enumerate(rows) if within(each, path)]
            assert sum(account.units[i] for i in inside) == count, (account.counter, path)
    text = found.to_text(100)
    assert "branch5x5" in text
    assert "says" not in text


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
