"""One map for all rows, for use where the attribute is unknown at prediction."""

from __future__ import annotations

import warnings
from numbers import Real
from typing import ClassVar

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.validation import check_is_fitted

from fairsteer import _validation as check
from fairsteer.core.constraints import CONSTRAINTS, positive_position
from fairsteer.core.erasure import within_label_eraser
from fairsteer.core.moments import refuse_overflow, subgroup_moments
from fairsteer.estimators._base import SensitiveFeatureMixin


class WithinLabelEraser(SensitiveFeatureMixin, TransformerMixin, BaseEstimator):
    """Erase the differences between groups within a label, by one map for all rows.

    ``fit`` finds the affine map after which the groups' means are equal and which changes the
    features least, measured by their covariance within subgroups. ``transform`` applies the same
    map to every row, so the sensitive attribute is needed in ``fit`` only.

    Parameters
    ----------
    sensitive_feature_ids : str, int or sequence of these, default=None
        Names or positions of the columns of X that hold the sensitive attribute; several mean
        their intersection. They are dropped from the output. Alternatively pass
        ``sensitive_features=`` to ``fit``.
    constraint : {"equalized_odds", "equal_opportunity", "demographic_parity"}, \
default="equalized_odds"
        The means that become equal: those given every label, those given the positive label, or
        those of all rows of a group.
    pos_label : object, default=None
        The positive (favorable) label; default ``classes_[-1]``.
    shrinkage : float in [0, 1] or "auto", default=0.01
        Regularizes the covariance within subgroups; see :func:`fairsteer.estimate_gaussians`.
    strength : float in [0, 1], default=1.0
        ``s`` in ``x + s (T(x) - x)``; 0 changes nothing.

    Attributes
    ----------
    classes_ : ndarray of shape (K,)
        Labels.
    groups_ : ndarray of shape (G,)
        Groups; tuples for several sensitive columns.
    pos_label_ : object
        The positive label.
    map_ : AffineMap
        The map of the features that vary, including ``strength``. It keeps the mean of all
        training rows.
    covariance_ : ndarray of shape (d, d)
        Pooled covariance within subgroups after shrinkage.
    n_directions_ : int
        Dimensions along which the groups' means differ: under equalized odds at most
        ``K (G - 1)``, otherwise at most ``G - 1``. At strength 1 they are erased.
    steered_features_ : ndarray of shape (d,)
        Positions, among the output columns, of the features that vary in training; constant
        features are returned unchanged.
    sensitive_positions_ : ndarray of int
        Positions of the sensitive columns of X; empty where the attribute is passed.
    n_features_in_ : int
        Columns of X, including sensitive ones.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Column names, where X has them.
    training_digest_ : str
        Digest of the training table, which :func:`fairsteer.certify.certify` refuses.

    Warns
    -----
    UserWarning
        In ``fit``, if no two groups share a label that is compared, so there is nothing to erase,
        or if the groups' means differ along every direction, so all features are erased.

    Notes
    -----
    Where all subgroups are Gaussian with the fitted means and one covariance, the erased features
    given the label (under equal opportunity: the positive label) have the same distribution in
    every group, so every classifier of them has equal rates. Otherwise, and under demographic
    parity, only the means agree: no linear function of the features differs between groups on
    average, but its spread may.

    A label that occurs in one group only is ignored: there is nothing to compare.

    Below strength 1 the map is invertible, so a linear model without regularization undoes it:
    partial erasure affects models that are penalized or measure distances.

    In column mode the values of the sensitive columns do not matter in ``transform``: they may be
    missing, and a DataFrame may lack the columns.

    References
    ----------
    Belrose, Schneider-Joseph, Ravfogel, Cotterell, Raff and Biderman (2023), "LEACE: Perfect
    linear concept erasure in closed form", NeurIPS, arXiv 2306.03819; here within labels.

    Examples
    --------
    >>> from fairsteer import WithinLabelEraser
    >>> from fairsteer.datasets import load_diabetes_progression
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> diabetes = load_diabetes_progression()
    >>> model = make_pipeline(WithinLabelEraser("sex"), LogisticRegression(max_iter=1000))
    >>> model = model.fit(diabetes.data, diabetes.target)
    >>> model.predict(diabetes.data.head(3).assign(sex=None)).shape
    (3,)
    """

    __metadata_request__transform: ClassVar = {"sensitive_features": UNUSED}

    _parameter_constraints: ClassVar[dict] = {
        "sensitive_feature_ids": [str, int, np.integer, "array-like", None],
        "constraint": [StrOptions(set(CONSTRAINTS))],
        "pos_label": "no_validation",
        "shrinkage": [Interval(Real, 0, 1, closed="both"), StrOptions({"auto"})],
        "strength": [Interval(Real, 0, 1, closed="both")],
    }

    def __init__(
        self,
        sensitive_feature_ids=None,
        *,
        constraint="equalized_odds",
        pos_label=None,
        shrinkage=0.01,
        strength=1.0,
    ):
        self.sensitive_feature_ids = sensitive_feature_ids
        self.constraint = constraint
        self.pos_label = pos_label
        self.shrinkage = shrinkage
        self.strength = strength

    def fit(self, X, y, *, sensitive_features=None, sample_weight=None):
        """Estimate the means and the covariance of the subgroups, and compute the map.

        Parameters
        ----------
        X : array-like of shape (n, n_features_in_)
            Numbers; sensitive columns may hold anything.
        y : array-like of shape (n,)
            Labels.
        sensitive_features : array-like of shape (n,) or (n, m), default=None
            The attribute, unless it is a column of X.
        sample_weight : array-like of shape (n,), default=None
            Frequencies: weight 2 is the row twice, weight 0 is no row.

        Returns
        -------
        WithinLabelEraser
            The fitted eraser.

        Raises
        ------
        ValueError
            If a parameter or the input cannot be used; the message says what to do.
        TypeError
            If X is sparse.
        """
        self._validate_params()
        X = check.check_table(X)
        rows = self._training_rows(X, y, sensitive_features, sample_weight)
        positive = positive_position(self.pos_label, rows.classes)
        varying = rows.varying_features()
        moments = subgroup_moments(
            rows.features[:, varying].astype(np.float64),
            rows.label_codes,
            rows.group_codes,
            rows.counts.shape,
            rows.weights,
        )
        refuse_overflow(*moments, [rows.names[j] for j in varying])
        erasure = within_label_eraser(
            *moments,
            constraint=self.constraint,
            positive=positive,
            shrinkage=self.shrinkage,
            features=[rows.names[j] for j in varying],
        )
        self._warn_of_extremes(rows, erasure, len(varying))

        # Nothing is written before everything has succeeded: a failed fit changes nothing.
        self._record(X, y, rows)
        self.pos_label_ = rows.classes[positive]
        self.steered_features_ = varying
        self.map_ = erasure.map.partial(self.strength)
        self.covariance_, self.n_directions_ = erasure.covariance, erasure.n_directions
        return self

    def transform(self, X):
        """Apply the map to every row.

        Parameters
        ----------
        X : array-like of shape (n, n_features_in_)
            As in ``fit``; sensitive columns may have any values, and be absent from a DataFrame.

        Returns
        -------
        ndarray of shape (n, n_features_out)
            The columns of X in order, without the sensitive ones. A frame after ``set_output``.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ValueError
            If the input cannot be used.
        """
        check_is_fitted(self)
        moved = self._check_features(X).copy()
        original = moved[:, self.steered_features_].astype(np.float64)
        moved[:, self.steered_features_] = self.map_.apply(original)
        return moved

    def fit_transform(self, X, y, *, sensitive_features=None, sample_weight=None):
        """Fit, then transform the same rows; the label never moves a row.

        Parameters
        ----------
        X : array-like of shape (n, n_features_in_)
            Numbers; sensitive columns may hold anything.
        y : array-like of shape (n,)
            Labels, used to fit only.
        sensitive_features : array-like of shape (n,) or (n, m), default=None
            The attribute, unless it is a column of X.
        sample_weight : array-like of shape (n,), default=None
            Frequencies.

        Returns
        -------
        ndarray of shape (n, n_features_out)
            Equal to ``fit(...).transform(...)``.
        """
        self.fit(X, y, sensitive_features=sensitive_features, sample_weight=sample_weight)
        return self.transform(X)

    def _warn_of_extremes(self, rows, erasure, n_features):
        if erasure.n_differences == 0:
            warnings.warn(
                f"No label that constraint={self.constraint!r} compares has rows of two groups, "
                "so there is nothing to erase and the features do not change: merge groups or "
                "labels, or add rows.",
                UserWarning,
                stacklevel=3,
            )
        if erasure.n_directions == n_features and self.strength > 0.0:
            warnings.warn(
                f"The means of the {len(rows.groups)} groups differ along all {n_features} "
                "dimensions of the features. Erasing them leaves nothing: at strength=1 all rows "
                "become equal. Add features, merge groups, or compare fewer labels with "
                "constraint='equal_opportunity' or 'demographic_parity'.",
                UserWarning,
                stacklevel=3,
            )
