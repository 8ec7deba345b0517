"""Steer the score of a classifier, so that what it says is the same in every group."""

from __future__ import annotations

import warnings
from numbers import Integral
from typing import ClassVar

import numpy as np
from scipy.special import expit
from sklearn.base import BaseEstimator, TransformerMixin, is_classifier, is_regressor
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted

from fairsteer import _validation as check
from fairsteer.core.channels import gaussian_channel
from fairsteer.core.constraints import CONSTRAINTS, positive_position
from fairsteer.core.gaussians import gaussians_from_moments, minimum_rows, subgroup_name
from fairsteer.core.groups import pool_small_groups
from fairsteer.core.messages import shorten
from fairsteer.core.moments import subgroup_moments
from fairsteer.core.roc import concave_roc
from fairsteer.core.row_draws import RowDraws, value_words
from fairsteer.core.score_maps import (
    SHRINKAGE_ROWS,
    MonotoneMaps,
    ScoreChannel,
    bin_edges,
    fit_kernels,
    fit_monotone_maps,
)
from fairsteer.core.solvers import default_reference_group
from fairsteer.estimators._cross_fitting import given_splits, split_strata
from fairsteer.estimators._score_models import ScoreModels, fit_score_models
from fairsteer.estimators._table_input import TableInputMixin
from fairsteer.exceptions import SteeringWarning

_MOST_TWINS = 0.05


