"""How a call is made from a case: in the form of its line, by position or by name.

What a line gives by position is passed by position, in torch's order; a gap has torch's default.
A layer's constructor and call, and a gradient, take from it what concerns them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from ..cases.case import Case
from ..cases.forms import SIZES
from ..cases.operation import OPS, rank
from .outcome import REJECTIONS, Operands, Results
from .stage import STAGE, gradient_name


def by_name(case: Case) -> Case:
    """The same call in the one form that a reference is given."""
    return replace(case, positional=0, sizes="tuple")


def call_function(function: Any, case: Case, operands: Operands) -> Any:
    STAGE.enter(case.op)
    first = case.by_position
    return _called(function, first, {**first, **case.arguments, **operands})


def construct(layer: Any, case: Case, operands: Operands) -> Any:
    """The layer that `case` calls, an instance of the type `layer`."""
    STAGE.enter(f"{case.op}.__init__")
    op, weight, first = OPS[case.op], operands["weight"], case.by_position
    options = {**first, **case.arguments, "bias": operands.get("bias") is not None}
    given = {name: options[name] for name in op.constructor if name in options}
    outer, inner = weight.shape[0], weight.shape[1] * int(given.get("groups", 1))
    sizes = (outer, inner) if op.is_transposed else (inner, outer)
    kernel = SIZES[case.sizes](weight.shape[2:])
    shape = dict(zip(("in_channels", "out_channels", "kernel_size"), (*sizes, kernel), strict=True))
    ends = [
        i + 1 for i, name in enumerate(op.constructor) if name in op.arguments and name in first
    ]
    names = [*shape, *op.constructor[: max(ends, default=0)]] if first else []
    return _called(layer, names, {**shape, **given, "dtype": weight.dtype.type})


def output_size(case: Case) -> dict[str, Any]:
    """What a layer is called with beside its input."""
    given = {**case.by_position, **case.arguments}
    return {name: given[name] for name in ("output_size",) if name in given}


def call_layer(layer: Any, case: Case, x: Any) -> Any:
    STAGE.enter(f"{case.op}.__call__")
    return _called(layer, case.by_position, {"input": x, **output_size(case)})


def gradients(
    grad: Any, case: Case, operands: Operands, grad_output: Any, *, claims_all: bool
) -> Results:
    """What the functions of a namespace as torch.nn.grad give, those that it has.

    torch's own take no unbatched call and no string as padding. To reject these is not to claim
    them, unless the namespace `claims_all`.
    """
    shaped, gy = SIZES[case.sizes], grad_output
    x, w = operands["input"], operands.get("weight")
    weight, size = ({}, ()) if w is None else ({"weight": w}, shaped(w.shape))
    first = case.by_position
    options = {**{k: v for k, v in first.items() if k not in operands}, **case.arguments}
    options.pop("bias", None)
    calls: dict[str, tuple[str, dict[str, Any]]] = {
        "grad_input": ("input", {"input_size": shaped(x.shape), **weight, "grad_output": gy}),
        "grad_weight": ("weight", {"input": x, "weight_size": size, "grad_output": gy}),
        "grad_bias": ("bias", {"grad_output": gy}),
    }
    unbatched = x.ndim < rank(OPS[case.op], "input")
    beyond_torch = unbatched or isinstance(case.arguments.get("padding"), str)
    unclaimed = REJECTIONS if beyond_torch and not claims_all else (NotImplementedError,)
    found = {}
    for name, (operand, arrays) in calls.items():
        function = getattr(grad, gradient_name(case, operand), None)
        if function is None or operands.get(operand) is None:
            continue
        arguments = {} if operand == "bias" else options
        names = [*arrays, *(k for k in arguments if k in first)] if first else []
        STAGE.enter(f"grad.{gradient_name(case, operand)}")
        with suppress(*unclaimed):  # which says nothing of the rest
            found[name] = _called(function, names, {**arrays, **arguments})
    return found


def _called(function: Any, first: Iterable[str], given: Mapping[str, Any]) -> Any:
    """`function` of all that is given: `first` by position, as far as given, the rest by name."""
    names = [name for name in first if name in given]
    rest = {name: value for name, value in given.items() if name not in names}
    return function(*[given[name] for name in names], **rest)
