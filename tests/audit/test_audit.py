import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fairsteer import (
    OptimalSteeringTransformer,
    SteeredClassifier,
    SubgroupGaussians,
    WithinLabelEraser,
)
from fairsteer.audit import audit_steering
from fairsteer.audit._advice import (
    ANY_LABEL,
    SHOWN_AUC,
    SMALL_AUC,
    SURE_Z,
    TREE_EDGE,
    advise,
    compared_labels,
)
from fairsteer.datasets import make_gaussian_subgroups
from fairsteer.metrics._attacks import Leakage, null_auc_deviation

pytestmark = pytest.mark.slow

LABELS, GROUPS, D = 3, 3, 3


def make_ideal(seed=0):
    """Return an ideal distribution: each group is an affine image of the others, for all labels."""
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
    """An audit of 1,200 held-out rows of an ideal distribution, with the steering and the rows."""
    distribution = make_ideal()
    steering = steered(*sample(6000, seed=1, gaussians=distribution))
    X, y = sample(1200, seed=2, gaussians=distribution)
    return audit_steering(steering, X, y, cv=2), steering, X, y


@pytest.fixture(scope="module")
def training():
    """200 rows of another distribution, for tests without precise numbers."""
    X, y = sample(400, seed=3, n_labels=2, n_groups=3, n_features=3)
    return X[:200], y[:200]


@pytest.fixture(scope="module")
def small(training):
    """A steering fitted on these rows, and 200 other rows."""
    X, y = sample(400, seed=3, n_labels=2, n_groups=3, n_features=3)
    return steered(*training), X[200:], y[200:]


@pytest.fixture(scope="module")
def expected(small):
    """The audit of these rows."""
    return audit_steering(*small, cv=2)


# --------------------------------------------------------------------------------- before and after


def test_steering_an_ideal_distribution_hides_the_group_within_every_label(ideal):
    table = ideal[0].leakage
    assert list(table.index.names) == ["features", "classifier", "label"]
    assert list(table.columns) == [*Leakage._fields, "rows"]
    assert table.loc["before", "auc"].min() > 0.6
    assert table.loc["before", "z"].min() > 5
    within = table.loc["after"].drop(index=ANY_LABEL, level="label")
    assert within["z"].abs().max() < 4
    assert abs(within["auc"] - 0.5).max() < 0.08
    assert within["attack_advantage"].max() < table.loc["before", "attack_advantage"].min()


def test_rows_are_counted(ideal):
    audit, _, _, y = ideal
    counts = [*np.bincount(y), len(y)]
    assert audit.leakage["rows"].tolist() == counts * 4


def test_demographic_parity_hides_the_group_over_all_labels():
    X, y = sample(2400, seed=5, n_labels=2, n_groups=2, n_features=3)
    steering = steered(X[:1600], y[:1600], constraint="demographic_parity")
    audit = audit_steering(steering, X[1600:], y[1600:], cv=2)
    linear = audit.leakage["auc"].xs("linear", level="classifier")
    assert linear["before", ANY_LABEL] > 0.6
    assert linear["after", ANY_LABEL] == pytest.approx(0.5, abs=0.08)
    assert linear["after", 0] > 0.6 or linear["after", 1] > 0.6
    assert "all labels" in audit.advice[0]


def test_the_certificate_has_the_bounds_and_the_measured_advantages(ideal):
    audit, steering, _, _ = ideal
    table, after = audit.certificate, audit.leakage.loc["after", "attack_advantage"]
    within = after.drop(index=ANY_LABEL, level="label")
    assert table.index.name == "constraint"
    for name, certificate in steering.certificate_.items():
        assert tuple(table.loc[name, ["bound", "kind"]]) == (certificate.bound, certificate.kind)
    assert table.loc["equalized_odds", "attack_advantage"] == within.max()
    positive = after.xs(2, level="label").max()
    assert table.loc["equal_opportunity", "attack_advantage"] == positive
    assert (
        table.loc["demographic_parity", "attack_advantage"]
        == after.xs(ANY_LABEL, level="label").max()
    )


def test_advice_on_an_ideal_distribution(ideal):
    first, second = ideal[0].advice
    for fact in ("neither a linear nor a boosted", "within a label", "AUC at most 0.5"):
        assert fact in first
    assert "group_strategy='posterior' can work" in second


