"""Warnings and errors of fairsteer."""

from __future__ import annotations

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


class UsageError(ValueError):
    """Invalid use; the message is a sentence that says what to do."""
