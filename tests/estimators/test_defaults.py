"""``family="auto"``: the copula where most features are discrete, and one-hot blocks."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from fairsteer import OptimalSteeringTransformer, SteeringWarning


def table(rng, n=800, bell=0, steps=0, sizes=()):
    """Bell-shaped features, steps, and one-hot blocks of categories, in that order."""
    groups, y = rng.integers(0, 3, size=n), rng.integers(0, 2, size=n)
    shift = 0.8 * y[:, None] + 0.5 * groups[:, None]
    parts = [shift + rng.normal(size=(n, bell)), np.round(shift + rng.normal(size=(n, steps)))]
    for size in sizes:
        utility = rng.gumbel(size=(n, size)) + rng.normal(size=(3, size))[groups]
        utility += y[:, None] * rng.normal(size=size)
        parts.append((utility.argmax(axis=1)[:, None] == np.arange(size)).astype(float))
    return np.hstack(parts), y, np.array(["a", "b", "c"])[groups]


def silent(steering, X, y, groups):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SteeringWarning)
        return steering.fit(X, y, sensitive_features=groups)


def auto(**options):
    return OptimalSteeringTransformer(random_state=0, **options)


@pytest.mark.parametrize(
    ("shape", "family"),
    [({"bell": 3}, "normal"), ({"bell": 2, "steps": 2}, "normal"), ({"steps": 3}, "copula")],
)
def test_the_family_follows_the_features(rng, shape, family):
    X, y, groups = table(rng, **shape)
    fitted = silent(auto(), X, y, groups)
    assert fitted.family == "auto"
    assert fitted.family_ == family
    conditions = "identical" if family == "copula" else "affine"
    explicit = silent(auto(family=family, conditions=conditions), X, y, groups)
    assert explicit.family_ == family
    np.testing.assert_array_equal(
        fitted.transform(X, sensitive_features=groups),
        explicit.transform(X, sensitive_features=groups),
    )
    frame = silent(auto(), pd.DataFrame(X.astype(np.float32)), y, groups)
    assert frame.family_ == family


def test_without_labels_the_copula_still_moves_rows(rng):
    X, y, groups = table(rng, steps=3)
    fitted = silent(auto(label_strategy="none"), X, y, groups)
    assert (fitted.transform(X, sensitive_features=groups) != X).any()


@pytest.mark.parametrize("dropped", [False, True])
@pytest.mark.parametrize("strategy", ["posterior", "sample", "none"])
def test_steered_blocks_have_no_new_combination(rng, dropped, strategy):
    X, y, groups = table(rng, steps=1, sizes=(4, 3))
    if dropped:
        X = X[:, [0, 2, 3, 4, 6, 7]]
    blocks = [[1, 2, 3], [4, 5]] if dropped else [[1, 2, 3, 4], [5, 6, 7]]
    train = np.arange(len(X)) < 500
    fitted = silent(auto(label_strategy=strategy), X[train], y[train], groups[train])
    assert fitted.family_ == "copula"
    assert fitted.steered_features_.tolist() == [0, blocks[0][0], blocks[1][0]]
    moved = fitted.transform(X, sensitive_features=groups)
    for block in blocks:
        seen = {tuple(row) for row in X[np.ix_(train, block)]}
        assert {tuple(row) for row in moved[:, block]} <= seen
        assert (moved[:, block] != X[:, block]).any()
    reference = groups == fitted.reference_group_
    np.testing.assert_array_equal(moved[reference], X[reference])
    labeled = fitted.transform_labeled(X, y, sensitive_features=groups)
    assert set(labeled[:, blocks[0]].sum(axis=1)) <= {0.0, 1.0}


def test_categories_move_toward_those_of_the_reference_group(rng):
    X, y, groups = table(rng, n=3000, sizes=(4, 3))
    fitted = silent(auto(), X, y, groups)
    moved = fitted.transform(X, sensitive_features=groups)

    def distance(rows):
        shares = pd.DataFrame(rows).groupby([groups, y]).mean().to_numpy().reshape(3, 2, -1)
        reference = fitted.groups_.tolist().index(fitted.reference_group_)
        return np.abs(shares - shares[reference]).max()

    assert distance(moved) < 0.5 * distance(X)


def test_rows_that_break_a_block_are_taken(rng):
    X, y, groups = table(rng, steps=1, sizes=(4,))
    fitted = silent(auto(), X, y, groups)
    strange = np.array([[1.0, 1, 1, 0, 0], [1.0, 0, 0, 0, 0], [9.0, 0.2, 0, 0, 0.1]])
    reference = fitted.transform(strange, sensitive_features=[fitted.reference_group_] * 3)
    np.testing.assert_array_equal(reference, strange)
    other = next(group for group in "abc" if group != fitted.reference_group_)
    moved = fitted.transform(strange, sensitive_features=[other] * 3)
    assert np.isfinite(moved).all()


def test_the_normal_family_leaves_blocks_and_says_so(rng):
    X, y, groups = table(rng, bell=2, sizes=(5,))
    frame = pd.DataFrame(X, columns=["u", "v", *(f"job={k}" for k in range(5))])
    with pytest.warns(SteeringWarning, match="'job=0', 'job=1'.*left as they are"):
        fitted = auto().fit(frame, y, sensitive_features=groups)
    assert fitted.family_ == "normal"
    assert fitted.steered_features_.tolist() == [0, 1]
    moved = fitted.transform(frame, sensitive_features=groups)
    np.testing.assert_array_equal(moved[:, 2:], X[:, 2:])
    alone = silent(auto(), X[:, :2], y, groups).transform(X[:, :2], sensitive_features=groups)
    np.testing.assert_allclose(moved[:, :2], alone)


@pytest.mark.parametrize("family", ["normal", "copula", "copula_by_group"])
def test_other_families_take_every_column_as_it_is(rng, family):
    X, y, groups = table(rng, bell=2, sizes=(5,))
    fitted = silent(auto(family=family), X, y, groups)
    assert fitted.steered_features_.tolist() == list(range(7))


def test_batches_keep_the_family_of_the_first(rng):
    X, y, groups = table(rng, n=1200, bell=2, sizes=(3,))
    coarse = np.round(X)
    parts = np.array_split(np.arange(1200), 3)
    steering = auto()
    for k, part in enumerate(parts):
        rows = coarse if k else X
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SteeringWarning)
            steering.partial_fit(rows[part], y[part], sensitive_features=groups[part])
    assert steering.family_ == "normal"
    assert steering.steered_features_.tolist() == [0, 1]
    whole = np.vstack([X[parts[0]], coarse[parts[1]], coarse[parts[2]]])
    explicit = silent(auto(family="normal"), whole[:, :2], y, groups)
    np.testing.assert_allclose(
        steering.transform(X, sensitive_features=groups)[:, :2],
        explicit.transform(X[:, :2], sensitive_features=groups),
    )


def test_a_first_batch_that_asks_for_the_copula_is_refused(rng):
    X, y, groups = table(rng, steps=3)
    steering = auto()
    with pytest.raises(ValueError, match="copula.*family='normal'"):
        steering.partial_fit(X, y, sensitive_features=groups)
    assert vars(steering) == vars(auto())
    fitted = silent(auto(), X, y, groups)
    with pytest.raises(ValueError, match="copula.*family='normal'"):
        fitted.partial_fit(X, y, sensitive_features=groups)
    with pytest.raises(ValueError, match="copula.*family='normal'"):
        auto().merge(fitted)


def test_merging_keeps_the_family(rng):
    X, y, groups = table(rng, bell=2, sizes=(3,))
    halves = [
        silent(auto(), X[rows], y[rows], groups[rows]) for rows in (slice(400), slice(400, None))
    ]
    whole = silent(auto(), X, y, groups)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SteeringWarning)
        merged = clone(whole).merge(halves[0]).merge(halves[1])
    assert merged.family_ == "normal"
    np.testing.assert_allclose(
        merged.transform(X, sensitive_features=groups),
        whole.transform(X, sensitive_features=groups),
    )


def test_scores_need_an_explicit_copula(rng):
    X, y, groups = table(rng, steps=3)
    with pytest.raises(ValueError, match="output='scores'.*family='auto'"):
        auto(output="scores").fit(X, y, sensitive_features=groups)
