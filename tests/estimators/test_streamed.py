"""Batches give what one fit of all rows does."""

import pickle
import re
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from fairsteer import OptimalSteeringTransformer, SteeringWarning, WithinLabelEraser
from fairsteer.core.constraints import CONSTRAINTS
from fairsteer.datasets import make_gaussian_subgroups
from tests.conftest import examples

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def table():
    sample = make_gaussian_subgroups(900, n_groups=3, n_labels=3, n_features=4, random_state=1)
    X = sample.data.assign(constant=0.1)
    return X, sample.target.to_numpy()


def steering(**parameters):
    return OptimalSteeringTransformer("group", random_state=0, **parameters)


def in_batches(transformer, X, y, bounds, **weights):
    cuts = [0, *bounds, len(X)]
    for start, end in zip(cuts, cuts[1:], strict=False):
        own = {name: values[start:end] for name, values in weights.items()}
        transformer.partial_fit(X[start:end], y[start:end], finish=end == len(X), **own)
    return transformer


def assert_same_fit(one, other, rtol=1e-10):
    for name in ("distribution_", "ideal_"):
        for part in ("priors", "means", "covariances", "counts"):
            found, expected = (getattr(getattr(t, name), part) for t in (one, other))
            np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol)
    for name in ("matrix", "offset"):
        found, expected = (getattr(t.maps_, name) for t in (one, other))
        # The solver stops at a gradient of 1e-10 or so, wherever it comes from.
        np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-7)
    assert one.groups_.tolist() == other.groups_.tolist()
    assert one.classes_.tolist() == other.classes_.tolist()
    assert one.steered_features_.tolist() == other.steered_features_.tolist()


CONFIGURATIONS = [
    {},
    {"family": "lognormal"},
    {"constraint": "equal_opportunity"},
    {"constraint": "demographic_parity", "priors": "independent"},
    {"intervention": "all_subgroups", "conditions": "whitened"},
    {"covariance_type": "tied", "group_strategy": "posterior"},
    {"small_groups": "shrunk", "label_strategy": "sample", "handle_unknown": "pooled"},
]


@pytest.mark.parametrize("parameters", CONFIGURATIONS, ids=str)
def test_a_hundred_batches_are_one_fit(table, parameters):
    X, y = table
    if parameters.get("family") == "lognormal":
        X = X.assign(**{name: np.exp(X[name] / 5.0) for name in X.columns if name[0] == "x"})
    whole = steering(**parameters).fit(X, y)
    parts = in_batches(steering(**parameters), X, y, range(9, 900, 9))
    assert_same_fit(parts, whole)
    np.testing.assert_allclose(parts.transform(X), whole.transform(X), rtol=1e-6, atol=1e-6)


@given(st.lists(st.integers(0, 900), max_size=5), st.integers(0, 10**6))
@examples(10)
def test_order_and_size_of_batches_do_not_matter(table, bounds, seed):
    X, y = table
    order = np.random.default_rng(seed).permutation(len(X))
    cuts = [b for b in sorted(set(bounds)) if 0 < b < len(X)]
    found = in_batches(steering(conditions="whitened"), X.iloc[order], y[order], cuts)
    assert_same_fit(found, steering(conditions="whitened").fit(X, y))


