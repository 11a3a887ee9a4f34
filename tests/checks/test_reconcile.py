"""Other counters' totals, rebuilt from our table: to the last unit, or with what is left over."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import collection
import pytest
import test_collections
import torch
from command_line import Run
from torch import Tensor, nn
from torch.nn import functional as F

import costlab as library
from costlab.counters import Line, Params, reconcilable

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


SLOW = ("vgg1", "inception-res", "inception-v4", "xception")
FAST = [name for name in library.architectures() if not name.startswith(SLOW)]


@pytest.mark.parametrize(
    "model", [*FAST, "vgg11", "googlenet(aux=True)", "lenet5(variant='dense')"]
)
def test_every_unit_of_the_catalog_is_explained(model: str) -> None:
    """All of it: python tests/collection.py --reconcile."""
    assert left(model) == {}


@pytest.mark.parametrize(
    "name", ["squeezenet_v1_0", "mobilenetv2_w1", "dpn68", "seresnet50", "shufflenet_g3_w1"]
)
def test_every_unit_of_a_model_of_pytorchcv_is_explained(name: str) -> None:
    module = collection.filled(name)
    assert left(module, input_size=collection.size(module)) == {}


@pytest.mark.parametrize("name", test_collections.TRANSFORMERS)
def test_every_unit_of_a_model_of_transformers_is_explained(name: str) -> None:
    transformers = pytest.importorskip("transformers", reason="pip install -e '.[transformers]'")
    config, kind, choices, inputs = test_collections.TRANSFORMERS[name]
    model = getattr(transformers, kind)(getattr(transformers, config)(**choices)).eval()
    assert left(model, kwargs=inputs) == {}


def test_every_unit_of_a_mixture_of_experts_is_explained() -> None:
    transformers = pytest.importorskip("transformers", reason="pip install -e '.[transformers]'")
    more = {"num_key_value_heads": 2, "num_local_experts": 4, "num_hidden_layers": 1}
    config = transformers.MixtralConfig(**{**test_collections.TEXT, **more})
    model = transformers.MixtralModel(config).eval()
    assert left(model, kwargs={"input_ids": test_collections.IDS}) == {}


X = (2, 6, 8, 10)


class Fn(nn.Module):
    def __init__(self, function: Callable[..., Any], *modules: nn.Module) -> None:
        super().__init__()
        self.function, self.parts = function, nn.ModuleList(modules)

    def forward(self, x: Tensor) -> Any:
        return self.function(x, *self.parts)


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
    "attention by its products": Fn(lambda x: F.scaled_dot_product_attention(x, x, x[..., :3])),
    "padding by a word": nn.Conv2d(6, 4, 3, padding="valid"),
    "an even kernel": nn.Conv2d(6, 4, (2, 3), padding="same", dilation=(1, 2)),
    "transposed, in groups": nn.ConvTranspose2d(6, 6, 3, groups=3),
    "linear on what is not contiguous": Fn(lambda x, f: f(x.permute(0, 2, 3, 1)), nn.Linear(6, 4)),
    "a broadcast product": Fn(lambda x: torch.matmul(x[:, :1], torch.zeros(6, 10, 3))),
    "a broadcast product by @": Fn(lambda x: x[:, :1] @ torch.zeros(6, 10, 3)),
    "a vector": Fn(
        lambda x: torch.mv(x[0, 0], torch.zeros(10)) + torch.dot(x[0, 0, 0], x[0, 0, 1])
    ),
    "addmm": Fn(lambda x: torch.addmm(torch.zeros(8), x[0, 0], x[0, 0].mT)),
    "addmm with weights": Fn(
        lambda x, f: torch.addmm(f.bias, x[0, 0], f.weight.mT), nn.Linear(10, 4)
    ),
    "baddbmm": Fn(lambda x: torch.baddbmm(torch.zeros(6, 8, 8), x[0], x[0].mT)),
    "sums that broadcast": Fn(lambda x: torch.add(x, torch.zeros(10)) + torch.mul(x[0], x)),
    "einsum in four digits": Fn(
        lambda x: torch.einsum("bchw,bcvw->bchv", x, x.repeat(1, 1, 47, 1))
    ),
    "pooling by getattr": Fn(lambda x: getattr(F, "max_pool2d")(x, 2)),  # noqa: B009
    "pooling with indices": Fn(lambda x, f: f(x)[0], nn.MaxPool2d(2, return_indices=True)),
    "pooling to a third": nn.AdaptiveAvgPool2d((3, 7)),
    "upsampling to a size": nn.Upsample((9, 9)),
    "bicubic": nn.Upsample(scale_factor=2, mode="bicubic"),
    "entered by forward": Fn(lambda x, f: f.forward(x), nn.Linear(10, 3)),
    "called twice": Fn(lambda x, f: f(f(x)), nn.Linear(10, 10)),
    "multi-head attention": Fn(
        lambda x, f: f(x[0], x[0], x[0])[0], nn.MultiheadAttention(10, 2, batch_first=True)
    ),
    "multi-head attention without weights": Fn(
        lambda x, f: f(x[0], x[0], x[0], need_weights=False)[0],
        nn.MultiheadAttention(10, 2, bias=False, batch_first=True),
    ),
    "an encoder": Fn(lambda x, f: f(x[0]), nn.TransformerEncoderLayer(10, 2, 16, batch_first=True)),
    **{
        f"{kind}, {how}": Fn(lambda x, f: f(x[0])[0], getattr(nn, kind)(10, 4, **more))
        for kind in ("RNN", "GRU", "LSTM")
        for how, more in {
            "alone": {},
            "stacked": {"num_layers": 3, "bidirectional": True},
            "without bias": {"bias": False, "batch_first": True},
        }.items()
    },
    "LSTM, projected": Fn(lambda x, f: f(x[0])[0], nn.LSTM(10, 6, proj_size=3)),
    **{
        kind: Fn(lambda x, f: f(x[0, 0]), getattr(nn, kind)(10, 4))
        for kind in ("RNNCell", "GRUCell", "LSTMCell")
    },
}


@pytest.mark.parametrize("name", LAYERS)
def test_the_convention_of_each_layer(name: str) -> None:
    """By running every counter; it fails when one of them is mended, or changes its mind."""
    assert left(nn.Sequential(LAYERS[name]), input_size=X) == {}


class Shared(nn.Module):
    """A convolution in three places: once in a block that stands in two."""

    def __init__(self) -> None:
        super().__init__()
        conv = nn.Conv2d(6, 6, 3, padding=1)
        self.first = nn.Sequential(conv, nn.BatchNorm2d(6))
        self.second = nn.Sequential(self.first, nn.Sequential(conv))

    def forward(self, x: Tensor) -> Any:
        return self.second(self.first(x))


def test_a_module_in_several_places() -> None:
    found = library.reconcile(Shared().eval(), input_size=X)
    assert not any(account.residual for account in found.accounts)
    again = {
        account.counter: sum(term.units for term in account.terms if "several" in term.cause)
        for account in found.told
    }
    conv, outputs = 2 * 6 * 8 * 10 * 6 * 9, 2 * 6 * 8 * 10
    assert again["fvcore"] == again["torch"] == again["torchinfo"] == 0
    assert again["ptflops"] == 3 * (3 - 1) * (conv + outputs) + 2 * (2 - 1) * 2 * outputs
    assert again["thop"] == 3 * (9 - 1) * conv + 2 * (4 - 1) * 4 * outputs


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
    assert not any(f"{account.counter} says" in text for account in found.accounts)
    for layer in found.data()["layers"]:
        for name, counted in layer["counters"].items():
            assert counted["actual"] in (None, counted["units"]), (layer["path"], name)


def test_a_part_of_what_is_not_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    """A counter that does not tell by part leaves the whole model's residual."""
    from costlab.counters import ptflops

    monkeypatch.setattr(ptflops, "CONVENTION", ptflops.CONVENTION[1:])
    found = library.reconcile("reduced", ["ptflops"], path="branch5x5")
    assert found.accounts[0].residual == 128_049_152
    assert not found.explained


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
        "norms, 2 per element of batch norm": 2 * 28 * 28 * 368,
    }
    done = costlab("reconcile", "reduced", "--against", "fvcoer")
    assert (done.returncode, done.stdout) == (2, "")
    assert "did you mean 'fvcore'" in done.stderr


def test_macs_that_a_counter_does_not_see_are_said() -> None:
    said = library.reconcile(
        test_collections.Attends(), ["thop", "fvcore"], (2, 5, 8)
    ).to_markdown()
    assert "Not seen by thop: 800 MACs of attention." in said
