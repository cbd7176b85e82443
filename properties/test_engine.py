"""The properties that an engine must have."""

from .case import Case
from .court import Court
from .holds import holds_for
from .judge import Verdict
from .strategies import cases, invalid_cases


@holds_for(cases)
def test_the_engine_equals_the_oracle(case: Case, court: Court) -> Verdict | None:
    """Accepted as by torch; shape, dtype, values; arguments unwritten; no state."""
    return court.against_torch(case)


@holds_for(invalid_cases)
def test_the_engine_rejects_what_the_oracle_rejects(case: Case, court: Court) -> Verdict | None:
    """With torch's type of error and, for our own engine, the right argument to blame."""
    return court.against_torch(case) if case.blame else None


@holds_for(cases, own_only=True)
def test_the_engine_equals_its_definition(case: Case, court: Court) -> Verdict | None:
    """The fast algorithms compute what the readable one does."""
    return court.against_definition(case) if case.blame is None else None
