"""Bad values times public calls: each ends in one sentence and leaves the estimator as it was."""

import inspect
import linecache
import pickle
import re
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fairlearn.metrics import demographic_parity_difference
from scipy import sparse
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fairsteer
from fairsteer import (
    ConceptSteering,
    OptimalSteeringTransformer,
    SteeredClassifier,
    SubgroupGaussians,
    WithinLabelEraser,
    bayes_metrics,
    estimate_gaussians,
    ideal_gap,
    is_ideal,
    metrics,
    nearest_ideal,
    prior_gap,
)
from fairsteer.audit import audit_steering
from fairsteer.commands._main import main
from fairsteer.compare import compare, frontier_table, load_table
from fairsteer.datasets import make_bios_like, make_gaussian_subgroups
from fairsteer.metrics import (
    fairness_gaps,
    fairness_report,
    leveling_down,
    make_fairness_scorer,
    most_accurate_within,
    noise_floor,
    rms_tpr_gap_floor,
    tpr_by_label,
)
from fairsteer.plotting import plot_densities, plot_ellipses

PACKAGE = str(Path(fairsteer.__file__).parent)
LONGEST = 600
SCIKIT_LEARN = (
    r"The '\w+' parameter of \w+ must be ",
    r"\w+ must be an instance of ",
    r"\w+ == .*, must be [<>]=? .*\.$",
    r"Found array with \d+ (sample|feature)\(s\)",
    r"Found array with dim 3(, while dim <= 2 is required|. None expected <= 2).",
    r"y should be a 1d array, got an array of shape",
    r"This \w+ instance is not fitted yet",
    r"X has \d+ features, but \w+ is expecting \d+ features as input",
    r"The feature names should match those that were passed during fit",
    r".* cannot be used to seed a numpy.random.RandomState instance",
    r"Invalid parameter '\w+' for estimator",
    r"<class '[\w.]+'> is a class, not an instance.",
    r"This '\w+' has no attribute 'partial_fit'",
    r"input_features should have length equal to number of features",
)
"""Sentences of scikit-learn that a user may see; all others are ours."""

N = 60
RNG = np.random.default_rng(0)
GROUP = np.arange(N) % 2
Y = np.arange(N) // 2 % 2
X = RNG.normal(size=(N, 2)) + 0.7 * GROUP[:, None] + Y[:, None]
NAMED = pd.DataFrame(X, columns=["u", "v"])
DISTRIBUTION = estimate_gaussians(X, Y, sensitive_features=GROUP)
PARTS = {
    name: getattr(DISTRIBUTION, name)
    for name in ("labels", "groups", "priors", "means", "covariances", "counts")
}
CLASSIFIER = LogisticRegression()
TRANSFORMER = OptimalSteeringTransformer(random_state=0).fit(X, Y, sensitive_features=GROUP)
ERASER = WithinLabelEraser(constraint="demographic_parity").fit(X, Y, sensitive_features=GROUP)
STEERED = SteeredClassifier(CLASSIFIER).fit(X, Y, sensitive_features=GROUP)
CONCEPT = ConceptSteering().fit(X, Y, sensitive_features=GROUP)
FITTED = {
    "transformer": TRANSFORMER,
    "eraser": ERASER,
    "classifier": STEERED,
    "concept": CONCEPT,
}


def but(array, value, dtype=object):
    """Return an array whose first entry is another value."""
    changed = np.array(array, dtype=dtype)
    changed[0] = value
    return changed


def text(values):
    return np.array([f"v{value}" for value in values])


