"""What a scikit-learn user tries on the first day, each held against the same thing by hand."""

import subprocess
import sys
from types import SimpleNamespace

import joblib
import numpy as np
import pandas as pd
import pytest
from fairlearn.metrics import (
    MetricFrame,
    demographic_parity_difference,
    equalized_odds_difference,
    selection_rate,
)
from fairlearn.postprocessing import ThresholdOptimizer
from fairlearn.reductions import DemographicParity, ExponentiatedGradient
from imblearn.over_sampling import SMOTE, SMOTENC, RandomOverSampler
from imblearn.pipeline import make_pipeline as make_resampling_pipeline
from lightgbm import LGBMClassifier
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal
from scipy.stats import uniform
from sklearn import clone, config_context
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    BaggingClassifier,
    HistGradientBoostingClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    HalvingGridSearchCV,
    KFold,
    RandomizedSearchCV,
    StratifiedKFold,
    TunedThresholdClassifierCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
    train_test_split,
    validation_curve,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    PolynomialFeatures,
    StandardScaler,
    TargetEncoder,
)
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import estimator_html_repr

from fairsteer import (
    OptimalSteeringTransformer,
    SteeredClassifier,
    SteeringWarning,
    WithinLabelEraser,
)
from fairsteer.datasets import load_diabetes_progression, make_gaussian_subgroups
from fairsteer.metrics import fairness_report, make_fairness_scorer, most_accurate_within

pytestmark = pytest.mark.slow

N = 360
FEATURES = [f"x{j}" for j in range(5)]
CV = StratifiedKFold(3)
PARITY = {"constraint": "demographic_parity"}


def data_of(sample):
    X, group = sample.data, sample.sensitive_features
    return SimpleNamespace(X=X, features=X[FEATURES], group=group, y=sample.target)


@pytest.fixture(scope="module")
def rows():
    """Rows of two labels, three groups named by text, five features."""
    return data_of(make_gaussian_subgroups(N, n_groups=3, n_features=5, random_state=3))


@pytest.fixture(scope="module")
def three_labels():
    return data_of(make_gaussian_subgroups(N, n_labels=3, n_groups=3, n_features=5, random_state=1))


@pytest.fixture(scope="module")
def mixed(rows):
    """The rows with a column of text and one with gaps."""
    rng = np.random.default_rng(0)
    town = pd.Series(rng.choice(["hill", "lake", "moor"], N), index=rows.X.index)
    gaps = rows.X["x0"].where(rng.random(N) > 0.1)
    return rows.X.assign(town=town, x0=gaps)


def steering(ids="group", **parameters):
    return OptimalSteeringTransformer(ids, **(PARITY | parameters))


def pipeline(ids="group", classifier=None, **parameters):
    return Pipeline(
        [
            ("steer", steering(ids, **parameters)),
            ("classify", LogisticRegression() if classifier is None else classifier),
        ]
    )


def by_hand(X, y, X_new, classifier=None, **parameters):
    """Fit on steered rows without a Pipeline; return the classifier and the steered new rows."""
    steer = steering(**parameters)
    classifier = LogisticRegression() if classifier is None else clone(classifier)
    classifier.fit(steer.fit_transform(X, y), y)
    return classifier, steer.transform(X_new)


def predicted_by_hand(X, y, X_new, classifier=None, **parameters):
    model, moved = by_hand(X, y, X_new, classifier, **parameters)
    return model.predict(moved)


def scores_by_hand(rows, metric=accuracy_score, splits=None, **arguments):
    """Score every fold without scikit-learn's tools."""
    scores = []
    for train, test in CV.split(rows.X, rows.y) if splits is None else splits:
        X, X_new, y = rows.X.iloc[train], rows.X.iloc[test], rows.y.iloc[train]
        predicted = predicted_by_hand(X, y, X_new, **arguments)
        scores.append(metric(rows.y.iloc[test], predicted, rows.group.iloc[test]))
    return np.array(scores)


def accuracy(y, predicted, group):
    return accuracy_score(y, predicted)


def gap(y, predicted, group):
    return -demographic_parity_difference(y, predicted, sensitive_features=group)


def keep_group(transformer, columns):
    """Apply a transformer to some columns and hand on the others, names kept."""
    return make_column_transformer(
        (transformer, columns), remainder="passthrough", verbose_feature_names_out=False
    ).set_output(transform="pandas")


# ------------------------------------------------------------------------------------- pipelines


def test_fit_predict_and_score_a_pipeline(rows):
    train, test = slice(0, 250), slice(250, N)
    model = pipeline().fit(rows.X[train], rows.y[train])
    expected, moved = by_hand(rows.X[train], rows.y[train], rows.X[test])
    assert_array_equal(model.predict(rows.X[test]), expected.predict(moved))
    assert_allclose(model.predict_proba(rows.X[test]), expected.predict_proba(moved))
    assert_allclose(model.decision_function(rows.X[test]), expected.decision_function(moved))
    assert model.score(rows.X[test], rows.y[test]) == expected.score(moved, rows.y[test])


def test_a_pipeline_with_the_attribute_routed_equals_the_column(rows):
    with config_context(enable_metadata_routing=True):
        model = pipeline(None).fit(rows.features, rows.y, sensitive_features=rows.group)
        routed = model.predict_proba(rows.features, sensitive_features=rows.group)
    assert_array_equal(routed, pipeline().fit(rows.X, rows.y).predict_proba(rows.X))


def test_a_split_stratified_by_label_and_group(rows):
    X, X_new, y, y_new = train_test_split(
        rows.X, rows.y, stratify=rows.X["group"].str.cat(rows.y.astype(str)), random_state=0
    )
    expected, moved = by_hand(X, y, X_new)
    assert pipeline().fit(X, y).score(X_new, y_new) == expected.score(moved, y_new)


