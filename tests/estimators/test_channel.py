"""label_strategy="channel": equalized odds of rows without labels."""

import pickle
from itertools import combinations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from fairsteer import OptimalSteeringTransformer, SteeringWarning, SubgroupGaussians
from fairsteer.core.channels import gaussian_channel

quietly = pytest.mark.filterwarnings("ignore::fairsteer.SteeringWarning")


def make_law(seed=0, n_labels=3, n_groups=3, d=4):
    rng = np.random.default_rng(seed)
    roots = rng.normal(size=(n_groups, d, d)) * 0.4 + np.eye(d)
    means = rng.normal(size=(n_labels, n_groups, d)) + rng.normal(size=(n_groups, d))
    covariances = np.broadcast_to(roots @ roots.transpose(0, 2, 1), (n_labels, n_groups, d, d))
    priors = rng.dirichlet(np.full(n_labels * n_groups, 20.0)).reshape(n_labels, n_groups)
    shape = n_labels, n_groups
    return SubgroupGaussians(
        np.arange(n_labels), np.arange(n_groups), priors, means, covariances, np.full(shape, 1.0)
    )


def draw_rows(law, n, seed):
    rng = np.random.default_rng(seed)
    cells = rng.choice(law.priors.size, n, p=law.priors.ravel())
    y, groups = np.divmod(cells, law.n_groups)
    roots = np.linalg.cholesky(law.covariances[0])
    noise = rng.normal(size=(n, law.n_features))
    X = law.means[y, groups] + np.einsum("njk,nk->nj", roots[groups], noise)
    return X, y, groups


def steering(**parameters):
    options = {"label_strategy": "channel", "covariance_type": "tied", "shrinkage": 0.0}
    return OptimalSteeringTransformer(**{**options, "random_state": 0, **parameters})


def largest_deviation(predicted, y, groups, slack=0.0):
    """Return the largest difference of rates between groups, in standard errors."""
    found = 0.0
    for label in np.unique(y):
        for value in np.unique(predicted):
            hits = [predicted[(y == label) & (groups == a)] == value for a in np.unique(groups)]
            for first, second in combinations(hits, 2):
                p = np.concatenate([first, second]).mean()
                error = np.sqrt(max(p * (1 - p), 1e-12) * (1 / len(first) + 1 / len(second)))
                found = max(found, (abs(first.mean() - second.mean()) - slack) / error)
    return found


@quietly
@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    [LogisticRegression(), QuadraticDiscriminantAnalysis(), HistGradientBoostingClassifier()],
)
def test_every_classifier_of_the_output_has_equal_rates(model):
    law = make_law()
    X, y, groups = draw_rows(law, 200_000, 1)
    train, test = slice(0, 100_000), slice(100_000, None)
    fitted = steering().fit(X[train], y[train], sensitive_features=groups[train])
    moved = fitted.transform(X, sensitive_features=groups)
    predicted = model.fit(moved[train], y[train]).predict(moved[test])
    # The estimated parameters cost a little; 5 standard errors cover the maximum of 27 rates.
    assert largest_deviation(predicted, y[test], groups[test], slack=0.01) < 5.0
    attack = HistGradientBoostingClassifier(max_iter=20)
    attack.fit(np.column_stack([moved[train], y[train]]), groups[train])
    guessed = attack.predict(np.column_stack([moved[test], y[test]]))
    assert largest_deviation(guessed, y[test], groups[test], slack=0.01) < 5.0
    posterior = steering(label_strategy="posterior")
    X = posterior.fit(X[train], y[train], sensitive_features=groups[train]).transform(
        X, sensitive_features=groups
    )
    predicted = model.fit(X[train], y[train]).predict(X[test])
    assert largest_deviation(predicted, y[test], groups[test], slack=0.01) > 8.0


@quietly
@pytest.mark.slow
def test_the_channel_of_the_true_law_leaves_nothing():
    law, rng = make_law(), np.random.default_rng(3)
    X, y, groups = draw_rows(law, 200_000, 2)
    channel = gaussian_channel(law, 0)
    moved = channel.apply(X, groups, rng.normal(size=(len(X), channel.n_draws)))
    train, test = slice(0, 100_000), slice(100_000, None)
    labeled = np.column_stack([moved, y])
    for model in (
        LogisticRegression(),
        QuadraticDiscriminantAnalysis(),
        HistGradientBoostingClassifier(),
    ):
        predicted = model.fit(moved[train], y[train]).predict(moved[test])
        assert largest_deviation(predicted, y[test], groups[test]) < 4.0
        guessed = model.fit(labeled[train], groups[train]).predict(labeled[test])
        assert largest_deviation(guessed, y[test], groups[test]) < 4.0


