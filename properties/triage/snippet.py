"""A script that shows a case without the harness: NumPy, torch and the engine's own import.

The calls of the engine are those that the harness makes: they are recorded and written down.
"""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import indent, wrap
from typing import Any

import numpy as np

from ..cases.bits import Bits
from ..cases.case import Case
from ..cases.data import Filled, arrays, widest
from ..cases.forms import Int, Size
from ..cases.layouts import Subclass
from ..cases.operation import OPS, OUTPUT
from ..comparison.calling import by_name, construct, output_size
from ..comparison.engine import Engine
from ..comparison.loading import file_of
from ..comparison.outcome import is_array, widen

SMALL = 200  # elements that are written down one by one
LINE = 88  # letters of a line of data

IMPORTS = """import base64
import zlib

import numpy as np
import torch
from numpy import inf, nan
"""

MODULE = "import {module}\n"

FILE = """import importlib.util

spec = importlib.util.spec_from_file_location("engine_of_a_file", {path!r})
engine_of_a_file = importlib.util.module_from_spec(spec)
spec.loader.exec_module(engine_of_a_file)
"""

INTEGERS = '''

def integers(words, n, low, high):
    """`n` integers over low … high, uniform, from a stream of raw bits."""
    shift = np.uint64(64 - max(1, (high - low).bit_length()))
    found = words.random_raw(n) >> shift
    while (wrong := np.flatnonzero(found > np.uint64(high - low))).size:
        found[wrong] = words.random_raw(wrong.size) >> shift
    return found.astype(np.int64) + low
'''

CHECK = '''

def attempt(compute):
    try:
        return compute()
    except Exception as error:
        return error


def show(operands, with_engine, with_torch):
    """Print both sides, and whether they differ."""
    before = {name: array.tobytes() for name, array in operands.items()}
    got = attempt(with_engine)
    written = [name for name, array in operands.items() if array.tobytes() != before[name]]
    want = attempt(with_torch)
    if isinstance(got, Exception) or isinstance(want, Exception):
        print("engine:", repr(got) if isinstance(got, Exception) else "computed")
        print("torch: ", repr(want) if isinstance(want, Exception) else "computed")
        return isinstance(got, Exception) != isinstance(want, Exception)
    differs = [compared(name, got[name], want[name].resolve_conj().numpy()) for name in got]
    for name in written:
        print(f"the engine wrote to its argument {name}")
    shared = [k for k, v in operands.items() for y in got.values() if np.shares_memory(y, v)]
    for name in shared:
        print(f"a result shares memory with {name}")
    return any(differs) or bool(written or shared)


def compared(name, got, want):
    print(f"{name}: engine {got.dtype} {got.shape}, torch {want.dtype} {want.shape}")
    if got.shape != want.shape:
        return True
    with np.errstate(all="ignore"):
        exact = want.astype(got.dtype)
        wrong = ~((got == exact) | (np.isnan(got) & np.isnan(exact)))
    if wrong.any():
        with np.errstate(all="ignore"):
            error = np.nan_to_num(np.abs(got - want), nan=inf)
        at = np.unravel_index(np.argmax(np.where(wrong, error, -1)), wrong.shape)
        print(f"  {wrong.sum()} of {wrong.size} elements differ; the worst at {[*map(int, at)]}:")
        print(f"  engine {got[at]}, torch {want[at]}")
    return bool(wrong.any())
'''


def script(cases: Sequence[Case], engine: Engine) -> str:
    """A Python program that runs `cases` in order, and exits with 1 if a result differs."""
    functions = [_function(case, engine, f"case_{i}") for i, case in enumerate(cases, 1)]
    body = "\n\n".join(functions)
    parts = [f"# {engine.spec} against torch\n", *_imports(engine.spec)]
    if "integers(words" in body:
        parts.append(INTEGERS)
    calls = ", ".join(f"case_{i}()" for i in range(1, len(cases) + 1))
    main = f"torch.set_num_threads(1)\ntorch.backends.mkldnn.enabled = False\nfound = [{calls}]\n"
    end = 'print("differs" if any(found) else "agrees")\nraise SystemExit(any(found))\n'
    return "".join([*parts, CHECK, *_classes(body), "\n\n", body, "\n\n", main, end])


def _imports(spec: str) -> Iterator[str]:
    needed = IMPORTS
    if file := file_of(spec):
        yield needed + "\n" + FILE.format(path=str(Path(file).resolve()))
    else:
        yield needed + MODULE.format(module=spec.partition(":")[0])


def _classes(body: str) -> Iterator[str]:
    """The types of arguments that are not NumPy's own."""
    for name, base in (("Int", "int"), ("Size", "tuple"), ("Subclass", "np.ndarray")):
        if re.search(rf"\b{name}\b", body):
            yield f"\n\nclass {name}({base}):\n    pass\n"


