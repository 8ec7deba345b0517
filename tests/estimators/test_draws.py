"""Draws belong to a row: its place among the training values, or its identifier."""

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier

from fairsteer import OptimalSteeringTransformer, SteeredClassifier, WithinLabelEraser
from fairsteer.core.marginals import FAMILIES

# Affine maps of discrete features make grids, which these tests do not mind.
pytestmark = pytest.mark.filterwarnings("ignore::fairsteer.SteeringWarning")

RANDOMIZED = [
    ("normal", "sample"),
    ("lognormal", "sample"),
    ("copula", "posterior"),
    ("copula", "sample"),
    ("copula_by_group", "posterior"),
]


@pytest.fixture
def table(rng):
    """Sixty distinct rows, most of them many times, and a column without ties."""
    distinct = np.unique(rng.integers(1, 6, size=(90, 3)), axis=0)[:60] * np.array([1.0, 0.1, 7.0])
    chosen = rng.integers(0, len(distinct), size=900)
    groups = rng.integers(0, 3, size=900)
    X = np.column_stack([distinct[chosen], 20.0 + rng.normal(size=900)])
    X[:, 0] += groups % 2
    y = (rng.random(900) < 0.2 + 0.1 * X[:, 0]).astype(int)
    return X, y, np.array(["a", "b", "c"])[groups]


def steering(family, strategy="posterior", **options):
    return OptimalSteeringTransformer(
        family=family, label_strategy=strategy, random_state=0, **options
    )