def test_after_a_scaler_that_returns_frames(rows):
    X = rows.X.assign(group=rows.group.factorize()[0])
    scaler = StandardScaler().set_output(transform="pandas")
    model = make_pipeline(scaler, steering(), LogisticRegression()).fit(X, rows.y)
    scaled = scaler.fit_transform(X)
    assert_array_equal(model.predict(X), predicted_by_hand(scaled, rows.y, scaled))
    # Scaling renames the groups only: the features are those of scaling them alone.
    alone = StandardScaler().fit_transform(rows.features)
    expected = steering(None).fit_transform(alone, rows.y, sensitive_features=rows.group)
    assert_allclose(model[1].transform(model[0].transform(X)), expected)


def test_after_a_scaler_that_returns_arrays_by_position(rows):
    X = rows.X.assign(group=rows.group.factorize()[0])
    model = make_pipeline(StandardScaler(), steering(-1), LogisticRegression()).fit(X, rows.y)
    frames = StandardScaler().set_output(transform="pandas").fit_transform(X)
    assert_array_equal(model.predict(X), predicted_by_hand(frames, rows.y, frames))


def test_one_row_at_a_time(rows):
    model = pipeline(constraint="equalized_odds").fit(rows.X, rows.y)
    batch = model.predict_proba(rows.X.head(8))
    one_by_one = [model.predict_proba(rows.X.iloc[[k]])[0] for k in range(8)]
    records = [
        model.predict_proba(pd.DataFrame([row]))[0] for row in rows.X.head(8).to_dict("records")
    ]
    assert_allclose(one_by_one, batch)
    assert_allclose(records, batch)


def test_steering_is_switched_off_by_its_strength(rows):
    model = pipeline().set_params(steer__strength=0).fit(rows.X, rows.y)
    blind = LogisticRegression().fit(rows.features.to_numpy(), rows.y)
    assert_allclose(model.predict_proba(rows.X), blind.predict_proba(rows.features.to_numpy()))


def test_weights_of_the_ideal_priors_reach_the_last_step(rows):
    model = pipeline(priors="independent")
    weights = steering(priors="independent").fit(rows.X, rows.y).ideal_sample_weight(rows.X, rows.y)
    model.fit(rows.X, rows.y, classify__sample_weight=weights)
    moved = steering(priors="independent").fit_transform(rows.X, rows.y)
    expected = LogisticRegression().fit(moved, rows.y, sample_weight=weights)
    assert_allclose(model["classify"].coef_, expected.coef_)
    assert not np.allclose(model["classify"].coef_, LogisticRegression().fit(moved, rows.y).coef_)


def test_weights_by_routing_reach_both_steps(rows):
    weights = np.random.default_rng(0).integers(1, 4, N)
    with config_context(enable_metadata_routing=True):
        model = make_pipeline(
            steering(None).set_fit_request(sample_weight=True),
            LogisticRegression().set_fit_request(sample_weight=True),
        ).fit(rows.features, rows.y, sample_weight=weights, sensitive_features=rows.group)
    twice = rows.X.loc[rows.X.index.repeat(weights)]
    expected, _ = by_hand(twice, rows.y.repeat(weights), rows.X)
    assert_allclose(model[-1].coef_, expected.coef_, rtol=1e-4)


def test_a_cached_pipeline_fits_steering_once(rows, tmp_path):
    model = pipeline().set_params(memory=str(tmp_path)).fit(rows.X, rows.y)
    assert len(list(tmp_path.rglob("output.pkl"))) == 1
    again = clone(model).set_params(classify__C=0.1).fit(rows.X, rows.y)
    assert len(list(tmp_path.rglob("output.pkl"))) == 1
    clone(model).set_params(steer__strength=0.5).fit(rows.X, rows.y)
    assert len(list(tmp_path.rglob("output.pkl"))) == 2
    expected = predicted_by_hand(rows.X, rows.y, rows.X, LogisticRegression(C=0.1))
    assert_array_equal(again.predict(rows.X), expected)


def test_side_by_side_in_a_feature_union(rows):
    union = FeatureUnion([("steered", steering()), ("erased", WithinLabelEraser("group"))])
    moved = union.fit_transform(rows.X, rows.y)
    parts = [
        estimator.fit(rows.X, rows.y).transform(rows.X)
        for estimator in (steering(), WithinLabelEraser("group"))
    ]
    assert_array_equal(moved, np.hstack(parts))
    names = [f"{part}__{name}" for part in ("steered", "erased") for name in FEATURES]
    assert list(union.get_feature_names_out()) == names


# ------------------------------------------------------------------- other steps before and after


