"""Gaussian parameters per label and group, and their estimation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fairsteer.core.affine import AffineMap
from fairsteer.core.linalg import (
    Array,
    distinct,
    find_dependent,
    is_spd,
    is_symmetric,
    symmetrize,
)
from fairsteer.core.messages import abbreviate, shorten, subgroup_name
from fairsteer.core.moments import (
    find_value,
    pooled_scale,
    positions,
    sorted_values,
    subgroup_moments,
)
from fairsteer.core.shrinkage import shrink_covariance, toward_effects

COVARIANCE_TYPES = ("full", "tied", "diag")


@dataclass(frozen=True, eq=False)
class SubgroupGaussians:
    """Joint distribution of label, group and features, Gaussian given label and group.

    Parameters
    ----------
    labels : ndarray of shape (K,)
        Label values, all different.
    groups : ndarray of shape (G,)
        Group values, all different (for intersections a 1-d object array of tuples).
    priors : ndarray of shape (K, G)
        ``P(label, group)``, positive, summing to 1.
    means : ndarray of shape (K, G, d)
        Subgroup means.
    covariances : ndarray of shape (K, G, d, d)
        Subgroup covariances, symmetric positive definite.
    counts : ndarray of shape (K, G)
        Number of rows (sum of frequencies) of each subgroup, not negative.

    Raises
    ------
    ValueError
        If shapes disagree, labels or groups are repeated or missing, numbers are not finite, the
        priors are not positive or do not sum to 1, counts are negative, or a covariance is not
        symmetric positive definite; the message names the subgroup.
    """

    labels: NDArray[Any]
    groups: NDArray[Any]
    priors: Array
    means: Array
    covariances: Array
    counts: Array

    def __post_init__(self) -> None:
        for name in ("priors", "means", "covariances", "counts"):
            object.__setattr__(self, name, as_numbers(getattr(self, name), name).view())
        for name in ("labels", "groups"):
            object.__setattr__(self, name, _values(getattr(self, name), name).view())
        apart = self.covariances.ndim == 4 and self.covariances.strides[0] != 0
        if apart and np.all(self.covariances == self.covariances[:1]):
            # Stored once, a shared covariance is also factorized once for all labels.
            shared = np.broadcast_to(self.covariances[:1], self.covariances.shape)
            object.__setattr__(self, "covariances", shared)
        self._check()
        for name in ("labels", "groups", "priors", "means", "covariances", "counts"):
            getattr(self, name).flags.writeable = False

    def __getstate__(self) -> dict[str, Any]:
        # Without this, copies and files repeat a shared covariance for every label.
        return {**self.__dict__, "covariances": distinct(self.covariances)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Copies and files lose write protection.
        self.__dict__.update(state)
        shape = (*self.means.shape, self.means.shape[-1])
        object.__setattr__(self, "covariances", np.broadcast_to(state["covariances"], shape))
        self.__post_init__()

    @property
    def n_labels(self) -> int:
        """Number of labels, K."""
        return int(self.priors.shape[0])

    @property
    def n_groups(self) -> int:
        """Number of groups, G."""
        return int(self.priors.shape[1])

    @property
    def n_features(self) -> int:
        """Number of features, d."""
        return int(self.means.shape[2])

    @property
    def feature_scale(self) -> Array:
        """Pooled within-subgroup standard deviation of each feature, shape (d,)."""
        variances = np.einsum("iajj->iaj", self.covariances)
        scale: Array = np.sqrt(np.einsum("ia,iaj->j", self.priors, variances))
        return scale

    def in_units(self, center: Array, scale: Array) -> SubgroupGaussians:
        """Return the distribution of ``(x - center) / scale``.

        Parameters
        ----------
        center : ndarray of shape (d,) or (G, d)
            Origin, for all groups or for each.
        scale : ndarray of shape (d,)
            Unit of each feature.
        """
        covariances = distinct(self.covariances) / np.outer(scale, scale)
        return replace(
            self,
            means=(self.means - center) / scale,
            covariances=np.broadcast_to(covariances, self.covariances.shape),
        )

    def pushforward(self, maps: AffineMap) -> SubgroupGaussians:
        """Return the distribution after each group's features pass its map; maps of shape (G,)."""
        means, covariances = maps.pushforward(self.means, distinct(self.covariances))
        return replace(
            self, means=means, covariances=np.broadcast_to(covariances, self.covariances.shape)
        )

    def like_group(self, group: int) -> SubgroupGaussians:
        """Return the distribution in which all groups have the Gaussians of the given group."""
        shape, matrices = self.means.shape, self.covariances.shape
        return replace(
            self,
            means=np.broadcast_to(self.means[:, [group]], shape),
            covariances=np.broadcast_to(self.covariances[:, [group]], matrices),
        )

    def group_index(self, group: object) -> int:
        """Return the position of a group value.

        Raises
        ------
        ValueError
            If the group does not exist; the message lists the groups.
        """
        return _position(self.groups, group, "group")

    def label_index(self, label: object) -> int:
        """Return the position of a label value.

        Raises
        ------
        ValueError
            If the label does not exist; the message lists the labels.
        """
        return _position(self.labels, label, "label")

    def _check(self) -> None:
        if self.means.ndim != 3:
            raise ValueError(f"means must have shape (K, G, d), got {self.means.shape}.")
        n_labels, n_groups, d = self.means.shape
        if d == 0:
            raise ValueError("means have no features, but at least 1 is needed.")
        if self.means.size == 0:
            raise ValueError("means have no labels or no groups, but at least 1 is needed.")
        expected = {
            "labels": (n_labels,),
            "groups": (n_groups,),
            "priors": (n_labels, n_groups),
            "counts": (n_labels, n_groups),
            "covariances": (n_labels, n_groups, d, d),
        }
        for name, shape in expected.items():
            found = getattr(self, name).shape
            if found != shape:
                raise ValueError(
                    f"{name} must have shape {shape} to agree with means {self.means.shape}, "
                    f"got {found}."
                )
        for name in ("labels", "groups"):
            _refuse_repeated(getattr(self, name), name)
        for name in ("priors", "means", "counts"):
            if not np.all(np.isfinite(getattr(self, name))):
                raise ValueError(f"{name} must be finite, but hold NaN or infinity.")
        if np.any(self.counts < 0.0):
            i, a = np.argwhere(self.counts < 0.0)[0]
            raise ValueError(
                f"{subgroup_name(self.labels[i], self.groups[a])}: the count is "
                f"{self.counts[i, a]:g}, but counts are numbers of rows and not negative."
            )
        total = float(self.priors.sum())
        if not (np.all(self.priors > 0.0) and abs(total - 1.0) < 1e-8):
            raise ValueError(
                "priors must be positive and sum to 1, but the smallest is "
                f"{self.priors.min():.3g} and the sum {total:.6g}."
            )
        covariances = distinct(self.covariances)
        # Small covariances are checked together; for large ones the copies need too much memory.
        small = covariances.size <= 2**16
        if not (small and is_symmetric(covariances) and is_spd(covariances)):
            for i, a in np.ndindex(len(covariances), n_groups):
                self._check_covariance(i, a)

    def _check_covariance(self, i: int, a: int) -> None:
        covariance = self.covariances[i, a]
        name = subgroup_name(self.labels[i], self.groups[a])
        if not np.all(np.isfinite(covariance)):
            raise ValueError(f"{name}: the covariance holds NaN or infinity.")
        if not is_symmetric(covariance):
            raise ValueError(f"{name}: the covariance is not symmetric.")
        if not is_spd(covariance):
            positions = range(self.n_features)
            raise ValueError(f"{name}: the covariance {describe_singular(covariance, positions)}")


