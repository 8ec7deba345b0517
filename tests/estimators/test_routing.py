"""The attribute by metadata routing, and as a column without it."""

import numpy as np
import pytest
from sklearn import config_context
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fairsteer import OptimalSteeringTransformer
from fairsteer.datasets import make_gaussian_subgroups

REQUESTS = ("fit", "transform")


@pytest.fixture
def data():
    sample = make_gaussian_subgroups(600, n_labels=3, n_groups=3, n_features=3, random_state=0)
    return sample.data, sample.target


@pytest.fixture
def by_hand(data):
    """Labels predicted by the same steps without a Pipeline."""
    X, y = data
    features = StandardScaler().fit_transform(X.drop(columns="group"))
    steering = OptimalSteeringTransformer()
    moved = steering.fit_transform(features, y, sensitive_features=X["group"])
    return LogisticRegression(max_iter=1000).fit(moved, y).predict(moved)


def pipeline(steering):
    return make_pipeline(StandardScaler(), steering, LogisticRegression(max_iter=1000))


def test_the_attribute_is_routed_without_set_fit_request(data, by_hand):
    X, y = data
    features, group = X.drop(columns="group").to_numpy(), X["group"]
    model = pipeline(OptimalSteeringTransformer())
    with config_context(enable_metadata_routing=True):
        model.fit(features, y, sensitive_features=group)
        predicted = model.predict(features, sensitive_features=group)
        np.testing.assert_array_equal(predicted, by_hand)
        score = model.score(features, y, sensitive_features=group)
        assert score == pytest.approx(np.mean(by_hand == y))
        other = model.predict(features, sensitive_features=group.to_numpy()[::-1])
        assert np.any(other != predicted)


def test_weights_are_routed_on_request(data):
    X, y = data
    weights = np.where(np.arange(len(X)) < 400, 1.0, 0.0)
    with config_context(enable_metadata_routing=True):
        steering = OptimalSteeringTransformer("group").set_fit_request(sample_weight=True)
        final = LogisticRegression(max_iter=1000).set_fit_request(sample_weight=False)
        model = make_pipeline(steering, final).fit(X, y, sample_weight=weights)
    alone = OptimalSteeringTransformer("group").fit(X, y, sample_weight=weights)
    np.testing.assert_array_equal(model[0].transform(X), alone.transform(X))


@pytest.mark.parametrize("enabled", [False, True])
def test_a_missing_attribute_never_means_no_steering(data, enabled):
    X, y = data
    features = X.drop(columns="group").to_numpy()
    model = pipeline(OptimalSteeringTransformer())
    with config_context(enable_metadata_routing=True):
        model.fit(features, y, sensitive_features=X["group"])
    message = "attribute is missing"
    with config_context(enable_metadata_routing=enabled):
        for call in (
            lambda: model.predict(features),
            lambda: model.score(features, y),
            lambda: pipeline(OptimalSteeringTransformer()).fit(features, y),
        ):
            with pytest.raises(ValueError, match=message):
                call()
