"""Fitted models survive files: equal output in a fresh process, and a word about versions."""

import copy
import datetime as dt
import pickle
import subprocess
import sys
from decimal import Decimal
from functools import partial
from pathlib import Path

import cloudpickle
import fairlearn.metrics
import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    recall_score,
    roc_auc_score,
)
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skops.io.exceptions import UntrustedTypesFoundException

import fairsteer
from fairsteer import (
    TRUSTED_TYPES,
    ConceptSteering,
    OptimalSteeringTransformer,
    ScoreSteering,
    SteeredClassifier,
    SteeredClassifierCV,
    SteeringVersionWarning,
    WithinLabelEraser,
)
from fairsteer.datasets import make_gaussian_subgroups
from fairsteer.estimators import TreeBins
from fairsteer.metrics import make_fairness_scorer, most_accurate_within, rms_tpr_gap

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:The channel blurs:fairsteer.SteeringWarning"),
    pytest.mark.filterwarnings("ignore:.*same values as an earlier row:fairsteer.SteeringWarning"),
]


def steering(**parameters):
    return OptimalSteeringTransformer(random_state=0, **parameters)


MODELS = {
    "normal": steering(),
    "tied": steering(covariance_type="tied"),
    "lognormal": steering(family="lognormal", priors="independent"),
    "copula": steering(family="copula", conditions="identical"),
    "copula-group": steering(family="copula_by_group", conditions="identical"),
    "auto": steering(),
    "scores": steering(family="copula", output="scores", constraint="demographic_parity"),
    "posterior": steering(group_strategy="posterior", conditions="whitened"),
    "sample": steering(label_strategy="sample", conditions="identical"),
    "none": steering(label_strategy="none"),
    "all_subgroups": steering(constraint="equal_opportunity", intervention="all_subgroups"),
    "frame": steering(conditions="whitened").set_output(transform="pandas"),
    "eraser": WithinLabelEraser(constraint="equal_opportunity"),
    "concept": ConceptSteering(),
    "classifier": SteeredClassifier(LogisticRegression(), steering(priors="independent")),
    "channel": steering(label_strategy="channel", covariance_type="tied"),
    "score": ScoreSteering(LogisticRegression(), random_state=0),
    "score of two labels": ScoreSteering(LogisticRegression(), random_state=0),
    "score, parity": ScoreSteering(
        LogisticRegression(), constraint="demographic_parity", output="bins", random_state=0
    ),
}
WRITERS = {
    "pickle": pickle.dumps,
    "cloudpickle": cloudpickle.dumps,
    "skops": skops.io.dumps,
}
READERS = {
    "pickle": pickle.loads,
    "cloudpickle": pickle.loads,
    "skops": lambda data: skops.io.loads(data, trusted=TRUSTED_TYPES),
}


@pytest.fixture(scope="module")
def rows():
    """Positive features, 3 labels, and 6 groups that are tuples of a string and a number."""
    drawn = make_gaussian_subgroups(400, n_labels=3, n_groups=3, n_features=3, random_state=0)
    groups = drawn.frame[["group"]].assign(half=np.arange(400) % 2)
    return np.exp(drawn.data.drop(columns="group").to_numpy() / 4), drawn.target.to_numpy(), groups


@pytest.fixture(scope="module")
def fitted(rows):
    X, y, groups = rows
    models = {}
    for name, model in MODELS.items():
        model = copy.deepcopy(model)
        if name in ("concept", "score of two labels", "score, parity"):
            models[name] = model.fit(X, y == 1, sensitive_features=groups)
        else:
            # Six groups in three dimensions leave nothing once their means are erased.
            own = groups["group"] if name == "eraser" else groups
            models[name] = model.fit(X, y, sensitive_features=own)
    # Bounds are computed on first access, and written with the model.
    models["none"]._certificate = models["none"].steering_.certify(100)
    assert models["none"].certificate_
    return models


