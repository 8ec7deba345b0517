"""From what a user passes to arrays and codes; the errors a user sees."""

from __future__ import annotations

from typing import Any, NamedTuple

import narwhals.stable.v1 as nw
import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.multiclass import type_of_target

from fairsteer.core.moments import sorted_values

_ANOTHER_ATTRIBUTE = (
    "Pass the attribute either as columns of X (sensitive_feature_ids) or as sensitive_features=."
)


class Attribute(NamedTuple):
    """Values of the sensitive attribute: one array per column, and the columns' names.

    ``named`` says whether the names are those of a frame's columns.
    """

    columns: list[np.ndarray]
    names: list[object]
    named: bool = False


def as_pandas(data: Any) -> Any:
    """Return a frame or series of polars, pyarrow and the like as pandas', all else as it is.

    Raises
    ------
    TypeError
        If a frame is lazy.
    """
    if isinstance(data, pd.DataFrame | pd.Series | np.ndarray):
        return data
    native = nw.from_native(data, allow_series=True, pass_through=True)
    if isinstance(native, nw.LazyFrame):
        raise TypeError(
            f"{type(data).__name__} is a lazy table, whose rows are not there yet: pass "
            "its .collect()."
        )
    if isinstance(native, nw.Series):
        return pd.Series(_values(native), name=native.name)
    if isinstance(native, nw.DataFrame):
        # Column by column: to_pandas() of polars would need pyarrow.
        columns = {name: pd.Series(_values(native[name])) for name in native.columns}
        return pd.DataFrame(columns, columns=native.columns)
    return data


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
        If X is an array of text, or not a table with at least one row and one column.
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
        return X
    X = check_array(X, dtype=None, ensure_all_finite=False)
    if X.dtype.kind in "US":
        raise ValueError(
            "X is an array of text, in which numbers are text too: pass a DataFrame, or an array "
            "of numbers and the attribute as sensitive_features=."
        )
    return X


def sensitive_positions(X: Any, ids: Any) -> list[int]:
    """Return the positions of the sensitive columns of X.

    Parameters
    ----------
    X : DataFrame or ndarray of shape (n, p)
        The table.
    ids : str, int or sequence of these
        Names or positions of columns; several mean their intersection.

    Raises
    ------
    ValueError
        If a column is missing, ambiguous or named twice, a name is given for a table without
        names, or no other column is left.
    """
    wanted = [ids] if isinstance(ids, str | int | np.integer) else list(ids)
    if not wanted:
        raise ValueError(f"sensitive_feature_ids is empty. {_ANOTHER_ATTRIBUTE}")
    positions = [_position(X, column) for column in wanted]
    if len(set(positions)) < len(positions):
        raise ValueError(f"sensitive_feature_ids={wanted} names the same column twice.")
    if len(positions) == X.shape[1]:
        raise ValueError(
            f"X has {X.shape[1]} feature(s), all of them sensitive, so there is none left to steer."
        )
    return positions


def _position(X: Any, column: Any) -> int:
    n_columns = X.shape[1]
    if isinstance(column, int | np.integer) and not isinstance(column, bool):
        if isinstance(X, pd.DataFrame) and column in X.columns and X.columns[column] != column:
            raise ValueError(
                f"The sensitive column {column} is both a position and the name of another "
                "column: give the columns names that are text."
            )
        if not -n_columns <= column < n_columns:
            raise ValueError(
                f"The sensitive column {column} does not exist: X has {n_columns} columns, "
                f"numbered from 0."
            )
        return int(column) % n_columns
    if not isinstance(X, pd.DataFrame):
        raise ValueError(
            f"The sensitive column {column!r} is given by name, but X has no column names. If a "
            "step before this one dropped them, give that step .set_output(transform='pandas'), "
            "or name the column by its position."
        )
    found = np.flatnonzero(X.columns == column)
    if len(found) == 0:
        renamed = [name for name in X.columns if str(name).endswith(f"__{column}")]
        remedy = ""
        if renamed:
            remedy = (
                f" A ColumnTransformer seems to have named it {renamed[0]!r}: use that name, or "
                "verbose_feature_names_out=False there."
            )
        raise ValueError(
            f"The sensitive column {column!r} is not in X, whose columns are {list(X.columns)}."
            f"{remedy}"
        )
    if len(found) > 1:
        raise ValueError(
            f"The sensitive column {column!r} stands {len(found)} times in X: rename or drop the "
            "others, or name it by its position."
        )
    return int(found[0])


def take_columns(X: Any, positions: Any) -> Any:
    """Return some columns of a frame or array, by position."""
    return X.iloc[:, positions] if isinstance(X, pd.DataFrame) else X[:, positions]


