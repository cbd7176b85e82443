"""How fast an engine is: `python -m properties.benchmark`.

The engine and torch as it ships (with oneDNN and NNPACK) compute the same layers in turns, in one
process and on one thread: the output with its bias, and all gradients. torch's tensors are made
beforehand, and its gradients come from the kernel of autograd itself. Times are processor time.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import platform
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from math import exp, log, prod
from pathlib import Path
from statistics import median, quantiles
from typing import Any

if __name__ == "__main__":  # before NumPy and torch load
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

import numpy as np

import oracle
import oracle.shipped

from .cases.case import Case
from .cases.data import arrays
from .cases.files import CORPUS
from .cases.line import parse
from .cases.operation import OPS, normalized, terms_by_result
from .comparison.engine import Engine
from .comparison.loading import EngineError, load
from .comparison.revision import load_baseline

CASES = {
    "a": "conv2d((1, 3, 224, 224), (64, 3, 7, 7), bias=(64,), stride=2, padding=3)",
    "b": "conv2d((1, 64, 56, 56), (64, 64, 3, 3), bias=(64,), padding=1)",
    "c": "conv2d((1, 256, 14, 14), (256, 256, 3, 3), bias=(256,), padding=1)",
    "d": "conv2d((1, 256, 28, 28), (256, 256, 1, 1), bias=(256,))",
    "e": "conv2d((1, 128, 56, 56), (128, 1, 3, 3), bias=(128,), padding=1, groups=128)",
    "f": "conv2d((1, 64, 56, 56), (64, 64, 3, 3), bias=(64,), padding=2, dilation=2)",
    "g": "conv2d((1, 128, 28, 28), (128, 4, 3, 3), bias=(128,), padding=1, groups=32)",
    "h": "conv2d((16, 32, 32, 32), (32, 32, 3, 3), bias=(32,), padding=1)",
    "i": "conv2d((1, 1, 5, 5), (1, 1, 3, 3), bias=(1,))",
    "j": "conv2d((1, 16, 64, 64), (16, 16, 31, 31), bias=(16,), padding=15)",
    "k": "conv3d((1, 16, 16, 32, 32), (16, 16, 3, 3, 3), bias=(16,), padding=1)",
    "l": "conv1d((4, 64, 4096), (64, 64, 9), bias=(64,), padding=4)",
    "m": "conv_transpose2d((1, 64, 28, 28), (64, 64, 4, 4), bias=(64,), stride=2, padding=1)",
    "n": "conv2d((1, 96, 56, 56), (96, 1, 7, 7), bias=(96,), padding=3, groups=96)",
}
TINY = 40_000  # multiply-adds, below which a case shows the cost of a call and not of the work
LAYERS = "# ---- Layers of well-known networks ----"  # heading in the corpus
SLOWING = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
ROUND = 5e-3  # seconds of one round, at least one call
RETRIES = (3, 9)  # times the rounds, in which a case that seems too slow is measured again


class BadOption(Exception):
    """An option that cannot be used: what was expected, and what came."""


Call = Callable[[], Any]
Calls = dict[str, Call]  # by what they compute: forward, gradients


@dataclass(frozen=True)
class Result:
    """One case: seconds of each contender's calls, best and median, and what follows from them."""

    case: str
    line: str
    part: str
    best: dict[str, float]
    median: dict[str, float]
    ratio: float  # of the best times, engine to the one that it is held against
    ratios: tuple[float, float, float]  # quartiles over the rounds
    gflops: float
    share: float  # of the rate of NumPy's own matrix product
    peak: float  # MiB beyond operands and results
    tiny: bool
    noise: float | None  # the baseline's ratio to itself


def layers() -> dict[str, str]:
    """The float32 layers of well-known networks that the corpus has."""
    section = CORPUS.read_text(encoding="utf-8").partition(LAYERS)[2].partition("# ----")[0]
    lines = [line for line in section.splitlines() if line and not line.startswith("#")]
    plain = [line for line in lines if parse(line).dtype == "float32"]
    return {f"L{i}": line for i, line in enumerate(plain, 1) if not OPS[parse(line).op].is_layer}


def prepared(case: Case, engine: Engine) -> Calls:
    """What an engine computes of a case."""
    given = arrays(case).operands
    x, w, b = given["input"], given["weight"], given.get("bias")
    function, grad = getattr(engine.namespace, case.op), engine.namespace.grad
    by_input, by_weight = (getattr(grad, f"{case.op}_{of}") for of in ("input", "weight"))
    by_bias = getattr(grad, f"conv{OPS[case.op].axes}d_bias")
    gy = _grad_output(case)

    def gradients() -> Any:
        found = [by_input(x.shape, w, gy, **case.arguments)]
        found.append(by_weight(x, w.shape, gy, **case.arguments))
        return found if b is None else [*found, by_bias(gy)]

    return {"forward": lambda: function(x, w, b, **case.arguments), "gradients": gradients}


