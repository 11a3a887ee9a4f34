"""A name in a convention that is misspelt is an error that says what was perhaps meant."""

from __future__ import annotations

from importlib import import_module

import pytest

import costlab
from costlab.checks.convention_names import look_up
from costlab.counters import Counter, find, reconcilable
from costlab.counters.quantities import outputs
from costlab.counters.terms import Params, Term, Where, call, function, module, operation
from costlab.errors import UnknownNameError

MISSPELT = {
    "an operation": (operation("bacth_norm"), "operation 'bacth_norm'", "'batch_norm'"),
    "an attribute": (
        operation("batch_norm", afine=True),
        "attribute of batch_norm 'afine'",
        "'affine'",
    ),
    "an attribute of the second of two": (
        operation("layer_norm", "matmul", affine=True),
        "attribute of matmul 'affine'",
        "there are none",
    ),
    "a module": (module("nn.BatchNorm2D"), "module 'nn.BatchNorm2D'", "'nn.BatchNorm2d'"),
    "no module": (module("nn.functional"), "module 'nn.functional'", ""),
    "an attribute of a module": (
        module("nn.GroupNorm", afine=True),
        "attribute of nn.GroupNorm 'afine'",
        "'affine'",
    ),
    "an attribute of another module": (
        module("nn.LayerNorm", affine=True),
        "attribute of nn.LayerNorm 'affine'",
        "",
    ),
    "a function": (call("F.batch_nrom"), "function 'F.batch_nrom'", "'F.batch_norm'"),
    "a function that nobody replaces": (call("F.hardswish"), "function 'F.hardswish'", ""),
    "a method that nobody has": (call("Tensor.einsum"), "function 'Tensor.einsum'", ""),
    "an operation of a function": (
        call("F.conv2d", consists_of="covn"),
        "operation 'covn'",
        "'conv'",
    ),
    "an attribute of it": (
        call("F.conv2d", consists_of="conv", pading="same"),
        "attribute of conv 'pading'",
        "'padding'",
    ),
    "a function in any spelling": (function("badbmm"), "function 'badbmm'", "'baddbmm'"),
    "its operation": (function("lstm", consists_of="lstm"), "operation 'lstm'", ""),
    "its attribute": (
        function("lstm", consists_of="recurrent", projcted=0),
        "attribute of recurrent 'projcted'",
        "'projected'",
    ),
}


@pytest.mark.parametrize("kind", MISSPELT)
@pytest.mark.parametrize("place", ["where", "but", "params"])
def test_a_misspelt_name_is_an_error(kind: str, place: str) -> None:
    wrong, unknown, meant = MISSPELT[kind]
    right = operation("conv")
    where: Where = wrong if place == "where" else right
    term = Term("norms", where=where, but=wrong if place == "but" else (), units={outputs: 1})
    of = Params(wrong) if place == "params" else None
    with pytest.raises(UnknownNameError, match=rf"^unknown {unknown}") as error:
        look_up(Counter("mine", convention=(term,), params=of))
    assert meant in str(error.value)
    assert "of mine" in str(error.value)


def test_attributes_of_no_operation_are_an_error() -> None:
    with pytest.raises(TypeError, match="padding of which operation"):
        call("F.conv2d", padding="same")


@pytest.mark.parametrize("name", reconcilable())
def test_every_name_in_the_conventions_exists(name: str) -> None:
    counter = find(name)
    assert counter is not None
    look_up(counter)


def test_no_counter_is_run_by_a_convention_with_a_misspelt_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    term = Term("norms", where=operation("bacth_norm"), units={outputs: 2})
    wrong = Counter("fvcore", total=lambda *_: pytest.fail("it is run"), convention=(term,))
    monkeypatch.setattr(import_module("costlab.counters.fvcore"), "COUNTER", wrong)
    with pytest.raises(UnknownNameError, match=r"mean 'batch_norm' .*of fvcore: norms"):
        costlab.reconcile("reduced", against=["fvcore"])