def attribute_from_columns(X: Any, positions: list[int]) -> Attribute:
    """Return the attribute that stands in columns of X."""
    if isinstance(X, pd.DataFrame):
        columns = [_column_values(X.iloc[:, j]) for j in positions]
        return Attribute(columns, [X.columns[j] for j in positions], named=True)
    return Attribute([X[:, j] for j in positions], list(positions))


def _column_values(column: Any) -> np.ndarray:
    """Return numbers as they are, all else as objects: the NaN in ["a", nan] is not a text."""
    plain = isinstance(getattr(column, "dtype", None), np.dtype) and column.dtype.kind in "biuf"
    return np.asarray(column, dtype=None if plain else object)


def attribute_from_argument(sensitive_features: Any, n_rows: int) -> Attribute:
    """Return the attribute given as ``sensitive_features=``.

    Parameters
    ----------
    sensitive_features : array-like of shape (n,) or (n, m)
        One or several attributes of the rows of X.
    n_rows : int
        Rows of X.

    Raises
    ------
    ValueError
        If the shape does not fit.
    """
    sensitive_features = as_pandas(sensitive_features)
    named = isinstance(sensitive_features, pd.DataFrame)
    if named:
        names = list(sensitive_features.columns)
        columns = [_column_values(sensitive_features.iloc[:, j]) for j in range(len(names))]
    else:
        name = getattr(sensitive_features, "name", None) or "sensitive_features"
        values = _column_values(sensitive_features)
        if values.ndim == 2:
            columns = [values[:, j] for j in range(values.shape[1])]
            names = [f"{name}[:, {j}]" for j in range(values.shape[1])]
            names = [name] if len(names) == 1 else names
        else:
            columns, names = [values], [name]
    if not columns or any(column.ndim != 1 for column in columns):
        raise ValueError(
            "sensitive_features must have shape (n_rows,) or (n_rows, n_attributes), got "
            f"{np.shape(sensitive_features)}."
        )
    if len(columns[0]) != n_rows:
        raise ValueError(f"sensitive_features has {len(columns[0])} rows, but X has {n_rows}.")
    return Attribute(columns, names, named)


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
        raise ValueError(
            "Pass the sensitive attribute either as columns of X (sensitive_feature_ids) or as "
            "sensitive_features, not both."
        )
    if len(positions):
        return attribute_from_columns(X, list(positions))
    if sensitive_features is not None:
        return attribute_from_argument(sensitive_features, X.shape[0])
    if not required:
        return None
    raise ValueError(
        "The sensitive attribute is missing: name its columns in X by sensitive_feature_ids, "
        "or pass sensitive_features= (inside a Pipeline this needs "
        "sklearn.set_config(enable_metadata_routing=True))."
    )


def match_attribute(attribute: Attribute, names: list[object] | None) -> Attribute:
    """Return the columns of an attribute in the order of those seen in fit.

    Parameters
    ----------
    attribute : Attribute
        Of new rows.
    names : list or None
        Names of the columns seen in fit; None where they had no names.

    Raises
    ------
    ValueError
        If the columns of a frame have other names than those seen in fit, or are more or fewer.
    """
    if names is None or not attribute.named:
        if names is not None and len(attribute.columns) != len(names):
            raise ValueError(
                f"The sensitive attribute has {len(attribute.columns)} column(s), but fit saw the "
                f"{len(names)} column(s) {names}: pass the same columns."
            )
        return attribute
    if attribute.names == names:
        return attribute
    if sorted(map(repr, attribute.names)) != sorted(map(repr, names)):
        raise ValueError(
            f"The columns of the sensitive attribute are {attribute.names}, but fit saw {names}: "
            "pass columns of the same names."
        )
    order = [attribute.names.index(name) for name in names]
    return Attribute([attribute.columns[k] for k in order], list(names), named=True)


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
    """Return one value a row: numbers, objects, or tuples for several columns.

    Raises
    ------
    ValueError
        If a value is missing or infinite; the message names the column.
    TypeError
        If a value is a container such as a list or a dict.
    """
    for column, name in zip(attribute.columns, attribute.names, strict=True):
        try:
            distinct = pd.unique(column)
        except TypeError as error:
            raise TypeError(
                f"The sensitive column {name!r} holds lists or other containers ({error}): the "
                "argument must be a column of strings or numbers."
            ) from error
        if any(isinstance(value, float | np.floating) and np.isinf(value) for value in distinct):
            raise ValueError(
                f"The sensitive column {name!r} contains infinity, which is no group: drop these "
                "rows, or replace it by a value of its own."
            )
        if pd.isna(distinct).any():
            missing = int(pd.isna(column).sum())
            raise ValueError(
                f"The sensitive column {name!r} has {missing} missing value(s) (NaN or None): "
                "steering needs the group of every row. Drop these rows, or make missingness a "
                "group of its own, for instance with .fillna('unknown')."
            )
    if len(attribute.columns) == 1:
        return attribute.columns[0]
    values = np.empty(len(attribute.columns[0]), dtype=object)
    values[:] = list(zip(*(column.tolist() for column in attribute.columns), strict=True))
    return values


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
    """Return the position of each row's group among the distinct groups, and these, sorted."""
    codes, distinct = pd.factorize(values)
    groups = sorted_groups(distinct)
    return group_codes(distinct, groups)[codes], groups


