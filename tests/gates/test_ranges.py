"""Limits for a range of sizes: judged as if every variant were checked by itself."""

from __future__ import annotations

import json
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import Run
from torch import Tensor, nn
from torch.nn import functional as F

import costlab as library
from costlab.errors import CostlabError


class Pooled(nn.Module):
    """The largest images are not what costs most."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        if width == 5:
            raise ValueError("5 is no width")
        self.conv = nn.Conv2d(3, width, 3)

    def forward(self, x: Tensor) -> Any:
        return self.conv(F.avg_pool2d(x, 2) if x.shape[2] > 20 else x)


def test_what_is_wrong_in_a_limit_is_said_of_the_limit_as_it_is_written() -> None:
    with pytest.raises(CostlabError, match=r"has no layer 'nope'.*column 8.*'params\[nope\] <= 1'"):
        library.check(Pooled, "params[nope] <= 1", input_size="1,3,H,W", vary={"H=W": [8, 9]})


SIDES = (2, 3, 4, 9, 14, 19, 20, 21, 22, 25)  # some between, all at the ends and at the branch
VARY: dict[str, Any] = {"width": [4, 5, 6], "N": [1, 2], "H=W": SIDES}


LIMITS = (
    "macs <= 40 K",
    "80000 > macs",
    "macs < 600 * H * W",
    "not macs / params > 300",
    "macs >= 400 or params == 112",
    "params != 112",
    "training_macs < 100 K",
    "peak_bytes < 20 K",
    "training_peak_bytes - saved_bytes < 9 * macs",
)


@cache
def alone(width: int, batch: int, side: int) -> dict[str, Any]:
    """What each limit is at one variant, which is counted once for all of them."""
    texts = [limit.replace("H * W", f"{side} * {side}") for limit in LIMITS]
    judged = library.check(Pooled(width), *texts, input_size=(batch, 3, side, side))
    return dict(zip(LIMITS, judged, strict=True))


@pytest.mark.parametrize("limit", LIMITS)
def test_it_is_judged_at_every_variant(limit: str) -> None:
    rooms = {}
    failing = 0
    for width, batch, side in product(*VARY.values()):
        if width == 5 or side < 3:
            continue
        there = alone(width, batch, side)[limit]
        failing += not there.holds
        rooms[width, batch, side] = there.room
    (one,) = result = library.check(Pooled, limit, input_size="N,3,H,W", vary=VARY)
    assert one.worst is not None
    assert one.worst.variants == len(rooms) == 2 * 2 * 9
    assert (one.worst.failing, one.holds) == (failing, not failing)
    known = [room for room in rooms.values() if room is not None]
    assert one.room == (min(known) if known else None)
    assert rooms[tuple(one.worst.point[name] for name in ("width", "N", "H"))] == one.room
    assert "24 left out, since there is no such network. Left out: " in result.to_markdown()


def test_some_limits_hold_and_some_fail() -> None:
    """So that the test above says something."""
    limits = "macs <= 40 K", "params < 200", "macs >= 400 or params == 112"
    holds = [one.holds for one in library.check(Pooled, *limits, input_size="N,3,H,W", vary=VARY)]
    assert holds == [False, True, False]


def test_in_a_file_and_on_the_command_line(costlab: Run, tmp_path: Path) -> None:
    (tmp_path / "costlab.toml").write_text(
        """
[[check]]
model = "googlenet"
vary = ["H=W=32:256:32", "N=1,2"]
limits = ["macs <= 3 G", "params <= 7 M"]
""",
        encoding="utf-8",
    )
    done = costlab("check", "--format", "json", cwd=tmp_path)
    (model,) = json.loads(done.stdout)["models"]
    assert done.returncode == 1
    assert model["range"]["vary"] == {"H=W": "32:256:32", "N": "1,2"}
    assert (model["range"]["variants"], model["total"]) == (16, None)
    macs, params = model["limits"]
    assert (macs["at"], macs["failing"], macs["line"]) == ("H=W=256, N=2", 2, 5)
    assert macs["value"] == library.analyze("googlenet", (2, 3, 256, 256)).total.macs
    assert macs["layers"]
    assert (params["holds"], params["failing"]) == (True, 0)
    vary = "--vary", "H=W=32:256:32", "--vary", "N=1,2"
    done = costlab("check", "googlenet", *vary, "--require", "macs <= 3 G")
    assert (done.returncode, done.stderr) == (1, "")
    assert "at 2 of 16 variants, by most at H=W=256, N=2" in " ".join(done.stdout.split())


class Unknown(nn.Module):
    def forward(self, x: Tensor) -> Any:
        return torch.linalg.qr(x)[0] if x.shape[2] > 8 else x + 1


@pytest.mark.parametrize(
    ("model", "limit", "how", "said"),
    [
        (Unknown, "macs <= 1", {"vary": {"H=W": "7:10"}}, "has no rule for qr"),
        ("naive", "mac <= 1", {"vary": {"H=W": "7:10"}}, "did you mean 'macs'"),
        ("naive", "macs / (H - 8) <= 1 G", {"vary": {"H=W": "7:10"}}, "divides by 0 for 1 of 4"),
        ("naive", "macs <= 1", {"vary": {"H=W": "10000000000"}}, "beyond 64 bits"),
        ("naive", "macs <= base.macs", {"vary": {"H": "7"}, "baseline": "reduced"}, "baseline has"),
        ("naive", "macs <= 1", {"vary": {"H": "7"}, "real": True}, "real tensors have one size"),
        ("naive", "macs <= 1", {"vary": {"H": "7"}, "input_size": (1, 192, 7, 7)}, "varies by N"),
        ("naive", "macs <= 1", {"vary": {"c1": "0"}}, "no network of this range exists"),
        (Pooled, "macs <= 1", {"vary": {"H=W": "1:2"}}, "no variant of Pooled exists"),
    ],
    ids=str,
)
def test_what_cannot_be_judged_is_said(
    model: Any, limit: str, how: dict[str, Any], said: str
) -> None:
    with pytest.raises(CostlabError, match=said):
        library.check(model, limit, **how)


def test_a_limit_that_is_not_about_what_has_no_rule_is_judged() -> None:
    assert library.check(Unknown, "params < 1", vary={"H=W": "7:10"})
