"""What the engine does, a baseline did: run with --baseline only.

The candidate itself is judged by all other properties; these count what has changed.
"""

from .cases.case import Case
from .comparison.baseline import Contrast
from .gate.baseline import against_baseline, corpus, enumerated, sampled, sampled_invalid
from .session.session import Session


@against_baseline(corpus, lines=True)
def test_the_corpus_is_computed_as_by_the_baseline(case: Case, session: Session) -> Contrast:
    """Real layers, boundaries, rejections and former failures; or the lines of --case."""
    return session.against_baseline(case)


@against_baseline(enumerated)
def test_the_small_scope_is_computed_as_by_the_baseline(case: Case, session: Session) -> Contrast:
    """Every geometry of one axis, and every two values of two axes; accepted or not."""
    return session.against_baseline(case, repeat=False)


@against_baseline(sampled)
def test_random_cases_are_computed_as_by_the_baseline(case: Case, session: Session) -> Contrast:
    """Plain random cases of fixed seeds."""
    return session.against_baseline(case)


@against_baseline(sampled_invalid, of_rejections=True)
def test_random_invalid_cases_are_rejected_as_by_the_baseline(
    case: Case, session: Session
) -> Contrast:
    """The same error, with the same message."""
    return session.against_baseline(case, repeat=False)
