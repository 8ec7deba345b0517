"""Warnings and errors of fairsteer."""

from __future__ import annotations

from sklearn.exceptions import InconsistentVersionWarning


class SteeringWarning(UserWarning):
    """A fit that succeeded, but may not do what is expected of it."""


class SteeringVersionWarning(InconsistentVersionWarning):
    """A model is loaded that another version of fairsteer fitted.

    Filters for scikit-learn's ``InconsistentVersionWarning`` catch it.

    Parameters
    ----------
    estimator_name : str
        Class of the model.
    fitted_with : str
        Version of fairsteer that fitted it.
    loaded_with : str
        Version of fairsteer that loads it.
    """

    def __init__(self, estimator_name: str, fitted_with: str, loaded_with: str) -> None:
        self.estimator_name = estimator_name
        self.fitted_with, self.loaded_with = fitted_with, loaded_with

    def __str__(self) -> str:
        return (
            f"This {self.estimator_name} was fitted with fairsteer {self.fitted_with} and is "
            f"loaded with fairsteer {self.loaded_with}, where it may fail or give other results: "
            f"fit it again, or install fairsteer=={self.fitted_with}."
        )


class UsageError(ValueError):
    """A request that does not fit; the message is one sentence with the remedy."""