def _grad_output(case: Case) -> Any:
    shape = case.output_shape or ()
    return np.random.default_rng(0).standard_normal(shape).astype(case.dtype)


def prepared_in_torch(case: Case) -> Calls:
    op = OPS[case.op]
    arguments = normalized(op, case.shapes, case.arguments)
    output, gradients = oracle.shipped.prepared(
        case.op, arrays(case).operands, case.arguments, arguments, _grad_output(case)
    )
    return {"forward": output, "gradients": gradients}


def assert_alike(case: Case, first: Calls, second: Calls) -> None:
    """What computes something else is not worth its time."""
    for part, call in first.items():
        results, others = (r if isinstance(r, list) else [r] for r in (call(), second[part]()))
        for one, other in zip(results, others, strict=True):
            scale = np.abs(np.asarray(other)).max()
            if not np.abs(one - np.asarray(other)).max() <= 1e-3 * scale:
                raise SystemExit(f"the results of {case} differ: there is nothing to compare")


def timed(call: Call, count: int) -> float:
    """Seconds of processor time of one call: on one thread, those that pass on an idle machine."""
    start = time.process_time()
    for _ in range(count):
        call()
    return (time.process_time() - start) / count


def interleaved(calls: Mapping[str, Call], rounds: int) -> dict[str, list[float]]:
    """Seconds of each call in each round; all of a round follow one another."""
    counts = {name: max(1, int(ROUND / timed(call, 2))) for name, call in calls.items()}
    found: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            found[name].append(timed(call, counts[name]))
    return found


def peak(call: Call) -> float:
    """MiB that a call allocates at most, without those of what it returns."""
    tracemalloc.start()
    try:
        results = call()
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    kept = sum(r.nbytes for r in (results if isinstance(results, list) else [results]))
    return float(max(0, most - kept)) / 2**20


def gemm_rate(dtype: str, size: int = 1024) -> float:
    """GFLOP/s of NumPy's own product of two large matrices."""
    a = np.random.default_rng(0).standard_normal((size, size)).astype(dtype)
    return 2 * size**3 / min(timed(lambda: a @ a, 1) for _ in range(20)) / 1e9


def measured(name: str, line: str, contenders: Mapping[str, Engine], o: Any) -> list[Result]:
    """The results of one case, its output and its gradients."""
    case = _in_dtype(parse(line), o.dtype)
    calls = {who: prepared(case, engine) for who, engine in contenders.items()}
    calls["torch"] = prepared_in_torch(case)
    for who in [*calls][1:]:
        assert_alike(case, calls["engine"], calls[who])
    return [_result(name, case, part, calls, o) for part in ("forward", "gradients")]


def _result(name: str, case: Case, part: str, calls: Mapping[str, Calls], o: Any) -> Result:
    seconds = interleaved({who: of[part] for who, of in calls.items()}, o.rounds)
    best = {who: min(found) for who, found in seconds.items()}
    against = "baseline" if "baseline" in calls else "torch"
    ratios = [e / a for e, a in zip(seconds["engine"], seconds[against], strict=True)]
    adds = multiply_adds(case)
    gflops = 2 * adds * (1 if part == "forward" else 2) / best["engine"] / 1e9
    low, middle, high = (
        quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
    )
    return Result(
        case=name,
        line=str(case),
        part=part,
        best=best,
        median={who: median(found) for who, found in seconds.items()},
        ratio=best["engine"] / best[against],
        ratios=(low, middle, high),
        gflops=gflops,
        share=gflops / o.gemm,
        peak=peak(calls["engine"][part]),
        tiny=adds < TINY,
        noise=best["again"] / best["baseline"] if "again" in best else None,
    )


def multiply_adds(case: Case) -> int:
    """Those of the output, and of the gradient of each of its two operands."""
    op, shapes = OPS[case.op], case.shapes
    terms = terms_by_result(op, shapes, case.arguments)
    if op.is_transposed:
        return prod(shapes["input"]) * terms["grad_input"]
    return prod(case.output_shape or ()) * terms["output"]


def _in_dtype(case: Case, dtype: str) -> Case:
    operands = {k: replace(v, dtype=dtype) for k, v in case.operands.items()}
    return replace(case, operands=operands, data="reals:0")


# ---- What is compared ----


def contenders(o: Any, folder: Path) -> dict[str, Engine]:
    """The engines by what they are to this run; `folder` is for what is read from history."""
    try:
        engine = load(o.engine)
        if not o.baseline:
            return {"engine": engine}
        baseline = load_baseline(o.baseline, engine, folder)
    except EngineError as error:
        raise BadOption(str(error)) from error
    return {"engine": engine, "baseline": baseline, "again": baseline}


