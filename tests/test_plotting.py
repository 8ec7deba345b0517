import sys

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import Ellipse
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression

from fairsteer import OptimalSteeringTransformer, ScoreSteering
from fairsteer.datasets import make_gaussian_subgroups
from fairsteer.plotting import RocDisplay, plot_densities, plot_ellipses

pytestmark = pytest.mark.slow

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402

N_GROUPS, N_LABELS = 3, 3


@pytest.fixture(autouse=True)
def no_figure_stays():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def sample():
    """Draw three groups, three labels, four features, one of them a count."""
    made = make_gaussian_subgroups(
        600, n_groups=N_GROUPS, n_labels=N_LABELS, n_features=3, random_state=0
    )
    made.data["count"] = (made.data["x0"] > 0.3).astype(int) + (made.data["x1"] > 1)
    return made


@pytest.fixture(scope="module")
def steering(sample):
    return OptimalSteeringTransformer("group").fit(sample.data, sample.target)


def legend_texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


# ---- densities -------------------------------------------------------------------------------


def test_densities_before_and_after_are_kernel_densities_of_the_rows(steering, sample):
    axes = plot_densities(steering, sample.data)
    assert axes.shape == (2, 4)
    assert sorted(ax.get_xlabel() for ax in axes[1]) == ["count", "x0", "x1", "x2"]
    moved = dict(zip(["x0", "x1", "x2", "count"], steering.transform(sample.data).T, strict=True))
    in_group = sample.data["group"].to_numpy() == "b"
    for column in axes.T:
        name = column[1].get_xlabel()
        if name == "count":
            continue
        for ax, values in zip(column, (sample.data[name].to_numpy(), moved[name]), strict=True):
            assert len(ax.lines) == N_GROUPS
            x, density = ax.lines[1].get_data()
            assert np.trapezoid(density, x) == pytest.approx(1.0, abs=0.03)
            mean = np.trapezoid(x * density, x)
            assert mean == pytest.approx(values[in_group].mean(), abs=0.05)


def test_a_discrete_feature_has_bars_that_sum_to_one(steering, sample):
    axes = plot_densities(steering, sample.data, features=["count"])
    before, after = axes[:, 0]
    for ax in (before, after):
        assert len(ax.containers) == N_GROUPS
        for bars in ax.containers:
            assert sum(bar.get_height() for bar in bars) == pytest.approx(1.0)
    shares = sample.data["count"][sample.data["group"] == "a"].value_counts(normalize=True)
    heights = [bar.get_height() for bar in before.containers[0] if bar.get_height() > 0]
    assert_allclose(heights, shares.sort_index())
    assert before.get_ylabel() == "before\nshare"
    assert after.get_ylabel() == "after\nshare"


def test_the_most_changed_features_come_first(steering, sample):
    axes = plot_densities(steering, sample.data, n_features=2)
    columns = sample.data.drop(columns="group").to_numpy(dtype=float)
    change = np.sqrt(((steering.transform(sample.data) - columns) ** 2).mean(axis=0))
    order = np.argsort(-change / columns.std(axis=0))[:2]
    names = np.array(["x0", "x1", "x2", "count"])
    assert [ax.get_xlabel() for ax in axes[1]] == names[order].tolist()
    assert legend_texts(axes[0, -1]) == ["group a", "group b", "group c"]


def test_densities_of_arrays_intersections_and_given_axes():
    sample = make_gaussian_subgroups(300, n_groups=3, n_labels=3, n_features=3, random_state=0)
    X = sample.data.drop(columns="group").to_numpy()
    pairs = np.column_stack([sample.data["group"] == "a", np.arange(300) % 2 == 0])
    steering = OptimalSteeringTransformer().fit(X, sample.target, sensitive_features=pairs)
    given = plt.figure().subplots(2, 1, squeeze=False)
    axes = plot_densities(steering, X, sensitive_features=pairs, features="x2", axes=given)
    assert axes[1, 0] is given[1, 0]
    assert len(plt.get_fignums()) == 1
    assert legend_texts(axes[0, 0])[0] == "group False & False"


def test_a_constant_feature_and_a_lone_row_are_drawn(steering, sample):
    rows = pd.concat([sample.data[sample.data["group"] == "a"].head(1)] * 2)
    axes = plot_densities(steering, rows, n_features=9)
    assert axes.shape == (2, 4)
    assert all(len(ax.containers) == 1 for ax in axes.flat)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"features": ["x0", "x9"]}, "'x9'.*'x0', 'x1', 'x2', 'count'"),
        ({"features": []}, "features is empty"),
        ({"n_features": 0}, "n_features must be at least 1, not 0."),
        ({"axes": np.empty((1, 4), dtype=object)}, r"axes must have shape \(2, 4\), not \(1, 4\)"),
    ],
)
def test_invalid_options_of_densities_are_refused(steering, sample, options, message):
    with pytest.raises(ValueError, match=message):
        plot_densities(steering, sample.data, **options)
    assert plt.get_fignums() == []


# ---- ellipses --------------------------------------------------------------------------------


def ellipses(ax):
    return [patch for patch in ax.patches if isinstance(patch, Ellipse)]


