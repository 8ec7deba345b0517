"""The table of parameters that combine, in the transformer's docstring, is what the code does."""

import re
import warnings
from itertools import product

import numpy as np
import pytest

from fairsteer import OptimalSteeringTransformer, SteeringWarning
from fairsteer.core.constraints import CONSTRAINTS
from fairsteer.core.gaussians import COVARIANCE_TYPES
from fairsteer.core.marginals import FAMILIES
from fairsteer.core.priors import PRIORS
from fairsteer.core.solvers import INTERVENTIONS
from fairsteer.core.steering import LABEL_STRATEGIES, SteeringOptions
from fairsteer.datasets import make_gaussian_subgroups
from fairsteer.estimators._transformer import GROUP_STRATEGIES, OUTPUTS, SMALL_GROUPS, UNSEEN_GROUPS

pytestmark = pytest.mark.slow

CONDITIONS = ("affine", "whitened", "identical")
COMBINED = {
    "constraint": CONSTRAINTS,
    "family": FAMILIES,
    "output": OUTPUTS,
    "conditions": CONDITIONS,
    "label_strategy": LABEL_STRATEGIES,
    "intervention": INTERVENTIONS,
    "strength": (1.0, 0.5),
}
FREE = {
    "covariance_type": COVARIANCE_TYPES,
    "shrinkage": (0.01, "auto"),
    "priors": PRIORS,
    "group_strategy": GROUP_STRATEGIES,
    "handle_unknown": UNSEEN_GROUPS,
    "small_groups": SMALL_GROUPS,
    "max_drift": (None, 5.0),
}
ROW = re.compile(
    r"^ *(\S+?)(?: with (\S+))? +(\w+)=([\w|]+) +(no effect|ValueError)$", re.MULTILINE
)
RULES = ROW.findall(OptimalSteeringTransformer.__doc__)
EVERY = [dict(zip(COMBINED, values, strict=True)) for values in product(*COMBINED.values())]


def written(value):
    return value if isinstance(value, str) else f"{value:g}"


def holds(setting, parameters):
    name, _, value = setting.partition("=")
    return not value or written(parameters[name]) in value.split("|")


def effective(setting, parameters):
    """Say whether no row of the table denies the parameter of a setting any effect."""
    return all(
        written(parameters[needed]) in value.split("|")
        for name, _, needed, value, otherwise in RULES
        if otherwise == "no effect" and name == setting.partition("=")[0]
    )


def refused(parameters):
    return any(
        all(holds(setting, parameters) and effective(setting, parameters) for setting in named)
        and written(parameters[needed]) not in value.split("|")
        for first, second, needed, value, otherwise in RULES
        if otherwise == "ValueError"
        for named in [[first, second] if second else [first]]
    )


@pytest.fixture(scope="module")
def data():
    sample = make_gaussian_subgroups(240, n_labels=2, n_groups=2, n_features=2, random_state=3)
    return sample.data.assign(x0=np.exp(sample.data["x0"]), x1=np.exp(sample.data["x1"])), (
        sample.target.to_numpy()
    )


def steering(**parameters):
    return OptimalSteeringTransformer("group", random_state=0, **parameters)


def test_the_table_is_read():
    assert len(RULES) == 7
    assert 0 < sum(map(refused, EVERY)) < len(EVERY)


def test_every_combination_is_accepted_or_refused_as_the_table_says():
    for parameters in EVERY:
        if refused(parameters):
            with pytest.raises(ValueError, match="use | only"):
                SteeringOptions(**parameters)
        else:
            SteeringOptions(**parameters)


def test_every_free_parameter_is_in_the_signature():
    known = {"sensitive_feature_ids", "pos_label", "reference_group", "random_state"}
    assert set(OptimalSteeringTransformer().get_params()) == {*COMBINED, *FREE, *known}


@pytest.mark.filterwarnings("ignore::fairsteer.SteeringWarning")
def test_accepted_combinations_fit_with_any_others(data, rng):
    X, y = data
    accepted = [parameters for parameters in EVERY if not refused(parameters)]
    for k in rng.choice(len(accepted), 90, replace=False):
        others = {name: values[rng.integers(len(values))] for name, values in FREE.items()}
        fitted = steering(**accepted[k], **others).fit(X, y)
        moved = fitted.transform(X)
        assert moved.shape == (len(X), 2)
        assert np.isfinite(moved).all(), (accepted[k], others)
        assert fitted.ideal_sample_weight(X, y).min() > 0.0


@pytest.mark.parametrize("constraint", CONSTRAINTS[1:])
def test_what_has_no_effect_has_none(data, constraint):
    X, y = data
    assert constraint != "equalized_odds"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SteeringWarning)
        plain = steering(constraint=constraint).fit(X, y).transform(X)
        for conditions, strategy in product(CONDITIONS, LABEL_STRATEGIES):
            other = steering(constraint=constraint, conditions=conditions, label_strategy=strategy)
            np.testing.assert_array_equal(other.fit(X, y).transform(X), plain)
