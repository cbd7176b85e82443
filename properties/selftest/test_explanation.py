"""A block says where a result differs and which parameters matter, and only what was tried."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from properties.cases.line import parse
from properties.comparison.engine import Engine
from properties.comparison.mismatch import EngineHang, Mismatch
from properties.session.explanation import enlarged, explained
from properties.session.options import Options
from properties.session.session import Session, by_oracle
from properties.triage.pattern import COLUMNS, ROWS, picture

from .gallery.planting import Call, Fault, planted


def wrong(shape: tuple[int, ...], *places: Any) -> Any:
    """An array of bools, true at these indices."""
    found = np.zeros(shape, bool)
    for place in places:
        found[place] = True
    return found


BORDER = (..., 0, slice(None)), (..., slice(None), -1)
PICTURES = {
    "a border": ("conv2d", "output", wrong((1, 1, 3, 4), *BORDER), ["####", "...#", "...#"], ""),
    "a phase": ("conv1d", "output", wrong((2, 1, 6), np.s_[..., 1::2]), [".#.#.#"], ""),
    "a group": (
        "conv1d",
        "output",
        wrong((2, 4, 3), np.s_[:, 2:]),
        ["###"],
        "channels 2, 3 of 4",
    ),
    "a sample": ("conv1d", "output", wrong((3, 1, 2), np.s_[2]), ["##"], "batch entry 2 of 3"),
    "some of the channels": (
        "conv1d",
        "output",
        wrong((1, 2, 2), (0, 0, 0), (0, 1, 1)),
        ["++"],
        "",
    ),
    "unbatched": ("conv2d", "output", wrong((1, 2, 2), (0, 0, 0)), ["#.", ".."], ""),
    "planes": (
        "conv3d",
        "output",
        wrong((1, 1, 2, 2, 2), np.s_[0, 0, 1]),
        ["..  ##", "..  ##"],
        "",
    ),
    "a kernel": (
        "conv2d",
        "grad_weight",
        wrong((4, 1, 2, 3), np.s_[3, ..., 2]),
        ["..#", "..#"],
        "filter 3 of 4",
    ),
    "a bias": ("conv2d", "grad_bias", wrong((4,), 1), [".#.."], ""),
    "columns": ("unfold", "output", wrong((1, 2, 3), np.s_[:, 1]), ["...", "###"], ""),
    "many channels": (
        "conv1d",
        "output",
        wrong((1, 9, 1), np.s_[:, ::2]),
        ["#"],
        "channels 0, 2, … 8 of 9",
    ),
}


@pytest.mark.parametrize(
    ("op", "result", "array", "lines", "where"), PICTURES.values(), ids=PICTURES
)
def test_a_picture_shows_the_pattern(
    op: str, result: str, array: Any, lines: list[str], where: str
) -> None:
    sentence, drawn = picture(op, result, array)
    assert drawn == lines
    assert sentence == f"{array.sum()} of {array.size} elements" + (where and f", all in {where}")


@pytest.mark.parametrize("shape", [(1, 1, 500, 1000), (1, 1, 13, 91), (2, 3, 40, 50, 60), (1, 1)])
def test_a_picture_fits_on_a_screen(shape: tuple[int, ...]) -> None:
    _, lines = picture(f"conv{max(1, len(shape) - 2)}d", "output", wrong(shape, ...))
    assert 0 < len(lines) <= ROWS
    assert {*"".join(lines)} <= {"#", " "}
    assert max(map(len, lines)) <= COLUMNS


def test_a_cell_of_which_a_part_differs_is_marked_as_such() -> None:
    _, (line,) = picture("conv1d", "output", wrong((1, 1, 180), (0, 0, 0)))
    assert line == "+" + "." * 89


def at_groups_and_unlike_dilations(c: Call) -> Any:
    y = c.right()
    return y + 1 if c.groups > 1 and len({*c.dilation}) > 1 else y


def at_a_bias(c: Call) -> Any:
    return c.right() if c.b is None else -c.right()


def at_strides_above_2(c: Call) -> Any:
    return c.right() + (max(c.stride) > 2)


def at_float16(c: Call) -> Any:
    return -c.right() if c.x.dtype.type is np.float16 else c.right()


def at_three_groups(c: Call) -> Any:
    return c.right() + (c.groups == 3)


def at_a_kernel_as_large_as_the_stride(c: Call) -> Any:
    return c.right() + (c.w.shape[-1] == c.stride[-1] > 1)


def at_sizes_that_are_no_multiple_of_4(c: Call) -> Any:
    return c.right() + (c.x.shape[-1] > 4 and c.x.shape[-1] % 4 > 0)


EXPLAINED: dict[Fault, tuple[str, str]] = {
    at_groups_and_unlike_dilations: (
        "conv2d((1, 2, 1, 1), (2, 1, 1, 1), dilation=(1, 2), groups=2)",
        "groups > 1, dilation[0] ≠ dilation[1]",
    ),
    at_a_bias: ("conv1d((1, 1, 1), (1, 1, 1), bias=(1,))", "bias given (not left out)"),
    at_strides_above_2: ("conv1d((1, 1, 1), (1, 1, 1), stride=3)", "stride > 2"),
    at_three_groups: ("conv1d((1, 3, 1), (3, 1, 1), groups=3)", "groups = 3"),
    at_float16: (
        "conv1d(float16(1, 1, 1), float16(1, 1, 1))",
        "dtype float16 (not float32, float64, complex64, int64, uint8)",
    ),
    at_a_kernel_as_large_as_the_stride: (
        "conv1d((1, 1, 2), (1, 1, 2), stride=2)",
        "kernel = stride",
    ),
    at_sizes_that_are_no_multiple_of_4: (
        "conv1d((1, 1, 5), (1, 1, 1))",
        "input such as 5, 6, 7, 9, 13 (not 1, 2, 3, 4, 8)",
    ),
}


def explanation(fault: Fault, line: str) -> Mismatch:
    functions = {f"conv{n}d": planted(fault, n) for n in (1, 2)}
    judged = Engine("planted", SimpleNamespace(**functions))
    session = Session(judged, Options(judged.ops))
    with pytest.raises(Mismatch) as caught:
        session.check(by_oracle, parse(line))
    return explained(session, by_oracle, caught.value)


@pytest.mark.parametrize("fault", EXPLAINED, ids=lambda fault: fault.__name__)
def test_what_is_needed_is_named(fault: Fault) -> None:
    line, needed = EXPLAINED[fault]
    assert dict(explanation(fault, line).explanation)["needs"] == needed


def test_what_does_not_matter_is_named_with_the_number_of_trials() -> None:
    found = explanation(at_three_groups, EXPLAINED[at_three_groups][0])
    text = dict(found.explanation)["whatever"]
    assert text.startswith("batch, channels of a group, filters of a group, input, kernel, stride")
    assert " bias, dtype, data, layout (" in text
    assert text.endswith(" variations judged)")


def test_the_picture_is_of_a_larger_case_that_is_named() -> None:
    found = explanation(at_strides_above_2, "conv1d((1, 1, 1), (1, 1, 1), stride=3)")
    shown = dict(found.explanation)["where"]
    assert shown.startswith(
        "output of conv1d((2, 2, 16), (2, 2, 1), stride=3, data='integers:0'): "
    )
    assert found.map == ("######",)


def test_a_larger_case_has_what_the_smallest_has() -> None:
    case = parse("conv2d(float16(1, 1, 1, 2), float16(1, 1, 1, 2), padding=(0, 1), data='reals:3')")
    larger = next(enlarged(case))
    assert str(larger) == (
        "conv2d(float16(2, 2, 6, 7), float16(2, 2, 1, 4), padding=(0, 1), data='reals:3')"
    )


def test_a_call_that_hangs_is_not_tried_again() -> None:
    found = EngineHang(parse("conv1d((1, 1, 1), (1, 1, 1))"), Engine("none", None), "hung")
    assert explained(None, by_oracle, found).explanation == ()  # type: ignore[arg-type]
