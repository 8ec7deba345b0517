"""The wrong turns of a first day: each ends in a sentence, ours or scikit-learn's, never silently.

What a single estimator refuses stands in test_validation.py; here it is what tools do around it.
"""

import re
from importlib.metadata import version

import numpy as np
import pandas as pd
import pytest
from fairlearn.metrics import MetricFrame, demographic_parity_difference, selection_rate
from fairlearn.metrics import equal_opportunity_difference as opportunity
from fairlearn.postprocessing import ThresholdOptimizer
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import make_pipeline as make_resampling_pipeline
from numpy.testing import assert_array_equal
from sklearn import config_context
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.exceptions import UndefinedMetricWarning, UnsetMetadataPassedError
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    TunedThresholdClassifierCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler, TargetEncoder

from fairsteer import OptimalSteeringTransformer, SteeredClassifier, WithinLabelEraser
from fairsteer.datasets import make_gaussian_subgroups
from fairsteer.metrics import make_fairness_scorer

pytestmark = pytest.mark.slow

N = 300
SAMPLE = make_gaussian_subgroups(N, n_groups=3, n_features=4, random_state=0)
X, GROUP, Y = SAMPLE.data, SAMPLE.sensitive_features, SAMPLE.target
FEATURES = X.drop(columns="group")
CODES = X.assign(group=GROUP.factorize()[0])
TOWN = pd.Series(np.array(["hill", "lake", "moor"])[np.arange(N) % 3])
ROUTED = {"sensitive_features": GROUP}
GRID = {"steer__strength": [0.0, 1.0]}


def steering(ids="group", **parameters):
    return OptimalSteeringTransformer(ids, constraint="demographic_parity", **parameters)


def pipeline(*before, ids="group", last=None, **parameters):
    steps = [("steer", steering(ids, **parameters)), ("last", last or LogisticRegression())]
    return Pipeline([(f"step{k}", step) for k, step in enumerate(before)] + steps)


def columns(transformer, names, **parameters):
    return make_column_transformer((transformer, names), remainder="passthrough", **parameters)


def routed_fit(model):
    return model.fit(FEATURES, Y, **ROUTED)


MISSING = (
    r"attribute is missing: name its columns in X by sensitive_feature_ids, or pass "
    r"sensitive_features=.*enable_metadata_routing=True"
)
MISSING_ON = r"attribute is missing: keep it in columns of X .*sensitive_feature_ids"
NO_NAMES = r"'group' is given by name, but X has no.*set_output\(transform='pandas'\).*position"
NOT_THERE = r"'group' is not in X, whose columns are"

