"""A classifier that chooses how to close a gap, by cross-validation."""

from __future__ import annotations

import time
from numbers import Integral, Real
from typing import ClassVar

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone, is_classifier
from sklearn.metrics import accuracy_score, get_scorer_names
from sklearn.utils import check_random_state, get_tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _estimator_has, check_is_fitted

from fairsteer import _validation as check
from fairsteer.core.constraints import CONSTRAINTS, positive_position
from fairsteer.estimators._candidates import (
    ATTRIBUTE_FREE,
    AUTO,
    AUTO_LABELS,
    CANDIDATES,
    Steering,
)
from fairsteer.estimators._certified_choice import certify_first, check_certifiable, set_aside
from fairsteer.estimators._choice import measure_candidate, rank_candidates, warn_unmitigated
from fairsteer.estimators._cross_fitting import given_splits, split_strata
from fairsteer.estimators._eraser import WithinLabelEraser
from fairsteer.estimators._problem import CrossFits, Problem, take_rows
from fairsteer.estimators._score_steering import warn_of_twins
from fairsteer.estimators._table_input import TableInputMixin
from fairsteer.estimators._transformer import OptimalSteeringTransformer

_NEEDS = {"sensitive_features": True}
_TAKES = {"sensitive_features": True, "row_ids": True}


