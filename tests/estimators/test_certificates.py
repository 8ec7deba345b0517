"""Certificates, families and interventions as the transformer offers them."""

import numpy as np
import pytest
from sklearn.base import clone

from fairsteer import OptimalSteeringTransformer, nearest_ideal
from fairsteer.core.constraints import CONSTRAINTS
from fairsteer.core.divergence import gaussian_kl
from fairsteer.datasets import make_gaussian_subgroups

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def rows():
    data = make_gaussian_subgroups(6000, n_labels=3, n_groups=3, n_features=3, random_state=2)
    X = data.data.drop(columns="group").to_numpy()
    return X, data.target.to_numpy(), data.sensitive_features.to_numpy()


def fitted(rows, **options):
    X, y, groups = rows
    return OptimalSteeringTransformer(**options).fit(X, y, sensitive_features=groups)


@pytest.mark.parametrize(
    ("options", "exact"),
    [
        ({}, set()),
        ({"conditions": "identical"}, set()),
        ({"intervention": "all_subgroups"}, set()),
        ({"label_strategy": "none"}, set(CONSTRAINTS)),
        ({"label_strategy": "none", "strength": 0.5}, set(CONSTRAINTS)),
        ({"constraint": "equal_opportunity"}, {"equal_opportunity"}),
        ({"constraint": "demographic_parity"}, set()),
    ],
)
def test_each_constraint_has_a_bound_of_the_right_kind(rows, options, exact):
    certificate = fitted(rows, random_state=0, **options).certificate_
    assert set(certificate) == set(CONSTRAINTS)
    for name, entry in certificate.items():
        assert 0.0 <= entry.bound <= 1.0
        assert entry.kind == ("model" if name in exact else "model estimate")


def test_one_feature_needs_no_draws(rows):
    X, y, groups = rows
    steering = fitted((X[:, :1], y, groups), constraint="demographic_parity")
    certificate = steering.certificate_
    assert {entry.kind for entry in certificate.values()} == {"model"}
    joint = steering.steering_.distribution
    assert joint.n_labels == 1
    steered = steering.transform(X[:, :1], sensitive_features=groups)[:, 0]
    # Among all thresholds none has a larger gap, up to the error of the shares of 1000 rows.
    cuts = np.quantile(steered, np.linspace(0.02, 0.98, 49))
    shares = [[np.mean(steered[groups == g] > cut) for cut in cuts] for g in np.unique(groups)]
    gap = max(abs(np.subtract(a, b)).max() for a in shares for b in shares)
    assert gap <= certificate["demographic_parity"].bound + 0.06
    assert certificate["demographic_parity"].bound < 0.3


def test_equal_opportunity_is_exact_in_the_model(rows):
    for intervention in ("affirmative", "all_subgroups"):
        steering = fitted(rows, constraint="equal_opportunity", intervention=intervention)
        assert steering.certificate_["equal_opportunity"].bound < 1e-6


def test_it_is_computed_once_and_anew_after_fit(rows):
    X, y, groups = rows
    steering = fitted(rows, random_state=0)
    assert "_certificate" not in vars(steering)
    first = steering.certificate_
    assert steering.certificate_ is first
    steering.set_params(label_strategy="none").fit(X, y, sensitive_features=groups)
    assert steering.certificate_ is not first
    assert steering.certificate_["equalized_odds"].kind == "model"


def test_the_seed_decides(rows):
    one, two, other = (
        fitted(rows, random_state=seed, constraint="demographic_parity").certificate_
        for seed in (0, 0, 1)
    )
    assert one == two
    assert one != other


def test_more_strength_certifies_more(rows):
    bounds = [
        fitted(rows, label_strategy="none", strength=s).certificate_["equalized_odds"].bound
        for s in (0.0, 0.7, 1.0)
    ]
    assert bounds[0] >= bounds[1] > bounds[2]