@pytest.mark.filterwarnings("ignore::fairsteer.SteeringWarning")
def test_columns_encoded_before_with_the_attribute_passed_through(mixed, rows):
    encode = ColumnTransformer(
        [
            ("number", make_pipeline(SimpleImputer(), StandardScaler()), FEATURES),
            ("text", OneHotEncoder(sparse_output=False, drop="first"), ["town"]),
            ("attribute", "passthrough", ["group"]),
        ],
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")
    model = make_pipeline(encode, *(step for _, step in pipeline().steps)).fit(mixed, rows.y)
    encoded = encode.fit_transform(mixed)
    assert list(encoded) == [*FEATURES, "town_lake", "town_moor", "group"]
    assert_array_equal(model.predict(mixed), predicted_by_hand(encoded, rows.y, encoded))
    assert list(model[:-1].get_feature_names_out()) == [*FEATURES, "town_lake", "town_moor"]


def test_the_prefix_of_a_column_transformer_belongs_to_the_name(rows):
    scale = make_column_transformer((StandardScaler(), FEATURES), remainder="passthrough")
    model = make_pipeline(
        scale.set_output(transform="pandas"), steering("remainder__group"), LogisticRegression()
    ).fit(rows.X, rows.y)
    scaled = keep_group(StandardScaler(), FEATURES).fit_transform(rows.X)
    assert_array_equal(model.predict(rows.X), predicted_by_hand(scaled, rows.y, scaled))


def test_inside_a_column_transformer_with_the_attribute_among_its_columns(mixed, rows):
    columns = ColumnTransformer(
        [("steer", steering(), ["x1", "x2", "group"]), ("text", OneHotEncoder(), ["town"])]
    )
    out = columns.fit_transform(mixed, rows.y)
    moved = steering().fit_transform(mixed[["x1", "x2", "group"]], rows.y)
    assert_array_equal(out, np.hstack([moved, pd.get_dummies(mixed["town"])]))
    assert list(columns.get_feature_names_out()[:3]) == [
        "steer__x1",
        "steer__x2",
        "text__town_hill",
    ]


def test_inside_a_column_transformer_with_the_attribute_routed(rows):
    columns = make_column_transformer((steering(None), ["x2", "x0"]), remainder="passthrough")
    with config_context(enable_metadata_routing=True):
        out = columns.fit_transform(rows.features, rows.y, sensitive_features=rows.group)
        later = columns.transform(rows.features, sensitive_features=rows.group)
    moved = steering().fit_transform(rows.X[["x2", "x0", "group"]], rows.y)
    assert_array_equal(out, np.column_stack([moved, rows.X[["x1", "x3", "x4"]]]))
    assert_array_equal(later, out)


def test_a_column_transformer_behind_picks_columns_by_name(rows):
    pick = make_column_transformer((StandardScaler(), ["x2"]), ("passthrough", ["x0"]))
    model = make_pipeline(steering(), pick).set_output(transform="pandas")
    moved = steering().set_output(transform="pandas").fit_transform(rows.X, rows.y)
    out = model.fit_transform(rows.X, rows.y)
    assert_allclose(out["standardscaler__x2"], StandardScaler().fit_transform(moved[["x2"]])[:, 0])
    assert_array_equal(out["passthrough__x0"], moved["x0"])


def test_gaps_are_imputed_before(mixed, rows):
    X = mixed.drop(columns="town")
    impute = keep_group(SimpleImputer(strategy="median"), FEATURES)
    model = make_pipeline(impute, steering(), LogisticRegression()).fit(X, rows.y)
    filled = X.fillna({"x0": X["x0"].median()})
    assert_array_equal(model.predict(X), predicted_by_hand(filled, rows.y, filled))


def with_product(X):
    return X.assign(product=X["x0"] * X["x1"])


def test_a_function_before(rows):
    model = make_pipeline(FunctionTransformer(with_product), steering(), LogisticRegression())
    X = with_product(rows.X)
    assert_array_equal(model.fit(rows.X, rows.y).predict(rows.X), predicted_by_hand(X, rows.y, X))


def test_a_target_encoder_before(mixed, rows):
    X, seen = mixed.drop(columns="x0"), []
    encode = keep_group(TargetEncoder(cv=3), ["town"])
    # Training rows are encoded across folds at random, so they are taken as the steering saw them.
    look = FunctionTransformer(lambda X: seen.append(X) or X)
    model = make_pipeline(encode, look, steering(), LogisticRegression()).fit(X, rows.y)
    new = encode.transform(X)
    assert not np.allclose(seen[0]["town"], new["town"])
    assert_array_equal(model.predict(X), predicted_by_hand(seen[0], rows.y, new))


def test_components_and_powers_behind(rows):
    moved = steering().fit_transform(rows.X, rows.y)
    model = make_pipeline(steering(), PolynomialFeatures(2), PCA(2)).fit(rows.X, rows.y)
    expected = PCA(2).fit_transform(PolynomialFeatures(2).fit_transform(moved))
    assert_allclose(np.abs(model.transform(rows.X)), np.abs(expected))
    names = model[:2].get_feature_names_out()
    assert list(names[:7]) == ["1", *FEATURES, "x0^2"]


def test_names_are_known_through_a_pipeline_that_selects(rows):
    model = make_pipeline(steering(), SelectKBest(k=2)).fit(rows.X, rows.y)
    moved = steering().fit_transform(rows.X, rows.y)
    chosen = np.array(FEATURES)[SelectKBest(k=2).fit(moved, rows.y).get_support()]
    assert_array_equal(model.get_feature_names_out(), chosen)


@pytest.mark.parametrize("sampler", [RandomOverSampler, SMOTENC])
def test_resampling_before(rows, sampler):
    few = np.flatnonzero((rows.y == 0) | (np.arange(N) % 3 == 0))
    X, y = rows.X.iloc[few], rows.y.iloc[few]
    options = {"categorical_features": ["group"]} if sampler is SMOTENC else {}
    resample = sampler(random_state=0, **options)
    model = make_resampling_pipeline(resample, *(step for _, step in pipeline().steps)).fit(X, y)
    balanced, labels = resample.fit_resample(X, y)
    assert len(balanced) > len(X)
    assert set(balanced["group"]) == set("abc")
    # Rows are resampled in fit only.
    assert_array_equal(model.predict(rows.X), predicted_by_hand(balanced, labels, rows.X))


def test_resampling_behind(rows):
    model = make_resampling_pipeline(steering(), SMOTE(random_state=0), LogisticRegression())
    steer = steering()
    balanced = SMOTE(random_state=0).fit_resample(steer.fit_transform(rows.X, rows.y), rows.y)
    expected = LogisticRegression().fit(*balanced).predict(steer.transform(rows.X))
    assert_array_equal(model.fit(rows.X, rows.y).predict(rows.X), expected)


# ------------------------------------------------------------------------------------ classifiers

CLASSIFIERS = [
    DecisionTreeClassifier(random_state=0),
    HistGradientBoostingClassifier(max_iter=5),
    LGBMClassifier(n_estimators=5, n_jobs=1, verbose=-1),
    LinearSVC(),
    SVC(),
    GaussianNB(),
    MLPClassifier((4,), learning_rate_init=0.1, early_stopping=True, random_state=0),
    LogisticRegression(class_weight="balanced"),
]


@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=lambda c: type(c).__name__)
def test_any_classifier_behind(rows, classifier):
    model = pipeline(classifier=clone(classifier)).set_output(transform="pandas")
    model.fit(rows.X, rows.y)
    steer = steering().set_output(transform="pandas")
    moved = steer.fit_transform(rows.X, rows.y)
    expected = clone(classifier).fit(moved, rows.y).predict(moved)
    assert_array_equal(model.predict(rows.X), expected)
    assert model.score(rows.X, rows.y) > 0.5


