"""Warnings and errors of fairsteer."""

from __future__ import annotations

import math

from sklearn.exceptions import InconsistentVersionWarning


class SteeringWarning(UserWarning):
    """A fit succeeded, but the result may not be what is expected."""


class SteeringVersionWarning(InconsistentVersionWarning):
    """A loaded model was fitted with another version of fairsteer.

    Filters for scikit-learn's ``InconsistentVersionWarning`` apply to it.

    Parameters
    ----------
    estimator_name : str
        Class of the model.
    fitted_with : str
        Version of fairsteer in which it was fitted.
    loaded_with : str
        Version of fairsteer in which it is loaded.
    """

    def __init__(self, estimator_name: str, fitted_with: str, loaded_with: str) -> None:
        self.estimator_name = estimator_name
        self.fitted_with, self.loaded_with = fitted_with, loaded_with

    def __str__(self) -> str:
        return (
            f"This {self.estimator_name} was fitted with fairsteer {self.fitted_with} and is "
            f"loaded with fairsteer {self.loaded_with}, where it may fail or give different "
            f"results: refit it, or install fairsteer=={self.fitted_with}."
        )


class NoFairModelError(ValueError):
    """No candidate has a gap that is certified to be within the limit.

    Parameters
    ----------
    bound : float
        The smallest bound that was reached.
    measured : float
        The gap of that model on the certification rows.
    max_gap : float
        The limit.
    confidence_level : float
        The confidence that was asked for.
    n_rows : int
        Number of certification rows.
    """

    def __init__(
        self, bound: float, measured: float, max_gap: float, confidence_level: float, n_rows: int
    ) -> None:
        super().__init__(bound, measured, max_gap, confidence_level, n_rows)
        self.bound, self.measured, self.max_gap = bound, measured, max_gap
        self.confidence_level, self.n_rows = confidence_level, n_rows

    @property
    def n_rows_needed(self) -> int | None:
        """About how many certification rows would do, None where the measured gap is too large."""
        if not self.measured < self.max_gap:
            return None
        width = (self.bound - self.measured) / (self.max_gap - self.measured)
        return math.ceil(self.n_rows * width**2)

    def __str__(self) -> str:
        remedy = "collect rows, raise max_gap, or lower confidence_level."
        if self.n_rows_needed is not None:
            remedy = f"about {self.n_rows_needed:,} certification rows would do; or " + remedy
        return (
            f"No candidate has a gap of at most {self.max_gap:g} with "
            f"{100 * self.confidence_level:g}% confidence: the smallest bound is {self.bound:.3f} "
            f"(measured {self.measured:.3f}) on {self.n_rows:,} certification rows; {remedy}"
        )


class UsageError(ValueError):
    """Invalid use; the message is a sentence that says what to do."""
