"""Parameters of a layer: how they are drawn, and how they are loaded."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod, sqrt
from typing import Any, NamedTuple

import numpy as np

from .checks import LARGEST, Checker, is_supported
from .errors import ArgumentTypeError
from .geometry import Array, Sizes


class IncompatibleKeys(NamedTuple):
    """The names that `load_state_dict` did not find, and those that it did not expect."""

    missing_keys: list[str]
    unexpected_keys: list[str]


def drawn(
    check: Checker, weight: Sizes, bias: Sizes | None, dtype: object, rng: object
) -> tuple[Array, Array | None]:
    """Weight, then bias, from U(±1/sqrt(fan_in)), torch's kaiming_uniform_(a=sqrt(5))."""
    kind = parameter_dtype(check, dtype)
    source = generator(check, rng)
    if prod(weight) > LARGEST:
        check.reject("in_channels", f"expected at most {LARGEST} weights, got shape {weight}")
    fan_in = prod(weight[1:])
    bound = 1 / sqrt(fan_in) if fan_in else 0.0
    first = _uniform(source, bound, weight, kind)
    return first, None if bias is None else _uniform(source, bound, bias, kind)


def generator(check: Checker, rng: object) -> np.random.Generator:
    """`rng`, or one with a seed of its own."""
    if rng is None:
        return np.random.default_rng()
    if not isinstance(rng, np.random.Generator):
        raise ArgumentTypeError(
            check.function, "rng", f"expected a numpy.random.Generator or None, got {rng!r}"
        )
    return rng


def parameter_dtype(check: Checker, value: object) -> np.dtype[Any]:
    """float32 unless given; as in torch, nothing that has no gradient."""
    try:
        dtype = np.dtype(np.float32 if value is None else value)  # type: ignore[call-overload]
    except TypeError as error:
        raise ArgumentTypeError(
            check.function, "dtype", f"expected a NumPy dtype, got {value!r}"
        ) from error
    if not is_supported(dtype) or dtype.kind in "iu":
        check.reject("dtype", f"expected a floating or complex dtype, got {dtype}")
    native: np.dtype[Any] = dtype.newbyteorder("=")
    return native


def _uniform(rng: np.random.Generator, bound: float, shape: Sizes, dtype: np.dtype[Any]) -> Array:
    values: Array = rng.uniform(-bound, bound, shape)
    if dtype.kind == "c":
        values = values + 1j * rng.uniform(-bound, bound, shape)
    return values.astype(dtype)


def loaded(
    function: str, parameters: Mapping[str, Array], state_dict: Any, strict: object
) -> tuple[dict[str, Array], IncompatibleKeys]:
    """Copies of the values in `state_dict`, in shape and dtype of `parameters`; or all faults."""
    check = Checker(function, 0)
    keys, faults = named(check, parameters, state_dict, strict)
    present = {name: p for name, p in parameters.items() if name not in keys.missing_keys}
    values = {name: _converted(state_dict[name]) for name in present}
    for name, parameter in present.items():
        faults += _faults(name, parameter, values[name])
    if faults:
        names = ", ".join(f"{name!r} {p.shape}" for name, p in parameters.items())
        check.reject("state_dict", f"expected {names}, got {'; '.join(faults)}")
    return {name: values[name].astype(p.dtype, order="C") for name, p in present.items()}, keys


def named(
    check: Checker, parameters: Mapping[str, Array], state_dict: object, strict: object
) -> tuple[IncompatibleKeys, list[str]]:
    """How the names of a state differ from those of the parameters, and what is wrong with that."""
    if not isinstance(state_dict, Mapping):
        raise ArgumentTypeError(
            check.function, "state_dict", f"expected a mapping, got {type(state_dict).__name__}"
        )
    missing = [name for name in parameters if name not in state_dict]
    unexpected = [name for name in state_dict if name not in parameters]
    faults = [f"missing {name!r}" for name in missing if strict]
    faults += [f"unexpected {name!r}" for name in unexpected if strict]
    return IncompatibleKeys(missing, unexpected), faults


def _converted(value: object) -> Array:
    """`value` as an array; of dtype object if it is none (bfloat16, or a tensor with a graph)."""
    try:
        return np.asarray(value)
    except (TypeError, ValueError, RuntimeError):
        return np.array(None)


def _faults(name: str, parameter: Array, value: Array) -> list[str]:
    if value.dtype.kind not in "biufc":
        return [f"{name!r} that is no array of numbers; convert it with numpy.asarray"]
    if value.shape != parameter.shape:
        return [f"{name!r} of shape {value.shape}, not {parameter.shape}"]
    return []
