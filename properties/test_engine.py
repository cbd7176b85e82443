"""The properties that an engine must have."""

from . import sampling
from .case import Case
from .court import Court
from .exhaustive import one_axis, two_axes
from .holds import (
    count_features,
    holds_for,
    holds_for_budget,
    holds_for_each,
    seek_the_bound,
)
from .judge import Verdict
from .strategies import cases, invalid_cases, rounded_cases


@holds_for(cases, observe=count_features)
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


@holds_for(rounded_cases, shards=2, lines=False, observe=seek_the_bound)
def test_no_rounding_error_passes_the_bound(case: Case, court: Court) -> Verdict | None:
    """A search that climbs towards the largest error ÷ bound, of values and gradients."""
    return court.against_torch(case, repeat=False)


@holds_for_each(one_axis)
def test_every_geometry_of_one_axis_equals_the_oracle(case: Case, court: Court) -> Verdict | None:
    """Convolution, transposed, and each padding mode; accepted or not; values and gradients."""
    return court.against_torch(case, repeat=False)


@holds_for_each(two_axes, shards=4)
def test_every_pair_of_values_across_two_axes_equals_the_oracle(
    case: Case, court: Court
) -> Verdict | None:
    """A covering array: an axis may only go wrong together with another's value."""
    return court.against_torch(case, repeat=False)


@holds_for_budget(sampling.cases)
def test_the_engine_equals_the_oracle_as_long_as_asked(case: Case, court: Court) -> Verdict | None:
    """As above, many times faster: nothing but the cases is drawn."""
    return court.against_torch(case)
