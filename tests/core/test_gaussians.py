import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairsteer import SubgroupGaussians, estimate_gaussians
from fairsteer.core.gaussians import distinct
from fairsteer.datasets import make_gaussian_subgroups
from fairsteer.datasets._synthetic import random_gaussians
from tests.conftest import examples, with_parts

K, G, D = 3, 3, 4


@pytest.fixture
def sample():
    data = make_gaussian_subgroups(3000, n_labels=K, n_groups=G, n_features=D, random_state=1)
    X = data.data.drop(columns="group").to_numpy()
    return X, data.target.to_numpy(), data.sensitive_features.to_numpy(), data.gaussians


def test_without_shrinkage_it_is_maximum_likelihood(sample):
    X, y, groups, _ = sample
    fitted = estimate_gaussians(X, y, sensitive_features=groups, shrinkage=0)
    assert fitted.covariances.shape == (K, G, D, D)
    assert fitted.priors.sum() == pytest.approx(1.0)
    for i, label in enumerate(fitted.labels):
        for a, group in enumerate(fitted.groups):
            rows = X[(y == label) & (groups == group)]
            assert fitted.counts[i, a] == len(rows)
            np.testing.assert_allclose(fitted.means[i, a], rows.mean(axis=0), atol=1e-12)
            expected = np.cov(rows.T, bias=True)
            np.testing.assert_allclose(fitted.covariances[i, a], expected, atol=1e-12)


def test_it_finds_the_parameters_of_a_large_sample():
    data = make_gaussian_subgroups(200_000, n_labels=K, n_groups=G, n_features=D, random_state=3)
    truth = data.gaussians
    fitted = estimate_gaussians(
        data.data.drop(columns="group"),
        data.target,
        sensitive_features=data.sensitive_features,
    )
    np.testing.assert_allclose(fitted.means, truth.means, atol=0.05)
    np.testing.assert_allclose(fitted.covariances, truth.covariances, atol=0.1)
    np.testing.assert_allclose(fitted.priors, truth.priors, atol=0.005)


def test_tied_pools_the_labels_of_a_group(sample):
    X, y, groups, _ = sample
    full = estimate_gaussians(X, y, sensitive_features=groups, shrinkage=0)
    tied = estimate_gaussians(X, y, sensitive_features=groups, shrinkage=0, covariance_type="tied")
    weights = full.counts / full.counts.sum(axis=0)
    expected = np.einsum("ia,iajk->ajk", weights, full.covariances)
    for i in range(K):
        np.testing.assert_allclose(tied.covariances[i], expected, atol=1e-12)


def test_diag_has_no_covariance(sample):
    X, y, groups, _ = sample
    full = estimate_gaussians(X, y, sensitive_features=groups, shrinkage=0)
    diag = estimate_gaussians(X, y, sensitive_features=groups, shrinkage=0, covariance_type="diag")
    np.testing.assert_allclose(diag.covariances, full.covariances * np.eye(D), atol=1e-12)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag"])
@pytest.mark.parametrize("shrinkage", [0, 0.2, "auto"])
def test_rescaling_and_shifting_features_rescales_the_estimate(sample, covariance_type, shrinkage):
    X, y, groups, _ = sample
    units, shift = np.array([1e-3, 1.0, 7.0, 1e4]), np.array([0.0, 5.0, -100.0, 1e5])
    options = {"covariance_type": covariance_type, "shrinkage": shrinkage}
    before = estimate_gaussians(X, y, sensitive_features=groups, **options)
    after = estimate_gaussians(X * units + shift, y, sensitive_features=groups, **options)
    np.testing.assert_allclose(after.means, before.means * units + shift, rtol=1e-9)
    np.testing.assert_allclose(
        after.covariances / np.outer(units, units), before.covariances, atol=1e-9
    )