# What was done, the error, its text. Metadata routing is off.
OFF = {
    "a scaler that drops the names": (
        lambda: pipeline(StandardScaler()).fit(CODES, Y),
        ValueError,
        NO_NAMES,
    ),
    "a column transformer that drops the names": (
        lambda: pipeline(columns(StandardScaler(), ["x0"])).fit(X, Y),
        ValueError,
        NO_NAMES,
    ),
    "an array where a frame was meant": (
        lambda: pipeline().fit(X.to_numpy(), Y),
        ValueError,
        NO_NAMES,
    ),
    "bagging, which hands arrays on": (
        lambda: BaggingClassifier(pipeline()).fit(X, Y),
        ValueError,
        NO_NAMES,
    ),
    "a column transformer that puts a prefix": (
        lambda: pipeline(columns(StandardScaler(), ["x0"]).set_output(transform="pandas")).fit(
            X, Y
        ),
        ValueError,
        NOT_THERE
        + r" \['standardscaler__x0', .*'remainder__group'.*verbose_feature_names_out=False",
    ),
    "a column transformer that drops the attribute": (
        lambda: pipeline(
            make_column_transformer((StandardScaler(), ["x0", "x1"])).set_output(transform="pandas")
        ).fit(X, Y),
        ValueError,
        NOT_THERE,
    ),
    "steering some columns, the attribute not among them": (
        lambda: make_column_transformer((steering(), ["x0", "x1"])).fit(X, Y),
        ValueError,
        NOT_THERE + r" \['x0', 'x1'\]",
    ),
    "the attribute was dropped after fit": (
        lambda: pipeline().fit(X, Y).predict(FEATURES),
        ValueError,
        "yet now missing:\n- group",
    ),
    "text through a scaler": (
        lambda: pipeline(StandardScaler()).fit(X, Y),
        ValueError,
        "could not convert string to float: 'a'",
    ),
    "text that nobody encoded": (
        lambda: pipeline().fit(X.assign(town=TOWN), Y),
        ValueError,
        r"\['town'\] hold text.*OneHotEncoder\(sparse_output=False\) in a ColumnTransformer",
    ),
    "an encoder that returns a sparse matrix": (
        lambda: pipeline(OneHotEncoder(), ids=0).fit(X[["group"]].assign(town=TOWN), Y),
        TypeError,
        r"Sparse input.*OneHotEncoder\(sparse_output=False\) or ColumnTransformer\(sparse_thresh",
    ),
    "a column transformer that turns sparse": (
        lambda: pipeline(columns(OneHotEncoder(), ["row"], sparse_threshold=1), ids=-1).fit(
            CODES.assign(row=[f"{k}" for k in range(N)]), Y
        ),
        TypeError,
        r"Sparse input.*ColumnTransformer\(sparse_threshold=0\)",
    ),
    "a sparse encoder asked for frames": (
        lambda: pipeline(columns(OneHotEncoder(), ["town"]).set_output(transform="pandas")).fit(
            X.assign(town=TOWN), Y
        ),
        ValueError,
        "Pandas output does not support sparse data. Set sparse_output=False",
    ),
    "gaps that nobody filled": (
        lambda: pipeline().fit(X.assign(x1=X["x1"].where(X.index != 3)), Y),
        ValueError,
        r"contains NaN in column\(s\) \['x1'\].*SimpleImputer\(\) before steering",
    ),
    "gaps in the attribute": (
        lambda: pipeline().fit(X.assign(group=GROUP.where(X.index != 3)), Y),
        ValueError,
        r"'group' has 1 missing value.*fillna\('unknown'\)",
    ),
    "gaps in the attribute at prediction": (
        lambda: pipeline().fit(X, Y).predict(X.assign(group=None)),
        ValueError,
        r"'group' has 300 missing value",
    ),
    "no labels": (lambda: make_pipeline(steering()).fit(X), ValueError, "y is None: pass one lab"),
    "a continuous target": (
        lambda: pipeline(last=LinearRegression()).fit(X, X["x0"]),
        ValueError,
        r"y is continuous, but steering needs class labels: bin it first.*y > y.mean\(\)",
    ),
    "a regressor behind steering": (
        lambda: SteeredClassifier(LinearRegression(), steering()).fit(X, Y),
        TypeError,
        r"LinearRegression.*LogisticRegression\(\)",
    ),
    "two labels a row": (
        lambda: pipeline().fit(X, np.column_stack([Y, Y])),
        ValueError,
        r"y should be a 1d array, got an array of shape \(300, 2\)",
    ),
    "one row as a series": (
        lambda: pipeline().fit(X, Y).predict(X.iloc[0]),
        ValueError,
        "Expected a 2-dimensional container",
    ),
    "a continuous column as the attribute": (
        lambda: OptimalSteeringTransformer("x0").fit(FEATURES, Y),
        ValueError,
        "different values in 300 rows, .* bin it into groups",
    ),
    "a cell that is too small": (
        lambda: pipeline().fit(
            X.assign(group=GROUP.where(X.index != np.flatnonzero(Y == 0)[0], "rare")), Y
        ),
        ValueError,
        r"group='rare' has 1 row\(s\) for 4 features.*merge.*small_groups='pooled'",
    ),
    "a group that a training fold lacks": (
        lambda: cross_val_score(
            pipeline(),
            X.assign(group=GROUP.where(X.index < 250, "late")),
            Y,
            cv=KFold(6),
            error_score="raise",
        ),
        ValueError,
        r"\['late'\] were not seen in fit.*handle_unknown='pooled'",
    ),
    "a group that was never seen": (
        lambda: pipeline().fit(X, Y).predict(X.assign(group="z")),
        ValueError,
        r"\['z'\] were not seen in fit.*the groups are \['a', 'b', 'c'\]",
    ),
    "the name of the column as the attribute": (
        lambda: steering(None).fit(X, Y, sensitive_features="group"),
        ValueError,
        r"must have shape \(n_rows,\) or \(n_rows, n_attributes\)",
    ),
    "the attribute left among the features": (
        lambda: steering(None).fit(X, Y, sensitive_features=GROUP),
        ValueError,
        r"\['group'\] hold text or objects",
    ),
    "the attribute both ways": (
        lambda: steering().fit(X, Y, sensitive_features=GROUP),
        ValueError,
        "sensitive_feature_ids.*sensitive_features.*not both",
    ),
    "the attribute given to a classifier both ways": (
        lambda: SteeredClassifier(LogisticRegression(), steering()).fit(X, Y, **ROUTED),
        ValueError,
        "not both",
    ),
    "the attribute in neither way": (
        lambda: pipeline(ids=None).fit(FEATURES, Y),
        ValueError,
        MISSING,
    ),
    "the attribute passed to a pipeline": (
        lambda: routed_fit(pipeline(ids=None)),
        ValueError,
        "Pipeline.fit does not accept the sensitive_features parameter",
    ),
    "the attribute passed to the step, then forgotten": (
        lambda: (
            pipeline(ids=None).fit(FEATURES, Y, steer__sensitive_features=GROUP).predict(FEATURES)
        ),
        ValueError,
        MISSING,
    ),
    "the attribute passed to a cross-validation": (
        lambda: cross_validate(pipeline(ids=None), FEATURES, Y, params=ROUTED, error_score="raise"),
        ValueError,
        "Pipeline.fit does not accept the sensitive_features parameter",
    ),
    "the attribute passed to a search": (
        lambda: GridSearchCV(pipeline(ids=None), GRID, error_score="raise").fit(
            FEATURES, Y, **ROUTED
        ),
        ValueError,
        "Pipeline.fit does not accept the sensitive_features parameter",
    ),
    "weights passed to a pipeline": (
        lambda: pipeline().fit(X, Y, sample_weight=np.ones(N)),
        ValueError,
        "Pipeline.fit does not accept the sample_weight parameter",
    ),
    "the attribute passed to the eraser's transform": (
        lambda: (
            WithinLabelEraser(constraint="equal_opportunity")
            .fit(FEATURES, Y, **ROUTED)
            .transform(FEATURES, **ROUTED)
        ),
        TypeError,
        "transform.* got an unexpected keyword argument 'sensitive_features'",
    ),
    "a parameter that does not exist": (
        lambda: GridSearchCV(pipeline(), {"steer__strenght": [1]}).fit(X, Y),
        ValueError,
        "Invalid parameter 'strenght' for estimator OptimalSteeringTransformer",
    ),
    "a constraint that does not exist": (
        lambda: GridSearchCV(
            pipeline(), {"steer__constraint": ["parity"]}, error_score="raise"
        ).fit(X, Y),
        ValueError,
        "'constraint' parameter of OptimalSteeringTransformer must be a str among",
    ),
    "text resampled as if it were numbers": (
        lambda: make_resampling_pipeline(SMOTE(), steering(), LogisticRegression()).fit(X, Y),
        ValueError,
        "could not convert string to float: 'a'",
    ),
    "fairlearn's thresholds without routing": (
        lambda: routed_fit(
            ThresholdOptimizer(estimator=pipeline(ids=None), predict_method="predict")
        ),
        ValueError,
        MISSING,
    ),
    "fairlearn's table of a missing attribute": (
        lambda: MetricFrame(
            metrics=selection_rate,
            y_true=Y,
            y_pred=Y,
            sensitive_features=GROUP.where(X.index != 3),
        ),
        ValueError,
        "'group' contains missing values. Remove or replace them",
    ),
    "a scorer of a missing attribute": (
        lambda: cross_val_score(
            pipeline(group_strategy="posterior"),
            X.assign(group=GROUP.where(X.index != 3)),
            Y,
            scoring=make_fairness_scorer(
                demographic_parity_difference, sensitive_feature_ids="group"
            ),
            error_score="raise",
        ),
        ValueError,
        "'group' has 1 missing value",
    ),
}