# ---- Whether it has become slower ----


def is_suspicious(result: Result, limit: float) -> bool:
    """Whether the ratio is above the limit, by the best times and by the median."""
    return min(result.ratio, result.ratios[1]) > limit


def is_slower(result: Result, limit: float) -> bool:
    """Whether it is so beyond the noise: how far the baseline's best times are from one another."""
    return is_suspicious(result, limit * apart(result))


def apart(result: Result) -> float:
    """How many times the one of two equal things took the time of the other; 1 if not measured."""
    return max(result.noise, 1 / result.noise) if result.noise else 1.0


def settled(
    found: list[Result], again: Callable[[int], list[Result]], limit: float | None
) -> list[Result]:
    """What was `found`, measured again, in so many times the rounds, while a part seems slow."""
    for times in RETRIES:
        if limit is None or not any(is_suspicious(result, limit) for result in found):
            return found
        found = again(times)
    return found


def noise(results: Sequence[Result]) -> Iterator[str]:
    """How far the baseline is from itself."""
    found = [apart(result) for result in results if result.noise]
    if found:
        yield (
            f"noise: the baseline against itself, in turns with the engine: within "
            f"{median(found) - 1:.1%} in half of the rows, within {max(found) - 1:.1%} in all"
        )


def too_slow(results: Sequence[Result], limit: float | None) -> Iterator[str]:
    for r in results:
        if limit is not None and is_slower(r, limit):
            yield f"above {limit} × beyond the noise: {r.case} {r.part}: {r.ratio:.2f} ×"


def undecided(results: Sequence[Result], limit: float | None) -> Iterator[str]:
    for r in results:
        if limit is not None and is_suspicious(r, limit) and not is_slower(r, limit):
            yield f"undecided: {r.case} {r.part}: {r.ratio:.2f} ×, with a noise of {apart(r):.2f} ×"


# ---- What is printed ----


def kernels() -> str:
    """Which kernels NumPy's BLAS uses, as far as it can be known."""
    if importlib.util.find_spec("threadpoolctl"):
        pools = importlib.import_module("threadpoolctl").threadpool_info()
        found = [
            f"{p['internal_api']} {p.get('version')} {p.get('architecture', '')}" for p in pools
        ]
        return "; ".join(found)
    build: Any = np.show_config(mode="dicts")
    blas = build["Build Dependencies"]["blas"]
    return f"{blas['name']} {blas['version']}; install threadpoolctl to see the kernels in use"


