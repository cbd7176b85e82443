"""What a convolution owes to itself: relations between its results, which need no oracle.

`pytest -m metamorphic` runs these alone, also where torch is not installed. Each explores a
fraction of what other properties do: there are many of them.
"""

import pytest

from . import relations
from .case import Case
from .court import Court
from .holds import holds_for
from .judge import Verdict

pytestmark = pytest.mark.metamorphic


@holds_for(relations.linear_in_input.cases, lightly=True)
def test_a_convolution_is_linear_in_its_input(case: Case, court: Court) -> Verdict | None:
    return relations.linear_in_input.holds(case, court)


@holds_for(relations.linear_in_weight.cases, lightly=True)
def test_a_convolution_is_linear_in_its_weight(case: Case, court: Court) -> Verdict | None:
    return relations.linear_in_weight.holds(case, court)


@holds_for(relations.additive_in_bias.cases, lightly=True)
def test_a_bias_is_added_to_every_place_of_its_channel(case: Case, court: Court) -> Verdict | None:
    return relations.additive_in_bias.holds(case, court)


@holds_for(relations.conv_of_shifted.cases, lightly=True)
def test_a_shifted_input_shifts_the_output(case: Case, court: Court) -> Verdict | None:
    return relations.conv_of_shifted.holds(case, court)


@holds_for(relations.transposed_of_shifted.cases, lightly=True)
def test_a_shifted_input_shifts_the_output_of_a_transposed_convolution(
    case: Case, court: Court
) -> Verdict | None:
    return relations.transposed_of_shifted.holds(case, court)


@holds_for(relations.batch_split.cases, lightly=True)
def test_samples_do_not_depend_on_their_batch(case: Case, court: Court) -> Verdict | None:
    return relations.batch_split.holds(case, court)


@holds_for(relations.batch_permuted.cases, lightly=True)
def test_the_order_of_samples_is_kept(case: Case, court: Court) -> Verdict | None:
    return relations.batch_permuted.holds(case, court)


@holds_for(relations.group_split.cases, lightly=True)
def test_groups_are_separate_convolutions(case: Case, court: Court) -> Verdict | None:
    return relations.group_split.holds(case, court)


@holds_for(relations.filters_permuted.cases, lightly=True)
def test_filters_make_the_channels_of_the_output_in_their_order(
    case: Case, court: Court
) -> Verdict | None:
    return relations.filters_permuted.holds(case, court)


@holds_for(relations.channels_permuted.cases, lightly=True)
def test_channels_may_be_summed_in_another_order(case: Case, court: Court) -> Verdict | None:
    return relations.channels_permuted.holds(case, court)


@holds_for(relations.stride_subsamples.cases, lightly=True)
def test_a_stride_skips_places_of_stride_one(case: Case, court: Court) -> Verdict | None:
    return relations.stride_subsamples.holds(case, court)


@holds_for(relations.stride_stuffs_zeros.cases, lightly=True)
def test_a_transposed_convolution_with_a_stride_puts_zeros_between_elements(
    case: Case, court: Court
) -> Verdict | None:
    return relations.stride_stuffs_zeros.holds(case, court)


@holds_for(relations.dilation_spreads_the_kernel.cases, lightly=True)
def test_dilation_puts_zeros_between_taps(case: Case, court: Court) -> Verdict | None:
    return relations.dilation_spreads_the_kernel.holds(case, court)


@holds_for(relations.padding_pads_the_input.cases, lightly=True)
def test_padding_is_a_border_of_the_input(case: Case, court: Court) -> Verdict | None:
    return relations.padding_pads_the_input.holds(case, court)


@holds_for(relations.padding_crops_the_output.cases, lightly=True)
def test_padding_crops_the_output_of_a_transposed_convolution(
    case: Case, court: Court
) -> Verdict | None:
    return relations.padding_crops_the_output.holds(case, court)


@holds_for(relations.conv_of_split_kernel.cases, lightly=True)
def test_taps_may_be_applied_apart(case: Case, court: Court) -> Verdict | None:
    return relations.conv_of_split_kernel.holds(case, court)


@holds_for(relations.transposed_of_split_kernel.cases, lightly=True)
def test_taps_of_a_transposed_convolution_may_be_applied_apart(
    case: Case, court: Court
) -> Verdict | None:
    return relations.transposed_of_split_kernel.holds(case, court)


@holds_for(relations.one_more_axis.cases, lightly=True)
def test_an_axis_of_size_one_changes_nothing(case: Case, court: Court) -> Verdict | None:
    return relations.one_more_axis.holds(case, court)


@holds_for(relations.conv_of_flipped.cases, lightly=True)
def test_a_flipped_input_and_kernel_flip_the_output(case: Case, court: Court) -> Verdict | None:
    return relations.conv_of_flipped.holds(case, court)


@holds_for(relations.transposed_of_flipped.cases, lightly=True)
def test_a_flipped_input_and_kernel_flip_the_output_of_a_transposed_convolution(
    case: Case, court: Court
) -> Verdict | None:
    return relations.transposed_of_flipped.holds(case, court)


@holds_for(relations.transposed_is_adjoint.cases, lightly=True)
def test_a_transposed_convolution_is_the_adjoint(case: Case, court: Court) -> Verdict | None:
    return relations.transposed_is_adjoint.holds(case, court)


@holds_for(relations.gradients_are_adjoints.cases, lightly=True)
def test_gradients_are_adjoints_of_the_convolution(case: Case, court: Court) -> Verdict | None:
    return relations.gradients_are_adjoints.holds(case, court)


@holds_for(relations.gradients_are_differences.cases, lightly=True)
def test_gradients_are_central_differences(case: Case, court: Court) -> Verdict | None:
    return relations.gradients_are_differences.holds(case, court)


@holds_for(relations.one_tap_is_matmul.cases, lightly=True)
def test_a_kernel_of_one_tap_multiplies_matrices(case: Case, court: Court) -> Verdict | None:
    return relations.one_tap_is_matmul.holds(case, court)


@holds_for(relations.conv_with_delta.cases, lightly=True)
def test_a_delta_kernel_gives_the_input(case: Case, court: Court) -> Verdict | None:
    return relations.conv_with_delta.holds(case, court)


@holds_for(relations.transposed_with_delta.cases, lightly=True)
def test_a_delta_kernel_gives_the_input_of_a_transposed_convolution(
    case: Case, court: Court
) -> Verdict | None:
    return relations.transposed_with_delta.holds(case, court)


@holds_for(relations.fold_of_unfold.cases, lightly=True)
def test_fold_of_unfold_counts_visits(case: Case, court: Court) -> Verdict | None:
    return relations.fold_of_unfold.holds(case, court)


@holds_for(relations.fold_is_adjoint.cases, lightly=True)
def test_fold_is_the_adjoint_of_unfold(case: Case, court: Court) -> Verdict | None:
    return relations.fold_is_adjoint.holds(case, court)