def _root(spec: str) -> str:
    """The namespace of an engine, as an expression."""
    file = file_of(spec)
    return ("engine_of_a_file" if file else "") + spec.removeprefix(file).replace(":", ".")


def _function(case: Case, engine: Engine, name: str) -> str:
    """One case as a function that prints both sides."""
    filled = arrays(case)
    grad_output = _grad_output(case, filled)
    named = {**filled.operands, "grad_output": grad_output}
    data = "\n".join(_data(case, {k: v for k, v in named.items() if is_array(v)}))
    shown = ", ".join(f"{k!r}: {k}" for k, v in named.items() if is_array(v))
    calls = _recorded(case, engine, filled.operands, grad_output)
    reference = _reference(case, filled.operands, grad_output)
    lines = [
        f'"""{case}"""' if '"""' not in str(case) else "",
        data,
        "\ndef with_engine():",
        indent("\n".join(calls), "    "),
        "\ndef with_torch():",
        indent("\n".join(reference), "    "),
        f"\nreturn show({{{shown}}}, with_engine, with_torch)",
    ]
    return f"def {name}():\n" + indent("\n".join(lines), "    ") + "\n"


def _grad_output(case: Case, filled: Filled) -> Any:
    kinds = {v.dtype.kind for v in filled.operands.values() if is_array(v)}
    dtypes = {v.dtype.newbyteorder("=") for v in filled.operands.values() if is_array(v)}
    shape = case.output_shape
    if not kinds <= {"f", "c"} or len(dtypes) > 1:
        return None
    return None if shape is None else filled.grad_output(shape)


# ---- The engine's calls ----


class _Recorder:
    """A namespace with the names of a real one, which writes down what is called."""

    def __init__(self, real: Any, path: str, calls: list[tuple[str, Any, Any]], shape: Any) -> None:
        self._real, self._path, self._calls, self._shape = real, path, calls, shape

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._real, name)  # raises AttributeError as the real one does
        if name == "grad":
            return _Recorder(real, f"{self._path}.grad", self._calls, self._shape)

        def call(*arguments: Any, **given: Any) -> Any:
            self._calls.append((f"{self._path}.{name}", arguments, given))
            is_layer = name in OPS and OPS[name].is_layer
            return _RecordedLayer(real, self._calls, self._shape) if is_layer else self._result()

        return call

    def _result(self) -> Any:
        return np.empty(self._shape)


class _RecordedLayer:
    def __init__(self, real: Any, calls: list[tuple[str, Any, Any]], shape: Any) -> None:
        self._calls, self._shape = calls, shape
        if hasattr(real, "backward"):
            self.backward = self._backward

    def load_state_dict(self, state: Any) -> None:
        self._calls.append(("layer.load_state_dict", (state,), {}))

    def __call__(self, *arguments: Any, **given: Any) -> Any:
        self._calls.append(("layer", arguments, given))
        return np.empty(self._shape)

    def _backward(self, *arguments: Any, **given: Any) -> Any:
        self._calls.append(("layer.backward", arguments, given))
        return ()


def _recorded(
    case: Case, engine: Engine, operands: Mapping[str, Any], grad_output: Any
) -> Iterator[str]:
    """The lines of a function that makes the calls of `case`, and returns its results."""
    calls: list[tuple[str, Any, Any]] = []
    recorder = _Recorder(engine.namespace, _root(engine.spec), calls, case.output_shape or ())
    Engine(engine.spec, recorder).prepared(case, operands).results(operands, grad_output)
    names = {id(v): k for k, v in {**operands, "grad_output": grad_output}.items() if is_array(v)}
    for function, arguments, given in calls:
        yield _result_of(function) + _call(function, arguments, given, names)
    if any(function == "layer.backward" for function, *_ in calls):
        gradients = "('grad_input', 'grad_weight', 'grad_bias')"
        yield f"found = zip({gradients}, gradients)"
        yield "results.update({k: v for k, v in found if v is not None})"
    yield "return results"


def _result_of(function: str) -> str:
    """Where the value of a call goes."""
    last = function.rpartition(".")[2]
    if function == "layer" or (last in OPS and not OPS[last].is_layer):
        return f"results = {{}}\nresults[{OUTPUT!r}] = "
    if last in OPS:
        return "layer = "
    if function == "layer.backward":
        return "gradients = "
    if last == "gradients":
        return "results |= "
    return "" if last == "load_state_dict" else f"results['grad_{last.rpartition('_')[2]}'] = "


def _call(function: str, arguments: Any, given: Any, names: Mapping[int, str]) -> str:
    parts = [_code(value, names) for value in arguments]
    parts += [f"{name}={_code(value, names)}" for name, value in given.items()]
    return f"{function}({', '.join(parts)})"