def group_codes(
    values: np.ndarray, groups: np.ndarray, *, allow_unseen: bool = False
) -> np.ndarray:
    """Return the position of each row's group, -1 where it is unseen and that is allowed.

    Raises
    ------
    ValueError
        If a row belongs to a group that is not among ``groups``, unless that is allowed.
    """
    codes, distinct = pd.factorize(values)
    known = {group: code for code, group in enumerate(groups.tolist())}
    unknown = [value for value in distinct.tolist() if value not in known]
    if unknown and not allow_unseen:
        raise ValueError(
            f"The group(s) {unknown} were not seen in fit, so there is no map for them: the groups "
            f"are {groups.tolist()}. Refit with rows of every group, drop these rows, or move them "
            "as the population by handle_unknown='pooled'."
        )
    lookup = np.array([known.get(value, -1) for value in distinct], dtype=np.intp)
    return lookup[codes]


def known_group_codes(
    attribute: Attribute, groups: np.ndarray, *, allow_unseen: bool = False
) -> np.ndarray:
    """Return the position of each row's group, -1 where any part of the attribute is missing.

    Raises
    ------
    ValueError
        If a row belongs to a group that is not among ``groups``, or a known part of its attribute
        to none of them, unless unseen groups are allowed (-1, too).
    """
    missing = [pd.isna(column) for column in attribute.columns]
    present = ~np.any(missing, axis=0)
    codes = np.full(len(present), -1, dtype=np.intp)
    known = Attribute([column[present] for column in attribute.columns], attribute.names)
    codes[present] = group_codes(group_values(known), groups, allow_unseen=allow_unseen)
    if len(attribute.columns) > 1 and not allow_unseen:
        for k, (column, name) in enumerate(zip(attribute.columns, attribute.names, strict=True)):
            seen = {group[k] for group in groups}
            strange = [v for v in pd.unique(column[~missing[k]]).tolist() if v not in seen]
            if strange:
                raise ValueError(
                    f"The value(s) {strange} of the sensitive column {name!r} were not seen in "
                    f"fit: the groups are {groups.tolist()}. Refit with rows of every group, or "
                    "drop these rows."
                )
    return codes