def describe_singular(covariance: Array, features: Sequence[object]) -> str:
    """Return the end of a sentence about a singular covariance: its cause and what to do.

    Parameters
    ----------
    covariance : ndarray of shape (d, d)
        The covariance.
    features : sequence of length d
        Names or positions of the features.
    """
    dependent = [features[j] for j in find_dependent(covariance)]
    if len(dependent) == 1:
        cause = (
            f"column {shorten(dependent[0])} is constant in these rows: raise shrinkage, or drop it"
        )
    else:
        cause = (
            f"the columns {abbreviate(dependent)} are linearly dependent in these rows: raise "
            "shrinkage, or drop one of them"
        )
    return f"is not positive definite, because {cause}."


def _position(values: NDArray[Any], value: object, kind: str) -> int:
    position = find_value(value, values.tolist())
    if position is None:
        raise ValueError(
            f"there is no {kind} {shorten(value)}; the {kind}s are {abbreviate(values)}."
        )
    return position


def _refuse_repeated(values: NDArray[Any], name: str) -> None:
    seen: set[object] = set()
    for value in values.tolist():
        if value in seen:
            raise ValueError(f"{name} must be different, but {shorten(value)} is repeated.")
        seen.add(value)


def minimum_rows(
    covariance_type: str, shrinkage: float | str, n_features: int, borrow: bool = False
) -> int:
    """Return the smallest number of rows from which a covariance can be estimated."""
    if covariance_type != "full" or borrow:
        return 1
    return n_features + 1 if shrinkage == 0 else 2


