"""What a convolution owes to itself: relations between its results, which need no oracle.

`pytest -m metamorphic` runs these alone, also where torch is not installed. Each explores a
fraction of what other properties do: there are many of them.
"""

import pytest

from .cases.case import Case
from .comparison.mismatch import Verdict
from .metamorphic import relations
from .session.for_all import for_all
from .session.session import Session

pytestmark = pytest.mark.metamorphic


@for_all(relations.linear_in_input.cases, lightly=True)
def test_a_convolution_is_linear_in_its_input(case: Case, session: Session) -> Verdict | None:
    return relations.linear_in_input.holds(case, session)


@for_all(relations.linear_in_weight.cases, lightly=True)
def test_a_convolution_is_linear_in_its_weight(case: Case, session: Session) -> Verdict | None:
    return relations.linear_in_weight.holds(case, session)


@for_all(relations.additive_in_bias.cases, lightly=True)
def test_a_bias_is_added_to_every_place_of_its_channel(
    case: Case, session: Session
) -> Verdict | None:
    return relations.additive_in_bias.holds(case, session)


@for_all(relations.conv_of_shifted.cases, lightly=True)
def test_a_shifted_input_shifts_the_output(case: Case, session: Session) -> Verdict | None:
    return relations.conv_of_shifted.holds(case, session)


@for_all(relations.transposed_of_shifted.cases, lightly=True)
def test_a_shifted_input_shifts_the_output_of_a_transposed_convolution(
    case: Case, session: Session
) -> Verdict | None:
    return relations.transposed_of_shifted.holds(case, session)


@for_all(relations.batch_split.cases, lightly=True)
def test_samples_do_not_depend_on_their_batch(case: Case, session: Session) -> Verdict | None:
    return relations.batch_split.holds(case, session)


@for_all(relations.batch_permuted.cases, lightly=True)
def test_the_order_of_samples_is_kept(case: Case, session: Session) -> Verdict | None:
    return relations.batch_permuted.holds(case, session)


@for_all(relations.group_split.cases, lightly=True)
def test_groups_are_separate_convolutions(case: Case, session: Session) -> Verdict | None:
    return relations.group_split.holds(case, session)


@for_all(relations.filters_permuted.cases, lightly=True)
def test_filters_make_the_channels_of_the_output_in_their_order(
    case: Case, session: Session
) -> Verdict | None:
    return relations.filters_permuted.holds(case, session)


@for_all(relations.channels_permuted.cases, lightly=True)
def test_channels_may_be_summed_in_another_order(case: Case, session: Session) -> Verdict | None:
    return relations.channels_permuted.holds(case, session)


@for_all(relations.stride_subsamples.cases, lightly=True)
def test_a_stride_skips_places_of_stride_one(case: Case, session: Session) -> Verdict | None:
    return relations.stride_subsamples.holds(case, session)


@for_all(relations.stride_stuffs_zeros.cases, lightly=True)
def test_a_transposed_convolution_with_a_stride_puts_zeros_between_elements(
    case: Case, session: Session
) -> Verdict | None:
    return relations.stride_stuffs_zeros.holds(case, session)


@for_all(relations.dilation_spreads_the_kernel.cases, lightly=True)
def test_dilation_puts_zeros_between_taps(case: Case, session: Session) -> Verdict | None:
    return relations.dilation_spreads_the_kernel.holds(case, session)


@for_all(relations.padding_pads_the_input.cases, lightly=True)
def test_padding_is_a_border_of_the_input(case: Case, session: Session) -> Verdict | None:
    return relations.padding_pads_the_input.holds(case, session)


@for_all(relations.padding_crops_the_output.cases, lightly=True)
def test_padding_crops_the_output_of_a_transposed_convolution(
    case: Case, session: Session
) -> Verdict | None:
    return relations.padding_crops_the_output.holds(case, session)


@for_all(relations.conv_of_split_kernel.cases, lightly=True)
def test_taps_may_be_applied_apart(case: Case, session: Session) -> Verdict | None:
    return relations.conv_of_split_kernel.holds(case, session)


@for_all(relations.transposed_of_split_kernel.cases, lightly=True)
def test_taps_of_a_transposed_convolution_may_be_applied_apart(
    case: Case, session: Session
) -> Verdict | None:
    return relations.transposed_of_split_kernel.holds(case, session)


@for_all(relations.one_more_axis.cases, lightly=True)
def test_an_axis_of_size_one_changes_nothing(case: Case, session: Session) -> Verdict | None:
    return relations.one_more_axis.holds(case, session)


@for_all(relations.conv_of_flipped.cases, lightly=True)
def test_a_flipped_input_and_kernel_flip_the_output(case: Case, session: Session) -> Verdict | None:
    return relations.conv_of_flipped.holds(case, session)


@for_all(relations.transposed_of_flipped.cases, lightly=True)
def test_a_flipped_input_and_kernel_flip_the_output_of_a_transposed_convolution(
    case: Case, session: Session
) -> Verdict | None:
    return relations.transposed_of_flipped.holds(case, session)


@for_all(relations.transposed_is_adjoint.cases, lightly=True)
def test_a_transposed_convolution_is_the_adjoint(case: Case, session: Session) -> Verdict | None:
    return relations.transposed_is_adjoint.holds(case, session)


@for_all(relations.gradients_are_adjoints.cases, lightly=True)
def test_gradients_are_adjoints_of_the_convolution(case: Case, session: Session) -> Verdict | None:
    return relations.gradients_are_adjoints.holds(case, session)


@for_all(relations.gradients_are_differences.cases, lightly=True)
def test_gradients_are_central_differences(case: Case, session: Session) -> Verdict | None:
    return relations.gradients_are_differences.holds(case, session)


@for_all(relations.one_tap_is_matmul.cases, lightly=True)
def test_a_kernel_of_one_tap_multiplies_matrices(case: Case, session: Session) -> Verdict | None:
    return relations.one_tap_is_matmul.holds(case, session)


@for_all(relations.conv_with_delta.cases, lightly=True)
def test_a_delta_kernel_gives_the_input(case: Case, session: Session) -> Verdict | None:
    return relations.conv_with_delta.holds(case, session)


@for_all(relations.transposed_with_delta.cases, lightly=True)
def test_a_delta_kernel_gives_the_input_of_a_transposed_convolution(
    case: Case, session: Session
) -> Verdict | None:
    return relations.transposed_with_delta.holds(case, session)


@for_all(relations.fold_of_unfold.cases, lightly=True)
def test_fold_of_unfold_counts_visits(case: Case, session: Session) -> Verdict | None:
    return relations.fold_of_unfold.holds(case, session)


@for_all(relations.fold_is_adjoint.cases, lightly=True)
def test_fold_is_the_adjoint_of_unfold(case: Case, session: Session) -> Verdict | None:
    return relations.fold_is_adjoint.holds(case, session)