def test_shrinkage_works_in_units_of_the_pooled_standard_deviation(sample):
    X, y, groups, _ = sample
    raw = estimate_gaussians(X, y, sensitive_features=groups, shrinkage=0)
    scale = raw.feature_scale
    shrunk = estimate_gaussians(X, y, sensitive_features=groups, shrinkage=0.3)
    unit = raw.covariances / np.outer(scale, scale)
    target = np.einsum("iajj->ia", unit)[..., None, None] / D * np.eye(D)
    expected = (0.7 * unit + 0.3 * target) * np.outer(scale, scale)
    np.testing.assert_allclose(shrunk.covariances, expected, atol=1e-12)


@given(st.integers(0, 2**32 - 1), st.sampled_from(["full", "tied", "diag"]))
@examples(15)
def test_weights_are_frequencies(seed, covariance_type):
    rng = np.random.default_rng(seed)
    n = 120
    X, y, groups = rng.normal(size=(n, 3)), np.arange(n) % 3, np.arange(n) // 3 % 2
    weights = rng.integers(0, 4, size=n)
    weights[:6] = 2
    options = {"covariance_type": covariance_type, "shrinkage": "auto"}
    weighted = estimate_gaussians(X, y, sensitive_features=groups, sample_weight=weights, **options)
    X, y, groups = (np.repeat(part, weights, axis=0) for part in (X, y, groups))
    repeated = estimate_gaussians(X, y, sensitive_features=groups, **options)
    for name in ("counts", "priors", "means", "covariances"):
        np.testing.assert_allclose(getattr(weighted, name), getattr(repeated, name), atol=1e-12)


def test_permuting_rows_labels_groups_and_features_permutes_the_estimate(sample, rng):
    X, y, groups, _ = sample
    before = estimate_gaussians(X, y, sensitive_features=groups)
    rows, columns = rng.permutation(len(X)), rng.permutation(D)
    renamed = np.array([2, 0, 1])[y]
    letters = {"a": "z", "b": "y", "c": "x"}
    swapped = np.array([letters[g] for g in groups])
    after = estimate_gaussians(
        X[np.ix_(rows, columns)], renamed[rows], sensitive_features=swapped[rows]
    )
    order = np.ix_([1, 2, 0], [2, 1, 0])
    np.testing.assert_allclose(after.means, before.means[order][..., columns], atol=1e-12)
    np.testing.assert_allclose(after.counts, before.counts[order])
    expected = before.covariances[order][..., columns, :][..., columns]
    np.testing.assert_allclose(after.covariances, expected, atol=1e-12)


def test_large_offsets_do_not_hurt(sample):
    X, y, groups, _ = sample
    before = estimate_gaussians(X, y, sensitive_features=groups)
    after = estimate_gaussians(X + 1e6, y, sensitive_features=groups)
    np.testing.assert_allclose(after.covariances, before.covariances, atol=1e-7)


def test_a_singular_covariance_names_its_columns_in_a_short_message(rng):
    X = rng.normal(size=(800, 300))
    X[:, 299] = X[:, :299] @ rng.uniform(1.0, 2.0, size=299)
    y, groups = np.arange(800) % 2, np.repeat(["a", "b"], 400)
    with pytest.raises(
        ValueError, match=r"group='a'.*columns \[0, 1, 2, 3, 4, 5, \.\.\.\]"
    ) as caught:
        estimate_gaussians(X, y, sensitive_features=groups, covariance_type="tied", shrinkage=0)
    assert len(str(caught.value)) < 600


def test_groups_may_be_tuples():
    groups = np.empty(8, dtype=object)
    groups[:] = [("F", 1), ("M", 0)] * 4
    X, y = np.arange(16.0).reshape(8, 2), [0, 0, 1, 1] * 2
    fitted = estimate_gaussians(X, y, sensitive_features=groups)
    assert fitted.groups.tolist() == [("F", 1), ("M", 0)]
    assert fitted.group_index(("M", 0)) == 1