@st.composite
def streams(draw):
    """Draw rows, their weights, the cuts between batches, and how to fit them."""
    n_features, shape = draw(st.integers(1, 3)), (draw(st.integers(2, 3)), draw(st.integers(2, 3)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = int(np.prod(shape)) * draw(st.integers(2, 8))
    place = np.arange(n) % int(np.prod(shape))
    X = rng.normal(size=(n, n_features)) * np.exp(rng.uniform(-5.0, 5.0, n_features))
    if draw(st.booleans()):
        X = np.round(X, draw(st.integers(0, 2)))
    X += draw(st.sampled_from([0.0, 10.0, 1e4]))
    order = rng.permutation(n) if draw(st.booleans()) else np.argsort(place, kind="stable")
    weights = draw(st.sampled_from([None, "integers", "fractions"]))
    if weights is not None:
        weights = rng.integers(1, 4, n) if weights == "integers" else rng.uniform(0.5, 2.0, n)
    cuts = sorted(draw(st.sets(st.integers(1, n - 1), max_size=6)))
    options = {
        "covariance_type": draw(st.sampled_from(["full", "tied", "diag"])),
        "constraint": draw(st.sampled_from(CONSTRAINTS)),
        "conditions": draw(st.sampled_from(["affine", "whitened"])),
        "small_groups": draw(st.sampled_from(["shrunk", "error"])),
        "shrinkage": 0.2,
    }
    return X[order], place[order] % shape[0], place[order] // shape[0], weights, cuts, options


@given(streams())
@examples(20)
@pytest.mark.filterwarnings("ignore::fairsteer.SteeringWarning")
def test_generated_batches_are_one_fit(stream):
    X, y, groups, weights, cuts, options = stream
    whole = OptimalSteeringTransformer(family="normal", random_state=0, **options)
    rows = {"sensitive_features": groups}
    if weights is not None:
        rows["sample_weight"] = weights
    try:
        whole.fit(X, y, **rows)
    except ValueError as error:
        with pytest.raises(ValueError, match=re.escape(str(error)[:20])):
            in_batches(clone(whole), X, y, cuts, **rows)
        return
    found = in_batches(clone(whole), X, y, cuts, **rows)
    scale = whole.distribution_.feature_scale
    for name in ("priors", "counts"):
        expected = getattr(whole.distribution_, name)
        np.testing.assert_allclose(getattr(found.distribution_, name), expected, rtol=1e-10)
    one, other = (
        fit.distribution_.in_units(whole.distribution_.means[0, 0], scale) for fit in (found, whole)
    )
    np.testing.assert_allclose(one.means, other.means, atol=1e-8)
    np.testing.assert_allclose(one.covariances, other.covariances, atol=1e-8)
    kl = whole.result_.kl_divergence
    assert found.result_.kl_divergence == pytest.approx(kl, rel=1e-6, abs=1e-8)


def test_weights_are_frequencies(table, rng):
    X, y = table
    weights = rng.integers(0, 3, size=len(X))
    found = in_batches(steering(), X, y, [100, 500], sample_weight=weights)
    again = np.repeat(np.arange(len(X)), weights)
    assert_same_fit(found, steering().fit(X.iloc[again], y[again]))


def test_rows_are_added_to_those_of_fit(table):
    X, y = table
    found = steering().fit(X[:500], y[:500]).partial_fit(X[500:], y[500:])
    assert_same_fit(found, steering().fit(X, y))


def test_fit_begins_anew(table):
    X, y = table
    found = steering().partial_fit(X[:500], y[:500]).fit(X[500:], y[500:])
    assert_same_fit(found, steering().fit(X[500:], y[500:]))
    assert_same_fit(found.partial_fit(X[:500], y[:500]), steering().fit(X, y))


def test_groups_and_labels_may_come_late(table):
    X, y = table
    order = np.lexsort((X["group"], y))
    found = in_batches(steering(), X.iloc[order], y[order], [50, 300, 600])
    assert_same_fit(found, steering().fit(X, y))


def test_a_feature_may_vary_late(table):
    X, y = table
    X = X.assign(late=np.where(np.arange(len(X)) < 500, 2.0, X["x0"]))
    whole = steering().fit(X, y)
    assert_same_fit(in_batches(steering(), X, y, [500]), whole)
    assert whole.steered_features_.tolist() == [0, 1, 2, 3, 5]


@pytest.mark.filterwarnings("ignore::fairsteer.SteeringWarning")
def test_small_groups_are_merged_over_all_batches(table):
    X, y = table
    X = X.copy()
    X.loc[X.index[[3, 400]], "group"] = ["rare", "other"]
    parameters = {"small_groups": "pooled"}
    whole = steering(**parameters).fit(X, y)
    found = in_batches(steering(**parameters), X, y, [300])
    assert_same_fit(found, whole)
    assert found.pooled_groups_ == whole.pooled_groups_ == ["other", "rare"]


def test_arrays_and_arguments(table):
    X, y = table
    groups, features = X["group"].to_numpy(), X.drop(columns="group").to_numpy()
    parts = OptimalSteeringTransformer(random_state=0)
    for half in (slice(None, 450), slice(450, None)):
        parts.partial_fit(features[half], y[half], sensitive_features=groups[half])
    whole = OptimalSteeringTransformer(random_state=0)
    assert_same_fit(parts, whole.fit(features, y, sensitive_features=groups))


def test_unfinished_batches_leave_the_maps_alone(table):
    X, y = table
    first = steering().partial_fit(X[:500], y[:500])
    before = first.transform(X)
    first.partial_fit(X[500:], y[500:], finish=False)
    np.testing.assert_array_equal(first.transform(X), before)


def test_before_anything_is_solved_it_is_not_fitted(table):
    X, y = table
    unfinished = steering().partial_fit(X[:500], y[:500], finish=False)
    with pytest.raises(NotFittedError):
        unfinished.transform(X)
    with pytest.raises(NotFittedError):
        _ = unfinished.certificate_


def test_sums_survive_pickling(table):
    X, y = table
    first = pickle.loads(pickle.dumps(steering().partial_fit(X[:500], y[:500])))
    assert_same_fit(first.partial_fit(X[500:], y[500:]), steering().fit(X, y))
    assert not hasattr(clone(first), "_sums")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, y: (X.assign(x1=np.nan), y), "contains NaN in column"),
        (lambda X, y: (X.rename(columns={"x1": "z"}), y), "feature names should match"),
        (lambda X, y: (X.iloc[:, 1:], y), "feature names should match"),
    ],
)
def test_a_bad_batch_changes_nothing(table, change, message):
    X, y = table
    found = steering().partial_fit(X[:500], y[:500])
    with pytest.raises(ValueError, match=message):
        found.partial_fit(*change(X[500:], y[500:]))
    assert_same_fit(found.partial_fit(X[500:], y[500:]), steering().fit(X, y))