def test_trees_recover_the_group_from_discrete_features_but_not_after_the_copula():
    X, y = discrete_sample()
    aucs = {}
    for family in ("normal", "copula"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            steering = steered(X[:400], y[:400], family=family)
        audit = audit_steering(steering, X[400:], y[400:], cv=2)
        aucs[family] = audit.leakage["auc"].loc["after"].unstack("label").drop(columns=ANY_LABEL)
        advice = " ".join(audit.advice)
        assert ("2 of 2 features" in advice) == (family == "normal")
        assert ("family='copula'" in advice) == (family == "normal")
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
            if label == ANY_LABEL:
                assert row["mean", when] == pytest.approx(overall.loc[group, name])
                assert row["rows", ""] == (keys[1] == group).sum()
                continue
            own, reference = (label, group), (label, steering.reference_group_)
            assert row["mean", when] == pytest.approx(means.loc[own, name])
            assert row["deviation", when] == pytest.approx(deviations.loc[own, name])
            scale = np.hypot(deviations.loc[own, name], deviations.loc[reference, name])
            shift = means.loc[own, name] - means.loc[reference, name]
            assert row["difference", when] == pytest.approx(shift * np.sqrt(2) / scale)


def test_moments_of_constants_and_of_missing_subgroups():
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


def make_leakage(before, after, labels=(0, 1), deviation=0.02):
    """Make a table of leakage from AUCs ``(linear, boosted)`` that all labels share."""
    keys = [*labels, ANY_LABEL]
    index = pd.MultiIndex.from_product([["before", "after"], ["linear", "boosted"], keys])
    aucs = np.repeat([*before, *after], len(keys))
    columns = {
        "auc": aucs,
        "auc_deviation": deviation,
        "z": (aucs - 0.5) / deviation,
        "balanced_accuracy": aucs,
        "attack_advantage": 2 * aucs - 1,
        "attack_advantage_deviation": 0.01,
    }
    return pd.DataFrame(columns, index=index)


def make_certificate(**bounds):
    rows = [(bound, "model", 0.3, 0.01) for bound in bounds.values()]
    columns = ["bound", "kind", "attack_advantage", "attack_advantage_deviation"]
    frame = pd.DataFrame(rows, index=list(bounds), columns=columns)
    return frame.astype({name: float for name in columns if name != "kind"})


def make_advice(
    before, after, steering=None, labels=(0, 1), n_discrete=0, deviation=0.02, **bounds
):
    steering = OptimalSteeringTransformer() if steering is None else steering
    leakage = make_leakage(before, after, deviation=deviation)
    return advise(steering, leakage, make_certificate(**bounds), list(labels), n_discrete, 3)


def test_there_is_nothing_to_steer_if_no_classifier_recovers_the_group():
    (only,) = make_advice((0.51, 0.52), (0.5, 0.5))
    for fact in ("nothing to steer", "within a label", "0.52", "0.50 ± 0.02"):
        assert fact in only
    (only,) = make_advice((0.6, 0.6), (0.5, 0.5), deviation=0.04)  # not significant on few rows
    assert "nothing to steer" in only
    assert "nothing to steer" not in make_advice((0.51, 0.52), (0.5, 0.8))[0]


def test_neither_classifier_recovers_the_group_after_steering():
    first, _ = make_advice((0.7, 0.7), (0.51, 0.54), labels=[1])
    for fact in ("After steering", "neither", "within label 1", "0.54", "0.50 ± 0.02"):
        assert fact in first


@pytest.mark.parametrize(
    ("steering", "n_discrete", "facts", "remedy"),
    [
        (
            OptimalSteeringTransformer(),
            2,
            ["2 of 3 features are discrete"],
            "Use family='copula' or a linear estimator.",
        ),
        (
            OptimalSteeringTransformer(),
            0,
            ["more than their means"],
            "Use family='copula' or a linear estimator.",
        ),
        (OptimalSteeringTransformer(family="copula"), 0, [], "Use a linear estimator."),
        (
            WithinLabelEraser(),
            2,
            ["more than their means", "Use a linear estimator"],
            "OptimalSteeringTransformer(family='copula').",
        ),
    ],
)
def test_a_boosted_classifier_recovers_more_than_a_linear_classifier(
    steering, n_discrete, facts, remedy
):
    first, _ = make_advice((0.7, 0.7), (0.52, 0.9), steering, n_discrete=n_discrete)
    for fact in ("boosted classifier recovers", "within label 0", "AUC 0.90", "0.52", *facts):
        assert fact in first
    assert first.endswith(remedy)


def test_a_linear_classifier_still_recovers_the_group():
    first, _ = make_advice((0.8, 0.7), (0.7, 0.65), labels=[ANY_LABEL])
    for fact in ("linear classifier still", "all labels", "0.70", "before steering 0.80", "0.40"):
        assert fact in first
    partly = OptimalSteeringTransformer(strength=0.5)
    first, _ = make_advice((0.8, 0.7), (0.7, 0.65), partly)
    assert "strength=0.5" in first
    assert "0.40" not in first


def test_a_certificate_that_the_rows_contradict():
    bounds = {"equalized_odds": 0.1, "demographic_parity": 0.28}
    _, broken, _ = make_advice((0.8, 0.8), (0.65, 0.65), **bounds)
    for fact in ("certificate does not hold", "0.30 in equalized_odds (model bound 0.10)"):
        assert fact in broken
    assert "demographic_parity" not in broken
    assert "group is known" not in broken
    hidden = OptimalSteeringTransformer(group_strategy="posterior")
    _, broken, _ = make_advice((0.8, 0.8), (0.65, 0.65), hidden, equalized_odds=0.1)
    assert "group is known" in broken


@pytest.mark.parametrize(("auc", "enough"), [(0.76, True), (0.74, False)])
def test_what_to_do_if_the_group_is_unknown_at_prediction(auc, enough):
    advice = make_advice((0.7, auc), (0.5, 0.5))[-1]
    assert f"AUC {auc} before steering" in advice
    assert ("WithinLabelEraser" in advice) != enough
    assert ("at least 0.75" in advice) != enough


def test_the_thresholds_agree_with_the_reasons_for_them():
    shift = np.sqrt(2) * norm.ppf(SMALL_AUC)
    assert shift == pytest.approx(0.18, abs=0.005)
    assert 2 * norm.cdf(shift / 2) - 1 < 0.08
    assert 2 * norm.sf(SURE_Z) < 1 / 350
    assert 1 / norm.sf(SURE_Z) == pytest.approx(740, abs=2)
    assert 3 * null_auc_deviation(300, 300, 5) == pytest.approx(TREE_EDGE, abs=0.01)
    assert 0.69 < SHOWN_AUC < 0.93


def test_the_constraint_decides_which_labels_are_compared():
    steering = WithinLabelEraser()
    assert compared_labels(steering, ["n", "y"]) == {
        "equalized_odds": ["n", "y"],
        "equal_opportunity": ["y"],
        "demographic_parity": [ANY_LABEL],
    }
    steering.pos_label_ = "n"
    assert compared_labels(steering, ["n", "y"])["equal_opportunity"] == ["n"]
    assert compared_labels(steering, ["y"])["equal_opportunity"] == []


# ---------------------------------------------------------------------------------- ways to call it


def assert_equal(first, second):
    pd.testing.assert_frame_equal(first.leakage, second.leakage)
    pd.testing.assert_frame_equal(first.moments, second.moments)
    pd.testing.assert_frame_equal(first.certificate, second.certificate)
    assert first.advice == second.advice


def test_the_attribute_can_be_passed_beside_x_and_no_input_is_changed(small, training, expected):
    _, X, y = small
    train, train_y = training
    features, group = X.drop(columns="group"), X["group"]
    kept, kept_y, kept_group = features.copy(), y.copy(), group.copy()
    steering = OptimalSteeringTransformer(random_state=0, shrinkage=0.0)
    steering.fit(train.drop(columns="group"), train_y, sensitive_features=train["group"])
    assert_equal(audit_steering(steering, features, y, sensitive_features=group, cv=2), expected)
    pd.testing.assert_frame_equal(features, kept)
    pd.testing.assert_series_equal(y, kept_y)
    pd.testing.assert_series_equal(group, kept_group)


def test_the_seed_determines_the_audit(small, expected):
    again = audit_steering(*small, cv=2, random_state=np.random.RandomState(0))
    assert_equal(again, expected)
    other = audit_steering(*small, cv=2, random_state=1)
    assert (other.leakage["auc"] != expected.leakage["auc"]).any()


def test_labels_can_be_text_and_the_output_a_frame(small, training, expected):
    _, X, y = small
    train, train_y = training
    names = {0: "no", 1: "yes"}
    steering = steered(train, train_y.map(names)).set_output(transform="pandas")
    audit = audit_steering(steering, X, y.map(names), cv=2)
    np.testing.assert_allclose(audit.leakage, expected.leakage)
    np.testing.assert_allclose(audit.moments, expected.moments)
    assert audit.leakage.index.levels[2].tolist() == ["no", "yes", ANY_LABEL]


def test_intersections_and_plain_arrays():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(160, 2)), rng.integers(2, size=160)
    attribute = pd.DataFrame({"sex": rng.choice(["f", "m"], 160), "old": rng.choice([0, 1], 160)})
    steering = OptimalSteeringTransformer(random_state=0).fit(X, y, sensitive_features=attribute)
    audit = audit_steering(steering, X, y, sensitive_features=attribute, cv=2)
    groups = audit.moments.index.get_level_values("group")
    assert groups.unique().tolist() == [("f", 0), ("f", 1), ("m", 0), ("m", 1)]
    assert audit.moments.index.get_level_values("feature").unique().tolist() == [0, 1]
    assert np.isfinite(audit.leakage).all(axis=None)