def test_a_single_row_is_enough_for_diagonal_covariances():
    X = np.array([[0.0, 1.0], [1.0, 2.0], [2.0, 2.0], [5.0, 5.0], [1.0, 0.0]])
    y, groups = [0, 0, 1, 1, 1], [0, 1, 0, 1, 1]
    fitted = estimate_gaussians(X, y, sensitive_features=groups, covariance_type="diag")
    assert np.all(np.einsum("iajj->iaj", fitted.covariances) > 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": np.ones(4)}, r"X must have shape \(n, d\), got \(4,\)"),
        ({"X": [[np.nan, 1], [0, 1], [1, 2], [3, 1]]}, "NaN or infinity"),
        ({"y": [0, 1, 0]}, r"4 rows, but y has shape \(3,\)"),
        ({"sensitive_features": [0, 1]}, r"sensitive_features has shape \(2,\)"),
        ({"covariance_type": "round"}, "covariance_type must be one of"),
        ({"shrinkage": 1.5}, r"shrinkage must be 'auto' or a number in \[0, 1\], got 1.5"),
        ({"shrinkage": "oas"}, "shrinkage must be 'auto' or a number"),
        ({"sample_weight": [1, 1, -1, 1]}, "sample_weight must hold 4 non-negative"),
        ({"sample_weight": [1, 1]}, "sample_weight must hold 4 non-negative"),
        ({"sensitive_features": ["F", "M", "M", "M"]}, "label=1, group='F' has no rows"),
        ({"sample_weight": [0.3, 0.2, 0.3, 0.2]}, "label=0, group='F' has a total weight of 0.3"),
        ({}, r"label=0, group='F' has 1 row\(s\) for 2 features, but at least 2 are needed"),
    ],
)
def test_invalid_input_is_refused(change, message):
    good = {
        "X": np.arange(8.0).reshape(4, 2),
        "y": [0, 0, 1, 1],
        "sensitive_features": ["F", "M", "F", "M"],
    }
    with pytest.raises(ValueError, match=message):
        estimate_gaussians(**(good | change))


def test_singular_covariances_are_refused(sample):
    X, y, groups, _ = sample
    doubled = np.column_stack([X, X[:, 0]])
    with pytest.raises(ValueError, match="label=0, group='a': the covariance is not positive"):
        estimate_gaussians(doubled, y, sensitive_features=groups, shrinkage=0)


def test_full_covariances_without_shrinkage_need_more_rows_than_features():
    X = np.random.default_rng(0).normal(size=(16, 4))
    with pytest.raises(ValueError, match=r"has 4 row\(s\) for 4 features, but at least 5"):
        estimate_gaussians(
            X, np.repeat([0, 1], 8), sensitive_features=np.tile([0, 1], 8), shrinkage=0
        )


def test_a_distribution_is_frozen_and_does_not_change_the_callers_arrays():
    gaussians = random_gaussians(K, G, D, 0)
    means = np.array(gaussians.means)
    copy = with_parts(gaussians, means=means)
    with pytest.raises(ValueError, match="read-only"):
        copy.means[0, 0, 0] = 1.0
    means[0, 0, 0] = 7.0
    with pytest.raises(AttributeError):
        copy.means = means


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("means", np.zeros((K, G)), r"means must have shape \(K, G, d\)"),
        ("priors", np.full((K, G), 0.2), "priors must be positive and sum to 1"),
        ("labels", np.arange(2), "labels must have shape"),
        ("means", np.full((K, G, D), np.nan), "means must be finite"),
        ("covariances", -np.ones((K, G, D, D)), "label=0, group='a': the covariance is not pos"),
        ("covariances", np.triu(np.ones((K, G, D, D))), "not symmetric"),
        ("means", np.zeros((K, G, 0)), "means have no features"),
    ],
)
def test_the_parts_of_a_distribution_are_checked(part, value, message):
    with pytest.raises(ValueError, match=message):
        with_parts(random_gaussians(K, G, D, 0), **{part: value})