BAD_ROWS = {
    "X: text": {"X": X.astype(str)},
    "X: a column of text": {"X": NAMED.assign(w="text")},
    "X: one dimension": {"X": X[:, 0]},
    "X: three dimensions": {"X": X[:, :, None]},
    "X: NaN": {"X": but(X, np.nan, float)},
    "X: infinity": {"X": but(X, np.inf, float)},
    "X: None": {"X": but(X, None)},
    "X: no rows": {"X": X[:0], "y": Y[:0], "sensitive_features": GROUP[:0]},
    "X: no columns": {"X": X[:, :0]},
    "X: sparse": {"X": sparse.csr_matrix(X)},
    "X: complex": {"X": X + 1j},
    "y: None": {"y": None},
    "y: NaN": {"y": but(Y, np.nan, float)},
    "y: a None": {"y": but(text(Y), None)},
    "y: a list with NaN": {"y": ["a", np.nan, *text(Y[2:]).tolist()]},
    "y: too short": {"y": Y[:-1]},
    "y: two columns": {"y": np.column_stack([Y, Y])},
    "groups: NaN": {"sensitive_features": but(GROUP, np.nan, float)},
    "groups: a None": {"sensitive_features": but(text(GROUP), None)},
    "groups: pandas.NA": {"sensitive_features": but(GROUP, pd.NA)},
    "groups: NaT": {"sensitive_features": but(GROUP, "NaT", "datetime64[D]")},
    "groups: too short": {"sensitive_features": GROUP[:-1]},
    "groups: three dimensions": {"sensitive_features": np.zeros((N, 1, 1))},
    "weights: negative": {"sample_weight": but(np.ones(N), -1.0, float)},
    "weights: NaN": {"sample_weight": but(np.ones(N), np.nan, float)},
    "weights: infinite": {"sample_weight": but(np.ones(N), np.inf, float)},
    "weights: zero": {"sample_weight": np.zeros(N)},
    "weights: too short": {"sample_weight": np.ones(N - 1)},
}
MASK = np.arange(N) == 0
BAD_ESTIMATION = {
    "X: masked": {"X": np.ma.masked_array(X, np.column_stack([MASK, MASK]))},
    "y: masked": {"y": np.ma.masked_array(Y, MASK)},
    "y: mixed": {"y": but(Y, "text")},
    "y: lists": {"y": but(Y, [1])},
    "groups: masked": {"sensitive_features": np.ma.masked_array(GROUP, MASK)},
    "groups: lists": {"sensitive_features": but(GROUP, [1])},
    "groups: a missing part": {"sensitive_features": but(GROUP, ("a", None))},
    "weights: masked": {"sample_weight": np.ma.masked_array(np.ones(N), MASK)},
    "weights: text": {"sample_weight": text(Y)},
    "X: too large to square": {"X": NAMED.assign(w=np.where(MASK, 1e300, X[:, 0]))},
    "shrinkage": {"shrinkage": 2},
    "shrinkage: None": {"shrinkage": None},
    "shrinkage: NaN": {"shrinkage": np.nan},
    "covariance_type": {"covariance_type": np.array(["full", "diag"])},
}
BAD_LABELS = {
    "y_pred: probabilities": {"y_pred": X[:, 0]},
    "y_pred: two columns": {"y_pred": X},
    "y_pred: another label": {"y_pred": but(Y, 7)},
    "y_pred: text": {"y_pred": text(Y)},
    "y_pred: NaN": {"y_pred": but(Y, np.nan, float)},
    "y_pred: None": {"y_pred": None},
    "y_pred: too short": {"y_pred": Y[:-1]},
    "y_pred: lists": {"y_pred": but(Y, [1])},
    "y_true: continuous": {"y_true": X[:, 0]},
    "y_true: NaN": {"y_true": but(Y, np.nan, float)},
    "y_true: no rows": {"y_true": [], "y_pred": [], "sensitive_features": []},
    "groups: None": {"sensitive_features": None},
    "groups: NaN": {"sensitive_features": but(GROUP, np.nan, float)},
    "groups: lists": {"sensitive_features": but(GROUP, [1])},
    "groups: infinite": {"sensitive_features": but(GROUP, np.inf, float)},
    "groups: too short": {"sensitive_features": GROUP[:-1]},
    "groups: a name twice, one of them missing": {
        "sensitive_features": pd.DataFrame({"a": GROUP, "b": but(GROUP, None)}).set_axis(
            ["a", "a"], axis=1
        )
    },
    "weights: negative": {"sample_weight": but(np.ones(N), -1.0, float)},
    "weights: NaN": {"sample_weight": but(np.ones(N), np.nan, float)},
    "weights: zero": {"sample_weight": np.zeros(N)},
    "weights: too short": {"sample_weight": np.ones(N - 1)},
}
ROWS = {"X": X, "y": Y, "sensitive_features": GROUP}
LABELS = {"y_true": Y, "y_pred": Y, "sensitive_features": GROUP}


def fit_concept(X, y, **given):
    return CONCEPT.fit(X, y, **given)


FITS = {
    "estimate_gaussians": estimate_gaussians,
    "transformer": TRANSFORMER.fit,
    "transformer in parts": TRANSFORMER.partial_fit,
    "eraser": ERASER.fit,
    "classifier": STEERED.fit,
    "concept": fit_concept,
}
METRICS = {
    name: getattr(metrics, name)
    for name in metrics.__all__
    if [*inspect.signature(getattr(metrics, name)).parameters][:2] == ["y_true", "y_pred"]
}
# A batch without weight adds nothing.
ALLOWED = {("transformer in parts", "weights: zero")}
MATRIX = {
    **{
        (f, bad): partial(FITS[f], **ROWS | BAD_ROWS[bad])
        for f in FITS
        for bad in BAD_ROWS
        if (f, bad) not in ALLOWED
    },
    **{
        ("estimate_gaussians", bad): partial(estimate_gaussians, **ROWS | given)
        for bad, given in BAD_ESTIMATION.items()
    },
    **{
        (f, bad): partial(METRICS[f], **LABELS | BAD_LABELS[bad])
        for f in METRICS
        for bad in BAD_LABELS
    },
}