def test_rows_too_few_to_solve_are_not_added(table):
    X, y = table
    some = (X["group"] != X["group"].iloc[0]) | (y == y[0])
    found = steering()
    with pytest.raises(ValueError, match="has no rows: every group needs rows of every label"):
        found.partial_fit(X[some], y[some])
    assert_same_fit(found.partial_fit(X, y), steering().fit(X, y))
    with pytest.raises(ValueError, match="y has one class only"):
        steering().partial_fit(X[y == 0], y[y == 0])


def test_ranks_cannot_be_taken_in_parts(table):
    X, y = table
    assert not hasattr(steering(family="copula"), "partial_fit")
    with pytest.raises(AttributeError, match="has no attribute 'partial_fit'") as caught:
        steering(family="copula").partial_fit(X, y)
    assert "family='copula'" in str(caught.value.__cause__)
    ranked = steering(family="copula").fit(X, y).set_params(family="normal")
    with pytest.raises(ValueError, match="family='normal'"):
        ranked.partial_fit(X, y)


@pytest.mark.parametrize(
    "parameters", [{"family": "lognormal"}, {"sensitive_feature_ids": ["group", "constant"]}]
)
def test_sums_of_other_things_do_not_add_up(table, parameters):
    X, y = table
    found = steering().partial_fit(X[:500], y[:500]).set_params(**parameters)
    with pytest.raises(ValueError, match="family|attribute"):
        found.partial_fit(X[500:], y[500:])
    with pytest.raises(ValueError, match="family or sensitive_feature_ids"):
        found.merge(steering().fit(X[500:], y[500:]))


def test_log_normal_features_are_positive_in_every_batch(table):
    X, y = table
    X = X.assign(**{name: np.exp(X[name] / 5.0) for name in X.columns if name[0] == "x"})
    found = steering(family="lognormal").partial_fit(X[:500], y[:500])
    bad = X[500:].copy()
    bad.iloc[7, bad.columns.get_loc("x2")] = -2.0
    for finish in (True, False):
        with pytest.raises(ValueError, match=r"column\(s\) \['x2'\] have values as low as -2"):
            found.partial_fit(bad, y[500:], finish=finish)
    assert_same_fit(found.partial_fit(X[500:], y[500:]), steering(family="lognormal").fit(X, y))
    shifted = X.assign(constant=-1.0)
    fitted = in_batches(steering(family="lognormal"), shifted, y, [400])
    assert_same_fit(fitted, steering(family="lognormal").fit(X, y))


def test_frames_and_series_are_batches_too(table):
    X, y = table
    found = steering()
    for half in (slice(None, 450), slice(450, None)):
        found.partial_fit(X[half], pd.Series(y[half]))
    assert found.get_feature_names_out().tolist() == ["x0", "x1", "x2", "x3", "constant"]


@pytest.mark.parametrize("parameters", CONFIGURATIONS[:1] + CONFIGURATIONS[2:], ids=str)
def test_fits_of_parts_add_up(table, parameters):
    X, y = table
    thirds = [slice(0, 200), slice(200, 700), slice(700, None)]
    first, second, third = (
        steering(**parameters).partial_fit(X[part], y[part], finish=False) for part in thirds
    )
    found = first.merge(second, finish=False).merge(third)
    assert_same_fit(found, steering(**parameters).fit(X, y))
    with pytest.raises(NotFittedError):
        second.transform(X)
    fitted = steering(**parameters).fit(X[:400], y[:400])
    assert_same_fit(
        fitted.merge(steering(**parameters).fit(X[400:], y[400:])),
        steering(**parameters).fit(X, y),
    )


