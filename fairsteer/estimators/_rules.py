"""The fitted rules of candidates: ``probabilities(features, codes, words)`` of new rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit

from fairsteer.core.row_draws import RowDraws
from fairsteer.estimators._eraser import WithinLabelEraser
from fairsteer.estimators._score_models import ScoreModels


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
        return spread_positive(expit(steered - self.threshold), self.models.positive)


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
        moved = steer_features(self.steering, features, codes, words)
        return self.models.probabilities(self.estimator, moved)


def spread_positive(p, positive):
    """Return the probabilities of both labels, in their order."""
    return np.column_stack([1.0 - p, p] if positive == 1 else [p, 1.0 - p])


def steer_features(steering, features, codes, words):
    """Steer rows; groups are passed by their positions, None where unknown."""
    if isinstance(steering, WithinLabelEraser):
        return steering.transform(features)
    groups = codes
    if (codes < 0).any():
        groups = codes.astype(object)
        groups[codes < 0] = None
    return steering.transform(features, sensitive_features=groups, row_ids=words)
