"""What a fitted steering does inside a model is what it does to a table."""

import numpy as np
import pytest

from fairsteer import OptimalSteeringTransformer
from fairsteer.datasets import make_gaussian_subgroups
from fairsteer.estimators._layer_steps import layer_steps


@pytest.fixture(scope="module")
def rows():
    sample = make_gaussian_subgroups(600, n_groups=3, n_labels=3, n_features=4, random_state=0)
    X = sample.data.drop(columns="group").to_numpy()
    return X, sample.target.to_numpy(), sample.data["group"].to_numpy()


def one_map_a_group(steps, X, codes):
    moved = X.copy()
    for a, group in enumerate(steps.groups):
        own = X[codes == a]
        linear = 0.0 if group.matrices is None else (own - group.centre) @ group.matrices[0].T
        moved[codes == a] += linear + group.offsets[0]
    return moved


def test_parameters_set_after_the_fit_do_not_count(rows):
    X, y, groups = rows
    fitted = OptimalSteeringTransformer(label_strategy="none", strength=0.5)
    fitted.fit(X, y, sensitive_features=groups)
    fitted.set_params(
        strength=1.0, label_strategy="map", group_strategy="posterior", family="lognormal"
    )
    steps = layer_steps(fitted)
    moved = one_map_a_group(steps, X, steps.codes(groups, len(X)))
    expected = fitted.transform(X, sensitive_features=groups)
    np.testing.assert_allclose(moved, expected, atol=1e-9)
    with pytest.raises(ValueError, match="groups= is missing"):
        steps.codes(None, 3)


def test_families_of_other_scales_are_refused(rows):
    X, y, groups = rows
    fitted = OptimalSteeringTransformer(family="copula", random_state=0)
    fitted.fit(X, y, sensitive_features=groups)
    with pytest.raises(ValueError, match="family='copula' cannot run inside a model"):
        layer_steps(fitted)