def test_demographic_parity_reckons_with_base_rates(rows):
    steering = fitted(rows, label_strategy="none")
    priors = steering.distribution_.priors / steering.distribution_.priors.sum(axis=0)
    differences = [
        0.5 * np.abs(priors[:, a] - priors[:, b]).sum() for a in range(3) for b in range(3)
    ]
    assert steering.certificate_["demographic_parity"].bound >= max(differences)


def test_small_subgroups_of_other_labels_leave_equal_opportunity_certified():
    rng = np.random.default_rng(0)
    y = np.array([1] * 400 + [0] * 201)
    groups = np.array(["a", "b"] * 200 + ["a"] * 200 + ["b"])
    X = rng.normal(size=(601, 2))
    steering = fitted((X, y, groups), constraint="equal_opportunity")
    assert set(steering.certificate_) == {"equal_opportunity"}
    assert set(steering.certificate_notes_) == {"equalized_odds", "demographic_parity"}
    assert "label=0, group='b' has 1 rows" in steering.certificate_notes_["equalized_odds"]


@pytest.mark.parametrize(("n", "certified"), [(959, False), (960, True)])
def test_twelve_rows_for_each_parameter_of_a_gaussian(n, certified):
    # Two features: 12 * 2 * 5 = 120 rows in each of eight subgroups.
    rng, place = np.random.default_rng(0), np.arange(n)
    steering = fitted((rng.normal(size=(n, 2)), place % 2, place // 2 % 4))
    assert ("equalized_odds" in steering.certificate_) == certified
    assert ("equalized_odds" in steering.certificate_notes_) != certified


@pytest.mark.parametrize("family", ["normal", "copula"])
def test_discrete_features_are_not_certified(family):
    rng = np.random.default_rng(0)
    X, y, groups = rng.integers(3, size=(4000, 2)), *rng.integers(2, size=(2, 4000))
    steering = OptimalSteeringTransformer(family=family, random_state=0)
    steering.fit(X + groups[:, None], y, sensitive_features=groups)
    assert steering.certificate_ == {}
    assert all("discrete" in note for note in steering.certificate_notes_.values())
    if family == "normal":
        steering.partial_fit(X, y, sensitive_features=groups)
        assert steering.certificate_ == {}


def test_noise_in_many_features_is_not_certified():
    # Under equal opportunity the model says 0.0, whatever the data.
    rng = np.random.default_rng(0)
    X, y, groups = rng.normal(size=(400, 20)), *rng.integers(2, size=(2, 400))
    steering = fitted((X, y, groups), constraint="equal_opportunity")
    assert steering.steering_.certify(100)["equal_opportunity"].bound < 1e-6
    assert steering.certificate_ == {}


def test_cells_without_rows_leave_demographic_parity_open():
    rng = np.random.default_rng(0)
    y, groups = np.repeat([0, 1, 0], 30), np.repeat(["a", "a", "b"], 30)
    steering = fitted((rng.normal(size=(90, 2)), y, groups), constraint="demographic_parity")
    assert steering.certificate_ == {}


def test_parameters_set_after_fit_wait_for_the_next_fit(rows):
    X, _, groups = rows
    steering = fitted(rows)
    before = steering.transform(X, sensitive_features=groups)
    steering.set_params(label_strategy="none")
    assert np.array_equal(steering.transform(X, sensitive_features=groups), before)
    assert steering.certificate_["equalized_odds"].kind == "model estimate"


@pytest.mark.parametrize(
    ("options", "tolerance"),
    [
        ({}, 1e-10),
        ({"label_strategy": "none"}, 1e-10),
        ({"conditions": "whitened"}, 1e-10),
        ({"constraint": "equal_opportunity"}, 1e-10),
        ({"constraint": "demographic_parity", "strength": 0.5}, 1e-10),
        ({"conditions": "whitened", "intervention": "all_subgroups"}, 1e-10),
        ({"intervention": "all_subgroups"}, 1e-10),
    ],
)
def test_lognormal_features_are_steered_as_their_logarithms(rows, options, tolerance):
    X, y, groups = rows
    logs = fitted(rows, **options)
    values = fitted((np.exp(X), y, groups), family="lognormal", **options)
    for name in ("transform", "transform_labeled"):
        labels = () if name == "transform" else (y,)
        expected = np.exp(getattr(logs, name)(X, *labels, sensitive_features=groups))
        found = getattr(values, name)(np.exp(X), *labels, sensitive_features=groups)
        np.testing.assert_allclose(found, expected, rtol=tolerance)
    assert values.result_.kl_divergence == pytest.approx(logs.result_.kl_divergence, abs=1e-10)


def test_lognormal_needs_positive_features_in_fit_and_transform(rows):
    X, y, groups = rows
    with pytest.raises(ValueError, match=r"family='lognormal' needs positive features.*\[0, 1, 2"):
        fitted(rows, family="lognormal")
    steering = fitted((np.exp(X), y, groups), family="lognormal")
    bad = np.exp(X[:3])
    bad[1, 2] = 0.0
    with pytest.raises(ValueError, match=r"column\(s\) \[2\] have values as low as 0"):
        steering.transform(bad, sensitive_features=groups[:3])


def test_all_subgroups_moves_the_reference_group_too(rows):
    X, _, groups = rows
    steering = fitted(rows, intervention="all_subgroups")
    affirmative = fitted(rows)
    reference = groups == steering.reference_group_
    moved = steering.transform(X, sensitive_features=groups)[reference]
    kept = affirmative.transform(X, sensitive_features=groups)[reference]
    assert np.abs(moved - X[reference]).max() > 0.01
    assert np.array_equal(kept, X[reference])
    assert steering.result_.kl_divergence < affirmative.result_.kl_divergence
    law = steering.distribution_
    expected = nearest_ideal(
        law, intervention="all_subgroups", reference_group=steering.reference_group_
    )
    np.testing.assert_allclose(steering.result_.target.means, expected.target.means)


@pytest.mark.parametrize("constraint", ["equal_opportunity", "demographic_parity"])
def test_all_subgroups_meet_at_the_barycentre(rows, constraint):
    X, y, groups = rows
    steering = fitted(rows, constraint=constraint, intervention="all_subgroups", shrinkage=0)
    moved = steering.transform(X, sensitive_features=groups)
    chosen = y == 2 if constraint == "equal_opportunity" else np.ones(len(y), dtype=bool)
    laws = [moved[chosen & (groups == group)] for group in np.unique(groups)]
    for law in laws[1:]:
        np.testing.assert_allclose(law.mean(axis=0), laws[0].mean(axis=0), atol=1e-8)
        np.testing.assert_allclose(
            np.cov(law.T, bias=True), np.cov(laws[0].T, bias=True), atol=1e-8
        )
    weights = steering.distribution_.priors[0]
    np.testing.assert_allclose(
        laws[0].mean(axis=0), weights @ steering.distribution_.means[0], atol=1e-8
    )


def test_every_combination_of_choices_fits(rows):
    X, y, groups = rows
    for intervention in ("affirmative", "all_subgroups"):
        for conditions in ("affine", "whitened", "identical"):
            for covariance_type in ("full", "tied", "diag"):
                for family in ("normal", "lognormal"):
                    steering = OptimalSteeringTransformer(
                        intervention=intervention,
                        conditions=conditions,
                        covariance_type=covariance_type,
                        family=family,
                    )
                    data = X[:600] if family == "normal" else np.exp(X[:600])
                    steering = clone(steering).fit(data, y[:600], sensitive_features=groups[:600])
                    assert steering.result_.converged
                    law, target = steering.distribution_, steering.result_.target
                    kl = gaussian_kl(target.means, target.covariances, law.means, law.covariances)
                    expected = np.sum(law.priors * kl)
                    assert steering.result_.kl_divergence == pytest.approx(expected, abs=1e-9)