class SteeredClassifierCV(TableInputMixin, ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """Classifier that closes a fairness gap at the least cost, by a choice in cross-validation.

    Several candidates are compared on held-out training rows: training weights, steered scores,
    group cut-offs, and others by name. The most accurate of those whose gap is within the limit is
    fitted to all rows. Where none narrows the gap beyond chance, the estimator is left as it is.

    Parameters
    ----------
    estimator : classifier
        The unfitted classifier, which is cloned.
    sensitive_feature_ids : str, int or sequence of these, default=None
        Names or positions of the columns of X that hold the sensitive attribute; several mean
        their intersection. Alternatively pass ``sensitive_features=``.
    constraint : {"equalized_odds", "equal_opportunity", "demographic_parity"}, \
default="equalized_odds"
        The gap to close. With more than two labels the gap of equalized odds is the root mean
        square of the labels' gaps in true positive rates.
    pos_label : object, default=None
        The positive (favorable) label; default ``classes_[-1]``.
    candidates : "auto", "attribute_free" or list, default="auto"
        Names of candidates, or unfitted steerings of numeric features. ``"auto"`` compares
        ``unmitigated``, ``weights``, ``score`` and ``cutoffs``, with more than two labels
        ``unmitigated``, ``weights`` and ``table``; ``"attribute_free"`` those that need no
        attribute for new rows: ``unmitigated``, ``weights`` and ``eraser``. Further names:
        ``channel``.
    max_gap : float in (0, 1), default=None
        The largest gap that is allowed on held-out rows. None: the noise floor, the gap expected by
        chance. A limit below the floor is raised to it, unless ``confidence_level`` is given.
    confidence_level : float in (0, 1), default=None
        If given, rows are set aside, and the model is one whose gap on new rows of known group
        from the same source, which draw by their values (without ``row_ids``), is at most
        ``max_gap`` with this confidence; if there is none, ``fit`` raises NoFairModelError.
        The candidate is then taken even if it narrows nothing.
    certification_size : float in (0, 1), default=0.4
        Share of the rows that are set aside for that.
    min_rate : float in [0, 1], default=None
        Smallest true positive rate (under demographic parity, selection rate) that every group must
        have on held-out rows, against leveling down. Without a candidate that has it, the one with
        the smallest gap is taken, and ``allowed`` says so.
    group_strategy : {"given", "posterior"}, default="given"
        Whether new rows may lack their group.
    handle_unknown : {"error", "pooled"}, default="error"
        Whether rows of groups that ``fit`` did not see are refused, or treated as rows without a
        group.
    small_groups : {"shrunk", "error"}, default="shrunk"
        Whether the scores of a group of n rows are steered by a mixture with weight
        ``2 / (2 + n)`` of all groups' scores, or a group without rows of every label is refused.
    scoring : str or callable, default="accuracy"
        What is maximized among the candidates within the limit, as in scikit-learn. A callable gets
        the positions of the training rows as X.
    cv : int or cross-validation generator, default=5
        Folds; with an int they have equal shares of every label and group.
    refit : bool, default=True
        Whether the chosen candidate is fitted to all rows; without it there are no predictions.
    n_jobs : int, default=None
        Number of parallel fits, as in joblib.
    random_state : int, RandomState or None, default=None
        Seed of the folds and of the draws of rows.
    verbose : int, default=0
        Whether a line is printed for every candidate.

    Attributes
    ----------
    classes_ : ndarray of shape (K,)
        Labels.
    estimator_ : classifier
        The fitted estimator of the chosen candidate, which sees encoded features.
    unmitigated_estimator_ : classifier
        The same estimator without any mitigation.
    steering_ : object or None
        The fitted steering of the chosen candidate, or the maps of its scores.
    best_candidate_ : str
        Its name.
    best_index_ : int
        Its position in ``cv_results_``.
    best_params_ : dict
        What the candidate chose itself, such as ``power``.
    best_score_, best_gap_, noise_floor_ : float
        Its score, gap and noise floor on held-out rows.
    cv_results_ : dict of ndarray
        ``candidate``, ``mean_test_score``, ``mean_test_gap``, ``floor``, ``gap_deviation`` (the
        standard deviation of the gap by chance), ``gap_by_chance`` (its 95% quantile),
        ``gap_change_by_chance``, the same of the spread, ``smallest_rate``, ``allowed`` and
        ``fit_time``. The spread is the standard deviation of a rate over rows. Chance moves it
        less than the gap where a group has few rows.
        Groups without rows of every label that is compared are left out of the gap.
    fairness_certificate_ : FairnessCertificate or None
        With ``confidence_level``.
    groups_ : ndarray of shape (G,)
        Groups; tuples for several sensitive columns.
    n_features_in_ : int
        Columns of X, including sensitive ones.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Column names, where X has them.
    training_digest_ : str
        Digest of the training table, which :func:`fairsteer.certify.certify` refuses.

    Warns
    -----
    SteeringWarning
        In ``fit``, if no candidate narrows the gap beyond chance; a group of few rows can hide that
        the gaps of others are narrowed. In ``predict`` of ``score`` and ``cutoffs`` under equalized
        odds, if more than 5% of the rows have the same values as another one, and no ``row_ids``
        are given.

    Notes
    -----
    A candidate is allowed if its gap on held-out rows is at most the limit plus one standard
    deviation of the gap by chance, and its spread at most half of ``max_gap`` or what chance
    leaves. If none is, the one that exceeds its limits least is taken. ``unmitigated`` is taken if
    its gap and spread are within the limits, or chance exceeds them in 5 of 100 cases. Otherwise
    the other candidates must narrow the gap or the spread by more than the same number of changed
    decisions would in 95 of 100 cases if they fell on groups at random, and must not widen the gap.

    Maps and thresholds of scores are those of other folds, but the power of weights, the strength
    of scores and the candidate are chosen on the held-out predictions that the results describe,
    and scores are those of models that saw all folds but the row's own. So the gap and the score of
    the chosen candidate are somewhat optimistic; measure on other rows, or set
    ``confidence_level``.

    X may have columns of text and categories; then numbers are median-imputed and standardized, and
    other columns one-hot encoded.

    Examples
    --------
    >>> from fairsteer import SteeredClassifierCV
    >>> from fairsteer.datasets import make_gaussian_subgroups
    >>> from sklearn.linear_model import LogisticRegression
    >>> sample = make_gaussian_subgroups(2000, n_labels=2, random_state=0)
    >>> model = SteeredClassifierCV(LogisticRegression(), "group", random_state=0)
    >>> model.fit(sample.data, sample.target).predict(sample.data.head(3)).shape
    (3,)
    """

    __metadata_request__fit: ClassVar = _NEEDS
    __metadata_request__predict: ClassVar = _TAKES
    __metadata_request__predict_proba: ClassVar = _TAKES
    __metadata_request__decision_function: ClassVar = _TAKES
    __metadata_request__score: ClassVar = _TAKES

    _parameter_constraints: ClassVar[dict] = {
        "estimator": [HasMethods("fit")],
        "sensitive_feature_ids": [str, int, np.integer, "array-like", None],
        "constraint": [StrOptions(set(CONSTRAINTS))],
        "pos_label": "no_validation",
        "candidates": [StrOptions({"auto", "attribute_free"}), list, tuple],
        "max_gap": [Interval(Real, 0, 1, closed="neither"), None],
        "confidence_level": [Interval(Real, 0, 1, closed="neither"), None],
        "certification_size": [Interval(Real, 0, 1, closed="neither")],
        "min_rate": [Interval(Real, 0, 1, closed="both"), None],
        "group_strategy": [StrOptions({"given", "posterior"})],
        "handle_unknown": [StrOptions({"error", "pooled"})],
        "small_groups": [StrOptions({"shrunk", "error"})],
        "scoring": [StrOptions(set(get_scorer_names())), callable],
        "cv": ["cv_object"],
        "refit": ["boolean"],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        estimator,
        sensitive_feature_ids=None,
        *,
        constraint="equalized_odds",
        pos_label=None,
        candidates="auto",
        max_gap=None,
        confidence_level=None,
        certification_size=0.4,
        min_rate=None,
        group_strategy="given",
        handle_unknown="error",
        small_groups="shrunk",
        scoring="accuracy",
        cv=5,
        refit=True,
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.estimator = estimator
        self.sensitive_feature_ids = sensitive_feature_ids
        self.constraint = constraint
        self.pos_label = pos_label
        self.candidates = candidates
        self.max_gap = max_gap
        self.confidence_level = confidence_level
        self.certification_size = certification_size
        self.min_rate = min_rate
        self.group_strategy = group_strategy
        self.handle_unknown = handle_unknown
        self.small_groups = small_groups
        self.scoring = scoring
        self.cv = cv
        self.refit = refit
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X, y, *, sensitive_features=None, sample_weight=None):
        """Compare the candidates, and fit the best one.

        Parameters
        ----------
        X : array-like of shape (n, n_features_in_)
            Rows; a frame may have columns of any type.
        y : array-like of shape (n,)
            Labels.
        sensitive_features : array-like of shape (n,) or (n, m), default=None
            The attribute, unless it is a column of X.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows. If they add up to less than the number of rows of positive weight,
            they are scaled to that number.

        Returns
        -------
        SteeredClassifierCV
            The fitted classifier.

        Raises
        ------
        ValueError
            If a parameter or the input cannot be used; the message says what to do.
        TypeError
            If X is sparse, or `estimator` is not a classifier.
        NoFairModelError
            If `confidence_level` is given and no candidate passes.
        """
        self._fit(X, y, sensitive_features, sample_weight)
        return self

    def _fit(self, X, y, sensitive_features, sample_weight=None, fits=None):
        """Fit, and return the fits that other constraints can share.

        ``fits`` are those of the same X, y, attribute, weights, estimator, folds and seed.
        """
        self._validate_params()
        self._check_parameters()
        X = check.check_table(X)

        def read_target(n_rows, present):
            return check.coded_labels(check.check_labels(y, n_rows)[present])

        seed = int(check_random_state(self.random_state).randint(2**31))
        certified = self.confidence_level is not None
        parts = []

        def choose(labels, codes):
            if certified:
                parts[:] = set_aside(labels, codes, self.certification_size, seed)
            else:
                parts[:] = np.arange(len(labels)), np.arange(0)
            return np.array(parts[0])

        rows, encoder, present = self._read_table(
            X, sensitive_features, sample_weight, read_target, choose
        )
        kept, held = (np.array(part, dtype=np.intp) for part in parts)
        positive = positive_position(self.pos_label, rows.classes)
        names, candidates = self._find_candidates(len(rows.classes))
        if self.small_groups == "error":
            _refuse_empty(rows)
        if certified:
            check_certifiable(rows, self.constraint)
        if fits is None:
            splits = self._split(X, y, rows, kept, present, seed)
            own = take_rows(rows, kept)
            fits = CrossFits(own, self.estimator, positive, splits, self.n_jobs)
        problem = Problem(
            fits=fits,
            constraint=self.constraint,
            seed=seed,
            options={"group_strategy": self.group_strategy, "handle_unknown": self.handle_unknown},
            max_gap=None if certified else self.max_gap or 0.0,
        )
        results = self._compare(problem, names, candidates)
        order = rank_candidates(
            results, max_gap=self.max_gap, min_rate=self.min_rate, certified=certified
        )
        certificate, rule, best = None, None, order[0]
        if certified:
            set_apart = take_rows(rows, held)
            best, rule, certificate = certify_first(
                lambda place: candidates[place].fit(problem),
                order,
                results["smallest_rate"] >= (self.min_rate or 0.0),
                set_apart,
                self._words(set_apart.features, set_apart.group_codes, None),
                positive,
                constraint=self.constraint,
                max_gap=self.max_gap,
                confidence_level=self.confidence_level,
            )
        elif self.refit:
            rule = candidates[best].fit(problem)
        unmitigated = fits.blind[1]
        warn_unmitigated(results, best)

        # Nothing is written before everything has succeeded: a failed fit changes nothing.
        self._record(X, y, rows)
        self._rule, self._encoder = rule, encoder
        self._needs_attribute = candidates[best].needs_attribute
        self.unmitigated_estimator_ = unmitigated
        self.best_index_, self.best_candidate_ = best, names[best]
        self.best_params_ = candidates[best].parameters(problem)
        self.best_score_ = float(results["mean_test_score"][best])
        self.best_gap_ = float(results["mean_test_gap"][best])
        self.noise_floor_ = float(results["floor"][best])
        self.cv_results_, self.fairness_certificate_ = results, certificate
        return fits

    def predict(self, X, *, sensitive_features=None, row_ids=None):
        """Predict labels.

        Parameters
        ----------
        X : array-like of shape (n, n_features_in_)
            As in ``fit``.
        sensitive_features : array-like of shape (n,) or (n, m), default=None
            The attribute, unless it is a column of X.
        row_ids : array-like of shape (n,), default=None
            Identifiers that draws depend on; default the values of the rows.

        Returns
        -------
        ndarray of shape (n,)
        """
        p = self.predict_proba(X, sensitive_features=sensitive_features, row_ids=row_ids)
        return self.classes_[p.argmax(axis=1)]

    def predict_proba(self, X, *, sensitive_features=None, row_ids=None):
        """Return probabilities of the labels.

        Those of ``score`` and ``cutoffs`` are shifted, so that the threshold is at one half.

        Parameters
        ----------
        X : array-like of shape (n, n_features_in_)
            As in ``fit``.
        sensitive_features : array-like of shape (n,) or (n, m), default=None
            The attribute, unless it is a column of X.
        row_ids : array-like of shape (n,), default=None
            Identifiers that draws depend on; default the values of the rows.

        Returns
        -------
        ndarray of shape (n, K)
            Columns in the order of ``classes_``.
        """
        check_is_fitted(self)
        table = self._check_columns(X)
        codes = self._find_codes(table, sensitive_features)
        features = self._features(table)
        words = self._words(features, codes, row_ids)
        if row_ids is None and getattr(self.steering_, "draws_groups", False):
            warn_of_twins(words)
        return self._rule.probabilities(features, codes, words)

    def predict_unmitigated(self, X):
        """Predict the labels that the estimator without any mitigation gives.

        Parameters
        ----------
        X : array-like of shape (n, n_features_in_)
            As in ``fit``.

        Returns
        -------
        ndarray of shape (n,)
        """
        check_is_fitted(self)
        features = self._features(self._check_columns(X))
        return self.classes_[self.unmitigated_estimator_.predict(features)]

    @available_if(_estimator_has("decision_function"))
    def decision_function(self, X, *, sensitive_features=None, row_ids=None):
        """Return log odds, or log probabilities of more than two labels.

        Parameters
        ----------
        X : array-like of shape (n, n_features_in_)
            As in ``fit``.
        sensitive_features : array-like of shape (n,) or (n, m), default=None
            The attribute, unless it is a column of X.
        row_ids : array-like of shape (n,), default=None
            Identifiers that draws depend on; default the values of the rows.

        Returns
        -------
        ndarray of shape (n,) or (n, K)
        """
        p = self.predict_proba(X, sensitive_features=sensitive_features, row_ids=row_ids)
        logs = np.log(np.maximum(p, np.finfo(float).tiny))
        return logs[:, 1] - logs[:, 0] if p.shape[1] == 2 else logs

    def score(self, X, y, sample_weight=None, *, sensitive_features=None, row_ids=None):
        """Return the accuracy of the predicted labels.

        Parameters
        ----------
        X : array-like of shape (n, n_features_in_)
            As in ``fit``.
        y : array-like of shape (n,)
            Labels.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows; only their ratios matter.
        sensitive_features : array-like of shape (n,) or (n, m), default=None
            The attribute, unless it is a column of X.
        row_ids : array-like of shape (n,), default=None
            Identifiers that draws depend on; default the values of the rows.

        Returns
        -------
        float
        """
        predicted = self.predict(X, sensitive_features=sensitive_features, row_ids=row_ids)
        return accuracy_score(y, predicted, sample_weight=sample_weight)

    @property
    def estimator_(self):
        """The fitted estimator of the chosen candidate."""
        return self._rule.estimator

    @property
    def steering_(self):
        """The fitted steering of the chosen candidate, or the maps of its scores."""
        return self._rule.steering

    def __sklearn_is_fitted__(self):
        return getattr(self, "_rule", None) is not None

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        if inner.classifier_tags is not None:
            tags.classifier_tags.multi_class = inner.classifier_tags.multi_class
        # Equal rates can cost any accuracy.
        tags.classifier_tags.poor_score = True
        tags.non_deterministic = inner.non_deterministic
        tags.target_tags.required = True
        tags.input_tags.categorical = True
        return tags

    def _check_parameters(self):
        """Refuse parameters that do not fit each other."""
        if not is_classifier(self.estimator):
            raise TypeError(
                f"estimator must be a classifier, got a {type(self.estimator).__name__}: pass, for "
                "instance, LogisticRegression()."
            )
        if self.confidence_level is not None and self.max_gap is None:
            raise ValueError(
                "confidence_level needs max_gap, the gap that is to be certified: pass a number, "
                "for instance max_gap=0.05."
            )

    def _find_candidates(self, n_labels):
        """Return the names and the candidates to compare."""
        several = n_labels > 2
        given = {"auto": AUTO_LABELS if several else AUTO, "attribute_free": ATTRIBUTE_FREE}
        chosen = given[self.candidates] if isinstance(self.candidates, str) else self.candidates
        names, candidates = [], []
        for one in chosen:
            if isinstance(one, str):
                if one not in CANDIDATES:
                    raise ValueError(
                        f"{one!r} is not a candidate: the candidates are {', '.join(CANDIDATES)}."
                    )
                candidate = CANDIDATES[one]
                if several and not candidate.any_labels:
                    raise ValueError(
                        f"The candidate {one!r} is for two labels, but y has {n_labels}: use "
                        f"{', '.join(n for n, c in CANDIDATES.items() if c.any_labels)}."
                    )
            elif isinstance(one, OptimalSteeringTransformer | WithinLabelEraser):
                needs = isinstance(one, OptimalSteeringTransformer)
                candidate, one = Steering(_Cloned(one), needs), type(one).__name__
            else:
                raise ValueError(
                    "A candidate is a name, or an unfitted OptimalSteeringTransformer or "
                    f"WithinLabelEraser, got a {type(one).__name__}: the names are "
                    f"{', '.join(CANDIDATES)}."
                )
            names.append(one)
            candidates.append(candidate)
        if not names:
            raise ValueError(f"candidates is empty: the names are {', '.join(CANDIDATES)}.")
        return names, candidates

    def _split(self, X, y, rows, kept, present, seed):
        """Return the folds of the rows that are fitted."""
        if self.cv is not None and not isinstance(self.cv, Integral):
            if len(kept) < rows.n_rows:
                raise ValueError(
                    "With confidence_level, cv must be a number of folds: the rows of a generator "
                    "would include those that are set aside."
                )
            return given_splits(self.cv, X, y, present)
        own = take_rows(rows, kept)
        n_splits = 5 if self.cv is None else self.cv
        return split_strata(n_splits, own.label_codes, own.group_codes, len(rows.classes), seed)

    def _compare(self, problem, names, candidates):
        """Return score, gap and noise floor of every candidate on held-out rows."""
        results = []
        for name, candidate in zip(names, candidates, strict=True):
            start = time.perf_counter()
            found = measure_candidate(problem, candidate.cross_predict(problem), self.scoring)
            found["fit_time"] = time.perf_counter() - start
            results.append(found)
            if self.verbose:
                print(
                    f"[SteeredClassifierCV] {name}: score {found['mean_test_score']:.4f}, gap "
                    f"{found['mean_test_gap']:.4f}, floor {found['floor']:.4f}, "
                    f"{found['fit_time']:.1f} s"
                )
        table = {key: np.array([own[key] for own in results]) for key in results[0]}
        return {"candidate": np.array(names, dtype=object), **table}

    def _find_codes(self, table, sensitive_features):
        """Return the positions of the groups of rows, -1 where unknown or not needed."""
        if not self._needs_attribute:
            return np.full(table.shape[0], -1)
        return self._codes(table, sensitive_features)

    def _may_lack_attribute(self):
        return self.group_strategy == "posterior" or not self._needs_attribute


class _Cloned:
    """Makes clones of a user's steering."""

    def __init__(self, steering):
        self.steering = steering

    def __call__(self, problem):
        return clone(self.steering)


def _refuse_empty(rows):
    """Refuse groups without rows of every label."""
    counts = rows.counts
    empty = np.argwhere(counts == 0.0)
    if len(empty):
        i, a = empty[0]
        raise ValueError(
            f"group={rows.groups.tolist()[a]!r} has no rows of label={rows.classes.tolist()[i]!r}: "
            "merge the group with another one, or use small_groups='shrunk'."
        )


def fit_sharing(model, X, y, *, sensitive_features, fits=None):
    """Fit a classifier on fits of one that differs in nothing but constraint and ``max_gap``.

    Parameters
    ----------
    model : SteeredClassifierCV
        Unfitted, with an integer ``random_state``.
    X, y, sensitive_features
        As in ``fit``.
    fits : CrossFits, default=None
        What this function returned for the other classifier and the same rows.

    Returns
    -------
    CrossFits
    """
    return model._fit(X, y, sensitive_features, fits=fits)
