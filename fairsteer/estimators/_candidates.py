"""The candidates that SteeredClassifierCV chooses from.

A candidate has three methods. ``cross_predict(problem)`` returns probabilities of the labels for
all training rows, each by a model of other rows; ``parameters(problem)`` returns what it chose
itself; ``fit(problem)`` returns a fitted rule. `CANDIDATES` lists them by name.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from scipy.special import expit
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

from fairsteer.core.score_maps import (
    PartialMaps,
    best_threshold,
    fit_kernels,
    fit_monotone_maps,
)
from fairsteer.estimators._classifier import fit_weighted
from fairsteer.estimators._eraser import WithinLabelEraser
from fairsteer.estimators._problem import Problem, fit_present, take_rows
from fairsteer.estimators._rules import (
    PlainRule,
    ScoreRule,
    SteeringRule,
    spread_positive,
    steer_features,
)
from fairsteer.estimators._transformer import OptimalSteeringTransformer
from fairsteer.exceptions import SteeringWarning

MOST_BINS = 25
FEWEST_BIN_ROWS = 50
FLOOR_SHARE = 0.5
"""Share of the noise floor up to which gaps are left where that is more accurate."""
STRENGTHS = tuple(k / 10 for k in range(10, 0, -1))


@dataclass(frozen=True)
class Unmitigated:
    """The estimator alone."""

    needs_attribute = False
    any_labels = True

    def cross_predict(self, problem: Problem):
        """Return held-out probabilities (n, K)."""
        return problem.fits.blind[0]

    def parameters(self, problem):
        """Return what was chosen: nothing."""
        return {}

    def fit(self, problem: Problem):
        """Return the fitted rule."""
        return PlainRule(problem.fits.models(False), problem.fits.blind[1])


@dataclass(frozen=True)
class Weights:
    """Training weights that make label and group independent, to a power.

    The power is where the gap between the two groups that differ most, with its sign, would be
    zero: the gap is measured without weights and, on some of the folds, at power 1. No attribute is
    needed for new rows.
    """

    needs_attribute = False
    any_labels = True

    def cross_predict(self, problem: Problem):
        """Return held-out probabilities (n, K)."""
        if problem.power == 0.0:
            return problem.fits.blind[0]
        return problem.fits.predict_weighted(problem.power, problem.splits)

    def parameters(self, problem):
        """Return what was chosen."""
        return {"power": problem.power}

    def fit(self, problem: Problem):
        """Return the fitted rule."""
        rows = problem.rows
        weights = rows.weights * problem.fits.balance() ** problem.power
        estimator = fit_weighted(clone(problem.estimator), rows.features, rows.label_codes, weights)
        return PlainRule(problem.fits.models(False), estimator)


@dataclass(frozen=True)
class Score:
    """The estimator's score, steered towards one distribution for all groups, and a threshold.

    The strength is lowered from 1 while the gap on held-out rows is at most half of the noise
    floor, or ``max_gap``: a gap that chance explains anyway is not worth its accuracy. A larger
    share would follow the noise of small groups.

    Parameters
    ----------
    group_feature : bool
        Whether the estimator sees the group.
    """

    group_feature: bool = True
    needs_attribute = True
    any_labels = False

    def cross_predict(self, problem: Problem):
        """Return held-out probabilities (n, 2); maps and threshold are those of other rows."""
        scores = self._scores(problem)
        draws = np.random.default_rng(problem.seed).random(len(scores))
        maps = [self._fit_fold(problem, scores, kept) for kept, _ in problem.splits]
        chosen, found = 1.0, self._predict_folds(problem, maps, 1.0, scores, draws)
        # Margins without probabilities have a scale of their own, which does not mix with log odds.
        mixes = hasattr(problem.estimator, "predict_proba") or not problem.rates_need_draws
        if problem.max_gap is not None and mixes:
            limit, everything = FLOOR_SHARE * problem.floor(found), np.arange(len(scores))
            for strength in STRENGTHS[1:]:
                weaker = self._predict_folds(problem, maps, strength, scores, draws)
                if problem.gap(weaker, everything) > max(problem.max_gap, limit):
                    break
                chosen, found = strength, weaker
        problem.strengths[self.group_feature] = chosen
        return found

    def fit(self, problem: Problem):
        """Return the fitted rule."""
        scores = self._scores(problem)
        draws = np.random.default_rng(problem.seed).random(len(scores))
        if self.group_feature not in problem.strengths:
            self.cross_predict(problem)
        everything, aware = np.arange(len(scores)), self.group_feature
        maps = PartialMaps(self._fit_maps(problem, scores, everything), problem.strengths[aware])
        steered = maps(scores, problem.rows.group_codes, draws)
        positive = problem.rows.label_codes == problem.positive
        threshold = find_threshold(steered, positive, problem.rows.weights)
        fitted = {"estimator": (problem.fits.aware if aware else problem.fits.blind)[1]}
        if aware:
            fitted |= {"blind": problem.fits.blind[1], "averaged": True}
        if problem.unknown_groups:
            fitted["group_classifier"] = problem.fits.group_classifier
        models = replace(problem.fits.models(aware), **fitted)
        return ScoreRule(models, maps, threshold, problem.seed)

    def parameters(self, problem):
        """Return what was chosen."""
        return {"strength": problem.strengths[self.group_feature]}

    def _scores(self, problem):
        blind = problem.fits.models(False).log_odds(problem.fits.blind[0])
        return 0.5 * (problem.fits.aware[0] + blind) if self.group_feature else blind

    def _predict_folds(self, problem, maps, strength, scores, draws):
        """Return probabilities of held-out rows, by how far they are above the threshold."""
        rows, margins = problem.rows, np.empty(len(scores))
        positive = rows.label_codes == problem.positive
        for (kept, held_out), whole in zip(problem.splits, maps, strict=True):
            if whole is None:
                margins[held_out] = 1.0 if positive[kept[0]] else -1.0
                continue
            partial = PartialMaps(whole, strength)
            own, new = (
                partial(scores[places], rows.group_codes[places], draws[places])
                for places in (kept, held_out)
            )
            margins[held_out] = new - find_threshold(own, positive[kept], rows.weights[kept])
        return spread_positive(expit(margins), problem.positive)

    def _fit_fold(self, problem, scores, kept):
        """Return the maps of scores of some rows, None if they have a single label."""
        if len(np.unique(problem.rows.label_codes[kept])) == 1:
            return None
        return self._fit_maps(problem, scores, kept)

    def _fit_maps(self, problem, scores, places):
        rows = take_rows(problem.rows, places)
        positive = rows.label_codes == problem.positive
        own, n_groups = scores[places], len(rows.groups)
        if problem.constraint == "equalized_odds":
            n_bins = int(np.clip(len(own) / (FEWEST_BIN_ROWS * n_groups), 10, MOST_BINS))
            return fit_kernels(
                own,
                positive.astype(np.intp),
                rows.group_codes,
                rows.weights,
                n_groups,
                n_bins,
                single_threshold=not self.group_feature,
            )
        used = positive if problem.constraint == "equal_opportunity" else slice(None)
        return fit_monotone_maps(own[used], rows.group_codes[used], rows.weights[used], n_groups)


def find_threshold(steered, positive, weights):
    """Return the score at which a logistic regression of the label gives one half.

    A threshold of the fewest errors would follow the noise of the rows. It is taken where the
    label does not ascend with the score.
    """
    model = fit_weighted(LogisticRegression(C=1e6), steered[:, None], positive, weights)
    slope = float(model.coef_[0, 0])
    if slope <= 0.0:
        return best_threshold(steered, positive, weights)
    return float(-model.intercept_[0] / slope)


@dataclass(frozen=True, eq=False)
class Steering:
    """A steering of the encoded features before the estimator.

    Parameters
    ----------
    make : callable
        From the problem to an unfitted transformer.
    needs_attribute : bool, default=True
        Whether new rows need their group.
    """

    make: Any
    needs_attribute: bool = True
    any_labels = True

    def cross_predict(self, problem: Problem):
        """Return held-out probabilities (n, K)."""
        parts = Parallel(n_jobs=problem.fits.n_jobs)(
            delayed(self._predict_fold)(problem, *part) for part in problem.splits
        )
        found = np.empty((problem.rows.n_rows, problem.n_labels))
        for (_, held_out), own in zip(problem.splits, parts, strict=True):
            found[held_out] = own
        return found

    def parameters(self, problem):
        """Return what was chosen: nothing."""
        return {}

    def fit(self, problem: Problem):
        """Return the fitted rule."""
        return self._fit_rows(problem, problem.rows)

    def _predict_fold(self, problem, kept, held_out):
        # What is worth a warning is said when all rows are fitted.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SteeringWarning)
            rule = self._fit_rows(problem, take_rows(problem.rows, kept))
        rows = take_rows(problem.rows, held_out)
        return rule.probabilities(rows.features, rows.group_codes, None)

    def _fit_rows(self, problem, rows):
        groups, labels = rows.group_codes, rows.label_codes
        if len(np.unique(labels)) < problem.n_labels or len(np.unique(groups)) < 2:
            # The only rows of a label or of all other groups are held out.
            part = problem.estimator, rows.features, labels, rows.weights
            return PlainRule(problem.fits.models(False), fit_present(*part))
        steering = self.make(problem)
        names = rows.classes[labels]
        steering.fit(rows.features, names, sensitive_features=groups, sample_weight=rows.weights)
        moved, weights = steer_features(steering, rows.features, groups, None), rows.weights
        if hasattr(steering, "ideal_sample_weight"):
            weights = weights * steering.ideal_sample_weight(
                rows.features, rows.classes[labels], sensitive_features=groups
            )
        estimator = fit_weighted(clone(problem.estimator), moved, labels, weights)
        return SteeringRule(problem.fits.models(False), steering, estimator)


def _transformer(problem, **parameters):
    return OptimalSteeringTransformer(
        constraint=problem.constraint,
        pos_label=problem.rows.classes[problem.positive],
        random_state=problem.seed,
        small_groups="pooled",
        **problem.options,
        **parameters,
    )


CANDIDATES = {
    "unmitigated": Unmitigated(),
    "weights": Weights(),
    "score": Score(),
    "cutoffs": Score(group_feature=False),
    "table": Steering(lambda problem: _transformer(problem, priors="independent")),
    "channel": Steering(lambda problem: _transformer(problem, label_strategy="channel")),
    "eraser": Steering(
        lambda problem: WithinLabelEraser(
            constraint=problem.constraint, pos_label=problem.rows.classes[problem.positive]
        ),
        needs_attribute=False,
    ),
}
"""Candidates by name; more can be added."""
AUTO = ("unmitigated", "weights", "score", "cutoffs")
AUTO_LABELS = ("unmitigated", "weights", "table")
ATTRIBUTE_FREE = ("unmitigated", "weights", "eraser")