def gaussians_from_moments(
    labels: NDArray[Any],
    groups: NDArray[Any],
    counts: Array,
    means: Array,
    scatters: Array,
    *,
    covariance_type: str = "full",
    shrinkage: float | str = 0.01,
    borrow: bool = False,
    features: Sequence[object] | None = None,
) -> SubgroupGaussians:
    """Estimate a Gaussian per label and group from the moments of the subgroups.

    Parameters
    ----------
    labels, groups : ndarray of shapes (K,) and (G,)
        Label and group values.
    counts, means, scatters : ndarray of shapes (K, G), (K, G, d), (K, G, d, d)
        From :func:`fairsteer.core.moments.subgroup_moments`.
    covariance_type, shrinkage
        As in :func:`estimate_gaussians`.
    borrow : bool, default=False
        Whether moments are first shrunk toward those of the other subgroups, small subgroups most;
        see :func:`fairsteer.core.shrinkage.toward_effects`.
    features : sequence of length d, default=None
        Names of the features for messages, default their positions.

    Returns
    -------
    SubgroupGaussians

    Raises
    ------
    ValueError
        If an option is unknown, or a subgroup has too few rows or a singular covariance; the
        message names the subgroup, and features that are constant or linearly dependent.
    """
    _check_options(covariance_type, shrinkage)
    n_labels, n_groups, n_features = means.shape
    _check_counts(
        labels,
        groups,
        counts,
        minimum_rows(covariance_type, shrinkage, n_features, borrow),
        n_features,
        shrinkage,
    )

    scale = pooled_scale(counts, means, scatters)
    if borrow:
        means, scatters = toward_effects(counts, means, scatters)
    outer_scale = np.outer(scale, scale)
    if covariance_type == "tied":
        group_counts = counts.sum(axis=0)
        shared = np.empty_like(scatters[0])
        for a in range(n_groups):
            scaled = scatters[:, a].sum(axis=0) / group_counts[a] / outer_scale
            shared[a] = shrink_covariance(scaled, float(group_counts[a]), shrinkage)
        covariances = np.broadcast_to(
            symmetrize(shared * outer_scale), (n_labels, *scatters.shape[1:])
        )
    else:
        covariances = np.empty_like(scatters)
        for i, a in np.ndindex(n_labels, n_groups):
            scaled = scatters[i, a] / counts[i, a] / outer_scale
            if covariance_type == "diag":
                scaled = np.diag(np.diag(scaled))
            shrunk = shrink_covariance(scaled, float(counts[i, a]), shrinkage)
            covariances[i, a] = symmetrize(shrunk * outer_scale)
    try:
        return SubgroupGaussians(
            labels=labels,
            groups=groups,
            priors=counts / counts.sum(),
            means=means,
            covariances=covariances,
            counts=counts,
        )
    except ValueError:
        for i, a in np.ndindex(len(distinct(covariances)), n_groups):
            if features is not None and not is_spd(covariances[i, a]):
                name = subgroup_name(labels[i], groups[a])
                text = describe_singular(covariances[i, a], features)
                raise ValueError(f"{name}: the covariance {text}") from None
        raise


def _check_counts(
    labels: NDArray[Any],
    groups: NDArray[Any],
    counts: Array,
    needed: int,
    n_features: int,
    shrinkage: float | str,
) -> None:
    """Refuse a subgroup without rows, or with fewer than needed."""
    empty, small = np.argwhere(counts == 0), np.argwhere(counts < needed)
    if len(empty):
        i, a = empty[0]
        raise ValueError(
            f"{subgroup_name(labels[i], groups[a])} has no rows: every group needs rows of every "
            "label. Drop or merge this group or label, or let the transformer merge groups by "
            "small_groups='pooled'."
        )
    if len(small):
        i, a = small[0]
        if np.any(counts != np.round(counts)):
            raise ValueError(
                f"{subgroup_name(labels[i], groups[a])} has a total weight of {counts[i, a]:g} "
                f"(all rows: {counts.sum():g}), but at least {needed} is needed: weights are "
                "frequencies, so scale them to sum to the number of rows; the transformer merges "
                "groups of less weight by small_groups='pooled'."
            )
        remedy = "covariance_type='tied' or 'diag'"
        if shrinkage == 0:
            remedy += ", or a positive shrinkage"
        raise ValueError(
            f"{subgroup_name(labels[i], groups[a])} has {counts[i, a]:g} row(s) for {n_features} "
            f"features, but at least {needed} are needed: merge or drop this group or label, or "
            f"use {remedy}; the transformer merges groups by small_groups='pooled'."
        )