def test_three_labels_one_versus_rest_behind_steering(three_labels):
    X, y = three_labels.X, three_labels.y
    classifier = OneVsRestClassifier(LogisticRegression())
    model = pipeline(classifier=classifier, constraint="equalized_odds").fit(X, y)
    moved = steering(constraint="equalized_odds").fit_transform(X, y)
    columns = [
        LogisticRegression().fit(moved, y == label).predict_proba(moved)[:, 1] for label in range(3)
    ]
    expected = np.column_stack(columns)
    assert_allclose(model.predict_proba(X), expected / expected.sum(axis=1, keepdims=True))


def test_three_labels_one_versus_rest_around_steering(three_labels):
    X, y = three_labels.X, three_labels.y
    model = OneVsRestClassifier(pipeline(constraint="equal_opportunity")).fit(X, y)
    scores = []
    for label in range(3):
        inner, moved = by_hand(X, (y == label).astype(int), X, constraint="equal_opportunity")
        scores.append(inner.decision_function(moved))
    assert_allclose(model.decision_function(X), np.column_stack(scores))


def test_text_labels(rows):
    y = rows.y.map({0: "no", 1: "yes"})
    model = pipeline(constraint="equal_opportunity", pos_label="yes").fit(rows.X, y)
    assert list(model.classes_) == ["no", "yes"]
    numbers = predicted_by_hand(rows.X, rows.y, rows.X, constraint="equal_opportunity")
    assert_array_equal(model.predict(rows.X), np.array(["no", "yes"])[numbers])


# --------------------------------------------------------------- cross-validation and its curves


def test_cross_val_score(rows):
    assert_allclose(
        cross_val_score(pipeline(), rows.X, rows.y, cv=CV), scores_by_hand(rows, accuracy)
    )


@pytest.mark.parametrize("routed", [False, True], ids=["column", "routed"])
def test_cross_validate_several_metrics(rows, routed):
    ids = None if routed else "group"
    scoring = {
        "gap": make_fairness_scorer(demographic_parity_difference, sensitive_feature_ids=ids),
        "accuracy": make_fairness_scorer(
            accuracy_score, sensitive_feature_ids=ids, greater_is_better=True
        ),
    }
    X = rows.features if routed else rows.X
    params = {"sensitive_features": rows.group} if routed else None
    with config_context(enable_metadata_routing=routed):
        scores = cross_validate(pipeline(ids), X, rows.y, cv=CV, scoring=scoring, params=params)
    assert_allclose(scores["test_gap"], scores_by_hand(rows, gap))
    assert_allclose(scores["test_accuracy"], scores_by_hand(rows, accuracy))


def test_scikit_learn_s_own_scorers_on_a_column(rows):
    scoring = ["roc_auc", "balanced_accuracy"]
    scores = cross_validate(pipeline(), rows.X, rows.y, cv=CV, scoring=scoring)
    for k, (train, test) in enumerate(CV.split(rows.X, rows.y)):
        X, y, y_new = rows.X.iloc[train], rows.y.iloc[train], rows.y.iloc[test]
        model, moved = by_hand(X, y, rows.X.iloc[test])
        auc = roc_auc_score(y_new, model.decision_function(moved))
        balanced = balanced_accuracy_score(y_new, model.predict(moved))
        found = scores["test_roc_auc"][k], scores["test_balanced_accuracy"][k]
        assert found == pytest.approx((auc, balanced))


@pytest.mark.parametrize("method", ["predict", "predict_proba"])
def test_cross_val_predict(rows, method):
    out = cross_val_predict(pipeline(), rows.X, rows.y, cv=CV, method=method)
    for train, test in CV.split(rows.X, rows.y):
        model, moved = by_hand(rows.X.iloc[train], rows.y.iloc[train], rows.X.iloc[test])
        assert_allclose(out[test], getattr(model, method)(moved))


def test_a_report_on_rows_held_out(rows):
    predicted = cross_val_predict(pipeline(), rows.X, rows.y, cv=CV)
    report = fairness_report(rows.y, predicted, sensitive_features=rows.group)
    frame = MetricFrame(
        metrics=selection_rate, y_true=rows.y, y_pred=predicted, sensitive_features=rows.group
    )
    assert_allclose(report["selection_rate"].loc[list("abc")], frame.by_group)
    assert report["selection_rate"]["gap"] == pytest.approx(frame.difference())