@pytest.mark.parametrize("d", [D, 120])
@pytest.mark.parametrize("unit", [1e-8, 1.0, 1e8])
def test_the_subgroup_with_an_invalid_covariance_is_named(d, unit):
    gaussians = random_gaussians(K, G, d, 0)
    covariances = np.array(gaussians.covariances)
    covariances[1, 1] *= unit**2
    assert with_parts(gaussians, covariances=covariances).n_features == d
    lopsided = covariances.copy()
    lopsided[1, 1, 0, 1] += 1e-3 * unit**2
    with pytest.raises(ValueError, match="label=1, group='b': the covariance is not symmetric"):
        with_parts(gaussians, covariances=lopsided)
    covariances[1, 1] -= 2.0 * np.diag(np.diag(covariances[1, 1]))
    with pytest.raises(ValueError, match="label=1, group='b': the covariance is not positive def"):
        with_parts(gaussians, covariances=covariances)


def test_covariances_shared_by_the_labels_are_stored_once():
    gaussians = random_gaussians(K, G, D, 0)
    copies = np.array(np.broadcast_to(gaussians.covariances[:1], gaussians.covariances.shape))
    tied = with_parts(gaussians, covariances=copies)
    np.testing.assert_array_equal(tied.covariances, copies)
    assert distinct(tied.covariances).shape == (1, G, D, D)
    assert distinct(gaussians.covariances).shape == (K, G, D, D)


def test_unknown_labels_and_groups_are_listed():
    gaussians = random_gaussians(K, G, D, 0)
    with pytest.raises(
        ValueError, match=r"there is no group 'q'; the groups are \['a', 'b', 'c'\]"
    ):
        gaussians.group_index("q")
    with pytest.raises(ValueError, match=r"there is no label 9; the labels are \[0, 1, 2\]"):
        gaussians.label_index(9)


def test_shapes_are_named():
    gaussians = random_gaussians(2, 3, 4, 0)
    assert (gaussians.n_labels, gaussians.n_groups, gaussians.n_features) == (2, 3, 4)
    assert isinstance(gaussians, SubgroupGaussians)


@pytest.mark.parametrize(
    "container",
    [
        list,
        pd.Series,
        lambda v: pd.Series(v, dtype=object),
        pd.Categorical,
        lambda v: v.astype(">i8"),
    ],
    ids=["list", "series", "objects", "categorical", "big-endian"],
)
def test_labels_and_groups_may_be_in_any_container(sample, container):
    X, y, groups, _ = sample
    codes = np.unique(groups, return_inverse=True)[1]
    expected = estimate_gaussians(X, y, sensitive_features=codes)
    found = estimate_gaussians(X, container(y), sensitive_features=container(codes))
    assert found.labels.tolist() == expected.labels.tolist()
    assert found.groups.tolist() == expected.groups.tolist()
    np.testing.assert_array_equal(found.means, expected.means)


def test_groups_of_mixed_types_are_groups_but_labels_are_not():
    X, y = np.arange(16.0).reshape(8, 2) ** 2, [0, 1] * 4
    mixed = np.array(["a", "a", 1, 1] * 2, dtype=object)
    assert estimate_gaussians(X, y, sensitive_features=mixed).groups.tolist() == [1, "a"]
    with pytest.raises(ValueError, match="y mixes text and other labels"):
        estimate_gaussians(X, mixed, sensitive_features=y)


def test_columns_too_large_to_square_are_named():
    X = pd.DataFrame({"age": [1.0, 2, 4, 3] * 2, "income": [1e300, 2, -1e300, 3] * 2})
    rows = {"y": [0, 0, 1, 1] * 2, "sensitive_features": [0, 1, 0, 1] * 2}
    with pytest.raises(ValueError, match=r"\['income'\].*too large to square"):
        estimate_gaussians(X, **rows)
    with pytest.raises(ValueError, match=r"\[1\].*too large to square"):
        estimate_gaussians(X.to_numpy(), **rows)
