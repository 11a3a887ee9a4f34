"""What is bound to global names that a forward uses is what it was, unless it has to stay.

``random_modules.py`` has modules that change such names in every way.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import costlab
from costlab.isolation.reached_names import Names

MASKS: dict[int, Tensor] = {}


def mask(size: int) -> Tensor:
    if size not in MASKS:
        MASKS[size] = torch.ones(size, size).tril()
    return MASKS[size]


class Masked(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x @ mask(x.shape[-1])


@pytest.mark.parametrize("real", [False, True])
def test_a_cache_beside_a_class_keeps_nothing_of_a_run(real: bool) -> None:
    MASKS.clear()
    assert costlab.analyze(Masked(), (2, 3), real=real).total.macs == 2 * 3 * 3
    assert not MASKS
    assert Masked()(torch.ones(2, 3)).tolist() == [[3, 2, 1]] * 2


KINDS: dict[str, Any] = {}


class Imports(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        import late_kind  # type: ignore[import-not-found]

        assert late_kind
        return KINDS["late"](x)  # type: ignore[no-any-return]


def test_what_an_import_enters_in_a_table_stays_as_the_import_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "late_kind.py").write_text(
        f"import torch, {__name__}\n{__name__}.KINDS['late'] = torch.relu\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    model = Imports()
    for _ in range(2):
        assert costlab.analyze(model, (2, 3)).complete
    assert list(KINDS) == ["late"]
    del sys.modules["late_kind"]


def one(x: Any) -> Any:
    return other(x)


def other(x: Any) -> Any:
    return x


def another(x: Any) -> Any:
    return mask(x)


class Ones:
    forward = one


def test_names_are_followed_anew_when_a_function_is_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert MASKS not in Names([Ones]).values()
    monkeypatch.setitem(globals(), "other", another)
    assert any(value is MASKS for value in Names([Ones]).values())


def test_methods_that_nothing_mentions_are_not_followed() -> None:
    class Kind:
        def forward(self) -> Any:
            return self.near()

        def near(self) -> Any:
            return MASKS

        def far(self) -> Any:
            return KINDS

    values = Names([Kind]).values()
    assert any(value is MASKS for value in values)
    assert not any(value is KINDS for value in values)
    assert any(value is KINDS for value in Names([Kind], "far").values())