@pytest.mark.parametrize("folds", [KFold(3, shuffle=True, random_state=0), GroupKFold(3)])
def test_other_splitters(rows, folds):
    households = np.arange(N) // 4
    groups = households if isinstance(folds, GroupKFold) else None
    splits = list(folds.split(rows.X, rows.y, groups))
    scores = cross_val_score(pipeline(), rows.X, rows.y, cv=folds, groups=groups)
    assert_allclose(scores, scores_by_hand(rows, accuracy, splits))


def test_folds_stratified_by_label_and_group(rows):
    cells = rows.group + rows.y.astype(str)
    splits = list(CV.split(rows.X, cells))
    scores = cross_val_score(pipeline(), rows.X, rows.y, cv=splits)
    assert_allclose(scores, scores_by_hand(rows, accuracy, splits))


def test_a_group_that_a_training_fold_lacks(rows):
    """Folds are blocks of rows, of which only the last has group d."""
    X = rows.X.assign(group=rows.group.where(np.arange(N) < 300, "d"))
    model = pipeline(handle_unknown="pooled")
    predicted = cross_val_predict(model, X, rows.y, cv=KFold(6))
    steer = steering(handle_unknown="pooled", group_strategy="posterior")
    moved = steer.fit_transform(X[:300], rows.y[:300])
    classify = LogisticRegression().fit(moved, rows.y[:300])
    population = steer.transform(X[300:].assign(group=None))
    assert_array_equal(predicted[300:], classify.predict(population))


def test_learning_curve(rows):
    sizes, _, scores = learning_curve(
        pipeline(), rows.X, rows.y, cv=CV, train_sizes=[120, 240], shuffle=False
    )
    assert list(sizes) == [120, 240]
    for column, size in enumerate(sizes):
        splits = [(train[:size], test) for train, test in CV.split(rows.X, rows.y)]
        assert_allclose(scores[column], scores_by_hand(rows, accuracy, splits))


def test_validation_curve_of_the_gap_over_strength(rows):
    scorer = make_fairness_scorer(demographic_parity_difference, sensitive_feature_ids="group")
    strengths = [0.0, 0.5, 1.0]
    _, scores = validation_curve(
        pipeline(),
        rows.X,
        rows.y,
        param_name="steer__strength",
        param_range=strengths,
        cv=CV,
        scoring=scorer,
    )
    for found, strength in zip(scores, strengths, strict=True):
        assert_allclose(found, scores_by_hand(rows, gap, strength=strength))
    assert np.all(np.diff(scores.mean(axis=1)) > 0.0)


# --------------------------------------------------------------------------------------- searches

GRID = {
    "steer__constraint": ["demographic_parity", "equal_opportunity"],
    "steer__strength": [0.5, 1.0],
    "steer__shrinkage": [0.01, "auto"],
    "classify__C": [0.01, 1.0],
}


@pytest.fixture(scope="module", params=[False, True], ids=["column", "routed"])
def search(request, rows):
    """A grid over steering and classifier with both objectives, by both sources."""
    routed = request.param
    ids = None if routed else "group"
    scoring = {
        "accuracy": make_fairness_scorer(
            accuracy_score, sensitive_feature_ids=ids, greater_is_better=True
        ),
        "gap": make_fairness_scorer(demographic_parity_difference, sensitive_feature_ids=ids),
    }
    model = GridSearchCV(
        pipeline(ids),
        GRID,
        scoring=scoring,
        refit=most_accurate_within(0.2),
        cv=CV,
        error_score="raise",
    )
    with config_context(enable_metadata_routing=routed):
        if routed:
            model.fit(rows.features, rows.y, sensitive_features=rows.group)
        else:
            model.fit(rows.X, rows.y)
    return model


def test_a_grid_over_steering_and_classifier_with_a_fairness_scorer(rows, search):
    results = search.cv_results_
    assert len(results["params"]) == 16
    for k in (0, search.best_index_):
        candidate = results["params"][k].copy()
        classifier = LogisticRegression(C=candidate.pop("classify__C"))
        parameters = {name.removeprefix("steer__"): v for name, v in candidate.items()}
        for name, metric in (("accuracy", accuracy), ("gap", gap)):
            found = [results[f"split{fold}_test_{name}"][k] for fold in range(3)]
            expected = scores_by_hand(rows, metric, classifier=classifier, **parameters)
            assert_allclose(found, expected)
    within = results["mean_test_gap"] >= -0.2
    assert 0 < within.sum() < 16
    assert results["mean_test_accuracy"][search.best_index_] == max(
        results["mean_test_accuracy"][within]
    )


def test_the_model_that_a_search_has_chosen(rows, search):
    best = search.best_params_
    parameters = {name.removeprefix("steer__"): v for name, v in best.items() if "steer" in name}
    classifier = LogisticRegression(C=best["classify__C"])
    expected = predicted_by_hand(rows.X, rows.y, rows.X, classifier, **parameters)
    if search.estimator["steer"].sensitive_feature_ids is not None:
        assert_array_equal(search.predict(rows.X), expected)
        return
    # GridSearchCV.predict takes no metadata; the Pipeline that it has fitted does.
    with config_context(enable_metadata_routing=True):
        predicted = search.best_estimator_.predict(rows.features, sensitive_features=rows.group)
    assert_array_equal(predicted, expected)


def test_a_randomised_search(rows):
    model = RandomizedSearchCV(
        pipeline(),
        {"steer__strength": uniform(), "steer__shrinkage": uniform()},
        n_iter=3,
        cv=CV,
        random_state=0,
        error_score="raise",
    ).fit(rows.X, rows.y)
    for k, candidate in enumerate(model.cv_results_["params"]):
        parameters = {name.removeprefix("steer__"): v for name, v in candidate.items()}
        expected = scores_by_hand(rows, accuracy, **parameters)
        assert model.cv_results_["mean_test_score"][k] == pytest.approx(expected.mean())