def test_an_eraser_needs_no_attribute_and_has_no_bound(small):
    _, X, y = small
    eraser = WithinLabelEraser("group", constraint="equal_opportunity").fit(X, y)
    audit = audit_steering(eraser, X, y, cv=2)
    assert audit.certificate["bound"].isna().all()
    assert (audit.certificate["attack_advantage"] >= 0.0).all()
    assert list(audit.certificate.columns) == [
        "bound",
        "kind",
        "attack_advantage",
        "attack_advantage_deviation",
    ]
    assert audit.moments.attrs["reference_group"] == X["group"].mode()[0]
    after = audit.moments["mean", "after"].unstack("group").xs(1, level="label")
    np.testing.assert_allclose(after.to_numpy().T - after.iloc[:, 0].to_numpy(), 0.0, atol=1e-9)
    assert "within label 1" in audit.advice[0]


def test_of_a_model_its_steering_is_audited(small, training, expected):
    _, X, y = small
    parameters = {"random_state": 0, "shrinkage": 0.0}
    steering = OptimalSteeringTransformer("group", **parameters)
    for model in (
        make_pipeline(make_pipeline("passthrough", steering), LogisticRegression()),
        make_pipeline(SteeredClassifier(LogisticRegression(), steering)),
    ):
        assert_equal(audit_steering(model.fit(*training), X, y, cv=2), expected)


