"""Training rows, folds, and the fits that candidates share."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier

from fairsteer.core.priors import ideal_priors
from fairsteer.core.training_rows import TrainingRows
from fairsteer.estimators._classifier import fit_weighted, weight_parameter
from fairsteer.estimators._cross_fitting import cross_fit
from fairsteer.estimators._score_models import ScoreModels
from fairsteer.metrics._gaps import permuted_gaps, spreads

FIRST_FOLDS = 2
LARGEST_POWER = 3.0


@dataclass(frozen=True, eq=False)
class CrossFits:
    """Training rows, folds, and the fits that do not depend on the constraint.

    Classifiers that differ in nothing but constraint and ``max_gap`` share them.

    Parameters
    ----------
    rows : TrainingRows
        Encoded rows of positive weight.
    estimator : classifier
        Unfitted.
    positive : int
        Position of the positive label.
    splits : list of (ndarray, ndarray)
        Positions of the rows to fit on and of those that are held out.
    n_jobs : int or None
        As in joblib.
    seconds : dict of str to float
        How long each fit took.
    """

    rows: TrainingRows
    estimator: Any
    positive: int
    splits: list
    n_jobs: int | None = None
    seconds: dict = field(default_factory=dict)

    @cached_property
    def aware(self):
        """Held-out scores of the estimator that sees the group, and the fitted estimator."""
        models = self.models(group_feature=True)
        features = models.with_group(self.rows.features, self.rows.group_codes)
        return self._time("aware", self._cross_fit, features, models.score)

    @cached_property
    def blind(self):
        """Held-out probabilities of the estimator that sees no group, and the fitted estimator."""
        score = self.models(group_feature=False).probabilities
        return self._time("blind", self._cross_fit, self.rows.features, score)

    @cached_property
    def group_classifier(self):
        """Classifier of the group, for rows without one."""
        rows, kind = self.rows, self.estimator
        if not hasattr(kind, "predict_proba"):
            kind = HistGradientBoostingClassifier(random_state=0)
        given = rows.features, rows.group_codes, rows.weights
        return self._time("group_classifier", fit_weighted, clone(kind), *given)

    @cached_property
    def first_weighted(self):
        """Probabilities of the first folds with weights that make label and group independent."""
        first = self.splits[:FIRST_FOLDS]
        return self._time("first_weighted", self.predict_weighted, 1.0, first)

    def models(self, group_feature: bool) -> ScoreModels:
        """Return models without fitted parts."""
        n_labels, n_groups = len(self.rows.classes), len(self.rows.groups)
        return ScoreModels(n_labels, self.positive, n_groups, group_feature)

    def balance(self):
        """Return the weights (n,) of rows that make label and group independent."""
        counts = self.rows.counts
        priors = counts / counts.sum()
        ratio = np.ones_like(counts)
        ideal = ideal_priors(priors, "independent")
        np.divide(ideal, priors, out=ratio, where=priors > 0.0)
        return ratio[self.rows.label_codes, self.rows.group_codes]

    def predict_weighted(self, power, splits):
        """Return probabilities (n, K) of the rows that are held out, NaN elsewhere."""
        rows = self.rows
        weights = rows.weights * self.balance() ** power
        score = self.models(group_feature=False).probabilities
        parts = Parallel(n_jobs=self.n_jobs)(
            delayed(_fit_and_score)(
                self.estimator, rows.features, rows.label_codes, weights, *part, score
            )
            for part in splits
        )
        found = np.full((len(weights), len(rows.classes)), np.nan)
        for (_, held_out), own in zip(splits, parts, strict=True):
            found[held_out] = own
        return found

    def _cross_fit(self, features, score):
        y, weights = self.rows.label_codes, self.rows.weights
        return cross_fit(self.estimator, features, y, weights, self.splits, score, self.n_jobs)

    def _time(self, name, function, *given):
        start = time.perf_counter()
        found = function(*given)
        self.seconds[name] = time.perf_counter() - start
        return found


@dataclass(frozen=True, eq=False)
class Problem:
    """What the candidates are to solve.

    Parameters
    ----------
    fits : CrossFits
        Training rows, folds and shared fits.
    constraint : str
        One of `CONSTRAINTS`.
    seed : int
        Seed of draws.
    options : dict
        ``group_strategy`` and ``handle_unknown``.
    max_gap : float or None, default=0.0
        The gap that is allowed even where chance explains less. None: gaps are closed as far as
        possible.
    """

    fits: CrossFits
    constraint: str
    seed: int
    options: dict = field(default_factory=dict)
    max_gap: float | None = 0.0
    # What `Score` chose, by whether the estimator sees the group.
    strengths: dict = field(default_factory=dict)

    @property
    def rows(self) -> TrainingRows:
        """Encoded rows of positive weight."""
        return self.fits.rows

    @property
    def estimator(self):
        """The unfitted estimator."""
        return self.fits.estimator

    @property
    def positive(self) -> int:
        """Position of the positive label."""
        return self.fits.positive

    @property
    def splits(self) -> list:
        """Positions of the rows to fit on and of those that are held out."""
        return self.fits.splits

    @property
    def n_labels(self) -> int:
        """Number of labels."""
        return len(self.rows.classes)

    @property
    def rates_need_draws(self) -> bool:
        """Whether scores are steered by kernels, which draw."""
        return self.constraint == "equalized_odds"

    @property
    def unknown_groups(self) -> bool:
        """Whether new rows may lack their group."""
        given = self.options
        return given["group_strategy"] == "posterior" or given["handle_unknown"] == "pooled"

    @cached_property
    def power(self) -> float:
        """The power of the weights at which the gap, with its sign, would be zero."""
        if weight_parameter(self.estimator) is None:
            return 0.0
        held = np.concatenate([held_out for _, held_out in self.splits[:FIRST_FOLDS]])
        plain, weighted = self.fits.blind[0][held], self.fits.first_weighted[held]
        if self.gap(plain, held) == 0.0:
            return 0.0
        place = self._find_widest(plain, held)
        before, after = (self._signed_gap(p, held, *place) for p in (plain, weighted))
        if after >= before:
            return 0.0
        return float(min(before / (before - after), LARGEST_POWER))

    def gap(self, probabilities, places) -> float:
        """Return the largest difference of rates between groups that have rows."""
        return _largest_gap(self.rates(probabilities, places))

    def spread(self, probabilities, places) -> float:
        """Return the largest standard deviation of a rate over rows, see ``spreads``."""
        rows, rates = self.rows, self.rates(probabilities, places)
        y, codes, weights = rows.label_codes[places], rows.group_codes[places], rows.weights[places]
        found = []
        for own, rate in zip(self._conditions(y), rates, strict=True):
            sizes = np.bincount(codes[own], weights[own], minlength=len(rows.groups))
            found.append(spreads(np.nan_to_num(rate)[None], sizes)[0])
        return float(max(found))

    def floor(self, probabilities) -> float:
        """Return the gap that chance explains in decisions of two labels."""
        truth = (self.rows.label_codes == self.positive).astype(int)
        decisions = (probabilities.argmax(axis=1) == self.positive).astype(int)
        drawn = permuted_gaps(
            truth, decisions, sensitive_features=self.rows.group_codes, random_state=self.seed
        )
        # NaN where a group lacks rows of a label: then gaps are closed as far as possible.
        return float(np.nan_to_num(drawn[self.constraint].mean()))

    def rates(self, probabilities, places):
        """Return rates of positive predictions by compared label (the positive last) and group."""
        rows = self.rows
        hits = probabilities.argmax(axis=1) == self.positive
        y, codes, weights = (
            part[places] for part in (rows.label_codes, rows.group_codes, rows.weights)
        )
        size = len(rows.groups)
        with np.errstate(invalid="ignore"):
            return np.array(
                [
                    np.bincount(codes[own], weights[own] * hits[own], minlength=size)
                    / np.bincount(codes[own], weights[own], minlength=size)
                    for own in self._conditions(y)
                ]
            )

    def _conditions(self, y):
        """Return which rows are compared, by label; the positive label last."""
        positive = y == self.positive
        return {
            "demographic_parity": [np.ones(len(y), dtype=bool)],
            "equal_opportunity": [positive],
            "equalized_odds": [~positive, positive],
        }[self.constraint]

    def _signed_gap(self, probabilities, places, condition, a, b) -> float:
        """Return the rate of positive predictions of group a less that of group b."""
        rates = self.rates(probabilities, places)
        return float(rates[condition, a] - rates[condition, b])

    def _find_widest(self, probabilities, places):
        """Return the label and the pair of groups with the largest difference of rates."""
        rates = self.rates(probabilities, places)
        condition = int(np.argmax([_largest_gap(own[None]) for own in rates]))
        return condition, int(np.nanargmax(rates[condition])), int(np.nanargmin(rates[condition]))


def _largest_gap(rates) -> float:
    """Return the largest difference of rates (C, G) between groups, 0 where there is none."""
    found = [np.ptp(own[np.isfinite(own)]) for own in rates if np.isfinite(own).any()]
    return float(max(found, default=0.0))


def fit_present(estimator, X, y, weights):
    """Fit a clone, or a constant where the rows have a single label."""
    if len(np.unique(y)) == 1:
        estimator = DummyClassifier(strategy="prior")
    return fit_weighted(clone(estimator), X, y, weights)


def _fit_and_score(estimator, X, y, weights, kept, held_out, score):
    return score(fit_present(estimator, X[kept], y[kept], weights[kept]), X[held_out])


def take_rows(rows: TrainingRows, places) -> TrainingRows:
    """Return some of the rows."""
    return rows._replace(
        features=rows.features[places],
        label_codes=rows.label_codes[places],
        group_codes=rows.group_codes[places],
        weights=rows.weights[places],
    )