def plain(**parameters):
    return OptimalSteeringTransformer(**parameters)


def score(model=STEERED, metric=demographic_parity_difference, given=LABELS, **parameters):
    """Score a model on the rows, whose arguments `given` may replace."""
    scorer = make_fairness_scorer(metric, **parameters)
    return scorer(model, X, given["y_true"], sensitive_features=given["sensitive_features"])


REGRESSION = LinearRegression().fit(X, Y)
RATES = fairness_report(Y, Y, sensitive_features=GROUP).iloc[:-1]
COUNTS = RATES[["selection_rate", "tpr"]] * 30
PIPELINE = make_pipeline(StandardScaler(), CLASSIFIER).fit(X, Y)
TABLE = load_table("diabetes")
SMALL = {"random_state": 0, "n_permutations": 2}
CALLS = {
    # Rows after fit
    "transform: no attribute": lambda: TRANSFORMER.transform(X),
    "transform: an unknown group": lambda: TRANSFORMER.transform(X, sensitive_features=GROUP + 5),
    "transform: text groups": lambda: TRANSFORMER.transform(X, sensitive_features=text(GROUP)),
    "transform: NaN": lambda: TRANSFORMER.transform(X, sensitive_features=GROUP * np.nan),
    "transform: more features": lambda: TRANSFORMER.transform(
        np.column_stack([X, X]), sensitive_features=GROUP
    ),
    "transform: one row": lambda: TRANSFORMER.transform(X[0], sensitive_features=GROUP),
    "transform: two attributes": lambda: TRANSFORMER.transform(
        X, sensitive_features=np.column_stack([GROUP, GROUP])
    ),
    "transform: not fitted": lambda: plain().transform(X, sensitive_features=GROUP),
    "transform_labeled: no labels": lambda: TRANSFORMER.transform_labeled(
        X, None, sensitive_features=GROUP
    ),
    "transform_labeled: unknown": lambda: TRANSFORMER.transform_labeled(
        X, Y + 5, sensitive_features=GROUP
    ),
    "ideal_sample_weight: unknown": lambda: TRANSFORMER.ideal_sample_weight(
        X, text(Y), sensitive_features=GROUP
    ),
    "certificate_: not fitted": lambda: plain().certificate_,
    "merge: a class": lambda: TRANSFORMER.merge(OptimalSteeringTransformer),
    "merge: not fitted": lambda: TRANSFORMER.merge(plain()),
    "merge: other features": lambda: TRANSFORMER.merge(
        plain().fit(X[:, :1], Y, sensitive_features=GROUP)
    ),
    "merge: groups of another type": lambda: TRANSFORMER.merge(
        plain().fit(X, Y, sensitive_features=text(GROUP))
    ),
    "partial_fit: names": lambda: TRANSFORMER.partial_fit(NAMED, Y, sensitive_features=GROUP),
    "partial_fit: a copula": lambda: (
        plain(family="copula").fit(X, Y, sensitive_features=GROUP).partial_fit(X, Y)
    ),
    "set_params: unknown": lambda: TRANSFORMER.set_params(steps=3),
    "get_feature_names_out: too many": lambda: TRANSFORMER.get_feature_names_out(list("abc")),
    "eraser.transform: text": lambda: ERASER.transform(X.astype(str)),
    "eraser.transform: fewer features": lambda: ERASER.transform(X[:, :1]),
    "predict: no attribute": lambda: STEERED.predict(X),
    "predict: NaN": lambda: STEERED.predict(but(X, np.nan, float), sensitive_features=GROUP),
    "predict_proba: an unknown group": lambda: STEERED.predict_proba(
        X, sensitive_features=GROUP + 5
    ),
    "decision_function: too short": lambda: STEERED.decision_function(
        X, sensitive_features=GROUP[1:]
    ),
    "score: no labels": lambda: STEERED.score(X, None, sensitive_features=GROUP),
    "concept.transform: alpha": lambda: CONCEPT.transform(X, alpha="long"),
    "concept.transform: other states": lambda: CONCEPT.transform(X[:, :1]),
    "concept.transform: an unknown group": lambda: CONCEPT.transform(
        X, sensitive_features=GROUP + 5
    ),
    "concept.vector: an unknown group": lambda: CONCEPT.vector("nobody"),
    "concept.vector: an array": lambda: CONCEPT.vector(np.array([0, 1])),
    "concept.vector: alpha": lambda: CONCEPT.vector(0, alpha=np.inf),
    "concept.effects: a text": lambda: CONCEPT.effects("shared"),
    "concept.effects: another shape": lambda: CONCEPT.effects(np.ones(5)),
    "concept.group_positions: too short": lambda: CONCEPT.group_positions(GROUP, 3),
    # Parameters of estimators
    **{
        f"transformer: {name}": partial(
            lambda given: plain(**given).fit(X, Y, sensitive_features=GROUP), {name: value}
        )
        for name, value in {
            "sensitive_feature_ids": 2.5,
            "constraint": "fairness",
            "pos_label": "nobody",
            "intervention": "none",
            "reference_group": [0, 1],
            "conditions": None,
            "family": "gamma",
            "covariance_type": "round",
            "shrinkage": -1,
            "priors": "equal",
            "label_strategy": "guess",
            "group_strategy": "guess",
            "output": "ranks",
            "strength": 2,
            "handle_unknown": "ignore",
            "small_groups": "drop",
            "max_drift": -1,
            "random_state": "today",
        }.items()
    },
    "transformer: an array as pos_label": lambda: plain(pos_label=np.array([0, 1])).fit(
        X, Y, sensitive_features=GROUP
    ),
    "transformer: an array as reference_group": lambda: plain(reference_group=np.array([0, 1])).fit(
        X, Y, sensitive_features=GROUP
    ),
    "eraser: strength": lambda: WithinLabelEraser(strength="all").fit(
        X, Y, sensitive_features=GROUP
    ),
    "eraser: pos_label": lambda: WithinLabelEraser(pos_label="nobody").fit(
        X, Y, sensitive_features=GROUP
    ),
    "classifier: a regressor": lambda: SteeredClassifier(LinearRegression()).fit(
        X, Y, sensitive_features=GROUP
    ),
    "classifier: no estimator": lambda: SteeredClassifier(None).fit(X, Y),
    "classifier: steering": lambda: SteeredClassifier(CLASSIFIER, StandardScaler()).fit(X, Y),
    "classifier: training": lambda: SteeredClassifier(CLASSIFIER, training="all").fit(X, Y),
    "classifier: training of an eraser": lambda: SteeredClassifier(
        CLASSIFIER, WithinLabelEraser(), training="ideal"
    ).fit(X, Y, sensitive_features=GROUP),
    "classifier: a parameter of no steering": lambda: STEERED.set_params(steering__strength=1),
    "concept: three values": lambda: ConceptSteering().fit(
        X, np.arange(N) % 3, sensitive_features=GROUP
    ),
    "concept: pos_label": lambda: ConceptSteering(pos_label=3).fit(X, Y, sensitive_features=GROUP),
    "concept: probe": lambda: ConceptSteering(probe=np.ones(3)).fit(X, Y, sensitive_features=GROUP),
    "a column that is not there": lambda: plain(sensitive_feature_ids="sex").fit(NAMED, Y),
    "a column by name in an array": lambda: plain(sensitive_feature_ids="sex").fit(X, Y),
    "a column by position": lambda: plain(sensitive_feature_ids=7).fit(NAMED, Y),
    "a column and an argument": lambda: plain(sensitive_feature_ids="u").fit(
        NAMED, Y, sensitive_features=GROUP
    ),
    "a column twice": lambda: plain(sensitive_feature_ids=["u", 0]).fit(NAMED, Y),
    "every column": lambda: plain(sensitive_feature_ids=["u", "v"]).fit(NAMED, Y),
    "a continuous column": lambda: plain(sensitive_feature_ids="u").fit(NAMED, Y),
    # Distributions
    **{
        f"SubgroupGaussians: {name}": partial(
            lambda given: SubgroupGaussians(**PARTS | given), {name.split(":")[0]: value}
        )
        for name, value in {
            "labels": [0, 0],
            "labels: missing": [0, None],
            "labels: NaN": [0.0, np.nan],
            "labels: lists": [[0], [1]],
            "groups": ["a", "a"],
            "groups: three": [0, 1, 2],
            "groups: missing": ["a", np.nan],
            "priors": np.full((2, 2), 0.5),
            "priors: negative": [[1.5, -0.5], [0, 0]],
            "priors: text": [["a", "b"], ["c", "d"]],
            "means": np.full((2, 2, 2), np.nan),
            "means: one": 1.0,
            "means: none": np.empty((2, 0, 2)),
            "covariances": -DISTRIBUTION.covariances,
            "covariances: NaN": DISTRIBUTION.covariances * np.nan,
            "covariances: infinite": DISTRIBUTION.covariances * np.inf,
            "covariances: None": None,
            "counts": [[1, -1], [1, 1]],
            "counts: NaN": [[1, np.nan], [1, 1]],
            "counts: masked": np.ma.masked_array(PARTS["counts"], PARTS["counts"] > 0),
        }.items()
    },
    "group_index": lambda: DISTRIBUTION.group_index("nobody"),
    "group_index: an array": lambda: DISTRIBUTION.group_index(np.array([0, 1])),
    "label_index": lambda: DISTRIBUTION.label_index(None),
    **{
        f"nearest_ideal: {name}": partial(
            lambda given: nearest_ideal(DISTRIBUTION, **given), {name.split(":")[0]: value}
        )
        for name, value in {
            "intervention": "none",
            "reference_group": "nobody",
            "conditions": ["affine"],
            "anchor": 7,
            "priors": None,
            "solver": np.array(["affine", "tied"]),
            "n_init": 0,
            "n_init: a fraction": 1.5,
            "n_init: text": "many",
            "random_state": -1,
            "random_state: a fraction": 0.5,
            "random_state: text": "today",
        }.items()
    },
    **{
        f"{function.__name__}: {name}": partial(function, value)
        for function in (nearest_ideal, ideal_gap, prior_gap, is_ideal, bayes_metrics)
        for name, value in {"an array": X, "None": None}.items()
    },
    "ideal_gap: conditions": lambda: ideal_gap(DISTRIBUTION, "ideal"),
    "ideal_gap: anchor": lambda: ideal_gap(DISTRIBUTION, anchor="nobody"),
    "is_ideal: tol": lambda: is_ideal(DISTRIBUTION, tol=-1),
    "is_ideal: NaN as tol": lambda: is_ideal(DISTRIBUTION, tol=np.nan),
    "bayes_metrics: cost": lambda: bayes_metrics(DISTRIBUTION, np.ones((3, 3))),
    "bayes_metrics: text as cost": lambda: bayes_metrics(DISTRIBUTION, "zero-one"),
    "bayes_metrics: NaN as cost": lambda: bayes_metrics(DISTRIBUTION, np.full((2, 2), np.nan)),
    "bayes_metrics: pos_label": lambda: bayes_metrics(DISTRIBUTION, pos_label="nobody"),
    "bayes_metrics: n_samples": lambda: bayes_metrics(DISTRIBUTION, n_samples=0),
    "bayes_metrics: a fraction": lambda: bayes_metrics(DISTRIBUTION, n_samples=0.5),
    "bayes_metrics: random_state": lambda: bayes_metrics(DISTRIBUTION, random_state="today"),
    # Options of metrics
    "noise_floor: n_permutations": lambda: noise_floor(**LABELS, n_permutations=0),
    "noise_floor: a fraction": lambda: noise_floor(**LABELS, n_permutations=2.5),
    "noise_floor: random_state": lambda: noise_floor(**LABELS, random_state=-1),
    "rms_tpr_gap_floor: n_permutations": lambda: rms_tpr_gap_floor(**LABELS, n_permutations="all"),
    "rms_tpr_gap_floor: random_state": lambda: rms_tpr_gap_floor(**LABELS, random_state=0.5),
    "fairness_report: tolerance": lambda: fairness_report(**LABELS, tolerance=-1),
    "fairness_report: NaN": lambda: fairness_report(**LABELS, tolerance=np.nan),
    "fairness_report: text": lambda: fairness_report(**LABELS, tolerance="small"),
    "fairness_report: pos_label": lambda: fairness_report(**LABELS, pos_label=3),
    "fairness_report: an array as pos_label": lambda: fairness_report(**LABELS, pos_label=[0, 1]),
    "fairness_report: labels": lambda: fairness_report(**LABELS, labels=["a", "b"]),
    "fairness_report: before": lambda: fairness_report(**LABELS, y_pred_before=X[:, 0]),
    "fairness_report: before too short": lambda: fairness_report(**LABELS, y_pred_before=Y[1:]),
    "fairness_gaps: three labels": lambda: fairness_gaps(**LABELS | {"y_true": np.arange(N) % 3}),
    "tpr_by_label: labels": lambda: tpr_by_label(**LABELS, labels=7),
    "leveling_down: arrays": lambda: leveling_down(RATES.to_numpy(), RATES, COUNTS),
    "leveling_down: other columns": lambda: leveling_down(RATES, RATES[["tpr"]], COUNTS),
    "leveling_down: other groups": lambda: leveling_down(RATES, RATES, COUNTS.iloc[:1]),
    "leveling_down: tolerance": lambda: leveling_down(RATES, RATES, COUNTS, tolerance="small"),
    "scorer: no metric": lambda: make_fairness_scorer("accuracy"),
    "scorer: a metric without signature": lambda: make_fairness_scorer(max),
    "scorer: ids": lambda: make_fairness_scorer(max, sensitive_feature_ids=0.5),
    "scorer: greater_is_better": lambda: make_fairness_scorer(
        demographic_parity_difference, greater_is_better="yes"
    ),
    "scorer: response_method": lambda: score(response_method="transform"),
    "scorer: binarize": lambda: score(binarize="no"),
    "scorer: pos_label": lambda: score(pos_label="nobody"),
    "scorer: an array as pos_label": lambda: score(pos_label=np.array([0, 1])),
    "scorer: a regressor": lambda: score(REGRESSION, pos_label=1),
    "scorer: a regressor without pos_label": lambda: score(REGRESSION),
    "scorer: continuous labels": lambda: score(given=LABELS | {"y_true": X[:, 0]}),
    "scorer: text labels": lambda: score(given=LABELS | {"y_true": text(Y)}),
    "scorer: no attribute": lambda: score(given=LABELS | {"sensitive_features": None}),
    "scorer: no number": lambda: score(metric=lambda y_true, y_pred, sensitive_features: "small"),
    "scorer: a request of weights": lambda: make_fairness_scorer(
        lambda y_true, y_pred, *, sensitive_features: 0
    ).set_score_request(sample_weight=True),
    "most_accurate_within: eps": lambda: most_accurate_within(-1),
    "most_accurate_within: text": lambda: most_accurate_within("small"),
    "most_accurate_within: gap": lambda: most_accurate_within(0.1, gap=3),
    "most_accurate_within: no scores": lambda: most_accurate_within(0.1)({}),
    # Audit, figures, comparison, data
    "audit: not fitted": lambda: audit_steering(plain(), X, Y, sensitive_features=GROUP),
    "audit: a classifier": lambda: audit_steering(
        LogisticRegression().fit(X, Y), X, Y, sensitive_features=GROUP
    ),
    "audit: a pipeline without steering": lambda: audit_steering(
        PIPELINE, X, Y, sensitive_features=GROUP
    ),
    "audit: a class, not an object": lambda: audit_steering(
        OptimalSteeringTransformer, X, Y, sensitive_features=GROUP
    ),
    "audit: no attribute": lambda: audit_steering(TRANSFORMER, X, Y),
    "audit: one group": lambda: audit_steering(TRANSFORMER, X, Y, sensitive_features=GROUP * 0),
    "audit: labels": lambda: audit_steering(TRANSFORMER, X, X[:, 0], sensitive_features=GROUP),
    "audit: cv": lambda: audit_steering(TRANSFORMER, X, Y, sensitive_features=GROUP, cv=1),
    "audit: max_rows": lambda: audit_steering(
        TRANSFORMER, X, Y, sensitive_features=GROUP, max_rows="all"
    ),
    "audit: too many folds": lambda: audit_steering(
        TRANSFORMER, X, Y, sensitive_features=GROUP, cv=40
    ),
    "audit: random_state": lambda: audit_steering(
        TRANSFORMER, X, Y, sensitive_features=GROUP, random_state="today"
    ),
    "densities: not fitted": lambda: plot_densities(plain(), X, sensitive_features=GROUP),
    "densities: a scaler": lambda: plot_densities(
        StandardScaler().fit(X), X, sensitive_features=GROUP
    ),
    "densities: no attribute": lambda: plot_densities(TRANSFORMER, X),
    "densities: a feature": lambda: plot_densities(
        TRANSFORMER, X, sensitive_features=GROUP, features=["w"]
    ),
    "densities: no list of features": lambda: plot_densities(
        TRANSFORMER, X, sensitive_features=GROUP, features=3
    ),
    "densities: n_features": lambda: plot_densities(
        TRANSFORMER, X, sensitive_features=GROUP, n_features="all"
    ),
    "densities: axes": lambda: plot_densities(TRANSFORMER, X, sensitive_features=GROUP, axes=[]),
    "ellipses: an eraser": lambda: plot_ellipses(ERASER),
    "ellipses: one feature": lambda: plot_ellipses(TRANSFORMER, features=["x0"]),
    "compare: a frame": lambda: compare(NAMED),
    **{
        f"compare: {name}": partial(lambda given: compare(TABLE, **given), {name: value})
        for name, value in {
            "estimators": 3,
            "repeats": 1.5,
            "cv": "five",
            "random_state": None,
            "n_jobs": "all",
            "skip": [3],
            "frontier": "yes",
            "methods": [CLASSIFIER],
            "progress": 3,
        }.items()
    },
    "compare: an unknown estimator": lambda: compare(TABLE, estimators=["forest"]),
    "compare: a class": lambda: compare(TABLE, estimators={"mine": LogisticRegression}),
    "compare: no estimator": lambda: compare(TABLE, estimators=[]),
    "frontier_table: no results": lambda: frontier_table(NAMED, []),
    "frontier_table: no methods": lambda: frontier_table(None, None),
    "load_table: no file": lambda: load_table("nowhere.csv", target="y", sensitive="s"),
    "load_table: a target": lambda: load_table("diabetes", target="y"),
    "load_table: sensitive": lambda: load_table("adult", sensitive="age"),
    "make_gaussian_subgroups: no rows": lambda: make_gaussian_subgroups(0),
    "make_gaussian_subgroups: text": lambda: make_gaussian_subgroups("many"),
    "make_gaussian_subgroups: a fraction": lambda: make_gaussian_subgroups(10, n_groups=1.5),
    "make_gaussian_subgroups: gaussians": lambda: make_gaussian_subgroups(10, gaussians=X),
    "make_gaussian_subgroups: random_state": lambda: make_gaussian_subgroups(10, random_state="a"),
    "make_bios_like: no rows": lambda: make_bios_like(0),
    "make_bios_like: random_state": lambda: make_bios_like(random_state="today"),
}