def test_a_halving_search(rows):
    model = HalvingGridSearchCV(
        pipeline(),
        {"steer__strength": [0.0, 0.5, 1.0]},
        scoring=make_fairness_scorer(demographic_parity_difference, sensitive_feature_ids="group"),
        cv=CV,
        factor=3,
        min_resources=120,
        random_state=0,
        error_score="raise",
    ).fit(rows.X, rows.y)
    assert model.n_resources_ == [120, 360]
    last = model.cv_results_["mean_test_score"][-1]
    assert last == pytest.approx(scores_by_hand(rows, gap, **{"strength": 1.0}).mean())
    assert model.best_params_ == {"steer__strength": 1.0}


def test_a_search_over_kinds_of_steering(rows):
    kinds = [steering(), WithinLabelEraser("group"), steering(strength=0)]
    model = GridSearchCV(pipeline(), {"steer": kinds}, cv=CV, error_score="raise")
    model.fit(rows.X, rows.y)
    for k, kind in enumerate(kinds):
        alone = cross_val_score(make_pipeline(kind, LogisticRegression()), rows.X, rows.y, cv=CV)
        assert model.cv_results_["mean_test_score"][k] == pytest.approx(alone.mean())


def test_a_search_within_cross_validation(rows):
    inner = GridSearchCV(pipeline(), {"steer__strength": [0.0, 1.0]}, cv=2)
    scores = cross_val_score(inner, rows.X, rows.y, cv=CV)
    for score, (train, test) in zip(scores, CV.split(rows.X, rows.y), strict=True):
        chosen = clone(inner).fit(rows.X.iloc[train], rows.y.iloc[train]).best_params_
        strength = chosen["steer__strength"]
        splits = [(train, test)]
        assert score == pytest.approx(scores_by_hand(rows, accuracy, splits, strength=strength)[0])


def test_a_search_over_a_steered_classifier(rows):
    model = SteeredClassifier(LogisticRegression(), steering(priors="independent"))
    grid = {"steering__strength": [0.0, 1.0], "estimator__C": [0.01, 1.0]}
    found = GridSearchCV(model, grid, cv=CV, error_score="raise").fit(rows.X, rows.y)
    best = clone(model).set_params(**found.best_params_)
    assert found.best_score_ == pytest.approx(cross_val_score(best, rows.X, rows.y, cv=CV).mean())
    assert_array_equal(found.predict(rows.X), best.fit(rows.X, rows.y).predict(rows.X))


def test_processes_in_parallel(rows):
    one, two = (cross_val_score(pipeline(), rows.X, rows.y, cv=CV, n_jobs=jobs) for jobs in (1, 2))
    assert_array_equal(one, two)
    steer = steering().fit(rows.X, rows.y)
    parts = joblib.Parallel(n_jobs=2)(
        joblib.delayed(steer.transform)(rows.X[start : start + 90]) for start in range(0, N, 90)
    )
    assert_array_equal(np.vstack(parts), steer.transform(rows.X))


# ---------------------------------------------------------------------- estimators around steering


def test_calibration(rows):
    model = CalibratedClassifierCV(pipeline(), cv=CV).fit(rows.X, rows.y)
    probabilities = []
    for part, (train, _) in zip(
        model.calibrated_classifiers_, CV.split(rows.X, rows.y), strict=True
    ):
        inner, moved = by_hand(rows.X.iloc[train], rows.y.iloc[train], rows.X)
        assert_array_equal(part.estimator.predict(rows.X), inner.predict(moved))
        (sigmoid,) = part.calibrators
        probabilities.append(sigmoid.predict(inner.decision_function(moved)))
    assert_allclose(model.predict_proba(rows.X)[:, 1], np.mean(probabilities, axis=0))


def test_a_vote(rows):
    members = [("steered", pipeline()), ("bayes", pipeline(classifier=GaussianNB(), strength=0.5))]
    vote = VotingClassifier(members, voting="soft").fit(rows.X, rows.y)
    shares = []
    for classifier, strength in ((None, 1.0), (GaussianNB(), 0.5)):
        model, moved = by_hand(rows.X, rows.y, rows.X, classifier, strength=strength)
        shares.append(model.predict_proba(moved))
    assert_allclose(vote.predict_proba(rows.X), np.mean(shares, axis=0))


def test_a_stack(rows):
    members = [("steered", pipeline()), ("bayes", pipeline(classifier=GaussianNB()))]
    stack = StackingClassifier(members, final_estimator=LogisticRegression(), cv=CV)
    stack.fit(rows.X, rows.y)
    columns = [
        cross_val_predict(member, rows.X, rows.y, cv=CV, method="predict_proba")[:, 1]
        for _, member in members
    ]
    final = LogisticRegression().fit(np.column_stack(columns), rows.y)
    assert_allclose(stack.final_estimator_.coef_, final.coef_)


def test_bagging_by_position(rows):
    """Bagging hands arrays on, so that the attribute has a position only."""
    X = rows.X.assign(group=rows.group.factorize()[0])
    bag = BaggingClassifier(pipeline(-1), n_estimators=2, random_state=0).fit(X, rows.y)
    for member, drawn in zip(bag.estimators_, bag.estimators_samples_, strict=True):
        expected = predicted_by_hand(X.iloc[drawn], rows.y.iloc[drawn], X)
        assert_array_equal(member.predict(X.to_numpy()), expected)


def test_a_tuned_threshold(rows):
    model = TunedThresholdClassifierCV(pipeline(), cv=CV, scoring="balanced_accuracy")
    model.fit(rows.X, rows.y)
    inner, moved = by_hand(rows.X, rows.y, rows.X)
    above = inner.predict_proba(moved)[:, 1] >= model.best_threshold_
    assert_array_equal(model.predict(rows.X), above.astype(int))