def resampled():
    few = np.flatnonzero((Y == 0) | (np.arange(N) % 3 == 0))
    model = make_resampling_pipeline(SMOTE(), steering(None), LogisticRegression())
    group = GROUP.iloc[few]
    return model.fit(FEATURES.iloc[few], Y.iloc[few], sensitive_features=group)


# The same with metadata routing on.
ON = {
    "the attribute forgotten at prediction": (
        lambda: routed_fit(pipeline(ids=None)).predict(FEATURES),
        ValueError,
        MISSING_ON,
    ),
    "the attribute forgotten in fit": (
        lambda: pipeline(ids=None).fit(FEATURES, Y),
        ValueError,
        MISSING_ON,
    ),
    "the attribute forgotten at score": (
        lambda: routed_fit(pipeline(ids=None)).score(FEATURES, Y),
        ValueError,
        MISSING_ON,
    ),
    "the attribute in a column and routed": (
        lambda: pipeline().fit(X, Y, **ROUTED),
        TypeError,
        r"Pipeline.fit got unexpected argument\(s\) {'sensitive_features'}, which are not routed",
    ),
    "weights that no step has requested": (
        lambda: pipeline().fit(X, Y, sample_weight=np.ones(N)),
        UnsetMetadataPassedError,
        r"not explicitly set as requested or not requested.*set_fit_request",
    ),
    "cross_val_predict, which routes to fit only": (
        lambda: cross_val_predict(pipeline(ids=None), FEATURES, Y, params=ROUTED),
        ValueError,
        MISSING_ON,
    ),
    "a search's predict, which takes no metadata": (
        lambda: routed_fit(GridSearchCV(pipeline(ids=None), GRID, cv=2)).predict(FEATURES),
        ValueError,
        MISSING_ON,
    ),
    "a search's predict, given metadata": (
        lambda: routed_fit(GridSearchCV(pipeline(ids=None), GRID, cv=2)).predict(
            FEATURES, **ROUTED
        ),
        TypeError,
        "predict.* got an unexpected keyword argument 'sensitive_features'",
    ),
    "a calibration, which predicts without metadata": (
        lambda: routed_fit(CalibratedClassifierCV(pipeline(ids=None), cv=2)),
        ValueError,
        MISSING_ON,
    ),
    "a stack, which predicts without metadata": (
        lambda: routed_fit(StackingClassifier([("steered", pipeline(ids=None))], cv=2)),
        ValueError,
        MISSING_ON,
    ),
    "a vote, which predicts without metadata": (
        lambda: routed_fit(VotingClassifier([("steered", pipeline(ids=None))])).predict(FEATURES),
        ValueError,
        MISSING_ON,
    ),
    "a permutation importance, which predicts without metadata": (
        lambda: permutation_importance(routed_fit(pipeline(ids=None)), FEATURES, Y),
        ValueError,
        MISSING_ON,
    ),
    "a fairness scorer without the attribute": (
        lambda: cross_val_score(
            pipeline(),
            X,
            Y,
            scoring=make_fairness_scorer(demographic_parity_difference),
            error_score="raise",
        ),
        ValueError,
        "needs the sensitive attribute.*sensitive_feature_ids.*cross_validate",
    ),
    "rows resampled without their attribute": (
        resampled,
        ValueError,
        r"sensitive_features has \d+ rows, but X has \d+",
    ),
}


