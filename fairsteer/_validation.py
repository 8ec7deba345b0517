"""Checks that turn a user's X, y, sensitive_features and weights into arrays and codes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import narwhals.stable.v1 as nw
import numpy as np
import pandas as pd
from scipy import sparse
from sklearn import get_config
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.multiclass import type_of_target

from fairsteer.core.messages import abbreviate, shorten
from fairsteer.core.moments import sorted_values

_ONE_SOURCE = (
    "Pass the sensitive attribute either as columns of X (sensitive_feature_ids) or as "
    "sensitive_features"
)

_DIGESTED = 1_000
_CONTAINERS = (list, tuple, dict, set, np.ndarray)
NO_WEIGHT = "sample_weight is zero in every row: at least one row needs a positive weight."


class Attribute(NamedTuple):
    """Values of the sensitive attribute: one array per column, and the columns' names.

    ``named`` is whether they are columns of a frame that is matched to that of fit by name.
    """

    columns: list[np.ndarray]
    names: list[object]
    named: bool = False


def as_pandas(data: Any) -> Any:
    """Convert tables and columns with types of their own to pandas; return other data unchanged.

    These are frames and series of polars, pyarrow etc., structured arrays, and pandas' indexes and
    extension arrays.

    Raises
    ------
    TypeError
        If a frame is lazy.
    """
    if isinstance(data, np.ndarray):
        return as_pandas(pd.DataFrame(data)) if data.dtype.names else data
    if isinstance(data, pd.DataFrame):
        if all(map(_is_native, set(data.dtypes))):
            return data
        columns = {j: as_pandas(data.iloc[:, j]) for j in range(data.shape[1])}
        return pd.DataFrame(columns, index=data.index).set_axis(data.columns, axis=1)
    if isinstance(data, pd.Series):
        # pandas cannot take rows of numbers whose bytes are in the other order.
        return data if _is_native(data.dtype) else data.astype(data.dtype.newbyteorder("="))
    if isinstance(data, pd.MultiIndex):
        return data.to_frame(index=False)
    if isinstance(data, pd.Index | pd.api.extensions.ExtensionArray):
        return pd.Series(data, name=getattr(data, "name", None))
    arrow = nw.dependencies.get_pyarrow()
    if arrow is not None and isinstance(data, arrow.Table | arrow.RecordBatch):
        columns = dict(enumerate(map(as_pandas, data.columns)))
        return pd.DataFrame(columns).set_axis(data.schema.names, axis=1)
    if arrow is not None and isinstance(data, arrow.Array):
        data = arrow.chunked_array([data])
    native = nw.from_native(data, allow_series=True, pass_through=True)
    if isinstance(native, nw.LazyFrame):
        raise TypeError(
            f"{type(data).__name__} is a lazy table without rows in memory: pass its .collect() "
            "(or .compute())."
        )
    if isinstance(native, nw.Series):
        return pd.Series(_values(native), name=native.name)
    if isinstance(native, nw.DataFrame):
        # Column by column: to_pandas() of polars would need pyarrow.
        columns = {name: pd.Series(_values(native[name])) for name in native.columns}
        return pd.DataFrame(columns, columns=native.columns)
    return data


def _is_native(dtype: Any) -> bool:
    return not isinstance(dtype, np.dtype) or dtype.isnative


def _refuse_repeated_names(names: pd.Index) -> None:
    if not names.is_unique:
        name, listed = names[names.duplicated()].tolist()[0], names.tolist()
        raise ValueError(
            f"The name {name!r} appears {listed.count(name)} times in X, where columns are found "
            "by name and not by position: rename or drop the other columns."
        )


def _values(series: Any) -> np.ndarray:
    if series.dtype.is_numeric():
        return series.to_numpy()
    if series.dtype == nw.Boolean and series.null_count() == 0:
        return series.to_numpy()
    return np.array([*series.to_list(), None], dtype=object)[:-1]


def check_table(X: Any) -> Any:
    """Return X as a pandas frame or a 2-d array, refusing sparse input.

    Raises
    ------
    TypeError
        If X is sparse.
    ValueError
        If X is an array of text or complex numbers, has two columns of one name, or is not a table
        with at least one row and one column.
    """
    if sparse.issparse(X):
        raise TypeError(
            "Sparse input is not supported, because steering mixes all features: make it dense, "
            "for instance with OneHotEncoder(sparse_output=False) or "
            "ColumnTransformer(sparse_threshold=0)."
        )
    X = as_pandas(X)
    if isinstance(X, pd.DataFrame):
        if len(X) == 0:
            raise ValueError("Found array with 0 sample(s): X is a frame without rows.")
        if X.shape[1] == 0:
            raise ValueError("Found array with 0 feature(s): X is a frame without columns.")
        _refuse_repeated_names(X.columns)
        return X
    if isinstance(X, Mapping):
        raise ValueError(f"X is a {type(X).__name__}: pass it as a table, pandas.DataFrame(X).")
    X = _unmasked(X)
    if isinstance(X, np.ndarray) and X.ndim in (0, 1):
        # The sentence of scikit-learn repeats the array.
        raise ValueError(
            f"Expected 2D array, got {X.ndim}D array instead: X has the shape {X.shape}. "
            "Reshape your data by array.reshape(-1, 1) for one feature, or "
            "array.reshape(1, -1) for one row."
        )
    if getattr(X, "dtype", np.dtype(float)).kind == "c":
        raise ValueError("Complex data not supported: X holds complex numbers, pass real ones.")
    X = check_array(X, dtype=None, ensure_all_finite=False)
    if X.dtype.kind in "UST":
        raise ValueError(
            "X is an array of text, in which numbers are text too: pass a DataFrame, or an array "
            "of numbers with the attribute as sensitive_features."
        )
    return X


def digest_table(X: Any) -> str:
    """Return a digest of the values of a table, from at most 1,000 rows at equal steps.

    Frames and arrays of the same numbers have the same digest.
    """
    table = check_table(X)
    n_rows = table.shape[0]
    chosen = np.arange(min(n_rows, _DIGESTED)) * n_rows // min(n_rows, _DIGESTED)
    rows = take_rows(table, chosen)
    numbers = _plain_numbers(rows)
    if numbers is None:
        numbers = pd.util.hash_pandas_object(pd.DataFrame(rows).astype(str), index=False).to_numpy()
    else:
        numbers = np.ascontiguousarray(numbers, dtype=np.float64)
    return hashlib.sha256(f"{table.shape}".encode() + numbers.tobytes()).hexdigest()


def sensitive_positions(X: Any, ids: Any) -> list[int]:
    """Return the positions of the sensitive columns of X.

    Parameters
    ----------
    X : DataFrame or ndarray of shape (n, p)
        The table.
    ids : str, int or sequence of these
        Names or positions of columns; several columns mean their intersection. Several parts that
        make up the name of a column of a MultiIndex are this name.

    Raises
    ------
    ValueError
        If a column is missing, ambiguous or named twice in `ids`, if a name is given for a table
        without column names, or if no other column is left.
    """
    names = X.columns.tolist() if isinstance(X, pd.DataFrame) else []
    wanted = [ids] if isinstance(ids, str | int | np.integer) else list(ids)
    if tuple(wanted) in names:  # the name of a column of a MultiIndex
        wanted = [tuple(wanted)]
    if not wanted:
        raise ValueError(f"sensitive_feature_ids is empty. {_ONE_SOURCE}.")
    if not names and all(isinstance(column, bool | np.bool_) for column in wanted):
        raise ValueError(
            "sensitive_feature_ids is a mask of booleans: pass the positions or names of the "
            "sensitive columns, for instance numpy.flatnonzero(mask)."
        )
    positions = [_position(X, column) for column in wanted]
    if len(set(positions)) < len(positions):
        raise ValueError(
            f"sensitive_feature_ids={abbreviate(wanted)} names the same column twice: name each "
            "column once."
        )
    if len(positions) == X.shape[1]:
        raise ValueError(
            f"X has {X.shape[1]} feature(s), all of them sensitive: pass at least one feature that "
            "can be steered."
        )
    return positions


def _position(X: Any, column: Any) -> int:
    n_columns = X.shape[1]
    names = X.columns.tolist() if isinstance(X, pd.DataFrame) else []
    found = [k for k, name in enumerate(names) if name == column]
    if isinstance(column, int | np.integer) and not isinstance(column, bool):
        if -n_columns <= column < n_columns:
            place = int(column) % n_columns
            if found in ([], [place]):
                return place
            raise ValueError(
                f"The sensitive column {column} is both a position and the name of another "
                "column: use strings as column names."
            )
        if not found:
            raise ValueError(
                f"The sensitive column {column} does not exist: X has {n_columns} feature(s), "
                f"numbered from 0."
            )
    if not isinstance(X, pd.DataFrame):
        raise ValueError(
            f"The sensitive column {shorten(column)} is given by name, but X has no column names. "
            "If a previous step dropped them, call .set_output(transform='pandas') on that step, "
            "or give the position of the column."
        )
    if not found:
        renamed = [name for name in names if str(name).endswith(f"__{column}")]
        remedy = ""
        if renamed:
            remedy = (
                f" A ColumnTransformer seems to have renamed it to {renamed[0]!r}: use that name, "
                "or set verbose_feature_names_out=False in the ColumnTransformer."
            )
        raise ValueError(
            f"The sensitive column {shorten(column)} is not in X, whose columns are "
            f"{abbreviate(names)}.{remedy}"
        )
    return found[0]


def take_columns(X: Any, positions: Any) -> Any:
    """Return some columns of a frame or array, by position."""
    return X.iloc[:, positions] if isinstance(X, pd.DataFrame) else X[:, positions]


def take_rows(values: Any, rows: np.ndarray) -> Any:
    """Return some rows of an attribute or table of any type, by position."""
    if isinstance(values, Mapping):
        return {name: take_rows(column, rows) for name, column in values.items()}
    values = as_pandas(values)
    if isinstance(values, pd.DataFrame | pd.Series):
        return values.iloc[rows]
    return _column_values(values)[rows]


def attribute_from_columns(X: Any, positions: list[int]) -> Attribute:
    """Return the attribute that is one or several columns of X."""
    if isinstance(X, pd.DataFrame):
        columns = [_column_values(X.iloc[:, j]) for j in positions]
        return Attribute(columns, [X.columns[j] for j in positions])
    return Attribute([_column_values(X[:, j]) for j in positions], list(positions))


def _column_values(column: Any) -> np.ndarray:
    """Return numbers as numbers and other values as objects, so that NaN does not become text."""
    column = as_pandas(column)
    dtype = getattr(column, "dtype", None)
    if not isinstance(dtype, np.dtype):
        return np.asarray(column, dtype=object)
    values = _native(np.asarray(_unmasked(column)))
    return values if values.dtype.kind in "biuf" else values.astype(object)


def _unmasked(values: Any) -> Any:
    """Return a masked array as a plain one, with NaN for what is masked."""
    if not isinstance(values, np.ma.MaskedArray):
        return values
    return values.astype(object).filled(np.nan) if np.ma.is_masked(values) else values.data


def _native(values: np.ndarray) -> np.ndarray:
    """Return an array of a type that pandas and scikit-learn can sort and hash.

    Bytes are in the order of this machine, dates and text of variable length are objects, and
    numbers with a fraction have 32 or 64 bits.
    """
    kind = values.dtype.kind
    if kind in "mM":
        return pd.Series(values.ravel()).astype(object).to_numpy().reshape(values.shape)
    if kind == "T":
        return values.astype(object)
    if kind == "f" and values.dtype.itemsize not in (4, 8):
        return values.astype(np.float64)
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def attribute_from_argument(sensitive_features: Any, n_rows: int, *, like: str = "X") -> Attribute:
    """Return the attribute given as ``sensitive_features=``.

    Parameters
    ----------
    sensitive_features : array-like of shape (n,) or (n, m), or mapping of names to columns
        One or several attributes of the rows.
    n_rows : int
        The number of rows that the attribute must have.
    like : str, default="X"
        The argument that has this number of rows.

    Raises
    ------
    ValueError
        If the shape does not fit.
    """
    return _read_attribute(_split_columns(sensitive_features), n_rows, like)


def _split_columns(sensitive_features: Any) -> Attribute:
    """Return the columns of an attribute as they were given, those of pandas with their types."""
    given = as_pandas(sensitive_features)
    if isinstance(given, pd.DataFrame):
        columns = [given.iloc[:, j] for j in range(given.shape[1])]
        return Attribute(columns, list(given.columns), named=True)
    if isinstance(given, Mapping):
        return Attribute([as_pandas(column) for column in given.values()], list(given), named=True)
    name = getattr(given, "name", None)
    name = "sensitive_features" if name is None or name == "" else name
    if isinstance(given, pd.Series):
        return Attribute([given], [name])
    values = _column_values(given)
    if values.ndim != 2 or values.shape[1] == 1:
        return Attribute([values[:, 0] if values.ndim == 2 else values], [name])
    names = [f"{name}[:, {j}]" for j in range(values.shape[1])]
    return Attribute(list(values.T), names)


def _read_attribute(given: Attribute, n_rows: int, like: str) -> Attribute:
    """Return an attribute with its columns as arrays, each with a value for every row."""
    columns = [_column_values(column) for column in given.columns]
    for column in columns:
        if column.ndim != 1:
            raise ValueError(
                "sensitive_features must have shape (n_rows,) or (n_rows, n_attributes), got "
                f"{column.shape}."
            )
        if len(column) != n_rows:
            raise ValueError(
                f"sensitive_features has {len(column)} rows, but {like} has {n_rows}: pass one "
                "value per row."
            )
    if not columns:
        raise ValueError(
            "sensitive_features must have shape (n_rows,) or (n_rows, n_attributes), got "
            f"({n_rows}, 0)."
        )
    return given._replace(columns=columns)


def add_absent_columns(X: Any, names: list[object] | None, positions: np.ndarray) -> Any:
    """Return a frame with columns of missing values in place of sensitive columns that it lacks.

    An array is returned unchanged: without names it is unknown which of its columns is absent.

    Parameters
    ----------
    X : DataFrame or ndarray of shape (n, p)
        New rows.
    names : list or None
        Names of the columns of X in fit; None if it was an array.
    positions : ndarray of int
        Positions of the sensitive columns in fit.
    """
    if names is None or not isinstance(X, pd.DataFrame):
        return X
    present = set(X.columns)
    absent = [j for j in np.sort(positions) if names[j] not in present]
    X = X.copy(deep=False) if absent else X
    for j in absent:
        X.insert(min(j, X.shape[1]), names[j], None)
    return X


def check_order(X: Any, names: list[object] | None) -> None:
    """Refuse a frame with the columns of fit in another order.

    scikit-learn checks names that are text; this check is for numbers and tuples.

    Raises
    ------
    ValueError
        If the order differs.
    """
    if names is None or not isinstance(X, pd.DataFrame):
        return
    found = X.columns.tolist()
    if found != names and sorted(map(repr, found)) == sorted(map(repr, names)):
        raise ValueError(
            f"The columns of X are {abbreviate(found)}, but fit saw {abbreviate(names)}: pass them "
            "in the same order."
        )


def find_attribute(
    X: Any, sensitive_features: Any, positions: Any, *, required: bool = True
) -> Attribute | None:
    """Return the attribute of rows, from columns of X or from the argument.

    Parameters
    ----------
    X : DataFrame or ndarray of shape (n, p)
        The table.
    sensitive_features : array-like of shape (n,) or (n, m), or None
        The attribute, unless it is a column of X.
    positions : sequence of int
        Positions of the sensitive columns of X, none where the attribute is an argument.
    required : bool, default=True
        Whether a missing attribute is an error; otherwise None is returned.

    Raises
    ------
    ValueError
        If the attribute is given twice, is missing, or does not have a row for each of X.
    """
    if len(positions) and sensitive_features is not None:
        raise ValueError(f"{_ONE_SOURCE}, not both.")
    if len(positions):
        return attribute_from_columns(X, list(positions))
    if sensitive_features is not None:
        _refuse_other_order(X, sensitive_features)
        return attribute_from_argument(sensitive_features, X.shape[0])
    if not required:
        return None
    if get_config()["enable_metadata_routing"]:
        raise ValueError(
            "The sensitive attribute is missing: keep it in columns of X and name them by "
            "sensitive_feature_ids, which works in every tool, or pass sensitive_features= where "
            "the tool routes it."
        )
    raise ValueError(
        "The sensitive attribute is missing: name its columns in X by sensitive_feature_ids, "
        "or pass sensitive_features= (inside a Pipeline this needs "
        "sklearn.set_config(enable_metadata_routing=True))."
    )


def _refuse_other_order(X: Any, sensitive_features: Any) -> None:
    """Raise ValueError if the attribute has the row labels of X in another order."""
    own = getattr(X, "index", None)
    other = getattr(sensitive_features, "index", None)
    if not isinstance(own, pd.Index) or not isinstance(other, pd.Index):
        return
    if len(own) != len(other) or own.equals(other) or not (own.is_unique and other.is_unique):
        return
    if own.isin(other).all():
        raise ValueError(
            "sensitive_features has the index of X in another order, but rows are matched by "
            "position: pass sensitive_features.loc[X.index]."
        )


def match_attribute(attribute: Attribute, names: list[object] | None) -> Attribute:
    """Return the columns of an attribute in the order of those seen in fit.

    Parameters
    ----------
    attribute : Attribute
        Of new rows.
    names : list or None
        Names of the columns seen in fit, each None if they had none; None before any fit.

    Raises
    ------
    ValueError
        If there are more or fewer columns than in fit, or several columns of a frame have other
        names.
    """
    if names is None:
        return attribute
    if len(attribute.columns) != len(names):
        raise ValueError(
            f"The sensitive attribute has {len(attribute.columns)} column(s), but fit saw "
            f"{len(names)}: pass the same columns."
        )
    if len(names) == 1 or names[0] is None or not attribute.named or attribute.names == names:
        return attribute
    if len(set(names)) < len(names) or set(attribute.names) != set(names):
        raise ValueError(
            f"The columns of the sensitive attribute are {abbreviate(attribute.names)}, but fit "
            f"saw {abbreviate(names)}: pass columns of the same names, each with its own."
        )
    order = [attribute.names.index(name) for name in names]
    return Attribute([attribute.columns[k] for k in order], list(names), named=True)


def attribute_names(attribute: Attribute) -> list[object]:
    """Return the names to match later attributes to, each None where columns have no names."""
    return list(attribute.names) if attribute.named else [None] * len(attribute.columns)


def attribute_codes(
    attribute: Attribute | None,
    groups: np.ndarray,
    n_rows: int,
    *,
    allow_missing: bool = False,
    allow_unseen: bool = False,
) -> np.ndarray:
    """Return the position of each row's group, -1 where it is missing or unseen and may be.

    Parameters
    ----------
    attribute : Attribute or None
        Of the rows; None where all of it is missing.
    groups : ndarray of shape (G,)
        Groups seen in fit.
    n_rows : int
        Number of rows.
    allow_missing, allow_unseen : bool, default=False
        Whether rows may lack the attribute, or have values that fit did not see.

    Raises
    ------
    ValueError
        If a value is missing or unseen and may not be.
    """
    if attribute is None:
        return np.full(n_rows, -1)
    if allow_missing:
        return known_group_codes(attribute, groups, allow_unseen=allow_unseen)
    return group_codes(group_values(attribute), groups, allow_unseen=allow_unseen)


def split_features(X: Any, positions: Any) -> tuple[np.ndarray, list[Any]]:
    """Return the columns of X that are not sensitive as numbers, and their names."""
    kept = np.delete(np.arange(X.shape[1]), positions)
    names = X.columns[kept].tolist() if isinstance(X, pd.DataFrame) else kept.tolist()
    return check_numbers(take_columns(X, kept) if len(positions) else X), names


def group_values(attribute: Attribute) -> np.ndarray:
    """Return one value per row: numbers, objects, or tuples for several columns.

    Raises
    ------
    ValueError
        If a value is missing or infinite; the message names the column.
    TypeError
        If a value is a container such as a list or a dict.
    """
    _refuse_non_groups(attribute)
    if len(attribute.columns) == 1:
        return attribute.columns[0]
    values = np.empty(len(attribute.columns[0]), dtype=object)
    values[:] = list(zip(*(column.tolist() for column in attribute.columns), strict=True))
    return values


def _refuse_non_groups(attribute: Attribute) -> None:
    for column, name in zip(attribute.columns, attribute.names, strict=True):
        try:
            distinct = pd.unique(column)
        except TypeError as error:
            raise TypeError(
                f"The sensitive column {name!r} holds lists or other containers ({error}): "
                "the argument must be a column of strings or numbers."
            ) from error
        if any(isinstance(value, float | np.floating) and np.isinf(value) for value in distinct):
            raise ValueError(
                f"The sensitive column {name!r} contains infinity: drop these rows, or replace "
                "infinity by another value."
            )
        if pd.isna(distinct).any():
            missing = int(pd.isna(column).sum())
            raise ValueError(
                f"The sensitive column {name!r} has {missing} missing value(s) (NaN or None), but "
                "every row needs a group. Drop these rows, or make missing values a group, for "
                "instance with .fillna('unknown')."
            )


def sorted_groups(values: np.ndarray) -> np.ndarray:
    """Return the distinct groups, sorted; mixed types are sorted by type name first."""
    distinct = sorted_values(pd.unique(values).tolist())
    groups = np.empty(len(distinct), dtype=object)
    groups[:] = distinct
    if distinct and not isinstance(distinct[0], tuple):
        narrow = np.array(distinct)
        if narrow.dtype.kind in "biuf":
            return narrow
    return groups


def coded_groups(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the position of each row's group among the sorted distinct groups, and these."""
    codes, distinct = pd.factorize(values)
    groups = sorted_groups(distinct)
    return group_codes(distinct, groups)[codes], groups


