"""Classifiers that recover the group: known distributions, and no difference between groups."""

import numpy as np
import pytest
from scipy.stats import norm

from fairsteer.metrics._attacks import measure_leakage, null_auc_deviation, summarize_attack


@pytest.mark.parametrize("shift", [0.5, 1.5])
def test_a_known_shift_has_the_auc_and_the_attack_advantage_of_theory(shift):
    rng = np.random.default_rng(0)
    codes = np.repeat([0, 1], [3000, 1500])
    mixing = np.array([[1.0, 0.5, 0.0], [0.0, 1.0, 0.5], [0.0, 0.0, 2.0]])
    X = (rng.normal(size=(4500, 3)) + np.outer(codes, [0.6 * shift, 0.0, 0.8 * shift])) @ mixing
    found = measure_leakage(X, codes, "linear", 3, 0)
    total_variation = 2 * norm.cdf(shift / 2) - 1
    assert found.auc == pytest.approx(norm.cdf(shift / np.sqrt(2)), abs=0.03)
    assert found.attack_advantage == pytest.approx(
        total_variation, abs=3 * found.attack_advantage_deviation
    )
    assert found.balanced_accuracy == pytest.approx(norm.cdf(shift / 2), abs=0.03)
    assert found.z == (found.auc - 0.5) / found.auc_deviation


def test_the_attack_advantage_is_that_of_the_pair_farthest_apart():
    rng = np.random.default_rng(0)
    codes = np.repeat([0, 1, 2], [2000, 1000, 500])
    X = rng.normal(size=(3500, 2))
    X[:, 0] += np.array([0.0, 1.0, 2.0])[codes]
    found = measure_leakage(X, codes, "linear", 3, 0)
    assert found.attack_advantage_deviation == np.sqrt(1 / 2000 + 1 / 500) / 2
    assert found.attack_advantage == pytest.approx(2 * norm.cdf(1) - 1, abs=0.06)


@pytest.mark.slow
def test_trees_recover_a_group_that_differs_in_spread_only():
    rng = np.random.default_rng(0)
    codes = np.arange(800) % 2
    X = rng.normal(size=(800, 2)) * np.where(codes, 3.0, 1.0)[:, None]
    assert measure_leakage(X, codes, "boosted", 2, 0).auc > 0.75
    assert measure_leakage(X, codes, "linear", 2, 0).auc < 0.6


def test_summary_of_probabilities_by_hand():
    probabilities = np.array([[0.5, 0.3, 0.2], [0.2, 0.5, 0.3], [0.3, 0.6, 0.1], [0.1, 0.1, 0.8]])
    found = summarize_attack(probabilities, np.array([0, 0, 1, 2]), 0.5, 2)
    assert found.balanced_accuracy == pytest.approx((1 / 2 + 1 + 1) / 3)
    assert found.attack_advantage == 1.0  # group 1 against group 2
    assert found.attack_advantage_deviation == np.sqrt(2) / 2
    assert found.z == 0.0
    assert (
        summarize_attack(
            probabilities[:, ::-1], np.array([0, 0, 2, 2]) // 2, 0.5, 2
        ).attack_advantage
        == 0.0
    )


def test_the_null_deviation_is_that_of_mann_and_whitney_times_the_factor_of_shared_rows():
    exact = np.sqrt((30 + 50 + 1) / (12 * 30 * 50))
    many_rows = np.sqrt((3000 + 5000 + 1) / (12 * 3000 * 5000))
    assert null_auc_deviation(30, 50, 5) > 1.5 * exact
    assert null_auc_deviation(3000, 5000, 5) == pytest.approx(1.5 * many_rows, rel=1e-3)
    assert null_auc_deviation(30, 50, 5) == null_auc_deviation(50, 30, 5)


@pytest.mark.slow
def test_z_of_a_linear_classifier_is_standard_if_groups_do_not_differ():
    z = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        codes = rng.permutation(np.arange(150) % 2)
        z.append(measure_leakage(rng.normal(size=(150, 4)), codes, "linear", 3, seed).z)
    assert 0.6 < np.std(z) < 1.1
    assert abs(np.mean(z)) < 4 / np.sqrt(len(z))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["linear", "boosted"])
def test_z_is_small_if_groups_do_not_differ(kind):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        found = measure_leakage(rng.normal(size=(300, 3)), rng.integers(3, size=300), kind, 2, seed)
        assert abs(found.z) < 4
