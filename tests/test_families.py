import numpy as np
import pytest
from scipy.stats import kstest

from fairsteer.families import FAMILIES


@pytest.mark.parametrize("name", FAMILIES)
def test_the_inverse_undoes_forward(name, rng):
    X = rng.lognormal(size=(50, 3))
    family = FAMILIES[name](["a", "b", "c"])
    np.testing.assert_allclose(family.inverse(family.forward(X)), X, rtol=1e-12)


def test_lognormal_features_become_normal(rng):
    X = rng.lognormal(mean=2.0, sigma=0.5, size=(2000, 1))
    Z = FAMILIES["lognormal"](["x"]).forward(X)
    assert kstest((Z[:, 0] - 2.0) / 0.5, "norm").pvalue > 0.001
    assert kstest((X[:, 0] - X.mean()) / X.std(), "norm").pvalue < 1e-6


@pytest.mark.parametrize("value", [0.0, -3.0])
def test_values_that_have_no_logarithm_are_named(value):
    X = np.ones((4, 3))
    X[2, 1] = value
    with pytest.raises(ValueError, match=rf"column\(s\) \['gain'\] hold values down to {value:g}"):
        FAMILIES["lognormal"](["age", "gain", "hours"]).forward(X)