@pytest.mark.parametrize(("family", "strategy"), RANDOMIZED)
@pytest.mark.parametrize("columns", [[0, 1, 2], [0, 1, 2, 3]])
def test_single_precision_moves_a_row_alike(table, family, strategy, columns):
    X, y, groups = table
    X = X[:, columns]
    single = X.astype(np.float32)
    fitted = steering(family, strategy).fit(X, y, sensitive_features=groups)
    moved = fitted.transform(X, sensitive_features=groups)
    np.testing.assert_allclose(
        fitted.transform(single, sensitive_features=groups), moved, rtol=1e-4, atol=1e-4
    )
    again = steering(family, strategy).fit(single, y, sensitive_features=groups)
    np.testing.assert_allclose(
        again.transform(single, sensitive_features=groups), moved, rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize(("family", "strategy"), RANDOMIZED)
def test_units_move_a_row_alike(table, family, strategy):
    X, y, groups = table
    moved, inches = (
        steering(family, strategy)
        .fit(scale * X, y, sensitive_features=groups)
        .transform(scale * X, sensitive_features=groups)
        for scale in (1.0, 1 / 2.54)
    )
    np.testing.assert_allclose(2.54 * inches, moved, rtol=1e-6)


@pytest.mark.parametrize("family", ["auto", *FAMILIES])
@pytest.mark.parametrize("strategy", ["posterior", "sample"])
def test_shuffling_changes_no_decision_but_among_identical_rows(table, rng, family, strategy):
    X, y, groups = table
    X = X[:, :3]
    fitted = steering(family, strategy).fit(X, y, sensitive_features=groups)
    moved = fitted.transform(X, sensitive_features=groups)
    model = DecisionTreeClassifier(max_depth=6, random_state=0).fit(moved, y)
    order = rng.permutation(len(X))
    shuffled = np.empty_like(moved)
    shuffled[order] = fitted.transform(X[order], sensitive_features=groups[order])
    decisions = pd.DataFrame(X).assign(
        group=groups, before=model.predict(moved), after=model.predict(shuffled)
    )
    sums = decisions.groupby([0, 1, 2, "group"])[["before", "after"]].sum()
    assert (sums["before"] == sums["after"]).all()
    if family.startswith("copula"):
        # Identical rows are spread, so that some do change places.
        assert (shuffled != moved).any()
    single = ~decisions.duplicated([0, 1, 2, "group"], keep=False)
    np.testing.assert_allclose(shuffled[single], moved[single], rtol=1e-12)


@pytest.mark.parametrize("ids", [np.arange(900), [f"row {i}" for i in range(900)]])
def test_draws_by_identifier_are_independent_and_repeatable(table, rng, ids):
    X, y, groups = table
    X, ids = X[:, :3], np.asarray(ids)
    fitted = steering("copula").fit(X, y, sensitive_features=groups)
    moved = fitted.transform(X, sensitive_features=groups, row_ids=ids)
    order = rng.permutation(len(X))
    shuffled = fitted.transform(
        X[order], sensitive_features=groups[order], row_ids=pd.Series(ids[order])
    )
    np.testing.assert_array_equal(shuffled, moved[order])
    alone = [
        fitted.transform(X[[i]], sensitive_features=groups[[i]], row_ids=ids[[i]])[0]
        for i in range(50)
    ]
    np.testing.assert_array_equal(alone, moved[:50])
    # Without identifiers, rows that are transformed alone all get the first draw.
    twin = np.flatnonzero(groups != fitted.reference_group_)[0]
    twins, own = np.repeat(X[[twin]], 200, axis=0), np.repeat(groups[[twin]], 200)
    spread = [
        fitted.transform(twins[:1], sensitive_features=own[:1], row_ids=[i])[0] for i in range(200)
    ]
    together = fitted.transform(twins, sensitive_features=own)
    assert len(np.unique(spread, axis=0)) > 1
    share = [np.mean(rows == X[twin], axis=0) for rows in (spread, together)]
    np.testing.assert_allclose(*share, atol=0.2)
    same = fitted.transform(twins, sensitive_features=own, row_ids=np.full(200, 7))
    assert len(np.unique(same, axis=0)) == 1


def test_identifiers_do_not_depend_on_their_type(table):
    X, y, groups = table
    fitted = steering("copula").fit(X, y, sensitive_features=groups)
    kinds = [np.arange(900), np.arange(900.0), list(range(900)), np.arange(900).astype(str)]
    kinds.append(pd.Series(range(900), dtype="Int64"))
    moved = [fitted.transform(X, sensitive_features=groups, row_ids=ids) for ids in kinds]
    for other in moved[1:]:
        np.testing.assert_array_equal(other, moved[0])
    fitted_with = steering("copula").fit_transform(
        X, y, sensitive_features=groups, row_ids=kinds[0]
    )
    np.testing.assert_array_equal(fitted_with, moved[0])


@pytest.mark.parametrize(
    ("ids", "fact"),
    [
        (np.arange(4), "900 rows"),
        (np.zeros((900, 2)), "900 rows"),
        ([None, *range(899)], "1 row"),
        (np.append(np.arange(899.0), np.nan), "1 row"),
    ],
)
def test_every_row_needs_one_identifier(table, ids, fact):
    X, y, groups = table
    for family in ("normal", "copula"):
        fitted = steering(family).fit(X, y, sensitive_features=groups)
        with pytest.raises(ValueError, match=f"row_ids.*{fact}"):
            fitted.transform(X, sensitive_features=groups, row_ids=ids)


def test_a_classifier_takes_identifiers(table):
    X, y, groups = table
    X, given = X[:, :3], {"sensitive_features": groups}
    model = SteeredClassifier(LogisticRegression())
    model.set_params(steering=steering("copula", priors="independent")).fit(X, y, **given)
    ids = np.arange(900)
    moved = model.steering_.transform(X, **given, row_ids=ids)
    expected = model.estimator_.predict(moved)
    np.testing.assert_array_equal(model.predict(X, **given, row_ids=ids), expected)
    assert model.score(X, y, **given, row_ids=ids) == np.mean(expected == y)
    for method in ("predict_proba", "predict_log_proba", "decision_function"):
        np.testing.assert_array_equal(
            getattr(model, method)(X, **given, row_ids=ids),
            getattr(model.estimator_, method)(moved),
        )
    eraser = WithinLabelEraser(constraint="demographic_parity")
    eraser = SteeredClassifier(LogisticRegression(), eraser).fit(X, y, **given)
    np.testing.assert_array_equal(eraser.predict(X, row_ids=ids), eraser.predict(X))


def test_a_pipeline_routes_identifiers(table):
    X, y, groups = table
    X, ids = X[:, :3], np.arange(900)
    with config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(steering("copula"), DecisionTreeClassifier(random_state=0))
        pipeline.fit(X, y, sensitive_features=groups, row_ids=ids)
        predicted = pipeline.predict(X, sensitive_features=groups, row_ids=ids)
        moved = pipeline[0].transform(X, sensitive_features=groups, row_ids=ids)
        last = make_pipeline(SteeredClassifier(LogisticRegression(), steering("copula")))
        last.fit(X, y, sensitive_features=groups)
        scores = last.decision_function(X, sensitive_features=groups, row_ids=ids)
    np.testing.assert_array_equal(predicted, pipeline[1].predict(moved))
    np.testing.assert_array_equal(
        scores, last[0].decision_function(X, sensitive_features=groups, row_ids=ids)
    )
