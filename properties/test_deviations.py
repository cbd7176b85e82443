"""Where the engine differs from torch on purpose it does differ, and nowhere near."""

from __future__ import annotations

import pytest

from .court import Court
from .deviations import Deviation, deviations
from .judge import Mismatch, judge


@pytest.mark.parametrize("deviation", deviations(), ids=lambda d: f"{d.kind}: {d.partial}")
def test_a_deviation_still_deviates(deviation: Deviation, court: Court) -> None:
    with pytest.raises(Mismatch) as found:
        judge(deviation.example(), court.subject, court.oracle)
    assert deviation.excuses(found.value)
