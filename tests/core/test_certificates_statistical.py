"""Gaps of trained classifiers on Gaussian samples stay within the certificates."""

import numpy as np
import pytest
from fairlearn.metrics import equal_opportunity_difference
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from fairsteer import OptimalSteeringTransformer
from fairsteer.datasets import make_gaussian_subgroups

pytestmark = pytest.mark.slow

N, K, G, D = 100_000, 3, 3, 3
PROVED = {
    "none": {"label_strategy": "none"},
    "none, all subgroups": {"label_strategy": "none", "intervention": "all_subgroups"},
    "equal opportunity": {"constraint": "equal_opportunity"},
}
ESTIMATED = {"posterior": {}, "demographic parity": {"constraint": "demographic_parity"}}
CLASSIFIERS = {
    "logistic": LogisticRegression(),
    "qda": QuadraticDiscriminantAnalysis(),
    "boosting": HistGradientBoostingClassifier(max_iter=10, random_state=0),
}
LAWS = range(5)


@pytest.fixture(scope="module", params=LAWS)
def sample(request):
    """Training and held-out rows of the same distribution."""
    data = make_gaussian_subgroups(
        N, n_labels=K, n_groups=G, n_features=D, random_state=request.param
    )
    X = data.data.drop(columns="group").to_numpy()
    y, groups = data.target.to_numpy(), data.sensitive_features.to_numpy()
    half = N // 2
    return tuple((X[part], y[part], groups[part]) for part in (slice(half), slice(half, None)))


def realized_gaps(steering, sample, classifier):
    """Gaps, one against the rest for every label, of a group-blind classifier on held-out rows."""
    (X, y, groups), (X_new, y_new, groups_new) = sample
    classifier.fit(steering.transform(X, sensitive_features=groups), y)
    predicted = classifier.predict(steering.transform(X_new, sensitive_features=groups_new))
    names = np.unique(groups_new)
    rates = np.array(
        [
            [
                [np.mean(predicted[(y_new == i) & (groups_new == a)] == j) for j in range(K)]
                for i in range(K)
            ]
            for a in names
        ]
    )
    selection = np.array(
        [[np.mean(predicted[groups_new == a] == j) for j in range(K)] for a in names]
    )
    return {
        "equal_opportunity": np.ptp(rates[:, K - 1, K - 1]),
        "equalized_odds": np.ptp(rates, axis=0).max(),
        "demographic_parity": np.ptp(selection, axis=0).max(),
    }


def sampling_error(sample):
    """Standard error of a difference of rates in the smallest subgroups, fitted and measured."""
    counts = [
        np.sum((y == i) & (groups == a))
        for _, y, groups in sample
        for i in range(K)
        for a in np.unique(groups)
    ]
    return np.sqrt(2 * 2 * 0.25 / min(counts))


def test_realized_gaps_stay_below_model_certificates(sample):
    (X, y, groups), _ = sample
    for options in PROVED.values():
        steering = OptimalSteeringTransformer(random_state=0, **options)
        steering.fit(X, y, sensitive_features=groups)
        proved = {n: c.bound for n, c in steering.certificate_.items() if c.kind == "model"}
        assert proved
        for classifier in CLASSIFIERS.values():
            gaps = realized_gaps(steering, sample, classifier)
            for name, bound in proved.items():
                assert gaps[name] <= bound + 4 * sampling_error(sample)


def test_without_steering_the_gap_exceeds_what_steering_certifies(sample):
    """The certificate says something: untouched features break that of equal opportunity."""
    (X, y, groups), _ = sample
    steering = OptimalSteeringTransformer(constraint="equal_opportunity")
    steering.fit(X, y, sensitive_features=groups)
    assert steering.certificate_["equal_opportunity"].bound < 1e-6
    still = OptimalSteeringTransformer(constraint="equal_opportunity", strength=0)
    still.fit(X, y, sensitive_features=groups)
    gap = realized_gaps(still, sample, CLASSIFIERS["logistic"])["equal_opportunity"]
    assert gap <= still.certificate_["equal_opportunity"].bound + 4 * sampling_error(sample)
    assert still.certificate_["equal_opportunity"].bound > 0.1


def test_coverage_of_estimates_is_reported(sample, record_property):
    (X, y, groups), _ = sample
    for case, options in ESTIMATED.items():
        steering = OptimalSteeringTransformer(random_state=0, **options)
        steering.fit(X, y, sensitive_features=groups)
        target = options.get("constraint", "equalized_odds")
        certificate = steering.certificate_[target]
        assert certificate.kind == "model estimate"
        realized = [realized_gaps(steering, sample, c)[target] for c in CLASSIFIERS.values()]
        error = 4 * sampling_error(sample)
        covered = np.mean([gap <= certificate.bound + error for gap in realized])
        record_property(f"coverage, {case}", float(covered))
        print(f"{case}: estimate {certificate.bound:.3f}, realized {max(realized):.3f}")
        assert covered == 1.0
        # A bound of 1 covers everything and says nothing.
        assert certificate.bound < 0.9


@pytest.mark.parametrize("intervention", ["affirmative", "all_subgroups"])
def test_moments_after_transform_labeled_match_the_ideal(sample, intervention):
    (X, y, groups), (X_new, y_new, groups_new) = sample
    steering = OptimalSteeringTransformer(intervention=intervention, shrinkage=0)
    steering.fit(X, y, sensitive_features=groups)
    steered = steering.transform_labeled(X_new, y_new, sensitive_features=groups_new)
    ideal = steering.ideal_
    for i, label in enumerate(ideal.labels):
        for a, group in enumerate(ideal.groups):
            rows = steered[(y_new == label) & (groups_new == group)]
            deviations = np.sqrt(np.diag(ideal.covariances[i, a]))
            error = deviations * np.sqrt(2 / len(rows))
            assert np.all(np.abs(rows.mean(axis=0) - ideal.means[i, a]) <= 5 * error)
            spread = np.abs(np.cov(rows.T) - ideal.covariances[i, a])
            assert np.all(spread <= 5 * np.sqrt(2) * np.outer(deviations, error))


def test_the_gap_is_fairlearns():
    """The harness above computes what fairlearn computes."""
    data = make_gaussian_subgroups(4000, n_labels=K, n_groups=G, n_features=D, random_state=0)
    X = data.data.drop(columns="group").to_numpy()
    y, groups = data.target.to_numpy(), data.sensitive_features.to_numpy()
    sample = tuple((X[p], y[p], groups[p]) for p in (slice(2000), slice(2000, None)))
    steering = OptimalSteeringTransformer().fit(*sample[0][:2], sensitive_features=sample[0][2])
    found = realized_gaps(steering, sample, LogisticRegression())["equal_opportunity"]
    model = LogisticRegression()
    model.fit(steering.transform(X[:2000], sensitive_features=groups[:2000]), y[:2000])
    predicted = model.predict(steering.transform(X[2000:], sensitive_features=groups[2000:]))
    expected = equal_opportunity_difference(
        y[2000:] == K - 1, predicted == K - 1, sensitive_features=groups[2000:]
    )
    assert found == pytest.approx(expected)
