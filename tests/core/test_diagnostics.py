"""What ``fit`` warns of."""

import warnings

import numpy as np
import pytest

from fairsteer import OptimalSteeringTransformer, SteeringWarning
from fairsteer.core.diagnostics import tie_probability


def table(rng, n=600, shift=1.0):
    groups = rng.integers(0, 3, size=n)
    y = rng.integers(0, 2, size=n)
    X = rng.normal(size=(n, 4)) + shift * groups[:, None] + y[:, None]
    return X, y, groups


def test_ties_are_counted_over_pairs(rng):
    x = rng.integers(0, 4, size=12)
    pairs = [(i, j) for i in range(12) for j in range(12) if i != j]
    assert tie_probability(x) == pytest.approx(np.mean([x[i] == x[j] for i, j in pairs]))


def test_bell_shaped_features_that_differ_pass_in_silence(rng):
    X, y, groups = table(rng)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        OptimalSteeringTransformer().fit(X, y, sensitive_features=groups)


def test_discrete_features_need_the_copula(rng):
    X, y, groups = table(rng)
    X[:, :3] = np.round(X[:, :3])
    with pytest.warns(SteeringWarning, match="3 of 4 features are discrete.*family='copula'"):
        OptimalSteeringTransformer().fit(X, y, sensitive_features=groups)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        OptimalSteeringTransformer(family="copula").fit(X, y, sensitive_features=groups)
        X[:, 0] = rng.normal(size=len(X))
        OptimalSteeringTransformer().fit(X, y, sensitive_features=groups)


def test_a_fit_that_changes_almost_nothing_is_named(rng):
    X, y, _ = table(rng, n=20_000, shift=0.0)
    # Every row once in each group: the groups have equal distributions.
    X, y, groups = np.repeat(X, 2, axis=0), np.repeat(y, 2), np.tile([0, 1], len(X))
    with pytest.warns(SteeringWarning, match="no group by more than .* standard deviations"):
        OptimalSteeringTransformer().fit(X, y, sensitive_features=groups)
    still = OptimalSteeringTransformer(strength=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        still.fit(X, y, sensitive_features=groups)


def test_a_small_group_that_moves_far_counts(rng):
    X, y, groups = table(rng, n=6000, shift=0.0)
    groups = np.where(np.arange(6000) < 12, "b", "a")
    y[:12] = np.arange(12) % 2
    X[:12] += 5.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        steering = OptimalSteeringTransformer(reference_group="a")
        steering.fit(X, y, sensitive_features=groups)
    moved = steering.transform(X, sensitive_features=groups) - X
    assert np.abs(moved[:12]).mean() > 2.0


def test_a_subgroup_with_fewer_rows_than_features_is_named(rng):
    X, y, groups = table(rng)
    subgroup = np.flatnonzero((y == 1) & (groups == 2))
    kept = np.setdiff1d(np.arange(len(X)), subgroup[3:])
    X, y, groups = X[kept], y[kept], groups[kept]
    message = "label=1, group=2 has 3 rows for 4 features.*covariance_type='tied' or 'diag'"
    with pytest.warns(SteeringWarning, match=message):
        OptimalSteeringTransformer().fit(X, y, sensitive_features=groups)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        OptimalSteeringTransformer(covariance_type="tied").fit(X, y, sensitive_features=groups)
