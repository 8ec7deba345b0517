"""Tables as ordered numbers and back: what lets the copula steer columns of categories."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.preprocessing import TargetEncoder
from sklearn.utils.validation import check_is_fitted, validate_data

from fairsteer.estimators._table_encoding import KnownCategories, is_number


class TargetOrder(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Write each category as its position in the order of ``P(y | category)``.

    A rank transform needs an order of the values. Numbers have one (missing ones become the
    training median). Categories get theirs from the training rows: by scikit-learn's smoothed
    `TargetEncoder`, ties by name. A value that was not seen in training is read as a category
    under 1% of the rows or, without one, as the first. ``inverse_transform`` returns numbers and
    categories, so that an estimator's usual encoding can follow.

    Attributes
    ----------
    numbers_ : list of str
        The columns read as numbers.
    medians_ : Series
        Their medians; 0 for a column without values.
    ordered_ : dict of str to ndarray of str
        The categories of the other columns, from the smallest share of positives to the largest.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"hours": [40, 10, 50, 45], "job": ["b", "a", "b", "b"]})
    >>> order = TargetOrder().fit(table, [1, 0, 1, 0])
    >>> order.transform(table)["job"].tolist()
    [1.0, 0.0, 1.0, 1.0]
    """

    def fit(self, X, y):
        """Learn medians and orders.

        Parameters
        ----------
        X : DataFrame of shape (n, d)
            Columns of any kind.
        y : array-like of shape (n,)
            0/1 target.

        Returns
        -------
        TargetOrder
            Itself.
        """
        validate_data(self, X, skip_check_array=True)
        self.numbers_ = [name for name in X if is_number(X[name])]
        self.medians_ = _finite(X[self.numbers_]).median().fillna(0.0)
        categories = X.drop(columns=self.numbers_)
        self.ordered_ = {}
        if categories.shape[1]:
            self._known = KnownCategories().fit(categories)
            encoder = TargetEncoder(target_type="binary").fit(self._known.transform(categories), y)
            for name, values, shares in zip(
                categories, encoder.categories_, encoder.encodings_, strict=True
            ):
                self.ordered_[name] = values[np.argsort(shares, kind="stable")]
        return self

    def transform(self, X):
        """Write a table as numbers.

        Parameters
        ----------
        X : DataFrame of shape (n, d)
            The columns of fit.

        Returns
        -------
        DataFrame of shape (n, d)
            Floats, columns in the order of X.
        """
        check_is_fitted(self)
        validate_data(self, X, skip_check_array=True, reset=False)
        columns = dict(_finite(X[self.numbers_]).fillna(self.medians_).items())
        if self.ordered_:
            known = self._known.transform(X[list(self.ordered_)])
            for name, values in self.ordered_.items():
                position = pd.Series(np.arange(len(values), dtype=float), index=values)
                columns[name] = known[name].map(position)
        return pd.DataFrame(columns, index=X.index)[list(X)]

    def inverse_transform(self, X):
        """Return numbers as they are and positions as categories.

        Parameters
        ----------
        X : DataFrame of shape (n, d)
            As :meth:`transform` returns it; positions are rounded to whole ones.

        Returns
        -------
        DataFrame of shape (n, d)
        """
        check_is_fitted(self)
        columns = {
            name: self.ordered_[name][np.rint(column).astype(np.intp)]
            if name in self.ordered_
            else column
            for name, column in X.items()
        }
        return pd.DataFrame(columns, index=X.index)


def _finite(numbers: pd.DataFrame) -> pd.DataFrame:
    return numbers.astype(float).replace([np.inf, -np.inf], np.nan)