def test_what_cannot_be_merged(table):
    X, y = table
    found = steering().fit(X[:500], y[:500])
    before = found.transform(X)
    other = X[500:].rename(columns={"x1": "z"})
    with pytest.raises(ValueError, match="names should match: .*'x1'.* here and .*'z'.* there"):
        found.merge(steering().fit(other, y[500:]))
    with pytest.raises(ValueError, match="family='normal'"):
        found.merge(steering(family="copula").fit(X, y))
    with pytest.raises(NotFittedError):
        found.merge(steering())
    with pytest.raises(TypeError, match="WithinLabelEraser"):
        found.merge(WithinLabelEraser("group"))
    with pytest.raises(ValueError, match="of 4 and of 3 features cannot be merged"):
        arrays = [OptimalSteeringTransformer() for _ in range(2)]
        numbers = X[["x0", "x1", "x2", "x3"]].to_numpy()
        arrays[0].fit(numbers, y, sensitive_features=X["group"])
        arrays[1].fit(numbers[:, :3], y, sensitive_features=X["group"])
        arrays[0].merge(arrays[1])
    np.testing.assert_array_equal(found.transform(X), before)


def test_names_stay_with_the_columns(table):
    X, y = table
    numbers, groups = X[["x0", "x1", "x2"]], X["group"]
    named = OptimalSteeringTransformer().partial_fit(numbers, y, sensitive_features=groups)
    with pytest.raises(ValueError, match="feature names"):
        named.partial_fit(numbers.to_numpy(), y, sensitive_features=groups)
    with pytest.raises(ValueError, match="feature names should match"):
        named.partial_fit(numbers[["x2", "x1", "x0"]], y, sensitive_features=groups)
    bare = OptimalSteeringTransformer()
    bare.partial_fit(numbers.to_numpy(), y, sensitive_features=groups)
    with pytest.raises(ValueError, match="feature names"):
        bare.merge(named)
    assert named.feature_names_in_.tolist() == ["x0", "x1", "x2"]


@pytest.mark.parametrize("finish", [True, False])
def test_labels_and_groups_keep_their_kind(table, finish):
    X, y = table
    found = steering().partial_fit(X, y)
    with pytest.raises(ValueError, match="the labels are .* of different types"):
        found.partial_fit(X, y.astype(str), finish=finish)
    with pytest.raises(ValueError, match="the groups are .* of different types"):
        found.partial_fit(X.assign(group=pd.factorize(X["group"])[0]), y, finish=finish)
    assert found.groups_.tolist() == ["a", "b", "c"]


def test_a_batch_of_some_groups_says_nothing_of_moves(table):
    X, y = table
    reference = steering().fit(X, y).reference_group_
    own = (X["group"] == reference).to_numpy()
    # Warnings are errors here, and the rows of the reference group do not move.
    steering().partial_fit(X[~own], y[~own], finish=False).partial_fit(X[own], y[own])


@pytest.mark.filterwarnings("error::fairsteer.SteeringWarning")
def test_a_warning_that_is_an_error_changes_nothing(rng):
    X = pd.DataFrame(rng.integers(0, 3, size=(400, 3)), columns=list("uvw")).astype(float)
    groups, y = rng.integers(2, size=400), rng.integers(2, size=400)
    X["u"] += groups
    found = OptimalSteeringTransformer(family="normal", random_state=0)
    with pytest.raises(SteeringWarning, match="discrete"):
        found.fit(X, y, sensitive_features=groups)
    with pytest.raises(NotFittedError):
        check_is_fitted(found)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SteeringWarning)
        found.fit(X, y, sensitive_features=groups)
    with pytest.raises(SteeringWarning, match="discrete"):
        found.partial_fit(X, y, sensitive_features=groups)
    assert found.distribution_.counts.sum() == 400.0


def test_the_attribute_is_routed_to_batches(table):
    X, y = table
    request = OptimalSteeringTransformer().get_metadata_routing().partial_fit.requests
    assert request["sensitive_features"] is True
    assert "finish" not in request
    assert steering().get_metadata_routing().partial_fit.requests["sensitive_features"] is False


