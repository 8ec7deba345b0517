"""Kernels reach the lower envelope exactly, and nothing above it can be reached."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.optimize import linprog

from fairsteer.core.roc import RocCurve, concave_roc, lower_envelope, score_kernel

GRID = np.linspace(0.0, 1.0, 1001)


def random_groups(rng, n_groups, n_bins):
    negatives = rng.dirichlet(np.full(n_bins, rng.choice([0.3, 1.0, 5.0])), n_groups)
    tilt = np.exp(np.linspace(-1.0, 1.0, n_bins) * rng.uniform(0.0, 4.0, (n_groups, 1)))
    positives = rng.dirichlet(np.full(n_bins, 1.0), n_groups) * tilt
    return negatives, positives / positives.sum(axis=1, keepdims=True)


@given(st.integers(0, 2**31), st.integers(2, 4), st.integers(2, 12))
def test_the_envelope_is_the_smallest_of_the_curves_and_concave(seed, n_groups, n_bins):
    groups = random_groups(np.random.default_rng(seed), n_groups, n_bins)
    curves = [concave_roc(*own) for own in zip(*groups, strict=True)]
    envelope = lower_envelope(curves)
    assert_allclose(envelope(GRID), np.min([c(GRID) for c in curves], axis=0), atol=1e-12)
    slopes = np.arctan2(envelope.positives, envelope.negatives)
    assert np.all(np.diff(slopes) < 1e-9)


@given(st.integers(0, 2**31), st.integers(2, 12))
def test_no_threshold_rule_is_above_the_curve(seed, n_bins):
    (negatives,), (positives,) = random_groups(np.random.default_rng(seed), 1, n_bins)
    curve = concave_roc(negatives, positives)
    for chosen in np.random.default_rng(0).random((50, n_bins)) < 0.5:
        assert positives[chosen].sum() <= curve(negatives[chosen].sum()) + 1e-12


@given(st.integers(0, 2**31), st.integers(2, 4), st.integers(2, 25), st.integers(1, 25))
def test_kernels_carry_every_group_onto_the_target(seed, n_groups, n_bins, n_segments):
    groups = random_groups(np.random.default_rng(seed), n_groups, n_bins)
    curves = [concave_roc(*own) for own in zip(*groups, strict=True)]
    envelope = lower_envelope(curves)
    target = envelope.simplify(n_segments)
    assert len(target.negatives) <= n_segments
    assert np.all(target(GRID) <= envelope(GRID) + 1e-12)
    costs = np.abs(np.linspace(-1, 1, n_bins)[:, None] - np.linspace(1, -1, len(target.negatives)))
    for negatives, positives in zip(*groups, strict=True):
        kernel = score_kernel(negatives, positives, target, costs, negatives + positives)
        assert kernel.min() >= 0.0
        assert_allclose(kernel.sum(axis=1), 1.0, atol=1e-12)
        assert_allclose(negatives @ kernel, target.negatives, atol=1e-9)
        assert_allclose(positives @ kernel, target.positives, atol=1e-9)
        reached = concave_roc(negatives @ kernel, positives @ kernel)
        assert_allclose(reached(GRID), target(GRID), atol=1e-8)


def test_what_is_above_a_group_cannot_be_reached():
    negatives, positives = np.array([0.5, 0.5]), np.array([0.4, 0.6])
    above = RocCurve(np.array([0.0, 0.5, 1.0]), np.array([0.0, 0.7, 1.0]))
    with pytest.raises(ValueError, match="cannot be reached"):
        score_kernel(negatives, positives, above, np.zeros((2, 2)), np.ones(2))


def test_the_kernel_of_three_bins_is_the_cheapest_of_all():
    rng = np.random.default_rng(4)
    groups = random_groups(rng, 2, 3)
    target = lower_envelope([concave_roc(*own) for own in zip(*groups, strict=True)])
    costs = rng.random((3, len(target.negatives)))
    negatives, positives = groups[0][0], groups[1][0]
    weights = (negatives + positives) / 2
    kernel = score_kernel(negatives, positives, target, costs, weights)
    paid = np.sum(weights[:, None] * costs * kernel)
    # All kernels: a particular one plus the null space of the constraints, sampled and pushed
    # to the boundary.
    m, k = kernel.shape
    equalities = np.vstack(
        [
            np.kron(np.eye(m), np.ones(k)),
            np.kron(negatives, np.eye(k)),
            np.kron(positives, np.eye(k)),
        ]
    )
    right = np.concatenate([np.ones(m), target.negatives, target.positives])
    for _ in range(200):
        corner = linprog(rng.normal(size=m * k), A_eq=equalities, b_eq=right).x
        assert np.sum(weights[:, None] * costs * corner.reshape(m, k)) >= paid - 1e-9


def test_a_bin_without_rows_has_the_row_of_its_neighbor():
    negatives, positives = np.array([0.7, 0.0, 0.3]), np.array([0.2, 0.0, 0.8])
    target = concave_roc(negatives, positives)
    kernel = score_kernel(negatives, positives, target, np.zeros((3, 2)), np.ones(3))
    assert_allclose(kernel[1], kernel[0])


def test_bins_of_one_likelihood_ratio_are_one_segment():
    curve = concave_roc(np.array([0.2, 0.3, 0.5]), np.array([0.3, 0.45, 0.25]))
    assert len(curve.negatives) == 2
    assert_allclose(curve.true_positive, [0.0, 0.75, 1.0])


def test_bins_without_negatives_start_the_curve_vertically():
    curve = concave_roc(np.array([0.0, 1.0]), np.array([0.4, 0.6]))
    assert curve(np.array([0.0])) == pytest.approx(0.4)
    other = concave_roc(np.array([0.5, 0.5]), np.array([0.9, 0.1]))
    assert_allclose(lower_envelope([curve, other])(GRID), np.minimum(curve(GRID), other(GRID)))


def test_the_vertex_with_the_fewest_errors_is_kept():
    curve = RocCurve(np.array([0.0, 0.1, 0.4, 1.0]), np.array([0.0, 0.5, 0.8, 1.0]))
    kept = curve.with_fewest_errors(0.5)
    np.testing.assert_array_equal(kept.false_positive, [0.0, 0.1, 1.0])
    np.testing.assert_array_equal(kept.true_positive, [0.0, 0.5, 1.0])
    np.testing.assert_array_equal(curve.with_fewest_errors(0.6).false_positive, [0.0, 0.4, 1.0])
    assert len(curve.with_fewest_errors(0.01).false_positive) == 2
