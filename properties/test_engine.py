"""The properties that an engine must have."""

from .cases.case import Case
from .cases.sequence import CaseSequence
from .comparison.mismatch import Verdict
from .generation import sampling, strategies
from .generation.exhaustive import one_axis, pairs_on_two_axes
from .generation.sequences import at_once, sequences
from .generation.strategies import cases, invalid_cases, rounded_cases
from .session.for_all import (
    count_features,
    for_all,
    for_each,
    rare_pairs,
    seek_the_bound,
    within_budget,
)
from .session.session import Session


@for_all(cases, plainly=sampling.cases, observe=count_features, also=rare_pairs)
def test_the_engine_equals_the_oracle(case: Case, session: Session) -> Verdict | None:
    """Accepted as by torch; shape, dtype, values; arguments unwritten; no state."""
    return session.against_oracle(case)


@for_all(invalid_cases, plainly=sampling.invalid_cases, shards=4, of_rejections=True)
def test_the_engine_rejects_what_the_oracle_rejects(case: Case, session: Session) -> Verdict | None:
    """With torch's type of error and, for our own engine, the right argument to blame."""
    return session.against_oracle(case) if case.blame else None


@for_all(
    strategies.sequences,
    plainly=sequences,
    shards=2,
    observe=count_features,
    takes=CaseSequence,
)
def test_no_call_depends_on_the_calls_before_it(
    sequence: CaseSequence, session: Session
) -> Verdict | None:
    """Other sizes, steps, dtypes, weights or an error between; layers that are loaded anew."""
    return None if sequence.at_once else session.in_order(sequence)


@for_all(strategies.at_once, plainly=at_once, part=0.15, takes=CaseSequence)
def test_no_call_depends_on_another_at_the_same_time(
    sequence: CaseSequence, session: Session
) -> Verdict | None:
    """Two threads call functions, or the same layer, again and again."""
    return session.in_order(sequence) if sequence.at_once else None


@for_all(cases, plainly=sampling.cases, shards=2, own_only=True, corpus=False)
def test_the_engine_equals_its_definition(case: Case, session: Session) -> Verdict | None:
    """The fast algorithms compute what the readable one does."""
    return session.against_definition(case) if case.blame is None else None


@for_all(rounded_cases, shards=2, lines=False, observe=seek_the_bound)
def test_no_rounding_error_passes_the_bound(case: Case, session: Session) -> Verdict | None:
    """A search that climbs towards the largest error ÷ bound, of values and gradients."""
    return session.against_oracle(case, repeat=False)


@for_each(one_axis)
def test_every_geometry_of_one_axis_equals_the_oracle(
    case: Case, session: Session
) -> Verdict | None:
    """Convolution, transposed, and each padding mode; accepted or not; values and gradients."""
    return session.against_oracle(case, repeat=False)


@for_each(pairs_on_two_axes, shards=4)
def test_every_pair_of_values_across_two_axes_equals_the_oracle(
    case: Case, session: Session
) -> Verdict | None:
    """A covering array: an axis may only go wrong together with another's value."""
    return session.against_oracle(case, repeat=False)


@within_budget(sampling.cases)
def test_the_engine_equals_the_oracle_as_long_as_asked(
    case: Case, session: Session
) -> Verdict | None:
    """As above, many times faster: nothing but the cases is drawn."""
    return session.against_oracle(case)