def check_numbers(features: Any) -> np.ndarray:
    """Return features as a float array: float32 stays, everything else becomes float64.

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
    columns, numbers = [], _as_they_are(features)
    if numbers is None:
        columns = [_as_float(column) for column in _columns(features)]
        numbers = None if any(c is None for c in columns) else np.column_stack(columns)
    if numbers is None:
        text = [name for name, column in zip(names, columns, strict=True) if column is None]
        raise ValueError(
            f"Column(s) {text} hold text or objects, but steering needs numbers: encode them "
            "first, for instance with OneHotEncoder(sparse_output=False) in a ColumnTransformer."
        )
    with np.errstate(over="ignore", invalid="ignore"):
        finite = np.isfinite(numbers.sum())
    if not finite:
        _refuse_infinite(numbers, names)
    return numbers


def _refuse_infinite(numbers: np.ndarray, names: list[Any]) -> None:
    """Raise if there is NaN or infinity; finite numbers whose sum is too large pass."""
    bad = ~np.isfinite(numbers)
    if bad.any():
        columns = [name for name, b in zip(names, bad.any(axis=0), strict=True) if b]
        has_nan, has_infinity = np.isnan(numbers).any(), np.isinf(numbers).any()
        kind = "NaN and infinity" if has_nan and has_infinity else "NaN" if has_nan else "infinity"
        first = "replace infinity by NaN, then " if has_infinity else ""
        raise ValueError(
            f"Input X contains {kind} in column(s) {columns} ({int(bad.any(axis=1).sum())} rows): "
            f"{first}put an imputer such as SimpleImputer() before steering, or drop these rows."
        )


def _as_they_are(features: Any) -> np.ndarray | None:
    """Return a table that holds nothing but plain numbers as one array, not copied if it can be."""
    if isinstance(features, pd.DataFrame):
        dtypes = set(features.dtypes)
        if not all(isinstance(dtype, np.dtype) and dtype.kind in "biuf" for dtype in dtypes):
            return None
        dtype = np.float32 if dtypes == {np.dtype(np.float32)} else np.float64
        return np.ascontiguousarray(features.to_numpy(dtype=dtype))
    if features.dtype.kind not in "biuf":
        return None
    return features.astype(np.float32 if features.dtype == np.float32 else np.float64, copy=False)


def _columns(features: Any) -> list[pd.Series]:
    if isinstance(features, pd.DataFrame):
        return [features.iloc[:, j] for j in range(features.shape[1])]
    return [pd.Series(column) for column in features.T]


def _as_float(column: pd.Series) -> np.ndarray | None:
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    try:
        if column.dtype == object:
            column = pd.to_numeric(column)
        if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_complex_dtype(column):
            return None
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        return None


def check_labels(y: Any, n_rows: int) -> np.ndarray:
    """Return y as a 1-d array of class labels.

    Raises
    ------
    ValueError
        If y is None, misses values, is continuous, mixes types, or does not have one label a row.
    """
    if y is None:
        raise ValueError(
            "Steering requires y to be passed, but the target y is None: pass one label a row."
        )
    y = as_pandas(y)
    if isinstance(y, list | tuple) and pd.isna(np.asarray(y, dtype=object)).any():
        y = np.asarray(y, dtype=object)  # numpy would turn the NaN in ["a", nan] into "nan"
    labels = column_or_1d(y, warn=True)
    if len(labels) != n_rows:
        raise ValueError(f"y has {len(labels)} labels, but X has {n_rows} rows.")
    missing = int(pd.isna(labels).sum())
    if missing:
        raise ValueError(
            f"Input y contains NaN or None in {missing} row(s): drop the rows without a label."
        )
    if labels.dtype == object:
        plain = pd.Series(labels).infer_objects().to_numpy()
        labels = plain if plain.dtype.kind in "biuf" else labels
    distinct = pd.unique(labels)
    # Where labels repeat, their kind is that of the distinct ones; few rows a label make it warn.
    few = 3 * len(distinct) <= len(labels)
    if few and labels.dtype.kind in "biu":
        return labels
    kind = type_of_target(np.repeat(distinct, 3) if few else labels, input_name="y")
    if kind == "continuous":
        raise ValueError(
            "Unknown label type: y is continuous, but steering needs class labels: bin it first, "
            "for instance with y > y.mean()."
        )
    if kind == "unknown":
        types = sorted({type(label).__name__ for label in labels})
        raise ValueError(
            f"Unknown label type: y is an array of objects (of type {', '.join(types)}), but "
            "steering needs labels of one type: convert it, for instance with y.astype(int) or "
            "y.astype(str)."
        )
    return labels


def coded_labels(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the position of each row's label among the distinct labels, and these, sorted."""
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
            f"The label(s) {unknown} were not seen in fit; the labels are {classes.tolist()}."
        )
    return codes


def check_frequencies(sample_weight: Any, n_rows: int) -> np.ndarray:
    """Return sample weights as frequencies, shape (n,); all ones where there are none.

    Raises
    ------
    ValueError
        If a weight is negative, missing or infinite, or there is not one a row.
    """
    if sample_weight is None:
        return np.ones(n_rows)
    weights = np.asarray(as_pandas(sample_weight), dtype=np.float64)
    if weights.ndim == 0:
        weights = np.full(n_rows, float(weights))
    if weights.shape != (n_rows,):
        raise ValueError(
            f"sample_weight must have shape ({n_rows},), one weight a row, got {weights.shape}."
        )
    if not np.all(np.isfinite(weights)) or np.any(weights < 0.0):
        raise ValueError("sample_weight holds frequencies: they must be finite and not negative.")
    if not np.any(weights > 0.0):
        raise ValueError("sample_weight is zero in every row, so no row is left.")
    return weights


def check_variety(classes: np.ndarray, groups: np.ndarray) -> None:
    """Refuse a single label or a single group.

    Raises
    ------
    ValueError
        If there is only one.
    """
    if len(classes) < 2:
        raise ValueError(
            f"y has one class only ({classes.tolist()[0]!r}); steering compares the features "
            "given different labels and needs at least two."
        )
    if len(groups) < 2:
        raise ValueError(
            f"There is one group only ({groups.tolist()[0]!r}); steering needs rows of at least "
            "two groups."
        )