@quietly
def test_the_certificate_is_zero_given_the_label_and_the_base_rates_otherwise():
    X, y, groups = draw_rows(make_law(), 20_000, 2)
    fitted = steering().fit(X, y, sensitive_features=groups)
    certificate = fitted.certificate_
    assert certificate["equalized_odds"].bound < 1e-6
    assert certificate["equal_opportunity"].bound < 1e-6
    shares = np.array([[np.mean(y[groups == a] == i) for a in range(3)] for i in range(3)])
    expected = max(
        0.5 * np.abs(shares[:, a] - shares[:, b]).sum() for a, b in combinations(range(3), 2)
    )
    assert certificate["demographic_parity"].bound == pytest.approx(expected, abs=1e-6)
    full = steering(covariance_type="full", shrinkage=0.01)
    full.fit(X, y, sensitive_features=groups)
    assert 0.0 <= full.certificate_["equalized_odds"].bound < 0.1


@quietly
def test_batches_and_merged_fits_have_the_same_channel():
    X, y, groups = draw_rows(make_law(), 6000, 3)
    whole = steering().fit(X, y, sensitive_features=groups)
    parts = steering()
    for start in range(0, 6000, 2000):
        own = slice(start, start + 2000)
        parts.partial_fit(X[own], y[own], sensitive_features=groups[own])
    assert_allclose(parts.channel_.maps.matrix, whole.channel_.maps.matrix, rtol=1e-8, atol=1e-10)
    expected = whole.transform(X, sensitive_features=groups)
    assert_allclose(parts.transform(X, sensitive_features=groups), expected, rtol=1e-6, atol=1e-6)
    other = steering().fit(X[3000:], y[3000:], sensitive_features=groups[3000:])
    merged = steering().fit(X[:3000], y[:3000], sensitive_features=groups[:3000]).merge(other)
    assert_allclose(merged.transform(X, sensitive_features=groups), expected, rtol=1e-6, atol=1e-6)


@quietly
def test_draws_belong_to_the_row():
    X, y, groups = draw_rows(make_law(), 3000, 4)
    fitted = steering().fit(X, y, sensitive_features=groups)
    moved = fitted.transform(X, sensitive_features=groups)
    order = np.random.default_rng(0).permutation(3000)
    assert_array_equal(fitted.transform(X[order], sensitive_features=groups[order]), moved[order])
    assert_allclose(fitted.transform(X[5:6], sensitive_features=groups[5:6]), moved[5:6])
    twins = np.repeat(X[:1], 50, axis=0)
    blurred = fitted.channel_.blurred[groups[0]]
    assert blurred
    own = np.repeat(groups[:1], 50)
    assert len(np.unique(fitted.transform(twins, sensitive_features=own), axis=0)) == 1
    ids = fitted.transform(twins, sensitive_features=own, row_ids=np.arange(50))
    assert len(np.unique(ids, axis=0)) == 50
    again = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(again.transform(X, sensitive_features=groups), moved)


def test_a_reference_that_is_blurred_is_named():
    X, y, groups = draw_rows(make_law(), 3000, 5)
    with pytest.warns(SteeringWarning, match="blurs the reference group"):
        fitted = steering(reference_group=0).fit(X, y, sensitive_features=groups)
    assert fitted.channel_.blurred.all()
    assert fitted.result_.channel_kl > 0.0


def test_the_least_informative_of_two_label_groups_stays():
    law = make_law(seed=6, n_labels=2)
    X, y, groups = draw_rows(law, 5000, 6)
    spread = []
    for a in range(3):
        difference = X[(groups == a) & (y == 1)].mean(axis=0) - X[(groups == a) & (y == 0)].mean(
            axis=0
        )
        covariance = law.covariances[0, a]
        spread.append(difference @ np.linalg.solve(covariance, difference))
    least = int(np.argmin(spread))
    fitted = steering(reference_group=least).fit(X, y, sensitive_features=groups)
    own = groups == least
    assert_array_equal(fitted.transform(X[own], sensitive_features=groups[own]), X[own])


@quietly
def test_copula_scores_go_through_the_channel():
    X, y, groups = draw_rows(make_law(), 6000, 7)
    X = np.exp(X)
    fitted = steering(family="copula", shrinkage=0.01).fit(X, y, sensitive_features=groups)
    moved = fitted.transform(X, sensitive_features=groups)
    assert set(moved[:, 0]) <= set(X[:, 0])


@pytest.mark.parametrize(
    "parameters",
    [{"strength": 0.5}, {"conditions": "whitened"}, {"intervention": "all_subgroups"}],
)
def test_other_settings_are_refused(parameters):
    X, y, groups = draw_rows(make_law(), 600, 8)
    (name,) = parameters
    with pytest.raises(ValueError, match=name):
        steering(**parameters).fit(X, y, sensitive_features=groups)


def test_one_feature_and_three_labels_keep_nothing():
    X, y, groups = draw_rows(make_law(), 600, 9)
    with pytest.raises(ValueError, match="no channel keeps"):
        steering().fit(X[:, :1], y, sensitive_features=groups)


@quietly
def test_under_other_constraints_it_has_no_effect():
    X, y, groups = draw_rows(make_law(), 2000, 10)
    parity = {"constraint": "demographic_parity"}
    moved = steering(**parity).fit_transform(X, y, sensitive_features=groups)
    none = steering(label_strategy="none", **parity).fit_transform(X, y, sensitive_features=groups)
    assert_array_equal(moved, none)
