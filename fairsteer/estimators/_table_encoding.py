"""Encode tables of mixed columns: as numbers for classifiers, as ordered values for the copula."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler, TargetEncoder
from sklearn.utils.validation import check_is_fitted, validate_data

from fairsteer._validation import check_numbers
from fairsteer.core.messages import abbreviate

MIN_FREQUENCY = 0.01
MISSING = "(missing)"
INFREQUENT = "(infrequent)"
_CONTAINERS = (list, dict, set, tuple, bytes, np.ndarray)
_LARGEST = 1e150


def standard_encoder(data: pd.DataFrame) -> ColumnTransformer:
    """Make the unfitted standard encoder.

    Numbers are median-imputed and standardized. All other columns (text, categories, booleans,
    dates) are converted to text and one-hot encoded without the first category. Missing values are
    a category. Categories in less than 1% of the training rows share a column; categories not seen
    in training are encoded by that column or, if there is none, like the first category (zeros).

    Parameters
    ----------
    data : DataFrame
        The column types decide how columns are encoded; no values are used.

    Returns
    -------
    ColumnTransformer
        It returns DataFrames with columns named ``number`` and ``column=category``.
    """
    if not all(isinstance(name, str) for name in data):
        raise ValueError("every column of data must have a name that is text.")
    numbers = [name for name in data if is_number(data[name])]
    categories = [name for name in data if name not in set(numbers)]
    one_hot = OneHotEncoder(
        drop="first",
        min_frequency=MIN_FREQUENCY,
        handle_unknown="infrequent_if_exist",
        sparse_output=False,
        feature_name_combiner=_column_name,
    )
    imputer = SimpleImputer(strategy="median", keep_empty_features=True)
    encoder = ColumnTransformer(
        [
            ("number", make_pipeline(imputer, StandardScaler()), numbers),
            ("category", make_pipeline(KnownCategories(), one_hot), categories),
        ],
        # A name that already looks like "column=category" could occur twice without a prefix.
        verbose_feature_names_out=any("=" in name for name in data),
    )
    return encoder.set_output(transform="pandas")


class KnownCategories(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Convert all values to text, and values not seen in fit to a known category.

    An unknown value becomes a category rarer than ``min_frequency`` or, if there is none, the first
    category. `OneHotEncoder` with ``drop="first"`` and ``handle_unknown="infrequent_if_exist"``
    encodes it in the same way but warns about it; `TargetOrder` needs a known category.

    Parameters
    ----------
    min_frequency : float, default=0.01
        ``min_frequency`` of the encoder that follows.

    Attributes
    ----------
    categories_ : list of list of str
        The known values of every column.
    replacements_ : list of str
        The replacement of unknown values in every column.
    """

    def __init__(self, min_frequency=MIN_FREQUENCY):
        self.min_frequency = min_frequency

    def fit(self, X, y=None):
        """Learn the categories of every column.

        Parameters
        ----------
        X : DataFrame
            Columns of any kind.
        y : ignored
            Present for the scikit-learn interface.

        Returns
        -------
        KnownCategories
            The fitted object.
        """
        validate_data(self, X, skip_check_array=True)
        self.categories_, self.replacements_ = [], []
        for _, column in X.items():
            counts = _as_text(column).value_counts().sort_index()
            rare = counts.index[counts < self.min_frequency * len(X)]
            self.categories_.append(counts.index.tolist())
            self.replacements_.append(rare[0] if len(rare) else counts.index[0])
        return self

    def transform(self, X):
        """Convert the values to text.

        Parameters
        ----------
        X : DataFrame
            The columns of fit.

        Returns
        -------
        DataFrame
            Text, without missing and unknown values.
        """
        check_is_fitted(self)
        validate_data(self, X, skip_check_array=True, reset=False)
        columns = {}
        for (name, column), known, replacement in zip(
            X.items(), self.categories_, self.replacements_, strict=True
        ):
            text = _as_text(column)
            columns[name] = text.where(text.isin(known), replacement)
        return pd.DataFrame(columns, index=X.index)