def test_permutation_importance(rows):
    X = rows.X.assign(constant=1.0)
    model = pipeline().fit(X, rows.y)
    found = permutation_importance(model, X, rows.y, n_repeats=3, random_state=0)
    means = dict(zip(X.columns, found.importances_mean, strict=True))
    assert means["constant"] == 0.0
    assert max(means[name] for name in FEATURES) > 0.05
    # The attribute decides where a row goes, so shuffling it changes predictions.
    assert np.ptp(found.importances[list(X).index("group")]) > 0.0


def test_partial_dependence(rows):
    model = pipeline().fit(rows.X, rows.y)
    found = partial_dependence(
        model, rows.X, ["x0"], grid_resolution=3, response_method="predict_proba"
    )
    expected = [
        model.predict_proba(rows.X.assign(x0=value))[:, 1].mean()
        for value in found["grid_values"][0]
    ]
    assert_allclose(found["average"][0], expected)


# --------------------------------------------------------------------------- fairlearn around it


def test_thresholds_of_fairlearn_on_top(rows):
    options = {"constraints": "demographic_parity", "predict_method": "predict_proba"}
    top = ThresholdOptimizer(estimator=pipeline(), prefit=False, **options)
    top.fit(rows.X, rows.y, sensitive_features=rows.group)
    model, moved = by_hand(rows.X, rows.y, rows.X)
    alone = ThresholdOptimizer(estimator=model, prefit=True, **options)
    alone.fit(moved, rows.y, sensitive_features=rows.group)
    predicted = top.predict(rows.X, sensitive_features=rows.group, random_state=0)
    expected = alone.predict(moved, sensitive_features=rows.group, random_state=0)
    assert_array_equal(predicted, expected)


@pytest.mark.filterwarnings("ignore:Setting a")  # fairlearn 0.15 with pandas 3
def test_reductions_of_fairlearn_on_top(rows):
    """The reduction refits with other labels, which this steering ignores."""
    same = {"reference_group": "a", "constraint": "demographic_parity"}
    options = {"max_iter": 3, "sample_weight_name": "classify__sample_weight"}
    top = ExponentiatedGradient(pipeline(**same), DemographicParity(), **options)
    top.fit(rows.X, rows.y, sensitive_features=rows.group)
    moved = steering(**same).fit_transform(rows.X, rows.y)
    alone = ExponentiatedGradient(LogisticRegression(), DemographicParity(), max_iter=3)
    alone.fit(moved, rows.y, sensitive_features=rows.group)
    assert_allclose(top._pmf_predict(rows.X), alone._pmf_predict(moved))


def test_a_metric_frame_before_and_after(rows):
    predicted = {
        strength: pipeline(strength=strength).fit(rows.X, rows.y).predict(rows.X)
        for strength in (0, 1)
    }
    gaps = {}
    for strength, labels in predicted.items():
        frame = MetricFrame(
            metrics=selection_rate, y_true=rows.y, y_pred=labels, sensitive_features=rows.group
        )
        by_group = pd.Series(labels).groupby(rows.group.to_numpy()).mean()
        assert_allclose(frame.by_group, by_group)
        gaps[strength] = frame.difference()
    assert gaps[1] < 0.5 * gaps[0]


# --------------------------------------------------------------------------------- the attribute


def test_three_attributes_mean_their_intersection(rows):
    rng = np.random.default_rng(1)
    parts = pd.DataFrame(
        {
            "sex": rng.choice(["f", "m"], N),
            "old": rng.random(N) < 0.5,
            "region": rng.choice([1, 2], N),
        }
    )
    names = list(parts)
    steer = steering(names).fit(rows.features.join(parts), rows.y)
    assert len(steer.groups_) == 8
    assert steer.groups_[0] == ("f", False, 1)
    one = parts.astype(str).agg("-".join, axis=1)
    expected = steering(reference_group="-".join(map(str, steer.reference_group_)))
    assert_allclose(
        steer.transform(rows.features.join(parts)),
        expected.fit_transform(rows.features.assign(group=one), rows.y),
    )
    with config_context(enable_metadata_routing=True):
        model = pipeline(None).fit(rows.features, rows.y, sensitive_features=parts)
        routed = model[:-1].transform(rows.features, sensitive_features=parts)
    assert_array_equal(routed, steer.transform(rows.features.join(parts)))


def test_intersections_of_few_rows_are_pooled(rows):
    """Six intersections have one row of each label, together enough for a law."""
    cohort = pd.Series("most", index=rows.X.index)
    for _, cell in rows.X.groupby([rows.group, rows.y]):
        cohort[cell.index[:2]] = ["few", "fewer"]
    X, odds = rows.X.assign(cohort=cohort), {"constraint": "equalized_odds"}
    model = pipeline(["group", "cohort"], small_groups="pooled", **odds)
    with pytest.warns(SteeringWarning, match="as one group"):
        model.fit(X, rows.y)
    pooled = {(group, few) for group in "abc" for few in ("few", "fewer")}
    assert set(model["steer"].pooled_groups_) == pooled
    one = rows.X.assign(group=rows.group.where(cohort == "most", "z"))
    assert_allclose(model[:-1].transform(X), steering(**odds).fit_transform(one, rows.y))


def test_part_of_the_attribute_is_missing_at_prediction(rows):
    model = pipeline(group_strategy="posterior").fit(rows.X, rows.y)
    some = rows.X.assign(group=rows.group.where(np.arange(N) % 2 == 0))
    known = model.predict_proba(rows.X)
    unknown = model.predict_proba(rows.X.assign(group=None))
    expected = np.where((np.arange(N) % 2 == 0)[:, None], known, unknown)
    assert_allclose(model.predict_proba(some), expected)
    assert not np.allclose(known, unknown)


