"""Fitted models survive files: equal output in a fresh process, and a word about versions."""

import copy
import pickle
import subprocess
import sys
from pathlib import Path

import cloudpickle
import joblib
import numpy as np
import pytest
import skops.io
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skops.io.exceptions import UntrustedTypesFoundException

import fairsteer
from fairsteer import (
    TRUSTED_TYPES,
    ConceptSteering,
    OptimalSteeringTransformer,
    SteeredClassifier,
    SteeringVersionWarning,
    WithinLabelEraser,
)
from fairsteer.datasets import make_gaussian_subgroups

pytestmark = pytest.mark.slow


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
        if name == "concept":
            models[name] = model.fit(X, y == 1, sensitive_features=groups)
        else:
            # Six groups in three dimensions leave nothing once their means are erased.
            own = groups["group"] if name == "eraser" else groups
            models[name] = model.fit(X, y, sensitive_features=own)
    # These bounds are computed on first access, and written with the model.
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


def test_trusted_types_are_exactly_those_needed(fitted):
    needed = {
        name
        for model in fitted.values()
        for name in skops.io.get_untrusted_types(data=skops.io.dumps(model))
    }
    assert sorted(needed) == TRUSTED_TYPES


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
