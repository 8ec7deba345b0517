"""Which candidate of a search to refit where two objectives count: accuracy and a gap."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from numbers import Real

import numpy as np


def most_accurate_within(eps, *, gap="gap", score="accuracy"):
    """Make a ``refit=`` for a search with two objectives: the best score with a small gap.

    Parameters
    ----------
    eps : float
        The largest mean gap that is accepted.
    gap : str, default="gap"
        Name, in the search's ``scoring`` dict, of a scorer of a difference with
        ``greater_is_better=False``; its scores are minus the gap.
    score : str, default="accuracy"
        Name of the scorer to maximise.

    Returns
    -------
    callable
        Takes ``cv_results_`` and returns the index of the candidate with the highest mean score
        among those whose mean gap is at most ``eps`` (of equal ones that with the smaller gap).
        If there is none it warns and returns the one with the smallest gap.

    Raises
    ------
    ValueError
        If ``eps`` is not a number from 0 on. When called: if a scorer of this name is missing, if
        the gap's scores are positive, or if every candidate's scores are NaN.

    Warns
    -----
    UserWarning
        When called, if no candidate's gap is within ``eps``.

    Notes
    -----
    For grid and randomised search; scikit-learn's halving searches take one metric only. A gap
    measured on few rows exceeds the true one by its noise floor, see
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
        raise ValueError(f"eps is the largest gap accepted, a number from 0 on, not {eps!r}.")
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
                f"The scores {self.gap!r} or {self.score!r} of every candidate are NaN: see why "
                "with error_score='raise'."
            )
        if np.any(gaps[known] < 0.0):
            raise ValueError(
                f"The scores {self.gap!r} are positive, but a gap is scored as minus the gap: "
                "make the scorer of a difference, with greater_is_better=False."
            )
        within = known & (gaps <= self.eps)
        if within.any():
            return min(np.flatnonzero(within).tolist(), key=lambda k: (-scores[k], gaps[k]))
        best = min(np.flatnonzero(known).tolist(), key=lambda k: (gaps[k], -scores[k]))
        warnings.warn(
            f"no candidate has a mean {self.gap!r} of at most {self.eps}: the one with the "
            f"smallest, {gaps[best]:.3g}, is taken ({cv_results['params'][best]}). Allow a larger "
            "eps, or try other candidates.",
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
                f"The search has no score {name!r}, but {', '.join(map(repr, names))}: give "
                f"scoring a dict with the names {self.gap!r} and {self.score!r}, or name others "
                f"in {self!r}."
            )
        return np.asarray(cv_results[prefix + name], dtype=float)