@pytest.mark.parametrize("done", OFF)
def test_it_fails_with_a_sentence(done):
    call, error, text = OFF[done]
    with pytest.raises(error) as caught:
        call()
    assert re.search(text, str(caught.value), re.DOTALL), str(caught.value)


@pytest.mark.parametrize("done", ON)
def test_it_fails_with_a_sentence_where_routing_is_on(done):
    call, error, text = ON[done]
    with config_context(enable_metadata_routing=True), pytest.raises(error) as caught:
        call()
    assert re.search(text, str(caught.value), re.DOTALL), str(caught.value)


# What scikit-learn turns into NaN and a warning


@pytest.mark.parametrize("scoring", ["accuracy", make_scorer(accuracy_score)], ids=["name", "made"])
def test_scikit_learn_s_scorers_give_nan_where_the_attribute_is_routed(scoring):
    with config_context(enable_metadata_routing=True):
        with pytest.warns(UserWarning, match="Scoring failed") as warned:
            scores = cross_validate(
                pipeline(ids=None), FEATURES, Y, cv=2, scoring=scoring, params=ROUTED
            )
        assert np.isnan(scores["test_score"]).all()
        assert all(re.search(MISSING_ON, str(warning.message)) for warning in warned)
        # The remedy: a scorer that hands the attribute to predict too.
        remedy = make_fairness_scorer(accuracy_score, greater_is_better=True)
        scores = cross_validate(
            pipeline(ids=None), FEATURES, Y, cv=2, scoring=remedy, params=ROUTED
        )
    expected = cross_val_score(pipeline(), X, Y, cv=2)
    assert_array_equal(scores["test_score"], expected)