def estimate_gaussians(
    X: ArrayLike,
    y: ArrayLike,
    *,
    sensitive_features: ArrayLike,
    covariance_type: str = "full",
    shrinkage: float | str = 0.01,
    sample_weight: ArrayLike | None = None,
) -> SubgroupGaussians:
    """Estimate a Gaussian per label and group.

    Means and covariances are maximum-likelihood estimates. Each covariance is then shrunk toward
    its mean variance times the identity, in units of the features' pooled within-subgroup standard
    deviations, so that rescaling a feature rescales the estimate.

    Parameters
    ----------
    X : array-like of shape (n, d)
        Features, finite numbers.
    y : array-like of shape (n,)
        Labels.
    sensitive_features : array-like of shape (n,)
        Group of each row; for intersections a 1-d object array of tuples.
    covariance_type : {"full", "tied", "diag"}, default="full"
        ``"tied"`` shares one covariance among the labels of a group.
    shrinkage : float in [0, 1] or "auto", default=0.01
        Weight of the shrinkage target; ``"auto"`` chooses it for each covariance by oracle
        approximating shrinkage.
    sample_weight : array-like of shape (n,), default=None
        Frequencies: weight 2 is the row twice, weight 0 is no row.

    Returns
    -------
    SubgroupGaussians

    Raises
    ------
    ValueError
        If an option is unknown, lengths differ, there are no rows or features, values are missing,
        not finite or too large to square, an array is masked, or a subgroup has too few rows; the
        message names the subgroup or the column.

    Examples
    --------
    >>> from fairsteer import estimate_gaussians
    >>> from fairsteer.datasets import load_diabetes_progression
    >>> diabetes = load_diabetes_progression()
    >>> fitted = estimate_gaussians(
    ...     diabetes.data[["bmi", "bp"]], diabetes.target, sensitive_features=diabetes.data["sex"]
    ... )
    >>> fitted.means.shape, fitted.covariances.shape
    ((2, 2, 2), (2, 2, 2, 2))
    """
    _check_options(covariance_type, shrinkage)
    names = list(getattr(X, "columns", ()))
    X, weights = as_numbers(X, "X"), None
    y, groups = _values(y, "y"), _values(sensitive_features, "sensitive_features")
    if X.ndim != 2:
        raise ValueError(f"X must have shape (n, d), got {X.shape}.")
    if X.size == 0:
        raise ValueError(f"X has the shape {X.shape}, but needs at least one row and one feature.")
    if y.shape != X.shape[:1] or groups.shape != X.shape[:1]:
        raise ValueError(
            f"X has {X.shape[0]} rows, but y has shape {y.shape} and sensitive_features has shape "
            f"{groups.shape}: pass the label and the group of each row."
        )
    if not np.all(np.isfinite(X)):
        raise ValueError("X contains NaN or infinity; impute or drop these values first.")
    if sample_weight is not None:
        weights = as_numbers(sample_weight, "sample_weight")
        if weights.shape != X.shape[:1] or not np.all((weights >= 0.0) & (weights < np.inf)):
            raise ValueError(f"sample_weight must hold {X.shape[0]} non-negative frequencies.")
        present = weights > 0.0
        if not present.any():
            raise ValueError(
                "sample_weight is zero in every row: at least one row needs a positive weight."
            )
        X, y, groups, weights = X[present], y[present], groups[present], weights[present]
    labels, label_codes = _code(y, "y")
    group_values, group_codes = _code(groups, "sensitive_features")
    shape = (len(labels), len(group_values))
    counts = np.zeros(shape)
    np.add.at(counts, (label_codes, group_codes), 1.0 if weights is None else weights)
    needed = minimum_rows(covariance_type, shrinkage, X.shape[1])
    # Before the moments, which take long for many groups.
    _check_counts(labels, group_values, counts, needed, X.shape[1], shrinkage)
    with np.errstate(over="ignore", invalid="ignore"):
        moments = subgroup_moments(X, label_codes, group_codes, shape, weights)
    _refuse_overflow(moments, names)
    return gaussians_from_moments(
        labels,
        group_values,
        *moments,
        covariance_type=covariance_type,
        shrinkage=shrinkage,
        features=names or None,
    )


