"""The two classes with which the project began do what their README said."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import engine

CONV = ((2, 3, 7, 6, 3, 3, 2, 4), {"stride": (2, 1), "dilation": (1, 3), "padding": 1})
DEPTHWISE = ((2, 3, 7, 6, 1, 3, 2, 3), {"padding": (1, 0)})
both = pytest.mark.parametrize(
    ("kind", "sizes", "options", "groups"),
    [
        pytest.param(engine.Conv2D, *CONV, 1, id="Conv2D"),
        pytest.param(engine.DepthwiseConv2D, *DEPTHWISE, 3, id="DepthwiseConv2D"),
    ],
)
METHODS = ["create_input_img", "create_kernels", "create_output"]


def run(convolution: Any) -> list[Any]:
    return [getattr(convolution, method)() for method in METHODS]


@both
def test_the_output_is_torchs(kind: Any, sizes: Any, options: Any, groups: int) -> None:
    image, kernels, output = run(kind(*sizes, **options, seed=0))
    operands = torch.tensor(image), torch.tensor(kernels)
    expected = torch.nn.functional.conv2d(*operands, **options, groups=groups)
    np.testing.assert_allclose(output, expected, rtol=1e-12)
    assert image.shape == sizes[:4]
    assert kernels.shape == (sizes[7], *sizes[4:7])


@both
def test_each_method_keeps_its_result(kind: Any, sizes: Any, options: Any, groups: int) -> None:
    convolution = kind(*sizes, **options)
    assert convolution.output is None
    results = run(convolution)
    kept = [convolution.input_img, convolution.kernels, convolution.output]
    assert all(a is b for a, b in zip(kept, results, strict=True))


@both
def test_methods_are_idempotent(kind: Any, sizes: Any, options: Any, groups: int) -> None:
    convolution = kind(*sizes, **options)
    np.testing.assert_equal(run(convolution), run(convolution))


@both
def test_the_seed_determines_images_and_kernels(
    kind: Any, sizes: Any, options: Any, groups: int
) -> None:
    first, second, other = (run(kind(*sizes, **options, seed=s)) for s in (1, 1, 2))
    np.testing.assert_equal(first, second)
    assert not np.array_equal(first[0], other[0])
    assert not np.array_equal(first[1], other[1])


def test_debug_numbers_images_from_1_and_kernels_from_0(capsys: Any) -> None:
    image, kernels, output = run(engine.Conv2D(2, 1, 2, 3, 1, 1, 2, 2, padding=1, debug=True))
    assert image[:, 0, 0, 0].tolist() == [1, 2]
    assert kernels[:, 0, 0, 0].tolist() == [0, 1]
    assert output[1, 1].max() == 4
    assert image.dtype == kernels.dtype == output.dtype == np.float64
    assert image.flags.writeable


def test_debug_prints_every_product(capsys: Any) -> None:
    run(engine.Conv2D(1, 1, 3, 6, 1, 2, 2, 1, stride=(1, 2), dilation=(2, 3), debug=True))
    products = [
        *("kernel (0, 0) × padded image (0, 0)", "kernel (0, 1) × padded image (0, 3)"),
        *("kernel (1, 0) × padded image (2, 0)", "kernel (1, 1) × padded image (2, 3)"),
        *("kernel (0, 0) × padded image (0, 2)", "kernel (0, 1) × padded image (0, 5)"),
        *("kernel (1, 0) × padded image (2, 2)", "kernel (1, 1) × padded image (2, 5)"),
    ]
    places = ["output (0, 0)"] * 4 + ["output (0, 1)"] * 4
    lines = [f"{place}: {product}" for place, product in zip(places, products, strict=True)]
    assert capsys.readouterr().out.splitlines() == lines


PRINTED = """\
Conv2D parameters:
{'inp_n': 1, 'inp_c': 1, 'inp_h': 1, 'inp_w': 2, \
'ker_c': 1, 'ker_h': 1, 'ker_w': 1, 'num_ker': 2}, \
self.stride=(1, 2), self.dilation=(3, 4), self.padding=(0, 0)
Conv2D images (1, 1, 1, 2):
[[[[1. 1.]]]]
Conv2D kernels (2, 1, 1, 1):
[[[[0.]]]


 [[[1.]]]]
output (0, 0): kernel (0, 0) × padded image (0, 0)
Conv2D output (1, 2, 1, 1):
[[[[0.]]

  [[1.]]]]
"""


def test_verbose_prints_parameters_and_results(capsys: Any) -> None:
    options: dict[str, Any] = {"stride": (1, 2), "dilation": (3, 4), "verbose": True}
    run(engine.Conv2D(1, 1, 1, 2, 1, 1, 1, 2, debug=True, **options))
    assert capsys.readouterr().out == PRINTED


@both
def test_images_and_kernels_are_drawn_independently(
    kind: Any, sizes: Any, options: Any, groups: int
) -> None:
    image, kernels, _ = run(kind(*sizes, **options, seed=0))
    assert image.flat[0] != kernels.flat[0]


def test_nothing_is_printed_by_default(capsys: Any) -> None:
    run(engine.Conv2D(1, 2, 3, 3, 2, 2, 2, 2))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("method", METHODS[1:])
def test_methods_in_another_order_are_an_error(method: str) -> None:
    convolution = engine.Conv2D(1, 2, 3, 3, 2, 2, 2, 2)
    with pytest.raises(RuntimeError, match=r"expected create_input_img\(\)"):
        getattr(convolution, method)()


def test_the_output_needs_kernels() -> None:
    convolution = engine.Conv2D(1, 2, 3, 3, 2, 2, 2, 2)
    convolution.create_input_img()
    with pytest.raises(RuntimeError, match="create_kernels"):
        convolution.create_output()
