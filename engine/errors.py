"""What a call with unusable arguments raises: always torch's type of exception, or a subclass."""

from __future__ import annotations


class ArgumentError(RuntimeError, ValueError):
    """An argument has the right type, but a value or a shape that cannot be used.

    It is a RuntimeError, which torch raises from its functions, and a ValueError, which torch
    raises from its constructors.

    Attributes
    ----------
    argument : str
        Name of the argument.

    Examples
    --------
    >>> engine.conv1d(np.ones((1, 1, 3)), np.ones((1, 1, 2)), stride=0)
    Traceback (most recent call last):
        ...
    engine.errors.ArgumentError: conv1d() stride: expected integers of at least 1, got 0
    """

    def __init__(self, function: str, argument: str, message: str) -> None:
        super().__init__(f"{function}() {argument}: {message}")
        self.argument = argument


class ArgumentTypeError(TypeError):
    """An argument has a type that the function does not take.

    Attributes
    ----------
    argument : str
        Name of the argument.

    Examples
    --------
    >>> engine.conv1d(np.ones((1, 1, 3)), np.ones((1, 1, 2)), stride=1.5)
    Traceback (most recent call last):
        ...
    engine.errors.ArgumentTypeError: conv1d() stride: expected an integer, or a tuple or list of \
1 integer, got 1.5
    """

    def __init__(self, function: str, argument: str, message: str) -> None:
        super().__init__(f"{function}() {argument}: {message}")
        self.argument = argument


class ArgumentOverflowError(ArgumentError, ArgumentTypeError):
    """An integer has more than 64 bits: torch raises ValueError, or TypeError within a tuple."""


class UnsupportedDtypeError(ArgumentTypeError, NotImplementedError):
    """An array has a dtype without a convolution, here and in torch: bool, longdouble, object."""


class UnsupportedPaddingError(ArgumentError, NotImplementedError):
    """An input or a form of padding has no padding mode, here and in torch."""


class UninitializedError(RuntimeError, ValueError):
    """A parameter of a lazy layer is used before its shape is known.

    torch raises RuntimeError from the parameter, and ValueError from the layer's methods.
    """