def output(model, X, groups):
    """Return everything that a model computes from rows."""
    if isinstance(model, WithinLabelEraser):
        return model.transform(X)
    if isinstance(model, ConceptSteering):
        return model.transform(X, sensitive_features=groups)
    if isinstance(model, SteeredClassifier):
        return model.predict_proba(X, sensitive_features=groups)
    return np.asarray(model.transform(X, sensitive_features=groups))


def replay(folder):
    """Load every model of a folder, here in a fresh process, and write what it computes."""
    X, groups = joblib.load(folder / "rows.joblib")
    for path in folder.glob("*.model"):
        kind = path.stem.rpartition(".")[2]
        model = joblib.load(path) if kind == "joblib" else READERS[kind](path.read_bytes())
        np.save(path.with_suffix(".npy"), output(model, X, groups))


def test_every_format_gives_equal_output_in_a_fresh_process(tmp_path, rows, fitted):
    X, _, groups = rows
    joblib.dump((X, groups), tmp_path / "rows.joblib")
    for name, model in fitted.items():
        joblib.dump(model, tmp_path / f"{name}.joblib.model")
        for kind, write in WRITERS.items():
            (tmp_path / f"{name}.{kind}.model").write_bytes(write(model))
    code = (
        "import pathlib, sys; from tests.estimators.test_persistence import replay; "
        "replay(pathlib.Path(sys.argv[1]))"
    )
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, cwd=root)
    for name, model in fitted.items():
        expected = output(model, X, groups)
        for kind in ("joblib", *WRITERS):
            found = np.load(tmp_path / f"{name}.{kind}.npy")
            np.testing.assert_array_equal(found, expected, err_msg=f"{name}, {kind}")
            assert found.dtype == expected.dtype


def test_a_pipeline_with_the_attribute_in_a_column_is_a_file_too(rows):
    X, y, groups = rows
    X = np.column_stack([X, groups["half"]])
    model = make_pipeline(steering(sensitive_feature_ids=3), StandardScaler(), LogisticRegression())
    expected = model.fit(X, y).predict_proba(X)
    for kind, write in WRITERS.items():
        np.testing.assert_array_equal(READERS[kind](write(model)).predict_proba(X), expected)


CODES = np.arange(400) % 2
DAYS = pd.to_datetime(["2020-01-01", "2021-01-01"])
GROUPS = {
    "intervals": pd.Series(pd.cut(CODES + 0.5, [0, 1, 2])),
    "open intervals": pd.Series(pd.cut(CODES + 0.5, 2, right=False)),
    "intervals of dates": pd.Series(
        pd.cut(DAYS[CODES], pd.to_datetime(["2019-01-01", "2020-06-01", "2022-01-01"]))
    ),
    "dates": pd.Series(DAYS[CODES]),
    "array of dates": DAYS.to_numpy()[CODES],
    "dates with a zone": pd.Series(DAYS.tz_localize("Europe/Berlin")[CODES]),
    "dates in UTC": [dt.datetime(2020, 1, 1 + code, tzinfo=dt.UTC) for code in CODES],
    "dates of Python": [dt.date(2020, 1, 1 + code) for code in CODES],
    "times": [dt.time(code) for code in CODES],
    "durations": pd.Series(pd.to_timedelta(CODES, "D")),
    "periods": pd.Series(DAYS.to_period("Q")[CODES]),
    "decimals": [Decimal(code) for code in CODES.tolist()],
    "booleans": CODES == 1,
    "intersections": pd.DataFrame({"age": pd.cut(CODES + 0.5, [0, 1, 2]), "day": DAYS[CODES]}),
}


@pytest.fixture(scope="module")
def grouped(rows):
    X, y, _ = rows
    kinds = {"posterior": "intersections", "eraser": "intervals", "concept": "dates"}
    models = {kind: steering().fit(X, y, sensitive_features=GROUPS[kind]) for kind in GROUPS}
    for name, kind in kinds.items():
        model = copy.deepcopy(MODELS[name])
        models[name] = model.fit(X, y == 1, sensitive_features=GROUPS[kind])
    return models


