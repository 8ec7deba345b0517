import re

import numpy as np
import pytest

from fairsteer.core.copula import Copula
from fairsteer.core.families import FAMILIES, SUMMED_FAMILIES, summed_family

NAMES = ["age", "gain", "hours"]


def fitted(name, X):
    if name in SUMMED_FAMILIES:
        return summed_family(name, NAMES)
    codes, weights = np.zeros(len(X), dtype=int), np.ones(len(X))
    return Copula(X, codes, weights, 1, 0, "pooled", weights)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_step_of_zero_leads_back(name, rng):
    X = rng.lognormal(size=(20, 3))
    family = fitted(name, X)
    draws = rng.uniform(size=X.shape)
    common = family.common(X, draws) + family.carry(X, 0, draws, np.zeros_like(X))
    np.testing.assert_allclose(family.inverse(common), X, rtol=1e-12)


@pytest.mark.parametrize("name", ["normal", "lognormal"])
def test_without_ranks_steps_stay_what_they_are(name, rng):
    X, step = rng.lognormal(size=(20, 3)), rng.normal(size=(20, 3))
    family = fitted(name, X)
    np.testing.assert_array_equal(family.carry(X, 0, X, step), step)
    np.testing.assert_array_equal(family.scores(X, 0, X), family.common(X, X))


def test_log_normal_scores_are_logarithms():
    X = np.array([[1.0, 2.0, 3.0]])
    np.testing.assert_allclose(fitted("lognormal", X).scores(X, 0, X), np.log(X))


def test_log_normal_names_the_columns_that_are_not_positive():
    message = (
        "family='lognormal' needs positive features, but column(s) ['gain', 'hours'] hold values "
        "down to -3: shift or drop them, or use family='normal'."
    )
    X = np.array([[1.0, 0.0, 2.0], [2.0, 5.0, -3.0]])
    with pytest.raises(ValueError, match=re.escape(message)):
        fitted("lognormal", X).scores(X, 0, X)
