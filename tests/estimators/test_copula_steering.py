"""The transformer with ``family="copula"``."""

from contextlib import nullcontext

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from fairsteer import OptimalSteeringTransformer, SteeringWarning
from fairsteer.core import row_draws
from fairsteer.core.posterior import group_posterior, population_densities
from fairsteer.datasets import make_gaussian_subgroups

pytestmark = pytest.mark.slow

GROUPS = np.array(["a", "b", "c"])


def discrete_table(n, seed, n_labels=2):
    """Counts, an indicator, a rare indicator and a heavy tail, with shifts by label and group."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 3, size=n)
    y = rng.binomial(n_labels - 1, 0.3 + 0.15 * codes)
    X = np.column_stack(
        [
            rng.poisson(2.0 + y + codes),
            rng.uniform(size=n) < 0.2 + 0.2 * y + 0.15 * codes,
            rng.uniform(size=n) < 0.02 + 0.03 * codes,
            np.round(rng.exponential(1.0 + y + codes), 1) * (rng.uniform(size=n) < 0.3),
            np.full(n, 7.0),
        ]
    ).astype(float)
    return X, y, GROUPS[codes]


def copula(**options):
    return OptimalSteeringTransformer(**{"family": "copula", "random_state": 0, **options})


@pytest.fixture(scope="module")
def table():
    return discrete_table(3000, 0)


@pytest.fixture(scope="module")
def held_out():
    return discrete_table(3000, 1)


CONSTRAINTS = ["equalized_odds", "equal_opportunity", "demographic_parity"]
OUTPUTS = ["original", "scores"]


@pytest.mark.parametrize("constraint", CONSTRAINTS)
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("family", ["copula", "copula_by_group"])
def test_fit_transform_equals_transform(table, constraint, output, family):
    X, y, groups = table
    fitted = copula(constraint=constraint, output=output, family=family)
    moved = fitted.fit_transform(X, y, sensitive_features=groups)
    np.testing.assert_array_equal(fitted.transform(X, sensitive_features=groups), moved)


@pytest.mark.parametrize("constraint", CONSTRAINTS)
@pytest.mark.parametrize("family", ["copula", "copula_by_group"])
def test_values_come_from_training_and_the_reference_group_stays(
    table, held_out, constraint, family
):
    X, y, groups = table
    fitted = copula(constraint=constraint, family=family).fit(X, y, sensitive_features=groups)
    new, _, new_groups = held_out
    moved = fitted.transform(new, sensitive_features=new_groups)
    still = new_groups == fitted.reference_group_
    np.testing.assert_array_equal(moved[still], new[still])
    for column, seen in zip(moved[~still].T, X.T, strict=True):
        assert np.isin(column, seen).all()
    assert np.any(moved[~still] != new[~still])


@pytest.mark.parametrize("family", ["copula", "copula_by_group"])
def test_strength_zero_changes_nothing_and_strength_interpolates(table, held_out, family):
    X, y, groups = table
    new, _, new_groups = held_out
    none = copula(strength=0, family=family).fit(X, y, sensitive_features=groups)
    np.testing.assert_array_equal(none.transform(new, sensitive_features=new_groups), new)
    at = [
        copula(strength=s, output="scores", family=family)
        .fit(X, y, sensitive_features=groups)
        .transform(new, sensitive_features=new_groups)
        for s in (0.0, 0.25, 1.0)
    ]
    np.testing.assert_allclose(at[1], 0.75 * at[0] + 0.25 * at[2], atol=1e-9)


def test_distinct_rows_alone_move_as_in_a_batch(table, held_out):
    X, y, groups = table
    fitted = copula().fit(X, y, sensitive_features=groups)
    new, _, new_groups = held_out
    frame = pd.DataFrame(new).assign(group=new_groups).drop_duplicates()
    rows, names = frame.drop(columns="group").to_numpy(), frame["group"].to_numpy()
    moved = fitted.transform(rows, sensitive_features=names)
    one = [fitted.transform(rows[[i]], sensitive_features=names[[i]])[0] for i in range(60)]
    np.testing.assert_array_equal(moved[:60], one)
    order = np.random.default_rng(0).permutation(len(rows))
    np.testing.assert_array_equal(
        fitted.transform(rows[order], sensitive_features=names[order]), moved[order]
    )


def test_marginals_meet_under_demographic_parity(table):
    X, y, groups = table
    parity = copula(constraint="demographic_parity", family="copula_by_group")
    moved = parity.fit_transform(X, y, sensitive_features=groups)
    for column in moved[:, :4].T:
        for group in ("a", "b"):
            assert ks_2samp(column[groups == group], column[groups == "c"]).pvalue > 1e-4


def test_ranks_are_taken_among_the_positives_under_equal_opportunity(table):
    X, y, groups = table
    fitted = copula(
        constraint="equal_opportunity", family="copula_by_group", output="scores", shrinkage=0
    )
    fitted.fit(X, y, sensitive_features=groups)
    law = fitted.distribution_
    assert law.n_labels == 1
    # Draws within ties move the mean of 266 rows by .06 on average.
    np.testing.assert_allclose(law.means, 0.0, atol=0.2)
    variances = np.diagonal(law.covariances, axis1=-2, axis2=-1)
    np.testing.assert_allclose(variances, 1.0, atol=0.25)


@pytest.mark.parametrize("family", ["copula", "copula_by_group"])
def test_labels_that_are_chosen_move_by_their_own_map(table, family):
    X, y, groups = table
    moves = {}
    for strategy in ("map", "sample"):
        options = {"label_strategy": strategy, "output": "scores", "family": family}
        fitted = copula(**options).fit(X, y, sensitive_features=groups)
        moves[strategy] = fitted.transform(X, sensitive_features=groups)
    by_label = np.stack(
        [fitted.transform_labeled(X, np.full(len(X), i), sensitive_features=groups) for i in (0, 1)]
    )
    for moved in moves.values():
        assert np.all(np.any(np.all(np.isclose(by_label, moved), axis=2), axis=0))
    assert not np.allclose(moves["map"], moves["sample"])


def test_increasing_functions_of_features_commute_with_steering(table, held_out):
    X, y, groups = table
    new, _, new_groups = held_out
    known = np.isin(new, X).all(axis=1)
    new, new_groups = new[known], new_groups[known]
    # Draws belong to values, so they differ; the law of what comes out does not.
    plain = copula().fit(X, y, sensitive_features=groups)
    curved = copula().fit(np.expm1(X), y, sensitive_features=groups)
    first = np.expm1(plain.transform(new, sensitive_features=new_groups))
    second = curved.transform(np.expm1(new), sensitive_features=new_groups)
    for group in GROUPS:
        own = new_groups == group
        for one, two in zip(first[own].T, second[own].T, strict=True):
            assert ks_2samp(one, two, method="asymp").pvalue > 1e-4


def test_constants_stay_and_values_outside_training_are_taken(table):
    X, y, groups = table
    fitted = copula().fit(X, y, sensitive_features=groups)
    far = X.copy()
    far[:, :4] *= 100
    far[:, 4] = 8.0
    moved = fitted.transform(far, sensitive_features=groups)
    assert np.isfinite(moved).all()
    np.testing.assert_array_equal(moved[:, 4], 8.0)


def test_whole_weights_are_repeated_rows(table):
    X, y, groups = table
    X, y, groups = X[:400], y[:400], groups[:400]
    weights = np.random.default_rng(9).integers(0, 3, size=400)
    weighted = copula().fit(X, y, sensitive_features=groups, sample_weight=weights)
    rows = np.repeat(np.arange(400), weights)
    repeated = copula().fit(X[rows], y[rows], sensitive_features=groups[rows])
    np.testing.assert_array_equal(
        weighted.transform(X, sensitive_features=groups),
        repeated.transform(X, sensitive_features=groups),
    )
    np.testing.assert_array_equal(weighted.distribution_.means, repeated.distribution_.means)


def test_on_gaussian_data_it_agrees_with_the_normal_family():
    data = make_gaussian_subgroups(20_000, n_labels=3, n_groups=3, n_features=3, random_state=4)
    X, y = data.data.drop(columns="group").to_numpy(), data.target.to_numpy()
    groups = data.sensitive_features.to_numpy()
    # Mixtures of Gaussians are not Gaussian, so only the group marginals' map must agree closely.
    options = {"constraint": "demographic_parity", "random_state": 0}
    normal = OptimalSteeringTransformer(**options).fit(X, y, sensitive_features=groups)
    ranks = copula(constraint="demographic_parity").fit(X, y, sensitive_features=groups)
    moves = [f.transform(X, sensitive_features=groups) - X for f in (normal, ranks)]
    assert np.corrcoef(moves[0].ravel(), moves[1].ravel())[0, 1] > 0.9


def gap(X, y, groups, new, y_new, new_groups, model):
    predicted = model.fit(X, y).predict(new)
    rates = [[predicted[(y_new == i) & (new_groups == a)].mean() for a in GROUPS] for i in (0, 1)]
    return np.ptp(rates, axis=1).max()


@pytest.mark.parametrize(
    "model",
    [LogisticRegression(), HistGradientBoostingClassifier(max_iter=40, random_state=0)],
    ids=["logistic", "boosting"],
)
def test_it_holds_on_counts_where_affine_steering_does_not(model):
    X, y, groups = discrete_table(12_000, 2)
    new, y_new, new_groups = discrete_table(12_000, 3)
    before = gap(X, y, groups, new, y_new, new_groups, model)
    steered = {}
    for name, fitted in (
        ("copula", copula(conditions="identical")),
        ("normal", OptimalSteeringTransformer(family="normal", conditions="identical")),
    ):
        with pytest.warns(SteeringWarning) if name == "normal" else nullcontext():
            fitted.fit(X, y, sensitive_features=groups)
        moved = (
            fitted.transform(rows, sensitive_features=names)
            for rows, names in ((X, groups), (new, new_groups))
        )
        steered[name] = gap(next(moved), y, groups, next(moved), y_new, new_groups, model)
    assert before > 0.2
    assert steered["copula"] < 0.5 * before
    if isinstance(model, HistGradientBoostingClassifier):
        assert steered["normal"] > 1.5 * steered["copula"]


def test_one_draw_for_all_twins_leaves_the_group_readable(monkeypatch):
    """Why the occurrence number counts: without it every twin lands on one point."""
    X, y, groups = discrete_table(6000, 2)
    X = X[:, [0, 1, 2]]

    def auc(steering):
        moved = steering.fit_transform(X, y, sensitive_features=groups)
        model = HistGradientBoostingClassifier(max_iter=30, random_state=0)
        half = np.arange(6000) % 2 == 0
        model.fit(moved[half], groups[half])
        scores = model.predict_proba(moved[~half])
        return roc_auc_score(groups[~half], scores, multi_class="ovr")

    options = {"constraint": "demographic_parity", "family": "copula_by_group"}
    spread = auc(copula(**options))
    monkeypatch.setattr(row_draws, "_occurrence", lambda words: np.zeros_like(words))
    assert spread < 0.55
    assert auc(copula(**options)) > spread + 0.1


def test_scores_belong_to_the_copula():
    with pytest.raises(ValueError, match="output='scores'.*family='copula'"):
        OptimalSteeringTransformer(output="scores").fit(
            [[0.0], [1.0]], [0, 1], sensitive_features=[0, 1]
        )


def test_with_ranks_within_groups_the_certificate_speaks_of_full_strength_only(table):
    X, y, groups = table
    half = copula(strength=0.5, family="copula_by_group").fit(X, y, sensitive_features=groups)
    assert half.steering_.certify(100) == {}
    full = copula().fit(X, y, sensitive_features=groups)
    assert full.steering_.certify(100)["equalized_odds"].bound < 1.0


def test_labels_known_at_steer_move_each_subgroup_onto_the_references(table):
    X, y, groups = table
    fitted = copula(conditions="identical", output="scores").fit(X, y, sensitive_features=groups)
    moved = fitted.transform_labeled(X, y, sensitive_features=groups)[:, :2]
    for label in (0, 1):
        reference = moved[(y == label) & (groups == "c")]
        for group in ("a", "b"):
            own = moved[(y == label) & (groups == group)]
            assert np.abs(own.mean(axis=0) - reference.mean(axis=0)).max() < 0.15


def test_hidden_groups_move_by_the_mean_of_all(table, held_out):
    X, y, groups = table
    new, _, new_groups = held_out
    kept = ~pd.DataFrame(new).assign(group=new_groups).duplicated()
    new, new_groups = new[kept], new_groups[kept]
    fitted = copula(group_strategy="posterior", output="scores")
    fitted.fit(X, y, sensitive_features=groups)
    given = fitted.transform(new, sensitive_features=new_groups)
    some = np.where(np.arange(len(new)) % 2, new_groups, None)
    partly = fitted.transform(new, sensitive_features=some)
    np.testing.assert_array_equal(partly[1::2], given[1::2])
    hidden = fitted.transform(new)
    np.testing.assert_array_equal(
        hidden, fitted.transform(new, sensitive_features=np.full(len(new), None))
    )
    steering = fitted.steering_
    draws = steering.draw(new, np.full(len(new), -1))[:]
    common = steering.marginals.common(new[:, :4], draws[:, :-1])
    weights = group_posterior(population_densities(steering.population), common)
    motions = [steering.motion(a) for a in range(3)]
    assert motions[fitted.groups_.tolist().index(fitted.reference_group_)] is None
    steps = [
        w[:, None] * motion(new[:, :4], draws)
        for w, motion in zip(weights, motions, strict=True)
        if motion is not None
    ]
    expected = common + sum(steps)
    np.testing.assert_allclose(hidden[:, :4], expected, atol=1e-9)


def test_unknown_groups_need_no_row_of_every_label():
    X, y, groups = discrete_table(2000, 5, n_labels=3)
    kept = ~((y == 2) & (groups == "a"))
    fitted = copula(constraint="demographic_parity", group_strategy="posterior")
    fitted.fit(X[kept], y[kept], sensitive_features=groups[kept])
    assert fitted.transform(X).shape == X.shape


def test_parts_of_an_attribute_may_be_missing_but_not_strange(table):
    X, y, groups = table
    other = np.where(np.arange(len(X)) % 2, "x", "y")
    both = np.column_stack([groups, other]).astype(object)
    fitted = copula(group_strategy="posterior").fit(X, y, sensitive_features=both)
    hidden = both[:4].copy()
    hidden[0, 0] = hidden[1, 1] = None
    assert fitted.transform(X[:4], sensitive_features=hidden).shape == (4, 5)
    hidden[0, 1] = "zzz"
    with pytest.raises(ValueError, match=r"The value\(s\) \['zzz'\] of the sensitive column"):
        fitted.transform(X[:4], sensitive_features=hidden)


def test_heavy_weights_are_shared_out(table):
    X, y, groups = table
    weights = np.random.default_rng(9).integers(1, 4, size=len(X))
    one, many = (
        copula().fit(X, y, sensitive_features=groups, sample_weight=w)
        for w in (weights * 10, weights * 10**6)
    )
    np.testing.assert_allclose(one.distribution_.means, many.distribution_.means, atol=1e-9)


@pytest.mark.parametrize(
    "options",
    [
        {"group_strategy": "posterior"},
        {"label_strategy": "map"},
        {"label_strategy": "sample"},
    ],
)
def test_what_the_bounds_do_not_cover_is_not_certified(table, options):
    X, y, groups = table
    assert copula(**options).fit(X, y, sensitive_features=groups).steering_.certify(100) == {}


def test_the_certificate_is_of_the_fit_not_of_later_parameters(table):
    X, y, groups = table
    options = {"label_strategy": "none", "shrinkage": 0.0}
    first, second = (copula(**options).fit(X, y, sensitive_features=groups) for _ in range(2))
    second.set_params(shrinkage=1.0, covariance_type="diag")
    assert first.steering_.certify(100) == second.steering_.certify(100)
