"""Fit and transform of Dask tables, partition by partition.

Needs ``pip install fairsteer[dask]``. Dask runs the work, in threads of this process or on the
workers of a ``dask.distributed.Client``.
"""

from __future__ import annotations

from copy import copy

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from fairsteer._validation import add_absent_columns, take_columns
from fairsteer.core.marginals import SUMMED_FAMILIES

try:
    import dask
    import dask.array as da
    import dask.dataframe as dd
except ImportError as error:
    raise ImportError(
        f"fairsteer.distributed needs Dask ({error}): pip install 'fairsteer[dask]'."
    ) from error


def fit(transformer, X, y, *, sensitive_features=None, sample_weight=None, split_every=8):
    """Fit a transformer to a Dask table.

    Each partition is read once, and the sums over its rows are merged in a tree. Warnings that need
    rows, for instance about a group that is recovered, are not issued.

    Parameters
    ----------
    transformer : OptimalSteeringTransformer
        With ``family`` ``"normal"`` or ``"lognormal"``. It is not modified.
    X : dask.dataframe.DataFrame or dask.array.Array of shape (n, p)
        Numbers; sensitive columns may have any values. Partitions may be empty.
    y : str, dask.dataframe.Series or dask.array.Array of shape (n,)
        Labels, partitioned as X; or the name of the column of X that contains them, which is then
        not a feature.
    sensitive_features : dask.dataframe.Series or dask.array.Array of shape (n,), default=None
        The attribute, unless it is a column of X.
    sample_weight : dask.dataframe.Series or dask.array.Array of shape (n,), default=None
        Frequencies. A partition whose weights are all 0 adds nothing.
    split_every : int, default=8
        Number of sums that are merged in a task.

    Returns
    -------
    OptimalSteeringTransformer
        A fitted clone, equal to the result of ``fit`` on the whole table.

    Raises
    ------
    TypeError
        If an argument is not a Dask collection, or the transformer has no sums to merge.
    ValueError
        If the partitions of the arguments differ, there are no rows, X has no column `y`, or
        ``fit`` raises an error for the rows.
    """
    if not hasattr(transformer, "merge"):
        raise TypeError(
            f"{type(transformer).__name__} has no sums to merge: pass an "
            "OptimalSteeringTransformer."
        )
    if transformer.family not in ("auto", *SUMMED_FAMILIES):
        raise ValueError(
            f"family={transformer.family!r} needs the ranks of all rows, so it cannot be fitted to "
            "partitions: use family='normal' or 'lognormal'."
        )
    _check_collection("X", X)
    column = y if isinstance(y, str) else None
    if column is not None and column not in getattr(X, "columns", ()):
        raise ValueError(
            f"y={column!r} is not a column of X: pass the name of the column with the labels, or "
            "the labels as a Dask collection."
        )
    given = {
        "y": None if column else y,
        "sensitive_features": sensitive_features,
        "sample_weight": sample_weight,
    }
    rows = _partitions("X", X)
    aligned = {name: _partitions(name, part, X) for name, part in given.items() if part is not None}
    for name, parts in aligned.items():
        if len(parts) != len(rows):
            raise ValueError(
                f"X has {len(rows)} partitions, but {name} has {len(parts)}: partition both "
                "equally, for instance by taking both from the same table."
            )
    empty = clone(transformer)
    sum_rows = dask.delayed(_sum_rows, pure=False)
    sums = [
        sum_rows(empty, part, column, {name: parts[k] for name, parts in aligned.items()})
        for k, part in enumerate(rows)
    ]
    merge = dask.delayed(_merge, pure=False)
    while len(sums) > 1:
        sums = [merge(sums[k : k + split_every]) for k in range(0, len(sums), split_every)]
    (total,) = dask.compute(*sums)
    if total is None:
        raise ValueError("Found array with 0 sample(s): no partition of X has rows.")
    return empty.merge(total)


