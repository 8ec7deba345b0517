import numpy as np
import pytest
from sklearn.covariance import oas as sklearn_oas

from fairsteer.core.shrinkage import oas, shrink_covariance, toward_effects


@pytest.mark.parametrize(("n", "d"), [(5, 8), (30, 4), (200, 3), (2, 2)])
def test_oas_agrees_with_scikit_learn(rng, n, d):
    X = rng.normal(size=(n, d)) @ rng.normal(size=(d, d))
    X -= X.mean(axis=0)
    covariance = X.T @ X / n
    expected, weight = sklearn_oas(X, assume_centered=True)
    assert oas(covariance, n) == pytest.approx(weight, abs=1e-10)
    np.testing.assert_allclose(shrink_covariance(covariance, n, "auto"), expected, atol=1e-10)


def test_spherical_covariance_is_shrunk_completely():
    assert oas(2.0 * np.eye(3), 10) == 1.0


def test_shrinkage_keeps_the_trace_and_reaches_its_target(rng):
    factor = rng.normal(size=(4, 4))
    covariance = factor @ factor.T
    for weight in (0.0, 0.3, 1.0):
        shrunk = shrink_covariance(covariance, 10, weight)
        assert np.trace(shrunk) == pytest.approx(np.trace(covariance))
    np.testing.assert_allclose(shrunk, np.trace(covariance) / 4 * np.eye(4), atol=1e-12)


def test_a_covariance_of_zero_takes_the_fallback():
    for rounding in (0.0, 1e-32):
        shrunk = shrink_covariance(rounding * np.ones((2, 2)), 1, 0.1)
        np.testing.assert_allclose(shrunk, 0.1 * np.eye(2), atol=1e-30)


def additive_moments(rng, counts, spread):
    """Draw moments of subgroups with means of label effect, group effect and a spread."""
    shape, d = counts.shape, 4
    effects = rng.normal(size=(shape[0], 1, d)) + rng.normal(size=(1, shape[1], d))
    truth = effects + spread * rng.normal(size=(*shape, d))
    means, scatters = np.empty_like(truth), np.empty((*shape, d, d))
    for i, a in np.ndindex(shape):
        X = truth[i, a] + rng.normal(size=(int(counts[i, a]), d))
        means[i, a] = X.mean(axis=0)
        scatters[i, a] = (X - means[i, a]).T @ (X - means[i, a])
    return truth, means, scatters


COUNTS = np.array([[400.0, 90.0, 3.0], [250.0, 2.0, 40.0], [80.0, 10.0, 2.0], [30.0, 4.0, 1.0]])


@pytest.mark.parametrize("spread", [0.0, 0.5, 1.5, 5.0])
def test_effects_bring_small_groups_nearer_to_the_truth(rng, spread):
    errors = []
    for _ in range(60):
        truth, means, scatters = additive_moments(rng, COUNTS, spread)
        moved, _ = toward_effects(COUNTS, means, scatters)
        small = COUNTS < 5
        errors.append([np.sum((m - truth)[small] ** 2) for m in (means, moved)])
    plain, borrowed = np.mean(errors, axis=0)
    assert borrowed < plain * (0.7 if spread < 1.0 else 1.0)


def test_effects_are_weighted_least_squares(rng):
    # Without a spread beyond the effects, its estimate is sometimes 0.
    truth, means, scatters = additive_moments(rng, COUNTS, 0.0)
    scatters = 100.0 * scatters  # so noisy that nothing is left to explain
    moved, _ = toward_effects(COUNTS, means, scatters)
    interactions = moved - moved[:, :1] - moved[:1] + moved[:1, :1]
    np.testing.assert_allclose(interactions, 0.0, atol=1e-9)
    residual = COUNTS[:, :, None] * (means - moved)
    np.testing.assert_allclose(residual.sum(axis=0), 0.0, atol=1e-8)
    np.testing.assert_allclose(residual.sum(axis=1), 0.0, atol=1e-8)


def test_the_variance_between_subgroups_is_the_mean_of_many_draws(rng):
    kept = []
    for _ in range(300):
        _, means, scatters = additive_moments(rng, np.full((4, 3), 20.0), 0.5)
        moved, _ = toward_effects(np.full((4, 3), 20.0), means, scatters)
        spread = means - means.mean(axis=0) - means.mean(axis=1)[:, None] + means.mean(axis=(0, 1))
        ratio = np.sum((moved - (means - spread)) * spread) / np.sum(spread**2)
        kept.append(ratio / (1.0 - ratio) / 20.0)
    assert np.median(kept) == pytest.approx(0.25, rel=0.15)


def test_large_subgroups_change_little(rng):
    counts = np.full((3, 3), 4000.0)
    _, means, scatters = additive_moments(rng, counts, 1.0)
    moved, shrunk = toward_effects(counts, means, scatters)
    np.testing.assert_allclose(moved, means, atol=2e-3)
    np.testing.assert_allclose(shrunk / 4000.0, scatters / 4000.0, atol=5e-3)


def test_effects_follow_units_and_the_order_of_subgroups(rng):
    _, means, scatters = additive_moments(rng, COUNTS, 0.3)
    moved, shrunk = toward_effects(COUNTS, means, scatters)
    unit = np.array([1.0, 1e3, 1e-3, 7.0])
    scaled = toward_effects(COUNTS, means * unit + 5.0, scatters * np.outer(unit, unit))
    np.testing.assert_allclose(scaled[0], moved * unit + 5.0, rtol=1e-9)
    np.testing.assert_allclose(scaled[1], shrunk * np.outer(unit, unit), rtol=1e-9)
    order = np.ix_([2, 0, 3, 1], [1, 2, 0])
    permuted = toward_effects(COUNTS[order], means[order], scatters[order])
    np.testing.assert_allclose(permuted[0], moved[order], atol=1e-10)


def test_one_label_shrinks_toward_the_mean_of_all(rng):
    _, means, scatters = additive_moments(rng, COUNTS[:1], 0.0)
    moved, _ = toward_effects(COUNTS[:1], means, 100.0 * scatters)
    center = COUNTS[0] @ means[0] / COUNTS[0].sum()
    np.testing.assert_allclose(moved[0], np.broadcast_to(center, (3, 4)), atol=1e-10)


def test_a_single_row_takes_the_pooled_covariance(rng):
    _, means, scatters = additive_moments(rng, COUNTS, 0.3)
    _, shrunk = toward_effects(COUNTS, means, scatters)
    pooled = scatters.sum(axis=(0, 1)) / (COUNTS.sum() - COUNTS.size)
    np.testing.assert_allclose(shrunk[3, 2], 6.0 / 7.0 * pooled)


@pytest.mark.parametrize("size", [2, 3, 20])
def test_noise_is_not_mistaken_for_differences_between_subgroups(rng, size):
    counts, kept, variances = np.full((2, 40), float(size)), [], []
    for _ in range(20):
        truth, means, scatters = additive_moments(rng, counts, 0.0)
        moved, shrunk = toward_effects(counts, means, scatters)
        kept.append(np.sum((moved - truth) ** 2) / np.sum((means - truth) ** 2))
        variances.append(np.mean(np.einsum("iajj->iaj", shrunk)) / size)
    # The effects have 41 parameters for 80 subgroups, so about half of the noise remains.
    assert np.mean(kept) == pytest.approx(41 / 80, abs=0.05)
    own = size / (size + 6.0)
    assert np.mean(variances) == pytest.approx(1.0 - own / size, abs=0.05)