class ScoreSteering(TableInputMixin, TransformerMixin, BaseEstimator):
    """Score rows by a classifier, and steer the scores to one distribution for all groups.

    ``log P(y = 1 | x) - log P(y = 0 | x)`` keeps all that features say about two labels. ``fit``
    estimates how this score is distributed in every group, on rows that the classifier was not
    fitted on, and finds the maps that make the distributions agree: given the label (equalized
    odds), among the positives (equal opportunity), or of all rows (demographic parity).
    ``transform`` returns the steered score as one column. No distribution of the features is
    assumed, and the label of a row never moves it.

    Parameters
    ----------
    estimator : classifier, regressor or "passthrough", default=None
        What scores the rows; it is cloned. None: ``HistGradientBoostingClassifier()``, or the
        regressor where y is continuous. ``"passthrough"``: X is a single column of scores, which
        come from a model that was fitted on other rows.
    sensitive_feature_ids : str, int or sequence of these, default=None
        Names or positions of the columns of X that hold the sensitive attribute; several mean
        their intersection. Alternatively pass ``sensitive_features=``.
    constraint : {"equalized_odds", "equal_opportunity", "demographic_parity"}, \
default="equalized_odds"
        What is made equal. More than two labels: equalized odds only. Continuous y: demographic
        parity only.
    pos_label : object, default=None
        The positive (favorable) label; default ``classes_[-1]``.
    output : {"score", "probability", "bins"}, default="score"
        Log odds (of a regressor or with ``"passthrough"``, the scale of the score), their logistic
        function, or integers from 0 in ascending order of the score.
    n_bins : int, default=25
        Largest number of bins of the score under equalized odds, and of ``output="bins"``.
    group_feature : bool, default=True
        Whether the estimator sees the group, as further columns. Scores are more accurate if it
        may.
    group_strategy : {"given", "posterior"}, default="given"
        Whether new rows may lack their group. With ``"posterior"`` such rows get the score of an
        estimator that does not see the group, and the maps of the groups, mixed with weights from
        a classifier of the group.
    handle_unknown : {"error", "pooled"}, default="error"
        Whether rows of groups that ``fit`` did not see are refused, or treated as rows without a
        group.
    small_groups : {"shrunk", "error"}, default="shrunk"
        Whether the distribution of a subgroup of n rows is a mixture with weight ``2 / (2 + n)`` of
        that of all groups, or a subgroup of fewer than ``n_bins`` rows is refused.
    cv : int or cross-validation generator, default=5
        Folds that score the training rows. With an int they have equal shares of every label and
        group.
    n_jobs : int, default=None
        Number of parallel fits, as in joblib.
    random_state : int, RandomState or None, default=None
        Seed of the folds and of the draws of rows; an int makes them reproducible.

    Attributes
    ----------
    estimator_ : classifier or regressor
        Fitted to all training rows; None with ``"passthrough"``.
    classes_ : ndarray of shape (K,)
        Labels; None where y is continuous or missing.
    groups_ : ndarray of shape (G,)
        Groups; tuples for several sensitive columns.
    pos_label_ : object
        The positive label; None where y is continuous or missing.
    kernels_ : ndarray of shape (G, m, k) or None
        Probability of every output given the group and the bin of the score (equalized odds, two
        labels).
    roc_ : tuple of RocCurve or None
        Concave ROC curve of the score in every group (equalized odds, two labels).
    target_roc_ : RocCurve or None
        Their lower envelope, the curve of the output.
    n_outputs_ : int or None
        Number of distinct outputs, where it is finite.
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
    SteeringWarning
        In ``transform`` and ``fit_transform``, if more than 5% of the rows have the same values as
        another one and no ``row_ids`` are given: such rows get the same draw. In ``fit``, if a
        subgroup has at most two rows.

    Notes
    -----
    ``fit_transform`` returns the steered *out-of-fold* scores and so differs from
    ``fit(...).transform(...)``, as in scikit-learn's ``TargetEncoder``: scores of rows that the
    estimator was fitted on are too certain, and a classifier trained on them would be misled.

    *Equalized odds* needs a random draw for each row. Given its label, the output has one
    distribution in every group, that of the lower envelope of the groups' concave ROC curves. If
    the distributions of the binned score were known, no other treatment of it that ignores the
    label and satisfies equalized odds would support better decisions. It takes at most ``n_bins``
    values, because detail within a bin would tell the groups apart. *Demographic parity*
    and *equal opportunity* use an increasing map in every group, and draws for tied scores only.

    The draw of a row is a function of its values and its group, so a row alone moves as in a batch,
    and identical rows move together. With ``row_ids`` it is a function of the identifier.

    More than two labels: K - 1 log ratios, moved by the channel of
    :func:`fairsteer.core.channels.gaussian_channel`; they are not Gaussian, so it is approximate.

    The distributions agree up to what can be estimated from the training rows. Nothing holds for
    other columns that a classifier sees beside the output.

    X may have columns of text and categories; then numbers are median-imputed and standardized, and
    other columns one-hot encoded.

    References
    ----------
    Blackwell (1953), "Equivalent comparisons of experiments", for what can be reached; Hardt, Price
    and Srebro (2016), "Equality of opportunity in supervised learning", for a single decision.

    Examples
    --------
    >>> from fairsteer import ScoreSteering
    >>> from fairsteer.datasets import load_diabetes_progression
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> diabetes = load_diabetes_progression()
    >>> scores = ScoreSteering(LogisticRegression(max_iter=1000), "sex", random_state=0)
    >>> model = make_pipeline(scores, LogisticRegression()).fit(diabetes.data, diabetes.target)
    >>> model.predict(diabetes.data.head(3)).shape
    (3,)
    """

    __metadata_request__transform: ClassVar = {"sensitive_features": True, "row_ids": True}

    _parameter_constraints: ClassVar[dict] = {
        "estimator": [HasMethods("fit"), StrOptions({"passthrough"}), None],
        "sensitive_feature_ids": [str, int, np.integer, "array-like", None],
        "constraint": [StrOptions(set(CONSTRAINTS))],
        "pos_label": "no_validation",
        "output": [StrOptions({"score", "probability", "bins"})],
        "n_bins": [Interval(Integral, 2, None, closed="left")],
        "group_feature": ["boolean"],
        "group_strategy": [StrOptions({"given", "posterior"})],
        "handle_unknown": [StrOptions({"error", "pooled"})],
        "small_groups": [StrOptions({"shrunk", "error"})],
        "cv": ["cv_object"],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator=None,
        sensitive_feature_ids=None,
        *,
        constraint="equalized_odds",
        pos_label=None,
        output="score",
        n_bins=25,
        group_feature=True,
        group_strategy="given",
        handle_unknown="error",
        small_groups="shrunk",
        cv=5,
        n_jobs=None,
        random_state=None,
    ):
        self.estimator = estimator
        self.sensitive_feature_ids = sensitive_feature_ids
        self.constraint = constraint
        self.pos_label = pos_label
        self.output = output
        self.n_bins = n_bins
        self.group_feature = group_feature
        self.group_strategy = group_strategy
        self.handle_unknown = handle_unknown
        self.small_groups = small_groups
        self.cv = cv
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X, y=None, *, sensitive_features=None, sample_weight=None):
        """Fit the estimator, and the maps of its scores.

        Parameters
        ----------
        X : array-like of shape (n, n_features_in_)
            Rows; a frame may have columns of any type.
        y : array-like of shape (n,), default=None
            Labels, or numbers under demographic parity. None only with ``"passthrough"`` under
            demographic parity.
        sensitive_features : array-like of shape (n,) or (n, m), default=None
            The attribute, unless it is a column of X.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows. If they add up to less than the number of rows of positive weight,
            they are scaled to that number.

        Returns
        -------
        ScoreSteering
            The fitted transformer.

        Raises
        ------
        ValueError
            If a parameter or the input cannot be used; the message says what to do.
        TypeError
            If X is sparse, or `estimator` is not a classifier or regressor.
        """
        self._fit(X, y, sensitive_features, sample_weight)
        return self

    def fit_transform(
        self, X, y=None, *, sensitive_features=None, sample_weight=None, row_ids=None
    ):
        """Fit, and return the steered scores of the same rows, each by a model of other rows.

        Parameters
        ----------
        X, y, sensitive_features, sample_weight
            As in :meth:`fit`.
        row_ids : array-like of shape (n,), default=None
            Identifiers that the draws depend on; default the values of the rows.

        Returns
        -------
        ndarray of shape (n, 1) or (n, K - 1)
            Different from ``fit(...).transform(...)``, see the notes of the class.
        """
        rows, scores = self._fit(X, y, sensitive_features, sample_weight)
        steered = self._steer(scores, rows.features, rows.group_codes, row_ids)
        return steered

    def transform(self, X, *, sensitive_features=None, row_ids=None):
        """Score new rows, and steer the scores.

        Parameters
        ----------
        X : array-like of shape (n, n_features_in_)
            As in ``fit``.
        sensitive_features : array-like of shape (n,) or (n, m), default=None
            The attribute, unless it is a column of X.
        row_ids : array-like of shape (n,), default=None
            Identifiers that the draws depend on; default the values of the rows.

        Returns
        -------
        ndarray of shape (n, 1) or (n, K - 1)
            A frame after ``set_output``.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ValueError
            If the input cannot be used, or a group was not seen in ``fit``.
        """
        check_is_fitted(self)
        return self._transform(self._check_columns(X), sensitive_features, row_ids)

    def _transform(self, table, sensitive_features, row_ids):
        features, codes = self._features(table), self._codes(table, sensitive_features)
        return self._steer(self._models.scores(features, codes), features, codes, row_ids)

    def get_feature_names_out(self, input_features=None):
        """Return the names of the output: ``score``, or ``score_<label>`` for several columns.

        Parameters
        ----------
        input_features : ignored
            Present for the scikit-learn interface.

        Returns
        -------
        ndarray of str
        """
        check_is_fitted(self)
        if isinstance(self._maps, ScoreChannel):
            return np.array([f"score_{label}" for label in self.classes_[:-1]], dtype=object)
        return np.array(["score"], dtype=object)

    def estimator_scores(self, X, *, sensitive_features=None):
        """Return the scores of the estimator, which are not steered.

        Parameters
        ----------
        X : array-like of shape (n, n_features_in_)
            As in ``fit``.
        sensitive_features : array-like of shape (n,) or (n, m), default=None
            The attribute, unless it is a column of X.

        Returns
        -------
        ndarray of shape (n,) or (n, K - 1)
            Log odds, or predictions of a regressor.
        """
        check_is_fitted(self)
        table = self._check_columns(X)
        return self._models.scores(self._features(table), self._codes(table, sensitive_features))

    def group_roc(self, X, y, *, sensitive_features=None, row_ids=None):
        """Return the ROC curve of the steered score in every group.

        Parameters
        ----------
        X : array-like of shape (n, n_features_in_)
            Rows, best such that ``fit`` did not see.
        y : array-like of shape (n,)
            Their labels.
        sensitive_features : array-like of shape (n,) or (n, m), default=None
            The attribute, unless it is a column of X.
        row_ids : array-like of shape (n,), default=None
            As in :meth:`transform`.

        Returns
        -------
        list of RocCurve
            Concave, in the order of ``groups_``.

        Raises
        ------
        ValueError
            If the score has no ROC curves, or a group has no rows of a label.
        """
        check_is_fitted(self)
        if self.roc_ is None:
            raise ValueError(
                "ROC curves need constraint='equalized_odds' and two labels: other maps are not "
                "chosen by them."
            )
        table = self._check_columns(X)
        codes = self._codes(table, sensitive_features)
        features = self._features(table)
        positive = check.label_codes(check.check_labels(y, len(codes)), self.classes_)
        positive = positive == self._models.positive
        words = self._words(features, codes, row_ids)
        draws = RowDraws.of_identifiers(words, self._seed, 2)[:]
        codes = self._models.draw_groups(features, codes, draws[:, 0])
        segments = self._maps.segments(self._models.scores(features, codes), codes, draws[:, 1])
        curves = []
        for group, name in enumerate(self.groups_.tolist()):
            counts = [
                np.bincount(segments[(codes == group) & own], minlength=self.kernels_.shape[-1])
                for own in (~positive, positive)
            ]
            if not all(count.any() for count in counts):
                raise ValueError(f"group={name!r} has no rows of one of the labels in X.")
            curves.append(concave_roc(*(count / count.sum() for count in counts)))
        return curves

    @property
    def kernels_(self):
        """Probability of every output given the group and the bin of the score."""
        check_is_fitted(self)
        return getattr(self._maps, "kernels", None)

    @property
    def roc_(self):
        """Concave ROC curve of the score in every group."""
        check_is_fitted(self)
        return getattr(self._maps, "curves", None)

    @property
    def target_roc_(self):
        """ROC curve of the output."""
        check_is_fitted(self)
        return getattr(self._maps, "target", None)

    @property
    def n_outputs_(self):
        """Number of distinct outputs, where it is finite."""
        check_is_fitted(self)
        if self.output == "bins" and self._edges is not None:
            return len(self._edges) + 1
        return None if self.kernels_ is None else self.kernels_.shape[-1]

    def __sklearn_is_fitted__(self):
        return hasattr(self, "_maps")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        tags.input_tags.categorical = True
        tags.target_tags.required = not (
            self.estimator == "passthrough" and self.constraint == "demographic_parity"
        )
        return tags

    def _fit(self, X, y, sensitive_features, sample_weight):
        """Fit; return the rows of positive weight and their out-of-fold scores."""
        self._validate_params()
        estimator, X = self._new_estimator(y), check.check_table(X)
        rows, encoder, present = self._read_table(
            X,
            sensitive_features,
            sample_weight,
            lambda n_rows, present: self._read_target(y, n_rows, present, estimator),
        )
        n_labels = None if rows.classes is None else len(rows.classes)
        self._check_combination(estimator, n_labels)
        seed = int(check_random_state(self.random_state).randint(2**31))
        positive = None if n_labels is None else positive_position(self.pos_label, rows.classes)
        names, sizes = _count_subgroups(rows, self.constraint, positive)
        if self.small_groups == "error":
            _refuse_small(names, sizes, self.n_bins)
        models, scores = fit_score_models(
            ScoreModels(n_labels, positive, len(rows.groups), self.group_feature),
            estimator,
            rows,
            self._split(X, y, rows, present, n_labels, seed),
            n_jobs=self.n_jobs,
            unknown_groups=self.group_strategy == "posterior" or self.handle_unknown == "pooled",
        )
        maps = _fit_maps(rows, scores, self.constraint, positive, self.n_bins)
        edges = None
        if self.output == "bins" and isinstance(maps, MonotoneMaps):
            draws = RowDraws.of_identifiers(value_words(rows.features, rows.group_codes), seed, 1)
            steered = maps(scores, rows.group_codes, draws[:][:, 0])
            edges = bin_edges(steered, rows.weights, self.n_bins)

        _warn_of_pooled(names, sizes)
        # Nothing is written before everything has succeeded: a failed fit changes nothing.
        self._record(X, y, rows)
        self.estimator_ = models.estimator
        self.pos_label_ = None if positive is None else rows.classes[positive]
        self._models, self._maps, self._encoder = models, maps, encoder
        self._edges, self._seed = edges, seed
        return rows, scores

    def _split(self, X, y, rows, present, n_labels, seed):
        """Return the folds of the rows of positive weight."""
        if self.estimator == "passthrough":
            return []
        if self.cv is not None and not isinstance(self.cv, Integral):
            return given_splits(self.cv, X, y, present)
        n_splits = 5 if self.cv is None else self.cv
        return split_strata(n_splits, rows.label_codes, rows.group_codes, n_labels, seed)

    def _new_estimator(self, y):
        """Return the unfitted estimator, None where X holds the score."""
        if isinstance(self.estimator, str):
            return None
        if self.estimator is None:
            # These are slow to import.
            from sklearn.ensemble import (
                HistGradientBoostingClassifier,
                HistGradientBoostingRegressor,
            )

            kind = HistGradientBoostingClassifier
            if self.constraint == "demographic_parity" and _is_continuous(y):
                kind = HistGradientBoostingRegressor
            return kind(random_state=0)
        if is_regressor(self.estimator) or (
            is_classifier(self.estimator)
            and (
                hasattr(self.estimator, "predict_proba")
                or hasattr(self.estimator, "decision_function")
            )
        ):
            return self.estimator
        raise TypeError(
            "estimator must be a classifier with predict_proba or decision_function, a regressor, "
            f"or 'passthrough', got a {type(self.estimator).__name__}: pass, for instance, "
            "LogisticRegression()."
        )

    def _check_combination(self, estimator, n_labels):
        """Refuse parameters that do not fit each other or the labels."""
        if n_labels is None and self.constraint != "demographic_parity":
            raise ValueError(
                f"constraint={self.constraint!r} needs class labels: use "
                "constraint='demographic_parity', a classifier, or y of two labels."
            )
        if n_labels is not None and n_labels > 2:
            if self.constraint != "equalized_odds" or self.output != "score":
                raise ValueError(
                    f"y has {n_labels} labels, for which there is constraint='equalized_odds' with "
                    f"output='score' only, got {self.constraint!r} and {self.output!r}: merge the "
                    "labels to two, or change these parameters."
                )
            if estimator is None or not hasattr(estimator, "predict_proba"):
                raise ValueError(
                    f"y has {n_labels} labels, which need an estimator with predict_proba."
                )
        own_scale = n_labels is None or (
            self.estimator == "passthrough" and self.constraint != "equalized_odds"
        )
        if own_scale and self.output == "probability":
            raise ValueError(
                "output='probability' needs log odds, but the score has a scale of its own: use "
                "output='score'."
            )

    def _check_features_left(self, n_features):
        if self.estimator == "passthrough" and n_features != 1:
            raise ValueError(
                f"estimator='passthrough' needs X with one column, the score, got {n_features}: "
                "pass the score alone, or an estimator."
            )

    def _read_target(self, y, n_rows, present, estimator):
        """Return positions of labels and the labels; numbers and None where they are numbers."""
        unlabeled = estimator is None and self.constraint == "demographic_parity"
        if unlabeled and (y is None or _is_continuous(y)):
            return np.zeros(len(present)), None
        if estimator is not None and is_regressor(estimator):
            return check.check_numbers(check.check_column(y, "y", n_rows, like="X")[:, None])[
                present, 0
            ], None
        labels = check.check_labels(y, n_rows)[present]
        return check.coded_labels(labels)

    def _steer(self, scores, features, codes, row_ids):
        """Return the output for scores of encoded rows."""
        words = self._words(features, codes, row_ids)
        if row_ids is None and not isinstance(self._maps, MonotoneMaps):
            warn_of_twins(words)
        n_draws = 2 if scores.ndim == 1 else 1 + scores.shape[1]
        draws = RowDraws.of_identifiers(words, self._seed, n_draws)[:]
        if isinstance(self._maps, MonotoneMaps):
            steered = self._models.mix_maps(self._maps, scores, features, codes, draws[:, 0])
            if self.output == "bins":
                return np.searchsorted(self._edges, steered, side="right")[:, None]
        else:
            codes = self._models.draw_groups(features, codes, draws[:, 0])
            if isinstance(self._maps, ScoreChannel):
                return self._maps(scores, codes, draws[:, 1:])
            if self.output == "bins":
                return self._maps.segments(scores, codes, draws[:, 1])[:, None]
            steered = self._maps(scores, codes, draws[:, 1])
        return (expit(steered) if self.output == "probability" else steered)[:, None]


