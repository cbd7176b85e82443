"""The two classes with which the project began. They make their own images and kernels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from . import compute
from .arguments import ConvOptions, for_output
from .checks import Checker
from .geometry import Array, Geometry, Ints, Sizes


class OrderError(RuntimeError):
    """A method was called before the one that it needs the result of."""


class Conv2D:
    """Random images, random kernels, and their convolution.

    This is the class with which the project began. `conv2d` is the function, which takes any
    images and kernels, and `Conv2d` is the layer; both follow torch, which has no such class.

    `create_input_img`, `create_kernels` and `create_output` are called in this order. Each keeps
    its result, and returns the same array of values whenever it is called again.

    Parameters
    ----------
    inp_n, inp_c, inp_h, inp_w : int, at least 1
        Number, channels, height and width of the images.
    ker_c, ker_h, ker_w, num_ker : int, at least 1
        Channels (as many as the images have), height, width and number of the kernels.
    stride, dilation : int, or tuple or list of 1 or 2 ints, each at least 1
        Step of the window, and step between the taps of a kernel, in elements.
    padding : int, or tuple or list of 1 or 2 ints, each at least 0
        Number of zeros on both sides of each axis.
    verbose : bool
        Whether to print the parameters, the images, the kernels and the output.
    debug : bool
        Whether to fill image b with b + 1 and kernel k with k, counted from 0, and to print which
        element of a kernel is multiplied with which element of the padded image.
    seed : int, at least 0, optional
        The same seed gives the same images and kernels.

    Attributes
    ----------
    input_img : ndarray, shape (inp_n, inp_c, inp_h, inp_w)
        Like the other two, None until its method is called.
    kernels : ndarray, shape (num_ker, ker_c, ker_h, ker_w)
        Random elements are float64, uniform in [0, 1).
    output : ndarray, shape (inp_n, num_ker, out_h, out_w)
        ``out_h = (inp_h + 2·padding - dilation·(ker_h - 1) - 1) // stride + 1``, and so for out_w.

    Raises
    ------
    ArgumentError
        The value of an argument cannot be used. It is a RuntimeError and a ValueError.
    ArgumentTypeError
        An argument has a wrong type. It is a TypeError.

    Examples
    --------
    >>> convolution = engine.Conv2D(1, 1, 3, 3, 1, 2, 2, 2, debug=True, padding=0, stride=2)
    >>> convolution.create_input_img().shape
    (1, 1, 3, 3)
    >>> convolution.create_kernels().shape
    (2, 1, 2, 2)
    >>> convolution.create_output()
    output (0, 0): kernel (0, 0) × padded image (0, 0)
    output (0, 0): kernel (0, 1) × padded image (0, 1)
    output (0, 0): kernel (1, 0) × padded image (1, 0)
    output (0, 0): kernel (1, 1) × padded image (1, 1)
    array([[[[0.]],
            [[4.]]]])
    """

    input_img: Array | None = None
    kernels: Array | None = None
    output: Array | None = None

    def __init__(
        self,
        inp_n: int,
        inp_c: int,
        inp_h: int,
        inp_w: int,
        ker_c: int,
        ker_h: int,
        ker_w: int,
        num_ker: int,
        stride: Ints = 1,
        dilation: Ints = 1,
        padding: Ints = 0,
        verbose: bool = False,
        debug: bool = False,
        seed: int | None = None,
    ) -> None:
        check = Checker(type(self).__name__, 2)
        given = {"inp_n": inp_n, "inp_c": inp_c, "inp_h": inp_h, "inp_w": inp_w}
        given |= {"ker_c": ker_c, "ker_h": ker_h, "ker_w": ker_w, "num_ker": num_ker}
        sizes = {name: _positive(check, name, value) for name, value in given.items()}
        self.inp_n, self.inp_c, self.inp_h, self.inp_w = list(sizes.values())[:4]
        self.ker_c, self.ker_h, self.ker_w, self.num_ker = list(sizes.values())[4:]
        self.stride = check.integers("stride", stride, least=1)
        self.dilation = check.integers("dilation", dilation, least=1)
        self.padding = check.integers("padding", padding, least=0)
        self._check_sizes(check)
        self.verbose, self.debug = verbose, debug
        self._seeds = _seeds(check, seed)
        self._print("parameters", f"{sizes}, {self.stride=}, {self.dilation=}, {self.padding=}")

    def _check_sizes(self, check: Checker) -> None:
        """The channels agree, and the dilated kernel fits into the padded image."""
        self._check_channels(check)
        extents = check.extents((self.ker_h, self.ker_w), self.dilation)
        padding = tuple([(p, p) for p in self.padding])
        check.positions("ker_h", (self.inp_h, self.inp_w), padding, extents, self.stride)

    def _check_channels(self, check: Checker) -> None:
        if self.ker_c != self.inp_c:
            check.reject("ker_c", f"expected inp_c = {self.inp_c}, got {self.ker_c}")

    @property
    def _groups(self) -> int:
        return 1

    def create_input_img(self) -> Array:
        """Make the images.

        Returns
        -------
        ndarray, shape (inp_n, inp_c, inp_h, inp_w)
        """
        shape = (self.inp_n, self.inp_c, self.inp_h, self.inp_w)
        self.input_img = self._filled(shape, self._seeds[0], first=1)
        self._print("images", self.input_img)
        return self.input_img

    def create_kernels(self) -> Array:
        """Make the kernels.

        Returns
        -------
        ndarray, shape (num_ker, ker_c, ker_h, ker_w)

        Raises
        ------
        OrderError
            `create_input_img` has not been called. It is a RuntimeError.
        """
        if self.input_img is None:
            raise OrderError(_order("create_kernels", "create_input_img"))
        shape = (self.num_ker, self.ker_c, self.ker_h, self.ker_w)
        self.kernels = self._filled(shape, self._seeds[1], first=0)
        self._print("kernels", self.kernels)
        return self.kernels

    def create_output(self) -> Array:
        """Compute the convolution of the images with the kernels.

        Returns
        -------
        ndarray, shape (inp_n, num_ker, out_h, out_w)

        Raises
        ------
        OrderError
            `create_kernels` has not been called. It is a RuntimeError.
        """
        if self.kernels is None:
            raise OrderError(_order("create_output", "create_input_img() and create_kernels"))
        options = ConvOptions(
            stride=self.stride, padding=self.padding, dilation=self.dilation, groups=self._groups
        )
        name = type(self).__name__
        g, x, w, _ = for_output(name, 2, self.input_img, self.kernels, None, options)
        self.output = compute.forward(g, x, w)
        if self.debug:
            print("\n".join(_products(g)))
        self._print("output", self.output)
        return self.output

    def _filled(self, shape: Sizes, seed: np.random.SeedSequence, first: int) -> Array:
        if self.debug:
            numbers = np.arange(first, first + shape[0], dtype=np.float64)
            return np.broadcast_to(numbers.reshape(-1, 1, 1, 1), shape).copy()
        return np.random.default_rng(seed).random(shape)

    def _print(self, what: str, value: object) -> None:
        if self.verbose:
            shape = f" {value.shape}" if isinstance(value, np.ndarray) else ""
            print(f"{type(self).__name__} {what}{shape}:\n{value}")


class DepthwiseConv2D(Conv2D):
    """Random images, and for each of their channels one random kernel of its own.

    This is a class with which the project began; `DepthwiseConv2d` is the layer. It has the
    methods of `Conv2D`.

    Parameters
    ----------
    inp_n, inp_c, inp_h, inp_w : int, at least 1
        Number, channels, height and width of the images, of shape (inp_n, inp_c, inp_h, inp_w).
    ker_c : 1
        Channels of a kernel.
    ker_h, ker_w : int, at least 1
        Height and width of the kernels, of shape (num_ker, 1, ker_h, ker_w).
    num_ker : int
        Number of the kernels, equal to `inp_c`.
    stride, dilation, padding, verbose, debug, seed :
        As in `Conv2D`.

    Attributes
    ----------
    input_img : ndarray, shape (inp_n, inp_c, inp_h, inp_w)
    kernels : ndarray, shape (num_ker, 1, ker_h, ker_w)
    output : ndarray, shape (inp_n, num_ker, out_h, out_w)

    Raises
    ------
    ArgumentError
        The value of an argument cannot be used. It is a RuntimeError and a ValueError.
    ArgumentTypeError
        An argument has a wrong type. It is a TypeError.

    Examples
    --------
    >>> convolution = engine.DepthwiseConv2D(1, 3, 5, 5, 1, 2, 2, 3, seed=0)
    >>> image, kernels = convolution.create_input_img(), convolution.create_kernels()
    >>> convolution.create_output().shape
    (1, 3, 4, 4)
    """

    def _check_channels(self, check: Checker) -> None:
        if self.ker_c != 1:
            check.reject("ker_c", f"expected 1, got {self.ker_c}")
        if self.num_ker != self.inp_c:
            check.reject("num_ker", f"expected inp_c = {self.inp_c}, got {self.num_ker}")

    @property
    def _groups(self) -> int:
        return self.inp_c


def _positive(check: Checker, argument: str, value: object) -> int:
    size = check.integer(argument, value)
    if size < 1:
        check.reject(argument, f"expected an integer of at least 1, got {size}")
    return size


def _seeds(check: Checker, seed: object) -> list[np.random.SeedSequence]:
    """One for the images and one for the kernels."""
    if seed is not None and check.integer("seed", seed) < 0:
        check.reject("seed", f"expected an integer of at least 0, got {seed}")
    return np.random.SeedSequence(seed).spawn(2)  # type: ignore[arg-type]


def _order(method: str, needed: str) -> str:
    return f"{method}() expected {needed}() before it, got no call of it; call it first"


def _products(g: Geometry) -> Iterator[str]:
    """A line for each tap of a kernel at each place of the window."""
    for place in np.ndindex(*g.output_size):
        for tap in np.ndindex(*g.kernel_size):
            axes = zip(place, g.stride, tap, g.dilation, strict=True)
            element = tuple([y * s + k * d for y, s, k, d in axes])
            yield f"output {place}: kernel {tap} × padded image {element}"