def as_numbers(values: ArrayLike, name: str) -> Array:
    """Return an array of floats, without a copy of one.

    Raises
    ------
    ValueError
        If it holds text or other objects, or is masked.
    """
    _refuse_masked(values, name)
    try:
        array = np.asarray(values)
        if array.dtype.kind in "biufO":
            numbers: Array = array.astype(np.float64, copy=False)
            return numbers
    except (TypeError, ValueError):
        pass
    raise ValueError(f"{name} must be an array of numbers, not of text or other objects.")


def _values(values: ArrayLike, name: str) -> NDArray[Any]:
    """Return an array of labels or groups, none missing."""
    _refuse_masked(values, name)
    # NumPy turns the 1 and the NaN of ["a", 1, nan] into text.
    objects = isinstance(values, list | tuple)
    try:
        array = np.asarray(values, dtype=object if objects else None)
        plain = np.asarray(values)
        if plain.dtype.kind not in "US" or all(isinstance(v, str | bytes) for v in array.flat):
            array = plain
        if array.dtype == object:
            missing = any(map(_is_missing, set(array.flat)))
        else:
            missing = bool(np.any(array != array))
    except (TypeError, ValueError):
        raise ValueError(
            f"{name} holds lists or other containers: pass an array of texts or numbers."
        ) from None
    if missing:
        raise ValueError(
            f"{name} has missing values (NaN or None): drop these rows, or replace the missing "
            "values."
        )
    return array


def _is_missing(value: Any) -> bool:
    if isinstance(value, tuple):
        return any(map(_is_missing, value))
    try:
        return value is None or bool(value != value)
    except TypeError:  # pandas.NA has no truth value
        return True


def _refuse_masked(values: object, name: str) -> None:
    if isinstance(values, np.ma.MaskedArray):
        raise ValueError(
            f"{name} is a masked array, whose masked values would count as values: drop these rows "
            "or fill the values, then pass a plain array."
        )


def _code(values: NDArray[Any], name: str) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Return the distinct values, sorted, and the position of each row's value among them."""
    if values.dtype != object:
        known, codes = np.unique(values, return_inverse=True)
        return known, codes
    different = list(dict.fromkeys(values.tolist()))
    distinct = np.empty(len(different), dtype=object)
    distinct[:] = sorted_values(different)
    if name == "y" and len({isinstance(value, str) for value in different}) > 1:
        raise ValueError(
            "y mixes text and other labels: convert them to one type, for instance with "
            ".astype(str)."
        )
    return distinct, np.array(positions(values, distinct), dtype=np.intp)


def _refuse_overflow(moments: tuple[Array, Array, Array], names: list[Any]) -> None:
    """Raise if features were too large to square; the message names them."""
    counts, means, scatters = moments
    with np.errstate(over="ignore", invalid="ignore"):
        between = np.einsum("ia,iaj->j", counts, (means - means.mean(axis=(0, 1))) ** 2)
        large = ~np.isfinite(between + np.einsum("iajj->j", scatters))
    if large.any():
        columns = [names[j] if names else int(j) for j in np.flatnonzero(large)]
        raise ValueError(
            f"Column(s) {abbreviate(columns)} of X hold values too large to square: divide these "
            "columns by a power of ten."
        )


def _check_options(covariance_type: str, shrinkage: float | str) -> None:
    if not isinstance(covariance_type, str) or covariance_type not in COVARIANCE_TYPES:
        raise ValueError(
            f"covariance_type must be one of {list(COVARIANCE_TYPES)}, got "
            f"{shorten(covariance_type)}."
        )
    if isinstance(shrinkage, str):
        valid = shrinkage == "auto"
    else:
        valid = isinstance(shrinkage, Real) and 0.0 <= shrinkage <= 1.0
    if not valid:
        raise ValueError(
            f"shrinkage must be 'auto' or a number in [0, 1], got {shorten(shrinkage)}."
        )
