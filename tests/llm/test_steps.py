"""A fitted steering moves hidden states as it moves rows of a table."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="language models need the extra [llm]")

from fairsteer import OptimalSteeringTransformer  # noqa: E402
from fairsteer.datasets import make_gaussian_subgroups  # noqa: E402
from fairsteer.llm.steps import layer_steps  # noqa: E402


@pytest.fixture(scope="module")
def rows():
    sample = make_gaussian_subgroups(600, n_groups=3, n_labels=3, n_features=4, random_state=0)
    X = sample.data.drop(columns="group").to_numpy()
    return X, sample.target.to_numpy(), sample.data["group"].to_numpy()


def move(steps, X, codes):
    moved = X.copy()
    for code, motion in steps.motions.items():
        if motion is not None:
            moved[codes == code] += motion(X[codes == code])
    return moved


def test_parameters_set_after_the_fit_do_not_count(rows):
    X, y, groups = rows
    fitted = OptimalSteeringTransformer(label_strategy="none", strength=0.5)
    fitted.fit(X, y, sensitive_features=groups)
    fitted.set_params(
        strength=1.0, label_strategy="map", group_strategy="posterior", family="lognormal"
    )
    steps = layer_steps(fitted)
    moved = move(steps, X, steps.codes(groups, len(X)))
    expected = fitted.transform(X, sensitive_features=groups)
    np.testing.assert_allclose(moved, expected, atol=1e-9)
    with pytest.raises(ValueError, match="sensitive_features is missing"):
        steps.codes(None, 3)


def test_families_of_other_scales_are_refused(rows):
    X, y, groups = rows
    fitted = OptimalSteeringTransformer(family="copula", random_state=0)
    fitted.fit(X, y, sensitive_features=groups)
    with pytest.raises(ValueError, match="family='copula'"):
        layer_steps(fitted)