def test_sums_of_labels_together_are_not_mixed_with_sums_of_each(table):
    X, y = table
    parts = steering(covariance_type="tied").fit(X[:300], y[:300])
    assert parts._sums.moments.scatters.shape[0] == 1
    parts.set_params(covariance_type="full")
    with pytest.raises(ValueError, match="covariance_type='tied'"):
        parts.partial_fit(X[300:], y[300:])
    with pytest.raises(ValueError, match="covariance_type='tied'"):
        parts.merge(steering().fit(X[300:], y[300:]))
    parts.set_params(covariance_type="tied").partial_fit(X[300:], y[300:])
    assert_same_fit(parts, steering(covariance_type="tied").fit(X, y))


@pytest.mark.parametrize("n_parts", [1, 4])
def test_parts_are_added_to_a_transformer_without_rows(table, n_parts):
    X, y = table
    parts = [
        steering().partial_fit(X.iloc[k::n_parts], y[k::n_parts], finish=False)
        for k in range(n_parts)
    ]
    found = steering()
    for k, part in enumerate(parts, 1):
        found.merge(part, finish=k == n_parts)
    whole = steering().fit(X, y)
    assert_same_fit(found, whole)
    assert found.feature_names_in_.tolist() == list(X.columns)
    np.testing.assert_allclose(found.transform(X), whole.transform(X), rtol=1e-6, atol=1e-6)
    assert parts[0]._sums.n_rows == len(X.iloc[::n_parts])


def test_a_refused_part_leaves_a_transformer_without_rows(table):
    X, y = table
    found = steering(reference_group="nobody")
    with pytest.raises(ValueError, match="reference_group='nobody' is not among the groups"):
        found.merge(steering().fit(X, y))
    assert not hasattr(found, "n_features_in_")
    with pytest.raises(NotFittedError):
        found.transform(X)


# Batches whose weights are all 0


@pytest.mark.parametrize("family", ["normal", "lognormal"])
@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_batch_without_weight_adds_nothing(table, family, position):
    X, y = table
    X = X.assign(**{name: np.exp(X[name] / 4) for name in X if name.startswith("x")})
    weights = np.ones(len(X))
    weights[300 * position : 300 * (position + 1)] = 0.0
    # What weighs nothing may have any label and group.
    labels = np.where(weights > 0.0, y, 9)
    X["group"] = X["group"].where(weights > 0.0, "nobody")
    parts = steering(family=family)
    for start in range(0, 900, 300):
        rows = slice(start, start + 300)
        parts.partial_fit(X[rows], labels[rows], sample_weight=weights[rows], finish=start == 600)
    whole = steering(family=family).fit(X[weights > 0.0], y[weights > 0.0])
    assert_same_fit(parts, whole)
    assert parts.groups_.dtype == whole.groups_.dtype
    assert parts.classes_.dtype == whole.classes_.dtype


def test_a_batch_without_weight_keeps_the_types_of_labels_and_groups(table):
    X, y = table
    codes = X["group"].map({"a": 1.0, "b": 2.0, "c": 3.0})
    parts = steering().fit(X.assign(group=codes), y)
    parts.partial_fit(X[:9], np.full(9, "none"), sample_weight=np.zeros(9))
    assert parts.groups_.dtype == np.float64
    assert parts.classes_.dtype == y.dtype
    assert_same_fit(parts, steering().fit(X.assign(group=codes), y))


def test_only_a_total_weight_of_zero_is_refused(table):
    X, y = table
    for weights in (0.0, np.zeros(len(X))):
        first = steering()
        before = vars(first).copy()
        with pytest.raises(ValueError, match="sample_weight is zero in every row"):
            first.partial_fit(X, y, sample_weight=weights)
        assert vars(first) == before
    first.partial_fit(X, y, sample_weight=0.0, finish=False)
    with pytest.raises(ValueError, match="sample_weight is zero in every row"):
        steering().merge(first)
    assert_same_fit(first.partial_fit(X, y), steering().fit(X, y))
    assert_same_fit(steering().fit(X, y).merge(first), steering().fit(X, y, sample_weight=2))


def test_a_batch_without_weight_is_checked(table):
    X, y = table
    fitted = steering().fit(X, y)
    with pytest.raises(ValueError, match="finite and not negative"):
        fitted.partial_fit(X, y, sample_weight=np.full(len(X), -1.0))
    with pytest.raises(ValueError, match="x1"):
        fitted.partial_fit(X.drop(columns="x1"), y, sample_weight=0.0)
