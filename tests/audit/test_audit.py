import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import StandardScaler

from fairsteer import OptimalSteeringTransformer, SubgroupGaussians, WithinLabelEraser
from fairsteer.audit import audit_steering
from fairsteer.audit._advice import (
    SHOWN_AUC,
    SMALL_AUC,
    SURE_Z,
    TREE_EDGE,
    advise,
    concerned_labels,
)
from fairsteer.audit._leakage import Recoverability, null_auc_deviation, recoverability, summary
from fairsteer.datasets import make_gaussian_subgroups

LABELS, GROUPS, D = 3, 3, 3
LAST = "any label"


def ideal_law(seed=0):
    """Each group one affine image of the others, all labels by the same map: exactly ideal."""
    rng = np.random.default_rng(seed)
    template = rng.normal(size=(LABELS, D))
    spread = np.eye(D) + 0.3 * rng.normal(size=(LABELS, D, D))
    maps = np.eye(D) + 0.3 * rng.normal(size=(GROUPS, D, D))
    factors = maps @ spread[:, None]
    return SubgroupGaussians(
        labels=np.arange(LABELS),
        groups=np.array(["a", "b", "c"]),
        priors=np.full((LABELS, GROUPS), 1 / 9),
        means=np.einsum("ade,ie->iad", maps, template) + rng.normal(size=(GROUPS, D)),
        covariances=factors @ factors.swapaxes(-1, -2),
        counts=np.full((LABELS, GROUPS), 100.0),
    )


def sample(n_samples=900, seed=0, **parameters):
    drawn = make_gaussian_subgroups(n_samples, random_state=seed, **parameters)
    return drawn.data, drawn.target


def steered(X, y, **parameters):
    parameters = {"random_state": 0, "shrinkage": 0.0, **parameters}
    return OptimalSteeringTransformer("group", **parameters).fit(X, y)


def discrete_sample(seed=0, n=900):
    rng = np.random.default_rng(seed)
    group, y = rng.choice(["a", "b", "c"], n), rng.integers(2, size=n)
    centre = np.select([group == "a", group == "b"], [0.0, 0.4], 0.8) + y
    X = pd.DataFrame(np.round(rng.normal(centre[:, None], 1.5, (n, 2))), columns=["u", "v"])
    return X.assign(group=group), y


@pytest.fixture(scope="module")
def ideal():
    """An audit of 1,200 held-out rows of an ideal law, with rows and steering."""
    law = ideal_law()
    steering = steered(*sample(6000, seed=1, gaussians=law))
    X, y = sample(1200, seed=2, gaussians=law)
    return audit_steering(steering, X, y, cv=2), steering, X, y


@pytest.fixture(scope="module")
def training():
    """200 rows of another law, for what needs no precision."""
    X, y = sample(400, seed=3, n_labels=2, n_groups=3, n_features=3)
    return X[:200], y[:200]


@pytest.fixture(scope="module")
def small(training):
    """A steering fitted on these, and 200 other rows."""
    X, y = sample(400, seed=3, n_labels=2, n_groups=3, n_features=3)
    return steered(*training), X[200:], y[200:]


@pytest.fixture(scope="module")
def expected(small):
    """Their audit."""
    return audit_steering(*small, cv=2)


# ---------------------------------------------------------------------------------------- measures


@pytest.mark.parametrize("shift", [0.5, 1.5])
def test_a_known_shift_has_the_auc_and_the_advantage_of_theory(shift):
    rng = np.random.default_rng(0)
    codes = np.repeat([0, 1], [3000, 1500])
    mixing = np.array([[1.0, 0.5, 0.0], [0.0, 1.0, 0.5], [0.0, 0.0, 2.0]])
    X = (rng.normal(size=(4500, 3)) + np.outer(codes, [0.6 * shift, 0.0, 0.8 * shift])) @ mixing
    found = recoverability(X, codes, "linear", 3, 0)
    total_variation = 2 * norm.cdf(shift / 2) - 1
    assert found.auc == pytest.approx(norm.cdf(shift / np.sqrt(2)), abs=0.03)
    assert found.advantage == pytest.approx(total_variation, abs=3 * found.advantage_deviation)
    assert found.balanced_accuracy == pytest.approx(norm.cdf(shift / 2), abs=0.03)
    assert found.z == (found.auc - 0.5) / found.auc_deviation