def test_fairlearn_s_metric_in_make_scorer_gives_nan():
    with pytest.warns(UserWarning, match="missing 1 required keyword-only.*'sensitive_features'"):
        scores = cross_val_score(
            pipeline(), X, Y, cv=2, scoring=make_scorer(demographic_parity_difference)
        )
    assert np.isnan(scores).all()


def test_a_group_without_positives_is_a_gap_of_one_for_fairlearn():
    y = Y.where(GROUP != "a", 0)
    model = DummyClassifier(strategy="constant", constant=1).fit(X, Y)
    assert opportunity(y, model.predict(X), sensitive_features=GROUP) == 1.0
    scorer = make_fairness_scorer(opportunity, sensitive_feature_ids="group")
    with pytest.warns(UndefinedMetricWarning, match=r"label 1 in .*\['a'\].*stratify"):
        assert scorer(model, X, y) == -1.0


def test_columns_in_another_guise_warn():
    fitted = steering(-1).fit(X, Y)
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        moved = fitted.transform(X.to_numpy())
    assert_array_equal(moved, fitted.transform(X))


# Faults of others that a user meets


@pytest.mark.skipif(
    not version("scikit-learn").startswith("1.9."), reason="a fault of scikit-learn 1.9"
)
def test_a_target_encoder_before_routed_steering():
    encode = columns(TargetEncoder(), ["town"])
    table = FEATURES.assign(town=TOWN)
    with (
        config_context(enable_metadata_routing=True),
        pytest.raises(KeyError, match="^'groups'$"),
    ):
        pipeline(encode, ids=None).fit(table, Y, **ROUTED)
    # The remedy: the attribute in a column, without routing.
    encode.set_params(verbose_feature_names_out=False).set_output(transform="pandas")
    model = pipeline(encode).fit(X.assign(town=TOWN), Y)
    assert model.score(X.assign(town=TOWN), Y) > 0.5


def test_torch_tensors_become_arrays_or_say_why_not():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    tensor, labels = torch.tensor(FEATURES.to_numpy()), torch.tensor(Y.to_numpy())
    expected = steering(None).fit_transform(FEATURES.to_numpy(), Y, **ROUTED)
    moved = steering(None).fit_transform(tensor, labels, **ROUTED)
    assert type(moved) is np.ndarray
    assert_array_equal(moved, expected)
    with pytest.raises(RuntimeError, match=r"requires grad. Use tensor.detach\(\).numpy\(\)"):
        steering(None).fit(tensor.requires_grad_(), labels, **ROUTED)


def test_a_threshold_is_tuned_by_scikit_learns_own_scorers_only():
    gap = make_fairness_scorer(opportunity, sensitive_feature_ids="group")
    tuned = TunedThresholdClassifierCV(pipeline(), scoring=gap, cv=2)
    with pytest.raises(AttributeError, match="'FairnessScorer' object has no attribute"):
        tuned.fit(X, Y)