def _fit_maps(rows, scores, constraint, positive, n_bins):
    """Return the maps of out-of-fold scores."""
    n_groups = len(rows.groups)
    if scores.ndim == 2:
        return _fit_channel(rows._replace(features=scores), positive)
    if constraint == "equalized_odds":
        labels = (rows.label_codes == positive).astype(np.intp)
        return fit_kernels(scores, labels, rows.group_codes, rows.weights, n_groups, n_bins)
    weights = rows.weights
    if constraint == "equal_opportunity":
        weights = np.where(rows.label_codes == positive, weights, 0.0)
    used = weights > 0.0
    return fit_monotone_maps(scores[used], rows.group_codes[used], weights[used], n_groups)


def _fit_channel(rows, positive):
    """Return the channel of several scores, which stand in the place of the features."""
    estimation = {"covariance_type": "tied", "shrinkage": 0.01, "borrow": True}
    needed = minimum_rows(n_features=rows.features.shape[1], **estimation)
    grouping = pool_small_groups(rows, "equalized_odds", "keep", positive, needed)
    own = rows.regrouped(grouping.fitted, grouping.position)
    if len(own.groups) < 2:
        warnings.warn(
            "Fewer than two groups have rows of every label, so the scores are not steered: add "
            "rows, or merge groups or labels.",
            SteeringWarning,
            stacklevel=5,
        )
        return ScoreChannel(None, grouping)
    moments = subgroup_moments(
        own.features, own.label_codes, own.group_codes, own.counts.shape, own.weights, tied=True
    )
    gaussians = gaussians_from_moments(own.classes, own.groups, *moments, **estimation)
    reference = own.groups[default_reference_group(own.counts)]
    return ScoreChannel(gaussian_channel(gaussians, reference), grouping)