def test_ellipses_are_two_standard_deviations(steering):
    ax = plot_ellipses(steering, features=["x2", "x0"])
    outlines = [patch for patch in ellipses(ax) if not patch.get_fill()]
    filled = [patch for patch in ellipses(ax) if patch.get_fill()]
    assert (len(outlines), len(filled)) == (N_LABELS * N_GROUPS, N_LABELS)
    pair = [2, 0]
    drawn = {
        steering.distribution_: (outlines, list(np.ndindex(N_LABELS, N_GROUPS))),
        steering.ideal_: (filled, [(i, 0) for i in range(N_LABELS)]),
    }
    for gaussians, (patches, subgroups) in drawn.items():
        for patch, subgroup in zip(patches, subgroups, strict=True):
            edge = patch.get_transform().transform_path(patch.get_path()).vertices
            points = ax.transData.inverted().transform(edge) - gaussians.means[subgroup][pair]
            within = np.linalg.inv(gaussians.covariances[subgroup][np.ix_(pair, pair)])
            on_curve = np.einsum("nj,jk,nk->n", points, within, points)[::3]
            assert_allclose(on_curve, 4.0, rtol=1e-6)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x2", "x0")


def test_the_legend_of_ellipses_names_groups_labels_and_the_ideal(steering):
    ax = plot_ellipses(steering)
    names = ["group a", "group b", "group c", "label 0", "label 1", "label 2", "ideal"]
    assert legend_texts(ax) == names
    assert [text.get_text() for text in ax.texts] == ["0", "1", "2"]
    assert len(ax.lines) == N_LABELS * N_GROUPS
    assert_array_equal(ax.lines[1].get_xydata()[0], steering.distribution_.means[0, 1][_pair(ax)])


def _pair(ax):
    return [["x0", "x1", "x2", "count"].index(name) for name in (ax.get_xlabel(), ax.get_ylabel())]


def test_ellipses_take_the_features_in_which_groups_differ_most(steering):
    fitted = steering.distribution_
    distance = np.ptp(fitted.means, axis=1).mean(axis=0) / fitted.feature_scale
    assert set(_pair(plot_ellipses(steering))) == set(np.argsort(-distance)[:2].tolist())


@pytest.mark.parametrize("constraint", ["equal_opportunity", "demographic_parity"])
def test_ellipses_of_one_gaussian_per_group_on_given_axes(sample, constraint):
    steering = OptimalSteeringTransformer("group", constraint=constraint)
    steering.fit(sample.data, sample.target)
    given = plt.figure().add_subplot()
    assert plot_ellipses(steering, ax=given) is given
    assert len(ellipses(given)) == N_GROUPS + 1


def test_ellipses_of_logarithms_are_labeled(sample):
    data = sample.data.assign(x0=np.exp(sample.data["x0"]), x1=np.exp(sample.data["x1"]))
    data = data[["x0", "x1", "group"]].assign(same=1.0)
    steering = OptimalSteeringTransformer("group", family="lognormal").fit(data, sample.target)
    ax = plot_ellipses(steering)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("log x0", "log x1")
    with pytest.raises(ValueError, match="'same'.*'x0', 'x1'"):
        plot_ellipses(steering, features=["x0", "same"])


def test_ellipses_need_two_features(sample):
    steering = OptimalSteeringTransformer("group").fit(sample.data[["x0", "group"]], sample.target)
    with pytest.raises(ValueError, match="2 features that vary in the training rows, got 1"):
        plot_ellipses(steering)


# ---- all -------------------------------------------------------------------------------------


def test_an_unfitted_transformer_is_refused(sample):
    with pytest.raises(NotFittedError):
        plot_densities(OptimalSteeringTransformer("group"), sample.data)
    with pytest.raises(NotFittedError):
        plot_ellipses(OptimalSteeringTransformer("group"))


def test_without_matplotlib_the_extra_is_named(steering, sample, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for draw in (
        lambda: plot_densities(steering, sample.data),
        lambda: plot_ellipses(steering),
    ):
        with pytest.raises(ImportError, match=r"matplotlib is missing: pip .*fairsteer\[compare\]"):
            draw()


def test_roc_curves_of_groups_lie_above_the_shared_one():
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 2, 2000)
    y = (rng.random(2000) < 0.4).astype(int)
    X = rng.normal(size=(2000, 2)) + (y * (1 + groups))[:, None]
    steering = ScoreSteering(LogisticRegression(), random_state=0)
    steering.fit(X[:1000], y[:1000], sensitive_features=groups[:1000])
    display = RocDisplay.from_estimator(
        steering, X[1000:], y[1000:], sensitive_features=groups[1000:]
    )
    assert len(display.lines_) == 3
    shared = display.lines_[-1]
    for line in display.lines_[:-1]:
        assert np.all(np.interp(shared.get_xdata(), *line.get_data()) >= shared.get_ydata() - 1e-9)
    assert display.ax_.get_xlabel() == "false positive rate"
    assert len(display.steered) == 2
    parity = ScoreSteering(LogisticRegression(), constraint="demographic_parity")
    with pytest.raises(ValueError, match="equalized_odds"):
        RocDisplay.from_estimator(parity.fit(X, y, sensitive_features=groups))