def test_the_advantage_is_that_of_the_pair_farthest_apart():
    rng = np.random.default_rng(0)
    codes = np.repeat([0, 1, 2], [2000, 1000, 500])
    X = rng.normal(size=(3500, 2))
    X[:, 0] += np.array([0.0, 1.0, 2.0])[codes]
    found = recoverability(X, codes, "linear", 3, 0)
    assert found.advantage_deviation == np.sqrt(1 / 2000 + 1 / 500) / 2
    assert found.advantage == pytest.approx(2 * norm.cdf(1) - 1, abs=0.06)


def test_trees_recover_a_group_that_differs_in_spread_only():
    rng = np.random.default_rng(0)
    codes = np.arange(800) % 2
    X = rng.normal(size=(800, 2)) * np.where(codes, 3.0, 1.0)[:, None]
    assert recoverability(X, codes, "boosted", 2, 0).auc > 0.75
    assert recoverability(X, codes, "linear", 2, 0).auc < 0.6


def test_summary_of_probabilities_by_hand():
    probabilities = np.array([[0.5, 0.3, 0.2], [0.2, 0.5, 0.3], [0.3, 0.6, 0.1], [0.1, 0.1, 0.8]])
    found = summary(probabilities, np.array([0, 0, 1, 2]), 0.5, 2)
    assert found.balanced_accuracy == pytest.approx((1 / 2 + 1 + 1) / 3)
    assert found.advantage == 1.0  # group 1 against group 2
    assert found.advantage_deviation == np.sqrt(2) / 2
    assert found.z == 0.0
    assert summary(probabilities[:, ::-1], np.array([0, 0, 2, 2]) // 2, 0.5, 2).advantage == 0.0


def test_without_the_price_of_shared_rows_the_deviation_is_mann_and_whitney_s():
    exact = np.sqrt((30 + 50 + 1) / (12 * 30 * 50))
    many_rows = np.sqrt((3000 + 5000 + 1) / (12 * 3000 * 5000))
    assert null_auc_deviation(30, 50, 5) > 1.5 * exact
    assert null_auc_deviation(3000, 5000, 5) == pytest.approx(1.5 * many_rows, rel=1e-3)
    assert null_auc_deviation(30, 50, 5) == null_auc_deviation(50, 30, 5)


def test_z_of_a_linear_classifier_is_standard_where_no_group_differs():
    z = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        codes = rng.permutation(np.arange(150) % 2)
        z.append(recoverability(rng.normal(size=(150, 4)), codes, "linear", 3, seed).z)
    assert 0.6 < np.std(z) < 1.1
    assert abs(np.mean(z)) < 4 / np.sqrt(len(z))


@pytest.mark.parametrize("kind", ["linear", "boosted"])
def test_z_stays_small_where_no_group_differs(kind):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        found = recoverability(rng.normal(size=(300, 3)), rng.integers(3, size=300), kind, 2, seed)
        assert abs(found.z) < 4


# --------------------------------------------------------------------------------- before and after


def test_steering_an_ideal_law_hides_the_group_within_every_label(ideal):
    table = ideal[0].recoverability
    assert list(table.index.names) == ["features", "classifier", "label"]
    assert list(table.columns) == [*Recoverability._fields, "rows"]
    assert table.loc["before", "auc"].min() > 0.6
    assert table.loc["before", "z"].min() > 5
    within = table.loc["after"].drop(index=LAST, level="label")
    assert within["z"].abs().max() < 4
    assert abs(within["auc"] - 0.5).max() < 0.08
    assert within["advantage"].max() < table.loc["before", "advantage"].min()


def test_rows_are_counted(ideal):
    audit, _, _, y = ideal
    counts = [*np.bincount(y), len(y)]
    assert audit.recoverability["rows"].tolist() == counts * 4


def test_demographic_parity_hides_the_group_over_all_labels():
    X, y = sample(2400, seed=5, n_labels=2, n_groups=2, n_features=3)
    steering = steered(X[:1600], y[:1600], constraint="demographic_parity")
    audit = audit_steering(steering, X[1600:], y[1600:], cv=2)
    linear = audit.recoverability["auc"].xs("linear", level="classifier")
    assert linear["before", LAST] > 0.6
    assert linear["after", LAST] == pytest.approx(0.5, abs=0.08)
    assert linear["after", 0] > 0.6 or linear["after", 1] > 0.6
    assert "over all labels" in audit.advice[0]


def test_the_certificate_stands_beside_what_was_measured(ideal):
    audit, steering, _, _ = ideal
    table, after = audit.certificate, audit.recoverability.loc["after", "advantage"]
    within = after.drop(index=LAST, level="label")
    assert table.index.name == "constraint"
    for name, certificate in steering.certificate_.items():
        assert tuple(table.loc[name, ["bound", "kind"]]) == (certificate.bound, certificate.kind)
    assert table.loc["equalized_odds", "advantage"] == within.max()
    positive = after.xs(2, level="label").max()
    assert table.loc["equal_opportunity", "advantage"] == positive
    assert table.loc["demographic_parity", "advantage"] == after.xs(LAST, level="label").max()


def test_advice_on_an_ideal_law(ideal):
    first, second = ideal[0].advice
    assert first.startswith("After steering neither a linear nor a boosted classifier recovers")
    assert "within a label (AUC at most 0.5" in first
    assert second.startswith("If the group is unknown at prediction: the features show it")


def test_discrete_features_give_the_group_to_trees_and_the_copula_takes_it_back():
    X, y = discrete_sample()
    aucs = {}
    for family in ("normal", "copula"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            steering = steered(X[:400], y[:400], family=family)
        audit = audit_steering(steering, X[400:], y[400:], cv=2)
        aucs[family] = audit.recoverability["auc"].loc["after"].unstack("label").drop(columns=LAST)
        advice = " ".join(audit.advice)
        assert ("2 of 2 features are discrete" in advice) == (family == "normal")
        assert ("Use family='copula'" in advice) == (family == "normal")
    assert (aucs["normal"].loc["boosted"] > aucs["normal"].loc["linear"] + 0.3).all()
    assert (aucs["copula"].loc["boosted"] < 0.65).all()


def test_moments_are_those_of_groupby(ideal):
    audit, steering, X, y = ideal
    names = [name for name in X if name != "group"]
    after = pd.DataFrame(steering.transform(X), columns=names)
    assert audit.moments.attrs["reference_group"] == steering.reference_group_
    assert list(audit.moments.index.names) == ["feature", "label", "group"]
    for when, frame in (("before", X[names].reset_index(drop=True)), ("after", after)):
        keys = y.to_numpy(), X["group"].to_numpy()
        means, deviations = frame.groupby(list(keys)).mean(), frame.groupby(list(keys)).std(ddof=0)
        overall = frame.groupby(keys[1]).mean()
        for (name, label, group), row in audit.moments.iterrows():
            if label == LAST:
                assert row["mean", when] == pytest.approx(overall.loc[group, name])
                assert row["rows", ""] == (keys[1] == group).sum()
                continue
            cell, reference = (label, group), (label, steering.reference_group_)
            assert row["mean", when] == pytest.approx(means.loc[cell, name])
            assert row["deviation", when] == pytest.approx(deviations.loc[cell, name])
            scale = np.hypot(deviations.loc[cell, name], deviations.loc[reference, name])
            shift = means.loc[cell, name] - means.loc[reference, name]
            assert row["difference", when] == pytest.approx(shift * np.sqrt(2) / scale)


def test_moments_of_what_does_not_vary_or_is_not_there():
    X = np.column_stack([np.full(60, 0.1), np.arange(60) % 7])
    group, y = np.repeat(["a", "b", "c"], 20), np.tile([0, 1], 30)
    y[group == "b"] = 0
    audit = audit_steering(StandardScaler().fit(X), X, y, sensitive_features=group, cv=2)
    constant = audit.moments.loc[[(0, 0, "c")]].iloc[0]
    assert constant["deviation", "before"] == 0.0
    assert np.isnan(constant["difference", "before"])
    absent = audit.moments.loc[[(1, 1, "b")]].iloc[0]
    assert absent["rows", ""] == 0
    assert np.isnan(absent.drop(("rows", ""))).all()


# ------------------------------------------------------------------------------------------ advice


def table_of(before, after, labels=(0, 1), deviation=0.02):
    """Make a recoverability table from AUCs ``(linear, boosted)`` that all labels share."""
    keys = [*labels, LAST]
    index = pd.MultiIndex.from_product([["before", "after"], ["linear", "boosted"], keys])
    aucs = np.repeat([*before, *after], len(keys))
    columns = {"auc": aucs, "auc_deviation": deviation, "z": (aucs - 0.5) / deviation}
    columns |= {"balanced_accuracy": aucs, "advantage": 2 * aucs - 1, "advantage_deviation": 0.01}
    return pd.DataFrame(columns, index=index)


def certificate_of(**bounds):
    rows = [(bound, "proved", 0.3, 0.01) for bound in bounds.values()]
    columns = ["bound", "kind", "advantage", "advantage_deviation"]
    frame = pd.DataFrame(rows, index=list(bounds), columns=columns)
    return frame.astype({name: float for name in columns if name != "kind"})


def advice_of(before, after, steering=None, labels=(0, 1), discrete="", deviation=0.02, **bounds):
    steering = OptimalSteeringTransformer() if steering is None else steering
    table = table_of(before, after, deviation=deviation)
    return advise(steering, table, certificate_of(**bounds), list(labels), discrete)


def test_nothing_to_steer():
    (only,) = advice_of((0.51, 0.52), (0.5, 0.5))
    assert only == (
        "Nothing to steer: before steering neither a linear nor a boosted classifier recovers the "
        "group within a label (AUC at most 0.52, chance gives 0.50 ± 0.02)."
    )
    (only,) = advice_of((0.6, 0.6), (0.5, 0.5), deviation=0.04)  # not sure on so few rows
    assert only.startswith("Nothing to steer")
    assert not advice_of((0.51, 0.52), (0.5, 0.8))[0].startswith("Nothing")


def test_nothing_left():
    first, _ = advice_of((0.7, 0.7), (0.51, 0.54), labels=[1])
    assert first == (
        "After steering neither a linear nor a boosted classifier recovers the group within label "
        "1 (AUC at most 0.54, chance gives 0.50 ± 0.02): estimators of both kinds will do."
    )


@pytest.mark.parametrize(
    ("steering", "discrete", "end"),
    [
        (
            OptimalSteeringTransformer(),
            "2 of 3",
            "2 of 3 features are discrete, and each group stands on a grid of its own, so a tree "
            "ensemble will see the group. Use family='copula' or a linear estimator.",
        ),
        (
            OptimalSteeringTransformer(),
            "",
            "the groups still differ in more than their means, so a tree ensemble will see the "
            "group. Use family='copula' or a linear estimator.",
        ),
        (OptimalSteeringTransformer(family="copula"), "", "the group. Use a linear estimator."),
        (
            WithinLabelEraser(),
            "2 of 3",
            "the groups differ in more than their means. Use a linear estimator, or "
            "OptimalSteeringTransformer(family='copula').",
        ),
    ],
)
def test_what_trees_see(steering, discrete, end):
    first, _ = advice_of((0.7, 0.7), (0.52, 0.9), steering, discrete=discrete)
    assert first.startswith(
        "After steering boosting recovers the group within label 0 (AUC 0.90) much better than a "
        "linear classifier (0.52): "
    )
    assert first.endswith(end)


def test_what_is_left_for_both_kinds():
    first, _ = advice_of((0.8, 0.7), (0.7, 0.65), labels=[LAST])
    assert first == (
        "After steering a linear classifier still recovers the group over all labels (AUC 0.70, "
        "before 0.80): a classifier of these features can have a gap of about 0.40."
    )
    partly = OptimalSteeringTransformer(strength=0.5)
    first, _ = advice_of((0.8, 0.7), (0.7, 0.65), partly)
    assert first.endswith("strength=0.5 goes part of the way, 1 goes all of it.")


def test_a_certificate_that_the_rows_contradict():
    advice = advice_of((0.8, 0.8), (0.65, 0.65), equalized_odds=0.1, demographic_parity=0.28)
    assert advice[1] == (
        "The certificate does not hold on these rows: a classifier of the steered features has a "
        "gap of 0.30 in equalized_odds (proved bound 0.10). It speaks of the fitted model only: "
        "the rows do not follow the fitted law."
    )
    hidden = OptimalSteeringTransformer(group_strategy="posterior")
    advice = advice_of((0.8, 0.8), (0.65, 0.65), hidden, equalized_odds=0.1)
    assert advice[1].endswith("and it knows the group, which is withheld here.")


def test_what_to_do_if_the_group_is_unknown_at_prediction():
    assert advice_of((0.7, 0.76), (0.5, 0.5))[-1] == (
        "If the group is unknown at prediction: the features show it (AUC 0.76 before steering), "
        "so group_strategy='posterior' can work."
    )
    assert advice_of((0.7, 0.74), (0.5, 0.5))[-1] == (
        "If the group is unknown at prediction: the features do not show it well enough (AUC 0.74 "
        "before steering, 0.75 is needed) for group_strategy='posterior'; use WithinLabelEraser."
    )


def test_the_thresholds_are_what_their_reasons_say():
    shift = np.sqrt(2) * norm.ppf(SMALL_AUC)
    assert shift == pytest.approx(0.18, abs=0.005)
    assert 2 * norm.cdf(shift / 2) - 1 < 0.08
    assert 2 * norm.sf(SURE_Z) < 1 / 350
    assert 1 / norm.sf(SURE_Z) == pytest.approx(740, abs=2)
    assert 3 * null_auc_deviation(300, 300, 5) == pytest.approx(TREE_EDGE, abs=0.01)
    assert 0.69 < SHOWN_AUC < 0.93


def test_the_constraint_decides_which_labels_count():
    steering = WithinLabelEraser()
    assert concerned_labels(steering, ["n", "y"]) == {
        "equalized_odds": ["n", "y"],
        "equal_opportunity": ["y"],
        "demographic_parity": [LAST],
    }
    steering.pos_label_ = "n"
    assert concerned_labels(steering, ["n", "y"])["equal_opportunity"] == ["n"]
    assert concerned_labels(steering, ["y"])["equal_opportunity"] == []


# ---------------------------------------------------------------------------------- ways to call it


def equal(first, second):
    pd.testing.assert_frame_equal(first.recoverability, second.recoverability)
    pd.testing.assert_frame_equal(first.moments, second.moments)
    pd.testing.assert_frame_equal(first.certificate, second.certificate)
    assert first.advice == second.advice


def test_the_attribute_may_stand_beside_x_and_nothing_is_changed(small, training, expected):
    _, X, y = small
    train, train_y = training
    features, group = X.drop(columns="group"), X["group"]
    kept, kept_y, kept_group = features.copy(), y.copy(), group.copy()
    steering = OptimalSteeringTransformer(random_state=0, shrinkage=0.0)
    steering.fit(train.drop(columns="group"), train_y, sensitive_features=train["group"])
    equal(audit_steering(steering, features, y, sensitive_features=group, cv=2), expected)
    pd.testing.assert_frame_equal(features, kept)
    pd.testing.assert_series_equal(y, kept_y)
    pd.testing.assert_series_equal(group, kept_group)


def test_the_seed_decides(small, expected):
    again = audit_steering(*small, cv=2, random_state=np.random.RandomState(0))
    equal(again, expected)
    other = audit_steering(*small, cv=2, random_state=1)
    assert (other.recoverability["auc"] != expected.recoverability["auc"]).any()


def test_labels_may_be_text_and_output_a_frame(small, training, expected):
    _, X, y = small
    train, train_y = training
    names = {0: "no", 1: "yes"}
    steering = steered(train, train_y.map(names)).set_output(transform="pandas")
    audit = audit_steering(steering, X, y.map(names), cv=2)
    np.testing.assert_allclose(audit.recoverability, expected.recoverability)
    np.testing.assert_allclose(audit.moments, expected.moments)
    assert audit.recoverability.index.levels[2].tolist() == ["no", "yes", LAST]


def test_intersections_and_plain_arrays():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(160, 2)), rng.integers(2, size=160)
    attribute = pd.DataFrame({"sex": rng.choice(["f", "m"], 160), "old": rng.choice([0, 1], 160)})
    steering = OptimalSteeringTransformer(random_state=0).fit(X, y, sensitive_features=attribute)
    audit = audit_steering(steering, X, y, sensitive_features=attribute, cv=2)
    groups = audit.moments.index.get_level_values("group")
    assert groups.unique().tolist() == [("f", 0), ("f", 1), ("m", 0), ("m", 1)]
    assert audit.moments.index.get_level_values("feature").unique().tolist() == [0, 1]
    assert np.isfinite(audit.recoverability).all(axis=None)


def test_an_eraser_needs_no_attribute_and_has_no_certificate(small):
    _, X, y = small
    eraser = WithinLabelEraser("group", constraint="equal_opportunity").fit(X, y)
    audit = audit_steering(eraser, X, y, cv=2)
    assert audit.certificate.empty
    assert list(audit.certificate.columns) == ["bound", "kind", "advantage", "advantage_deviation"]
    assert audit.moments.attrs["reference_group"] == X["group"].mode()[0]
    after = audit.moments["mean", "after"].unstack("group").xs(1, level="label")
    np.testing.assert_allclose(after.to_numpy().T - after.iloc[:, 0].to_numpy(), 0.0, atol=1e-9)
    assert "within label 1" in audit.advice[0]


def test_any_fitted_transformer_will_do(small):
    _, X, y = small
    features, group = X.drop(columns="group"), X["group"]
    audit = audit_steering(
        StandardScaler().fit(features), features, y, sensitive_features=group, cv=2
    )
    linear = audit.recoverability["auc"].xs("linear", level="classifier")
    np.testing.assert_allclose(linear["after"], linear["before"], atol=1e-12)


@pytest.mark.parametrize("form", ["frame", "array", "beside"])
def test_a_group_to_be_guessed_is_withheld(form):
    rng = np.random.default_rng(0)
    n = 240
    group, y = np.arange(n) % 3, rng.integers(2, size=n)
    X = np.column_stack([rng.normal(size=(n, 2)) + 2 * group[:, None] + y[:, None], group])
    ids, given, unknown = 2, {}, X.copy()
    unknown[:, 2] = np.nan
    if form == "frame":
        X = pd.DataFrame(X, columns=["u", "v", "group"])
        ids, unknown = "group", X.assign(group=None)
    elif form == "beside":
        X, ids, given = X[:, :2], None, {"sensitive_features": group}
        unknown = X
    steering = OptimalSteeringTransformer(ids, group_strategy="posterior", random_state=0)
    steering.fit(X, y, **given)
    audit = audit_steering(steering, X, y, cv=2, **given)
    expected = pd.DataFrame(steering.transform(unknown)).groupby(group).mean()
    after = audit.moments["mean", "after"].unstack("group").xs(LAST, level="label")
    np.testing.assert_allclose(after.to_numpy(), expected.to_numpy().T)
    told = steering.transform(X, **given)
    assert np.abs(pd.DataFrame(told).groupby(group).mean() - expected).max(axis=None) > 0.01


def test_at_most_max_rows_are_drawn_in_proportion_but_moments_see_all(small):
    steering, X, y = small
    audit = audit_steering(steering, X, y, cv=2, max_rows=100)
    half = audit.recoverability["rows"].loc["before"].xs("linear")
    assert half[LAST] == 100
    for label in (0, 1):
        assert abs(half[label] - (y == label).sum() / 2) <= 1
    assert audit.moments["rows"].xs(LAST, level="label").groupby("feature").sum().eq(200).all()


def test_it_prints(ideal):
    audit = ideal[0]
    text = str(audit)
    for title in ("Recoverability of the group", "Largest differences", "Advice", "Certificate"):
        assert title in text
    assert f"* {audit.advice[0]}" in text
    assert "any label" in text


# ---------------------------------------------------------------------------------- what is refused


def test_a_label_with_too_few_rows_is_skipped_and_said_so(small):
    steering, X, y = small
    rare = np.flatnonzero((X["group"] == "b") & (y == 1))[2:]
    X, y = X.drop(index=X.index[rare]), y.drop(index=y.index[rare])
    audit = audit_steering(steering, X, y, cv=3)
    assert audit.advice[0] == (
        "Label 1 is skipped: group 'b' has 2 row(s) of it, fewer than cv=3 folds."
    )
    skipped = audit.recoverability.xs(1, level="label")
    assert skipped.drop(columns="rows").isna().all(axis=None)
    assert (skipped["rows"] == (y == 1).sum()).all()
    assert audit.recoverability.xs(0, level="label").notna().all(axis=None)
    assert np.isnan(audit.certificate.loc["equal_opportunity", "advantage"])
    assert "nan" not in " ".join(audit.advice)


def test_with_every_label_skipped_only_that_is_said(small):
    steering, X, y = small
    few = X.groupby([X["group"], y], sort=False).head(3).index
    audit = audit_steering(steering, X.loc[few], y.loc[few], cv=4)
    assert [text.split(" is skipped")[0] for text in audit.advice] == ["Label 0", "Label 1"]
    assert audit.recoverability.xs(LAST, level="label").notna().all(axis=None)


def test_a_group_with_too_few_rows_is_refused(small):
    steering, X, y = small
    rare = X.index[X["group"] == "b"][3:]
    with pytest.raises(ValueError, match=r"Group 'b' has 3 of the \d+ rows.*fewer than cv=5 folds"):
        audit_steering(steering, X.drop(index=rare), y.drop(index=rare))
    with pytest.raises(ValueError, match="of the 4 rows that the classifiers see.*raise max_rows"):
        audit_steering(steering, X, y, max_rows=4)


def test_bad_input_is_one_sentence(small):
    steering, X, y = small
    with pytest.raises(NotFittedError, match="not fitted"):
        audit_steering(OptimalSteeringTransformer("group"), X, y)
    with pytest.raises(ValueError, match="not both"):
        audit_steering(steering, X, y, sensitive_features=X["group"])
    with pytest.raises(ValueError, match="'group' is not in X"):
        audit_steering(steering, X.drop(columns="group"), y)
    features = X.drop(columns="group")
    scaler = StandardScaler().fit(features)
    with pytest.raises(ValueError, match="The sensitive attribute is missing"):
        audit_steering(scaler, features, y)
    one = X[X["group"] == "a"]
    with pytest.raises(ValueError, match="one group only .'a'.; an audit needs rows of at least"):
        audit_steering(steering, one, y[one.index])
    with pytest.raises(ValueError, match="PCA turns 3 features into 1"):
        audit_steering(PCA(1).fit(features), features, y, sensitive_features=X["group"])
    with pytest.raises(ValueError, match=r"y has 2 labels, but X has 200 rows"):
        audit_steering(steering, X, y[:2])
    with pytest.raises(ValueError, match="cv == 1, must be >= 2"):
        audit_steering(steering, X, y, cv=1)
    with pytest.raises(ValueError, match="max_rows == 0, must be >= 1"):
        audit_steering(steering, X, y, max_rows=0)
    with pytest.raises(ValueError, match="'new'.*not seen in fit"):
        audit_steering(steering, X.replace({"group": {"a": "new"}}), y)