def _count_subgroups(rows, constraint, positive):
    """Return a name and the number of rows of every subgroup that is compared."""
    groups = rows.groups.tolist()
    if constraint == "demographic_parity":
        sizes = np.bincount(rows.group_codes, rows.weights, minlength=len(groups))
        return [f"group={shorten(group)}" for group in groups], sizes
    kept = list(range(len(rows.classes))) if constraint == "equalized_odds" else [positive]
    return [subgroup_name(rows.classes[i], g) for i in kept for g in groups], rows.counts[
        kept
    ].ravel()


def _warn_of_pooled(names, sizes):
    """Warn of subgroups whose distribution is mostly that of all groups."""
    pooled = np.flatnonzero(sizes <= SHRINKAGE_ROWS)
    if len(pooled):
        warnings.warn(
            f"{len(pooled)} of {len(sizes)} subgroups have at most {SHRINKAGE_ROWS:g} rows, such "
            f"as {names[pooled[0]]}, so that their scores are steered mostly like those of all "
            "groups together: merge groups.",
            SteeringWarning,
            stacklevel=5,
        )


def _refuse_small(names, sizes, n_bins):
    """Refuse subgroups of fewer rows than bins."""
    small = np.flatnonzero(sizes < n_bins)
    if len(small):
        first = small[0]
        raise ValueError(
            f"{names[first]} has {sizes[first]:g} row(s), fewer than n_bins={n_bins}: merge the "
            "group with another one, use fewer bins, or small_groups='shrunk'."
        )


def _is_continuous(y):
    if y is None:
        return False
    values = np.asarray(y)
    return values.dtype.kind == "f" and type_of_target(values).startswith("continuous")


def warn_of_twins(words):
    """Warn where many rows have the same word, and so the same draw."""
    twins = 1.0 - len(np.unique(words)) / max(len(words), 1)
    if twins > _MOST_TWINS:
        warnings.warn(
            f"{twins:.0%} of the rows have the same values as an earlier row, and such rows get "
            "the same draw, so the outputs of the groups differ by more than chance: pass row_ids= "
            "to draw for each row.",
            SteeringWarning,
            stacklevel=4,
        )
