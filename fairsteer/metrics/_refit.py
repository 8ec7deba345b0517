"""Select the candidate of a search with two objectives: accuracy and a gap."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from numbers import Real

import numpy as np

from fairsteer._validation import abbreviate
from fairsteer.core.messages import shorten


def most_accurate_within(eps, *, gap="gap", score="accuracy"):
    """Make a ``refit=`` for a search that selects the best score among small gaps.

    Parameters
    ----------
    eps : float
        The largest mean gap that is accepted, not negative.
    gap : str, default="gap"
        Name in the ``scoring`` dict of the search; the scorer of a difference with
        ``greater_is_better=False``, whose scores are minus the gap.
    score : str, default="accuracy"
        Name of the scorer to maximize.

    Returns
    -------
    callable
        Takes ``cv_results_`` and returns the index of the candidate with the highest mean score
        among those whose mean gap is at most ``eps`` (with equal scores, that with the smallest
        gap). If there is none, it warns and returns the candidate with the smallest gap.

    Raises
    ------
    ValueError
        If ``eps`` is negative or not a number. When called: if a scorer with one of these names is
        missing, if the scores of the gap are positive, or if the scores of all candidates are NaN.

    Warns
    -----
    UserWarning
        When called, if no gap is at most ``eps``.

    Notes
    -----
    For grid and randomized search; scikit-learn's halving searches take a single metric only. A
    gap that is measured on few rows exceeds the true gap by about its noise floor, see
    :func:`fairsteer.metrics.noise_floor`.

    Examples
    --------
    >>> from fairlearn.metrics import demographic_parity_difference
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn.pipeline import Pipeline
    >>> from fairsteer import OptimalSteeringTransformer
    >>> from fairsteer.datasets import load_diabetes_progression
    >>> from fairsteer.metrics import make_fairness_scorer, most_accurate_within
    >>> diabetes = load_diabetes_progression()
    >>> steering = OptimalSteeringTransformer("sex", constraint="demographic_parity")
    >>> search = GridSearchCV(
    ...     Pipeline([("steer", steering), ("classify", LogisticRegression(max_iter=1000))]),
    ...     {"steer__strength": [0.0, 0.5, 1.0]},
    ...     scoring={
    ...         "accuracy": "accuracy",
    ...         "gap": make_fairness_scorer(
    ...             demographic_parity_difference, sensitive_feature_ids="sex"
    ...         ),
    ...     },
    ...     refit=most_accurate_within(0.2),
    ... ).fit(diabetes.data, diabetes.target)
    >>> bool(search.cv_results_["mean_test_gap"][search.best_index_] >= -0.2)
    True
    """
    if not isinstance(eps, Real) or isinstance(eps, bool) or not eps >= 0:
        raise ValueError(f"eps must be a non-negative number, got {shorten(eps)}.")
    for argument, name in (("gap", gap), ("score", score)):
        if not isinstance(name, str):
            raise ValueError(f"{argument} must be the name of a scorer, got {shorten(name)}.")
    return _MostAccurateWithin(eps, gap, score)


@dataclass(frozen=True)
class _MostAccurateWithin:
    eps: float
    gap: str
    score: str

    def __call__(self, cv_results):
        gaps, scores = -self._means(cv_results, self.gap), self._means(cv_results, self.score)
        known = np.isfinite(gaps) & np.isfinite(scores)
        if not known.any():
            raise ValueError(
                f"The scores {self.gap!r} or {self.score!r} of every candidate are NaN: set "
                "error_score='raise' to see the reason."
            )
        if np.any(gaps[known] < 0.0):
            raise ValueError(
                f"The scores {self.gap!r} are positive, but must be minus the gap: use the scorer "
                "of a difference with greater_is_better=False."
            )
        within = known & (gaps <= self.eps)
        if within.any():
            return min(np.flatnonzero(within).tolist(), key=lambda k: (-scores[k], gaps[k]))
        best = min(np.flatnonzero(known).tolist(), key=lambda k: (gaps[k], -scores[k]))
        warnings.warn(
            f"No candidate has a mean {self.gap!r} of at most {self.eps}; the candidate with the "
            f"smallest, {gaps[best]:.3g}, is selected ({cv_results['params'][best]}). Use a larger "
            "eps or other candidates.",
            stacklevel=2,
        )
        return best

    def __repr__(self):
        return f"most_accurate_within({self.eps!r}, gap={self.gap!r}, score={self.score!r})"

    def _means(self, cv_results, name):
        prefix = "mean_test_"
        if prefix + name not in cv_results:
            names = [key.removeprefix(prefix) for key in cv_results if key.startswith(prefix)]
            raise ValueError(
                f"The search has no score {name!r}, only {abbreviate(names)}: pass scoring as a "
                f"dict with the names {self.gap!r} and {self.score!r}, or other names to "
                f"{self!r}."
            )
        return np.asarray(cv_results[prefix + name], dtype=float)