def test_in_a_pipeline_the_rows_are_those_that_the_steering_gets(small, training):
    _, X, y = small
    train, train_y = training
    scaler = ColumnTransformer(
        [("scale", StandardScaler(), ["x0", "x1", "x2"])],
        remainder="passthrough",
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")
    model = make_pipeline(scaler, OptimalSteeringTransformer("group", random_state=0))
    model.fit(train, train_y)
    expected = audit_steering(model[-1], scaler.transform(X), y, cv=2)
    assert_equal(audit_steering(model, X, y, cv=2), expected)


def test_a_model_without_steering_is_refused(small):
    _, X, y = small
    features, group = X.drop(columns="group"), X["group"]
    scaled = make_pipeline(StandardScaler(), LogisticRegression())
    for model in (scaled.fit(features, y), LogisticRegression().fit(features, y)):
        with pytest.raises(TypeError, match=f"{type(model).__name__} has none"):
            audit_steering(model, features, y, sensitive_features=group)
    with pytest.raises(NotFittedError):
        audit_steering(SteeredClassifier(LogisticRegression()), features, y)


def test_any_fitted_transformer_is_accepted(small):
    _, X, y = small
    features, group = X.drop(columns="group"), X["group"]
    audit = audit_steering(
        StandardScaler().fit(features), features, y, sensitive_features=group, cv=2
    )
    linear = audit.leakage["auc"].xs("linear", level="classifier")
    np.testing.assert_allclose(linear["after"], linear["before"], atol=1e-12)


@pytest.mark.parametrize("form", ["frame", "array", "beside"])
def test_a_group_that_steering_estimates_is_not_passed(form):
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
    after = audit.moments["mean", "after"].unstack("group").xs(ANY_LABEL, level="label")
    np.testing.assert_allclose(after.to_numpy(), expected.to_numpy().T)
    known = steering.transform(X, **given)
    assert np.abs(pd.DataFrame(known).groupby(group).mean() - expected).max(axis=None) > 0.01


def test_at_most_max_rows_are_drawn_in_proportion_but_moments_use_all(small):
    steering, X, y = small
    audit = audit_steering(steering, X, y, cv=2, max_rows=100)
    half = audit.leakage["rows"].loc["before"].xs("linear")
    assert half[ANY_LABEL] == 100
    for label in (0, 1):
        assert abs(half[label] - (y == label).sum() / 2) <= 1
    assert audit.moments["rows"].xs(ANY_LABEL, level="label").groupby("feature").sum().eq(200).all()


def test_it_prints(ideal):
    audit = ideal[0]
    text = str(audit)
    for title in ("Leakage", "Largest differences", "Advice", "Gaps that an attacker attains"):
        assert title in text
    assert f"* {audit.advice[0]}" in text
    assert "any label" in text


# ------------------------------------------------------------------------------------ invalid input


def test_a_label_with_too_few_rows_is_skipped_and_named(small):
    steering, X, y = small
    rare = np.flatnonzero((X["group"] == "b") & (y == 1))[2:]
    X, y = X.drop(index=X.index[rare]), y.drop(index=y.index[rare])
    audit = audit_steering(steering, X, y, cv=3)
    for fact in ("Label 1 is skipped", "group 'b' has 2 row", "cv=3"):
        assert fact in audit.advice[0]
    skipped = audit.leakage.xs(1, level="label")
    assert skipped.drop(columns="rows").isna().all(axis=None)
    assert (skipped["rows"] == (y == 1).sum()).all()
    assert audit.leakage.xs(0, level="label").notna().all(axis=None)
    assert np.isnan(audit.certificate.loc["equal_opportunity", "attack_advantage"])
    assert "nan" not in " ".join(audit.advice)


def test_if_every_label_is_skipped_there_is_no_other_advice(small):
    steering, X, y = small
    few = X.groupby([X["group"], y], sort=False).head(3).index
    audit = audit_steering(steering, X.loc[few], y.loc[few], cv=4)
    assert [text.split(" is skipped")[0] for text in audit.advice] == ["Label 0", "Label 1"]
    assert audit.leakage.xs(ANY_LABEL, level="label").notna().all(axis=None)


def test_a_group_with_too_few_rows_is_refused(small):
    steering, X, y = small
    rare = X.index[X["group"] == "b"][3:]
    with pytest.raises(ValueError, match=r"Group 'b' has 3 of the \d+ rows.* cv=5"):
        audit_steering(steering, X.drop(index=rare), y.drop(index=rare))
    with pytest.raises(ValueError, match="of the 4 rows.*max_rows"):
        audit_steering(steering, X, y, max_rows=4)


def test_bad_input_is_named(small):
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
    with pytest.raises(ValueError, match="one group only .'a'.*audit"):
        audit_steering(steering, one, y[one.index])
    with pytest.raises(ValueError, match="PCA returns 1 features for 3"):
        audit_steering(PCA(1).fit(features), features, y, sensitive_features=X["group"])
    with pytest.raises(ValueError, match="y has 2 labels, but X has 200"):
        audit_steering(steering, X, y[:2])
    with pytest.raises(ValueError, match="cv == 1"):
        audit_steering(steering, X, y, cv=1)
    with pytest.raises(ValueError, match="max_rows == 0"):
        audit_steering(steering, X, y, max_rows=0)
    with pytest.raises(ValueError, match="'new'.*not seen in fit"):
        audit_steering(steering, X.replace({"group": {"a": "new"}}), y)
