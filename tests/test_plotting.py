import sys

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import Ellipse
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError

from fairsteer import OptimalSteeringTransformer
from fairsteer.datasets import make_gaussian_subgroups
from fairsteer.plotting import frontier_png, plot_densities, plot_ellipses, plot_frontier

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


@pytest.fixture
def frontier():
    """Make up the frontier of one estimator and two constraints."""
    rows = [
        ("equalized_odds", "steering", 0.0, 0.80, 0.01, 0.30, 0.02, 0.05),
        ("equalized_odds", "steering", 0.5, 0.79, 0.02, 0.20, 0.03, 0.06),
        ("equalized_odds", "steering", 1.0, 0.77, 0.03, 0.04, 0.01, 0.07),
        ("equalized_odds", "nothing", np.nan, 0.81, 0.01, 0.31, 0.02, 0.05),
        ("equalized_odds", "correlation_remover", np.nan, 0.78, 0.01, 0.10, 0.02, 0.04),
        ("equal_opportunity", "steering", 1.0, 0.70, 0.01, 0.02, 0.01, 0.03),
    ]
    names = ["constraint", "method", "strength", "accuracy", "accuracy_spread", "gap"]
    frame = pd.DataFrame(rows, columns=[*names, "gap_spread", "floor"])
    return frame.assign(dataset="made", estimator="logistic")


def legend_texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


# ---- frontier --------------------------------------------------------------------------------


def test_the_frontier_holds_the_numbers(frontier):
    ax = plot_frontier(frontier, "equalized_odds")
    steering, nothing, remover = ax.containers
    assert_array_equal(steering.lines[0].get_xydata(), [[0.30, 0.80], [0.20, 0.79], [0.04, 0.77]])
    assert_array_equal(nothing.lines[0].get_xydata(), [[0.31, 0.81]])
    assert_array_equal(remover.lines[0].get_xydata(), [[0.10, 0.78]])
    assert steering.lines[0].get_linestyle() == "-"
    assert nothing.lines[0].get_linestyle() == "None"
    across, up = (bars.get_segments() for bars in steering.lines[2])
    assert_allclose([np.ptp(bar[:, 0]) / 2 for bar in across], [0.02, 0.03, 0.01])
    assert_allclose([np.ptp(bar[:, 1]) / 2 for bar in up], [0.01, 0.02, 0.03])
    assert ax.get_xlabel() == "equalized odds gap (difference of rates)"
    assert ax.get_ylabel() == "accuracy (share of rows)"


def test_the_frontier_names_its_ends_methods_and_floor(frontier):
    ax = plot_frontier(frontier, "equalized_odds")
    ends = {text.get_text(): text.xy for text in ax.texts}
    assert ends == {"0": (0.30, 0.80), "1": (0.04, 0.77)}
    assert legend_texts(ax) == [
        "below the noise floor", "steering, strength 0 to 1", "nothing", "correlation remover",
    ]  # fmt: skip
    low, high = ax.get_xlim()
    assert -0.05 < low < 0.0 < 0.33 < high
    assert_allclose([band.get_x() for band in ax.patches], low)
    assert_allclose([band.get_x() + band.get_width() for band in ax.patches], [0.04, 0.07])
    markers = [container.lines[0].get_marker() for container in ax.containers]
    assert len(set(markers)) == 3


def test_one_repeat_has_no_bars(frontier):
    once = frontier.assign(accuracy_spread=np.nan, gap_spread=np.nan)
    ax = plot_frontier(once, "equalized_odds")
    assert not any(container.has_xerr or container.has_yerr for container in ax.containers)


def test_a_failed_method_is_left_out_and_the_others_keep_their_colours(frontier):
    whole = plot_frontier(frontier, "equalized_odds").containers[2].lines[0]
    frontier.loc[frontier["method"] == "nothing", ["accuracy", "gap", "floor"]] = np.nan
    ax = plot_frontier(frontier, "equalized_odds")
    assert legend_texts(ax)[1:] == ["steering, strength 0 to 1", "correlation remover"]
    assert ax.containers[1].lines[0].get_color() == whole.get_color()


def test_a_frontier_of_nothing_but_zeros_is_drawn(frontier):
    zeros = frontier.assign(gap=0.0, gap_spread=np.nan, floor=0.0)
    ax = plot_frontier(zeros, "equal_opportunity")
    assert ax.get_xlim() == (-0.05, 1.0)
    assert [text.get_text() for text in ax.texts] == ["1"]


@pytest.mark.parametrize(
    ("change", "constraint", "message"),
    [
        ({}, "demographic_parity", "no point for 'demographic_parity'; it has 'equalized_odds', "),
        ({"gap": np.nan}, "equalized_odds", "no point for 'equalized_odds'; it has none."),
        (
            {"estimator": ["logistic", "boosting"] * 3},
            "equalized_odds",
            r"several estimators \(logistic, boosting\): choose one, frontier\[frontier\['estim",
        ),
    ],
)
def test_a_frontier_that_cannot_be_drawn_is_one_sentence(frontier, change, constraint, message):
    with pytest.raises(ValueError, match=message):
        plot_frontier(frontier.assign(**change), constraint)
    assert plt.get_fignums() == []


def test_the_png_is_one_and_pyplot_knows_nothing_of_it(frontier):
    content = frontier_png(frontier, "equalized_odds", "a title")
    assert content.startswith(b"\x89PNG")
    assert content == frontier_png(frontier, "equalized_odds", "a title")
    assert plt.get_fignums() == []


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
        ({"features": ["x0", "x9"]}, "no feature 'x9'; the features are 'x0', 'x1', 'x2', 'cou"),
        ({"features": []}, "features is empty: pass at least one name"),
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
    with pytest.raises(ValueError, match="no feature 'same'; the features are 'x0', 'x1'."):
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


def test_without_matplotlib_the_extra_is_named(frontier, steering, sample, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for draw in (
        lambda: plot_frontier(frontier, "equalized_odds"),
        lambda: frontier_png(frontier, "equalized_odds"),
        lambda: plot_densities(steering, sample.data),
        lambda: plot_ellipses(steering),
    ):
        with pytest.raises(ImportError, match=r"matplotlib is missing: pip .*fairsteer\[compare\]"):
            draw()
