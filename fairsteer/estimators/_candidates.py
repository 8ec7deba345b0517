"""The candidates that SteeredClassifierCV chooses from.

A candidate has two methods. ``cross_predict(problem)`` returns probabilities of the labels for all
training rows, each by a model of other rows; ``fit(problem)`` returns a fitted rule with a method
``probabilities(features, codes, words)`` for new rows. `CANDIDATES` lists them by name.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from scipy.special import expit
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from fairsteer.core.priors import ideal_priors
from fairsteer.core.row_draws import RowDraws
from fairsteer.core.score_maps import (
    PartialMaps,
    best_threshold,
    fit_kernels,
    fit_monotone_maps,
)
from fairsteer.core.training_rows import TrainingRows
from fairsteer.estimators._classifier import fit_weighted, weight_parameter
from fairsteer.estimators._cross_fitting import cross_fit
from fairsteer.estimators._eraser import WithinLabelEraser
from fairsteer.estimators._score_models import ScoreModels
from fairsteer.estimators._transformer import OptimalSteeringTransformer
from fairsteer.exceptions import SteeringWarning
from fairsteer.metrics._gaps import permuted_gaps

MOST_BINS = 25
FEWEST_BIN_ROWS = 50
FIRST_FOLDS = 2
LARGEST_POWER = 3.0
FLOOR_SHARE = 0.5
"""Share of the noise floor up to which gaps are left where that is more accurate."""
STRENGTHS = tuple(k / 10 for k in range(10, 0, -1))


@dataclass(frozen=True, eq=False)
class Problem:
    """Training rows, the folds that compare candidates, and what candidates share.

    Parameters
    ----------
    rows : TrainingRows
        Encoded rows of positive weight.
    estimator : classifier
        Unfitted.
    constraint : str
        One of `CONSTRAINTS`.
    positive : int
        Position of the positive label.
    splits : list of (ndarray, ndarray)
        Positions of the rows to fit on and of those that are held out.
    seed : int
        Seed of draws.
    options : dict
        ``group_strategy`` and ``handle_unknown``.
    n_jobs : int or None
        As in joblib.
    max_gap : float or None, default=0.0
        The gap that is allowed even where chance explains less. None: gaps are closed as far as
        possible.
    """

    rows: TrainingRows
    estimator: Any
    constraint: str
    positive: int
    splits: list
    seed: int
    options: dict = field(default_factory=dict)
    n_jobs: int | None = None
    max_gap: float | None = 0.0
    # What `Score` chose, by whether the estimator sees the group.
    strengths: dict = field(default_factory=dict)

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

    def models(self, group_feature: bool) -> ScoreModels:
        """Return models without fitted parts."""
        n_groups = len(self.rows.groups)
        return ScoreModels(self.n_labels, self.positive, n_groups, group_feature)

    @cached_property
    def aware(self):
        """Held-out scores of the estimator that sees the group, and the fitted estimator."""
        models = self.models(group_feature=True)
        features = models.with_group(self.rows.features, self.rows.group_codes)
        return self._cross_fit(features, models.score)

    @cached_property
    def blind(self):
        """Held-out probabilities of the estimator that sees no group, and the fitted estimator."""
        return self._cross_fit(self.rows.features, self.models(False).probabilities)

    @cached_property
    def group_classifier(self):
        """Classifier of the group, for rows without one."""
        rows, kind = self.rows, self.estimator
        if not hasattr(kind, "predict_proba"):
            kind = HistGradientBoostingClassifier(random_state=0)
        return fit_weighted(clone(kind), rows.features, rows.group_codes, rows.weights)

    @cached_property
    def power(self):
        """The power of the weights that make label and group independent."""
        return find_power(self)

    def _cross_fit(self, features, score):
        y, weights = self.rows.label_codes, self.rows.weights
        return cross_fit(self.estimator, features, y, weights, self.splits, score, self.n_jobs)

    def rates(self, probabilities, places):
        """Return rates of positive predictions by compared label (the positive last) and group."""
        return _rates(self, probabilities, places)

    def gap(self, probabilities, places) -> float:
        """Return the largest difference of rates between groups that have rows."""
        return largest_gap(self.rates(probabilities, places))

    def floor(self, probabilities) -> float:
        """Return the gap that chance explains in decisions of two labels."""
        truth = (self.rows.label_codes == self.positive).astype(int)
        decisions = (probabilities.argmax(axis=1) == self.positive).astype(int)
        drawn = permuted_gaps(
            truth, decisions, sensitive_features=self.rows.group_codes, random_state=self.seed
        )
        # NaN where a group lacks rows of a label: then gaps are closed as far as possible.
        return float(np.nan_to_num(drawn[self.constraint].mean()))

    def balance(self):
        """Return the weights (n,) of rows that make label and group independent."""
        counts = self.rows.counts
        priors = counts / counts.sum()
        ratio = np.ones_like(counts)
        ideal = ideal_priors(priors, "independent")
        np.divide(ideal, priors, out=ratio, where=priors > 0.0)
        return ratio[self.rows.label_codes, self.rows.group_codes]


def take_rows(rows: TrainingRows, places) -> TrainingRows:
    """Return some of the rows."""
    return rows._replace(
        features=rows.features[places],
        label_codes=rows.label_codes[places],
        group_codes=rows.group_codes[places],
        weights=rows.weights[places],
    )


# ---- rules -----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class PlainRule:
    """An estimator that sees the encoded features only.

    Parameters
    ----------
    models : ScoreModels
        Without fitted parts.
    estimator : classifier
        Fitted.
    """

    models: ScoreModels
    estimator: Any
    steering: Any = None

    def probabilities(self, features, codes, words):
        """Return probabilities of all labels, shape (n, K)."""
        return self.models.probabilities(self.estimator, features)


@dataclass(frozen=True, eq=False)
class ScoreRule:
    """A threshold of a steered score.

    Parameters
    ----------
    models : ScoreModels
        Fitted.
    maps : PartialMaps
        Of the scores of every group.
    threshold : float
        Above it the positive label is predicted.
    seed : int
        Of the draws.
    """

    models: ScoreModels
    maps: Any
    threshold: float
    seed: int

    @property
    def estimator(self):
        """The fitted estimator of the score."""
        return self.models.estimator

    @property
    def steering(self):
        """The maps of the score."""
        return self.maps

    def probabilities(self, features, codes, words):
        """Return probabilities of both labels, shape (n, 2)."""
        draws = RowDraws.of_identifiers(words, self.seed, 2)[:]
        scores = self.models.scores(features, codes)
        if self.maps.draws_groups:
            codes = self.models.draw_groups(features, codes, draws[:, 0])
            steered = self.maps(scores, codes, draws[:, 1])
        else:
            steered = self.models.mix_maps(self.maps, scores, features, codes, draws[:, 0])
        return _spread(expit(steered - self.threshold), self.models.positive)


@dataclass(frozen=True, eq=False)
class SteeringRule:
    """A steering of the encoded features, and an estimator of what it returns.

    Parameters
    ----------
    models : ScoreModels
        Without fitted parts.
    steering : transformer
        Fitted.
    estimator : classifier
        Fitted to steered rows.
    """

    models: ScoreModels
    steering: Any
    estimator: Any

    def probabilities(self, features, codes, words):
        """Return probabilities of all labels, shape (n, K)."""
        moved = _move(self.steering, features, codes, words)
        return self.models.probabilities(self.estimator, moved)


def _spread(p, positive):
    """Return the probabilities of both labels, in their order."""
    return np.column_stack([1.0 - p, p] if positive == 1 else [p, 1.0 - p])


def _move(steering, features, codes, words):
    """Steer rows; groups are passed by their positions, None where unknown."""
    if isinstance(steering, WithinLabelEraser):
        return steering.transform(features)
    groups = codes
    if (codes < 0).any():
        groups = codes.astype(object)
        groups[codes < 0] = None
    return steering.transform(features, sensitive_features=groups, row_ids=words)


# ---- candidates ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Unmitigated:
    """The estimator alone."""

    needs_attribute = False
    any_labels = True

    def cross_predict(self, problem: Problem):
        """Return held-out probabilities (n, K)."""
        return problem.blind[0]

    def parameters(self, problem):
        """Return what was chosen: nothing."""
        return {}

    def fit(self, problem: Problem):
        """Return the fitted rule."""
        return PlainRule(problem.models(False), problem.blind[1])


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
            return problem.blind[0]
        return cross_predict_weighted(problem, problem.power, problem.splits)

    def parameters(self, problem):
        """Return what was chosen."""
        return {"power": problem.power}

    def fit(self, problem: Problem):
        """Return the fitted rule."""
        rows = problem.rows
        weights = rows.weights * problem.balance() ** problem.power
        estimator = fit_weighted(clone(problem.estimator), rows.features, rows.label_codes, weights)
        return PlainRule(problem.models(False), estimator)


def find_power(problem):
    """Return the power of the weights at which the gap, with its sign, would be zero."""
    if weight_parameter(problem.estimator) is None:
        return 0.0
    some = problem.splits[:FIRST_FOLDS]
    held = np.concatenate([held_out for _, held_out in some])
    plain, weighted = problem.blind[0], cross_predict_weighted(problem, 1.0, some)
    if problem.gap(plain[held], held) == 0.0:
        return 0.0
    place = widest_gap(problem, plain[held], held)
    before, after = (signed_gap(problem, p[held], held, *place) for p in (plain, weighted))
    if after >= before:
        return 0.0
    return float(min(before / (before - after), LARGEST_POWER))


def cross_predict_weighted(problem, power, splits):
    """Return probabilities (n, K) of the rows that are held out, NaN elsewhere."""
    rows = problem.rows
    weights = rows.weights * problem.balance() ** power
    score = problem.models(False).probabilities
    parts = Parallel(n_jobs=problem.n_jobs)(
        delayed(_fit_and_score)(
            problem.estimator, rows.features, rows.label_codes, weights, *part, score
        )
        for part in splits
    )
    found = np.full((len(weights), problem.n_labels), np.nan)
    for (_, held_out), own in zip(splits, parts, strict=True):
        found[held_out] = own
    return found


def _fit_and_score(estimator, X, y, weights, kept, held_out, score):
    return score(fit_present(estimator, X[kept], y[kept], weights[kept]), X[held_out])


def fit_present(estimator, X, y, weights):
    """Fit a clone, or a constant where the rows have a single label."""
    if len(np.unique(y)) == 1:
        estimator = DummyClassifier(strategy="prior")
    return fit_weighted(clone(estimator), X, y, weights)


def signed_gap(problem, probabilities, places, condition, a, b):
    """Return the rate of positive predictions of group a less that of group b, given a label."""
    rates = _rates(problem, probabilities, places)
    return float(rates[condition, a] - rates[condition, b])


def widest_gap(problem, probabilities, places):
    """Return the label and the pair of groups with the largest difference of rates."""
    rates = _rates(problem, probabilities, places)
    condition = int(np.argmax([largest_gap(own[None]) for own in rates]))
    return condition, int(np.nanargmax(rates[condition])), int(np.nanargmin(rates[condition]))


def largest_gap(rates):
    """Return the largest difference of rates (C, G) between groups, 0 where there is none."""
    found = [np.ptp(own[np.isfinite(own)]) for own in rates if np.isfinite(own).any()]
    return float(max(found, default=0.0))


def _rates(problem, probabilities, places):
    """Return the rates of positive predictions by compared label and group."""
    rows = problem.rows
    hits = probabilities.argmax(axis=1) == problem.positive
    y, codes, weights = (
        part[places] for part in (rows.label_codes, rows.group_codes, rows.weights)
    )
    positive = y == problem.positive
    conditions = {
        "demographic_parity": [np.ones(len(y), dtype=bool)],
        "equal_opportunity": [positive],
        "equalized_odds": [~positive, positive],
    }[problem.constraint]
    size = len(rows.groups)
    with np.errstate(invalid="ignore"):
        return np.array(
            [
                np.bincount(codes[own], weights[own] * hits[own], minlength=size)
                / np.bincount(codes[own], weights[own], minlength=size)
                for own in conditions
            ]
        )


@dataclass(frozen=True)
class Score:
    """The estimator's score, steered towards one distribution for all groups, and a threshold.

    The strength is the smallest whose gap on held-out rows is at most half of the noise floor, or
    ``max_gap``: a gap that chance explains anyway is not worth its accuracy. A larger share would
    follow the noise of small groups.

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
        margins = {strength: np.empty(len(scores)) for strength in STRENGTHS}
        for kept, held_out in problem.splits:
            labels = np.unique(problem.rows.label_codes[kept])
            if len(labels) == 1:
                for own in margins.values():
                    own[held_out] = 1.0 if labels[0] == problem.positive else -1.0
                continue
            whole = self._fit_maps(problem, scores, kept)
            for strength, own in margins.items():
                own[held_out] = self._margin(
                    problem, whole, strength, scores, draws, kept, held_out
                )
        everything = np.arange(len(scores))
        found = {s: _spread(expit(own), problem.positive) for s, own in margins.items()}
        chosen, weaker = 1.0, STRENGTHS[1:]
        # Margins without probabilities have a scale of their own, which does not mix with log odds.
        mixes = hasattr(problem.estimator, "predict_proba") or not problem.rates_need_draws
        if problem.max_gap is None or not mixes:
            weaker, limit = (), 0.0
        else:
            limit = max(problem.max_gap, FLOOR_SHARE * problem.floor(found[1.0]))
        for strength in weaker:
            if problem.gap(found[strength], everything) <= limit:
                chosen = strength
        problem.strengths[self.group_feature] = chosen
        return found[chosen]

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
        fitted = {"estimator": (problem.aware if aware else problem.blind)[1]}
        if aware:
            fitted |= {"blind": problem.blind[1], "averaged": True}
        if problem.unknown_groups:
            fitted["group_classifier"] = problem.group_classifier
        models = replace(problem.models(aware), **fitted)
        return ScoreRule(models, maps, threshold, problem.seed)

    def parameters(self, problem):
        """Return what was chosen."""
        return {"strength": problem.strengths[self.group_feature]}

    def _scores(self, problem):
        blind = problem.models(False).log_odds(problem.blind[0])
        return 0.5 * (problem.aware[0] + blind) if self.group_feature else blind

    def _margin(self, problem, whole, strength, scores, draws, kept, held_out):
        """Return how far held-out rows are above the threshold of other rows."""
        rows, maps = problem.rows, PartialMaps(whole, strength)
        own, new = (maps(scores[p], rows.group_codes[p], draws[p]) for p in (kept, held_out))
        positive = rows.label_codes[kept] == problem.positive
        return new - find_threshold(own, positive, rows.weights[kept])

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
        parts = Parallel(n_jobs=problem.n_jobs)(
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
            return PlainRule(problem.models(False), fit_present(*part))
        steering = self.make(problem)
        names = rows.classes[labels]
        steering.fit(rows.features, names, sensitive_features=groups, sample_weight=rows.weights)
        moved, weights = _move(steering, rows.features, groups, None), rows.weights
        if hasattr(steering, "ideal_sample_weight"):
            weights = weights * steering.ideal_sample_weight(
                rows.features, rows.classes[labels], sensitive_features=groups
            )
        estimator = fit_weighted(clone(problem.estimator), moved, labels, weights)
        return SteeringRule(problem.models(False), steering, estimator)


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