class TargetOrder(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Replace each category by its position in the order of ``P(y | category)``.

    A rank transform needs ordered values. Numbers are ordered; missing numbers become the training
    median. Categories are ordered by scikit-learn's smoothed `TargetEncoder` on the training rows,
    ties by name. Unknown categories are replaced as in `KnownCategories`. ``inverse_transform``
    returns numbers and categories, so that a standard encoding can follow.

    Attributes
    ----------
    numbers_ : list of str
        The numeric columns.
    medians_ : Series
        Their medians; 0 for a column without values.
    ordered_ : dict of str to ndarray of str
        The categories of the other columns, in ascending order of the share of positives.

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
            The fitted object.
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
        """Convert a table to numbers.

        Parameters
        ----------
        X : DataFrame of shape (n, d)
            The columns of fit.

        Returns
        -------
        DataFrame of shape (n, d)
            Floats, with the columns in the order of X.
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
        """Convert positions back to categories; numbers are not changed.

        Parameters
        ----------
        X : DataFrame of shape (n, d)
            From :meth:`transform`; positions are rounded to integers.

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


def fit_encoder(features: pd.DataFrame | np.ndarray) -> ColumnTransformer | None:
    """Fit the standard encoder to a table with columns that are not numbers.

    Parameters
    ----------
    features : DataFrame or ndarray of shape (n, d)
        Rows.

    Returns
    -------
    ColumnTransformer or None
        None where all columns are numbers, which are used as they are.
    """
    if not isinstance(features, pd.DataFrame) or all(map(is_number, _columns(features))):
        return None
    _refuse_what_is_no_value(features)
    return standard_encoder(features).fit(features)


def _columns(features: pd.DataFrame) -> list[pd.Series]:
    return [features.iloc[:, j] for j in range(features.shape[1])]


def _refuse_what_is_no_value(features: pd.DataFrame) -> None:
    """Refuse names that are no text, containers, infinity, and numbers too large to average."""
    unnamed = [name for name in features if not isinstance(name, str)]
    if unnamed:
        raise ValueError(
            f"The column name(s) {abbreviate(unnamed)} are no text, which a table with columns of "
            "text needs: rename them, for instance by X.columns = X.columns.astype(str)."
        )
    for name, column in features.items():
        if is_number(column):
            if column.dtype.kind == "c":
                raise ValueError(f"The column {name!r} holds complex numbers: pass real ones.")
            if np.abs(column.to_numpy(dtype=float, na_value=np.nan)).max(initial=0.0) > _LARGEST:
                raise ValueError(
                    f"The column {name!r} holds infinity or values too large to square: replace "
                    "them by NaN, clip them, or change the unit."
                )
        elif column.dtype == object:
            kinds = {type(value) for value in column.dropna()}
            strange = [kind.__name__ for kind in kinds if issubclass(kind, _CONTAINERS)]
            if strange:
                raise ValueError(
                    f"The column {name!r} holds values of type {strange[0]}: every cell must be a "
                    "number or a text."
                )


def encode(encoder: ColumnTransformer | None, features: pd.DataFrame | np.ndarray) -> np.ndarray:
    """Return a table as an array of numbers.

    Parameters
    ----------
    encoder : ColumnTransformer or None
        From :func:`fit_encoder`.
    features : DataFrame or ndarray of shape (n, d)
        Rows.

    Returns
    -------
    ndarray of shape (n, m)

    Raises
    ------
    ValueError
        Without an encoder, if a column holds text, NaN or infinity.
    """
    if encoder is None:
        return check_numbers(features)
    return encoder.transform(features).to_numpy()


def is_number(column: pd.Series) -> bool:
    """Return whether a column is encoded as a number (booleans are categories).

    Parameters
    ----------
    column : Series
        A column of a table.

    Returns
    -------
    bool
        Whether its type is numeric and not boolean.
    """
    is_numeric = pd.api.types.is_numeric_dtype(column)
    return is_numeric and not pd.api.types.is_bool_dtype(column)


def _column_name(feature: str, category: str) -> str:
    return f"{feature}={INFREQUENT if category == 'infrequent_sklearn' else category}"


def _as_text(column: pd.Series) -> pd.Series:
    if column.dtype == object and pd.api.types.infer_dtype(column, skipna=True) != "string":
        # 1 and True are equal and their texts are not.
        return column.map(str).where(column.notna(), MISSING).astype(object)
    codes, values = pd.factorize(column)
    # The last one is that of missing values, whose position is -1.
    texts = np.array([*map(str, values.astype(object)), MISSING], dtype=object)
    return pd.Series(texts[codes], index=column.index, name=column.name, dtype=object)


def _finite(numbers: pd.DataFrame) -> pd.DataFrame:
    return numbers.astype(float).replace([np.inf, -np.inf], np.nan)
