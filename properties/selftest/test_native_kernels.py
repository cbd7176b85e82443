"""Which kernels torch computes with, inside the context manager and after it."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import pytest
import torch

import oracle
from oracle import native_kernels, shipped

MKLDNN: Any = torch.backends.mkldnn
NNPACK: Any = torch.backends.nnpack
GUARDED, SHIPPED = (False, False), (True, True)


def libraries() -> tuple[bool, bool]:
    """Whether oneDNN and NNPACK are on."""
    (nnpack,) = NNPACK.set_flags(False)
    NNPACK.set_flags(nnpack)
    return MKLDNN.enabled, nnpack


def test_the_oracle_is_guarded_by_its_import() -> None:
    assert libraries() == GUARDED


@pytest.mark.parametrize("native", [True, False])
def test_the_libraries_are_switched_inside_and_restored_after(native: bool) -> None:
    with native_kernels(not native):
        with native_kernels(native):
            inside = libraries()
        assert libraries() == (GUARDED if not native else SHIPPED)
    assert inside == (GUARDED if native else SHIPPED)
    assert libraries() == GUARDED


def test_the_libraries_are_restored_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), native_kernels(native=False):
        _ = 1 / 0
    assert libraries() == GUARDED


def test_each_library_is_restored_on_its_own() -> None:
    MKLDNN.enabled = True
    with native_kernels():
        inside = libraries()
    after, MKLDNN.enabled = libraries(), False
    assert (inside, after) == (GUARDED, (True, False))


def test_no_warning_is_given() -> None:
    with warnings.catch_warnings(record=True) as caught, native_kernels():
        warnings.simplefilter("always")
        assert libraries() == GUARDED
    assert caught == []


def test_the_libraries_are_on_in_every_call_of_torch_as_it_ships() -> None:
    call: Any = shipped.as_shipped(libraries)
    assert [call(), call()] == [SHIPPED, SHIPPED]
    assert libraries() == GUARDED


@pytest.mark.parametrize("name", [*oracle.FUNCTIONS, "gradients"])
@pytest.mark.parametrize("namespace", [shipped, shipped.channels_last], ids=["shipped", "last"])
def test_torch_as_it_ships_is_wrapped(namespace: Any, name: str) -> None:
    assert callable(getattr(namespace, name).__wrapped__)


@pytest.mark.parametrize("name", [*oracle.FUNCTIONS, *[kind.__name__ for kind in shipped.LAYERS]])
def test_what_the_oracle_offers_names_its_shapes_and_its_source(name: str) -> None:
    described = inspect.getdoc(getattr(oracle, name)) or ""
    kind = "torch.nn" if name[0] == "C" else "torch.nn.functional"
    assert f"``{kind}.{name}``" in described
    assert "(N, " in described
    assert inspect.getdoc(getattr(shipped, name)) == described
