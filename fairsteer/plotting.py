"""Figures: densities before and after steering, ellipses of the fitted distributions.

Matplotlib is imported when a figure is drawn. Without given axes, a new pyplot figure is created.
"""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral

import numpy as np
from scipy.stats import gaussian_kde
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from fairsteer import _validation as check
from fairsteer.core.messages import abbreviate, shorten
from fairsteer.estimators import OptimalSteeringTransformer

# Okabe-Ito colors; markers and dashes distinguish the same series without color.
STYLES = (
    ("#0072B2", "o", "solid"),
    ("#D55E00", "s", (0, (5, 1.5))),
    ("#009E73", "^", (0, (1, 1))),
    ("#CC79A7", "D", (0, (5, 1.5, 1, 1.5))),
    ("#E69F00", "v", (0, (3, 1, 1, 1, 1, 1))),
    ("#56B4E9", "P", (0, (8, 2))),
    ("#000000", "X", (0, (2, 3))),
)
ATOM = 0.1
BINS = 24
AXIS_NAMES = {
    "lognormal": "log {}",
    "copula": "normal score of {}",
    "copula_by_group": "normal score of {}",
}


def plot_densities(steering, X, *, sensitive_features=None, features=None, n_features=4, axes=None):
    """Plot each group's densities of features before (above) and after (below) steering.

    Parameters
    ----------
    steering : OptimalSteeringTransformer
        Fitted.
    X : array-like of shape (n, n_features_in_)
        Rows to transform.
    sensitive_features : array-like of shape (n,) or (n, m), default=None
        The attribute, unless it is a column of X.
    features : sequence of str, default=None
        Names of output columns, default those that change most.
    n_features : int, default=4
        Number of features if `features` is None: those with the largest root mean square change,
        in standard deviations of the feature.
    axes : ndarray of matplotlib Axes of shape (2, number of features), optional
        Axes to draw on, default those of a new figure.

    Returns
    -------
    ndarray of matplotlib Axes of shape (2, number of features)
        With a kernel density per group, in 1 / unit of the feature. If more than a tenth of a group
        has the same value of a feature, bars show shares of the group instead.

    Raises
    ------
    NotFittedError
        If the transformer is not fitted.
    ValueError
        If a feature does not exist, ``n_features`` is below 1, or ``axes`` has a different shape.
    TypeError
        If the transformer is of another class, or ``n_features`` is no integer.
    ImportError
        If matplotlib is missing.
    """
    _check_steering(steering)
    check_scalar(n_features, "n_features", Integral)
    table = check.check_table(X)
    attribute = check.find_attribute(table, sensitive_features, steering.sensitive_positions_)
    codes = check.attribute_codes(attribute, steering.groups_, table.shape[0])
    before = check.split_features(table, steering.sensitive_positions_)[0]
    after = np.asarray(steering.transform(X, sensitive_features=sensitive_features))
    names = steering.get_feature_names_out().tolist()
    if features is None:
        if n_features < 1:
            raise ValueError(f"n_features must be at least 1, not {n_features}.")
        chosen = np.argsort(-_change(before, after), kind="stable")[:n_features]
    else:
        chosen = _positions(features, names)
    shape = (2, len(chosen))
    if axes is None:
        size = (2.6 * len(chosen) + 1.2, 4.6)
        axes = _axes(size, *shape, sharex="col", sharey="col", squeeze=False)
    axes = np.asarray(axes)
    if axes.shape != shape:
        raise ValueError(f"axes must have shape {shape}, not {axes.shape}.")

    for column, j in enumerate(chosen):
        pair = before[:, j], after[:, j]
        _draw_densities(axes[:, column], pair, codes, steering.groups_)
        axes[1, column].set_xlabel(names[j])
    for ax, when in zip(axes[:, 0], ("before", "after"), strict=True):
        ax.set_ylabel(f"{when}\n{ax.get_ylabel()}")
    _legend(axes[0, -1])
    return axes


