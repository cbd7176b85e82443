"""Every public docstring of the engine is complete, and its examples are true."""

from __future__ import annotations

import doctest
import importlib
import inspect
import re
from typing import Any

import numpy as np
import pytest

import engine
from engine.documentation import documented

GRADIENTS = {
    f"grad.{name}": value
    for name, value in vars(engine.grad).items()
    if inspect.isfunction(value) and value.__module__ == "engine.grad" and name[0] != "_"
}
ERRORS = {"ArgumentError", "ArgumentTypeError"}
THREADS = {"get_num_threads": engine.get_num_threads, "set_num_threads": engine.set_num_threads}
OTHERS = {n: getattr(engine, n) for n in {*engine.__all__} - ERRORS - {"grad"} - {*THREADS}}
PUBLIC = dict(sorted({**OTHERS, **GRADIENTS}.items()))
each = pytest.mark.parametrize("name", PUBLIC)
MODULES = ["errors", "folding", "functional", "grad", "layers", "lazy", "original"]
MODULES += ["algorithms.threads"]


def text(thing: Any) -> str:
    return inspect.cleandoc(thing.__doc__ or "")


def sections(thing: Any) -> dict[str, str]:
    """The parts of a docstring by their headings; what stands before them has none."""
    parts = re.split(r"^(\w+)\n-+\n", text(thing), flags=re.MULTILINE)
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}


def arguments(thing: Any) -> set[str]:
    """The names to which the section of parameters gives a line."""
    lines = re.findall(r"^(\w[\w, ]*) :", sections(thing)["Parameters"], flags=re.MULTILINE)
    return {name for line in lines for name in line.split(", ")}


def test_all_functions_and_classes_are_found() -> None:
    assert len(PUBLIC) == 8 + 9 + 6 + 17


@each
def test_a_docstring_gives_shapes_errors_and_an_example(name: str) -> None:
    found = sections(PUBLIC[name])
    result = "Attributes" if inspect.isclass(PUBLIC[name]) else "Returns"
    assert {"Parameters", result, "Raises", "Examples"} <= {*found}
    assert "shape (" in found[result]
    assert ">>> engine." in found["Examples"] or f"= engine.{name}(" in found["Examples"]


@pytest.mark.parametrize("name", [k for k, v in PUBLIC.items() if inspect.isfunction(v)])
def test_a_function_gives_the_shapes_of_its_arguments(name: str) -> None:
    assert "shape (" in sections(PUBLIC[name])["Parameters"]


@each
def test_a_docstring_describes_every_parameter_and_no_other(name: str) -> None:
    assert arguments(PUBLIC[name]) == {*inspect.signature(PUBLIC[name]).parameters}


@each
def test_a_docstring_says_what_it_has_to_do_with_torch(name: str) -> None:
    assert "torch" in sections(PUBLIC[name])[""] or name == "DepthwiseConv2D"


@pytest.mark.parametrize("name", THREADS)
def test_a_function_of_threads_is_torchs_and_has_an_example(name: str) -> None:
    found = sections(THREADS[name])
    assert "torch" in found[""]
    assert ">>> engine.set_num_threads(2)" in found["Examples"]


@pytest.mark.parametrize("kind", ["Conv1d", "ConvTranspose1d", "Conv2D"])
def test_a_method_gives_shapes_or_its_types(kind: str) -> None:
    members = inspect.getmembers(PUBLIC[kind], inspect.isfunction)
    methods = [method for name, method in members if name[0] != "_"]
    assert len(methods) in {3, 4}
    assert all("Returns" in sections(method) for method in methods)


@pytest.mark.parametrize("name", sorted(ERRORS))
def test_an_error_has_an_example(name: str) -> None:
    assert "Traceback" in sections(getattr(engine, name))["Examples"]


# input, kernel and result; the first size of the input, in the formula for the result's
SIZES = {1: ("L", "kL", "L'"), 2: ("H, W", "kH, kW", "H', W'")}
SIZES[3] = ("D, H, W", "kD, kH, kW", "D', H', W'")


@pytest.mark.parametrize("axes", SIZES)
def test_a_convolution_has_shapes_of_its_own(axes: int) -> None:
    x, k, y = SIZES[axes]
    found = sections(getattr(engine, f"conv{axes}d"))
    assert f"input : ndarray, shape (N, C, {x}) or (C, {x})" in found["Parameters"]
    assert f"weight : ndarray, shape (O, C/groups, {k})" in found["Parameters"]
    assert f"ndarray, shape (N, O, {y}) or (O, {y})" in found["Returns"]
    assert f"``{x[0]}' = ({x[0]} + 2·padding - dilation·(k{x[0]} - 1)" in found["Returns"]


@pytest.mark.parametrize("name", [name for name in PUBLIC if re.search(r"\dd", name)])
def test_shapes_and_names_are_those_of_the_number_of_axes(name: str) -> None:
    axes = re.findall(r"\d", name)
    x, _, y = SIZES[int(axes[0])]
    assert {*re.findall(r"\(N, \w+, ([^)]*)\)", text(PUBLIC[name]))} in ({x}, {y}, {x, y})
    assert {*re.findall(r"onv(?:_t|T)?(?:ranspose)?(\d)d", text(PUBLIC[name]))} == {*axes}


LIKE_CONV2D = {"conv2d": "the function", "Conv2d": "the layer", "Conv2D": "project began"}


@pytest.mark.parametrize("name", LIKE_CONV2D)
def test_names_that_differ_by_a_letter_name_each_other(name: str) -> None:
    beginning = sections(PUBLIC[name])[""]
    assert all(f"`{other}`" in beginning for other in {*LIKE_CONV2D} - {name})
    assert re.search(f"This is [^.]*{LIKE_CONV2D[name]}", beginning)


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_are_true(module: str) -> None:
    result = doctest.testmod(
        importlib.import_module(f"engine.{module}"),
        extraglobs={"np": np, "engine": engine},
        optionflags=doctest.NORMALIZE_WHITESPACE,
    )
    assert result.attempted > 1
    assert result.failed == 0


def common() -> None:
    """This line stays out.

    Shapes {X}; {K}; {Y}; {x}; {n}.
    """


def own() -> None:
    """Own text, with Examples below.

    Examples
    --------
    >>> 1
    """


def test_common_text_stands_before_the_examples() -> None:
    shapes = "Shapes H, W; kH, kW; H', W'; H; 2."
    before = "Own text, with Examples below."
    assert documented(common, axes=2)(own) is own
    assert own.__doc__ == f"{before}\n\n{shapes}\n\nExamples\n--------\n>>> 1"


def test_without_docstrings_there_is_nothing_to_complete() -> None:
    empty, full = (lambda: None), (lambda: None)
    full.__doc__ = "Text."
    assert documented(common, axes=1)(empty).__doc__ is None
    assert documented(empty, axes=1)(full).__doc__ == "Text."
