"""Ideal distributions have no gap at any cost; without one of the conditions there are gaps."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from fairsteer import nearest_ideal
from fairsteer.core.affine import AffineMap
from fairsteer.core.ideal import bayes_metrics, ideal_gap, is_ideal, prior_gap
from fairsteer.datasets._synthetic import random_gaussians
from tests.conftest import with_parts

GAPS = ("demographic_parity", "equal_opportunity", "equalized_odds")
SHAPES = [(d, K, G) for d in (1, 2, 5) for K in (2, 3, 5) for G in (2, 3)]
CASES = [(*SHAPES[seed % len(SHAPES)], seed) for seed in range(50)]


def random_costs(n_labels, rng, n=5):
    costs = rng.uniform(0.2, 1.0, size=(n, n_labels, n_labels))
    costs[:, range(n_labels), range(n_labels)] = 0.0
    return costs


def excess(metrics, name):
    """Return a gap minus four standard errors (minus 1e-10 where exact)."""
    return getattr(metrics, name) - max(4.0 * metrics.standard_error[name], 1e-10)


@pytest.mark.slow
@pytest.mark.parametrize(("d", "n_labels", "n_groups", "seed"), CASES)
def test_the_nearest_ideal_distribution_has_no_gap(d, n_labels, n_groups, seed, rng):
    gaussians = random_gaussians(n_labels, n_groups, d, seed)
    ideal = nearest_ideal(gaussians, priors="independent").target
    assert is_ideal(ideal, priors=True)
    for cost in random_costs(n_labels, rng):
        metrics = bayes_metrics(ideal, cost, n_samples=60_000)
        for name in GAPS:
            assert excess(metrics, name) <= 0.0


def without_condition(ideal, condition):
    """Return a distribution that violates a condition and satisfies the other two."""
    if condition == "priors":
        tilt = np.linspace(0.4, 1.6, ideal.n_groups)
        priors = ideal.priors.copy()
        priors[0] *= tilt
        return with_parts(ideal, priors=priors / priors.sum())
    roots = np.linalg.cholesky(ideal.covariances[-1, -1])
    if condition == "means":
        means = ideal.means.copy()
        means[-1, -1] += roots @ np.full(ideal.n_features, 2.0)
        return with_parts(ideal, means=means)
    covariances = ideal.covariances.copy()
    covariances[-1, -1] *= 9.0
    return with_parts(ideal, covariances=covariances)


@pytest.mark.slow
@pytest.mark.parametrize("condition", ["priors", "means", "covariances"])
@pytest.mark.parametrize(
    ("d", "n_labels", "n_groups"), [(1, 2, 2), (1, 3, 3), (2, 3, 2), (5, 2, 3)]
)
def test_every_condition_is_needed(condition, d, n_labels, n_groups, rng):
    gaussians = random_gaussians(n_labels, n_groups, d, 1)
    # Labels must overlap: a classifier without errors has no gap.
    gaussians = with_parts(gaussians, means=0.4 * gaussians.means)
    ideal = nearest_ideal(gaussians, priors="independent").target
    gaussians = without_condition(ideal, condition)
    assert not is_ideal(gaussians, priors=True)
    assert is_ideal(gaussians) == (condition == "priors")
    assert (prior_gap(gaussians) > 0.01) == (condition == "priors")
    costs = random_costs(n_labels, rng, n=3)
    for name in GAPS:
        visible = [
            getattr(m, name) > 0.01 and excess(m, name) > 0.0
            for m in (bayes_metrics(gaussians, cost, n_samples=60_000) for cost in costs)
        ]
        assert any(visible)


def test_without_equal_base_rates_all_three_gaps_remain():
    gaussians = random_gaussians(2, 2, 1, 0)
    kept = nearest_ideal(gaussians, priors="keep").target
    assert is_ideal(kept)
    assert not is_ideal(kept, priors=True)
    metrics = bayes_metrics(kept)
    assert all(getattr(metrics, name) > 0.01 for name in GAPS)


@pytest.mark.parametrize("conditions", ["affine", "whitened", "identical"])
def test_each_target_meets_its_conditions(conditions):
    gaussians = random_gaussians(3, 3, 3, 2)
    target = nearest_ideal(gaussians, conditions=conditions).target
    assert ideal_gap(target, conditions) < 1e-7
    assert ideal_gap(gaussians, conditions) > 0.1


def test_conditions_are_nested_and_not_the_same():
    gaussians = random_gaussians(2, 2, 3, 3)
    affine = nearest_ideal(gaussians, conditions="affine").target
    whitened = nearest_ideal(gaussians, conditions="whitened").target
    identical = nearest_ideal(gaussians, conditions="identical").target
    assert is_ideal(identical, "whitened")
    assert is_ideal(identical, "affine")
    assert is_ideal(whitened, "affine")
    assert not is_ideal(whitened, "identical")
    assert not is_ideal(affine, "whitened")


def test_any_label_can_be_the_anchor():
    target = nearest_ideal(random_gaussians(3, 2, 3, 0), conditions="whitened", anchor=0).target
    assert ideal_gap(target, "whitened", anchor=0) < 1e-7
    assert ideal_gap(target, "whitened") > 1e-3


def test_ideal_gap_does_not_change_under_one_affine_map_per_group(rng):
    gaussians = random_gaussians(3, 3, 2, 4)
    maps = AffineMap(np.eye(2) + 0.3 * rng.normal(size=(3, 2, 2)), rng.normal(size=(3, 2)))
    target = nearest_ideal(gaussians).target
    assert is_ideal(target.pushforward(maps))


def test_ideal_gap_is_the_largest_whitened_residual_in_one_dimension():
    gaussians = random_gaussians(2, 2, 1, 5)
    target = nearest_ideal(gaussians).target
    deviations = np.sqrt(gaussians.covariances[..., 0])
    means = np.abs(target.means - gaussians.means) / deviations
    spreads = np.abs(target.covariances[..., 0] / gaussians.covariances[..., 0] - 1.0)
    assert ideal_gap(gaussians) == pytest.approx(max(means.max(), spreads.max()))


def test_prior_gap_is_the_difference_of_base_rates():
    gaussians = random_gaussians(2, 3, 1, 0)
    rates = gaussians.priors[1] / gaussians.priors.sum(axis=0)
    assert prior_gap(gaussians) == pytest.approx(np.ptp(rates))


@pytest.mark.slow
def test_exact_rates_agree_with_integration_for_any_cost():
    gaussians = random_gaussians(4, 3, 1, 6)
    rng = np.random.default_rng(1)
    grid = np.linspace(-30, 30, 600_001)
    for cost in random_costs(4, rng, n=3):
        selection, odds, error = [], [], 0.0
        for a in range(3):
            densities = norm.pdf(
                grid, gaussians.means[:, a], np.sqrt(gaussians.covariances[:, a, 0])
            )
            decided = np.argmin((gaussians.priors[:, a, None] * densities).T @ cost, axis=1)
            step = grid[1] - grid[0]
            rates = np.stack([(densities * (decided == j)).sum(axis=1) * step for j in range(4)], 1)
            odds.append(rates)
            conditional = gaussians.priors[:, a] / gaussians.priors[:, a].sum()
            selection.append(conditional @ rates)
            error += gaussians.priors[:, a] @ (1.0 - np.diag(rates))
        metrics = bayes_metrics(gaussians, cost)
        assert metrics.error == pytest.approx(error, abs=2e-4)
        assert metrics.equalized_odds == pytest.approx(np.ptp(odds, axis=0).max(), abs=5e-4)
        expected = np.ptp(selection, axis=0).max()
        assert metrics.demographic_parity == pytest.approx(expected, abs=5e-4)
        assert set(metrics.standard_error.values()) == {0.0}


def test_monte_carlo_agrees_with_scipys_densities():
    gaussians = random_gaussians(3, 2, 2, 7)
    metrics = bayes_metrics(gaussians, n_samples=120_000, random_state=1)
    error = 0.0
    for i, a in np.ndindex(3, 2):
        draws = multivariate_normal(gaussians.means[i, a], gaussians.covariances[i, a], seed=3).rvs(
            20_000
        )
        scores = np.stack(
            [
                gaussians.priors[k, a]
                * multivariate_normal(gaussians.means[k, a], gaussians.covariances[k, a]).pdf(draws)
                for k in range(3)
            ]
        )
        error += gaussians.priors[i, a] * np.mean(scores.argmax(axis=0) != i)
    tolerance = 6 * metrics.standard_error["error"]
    assert metrics.error == pytest.approx(error, abs=tolerance)
    assert tolerance < 0.02
    again = bayes_metrics(gaussians, n_samples=120_000, random_state=1)
    assert again == metrics


def test_costs_and_positive_labels_are_checked():
    gaussians = random_gaussians(3, 2, 1, 0)
    with pytest.raises(ValueError, match=r"cost must have shape \(3, 3\)"):
        bayes_metrics(gaussians, np.ones((2, 2)))
    with pytest.raises(ValueError, match="there is no label 7"):
        bayes_metrics(gaussians, pos_label=7)
    first = bayes_metrics(gaussians, pos_label=0).equal_opportunity
    assert first != bayes_metrics(gaussians).equal_opportunity