def test_the_eraser_needs_no_attribute_at_prediction(rows):
    """Routed to fit only, so that even cross_val_predict and a search's predict serve it."""
    model = Pipeline([("erase", WithinLabelEraser()), ("classify", LogisticRegression())])
    with config_context(enable_metadata_routing=True):
        params = {"sensitive_features": rows.group}
        out = cross_val_predict(model, rows.features, rows.y, cv=CV, params=params)
        found = GridSearchCV(model, {"erase__strength": [0.5, 1.0]}, cv=CV)
        found.fit(rows.features, rows.y, **params)
        predicted = found.predict(rows.features)
    column = make_pipeline(WithinLabelEraser("group"), LogisticRegression())
    assert_array_equal(out, cross_val_predict(column, rows.X, rows.y, cv=CV))
    column.set_params(withinlabeleraser__strength=found.best_params_["erase__strength"])
    column.fit(rows.X, rows.y)
    assert_array_equal(predicted, column.predict(rows.X.assign(group=None)))


def test_a_steered_classifier_behind_a_scaler(rows):
    scale = keep_group(StandardScaler(), FEATURES)
    model = make_pipeline(
        scale, SteeredClassifier(LogisticRegression(), steering(priors="independent"))
    )
    model.fit(rows.X, rows.y)
    scaled = scale.fit_transform(rows.X)
    steer = steering(priors="independent").fit(scaled, rows.y)
    moved, weights = steer.transform(scaled), steer.ideal_sample_weight(scaled, rows.y)
    expected = LogisticRegression().fit(moved, rows.y, sample_weight=weights)
    assert_allclose(model.predict_proba(rows.X), expected.predict_proba(moved))


# ------------------------------------------------------------------------- output, copies, display


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_come_out(rows, library):
    steer = steering().set_output(transform=library).fit(rows.X, rows.y)
    out = steer.transform(rows.X)
    assert type(out).__module__.split(".")[0] == library
    assert list(out.columns) == FEATURES == list(steer.get_feature_names_out())
    assert_array_equal(out.to_numpy(), steering().fit_transform(rows.X, rows.y))
    with config_context(transform_output=library):
        everywhere = steering().fit_transform(rows.X, rows.y)
    assert type(everywhere) is type(out)


def test_the_index_of_a_frame_is_kept(rows):
    X = rows.X.set_index(pd.Index([f"person {k}" for k in range(N)], name="who"))
    y = rows.y.set_axis(X.index)
    out = steering().set_output(transform="pandas").fit_transform(X, y)
    moved = steering().fit_transform(rows.X, rows.y)
    assert_frame_equal(out, pd.DataFrame(moved, columns=FEATURES, index=X.index))


def test_parameters_are_read_set_and_cloned(rows):
    model = pipeline().set_params(steer__strength=0.3, steer__family="copula", classify__C=2.0)
    parameters = model.get_params()
    assert (parameters["steer__strength"], parameters["steer__family"]) == (0.3, "copula")
    copy = clone(model.fit(rows.X, rows.y))
    assert not hasattr(copy["steer"], "classes_")
    assert copy["steer"].get_params() == model["steer"].get_params()
    with pytest.raises(ValueError, match="Invalid parameter 'power' for estimator Optimal"):
        model.set_params(steer__power=2)


def test_a_pickle_in_another_process(rows, tmp_path):
    model = pipeline(constraint="equalized_odds").fit(rows.X, rows.y)
    joblib.dump(model, tmp_path / "model.joblib")
    rows.X.to_pickle(tmp_path / "X.pickle")
    code = (
        "import joblib, numpy, pandas; X = pandas.read_pickle('X.pickle'); "
        "numpy.save('out.npy', joblib.load('model.joblib').predict_proba(X))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert_array_equal(np.load(tmp_path / "out.npy"), model.predict_proba(rows.X))


def test_the_picture_of_a_pipeline(rows):
    model = pipeline(strength=0.5)
    for stage in (model, model.fit(rows.X, rows.y)):
        for html in (stage._repr_html_(), estimator_html_repr(stage)):
            assert "OptimalSteeringTransformer" in html
            assert "demographic_parity" in html
    assert "strength=0.5" in repr(model)
    assert "WithinLabelEraser" in WithinLabelEraser("group")._repr_html_()
    assert "LogisticRegression" in SteeredClassifier(LogisticRegression())._repr_html_()


@pytest.mark.filterwarnings("ignore::fairsteer.SteeringWarning")
def test_real_rows_from_the_table_to_the_report():
    diabetes = load_diabetes_progression()
    X, X_new, y, y_new = train_test_split(diabetes.data, diabetes.target, random_state=0)
    predicted = {}
    for strength in (0, 1):
        model = make_pipeline(
            keep_group(StandardScaler(), [name for name in X if name != "sex"]),
            OptimalSteeringTransformer("sex", strength=strength),
            LogisticRegression(),
        )
        predicted[strength] = model.fit(X, y).predict(X_new)
    report = fairness_report(
        y_new, predicted[1], sensitive_features=X_new["sex"], y_pred_before=predicted[0]
    )
    for strength, when in enumerate(("before", "after")):
        rate = demographic_parity_difference(
            y_new, predicted[strength], sensitive_features=X_new["sex"]
        )
        odds = equalized_odds_difference(
            y_new, predicted[strength], sensitive_features=X_new["sex"]
        )
        assert report.loc["gap", ("selection_rate", when)] == pytest.approx(rate)
        rates = report.loc["gap", ("tpr", when)], report.loc["gap", ("fpr", when)]
        assert max(rates) == pytest.approx(odds)
