"""Where the engine differs from torch on purpose it does differ, and nowhere near."""

from __future__ import annotations

from itertools import islice

import pytest

from .cases.case import Case
from .comparison.compare import compare
from .comparison.deviations import Excuse, deviations
from .comparison.mismatch import Mismatch
from .generation import sampling
from .session.session import Session


def drawn() -> list[Case]:
    """What the properties look at."""
    return [*islice(sampling.cases(0), 5000), *islice(sampling.invalid_cases(0), 5000)]


@pytest.mark.parametrize("deviation", deviations(), ids=lambda d: f"{d.kind}: {d.partial}")
def test_a_deviation_still_deviates(deviation: Excuse, session: Session) -> None:
    with pytest.raises(Mismatch) as found:
        compare(deviation.example(), session.engine, session.oracle)
    assert deviation.excuses(found.value)


def test_no_deviation_excuses_what_is_drawn() -> None:
    assert [case for case in drawn() for d in deviations() if d.covers(case)] == []
