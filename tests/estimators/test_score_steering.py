"""ScoreSteering: what it guarantees, what it accepts, and how it behaves in scikit-learn."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from fairsteer import TRUSTED_TYPES, ScoreSteering, SteeringWarning
from fairsteer.metrics import fairness_gaps

# Both compare fit_transform, which returns out-of-fold scores, with transform.
CROSS_FITTED = {"check_transformer_general", "check_transformer_data_not_an_array"}
CONSTRAINTS = ("equalized_odds", "equal_opportunity", "demographic_parity")


def make_rows(n, n_labels=2, seed=0):
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 3, n)
    y = (rng.random((n, n_labels - 1)) < (0.3 + 0.1 * groups)[:, None]).sum(axis=1)
    X = rng.normal(size=(n, 4)) + 0.4 * groups[:, None]
    X[:, 0] += y * (0.8 + 0.4 * groups)
    X[:, 1] += (y == n_labels - 1) * 1.5
    return X, y, groups


def steering(**parameters):
    parameters = {"random_state": 0, **parameters}
    return ScoreSteering(parameters.pop("estimator", LogisticRegression()), **parameters)


@pytest.fixture(scope="module")
def rows():
    return make_rows(24_000)


@pytest.mark.parametrize("output", ["score", "probability", "bins"])
@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_a_classifier_of_the_output_treats_new_rows_alike(rows, constraint, output):
    X, y, groups = rows
    train, test = slice(0, 12_000), slice(12_000, None)
    steered = steering(constraint=constraint, output=output)
    Z = steered.fit_transform(X[train], y[train], sensitive_features=groups[train])
    model = LogisticRegression().fit(Z, y[train])
    moved = steered.transform(X[test], sensitive_features=groups[test])
    gaps = fairness_gaps(y[test], model.predict(moved), sensitive_features=groups[test])
    plain = LogisticRegression().fit(X[train], y[train]).predict(X[test])
    before = fairness_gaps(y[test], plain, sensitive_features=groups[test])
    assert before[constraint] > 0.2
    assert gaps[constraint] < 0.06
    assert moved.shape == (12_000, 1)
    if output == "bins":
        assert moved.dtype.kind == "i"
        assert set(np.unique(moved)) <= set(range(steered.n_outputs_))
    elif output == "probability":
        assert moved.min() >= 0.0 and moved.max() <= 1.0


def test_three_labels_are_steered_by_a_channel():
    X, y, groups = make_rows(12_000, n_labels=3)
    steered = steering().fit(X[:6000], y[:6000], sensitive_features=groups[:6000])
    Z = steered.transform(X[6000:], sensitive_features=groups[6000:])
    assert Z.shape == (6000, 2)
    assert steered.get_feature_names_out().tolist() == ["score_0", "score_1"]
    raw = steered._models.scores(X[6000:], groups[6000:])
    for label in range(3):
        own = [(y[6000:] == label) & (groups[6000:] == a) for a in range(3)]
        before = np.ptp([raw[rows].mean(axis=0) for rows in own], axis=0)
        after = np.ptp([Z[rows].mean(axis=0) for rows in own], axis=0)
        assert after.sum() < 0.75 * before.sum()


def test_continuous_targets_and_existing_scores_have_demographic_parity(rows):
    X, _, groups = rows
    target = X[:, 0] + groups
    for fitted, Z in (
        (
            steering(estimator=LinearRegression(), constraint="demographic_parity"),
            X[:, 1:],
        ),
        (steering(estimator="passthrough", constraint="demographic_parity"), X[:, :1]),
    ):
        moved = fitted.fit(Z, target, sensitive_features=groups).transform(
            Z, sensitive_features=groups
        )
        means = [moved[groups == a].mean() for a in range(3)]
        assert np.ptp(means) < 0.02
    alone = steering(estimator="passthrough", constraint="demographic_parity")
    alone.fit(X[:, :1], sensitive_features=groups)
    assert_allclose(alone.transform(X[:, :1], sensitive_features=groups), moved)
    with pytest.raises(ValueError, match="demographic_parity"):
        steering(estimator=LinearRegression()).fit(X, target, sensitive_features=groups)


def test_rows_move_alike_alone_shuffled_and_in_single_precision(rows):
    X, y, groups = (part[:3000] for part in rows)
    steered = steering().fit(X, y, sensitive_features=groups)
    X = X.astype(np.float32).astype(np.float64)
    moved = steered.transform(X, sensitive_features=groups)
    order = np.random.default_rng(0).permutation(len(X))
    shuffled = steered.transform(X[order], sensitive_features=groups[order])
    assert_array_equal(shuffled, moved[order])
    assert_array_equal(steered.transform(X[7:8], sensitive_features=groups[7:8]), moved[7:8])
    single = steered.transform(X.astype(np.float32), sensitive_features=groups)
    assert np.mean(single == moved) > 0.999


def test_identifiers_give_identical_rows_their_own_draws(rows):
    X, y, groups = (part[:3000] for part in rows)
    steered = steering().fit(X, y, sensitive_features=groups)
    twins, own = np.repeat(X[:1], 400, axis=0), np.repeat(groups[:1], 400)
    with pytest.warns(SteeringWarning, match="row_ids"):
        assert len(np.unique(steered.transform(twins, sensitive_features=own))) == 1
    ids = np.arange(400)
    moved = steered.transform(twins, sensitive_features=own, row_ids=ids)
    assert len(np.unique(moved)) > 1
    again = steered.transform(twins[::-1], sensitive_features=own, row_ids=ids[::-1])
    assert_array_equal(again, moved[::-1])
    with pytest.raises(ValueError, match="row_ids"):
        steered.transform(twins, sensitive_features=own, row_ids=ids[1:])


def test_labels_move_no_row(rows):
    X, y, groups = (part[:3000] for part in rows)
    steered = steering().fit(X, y, sensitive_features=groups)
    before = steered.transform(X, sensitive_features=groups)
    # A row's own label reaches its score in fit_transform by no fold model.
    other = y.copy()
    other[0] = 1 - other[0]
    first = steering(cv=KFold(5)).fit_transform(X, y, sensitive_features=groups)
    changed = steering(cv=KFold(5)).fit(X, other, sensitive_features=groups)
    assert_array_equal(before, steered.transform(X, sensitive_features=groups))
    bins = changed._models.scores(X[:1], groups[:1])
    assert np.isfinite(bins).all() and first.shape == (3000, 1)


@pytest.mark.slow
def test_fit_transform_is_cross_fitted_because_forests_know_their_rows(rows):
    X, y, groups = (part[:4000] for part in rows)
    forest = RandomForestClassifier(30, random_state=0)
    steered = steering(estimator=forest, constraint="demographic_parity")
    honest = steered.fit_transform(X, y, sensitive_features=groups)
    certain = steered.transform(X, sensitive_features=groups)
    fresh, labels, own = make_rows(4000, seed=1)
    held_out = steered.transform(fresh, sensitive_features=own)

    def separation(scores, labels):
        return np.mean((scores.ravel() > np.median(scores)) == labels)

    expected = separation(held_out, labels)
    assert separation(honest, y) == pytest.approx(expected, abs=0.03)
    assert separation(certain, y) > expected + 0.05


def test_scores_are_those_of_cross_validation(rows):
    X, y, groups = (part[:2000] for part in rows)
    steered = steering(group_feature=False, cv=KFold(4), constraint="demographic_parity")
    _, found = steered._fit(X, y, groups, None)
    p = cross_val_predict(LogisticRegression(), X, y, cv=KFold(4), method="predict_proba")[:, 1]
    assert_allclose(found, np.log(p / (1 - p)), rtol=1e-6)


def test_mixed_frames_and_attribute_columns(rows):
    X, y, groups = (part[:2000] for part in rows)
    table = pd.DataFrame(X.copy(), columns=list("abcd"))
    table["job"] = np.where(X[:, 0] > 0.5, "clerk", "cook")
    table.loc[::50, "a"] = np.nan
    table["group"] = pd.Series(groups).map({0: "x", 1: "y", 2: "z"})
    by_name = steering(sensitive_feature_ids="group").fit(table, y)
    passed = steering().fit(table.drop(columns="group"), y, sensitive_features=table["group"])
    assert_array_equal(
        by_name.transform(table),
        passed.transform(table.drop(columns="group"), sensitive_features=table["group"]),
    )
    model = make_pipeline(steering(sensitive_feature_ids="group"), LogisticRegression())
    assert model.fit(table, y).predict(table).shape == (2000,)
    framed = by_name.set_output(transform="pandas").transform(table)
    assert framed.columns.tolist() == ["score"]
    assert framed.index.equals(table.index)


def test_rows_without_a_group_and_of_unseen_groups(rows):
    X, y, groups = (part[:3000] for part in rows)
    names = np.array(["x", "y", "z"], dtype=object)[groups]
    inferred = steering(group_strategy="posterior").fit(X, y, sensitive_features=names)
    some = names.copy()
    some[::3] = None
    moved = inferred.transform(X, sensitive_features=some)
    known = np.arange(3000) % 3 != 0
    assert_array_equal(moved[known], inferred.transform(X, sensitive_features=names)[known])
    assert set(np.unique(moved)) <= set(inferred._maps.values)
    assert_array_equal(inferred.transform(X)[::3], moved[::3])
    pooled = steering(handle_unknown="pooled").fit(X, y, sensitive_features=names)
    some[::3] = "new"
    assert np.isfinite(pooled.transform(X, sensitive_features=some)).all()
    with pytest.raises(ValueError, match="new"):
        steering().fit(X, y, sensitive_features=names).transform(X, sensitive_features=some)
    parity = steering(group_strategy="posterior", constraint="demographic_parity")
    assert np.isfinite(parity.fit(X, y, sensitive_features=names).transform(X)).all()


def test_weights_are_repetitions_and_their_scale_does_not_matter(rows):
    X, y, groups = (part[:1500] for part in rows)
    weights = np.random.default_rng(9).integers(0, 3, 1500)
    folds = [(np.arange(1500)[k::2], np.arange(1500)[1 - k :: 2]) for k in (0, 1)]

    class Halves:
        def split(self, X, y=None, groups=None):
            return folds

        def get_n_splits(self, X=None, y=None, groups=None):
            return 2

    unweighted = steering(cv=Halves()).fit(X, y, sensitive_features=groups)
    ones = steering(cv=Halves()).fit(X, y, sensitive_features=groups, sample_weight=np.ones(1500))
    tiny = steering(cv=Halves()).fit(
        X, y, sensitive_features=groups, sample_weight=np.full(1500, 1 / 1500)
    )
    expected = unweighted.transform(X, sensitive_features=groups)
    assert_array_equal(ones.transform(X, sensitive_features=groups), expected)
    assert_allclose(tiny.transform(X, sensitive_features=groups), expected, atol=1e-6)
    present = weights > 0
    dropped = steering().fit(
        X[present], y[present], sensitive_features=groups[present], sample_weight=weights[present]
    )
    zero = steering().fit(X, y, sensitive_features=groups, sample_weight=weights)
    assert_array_equal(
        zero.transform(X, sensitive_features=groups),
        dropped.transform(X, sensitive_features=groups),
    )


def test_bad_uses_are_refused_and_change_nothing(rows):
    X, y, groups = (part[:900] for part in rows)
    fitted = steering().fit(X, y, sensitive_features=groups)
    before = pickle.dumps(fitted)
    for parameters, message in (
        ({"constraint": "demographic_parity", "output": "logits"}, "output"),
        ({"n_bins": 1}, "n_bins"),
        ({"estimator": "score"}, "estimator"),
        ({"cv": 1}, "cv"),
    ):
        with pytest.raises(ValueError, match=message):
            clone(fitted).set_params(**parameters).fit(X, y, sensitive_features=groups)
    with pytest.raises(ValueError, match="one class"):
        fitted.fit(X, np.zeros(900), sensitive_features=groups)
    with pytest.raises(ValueError, match="one group"):
        fitted.fit(X, y, sensitive_features=np.zeros(900))
    with pytest.raises(ValueError, match="one column"):
        steering(estimator="passthrough").fit(X, y, sensitive_features=groups)
    with pytest.raises(ValueError, match="n_bins=25"):
        few = np.where(np.arange(900) < 20, 9, groups)
        steering(small_groups="error").fit(X, y, sensitive_features=few)
    with pytest.raises(TypeError, match="classifier"):
        steering(estimator=StandardScaler()).fit(X, y, sensitive_features=groups)
    assert pickle.dumps(fitted) == before


def test_a_group_of_three_rows_moves_as_the_others(rows):
    X, y, groups = (part[:3000].copy() for part in rows)
    groups[:3], y[:3] = 7, [0, 1, 1]
    with pytest.warns(SteeringWarning, match="group=7"):
        steered = steering().fit(X, y, sensitive_features=groups)
    moved = steered.transform(X[:3], sensitive_features=groups[:3])
    assert np.isfinite(moved).all()


class TwoLabels(ScoreSteering):
    """Merges the labels of the checks to two."""

    def _read_target(self, y, *rest):
        y = None if y is None else (np.asarray(y) == np.asarray(y).max()).astype(int)
        return super()._read_target(y, *rest)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::fairsteer.SteeringWarning")
@pytest.mark.parametrize(
    ("kind", "constraint"),
    [(ScoreSteering, "equalized_odds"), *((TwoLabels, gap) for gap in CONSTRAINTS)],
)
def test_scikit_learns_checks_pass_but_for_the_cross_fitting(kind, constraint):
    estimator = kind(
        LogisticRegression(),
        [0],
        constraint=constraint,
        handle_unknown="pooled",
        random_state=0,
    )
    results = check_estimator(estimator, on_skip=None, on_fail=None)
    failed = {r["check_name"]: r["exception"] for r in results if r["status"] == "failed"}
    assert set(failed) <= CROSS_FITTED, failed
    assert sum(r["status"] == "passed" for r in results) > 45


@pytest.mark.parametrize("n_labels", [2, 3])
def test_skops_loads_a_fitted_object(n_labels):
    skops = pytest.importorskip("skops.io")
    X, y, groups = make_rows(900, n_labels)
    table = pd.DataFrame(X.copy(), columns=list("abcd")).assign(
        job=np.where(X[:, 0] > 0.5, "clerk", "cook")
    )
    fitted = steering().fit(table, y, sensitive_features=groups)
    loaded = skops.loads(skops.dumps(fitted), trusted=TRUSTED_TYPES)
    assert_array_equal(
        loaded.transform(table, sensitive_features=groups),
        fitted.transform(table, sensitive_features=groups),
    )
    parity = steering(constraint="demographic_parity").fit(X, y > 0, sensitive_features=groups)
    loaded = skops.loads(skops.dumps(parity), trusted=TRUSTED_TYPES)
    assert loaded.groups_.tolist() == parity.groups_.tolist()


def test_groups_of_a_row_or_two_are_named(rows):
    X, y, groups = (part[:3000] for part in rows)
    groups = np.where(np.arange(len(y)) < 2, "tiny", groups)
    with pytest.warns(SteeringWarning, match="'tiny'"):
        ScoreSteering(LogisticRegression(), random_state=0).fit(X, y, sensitive_features=groups)