def storable_groups(groups: np.ndarray) -> np.ndarray:
    """Return groups as values that skops can store; `group_codes` finds the original values, too.

    Dates become equal ones of Python, periods and intervals of dates text.
    """
    if groups.dtype != object:
        return groups
    stored = np.empty(len(groups), dtype=object)
    stored[:] = [_storable(group) for group in groups]
    return stored


def _storable(group: Any) -> Any:
    if isinstance(group, tuple):
        return tuple(_storable(part) for part in group)
    if isinstance(group, pd.Timestamp) and group.nanosecond == 0:
        return group.to_pydatetime()
    if isinstance(group, pd.Timedelta) and group.nanoseconds == 0:
        return group.to_pytimedelta()
    if isinstance(group, pd.Interval) and isinstance(group.left, pd.Timestamp | pd.Timedelta):
        return str(group)
    return str(group) if isinstance(group, pd.Period) else group


def _positions_among(values: list[Any], groups: list[Any]) -> np.ndarray:
    """Return the position of each value, or of the value stored for it, -1 where it is new."""
    known = {group: code for code, group in enumerate(groups)}
    places = (known.get(value, known.get(_storable(value), -1)) for value in values)
    return np.fromiter(places, dtype=np.intp, count=len(values))


def index_groups(
    sensitive_features: Any, n_rows: int, *, like: str = "X"
) -> tuple[np.ndarray, pd.Index]:
    """Return the position of each row's group, and the groups as an index.

    Parameters
    ----------
    sensitive_features, n_rows, like
        As in `attribute_from_argument`.

    Returns
    -------
    codes : ndarray of int of shape (n,)
        Positions in ``groups``.
    groups : Index
        The groups that occur, sorted, a categorical column by its categories. A MultiIndex for
        several columns; a single column without a name has none.
    """
    given = _split_columns(sensitive_features)
    attribute = _read_attribute(given, n_rows, like)
    _refuse_non_groups(attribute)
    coded = [_coded_column(*pair) for pair in zip(attribute.columns, given.columns, strict=True)]
    if len(coded) == 1:
        ((codes, groups),) = coded
        name = None if attribute.names[0] == "sensitive_features" else attribute.names[0]
        return codes, pd.Index(groups, dtype=object, name=name, tupleize_cols=False)
    shape = tuple(len(groups) for _, groups in coded)
    places, codes = np.unique(
        np.ravel_multi_index([codes for codes, _ in coded], shape), return_inverse=True
    )
    parts = zip(coded, np.unravel_index(places, shape), strict=True)
    levels = [pd.Index(groups, dtype=object)[chosen] for (_, groups), chosen in parts]
    return codes, pd.MultiIndex.from_arrays(levels, names=attribute.names)