def plot_ellipses(steering, features=None, ax=None):
    """Plot the fitted Gaussians of every group and label, and the ideal Gaussians, as ellipses.

    Parameters
    ----------
    steering : OptimalSteeringTransformer
        Fitted, on at least two features that vary.
    features : pair of str, default=None
        Names of two steered features, default the two in which the groups' means differ most, in
        pooled within-subgroup standard deviations, averaged over the labels.
    ax : matplotlib Axes, optional
        Axes to draw on, default those of a new figure.

    Returns
    -------
    matplotlib Axes
        With ellipses of 2 standard deviations: an outline for every label and group of
        ``distribution_``, and a filled ellipse, with the label above it, for every label of
        ``ideal_``, which all groups share in the frame of the reference group.

    Raises
    ------
    NotFittedError
        If the transformer is not fitted.
    ValueError
        If there are not two features, or a feature does not exist.
    TypeError
        If the transformer is of another class.
    ImportError
        If matplotlib is missing.
    """
    _check_steering(steering)
    fitted, ideal = steering.distribution_, steering.ideal_
    names = steering.get_feature_names_out()[steering.steered_features_].tolist()
    if features is None:
        apart = np.ptp(fitted.means, axis=1).mean(axis=0) / fitted.feature_scale
        pair = np.sort(np.argsort(-apart, kind="stable")[:2])
    else:
        pair = _positions(features, names)
    if len(pair) != 2:
        raise ValueError(
            f"ellipses need 2 features that vary in the training rows, got {len(pair)}."
        )

    ax = _axes((7.0, 4.8)) if ax is None else ax
    for i, label in enumerate(fitted.labels):
        dashes = _style(i)[2]
        _ellipse(ax, ideal, (i, 0), pair, facecolor="#00000018", edgecolor="#00000060")
        _name_top(ax, ideal, (i, 0), pair, str(label))
        for a in range(fitted.n_groups):
            color, marker, _ = _style(a)
            style = {"edgecolor": color, "linestyle": dashes, "linewidth": 1.5, "fill": False}
            ax.plot(*_ellipse(ax, fitted, (i, a), pair, **style), marker, color=color)
    _ellipse_legend(ax, fitted)
    axis_name = AXIS_NAMES.get(steering.steering_.options.family, "{}")
    ax.set_xlabel(axis_name.format(names[pair[0]]))
    ax.set_ylabel(axis_name.format(names[pair[1]]))
    _plain(ax)
    ax.autoscale_view()
    return ax