def _code(value: Any, names: Mapping[int, str]) -> str:
    """An expression for an argument."""
    if id(value) in names:
        return names[id(value)]
    for kind, text in CODES:
        if isinstance(value, kind):
            return text(value, names)
    return repr(value)


def _sequence(value: Any, names: Mapping[int, str]) -> str:
    inner = ", ".join(_code(v, names) for v in value)
    if isinstance(value, list):
        return f"[{inner}]"
    body = f"({inner}{',' if len(value) == 1 else ''})"
    return f"Size({body})" if isinstance(value, Size) else body


def _mapping(value: Any, names: Mapping[int, str]) -> str:
    return "{" + ", ".join(f"{k!r}: {_code(v, names)}" for k, v in value.items()) + "}"


CODES: tuple[tuple[Any, Callable[[Any, Mapping[int, str]], str]], ...] = (
    (Mapping, _mapping),
    ((tuple, list), _sequence),
    (type, lambda value, names: f"np.{value.__name__}"),
    ((np.integer, np.bool_), lambda value, names: f"np.{value.dtype.name}({value.item()})"),
    (Int, lambda value, names: f"Int({int(value)})"),
)


# ---- torch's calls ----


def _reference(case: Case, operands: Mapping[str, Any], grad_output: Any) -> Iterator[str]:
    """The lines of a function that computes the same with torch, in a wide dtype."""
    op, plain = OPS[case.op], by_name(case)
    wide = _is_one_dtype(operands)
    named = {k: v for k, v in operands.items() if v is not None}
    for name, value in named.items():
        yield f"{name}_ = {_tensor(name, value, wide)}"
    inputs = {k: f"{k}_" for k in named}
    if op.is_layer:
        yield from _torch_layer(plain, operands)
        sizes = {k: _natural(v) for k, v in output_size(plain).items()}
        call = _torch_call("layer", {"input": "input_"}, sizes)
    else:
        arguments = {k: _natural(v) for k, v in plain.arguments.items()}
        call = _torch_call(f"torch.nn.functional.{case.op}", inputs, arguments)
    if grad_output is None:
        yield f"return {{{OUTPUT!r}: {call}.detach()}}"
        return
    leaves = ["input_", *(f"layer.{k}" if op.is_layer else f"{k}_" for k in named if k != "input")]
    yield from (f"{leaf}.requires_grad_()" for leaf in leaves)
    yield f"output = {call}"
    yield f"output.backward({_tensor('grad_output', grad_output, wide)})"
    yield f"results = {{{OUTPUT!r}: output.detach()}}"
    for name, leaf in zip(named, leaves, strict=True):
        yield f"results['grad_{name}'] = {leaf}.grad"
    yield "return results"


def _is_one_dtype(operands: Mapping[str, Any]) -> bool:
    return len({v.dtype.newbyteorder("=") for v in operands.values() if is_array(v)}) <= 1


def _tensor(name: str, value: Any, wide: bool) -> str:
    if not is_array(value):
        return repr(value)
    dtype = widen(value).dtype.name if wide else value.dtype.newbyteorder("=").name
    return f"torch.tensor(np.array({name}, {dtype!r}, order='C'))"


def _natural(value: Any) -> Any:
    """An argument in Python's own types."""
    if isinstance(value, (np.integer, Int)):
        return int(value)
    if isinstance(value, (tuple, list)):
        return tuple(map(_natural, value)) if isinstance(value, tuple) else [*map(_natural, value)]
    return value


def _torch_call(function: str, tensors: Mapping[str, str], arguments: Mapping[str, Any]) -> str:
    given = [*tensors.values()] if function == "layer" else [f"{k}={v}" for k, v in tensors.items()]
    return f"{function}({', '.join([*given, *(f'{k}={v!r}' for k, v in arguments.items())])})"


def _torch_layer(case: Case, operands: Mapping[str, Any]) -> Iterator[str]:
    found: dict[str, Any] = {}
    construct(lambda **given: found.update(given), case, operands)
    dtype = f"torch.{widen(operands['weight']).dtype.name}"
    options = {k: _natural(v) for k, v in found.items() if k != "dtype"}
    given = ", ".join(f"{k}={v!r}" for k, v in options.items())
    yield f"layer = torch.nn.{case.op}({given}, dtype={dtype})"
    state = ", ".join(f"{k!r}: {k}_" for k in ("weight", "bias") if operands.get(k) is not None)
    yield f"layer.load_state_dict({{{state}}})"


# ---- Data ----


