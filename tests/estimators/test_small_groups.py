"""Groups with too few rows, groups never seen, and rows that drift."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal

from fairsteer import OptimalSteeringTransformer, SteeringWarning
from fairsteer.datasets import make_gaussian_subgroups

pytestmark = pytest.mark.slow

LABELS = [0, 1, 2]


def draw(n_samples=900, n_groups=3, seed=0):
    sample = make_gaussian_subgroups(
        n_samples, n_labels=3, n_groups=n_groups, n_features=3, random_state=seed
    )
    return sample.data.assign(group=sample.data["group"].astype(str)), sample.target.to_numpy()


def with_rare(X, y, sizes):
    """Append rows of rare groups: copies of the first rows of each label under a new name."""
    parts, labels = [X], [y]
    for name, counts in sizes.items():
        for label, count in zip(LABELS, counts, strict=True):
            parts.append(X[y == label].head(count).assign(group=name))
            labels.append(np.full(count, label))
    return pd.concat(parts, ignore_index=True), np.concatenate(labels)


def steering(**parameters):
    return OptimalSteeringTransformer("group", **parameters)


@pytest.fixture
def data():
    return draw()


@pytest.mark.parametrize("constraint", ["equalized_odds", "demographic_parity"])
def test_pooling_changes_nothing_where_all_cells_are_large(data, constraint):
    X, y = data
    plain = steering(constraint=constraint).fit(X, y)
    pooled = steering(constraint=constraint, small_groups="pooled").fit(X, y)
    np.testing.assert_array_equal(plain.transform(X), pooled.transform(X))
    assert pooled.pooled_groups_ == []


def test_small_groups_are_steered_as_one(data):
    X, y = with_rare(*data, {"p": (3, 1, 4), "q": (1, 6, 6)})
    with pytest.warns(SteeringWarning, match="'p', 'q' have too few rows .* as one group"):
        pooled = steering(small_groups="pooled").fit(X, y)
    assert pooled.pooled_groups_ == ["p", "q"]
    assert pooled.groups_.tolist() == ["a", "b", "c", "p", "q"]
    assert pooled.distribution_.groups.tolist() == ["a", "b", "c", "pooled"]
    merged = X.assign(group=X["group"].replace({"p": "z", "q": "z"}))
    by_hand = steering(reference_group=pooled.reference_group_).fit(merged, y)
    np.testing.assert_allclose(pooled.transform(X), by_hand.transform(merged), atol=1e-12)
    np.testing.assert_allclose(
        pooled.transform_labeled(X, y), by_hand.transform_labeled(merged, y), atol=1e-12
    )


def test_groups_too_small_together_move_as_the_population(data):
    X, y = with_rare(*data, {"p": (1, 0, 1)})
    with pytest.warns(SteeringWarning, match="'p' have too few rows .* population"):
        pooled = steering(small_groups="pooled").fit(X, y)
    plain = steering(group_strategy="posterior").fit(*data)
    rare = X.tail(2)
    np.testing.assert_allclose(
        pooled.transform(rare), plain.transform(rare.assign(group=None)), atol=1e-12
    )
    # The rare rows take no part in any law.
    np.testing.assert_array_equal(pooled.distribution_.means, plain.distribution_.means)
    assert pooled.certificate_ == {}
    # With the label known a row moves by p(group | x, label).
    steered, weights = pooled.transform_labeled(rare, y[-2:]), np.empty((2, 3))
    law, values = pooled.distribution_, rare.drop(columns="group").to_numpy()
    for k, label in enumerate(y[-2:]):
        for a in range(3):
            density = multivariate_normal(law.means[label, a], law.covariances[label, a])
            weights[k, a] = law.priors[label, a] * density.pdf(values[k])
    weights /= weights.sum(axis=1, keepdims=True)
    by_group = [plain.transform_labeled(rare.assign(group=g), y[-2:]) for g in plain.groups_]
    expected = np.einsum("ka,akj->kj", weights, np.stack(by_group))
    np.testing.assert_allclose(steered, expected, atol=1e-9)


def test_the_default_refuses_small_groups(data):
    X, y = with_rare(*data, {"p": (3, 1, 4)})
    with pytest.raises(ValueError, match="label=1, group='p' has 1 row"):
        steering().fit(X, y)


@pytest.mark.parametrize("sizes", [{"p": (1, 1, 1)}, {"p": (2, 0, 2)}])
def test_one_law_alone_steers_nothing(data, sizes):
    X, y = data
    one = X["group"] == "a"
    X, y = with_rare(X[one], y[one], sizes)
    with pytest.warns(SteeringWarning, match="nothing is steered"):
        alone = steering(small_groups="pooled", priors="independent").fit(X, y)
    np.testing.assert_array_equal(alone.transform(X), X.drop(columns="group"))
    np.testing.assert_array_equal(alone.transform_labeled(X, y), X.drop(columns="group"))
    np.testing.assert_allclose(alone.ideal_sample_weight(X, y), 1.0)
    assert alone.result_.kl_divergence == 0.0
    assert alone.certificate_ == {}


def test_every_row_a_group_of_its_own_steers_nothing(data):
    X, y = data
    X = X.assign(group=np.arange(len(X)))
    with pytest.warns(SteeringWarning, match="0, 1, 2, 3, 4 and 895 more"):
        alone = steering(small_groups="pooled", handle_unknown="pooled").fit(X, y)
    unseen = X.assign(group=-1)
    np.testing.assert_array_equal(alone.transform(unseen), X.drop(columns="group"))


@pytest.mark.parametrize("shrinkage", [0.01, 0])
def test_a_group_without_law_makes_no_column_vary(data, shrinkage):
    X, y = data
    X = X.assign(x3=0.0)
    rare = X.head(1).assign(group="p", x3=5.0)
    X, y = pd.concat([X, rare], ignore_index=True), np.append(y, y[0])
    with pytest.warns(SteeringWarning, match="population"):
        fitted = steering(small_groups="pooled", shrinkage=shrinkage).fit(X, y)
    moved = fitted.transform(X)
    np.testing.assert_array_equal(moved[:, 3], X["x3"])
    assert fitted.steered_features_.tolist() == [0, 1, 2]


def test_constant_columns_need_no_rows(data):
    X, y = data
    constant = X.assign(**{f"c{k}": 1.0 for k in range(40)})
    X, y = with_rare(constant, y, {"p": (12, 12, 12)})
    assert steering(small_groups="pooled", shrinkage=0).fit(X, y).pooled_groups_ == []


def test_groups_that_lack_different_labels_share_a_law(data):
    X, y = data
    X, y = with_rare(X, y, {"p": (20, 0, 20), "q": (0, 20, 20)})
    with pytest.warns(SteeringWarning, match="'p', 'q' .* as one group"):
        fitted = steering(
            constraint="demographic_parity", priors="independent", small_groups="pooled"
        ).fit(X, y)
    assert fitted.distribution_.groups.tolist() == ["a", "b", "c", "pooled"]


def test_weights_that_are_shares_are_told_to_be_frequencies(data):
    X, y = data
    with pytest.raises(ValueError, match="weights are frequencies, so scale them"):
        steering().fit(X, y, sample_weight=np.full(len(X), 1.0 / len(X)))


def test_a_continuous_attribute_is_to_be_binned(data):
    X, y = data
    message = "900 different values in 900 rows.*pandas.cut, .*small_groups='pooled'"
    with pytest.raises(ValueError, match=message):
        steering().fit(X.assign(group=X["x0"]), y)


def test_a_pooled_group_cannot_be_the_reference(data):
    X, y = with_rare(*data, {"p": (3, 1, 4)})
    with pytest.raises(ValueError, match="reference_group='p'"):
        steering(small_groups="pooled", reference_group="p").fit(X, y)


def test_the_pooled_group_is_never_the_reference_by_default():
    X, y = draw()
    y = (y > 0).astype(int)
    rare = X.head(12).assign(group=[f"r{k}" for k in range(12)])
    X, y = pd.concat([X, rare], ignore_index=True), np.append(y, [1] * 10 + [0] * 2)
    with pytest.warns(SteeringWarning):
        pooled = steering(small_groups="pooled").fit(X, y)
    assert "pooled" in pooled.distribution_.groups
    assert pooled.reference_group_ in ["a", "b", "c"]


def test_what_is_small_depends_on_the_constraint(data):
    X, y = with_rare(*data, {"p": (6, 1, 6)})
    for constraint in ("equal_opportunity", "demographic_parity"):
        assert steering(constraint=constraint, small_groups="pooled").fit(X, y).pooled_groups_ == []
    X, y = with_rare(*data, {"p": (6, 0, 6)})
    weighted = steering(
        constraint="demographic_parity", small_groups="pooled", priors="independent"
    )
    with pytest.warns(SteeringWarning, match="'p'"):
        assert weighted.fit(X, y).pooled_groups_ == ["p"]


def test_weights_of_pooled_and_unknown_rows(data):
    X, y = with_rare(*data, {"p": (3, 1, 4), "q": (1, 6, 6)})
    with pytest.warns(SteeringWarning):
        pooled = steering(small_groups="pooled", handle_unknown="pooled", priors="independent").fit(
            X, y
        )
    weights = pooled.ideal_sample_weight(X, y)
    joint = pd.Series(weights).groupby([y, X["group"].replace({"p": "z", "q": "z"})]).sum()
    shares = (joint.unstack() / len(X)).to_numpy()
    np.testing.assert_allclose(shares, np.outer(shares.sum(axis=1), shares.sum(axis=0)))
    unseen = X.assign(group="never seen")
    np.testing.assert_array_equal(pooled.ideal_sample_weight(unseen, y), 1.0)


@pytest.mark.parametrize("family", ["normal", "copula"])
@pytest.mark.parametrize("constraint", ["equalized_odds", "equal_opportunity"])
def test_unseen_groups_move_as_rows_without_the_attribute(data, family, constraint):
    X, y = data
    parameters = {"family": family, "constraint": constraint, "random_state": 0}
    unseen = steering(handle_unknown="pooled", **parameters).fit(X, y)
    missing = steering(group_strategy="posterior", **parameters).fit(X, y)
    new = X.assign(group="never seen")
    expected = missing.transform(X.assign(group=None))
    np.testing.assert_array_equal(unseen.transform(new), expected)
    mixed = X.assign(group=X["group"].where(X.index % 2 == 0, "never seen"))
    np.testing.assert_array_equal(unseen.transform(mixed)[1::2], expected[1::2])
    np.testing.assert_array_equal(unseen.transform(mixed)[::2], missing.transform(X)[::2])
    with pytest.raises(ValueError, match="1 missing value"):
        unseen.transform(X.assign(group=[None, *X["group"][1:]]))


def test_unseen_groups_are_refused_by_default(data):
    X, y = data
    message = r"\['x'\] were not seen in fit.*handle_unknown='pooled'"
    for fitted in (steering(), steering(group_strategy="posterior")):
        with pytest.raises(ValueError, match=message):
            fitted.fit(X, y).transform(X.assign(group="x"))


def test_unseen_parts_of_an_intersection(data):
    X, y = data
    X = X.assign(site=np.where(X.index % 3 == 0, "n", "s"))
    fitted = OptimalSteeringTransformer(
        ["group", "site"], handle_unknown="pooled", group_strategy="posterior"
    ).fit(X, y)
    new = X.assign(group="x", site=None)
    np.testing.assert_array_equal(
        fitted.transform(new), fitted.transform(X.assign(group=None, site=None))
    )


def test_shrunk_cells_need_one_row_each(data):
    X, y = with_rare(*data, {"p": (3, 1, 4)})
    borrowed = steering(small_groups="shrunk").fit(X, y)
    assert np.isfinite(borrowed.transform(X)).all()
    X, y = with_rare(*data, {"p": (3, 0, 4)})
    with pytest.raises(ValueError, match="label=1, group='p' has no rows"):
        steering(small_groups="shrunk").fit(X, y)


def test_shrinking_small_groups_estimates_the_laws_better():
    errors = []
    for seed in range(12):
        sample = make_gaussian_subgroups(
            20_000, n_labels=3, n_groups=3, n_features=3, random_state=seed
        )
        truth = sample.gaussians
        X, y = sample.data, sample.target.to_numpy()
        # Group c is rare: six rows of each label are seen.
        kept = (X["group"] != "c") | (pd.Series(y).groupby([X["group"], y]).cumcount() < 6)
        X, y = X[kept], y[kept]
        error = []
        for small_groups in ("error", "shrunk"):
            law = steering(small_groups=small_groups).fit(X, y).distribution_
            gap = law.covariances[:, 2] - truth.covariances[:, 2]
            error.append(np.sqrt(np.sum(gap**2)))
        errors.append(error)
    plain, shrunk = np.median(errors, axis=0)
    assert shrunk < plain


def test_drift_is_reported_on_request(data):
    X, y = data
    moved = X.assign(x1=X["x1"] + 10.0 * X["x1"].std() * (X["group"] == "b"))
    steering().fit(X, y).transform(moved)
    watched = steering(max_drift=0.5).fit(X, y)
    watched.transform(X)
    watched.transform(X.head(1))
    with pytest.warns(SteeringWarning, match=r"group 'b'.*column 'x1'"):
        watched.transform(moved)


def test_drift_of_ranks(data):
    X, y = data
    watched = steering(family="copula", max_drift=0.5, random_state=0).fit(X, y)
    watched.transform(X)
    with pytest.warns(SteeringWarning, match="in column 'x0'"):
        watched.transform(X.assign(x0=X["x0"].max()))