def _coded_column(values: np.ndarray, given: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return codes and sorted groups; the categories of a pandas column decide on the order."""
    if not isinstance(given, pd.Series) or not isinstance(given.dtype, pd.CategoricalDtype):
        return coded_groups(values)
    places, codes = np.unique(given.cat.codes, return_inverse=True)
    return codes, given.cat.categories.to_numpy(dtype=object)[places]


def group_codes(
    values: np.ndarray, groups: np.ndarray, *, allow_unseen: bool = False
) -> np.ndarray:
    """Return the position of each row's group, -1 for an unseen group if those are allowed.

    Raises
    ------
    ValueError
        If a group is not among ``groups``, unless unseen groups are allowed.
    """
    codes, distinct = pd.factorize(values)
    places = _positions_among(distinct.tolist(), groups.tolist())
    unknown = distinct[places < 0]
    if len(unknown) and not allow_unseen:
        raise ValueError(
            f"The group(s) {abbreviate(unknown)} were not seen in fit: the groups are "
            f"{abbreviate(groups)}. Refit with rows of every group, drop these rows, or set "
            "handle_unknown='pooled' to use the map of the whole population for them."
        )
    return places[codes]


def known_group_codes(
    attribute: Attribute, groups: np.ndarray, *, allow_unseen: bool = False
) -> np.ndarray:
    """Return the position of each row's group, -1 where any part of the attribute is missing.

    Raises
    ------
    ValueError
        If a group, or the known part of an incomplete attribute, is not among ``groups``, unless
        unseen groups are allowed (their code is -1, too).
    """
    missing = [pd.isna(column) for column in attribute.columns]
    present = ~np.any(missing, axis=0)
    codes = np.full(len(present), -1, dtype=np.intp)
    known = Attribute([column[present] for column in attribute.columns], attribute.names)
    codes[present] = group_codes(group_values(known), groups, allow_unseen=allow_unseen)
    if len(attribute.columns) > 1 and not allow_unseen:
        for k, (column, name) in enumerate(zip(attribute.columns, attribute.names, strict=True)):
            values = pd.unique(column[~missing[k]])
            unseen = values[_positions_among(values.tolist(), [group[k] for group in groups]) < 0]
            if len(unseen):
                raise ValueError(
                    f"The value(s) {abbreviate(unseen)} of the sensitive column {name!r} were not "
                    f"seen in fit: the groups are {abbreviate(groups)}. Refit with rows of every "
                    "group, or drop these rows."
                )
    return codes


def check_numbers(features: Any) -> np.ndarray:
    """Return features as a float array: float32 is kept, everything else becomes float64.

    Raises
    ------
    ValueError
        If a column holds text, NaN or infinity; the message names the columns.
    """
    names = (
        features.columns.tolist()
        if isinstance(features, pd.DataFrame)
        else list(range(features.shape[1]))
    )
    columns, numbers = [], _plain_numbers(features)
    if numbers is None:
        columns = [_as_float(column) for column in _columns(features)]
        numbers = None if any(c is None for c in columns) else np.column_stack(columns)
    if numbers is None:
        text = [name for name, column in zip(names, columns, strict=True) if column is None]
        first = _columns(features)[names.index(text[0])]
        if first.dtype == object and first.map(lambda cell: isinstance(cell, _CONTAINERS)).any():
            raise TypeError(
                f"Column(s) {abbreviate(text)} hold lists or other containers: the argument must "
                "be a table of strings or numbers, one in each cell."
            )
        raise ValueError(
            f"Column(s) {abbreviate(text)} hold text or objects, but steering needs numbers: "
            "encode them first, for instance with OneHotEncoder(sparse_output=False) in a "
            "ColumnTransformer."
        )
    with np.errstate(over="ignore", invalid="ignore"):
        finite = np.isfinite(numbers.sum())
    if not finite:
        _refuse_infinite(numbers, names)
    _refuse_rounded(features, numbers, names)
    return numbers


def _refuse_rounded(features: Any, numbers: np.ndarray, names: list[Any]) -> None:
    """Raise if integers differ only beyond the digits of the numbers they become."""
    dtypes = list(features.dtypes) if isinstance(features, pd.DataFrame) else [features.dtype]
    if not any(getattr(dtype, "kind", "O") in "iuO" for dtype in dtypes):
        return
    large = np.maximum(numbers.max(axis=0), -numbers.min(axis=0)) >= 2.0**53
    columns = _columns(features) if large.any() else []
    rounded = [
        names[j]
        for j in np.flatnonzero(large)
        if columns[j].nunique() > len(np.unique(numbers[:, j]))
    ]
    if rounded:
        raise ValueError(
            f"Column(s) {abbreviate(rounded)} hold integers that differ only beyond the 15 digits "
            "of double precision: subtract an offset first, or drop these columns."
        )


def _refuse_infinite(numbers: np.ndarray, names: list[Any]) -> None:
    """Raise if there is NaN or infinity; finite numbers whose sum overflows pass."""
    bad = ~np.isfinite(numbers)
    if bad.any():
        columns = [name for name, b in zip(names, bad.any(axis=0), strict=True) if b]
        has_nan, has_infinity = np.isnan(numbers).any(), np.isinf(numbers).any()
        kind = "NaN and infinity" if has_nan and has_infinity else "NaN" if has_nan else "infinity"
        first = "replace infinity by NaN, then " if has_infinity else ""
        raise ValueError(
            f"Input X contains {kind} in column(s) {abbreviate(columns)} "
            f"({int(bad.any(axis=1).sum())} rows): {first}put an imputer such as SimpleImputer() "
            "before steering, or drop these rows."
        )


def _plain_numbers(features: Any) -> np.ndarray | None:
    """Return a table of plain numbers as one array, without a copy if possible; else None."""
    if isinstance(features, pd.DataFrame):
        dtypes = set(features.dtypes)
        if not all(isinstance(dtype, np.dtype) and dtype.kind in "biuf" for dtype in dtypes):
            return None
        dtype = np.float32 if all(map(_is_single, dtypes)) else np.float64
        return np.ascontiguousarray(features.to_numpy(dtype=dtype))
    if features.dtype.kind not in "biuf":
        return None
    return features.astype(np.float32 if _is_single(features.dtype) else np.float64, copy=False)


def _is_single(dtype: Any) -> bool:
    """Return whether numbers are float32, in any order of bytes."""
    return bool(dtype.kind == "f" and dtype.itemsize == 4)


def _columns(features: Any) -> list[pd.Series]:
    if isinstance(features, pd.DataFrame):
        return [features.iloc[:, j] for j in range(features.shape[1])]
    return [pd.Series(column) for column in features.T]


def _as_float(column: pd.Series) -> np.ndarray | None:
    types = pd.api.types
    if isinstance(column.dtype, pd.CategoricalDtype):
        numbers = _as_float(column.cat.categories.to_series())
        # The last number is that of missing values, whose position is -1.
        return None if numbers is None else np.append(numbers, np.nan)[column.cat.codes]
    try:
        if column.dtype == object:
            column = pd.to_numeric(column)
            # Integers of more than 64 bits stay objects.
            if column.dtype == object and column.map(lambda cell: isinstance(cell, int)).all():
                column = column.astype(np.float64)
        real = types.is_numeric_dtype(column) and not types.is_complex_dtype(column)
        if not (real or types.is_bool_dtype(column)):
            return None
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        return None


def check_labels(y: Any, n_rows: int) -> np.ndarray:
    """Return y as a 1-d array of class labels.

    Raises
    ------
    ValueError
        If y is None, has missing values, is continuous, mixes types, or does not have ``n_rows``
        labels.
    """
    if y is None:
        raise ValueError(
            "Steering requires y to be passed, but the target y is None: pass one label per row."
        )
    labels = _as_array(y, "y")
    # scikit-learn's message about complex numbers would list them.
    labels = labels.ravel() if labels.dtype.kind == "c" else column_or_1d(labels, warn=True)
    if len(labels) != n_rows:
        raise ValueError(f"y has {len(labels)} labels, but X has {n_rows} rows.")
    _refuse_missing_labels(labels, "y")
    if labels.dtype == object:
        plain = pd.Series(labels).infer_objects().to_numpy()
        labels = plain if plain.dtype.kind in "biuf" else labels
    distinct = pd.unique(labels)
    if labels.dtype.kind not in "biuf" and not all(isinstance(v, str) for v in distinct.tolist()):
        types = sorted({type(label).__name__ for label in distinct.tolist()})
        raise ValueError(
            f"Unknown label type: y is an array of objects (of type {', '.join(types)}), but "
            "steering needs labels of one type, text or numbers: convert it, for instance with "
            "y.astype(int) or y.astype(str)."
        )
    # type_of_target warns if there are few rows per label; then repeat the distinct labels.
    few = 3 * len(distinct) <= len(labels)
    if few and labels.dtype.kind in "biu":
        return labels
    if type_of_target(np.repeat(distinct, 3) if few else labels, input_name="y") == "continuous":
        raise ValueError(
            "Unknown label type: y is continuous, but steering needs class labels: bin it first, "
            "for instance with y > y.mean()."
        )
    return labels


def check_column(
    y: Any, name: str, n_rows: int | None = None, *, like: str = "y_true"
) -> np.ndarray:
    """Return labels or predictions of any type as a 1-d array.

    Parameters
    ----------
    y : array-like of shape (n,) or (n, 1)
        The values.
    name : str
        The argument, for messages.
    n_rows : int, optional
        The number of rows that the column must have.
    like : str, default="y_true"
        The argument that has this number of rows.

    Raises
    ------
    ValueError
        If there is not one column, no row, another number of rows, or a missing value.
    """
    column = _as_array(y, name)
    if column.ndim == 2 and column.shape[1] == 1:
        column = column[:, 0]
    if column.ndim != 1 or len(column) == 0:
        raise ValueError(
            f"{name} must be one column with at least one row, got the shape {column.shape}."
        )
    if n_rows is not None and len(column) != n_rows:
        raise ValueError(
            f"{name} has {len(column)} rows, but {like} has {n_rows}: pass one value per row."
        )
    _refuse_missing_labels(column, name)
    return column


def _as_array(values: Any, name: str) -> np.ndarray:
    values = as_pandas(values)
    if not isinstance(values, list | tuple):
        return _native(np.asarray(_unmasked(values)))
    objects = np.asarray(values, dtype=object)
    if any(isinstance(value, list | tuple | np.ndarray) for value in objects.flat):
        raise ValueError(f"The rows of {name} differ in length: pass one value per row.")
    array = _native(np.asarray(values))
    # NumPy turns the 1 and the NaN in ["a", 1, nan] into text.
    text = array.dtype.kind in "US" and all(isinstance(v, str | bytes) for v in objects.flat)
    return array if text or array.dtype.kind not in "US" else objects


def _refuse_missing_labels(labels: np.ndarray, name: str) -> None:
    missing = int(pd.isna(labels).sum())
    if missing:
        raise ValueError(
            f"Input {name} contains NaN or None in {missing} row(s): drop the rows without a label."
        )


def sort_labels(*columns: np.ndarray, names: str) -> np.ndarray:
    """Return the distinct labels of several columns, sorted.

    Raises
    ------
    ValueError
        If the labels cannot be compared; ``names`` says which arguments they are from.
    """
    try:
        return np.unique(np.concatenate([column.astype(object) for column in columns]))
    except TypeError:
        raise ValueError(
            f"{names} mix labels of several types, such as text and numbers: convert them to one "
            "type, for instance with .astype(str)."
        ) from None


def check_true_labels(y_true: Any) -> np.ndarray:
    """Return true labels as a 1-d array.

    Raises
    ------
    ValueError
        If there is not one column, no row, a missing value, or the values are continuous.
    """
    labels = check_column(y_true, "y_true")
    if _has_fractions(_distinct(labels, "y_true")):
        raise ValueError(
            "y_true is continuous, but labels are needed: bin it first, for instance with "
            "y_true > y_true.mean()."
        )
    return labels


def refuse_scores(y_pred: np.ndarray, labels: Any = None, name: str = "y_pred") -> None:
    """Refuse scores, such as probabilities, where labels are needed.

    Parameters
    ----------
    y_pred : ndarray of shape (n,)
        Predictions, from `check_column`.
    labels : list, default=None
        The labels, sorted, if they are known.
    name : str, default="y_pred"
        The argument, for messages.

    Raises
    ------
    ValueError
        If a value has a fraction; the message says how to turn scores into labels.
    """
    distinct = _distinct(y_pred, name)
    if not _has_fractions(distinct):
        return
    remedy = "predict the label of the largest score"
    if labels is not None and len(labels) == 2:
        low, high = map(shorten, labels)
        remedy = f"turn them into labels, for instance by np.where({name} >= 0.5, {high}, {low})"
    raise ValueError(
        f"{name} has scores where labels are needed, {abbreviate(distinct, 3)}: {remedy}."
    )


def check_predictions(y_pred: np.ndarray, labels: list[Any], name: str = "y_pred") -> None:
    """Refuse predictions that are no label.

    Parameters
    ----------
    y_pred : ndarray of shape (n,)
        Predictions, from `check_column`.
    labels : list
        The labels that may be predicted, sorted.
    name : str, default="y_pred"
        The argument, for messages.

    Raises
    ------
    ValueError
        If a value is a score or another type or value than the labels.
    """
    refuse_scores(y_pred, labels, name)
    known = set(labels)
    unknown = [value for value in _distinct(y_pred, name) if value not in known]
    if unknown:
        sort_labels(np.array(labels, dtype=object), y_pred, names=f"y_true and {name}")
        raise ValueError(
            f"{name} has the value(s) {abbreviate(unknown)}, which are no label of y_true "
            f"({abbreviate(labels)}): predict its labels only. If y_true lacks rows of a label, "
            "name all labels by labels=."
        )


def _distinct(values: np.ndarray, name: str) -> list[Any]:
    try:
        return pd.unique(values).tolist()
    except TypeError as error:
        raise TypeError(
            f"{name} holds lists or other containers ({error}): pass one label per row."
        ) from error


def _has_fractions(values: list[Any]) -> bool:
    return any(isinstance(v, float | np.floating) and not float(v).is_integer() for v in values)


def coded_labels(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the position of each row's label among the sorted distinct labels, and these."""
    codes, distinct = pd.factorize(labels)
    classes = np.unique(distinct)
    return label_codes(distinct, classes)[codes], classes


def label_codes(labels: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the position of each row's label.

    Raises
    ------
    ValueError
        If a label was not seen in fit.
    """
    codes = pd.Index(classes).get_indexer(labels)
    if np.any(codes < 0):
        unknown = pd.unique(labels[codes < 0]).tolist()
        raise ValueError(
            f"The label(s) {abbreviate(unknown)} were not seen in fit; the labels are "
            f"{abbreviate(classes)}. Refit with rows of every label, or drop these rows."
        )
    return codes


def check_frequencies(sample_weight: Any, n_rows: int, *, allow_zero: bool = False) -> np.ndarray:
    """Return sample weights as frequencies of shape (n,); all ones without weights.

    Parameters
    ----------
    sample_weight : array-like of shape (n,), float or None
        The weights.
    n_rows : int
        Number of rows.
    allow_zero : bool, default=False
        Whether all may be zero, as in a batch.

    Raises
    ------
    ValueError
        If a weight is negative, missing or infinite, all are zero and may not be, or the shape does
        not fit.
    """
    if sample_weight is None:
        return np.ones(n_rows)
    given = _as_array(sample_weight, "sample_weight")
    weights = _as_float(pd.Series(given.ravel()))
    if weights is None:
        raise ValueError("sample_weight must hold numbers: pass one frequency per row.")
    weights = np.full(n_rows, weights[0]) if given.ndim == 0 else weights.reshape(given.shape)
    if weights.shape != (n_rows,):
        raise ValueError(
            f"sample_weight must have shape ({n_rows},), one weight per row, got {weights.shape}."
        )
    if not np.all(np.isfinite(weights)) or np.any(weights < 0.0):
        raise ValueError("sample_weight must hold frequencies that are finite and not negative.")
    if not (allow_zero or np.any(weights > 0.0)):
        raise ValueError(NO_WEIGHT)
    return weights


def row_words(row_ids: Any, n_rows: int) -> np.ndarray | None:
    """Return a 64-bit hash of each row's identifier, None without identifiers.

    A whole number has the same hash as its text, whatever its type.

    Raises
    ------
    ValueError
        If there is not one identifier for each row, or one is missing.
    """
    if row_ids is None:
        return None
    ids = _as_array(row_ids, "row_ids")
    if ids.shape != (n_rows,):
        raise ValueError(
            f"row_ids has the shape {ids.shape}, but X has {n_rows} rows: pass one identifier per "
            "row."
        )
    missing = int(pd.isna(ids).sum())
    if missing:
        raise ValueError(f"row_ids is missing in {missing} row(s): pass an identifier for each.")
    if ids.dtype.kind == "f" and np.all(ids == np.floor(ids)):
        ids = ids.astype(np.int64)
    text = np.array([str(value) for value in ids.tolist()], dtype=object)
    return pd.util.hash_array(text, categorize=False)


def scale_to_rows(weights: np.ndarray) -> np.ndarray:
    """Return weights whose sum is at least the number of rows of positive weight.

    A smaller sum is no count of rows, as where boosting passes weights that sum to 1.
    """
    n_rows = np.count_nonzero(weights)
    if weights.sum() >= n_rows:
        return weights
    shares = weights / weights.max()  # equal weights become exactly 1
    return shares * (n_rows / shares.sum())


def check_variety(classes: np.ndarray, groups: np.ndarray) -> None:
    """Refuse a single label or a single group.

    Raises
    ------
    ValueError
        If there is only one, or no row has a positive weight.
    """
    if len(classes) == 0:
        raise ValueError(NO_WEIGHT)
    if len(classes) < 2:
        raise ValueError(
            f"y has one class only ({classes.tolist()[0]!r}); steering needs rows of at least two "
            "classes."
        )
    if len(groups) < 2:
        raise ValueError(
            f"There is one group only ({groups.tolist()[0]!r}); steering needs rows of at least "
            "two groups."
        )
