"""Networks as training scripts have them: what they cost, beside torch's counter."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from training import by_torch, step


def _block(channels: int, into: int) -> nn.Sequential:
    convolution = nn.Conv2d(channels, into, 3, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(into), nn.ReLU(inplace=True))


class Averaged(nn.Module):
    """A teacher is the moving average of a student, which is read without gradients first."""

    def __init__(self) -> None:
        super().__init__()
        self.student = nn.Sequential(_block(3, 8), nn.Flatten(), nn.Linear(8 * 64, 6))
        self.teacher = deepcopy(self.student).requires_grad_(False)

    def forward(self, x: Tensor) -> Any:
        with torch.no_grad():
            pairs = zip(self.teacher.parameters(), self.student.parameters(), strict=True)
            for own, other in pairs:
                own.mul_(0.99).add_(other, alpha=0.01)
            target = self.teacher(x).softmax(-1)
        return -(target * self.student(x).log_softmax(-1)).sum(-1).mean()


class Frozen(nn.Module):
    """A body whose norms stay in evaluation mode, which its own ``train`` sees to."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = _block(3, 8).requires_grad_(False), nn.Linear(8, 4)
        self.body.append(nn.Dropout())

    def train(self, mode: bool = True) -> Frozen:
        super().train(mode)
        self.body.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).mean((2, 3)))  # type: ignore[no-any-return]


class Accumulated(nn.Module):
    """The losses of parts of a batch."""

    def __init__(self) -> None:
        super().__init__()
        pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5))
        self.network = nn.Sequential(_block(3, 8), _block(8, 8), pooled)

    def forward(self, x: Tensor) -> Any:
        loss: Any = 0.0
        for part in x.chunk(2):
            loss = loss + functional.mse_loss(self.network(part), torch.zeros(2, 5).to(x)) / 2
        return loss


class Adversarial(nn.Module):
    """What a generator makes is judged twice, once cut off from it."""

    def __init__(self) -> None:
        super().__init__()
        self.makes = nn.Sequential(nn.ConvTranspose2d(3, 8, 4, 2, 1), nn.Conv2d(8, 3, 1))
        self.judges = nn.Sequential(nn.Conv2d(3, 8, 4, 2, 1), nn.LeakyReLU(0.2), nn.Flatten(2))

    def forward(self, x: Tensor) -> Tensor:
        made = self.makes(x)
        of_cut = functional.softplus(self.judges(made.detach())).mean()
        return of_cut + functional.softplus(-self.judges(made)).mean()


@pytest.mark.parametrize("kind", [Averaged, Frozen, Accumulated, Adversarial])
def test_a_step_costs_what_torch_counts(kind: type[nn.Module]) -> None:
    x = torch.zeros(4, 3, 8, 8)
    table = step(kind(), x, training=True)
    assert table.complete
    assert table.total.training_macs == by_torch(kind().train(), x)


def test_the_mode_is_what_the_models_own_train_makes_of_it() -> None:
    module = Frozen()
    table = step(module, torch.zeros(4, 3, 8, 8), training=True)
    (dropout,) = [row for row in table.rows if row.layer.op.kind == "dropout"]
    assert not dropout.layer.op.attribute("training")
    assert module.training
    assert module.body.training  # as it was before


class Biased(nn.Module):
    """A product of two tensors that learn, and a bias that is spread over it."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.bias, self.weight = nn.Parameter(torch.zeros(shape)), nn.Parameter(torch.zeros(2, 3))

    def forward(self, x: Tensor) -> Tensor:
        return torch.addmm(self.bias, x, self.weight)


@pytest.mark.parametrize(("shape", "sums"), [((2, 3), 0), ((3,), 3), ((1,), 5), ((2, 1), 4)])
def test_a_bias_gets_the_sums_of_what_it_was_spread_over(shape: Any, sums: int) -> None:
    total = step(Biased(shape), torch.zeros(2, 2)).total
    assert total.input_gradient_ops.add + total.weight_gradient_ops.add == sums


_broadcast: Any = torch.broadcast_tensors


class Spread(nn.Module):
    """Two tensors spread over each other by a call that gives two; one may be a parameter."""

    def __init__(self, call: Any, learns: bool) -> None:
        super().__init__()
        self.call, self.x = call, nn.Parameter(torch.zeros(4, 1)) if learns else None

    def forward(self, x: Tensor, y: Tensor) -> Any:
        return self.call(x if self.x is None else self.x, y)


@pytest.mark.parametrize("learns", [False, True])
@pytest.mark.parametrize(
    ("call", "sums"),
    [
        (_broadcast, (20 - 4) + (20 - 5)),
        (lambda x, y: _broadcast(x, y)[1], 20 - 5),
        (lambda x, y: torch.meshgrid(x[:, 0], y, indexing="ij"), (20 - 4) + (20 - 5)),
        (lambda x, y: torch.meshgrid([x[:, 0], y], indexing="ij")[0], 20 - 4),
        (torch.atleast_3d, 0),
    ],
)
def test_each_of_several_results_is_of_one_tensor(call: Any, sums: int, learns: bool) -> None:
    inputs = [torch.zeros(shape, requires_grad=True) for shape in ((4, 1), (5,))]
    total = step(Spread(call, learns), *inputs).total
    assert total.input_gradient_ops.add + total.weight_gradient_ops.add == sums
