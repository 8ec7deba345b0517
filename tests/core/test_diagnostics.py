"""What ``fit`` warns of."""

import re
import warnings

import numpy as np
import pytest

from fairsteer import OptimalSteeringTransformer, SteeringWarning
from fairsteer.core.marginals import tie_probability


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


def test_the_warning_of_grids_has_both_figures(rng):
    X, y, groups = table(rng, n=2000, shift=0.7)
    X = np.round(X)
    message = r"after steering \(AUC (0\.\d\d)\) than before \((0\.\d\d)\).*family='copula'"
    with pytest.warns(SteeringWarning, match=message) as caught:
        OptimalSteeringTransformer(family="normal", random_state=0).fit(
            X, y, sensitive_features=groups
        )
    after, before = map(float, re.search(message, str(caught[0].message)).groups())
    assert after > before
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for family in ("auto", "copula", "copula_by_group"):
            steering = OptimalSteeringTransformer(family=family, random_state=0)
            assert steering.fit(X, y, sensitive_features=groups).family_ != "normal"
        OptimalSteeringTransformer(family="normal", strength=0).fit(X, y, sensitive_features=groups)


def test_the_measurement_copes_with_absent_and_rare_subgroups(rng):
    X, y, groups = table(rng, n=900)
    X, y = np.round(X), np.where(groups == 0, y, 2 * y)
    kept = np.append(np.flatnonzero((y != 1) | (groups != 0))[:-1], np.flatnonzero(y == 1)[:1])
    steering = OptimalSteeringTransformer(
        family="normal", constraint="demographic_parity", random_state=0
    )
    with pytest.warns(SteeringWarning, match="AUC"):
        steering.fit(X[kept], y[kept], sensitive_features=groups[kept])


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