@pytest.mark.parametrize("kind", WRITERS)
def test_groups_of_every_type_come_along(rows, grouped, kind):
    X = rows[0]
    for name, model in grouped.items():
        loaded = READERS[kind](WRITERS[kind](model))
        assert loaded.groups_.tolist() == model.groups_.tolist(), name
        if name in GROUPS:
            found, expected = (output(m, X, GROUPS[name]) for m in (loaded, model))
            np.testing.assert_array_equal(found, expected, err_msg=name)


def test_dates_are_found_as_pandas_or_python_writes_them(rows, grouped):
    X = rows[0]
    fitted, expected = grouped["dates"], output(grouped["dates"], X, GROUPS["dates"])
    for dates in (
        DAYS[CODES].to_pydatetime(),
        DAYS[CODES].astype("M8[s]"),
        [DAYS[code] for code in CODES],
        DAYS.to_numpy()[CODES],
    ):
        np.testing.assert_array_equal(output(fitted, X, dates), expected)
    with pytest.raises(ValueError, match="2022"):
        output(fitted, X, [pd.Timestamp("2022")] * 400)
    with pytest.raises(ValueError, match="2022Q1"):
        output(grouped["periods"], X, [pd.Period("2022Q1")] * 400)


METRICS = [
    accuracy_score,
    balanced_accuracy_score,
    recall_score,
    roc_auc_score,
    rms_tpr_gap,
    partial(fairlearn.metrics.equalized_odds_difference, agg="mean"),
    *(
        getattr(fairlearn.metrics, f"{name}_{kind}")
        for name in (
            "demographic_parity",
            "equal_opportunity",
            "equalized_odds",
            "false_negative_rate",
            "false_positive_rate",
            "selection_rate",
            "true_negative_rate",
            "true_positive_rate",
        )
        for kind in ("difference", "ratio")
    ),
]


@pytest.fixture(scope="module")
def searches():
    """Searches that hold our scorer: one fitted for each way of choosing, others not."""
    X = np.column_stack([np.random.default_rng(0).normal(size=(400, 2)) + CODES[:, None], CODES])
    y = (X[:, 0] > X[:, 1]).astype(int)
    model = SteeredClassifier(LogisticRegression(), steering(sensitive_feature_ids=2))
    gap = make_fairness_scorer(
        fairlearn.metrics.demographic_parity_difference, sensitive_feature_ids=2
    )
    both = {"accuracy": "accuracy", "gap": gap}
    fitted = [
        GridSearchCV(model, {"steering__strength": [0.0, 1.0]}, scoring=scoring, refit=refit, cv=3)
        for scoring, refit in ((gap, True), (both, "accuracy"), (both, most_accurate_within(1.0)))
    ]
    unfitted = [
        GridSearchCV(model, {}, scoring=make_fairness_scorer(metric), cv=KFold(3))
        for metric in METRICS
    ]
    return X, [search.fit(X, y) for search in fitted], unfitted


def test_searches_that_hold_our_scorer_come_along(searches):
    X, fitted, unfitted = searches
    for search in fitted:
        loaded = READERS["skops"](WRITERS["skops"](search))
        np.testing.assert_array_equal(loaded.predict_proba(X), search.predict_proba(X))
        assert repr(loaded.scoring) == repr(search.scoring)
        assert loaded.best_params_ == search.best_params_
    for search in unfitted:
        loaded = READERS["skops"](WRITERS["skops"](search))
        assert repr(loaded.scoring) == repr(search.scoring)