def _data(case: Case, named: Mapping[str, Any]) -> Iterator[str]:
    """Lines that make the arrays, bit for bit, as they lie in memory."""
    values = _streamed(case, named) or {name: _literal(array) for name, array in named.items()}
    if any("(words" in text for text in values.values()):
        yield f"words = np.random.PCG64({case.seed})"
    placed = {name for name, array in named.items() if not _is_plain(array)}
    for span, members in _spans({name: named[name] for name in placed}):
        yield from _in_memory(span, {name: named[name] for name in members})
    for name, array in named.items():
        yield f"{name}[...] = {values[name]}" if name in placed else f"{name} = {values[name]}"
        if not array.flags.writeable:
            yield f"{name}.flags.writeable = False"


def _is_plain(array: Any) -> bool:
    """Whether `array` lies as NumPy makes a new one."""
    alone = type(array) is np.ndarray and array.dtype.isnative and array.flags.owndata
    return bool(alone and array.flags.c_contiguous and array.flags.writeable)


Span = tuple[tuple[int, int], list[str]]


def _spans(named: Mapping[str, Any]) -> list[Span]:
    """Pieces of memory, first and last byte, with the arrays that lie in each."""
    found: list[Span] = []
    bounds = {name: np.lib.array_utils.byte_bounds(array) for name, array in named.items()}
    for name, (low, high) in sorted(bounds.items(), key=lambda item: item[1]):
        if found and low < found[-1][0][1]:
            (first, last), members = found.pop()
            found.append(((first, max(last, high)), [*members, name]))
        else:
            found.append(((low, high), [name]))
    return found


def _in_memory(span: tuple[int, int], named: Mapping[str, Any]) -> Iterator[str]:
    """Arrays that lie in one piece of memory, at its place within 64 bytes."""
    low, high = span
    memory = f"memory_of_{next(iter(named))}"
    yield f"{memory} = np.zeros({high - low + 64}, np.uint8)"
    yield f"start = ({low % 64} - {memory}.ctypes.data) % 64"
    for name, array in named.items():
        place = f"start + {_first(array) - low}"
        shape = f"{array.shape}, {array.dtype.str!r}, {memory}, {place}, {array.strides}"
        yield f"{name} = np.ndarray({shape})" + ".view(Subclass)" * isinstance(array, Subclass)


def _first(array: Any) -> int:
    return int(array.__array_interface__["data"][0])


def _literal(array: Any) -> str:
    """An expression for an array in C order: its values where they are few or alike."""
    shape, dtype = array.shape, array.dtype.name
    flat = np.ascontiguousarray(array).reshape(-1).astype(array.dtype.newbyteorder("="))
    if flat.size > SMALL:
        if (flat == flat[0]).all():
            return f"np.full({shape}, {flat[0].item()!r}, {dtype!r})"
        last = int(abs(flat).max()) if np.isfinite(flat).all() else 0
        ramp = np.resize(np.arange(1, max(1, min(last, flat.size)) + 1), flat.size)
        if last <= flat.size and array.dtype.kind != "c" and (flat == ramp).all():
            return f"np.resize(np.arange(1, {last + 1}), {shape}).astype({dtype!r})"
        return _packed(flat, shape, dtype)
    if array.dtype.kind == "c":  # nan and inf have no literal of that kind
        parts = flat.view(np.float32 if dtype == "complex64" else np.float64)
        return f"np.array({parts.tolist()}, {parts.dtype.name!r}).view({dtype!r}).reshape({shape})"
    return f"np.array({flat.tolist()}, {dtype!r}).reshape({shape})"


def _packed(flat: Any, shape: Sequence[int], dtype: str) -> str:
    text = base64.b85encode(zlib.compress(flat.tobytes(), 9)).decode()
    lines = "\n".join(f"    {part!r}" for part in wrap(text, LINE, break_on_hyphens=False))
    unpacked = f"zlib.decompress(base64.b85decode(\n{lines}\n))"
    return f"np.frombuffer({unpacked}, {dtype!r}).reshape({tuple(shape)}).copy()"


def _streamed(case: Case, named: Mapping[str, Any]) -> dict[str, str]:
    """Short expressions for large arrays of the rule `integers`, if they give these very arrays."""
    largest = max((array.size for array in named.values()), default=0)
    if case.rule != "integers" or largest <= SMALL or case.dtype.startswith("c"):
        return {}
    high = widest(case)
    low = 0 if case.dtype.startswith("u") else -high
    bits, found = Bits(case.seed), {}
    for name, array in named.items():
        values = bits.below(high - low + 1, array.size).astype(np.int64) + low
        if not (values.astype(array.dtype).reshape(array.shape) == array).all():
            return {}
        made = f"integers(words, {array.size}, {low}, {high})"
        found[name] = f"{made}.astype({array.dtype.name!r}).reshape({array.shape})"
    return found
