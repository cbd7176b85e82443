"""What a call with unusable arguments raises: always torch's type of exception, or a subclass."""

from __future__ import annotations


class ArgumentError(RuntimeError, ValueError):
    """An argument of the right type whose value or shape cannot be used.

    A `RuntimeError`, as torch raises from its functions, and a `ValueError`, as torch raises
    from its constructors.
    """

    def __init__(self, function: str, argument: str, message: str) -> None:
        super().__init__(f"{function}() {argument}: {message}")
        self.argument = argument


class ArgumentTypeError(TypeError):
    """An argument of a type that the function does not take."""

    def __init__(self, function: str, argument: str, message: str) -> None:
        super().__init__(f"{function}() {argument}: {message}")
        self.argument = argument


class ArgumentOverflowError(ArgumentError, ArgumentTypeError):
    """An integer beyond 64 bits: torch raises ValueError for a bare one, TypeError in a tuple."""


class UnsupportedDtypeError(ArgumentTypeError, NotImplementedError):
    """A dtype for which there is no convolution, here or in torch (bool, longdouble, object)."""


class UnsupportedPaddingError(ArgumentError, NotImplementedError):
    """An input or a form of padding for which no padding mode exists, here or in torch."""
