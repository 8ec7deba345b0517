"""Dask tables: sums of partitions are added up in a tree, and partitions are steered one by one.

Needs ``pip install fairsteer[dask]``. Where the work runs is Dask's business: threads of this
process, or the workers of a ``dask.distributed.Client``.
"""

from __future__ import annotations

from copy import copy

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

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

    Each partition is read once and leaves the sums of its rows; these are added up, a few at a
    time. Warnings that look at rows, such as that of discrete features, are not given.

    Parameters
    ----------
    transformer : OptimalSteeringTransformer
        With ``family`` normal or lognormal. It is left as it is.
    X : dask.dataframe.DataFrame or dask.array.Array of shape (n, p)
        Numbers; sensitive columns may hold anything. Partitions may be empty.
    y : str, dask.dataframe.Series or dask.array.Array of shape (n,)
        Labels, in partitions like those of X; or the column of X that holds them, which is then
        no feature.
    sensitive_features : dask.dataframe.Series or dask.array.Array of shape (n,), default=None
        The attribute, unless it stands in X.
    sample_weight : dask.dataframe.Series or dask.array.Array of shape (n,), default=None
        Frequencies.
    split_every : int, default=8
        How many partitions' sums are added up in one task.

    Returns
    -------
    OptimalSteeringTransformer
        A fitted clone, equal to what ``fit`` makes of the whole table in memory.

    Raises
    ------
    TypeError
        If an argument is not a Dask collection, or the transformer keeps no sums.
    ValueError
        If partitions do not fit together, there are no rows, X has no column `y`, or ``fit`` would
        refuse the rows.
    """
    if not hasattr(transformer, "merge"):
        raise TypeError(
            f"{type(transformer).__name__} keeps no sums to add up: pass an "
            "OptimalSteeringTransformer."
        )
    if transformer.family not in SUMMED_FAMILIES:
        raise ValueError(
            f"family={transformer.family!r} ranks all rows together, so it cannot be fitted to "
            "partitions: use family='normal' or 'lognormal'."
        )
    _check_collection("X", X)
    column = y if isinstance(y, str) else None
    if column is not None and column not in getattr(X, "columns", ()):
        raise ValueError(
            f"y={column!r} is not a column of X: name the column that holds the labels, or pass "
            "the labels themselves as a Dask collection."
        )
    given = {
        "y": None if column else y,
        "sensitive_features": sensitive_features,
        "sample_weight": sample_weight,
    }
    rows = _partitions("X", X)
    beside = {name: _partitions(name, part, X) for name, part in given.items() if part is not None}
    for name, parts in beside.items():
        if len(parts) != len(rows):
            raise ValueError(
                f"X has {len(rows)} partitions and {name} has {len(parts)}: make them alike, for "
                "instance by taking both from one table."
            )
    empty = clone(transformer)
    summed = dask.delayed(_summed, pure=False)
    sums = [
        summed(empty, part, column, {name: parts[k] for name, parts in beside.items()})
        for k, part in enumerate(rows)
    ]
    added = dask.delayed(_added, pure=False)
    while len(sums) > 1:
        sums = [added(sums[k : k + split_every]) for k in range(0, len(sums), split_every)]
    (total,) = dask.compute(*sums)
    if total is None:
        raise ValueError("Found array with 0 sample(s): no partition of X has rows.")
    return empty.merge(total)


def transform(transformer, X, *, sensitive_features=None):
    """Steer a Dask table, partition by partition, when it is computed.

    Parameters
    ----------
    transformer : OptimalSteeringTransformer or WithinLabelEraser
        Fitted. Under the copula, twins of a row are counted within each partition.
    X : dask.dataframe.DataFrame or dask.array.Array of shape (n, p)
        As in ``fit``, without the column of labels.
    sensitive_features : dask.dataframe.Series or dask.array.Array of shape (n,), default=None
        The attribute, unless it stands in X.

    Returns
    -------
    dask.dataframe.DataFrame or dask.array.Array of shape (n, n_features_out)
        As X is; the index and the partitions stay.

    Raises
    ------
    NotFittedError
        Before the transformer is fitted.
    TypeError
        If an argument is not a Dask collection, or they are of two kinds.
    """
    check_is_fitted(transformer)
    for name, part in (("X", X), ("sensitive_features", sensitive_features)):
        if part is not None:
            _check_collection(name, part)
    names = transformer.get_feature_names_out()
    beside = () if sensitive_features is None else (sensitive_features,)
    if any(isinstance(part, da.Array) != isinstance(X, da.Array) for part in beside):
        raise TypeError("X and sensitive_features must both be Dask frames, or both Dask arrays.")
    if isinstance(X, da.Array):
        X = X.rechunk({1: -1})
        dtype = np.float32 if X.dtype == np.float32 else np.float64
        chunks = (X.chunks[0], (len(names),))
        beside = tuple(_along(part, X)[:, None] for part in beside)
        return da.map_blocks(
            _steered, X, *beside, transformer=transformer, dtype=dtype, chunks=chunks, meta=X._meta
        )
    kept = X._meta.drop(columns=X._meta.columns[transformer.sensitive_positions_])
    single = all(kind == np.float32 for kind in kept.dtypes)
    meta = pd.DataFrame(
        np.empty((0, len(names)), np.float32 if single else np.float64),
        columns=kept.columns,
        index=X._meta.index,
    )
    return dd.map_partitions(_steered, X, *beside, transformer=transformer, meta=meta)


def _check_collection(name, part):
    if not isinstance(part, da.Array | dd.DataFrame | dd.Series):
        raise TypeError(
            f"{name} is a {type(part).__name__}, not a Dask collection: make it one by "
            "dask.dataframe.from_pandas or dask.array.from_array, or use the transformer's own "
            "methods."
        )


def _partitions(name, part, like=None):
    """Return the partitions of a collection, those of an array along the rows of another."""
    _check_collection(name, part)
    if not isinstance(part, da.Array):
        return part.to_delayed()
    if part.ndim == 2:
        part = part.rechunk({1: -1})
    return _along(part, like).to_delayed().ravel().tolist()


def _along(part, like):
    """Cut an array along its rows as another of as many rows is cut."""
    if isinstance(like, da.Array) and part.shape[:1] == like.shape[:1]:
        return part.rechunk({0: like.chunks[0]})
    return part


def _summed(transformer, X, column, beside):
    """Return a copy of a transformer that has the sums of a partition, None if that is empty."""
    if len(X) == 0:
        return None
    if column is not None:
        X, beside = X.drop(columns=column), beside | {"y": X[column]}
    return clone(transformer).partial_fit(X, **beside, finish=False)


def _added(parts):
    """Return one transformer with the sums of several."""
    parts = [part for part in parts if part is not None]
    if not parts:
        return None
    # Dask may want to run a task again, so its input stays as it is.
    total = copy(parts[0])
    for part in parts[1:]:
        total.merge(part, finish=False)
    return total


def _steered(X, sensitive_features=None, *, transformer):
    """Steer one partition."""
    if sensitive_features is not None and sensitive_features.ndim == 2:
        sensitive_features = sensitive_features[:, 0]
    if len(X) == 0:
        kept = np.delete(np.arange(X.shape[1]), transformer.sensitive_positions_)
        empty = X.iloc[:, kept] if isinstance(X, pd.DataFrame) else X[:, kept]
        return empty.astype(np.float64)
    beside = {} if sensitive_features is None else {"sensitive_features": sensitive_features}
    steered = transformer.transform(X, **beside)
    if isinstance(X, pd.DataFrame):
        columns = X.columns.delete(transformer.sensitive_positions_)
        return pd.DataFrame(np.asarray(steered), index=X.index, columns=columns)
    return np.asarray(steered)