def test_trusted_types_are_exactly_those_needed(fitted, grouped, searches, rows):
    X, y, groups = rows
    table = pd.DataFrame(np.asarray(X)[:, :2], columns=["a", "b"]).assign(
        job=np.where(np.asarray(X)[:, 0] > 1.0, "cook", "clerk")
    )
    mixed = ScoreSteering(LogisticRegression(), random_state=0)
    mixed.fit(table, np.asarray(y) == 1, sensitive_features=groups)
    chosen = [
        SteeredClassifierCV(LogisticRegression(max_iter=1000), candidates=[name], random_state=0)
        for name in ("unmitigated", "score", "table")
    ]
    # Any gap is below .99, so there is a certificate.
    certified = {"candidates": ["unmitigated"], "max_gap": 0.99, "confidence_level": 0.5}
    chosen.append(SteeredClassifierCV(LogisticRegression(), **certified, random_state=0))
    for model in chosen:
        model.fit(table, np.asarray(y) == 1, sensitive_features=groups)
    needed = {
        name
        for model in (
            mixed,
            TreeBins().fit(X, y),
            *chosen,
            *fitted.values(),
            *grouped.values(),
            *searches[1],
            *searches[2],
        )
        for name in skops.io.get_untrusted_types(data=skops.io.dumps(model))
    }
    # The last one is written by older versions of scikit-learn only.
    old = {"sklearn.compose._column_transformer._RemainderColsList"}
    assert sorted(needed | old) == TRUSTED_TYPES


def test_skops_refuses_models_that_are_not_trusted(fitted):
    with pytest.raises(
        UntrustedTypesFoundException,
        match=r"fairsteer\.estimators\._transformer\.OptimalSteeringTransformer",
    ):
        skops.io.loads(skops.io.dumps(fitted["normal"]))


@pytest.mark.parametrize("kind", WRITERS)
def test_certificates_and_laws_come_along(fitted, kind):
    model = fitted["none"]
    loaded = READERS[kind](WRITERS[kind](model))
    assert loaded.certificate_ == model.certificate_
    assert loaded.groups_.tolist() == model.groups_.tolist()
    assert loaded.result_.kl_divergence == model.result_.kl_divergence


@pytest.mark.parametrize("copied", [copy.deepcopy, *(READERS[k] for k in WRITERS)])
def test_copies_stay_read_only_and_share_memory_as_before(fitted, copied):
    kind = next((k for k, read in READERS.items() if read is copied), None)
    model = fitted["tied"]
    loaded = copied(model if kind is None else WRITERS[kind](model))
    law = loaded.distribution_
    assert law.covariances.strides[0] == 0
    steering = loaded.steering_
    arrays = (law.means, law.covariances, loaded.maps_.matrix, loaded.maps_.offset)
    for array in (*arrays, steering.varying, *steering.moments):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0.0


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("name", ["normal", "eraser", "classifier"])
def test_a_model_of_another_version_says_so(fitted, monkeypatch, name, kind):
    written = WRITERS[kind](fitted[name])
    fitted_with = fairsteer.__version__
    monkeypatch.setattr("fairsteer.estimators._base.__version__", "99.0")
    with pytest.warns(InconsistentVersionWarning) as caught:
        READERS[kind](written)
    model = "WithinLabelEraser" if name == "eraser" else "OptimalSteeringTransformer"
    assert [str(warning.message) for warning in caught] == [
        f"This {model} was fitted with fairsteer {fitted_with} and is loaded with fairsteer 99.0, "
        "where it may fail or give different results: refit it, or install "
        f"fairsteer=={fitted_with}."
    ]
    assert caught[0].category is SteeringVersionWarning


def test_only_fitting_again_renews_the_version(rows, monkeypatch):
    X, y, groups = rows
    model = steering().fit(X, y, sensitive_features=groups)
    written = pickle.dumps(model)
    monkeypatch.setattr("fairsteer.estimators._base.__version__", "99.0")
    for _ in range(2):
        with pytest.warns(SteeringVersionWarning, match=r"loaded with fairsteer 99\.0"):
            model = pickle.loads(written)
        written = pickle.dumps(model)
    # Warnings are errors: the copy of a model that was fitted here has nothing to say.
    pickle.loads(pickle.dumps(model.fit(X, y, sensitive_features=groups)))


def test_an_unfitted_estimator_has_no_version(monkeypatch):
    written = pickle.dumps(steering())
    monkeypatch.setattr("fairsteer.estimators._base.__version__", "99.0")
    assert pickle.loads(written).get_params() == steering().get_params()