def transform(transformer, X, *, sensitive_features=None):
    """Steer a Dask table lazily, partition by partition.

    Parameters
    ----------
    transformer : OptimalSteeringTransformer or WithinLabelEraser
        Fitted. For the copula, identical rows are counted within each partition.
    X : dask.dataframe.DataFrame or dask.array.Array of shape (n, p)
        As in :func:`fit`, without the column of labels. Sensitive columns may be absent from a
        frame where the transformer does not need them.
    sensitive_features : dask.dataframe.Series or dask.array.Array of shape (n,), default=None
        The attribute, unless it is a column of X.

    Returns
    -------
    dask.dataframe.DataFrame or dask.array.Array of shape (n, n_features_out)
        Of the type of X, with the same index and partitions.

    Raises
    ------
    NotFittedError
        If the transformer is not fitted.
    TypeError
        If an argument is not a Dask collection, or only one of them is an array.
    """
    check_is_fitted(transformer)
    for name, part in (("X", X), ("sensitive_features", sensitive_features)):
        if part is not None:
            _check_collection(name, part)
    names = transformer.get_feature_names_out()
    extra = () if sensitive_features is None else (sensitive_features,)
    if any(isinstance(part, da.Array) != isinstance(X, da.Array) for part in extra):
        raise TypeError("X and sensitive_features must both be Dask frames or both be Dask arrays.")
    if isinstance(X, da.Array):
        X = X.rechunk({1: -1})
        dtype = np.float32 if X.dtype == np.float32 else np.float64
        chunks = (X.chunks[0], (len(names),))
        extra = tuple(_align(part, X)[:, None] for part in extra)
        return da.map_blocks(
            _steer, X, *extra, transformer=transformer, dtype=dtype, chunks=chunks, meta=X._meta
        )
    meta = _empty(transformer, X._meta)
    return dd.map_partitions(_steer, X, *extra, transformer=transformer, meta=meta)


def _check_collection(name, part):
    if not isinstance(part, da.Array | dd.DataFrame | dd.Series):
        raise TypeError(
            f"{name} is a {type(part).__name__}, not a Dask collection: convert it by "
            "dask.dataframe.from_pandas or dask.array.from_array, or use the methods of the "
            "transformer."
        )


def _partitions(name, part, like=None):
    """Return the partitions of a collection; an array is partitioned like another."""
    _check_collection(name, part)
    if not isinstance(part, da.Array):
        return part.to_delayed()
    if part.ndim == 2:
        part = part.rechunk({1: -1})
    return _align(part, like).to_delayed().ravel().tolist()


def _align(part, like):
    """Return an array with the row chunks of another array of equal length."""
    if isinstance(like, da.Array) and part.shape[:1] == like.shape[:1]:
        return part.rechunk({0: like.chunks[0]})
    return part


def _sum_rows(transformer, X, column, aligned):
    """Return a clone of a transformer with the sums of a partition, None if it is empty."""
    if len(X) == 0:
        return None
    if column is not None:
        X, aligned = X.drop(columns=column), aligned | {"y": X[column]}
    return clone(transformer).partial_fit(X, **aligned, finish=False)


def _merge(parts):
    """Return a transformer with the merged sums of several transformers."""
    parts = [part for part in parts if part is not None]
    if not parts:
        return None
    # Dask may rerun a task, so its input must not be modified.
    total = copy(parts[0])
    for part in parts[1:]:
        total.merge(part, finish=False)
    return total


def _steer(X, sensitive_features=None, *, transformer):
    """Return a steered partition."""
    if sensitive_features is not None and sensitive_features.ndim == 2:
        sensitive_features = sensitive_features[:, 0]
    if len(X) == 0:
        return _empty(transformer, X)
    options = {} if sensitive_features is None else {"sensitive_features": sensitive_features}
    steered = transformer.transform(X, **options)
    if isinstance(X, pd.DataFrame):
        return pd.DataFrame(np.asarray(steered), X.index, _empty(transformer, X[:0]).columns)
    return np.asarray(steered)


def _empty(transformer, X):
    """Return what a table without rows becomes; sensitive columns of a frame may be absent."""
    table = add_absent_columns(X, transformer._columns, transformer.sensitive_positions_)
    kept = take_columns(
        table, np.delete(np.arange(table.shape[1]), transformer.sensitive_positions_)
    )
    types = kept.dtypes if isinstance(kept, pd.DataFrame) else [kept.dtype]
    return kept.astype(np.float32 if all(kind == np.float32 for kind in types) else np.float64)