def refusal(call):
    """Return the error of a call after checking that it is a sentence of the right kind."""
    before = {name: pickle.dumps(estimator) for name, estimator in FITTED.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(Exception) as caught:
            call()
    error, message = caught.value, str(caught.value)
    assert isinstance(error, ValueError | TypeError | KeyError | AttributeError), repr(error)
    assert len(message) <= LONGEST, message
    last = caught.traceback[-1]
    raised = linecache.getline(str(last.path), last.lineno + 1).strip()
    ours = str(last.path).startswith(PACKAGE) and raised.startswith("raise ")
    if ours:
        assert message.endswith("."), message
    else:
        assert any(re.match(sentence, message) for sentence in SCIKIT_LEARN), repr(error)
    after = {name: pickle.dumps(estimator) for name, estimator in FITTED.items()}
    assert [name for name in FITTED if before[name] != after[name]] == []
    return error


@pytest.mark.parametrize("case", MATRIX, ids=": ".join)
def test_bad_rows_are_refused(case):
    refusal(MATRIX[case])


@pytest.mark.parametrize("case", CALLS)
def test_bad_arguments_are_refused(case):
    refusal(CALLS[case])


# The command line

COMMANDS = {
    "nothing": "",
    "another command": "contrast",
    "an unknown option": "compare --fast",
    "an option without its value": "compare --folds",
    "text as folds": "compare --folds many",
    "a fraction as folds": "compare --folds 2.5",
    "one fold": "compare --folds 1",
    "too many folds": "compare --folds 200",
    "no repeats": "compare --repeats 0",
    "a negative seed": "compare --seed -1",
    "a large seed": "compare --seed 4294967296",
    "no jobs": "compare --jobs 0",
    "an unknown estimator": "compare --estimator forest",
    "an unknown method": "compare --skip nobody",
    "a frontier of nothing": "compare --skip steering --frontier",
    "no file": "compare nowhere.csv --target y --sensitive s",
    "a folder": "compare . --target y --sensitive s",
    "two tables": "compare diabetes adult",
    "a target of a named table": "compare --target y",
    "an attribute of a named table": "compare adult --sensitive age",
    "no target": "compare people.csv",
    "an unknown target": "compare people.csv --target nothing --sensitive s",
    "an unknown attribute": "compare people.csv --target y --sensitive nothing",
    "an unknown column to drop": "compare people.csv --target y --sensitive s --drop nothing",
    "the target as attribute": "compare people.csv --target y --sensitive y",
    "an attribute twice": "compare people.csv --target y --sensitive s --sensitive s",
    "an unknown favorable value": "compare people.csv --target y --sensitive s --favorable best",
    "a target of many values": "compare people.csv --target x --sensitive s",
    "an attribute of many values": "compare people.csv --target y --sensitive x",
    "an output that is a file": "compare people.csv --target y --sensitive s --output people.csv",
}


@pytest.fixture
def people(tmp_path, monkeypatch):
    frame = pd.DataFrame({"x": X[:, 0], "z": X[:, 1], "s": text(GROUP), "y": text(Y)})
    frame.to_csv(tmp_path / "people.csv", index=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("case", COMMANDS)
def test_bad_commands_are_refused(case, people, capsys):
    assert main(COMMANDS[case].split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"fairsteer: .*\.\n", err), err
    assert len(err) <= LONGEST


# Many groups and many columns

MANY = np.arange(200_000)
LONG = MANY[:, None] / len(MANY)
PARITY = MANY % 2
WIDE = pd.DataFrame(np.zeros((4, 5_000)), columns=[f"column {j}" for j in range(5_000)])
FEW = [0, 1, 0, 1]
SUMS = {"sensitive_features": FEW, "finish": False}


def names(prefix, n=300):
    return WIDE.iloc[:, :n].add_prefix(prefix) + np.arange(4)[:, None]


def undefined(y_true, y_pred, sensitive_features):
    return 0.0


LARGE = {
    "estimate_gaussians": lambda: estimate_gaussians(LONG, PARITY, sensitive_features=MANY),
    "labels that mix": lambda: estimate_gaussians(
        LONG, but(MANY, "text"), sensitive_features=PARITY
    ),
    "transformer.fit": lambda: plain().fit(
        LONG[:20_000], PARITY[:20_000], sensitive_features=MANY[:20_000]
    ),
    "transformer.fit with many labels": lambda: plain().fit(
        LONG[:4_000], MANY[:4_000], sensitive_features=PARITY[:4_000]
    ),
    "reference_group": lambda: plain(reference_group="nobody", small_groups="pooled").fit(
        LONG[:4000], MANY[:4000] % 2, sensitive_features=MANY[:4000] // 4
    ),
    "transform": lambda: TRANSFORMER.transform(
        np.column_stack([LONG, LONG]), sensitive_features=MANY
    ),
    "predict": lambda: STEERED.predict(np.column_stack([LONG, LONG]), sensitive_features=MANY),
    "concept.fit": lambda: ConceptSteering().fit(
        LONG[:20_000], PARITY[:20_000], sensitive_features=MANY[:20_000]
    ),
    "concept.fit with many labels": lambda: ConceptSteering().fit(
        LONG, MANY, sensitive_features=PARITY
    ),
    "fairness_gaps": lambda: fairness_gaps(PARITY, MANY, sensitive_features=MANY),
    "fairness_report": lambda: fairness_report(PARITY, MANY, sensitive_features=MANY),
    "fairness_report of scores": lambda: fairness_report(
        PARITY, LONG[:, 0], sensitive_features=MANY
    ),
    "tpr_by_label": lambda: tpr_by_label(MANY, MANY + 1, sensitive_features=PARITY),
    "pos_label": lambda: fairness_report(MANY, MANY, sensitive_features=PARITY, pos_label="a"),
    "a missing group": lambda: fairness_gaps(PARITY, PARITY, sensitive_features=but(MANY, None)),
    "a group of a distribution": lambda: SubgroupGaussians(
        [0],
        MANY[:2000],
        np.full((1, 2000), 1 / 2000),
        np.zeros((1, 2000, 1)),
        np.ones((1, 2000, 1, 1)),
        np.ones((1, 2000)),
    ).group_index("nobody"),
    "columns of text": lambda: plain().fit(
        WIDE.astype(object).where(WIDE > 0, "a"), FEW, sensitive_features=FEW
    ),
    "columns of NaN": lambda: plain().fit(WIDE * np.nan, FEW, sensitive_features=FEW),
    "an unknown column": lambda: plain(sensitive_feature_ids="sex").fit(WIDE, FEW),
    "columns twice": lambda: plain(sensitive_feature_ids=[*WIDE][:500] * 2).fit(WIDE, FEW),
    "every column": lambda: plain(sensitive_feature_ids=[*WIDE][:500]).fit(WIDE.iloc[:, :500], FEW),
    "columns that are too large": lambda: estimate_gaussians(
        names("") * 1e200, FEW, sensitive_features=FEW
    ),
    "other columns": lambda: (
        plain().partial_fit(names("a"), FEW, **SUMS).partial_fit(names("b"), FEW, **SUMS)
    ),
    "columns to merge": lambda: (
        plain()
        .partial_fit(names("a"), FEW, **SUMS)
        .merge(plain().partial_fit(names("b"), FEW, **SUMS))
    ),
    "groups to merge": lambda: (
        plain()
        .partial_fit(LONG, PARITY, sensitive_features=MANY % 5000, finish=False)
        .merge(
            plain().partial_fit(LONG, PARITY, finish=False, sensitive_features=text(MANY % 5000))
        )
    ),
    "attributes": lambda: TRANSFORMER.transform(WIDE.iloc[:, :2], sensitive_features=WIDE),
    "attributes in another frame": lambda: fairness_gaps(
        FEW, FEW, sensitive_features=WIDE.assign(last=None)
    ),
    "names of scores": lambda: most_accurate_within(0.1)(
        {f"mean_test_{name}": [0.0] for name in WIDE}
    ),
    "a long name": lambda: plain(sensitive_feature_ids="sex" * 500).fit(NAMED, Y),
    "a long label": lambda: plain(pos_label="yes" * 500).fit(X, Y, sensitive_features=GROUP),
    "long groups": lambda: TRANSFORMER.transform(
        X, sensitive_features=[f"{k}" * 500 for k in range(N)]
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", LARGE)
def test_messages_do_not_grow(case):
    refusal(LARGE[case])


@pytest.mark.slow
def test_warnings_do_not_grow():
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        score(PIPELINE, undefined, {"y_true": Y, "sensitive_features": np.arange(N)})
        rows = np.arange(4_000)
        plain(small_groups="pooled").fit(
            RNG.normal(size=(4_000, 2)), rows % 2, sensitive_features=rows // 2
        )
        fairness_report(rows % 2, rows % 2, sensitive_features=rows % 300)
    assert len(warned) >= 3
    assert max(len(str(warning.message)) for warning in warned) <= LONGEST