class RocDisplay:
    """ROC curves of the score in every group, and the curve that all groups share after steering.

    Make it by :meth:`from_estimator`.

    Parameters
    ----------
    curves : sequence of RocCurve
        Concave curve of the score of every group, on the rows that the steering was fitted on.
    target : RocCurve
        Their lower envelope.
    groups : sequence
        Group of each curve.
    steered : sequence of RocCurve, default=None
        Curves of the steered score of given rows.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where the curves are drawn.
    figure_ : matplotlib Figure
        Its figure.
    lines_ : list of matplotlib Line2D
        The curves of the groups, then that of the envelope.
    """

    def __init__(self, *, curves, target, groups, steered=None):
        self.curves, self.target, self.groups, self.steered = curves, target, groups, steered

    @classmethod
    def from_estimator(
        cls, steering, X=None, y=None, *, sensitive_features=None, row_ids=None, ax=None
    ):
        """Draw the curves of a fitted `ScoreSteering`.

        Parameters
        ----------
        steering : ScoreSteering
            Fitted with ``constraint="equalized_odds"`` and two labels.
        X, y : array-like of shape (n, n_features_in_) and (n,), default=None
            Rows whose steered score is drawn as well, best rows that it was not fitted on.
        sensitive_features : array-like of shape (n,) or (n, m), default=None
            The attribute of X, unless it is a column.
        row_ids : array-like of shape (n,), default=None
            Identifiers of the rows; see :meth:`ScoreSteering.transform`.
        ax : matplotlib Axes, optional
            Axes to draw on, default those of a new figure.

        Returns
        -------
        RocDisplay

        Raises
        ------
        NotFittedError
            If the steering is not fitted.
        ValueError
            If it has no kernels, or X is given without y.
        TypeError
            If `steering` is not a ScoreSteering.
        ImportError
            If matplotlib is missing.
        """
        from fairsteer.estimators import ScoreSteering  # slow to import

        if not isinstance(steering, ScoreSteering):
            raise TypeError(
                f"ROC curves need a fitted ScoreSteering, got a {type(steering).__name__}."
            )
        check_is_fitted(steering)
        if steering.roc_ is None:
            raise ValueError(
                "ROC curves need a ScoreSteering with constraint='equalized_odds' and two labels: "
                "other maps are not chosen by them."
            )
        steered = None
        if X is not None:
            steered = steering.group_roc(
                X, y, sensitive_features=sensitive_features, row_ids=row_ids
            )
        display = cls(
            curves=steering.roc_,
            target=steering.target_roc_,
            groups=steering.groups_.tolist(),
            steered=steered,
        )
        return display.plot(ax=ax)

    def plot(self, *, ax=None):
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Axes to draw on, default those of a new figure.

        Returns
        -------
        RocDisplay
            Itself.
        """
        ax = _axes((5.4, 4.8)) if ax is None else ax
        ax.plot([0, 1], [0, 1], color="0.8", linewidth=1, zorder=0)
        self.lines_ = []
        for k, (group, curve) in enumerate(zip(self.groups, self.curves, strict=True)):
            color, marker, dashes = _style(k)
            (line,) = ax.plot(
                curve.false_positive,
                curve.true_positive,
                color=color,
                linestyle=dashes,
                label=_group_name(group),
            )
            self.lines_.append(line)
            if self.steered is not None:
                own = self.steered[k]
                ax.plot(
                    own.false_positive[1:-1],
                    own.true_positive[1:-1],
                    color=color,
                    marker=marker,
                    linestyle="none",
                    markersize=5,
                    markerfacecolor="white",
                    label=f"{_group_name(group)}, steered",
                )
        (line,) = ax.plot(
            self.target.false_positive,
            self.target.true_positive,
            color="black",
            linewidth=2.5,
            alpha=0.5,
            label="lower envelope",
            zorder=1,
        )
        self.lines_.append(line)
        ax.set_xlabel("false positive rate")
        ax.set_ylabel("true positive rate")
        ax.set_aspect("equal")
        _plain(ax)
        ax.legend(loc="lower right", frameon=False)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _check_steering(steering):
    if not isinstance(steering, OptimalSteeringTransformer):
        raise TypeError(
            f"A figure needs a fitted OptimalSteeringTransformer, got a {type(steering).__name__}."
        )
    check_is_fitted(steering)


def _require_matplotlib():
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError(
            'matplotlib is missing: pip install "fairsteer[compare]" brings it.'
        ) from error


def _axes(size, *shape, **options):
    """Return the axes of a new pyplot figure."""
    _require_matplotlib()
    import matplotlib.pyplot as plt

    return plt.subplots(*shape, figsize=size, layout="constrained", **options)[1]


def _style(k: int):
    return STYLES[k % len(STYLES)]


def _group_name(group) -> str:
    return f"group {' & '.join(map(str, group)) if isinstance(group, tuple) else group}"


def _legend(ax, *content) -> None:
    """Add a legend beside the axes."""
    ax.legend(*content, loc="upper left", bbox_to_anchor=(1.02, 1.0), frameon=False)


def _plain(ax) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.25)


def _change(before, after) -> np.ndarray:
    """Return the root mean square change of each column in its standard deviations."""
    spread = before.std(axis=0)
    change = np.sqrt(np.mean((after - before) ** 2, axis=0))
    return np.divide(change, spread, out=np.zeros(len(change)), where=spread > 0.0)


def _positions(features, names) -> list[int]:
    if not isinstance(features, Iterable):
        raise ValueError(f"features must be a sequence of names, not {shorten(features)}.")
    features = [features] if isinstance(features, str) else list(features)
    for feature in features:
        if feature not in names:
            raise ValueError(
                f"there is no feature {shorten(feature)} to draw; there are {abbreviate(names)}."
            )
    if not features:
        raise ValueError("features is empty: pass at least one name.")
    return [names.index(feature) for feature in features]


def _draw_densities(axes, pair, codes, groups) -> None:
    """Plot a feature before and after steering on the same grid."""
    low, high = min(map(np.min, pair)), max(map(np.max, pair))
    atoms = any(_largest_share(pair[0][codes == a]) > ATOM for a in np.unique(codes))
    margin = 0.05 * (high - low) or 0.5
    grid = np.linspace(low - margin, high + margin, BINS + 1 if atoms else 200)
    width = (grid[1] - grid[0]) / (len(groups) + 1)
    for ax, values in zip(axes, pair, strict=True):
        for a in np.unique(codes):
            own, name = values[codes == a], _group_name(groups[a])
            color, _, dashes = _style(a)
            if atoms:
                share = np.histogram(own, grid)[0] / len(own)
                ax.bar(grid[:-1] + (a + 1) * width, share, width, color=color, label=name)
            else:
                density = gaussian_kde(own)(grid)
                ax.plot(grid, density, color=color, linestyle=dashes, label=name)
        ax.set_ylabel("share" if atoms else "density")
        _plain(ax)


def _largest_share(values) -> float:
    return np.unique(values, return_counts=True)[1].max() / len(values)


def _ellipse(ax, gaussians, subgroup, pair, **style) -> np.ndarray:
    """Add the ellipse of 2 standard deviations of a subgroup and return its center."""
    from matplotlib.patches import Ellipse

    center = gaussians.means[subgroup][pair]
    values, vectors = np.linalg.eigh(gaussians.covariances[subgroup][np.ix_(pair, pair)])
    angle = np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1]))
    width, height = 4.0 * np.sqrt(values[::-1])
    ax.add_patch(Ellipse(center, width, height, angle=angle, **style))
    return center


def _name_top(ax, gaussians, subgroup, pair, name) -> None:
    """Write a name above the highest point of an ellipse."""
    across, up = gaussians.covariances[subgroup][np.ix_(pair, pair)][:, 1]
    top = gaussians.means[subgroup][pair] + 2.0 * np.array([across, up]) / np.sqrt(up)
    place = {"xytext": (0, 3), "textcoords": "offset points", "ha": "center"}
    ax.annotate(name, top, size="large", **place)


def _ellipse_legend(ax, fitted) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [
        Line2D([], [], color=_style(a)[0], marker=_style(a)[1], label=_group_name(group))
        for a, group in enumerate(fitted.groups)
    ]
    handles += [
        Line2D([], [], color="black", linestyle=_style(i)[2], label=f"label {label}")
        for i, label in enumerate(fitted.labels)
    ]
    handles.append(Patch(facecolor="#00000018", edgecolor="#00000060", label="ideal"))
    _legend(ax, handles, [handle.get_label() for handle in handles])