def machine(o: Any) -> dict[str, Any]:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    model = next((line.split(":")[1].strip() for line in lines if "model name" in line), "")
    return {
        "processor": model or platform.processor(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": oracle.shipped.version(),
        "blas": kernels(),
        "threads": {"torch": oracle.shipped.threads(), "blas": os.environ.get("OMP_NUM_THREADS")},
        "gemm": o.gemm,
        "dtype": o.dtype,
        "rounds": o.rounds,
    }


def row(result: Result, against: str) -> str:
    low, middle, high = result.ratios
    times = [f"{result.best[who] * 1e6:10,.0f}" for who in (against, "engine")]
    ratios = f"{result.ratio:6.2f}  {middle:6.2f} ({low:.2f} to {high:.2f})".ljust(32)
    rate = f"{result.gflops:7.1f} {result.share:7.0%} {result.peak:8.2f}"
    noise = "" if result.noise is None else f"  {result.noise:6.2f}"
    return f"{result.case:4} {result.part:9} {' '.join(times)}  {ratios} {rate}{noise}"


def means(results: Sequence[Result]) -> dict[str, float]:
    """Geometric means of the ratios of the best times, without calls that do next to nothing."""
    logs = {
        part: [log(r.ratio) for r in results if r.part == part and not r.tiny] for part in PARTS
    }
    return {part: exp(sum(found) / len(found)) for part, found in logs.items() if found}


PARTS = ("forward", "gradients")


def plot(results: Sequence[Result], against: str, path: str) -> None:
    """The ratios as bars on a logarithmic axis: up from 1 what is slower, down what is faster."""
    figure_of: Any = importlib.import_module("matplotlib.figure")
    names = [*dict.fromkeys(r.case for r in results)]
    figure = figure_of.Figure(figsize=(max(5, 0.4 * len(names)), 3.2), layout="constrained")
    axes = figure.subplots()
    for shift, part in zip((-0.2, 0.2), PARTS, strict=True):
        ratios = {r.case: r.ratio for r in results if r.part == part}
        places = [i + shift for i in range(len(names))]
        axes.bar(places, [ratios[name] - 1 for name in names], bottom=1, width=0.4, label=part)
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_yscale("log", base=2)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xticks(range(len(names)), names)
    axes.set_ylabel(f"time ÷ time of {against}")
    axes.legend()
    figure.savefig(path, dpi=150)


def options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m properties.benchmark", description=__doc__)
    parser.add_argument("--engine", default="engine", help="as for pytest (default: engine)")
    parser.add_argument("--baseline", metavar="REV|MODULE|FILE", help="compare with this engine")
    parser.add_argument("--only", metavar="a,b", help="these cases; L stands for all layers")
    parser.add_argument("--rounds", type=rounds, default=7)
    parser.add_argument("--dtype", default="float32", choices=["float32", "float64"])
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--plot", metavar="FILE.png", help="needs matplotlib")
    parser.add_argument(
        "--fail-above",
        type=limit,
        metavar="RATIO",
        help="exit 1 if a ratio is above, beyond the noise and in repeated measurements",
    )
    return parser.parse_args(argv)


def rounds(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected an integer of at least 1, got {text!r}")
    return int(text)


def limit(text: str) -> float:
    with suppress(ValueError):
        if 0 < float(text) < float("inf"):
            return float(text)
    raise argparse.ArgumentTypeError(f"expected a positive number, got {text!r}")


def assert_writable(o: Any) -> None:
    """What could not be written in the end is not worth the wait."""
    for option, path in (("--json", o.json), ("--plot", o.plot)):
        if path and not Path(path).parent.is_dir():
            raise BadOption(f"{option} {path}: expected a file in a folder that exists")
    if o.plot and not o.plot.endswith(".png"):
        raise BadOption(f"--plot {o.plot}: expected a file whose name ends in .png")
    if o.plot and not importlib.util.find_spec("matplotlib"):
        raise BadOption("--plot needs matplotlib: pip install -e '.[benchmark]'")


def chosen(only: str | None) -> dict[str, str]:
    known = {**CASES, **layers()}
    if only is None:
        return known
    wanted = [n for name in only.split(",") for n in ([*layers()] if name == "L" else [name])]
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise BadOption(f"--only {', '.join(unknown)}: expected some of L, {', '.join(known)}")
    return {name: known[name] for name in wanted}


def introduce(o: Any, against: str) -> None:
    for name in SLOWING:
        if name in os.environ:
            print(f"WARNING: {name} pins NumPy's kernels, and not torch's: unset it")
    for name, value in machine(o).items():
        print(f"{name:10} {value:.1f} GFLOP/s" if name == "gemm" else f"{name:10} {value}")
    print(f"\ncase part    {against:>13} µs  engine µs   best  median (quartiles)", end="")
    print("            GFLOP/s of GEMM peak MiB" + ("   noise" if o.baseline else ""))


def measured_all(
    o: Any, cases: Mapping[str, str], engines: Mapping[str, Engine], against: str
) -> list[Result]:
    """The results of all cases, printed as they come."""
    results: list[Result] = []
    with oracle.native_kernels(native=False):
        for name, line in cases.items():

            def again(times: int, name: str = name, line: str = line) -> list[Result]:
                more = argparse.Namespace(**{**vars(o), "rounds": o.rounds * times})
                return measured(name, line, engines, more)

            found = settled(again(1), again, o.fail_above)
            results += found
            print("\n".join(row(result, against) for result in found), flush=True)
    return results


def main(argv: Sequence[str] | None = None) -> int:
    o = options(argv)
    with tempfile.TemporaryDirectory() as folder:
        try:
            assert_writable(o)
            cases, engines = chosen(o.only), contenders(o, Path(folder))
        except BadOption as error:
            print(f"python -m properties.benchmark: error: {error}", file=sys.stderr)
            return 2
        return measure(o, cases, engines)


def measure(o: Any, cases: Mapping[str, str], engines: Mapping[str, Engine]) -> int:
    """Measure, print and write; 1 if a ratio is above the limit."""
    against = "baseline" if o.baseline else "torch"
    o.gemm = gemm_rate(o.dtype)
    introduce(o, against)
    results = measured_all(o, cases, engines, against)
    means_of = [f"geometric mean, {part}: {mean:.3f}" for part, mean in means(results).items()]
    slower = [*too_slow(results, o.fail_above)]
    print(*means_of, *noise(results), *undecided(results, o.fail_above), *slower, sep="\n")
    if o.json:
        report = {
            "machine": machine(o),
            "means": means(results),
            "results": [*map(asdict, results)],
        }
        Path(o.json).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if o.plot:
        plot(results, against, o.plot)
    return int(bool(slower))


if __name__ == "__main__":
    sys.exit(main())
