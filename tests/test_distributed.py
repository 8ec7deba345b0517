"""Dask tables: what comes out is what one fit in memory gives."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

from fairsteer import OptimalSteeringTransformer, WithinLabelEraser, distributed
from fairsteer.datasets import make_gaussian_subgroups

da = pytest.importorskip("dask.array")
dd = pytest.importorskip("dask.dataframe")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::fairsteer.SteeringWarning")]


@pytest.fixture(scope="module")
def table():
    sample = make_gaussian_subgroups(1200, n_groups=3, n_labels=3, n_features=4, random_state=2)
    return sample.data.assign(constant=7.0, label=sample.target)


def steering(**parameters):
    return OptimalSteeringTransformer("group", random_state=0, **parameters)


def in_memory(table, **parameters):
    return steering(**parameters).fit(table.drop(columns="label"), table["label"])


def assert_same_fit(one, other):
    for part in ("priors", "means", "covariances", "counts"):
        found, expected = (getattr(t.distribution_, part) for t in (one, other))
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)
    assert one.groups_.tolist() == other.groups_.tolist()
    assert one.get_feature_names_out().tolist() == other.get_feature_names_out().tolist()


@pytest.mark.parametrize("n_partitions", [1, 2, 23])
@pytest.mark.parametrize("parameters", [{}, {"covariance_type": "tied"}], ids=str)
def test_partitions_add_up_to_the_table(table, n_partitions, parameters):
    frame = dd.from_pandas(table, npartitions=n_partitions)
    found = distributed.fit(steering(**parameters), frame, "label", split_every=3)
    whole = in_memory(table, **parameters)
    assert_same_fit(found, whole)
    steered = distributed.transform(found, frame.drop(columns="label"))
    assert steered.npartitions == n_partitions
    expected = whole.set_output(transform="pandas").transform(table.drop(columns="label"))
    pd.testing.assert_frame_equal(steered.compute(), expected, rtol=1e-6, atol=1e-6)
    pd.testing.assert_index_equal(steered.columns, expected.columns)
    assert steered.dtypes.tolist() == expected.dtypes.tolist()


def test_labels_attribute_and_weights_may_be_separate(table, rng):
    weights = pd.Series(rng.integers(0, 3, size=len(table)), index=table.index)
    frame = dd.from_pandas(table.assign(weight=weights), npartitions=5)
    features = ["x0", "x1", "x2", "x3"]
    found = distributed.fit(
        OptimalSteeringTransformer(random_state=0),
        frame[features],
        frame["label"],
        sensitive_features=frame["group"],
        sample_weight=frame["weight"],
    )
    whole = OptimalSteeringTransformer(random_state=0).fit(
        table[features], table["label"], sensitive_features=table["group"], sample_weight=weights
    )
    assert_same_fit(found, whole)
    steered = distributed.transform(found, frame[features], sensitive_features=frame["group"])
    expected = whole.transform(table[features], sensitive_features=table["group"])
    np.testing.assert_allclose(steered.compute(), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_arrays(table, dtype):
    X = table[["x0", "x1", "x2", "x3"]].to_numpy(dtype)
    y, groups = table["label"].to_numpy(), pd.factorize(table["group"])[0]
    blocks = [da.from_array(part, chunks=300) for part in (y, groups)]
    features = da.from_array(X, chunks=(250, 2))
    found = distributed.fit(
        OptimalSteeringTransformer(random_state=0),
        features,
        blocks[0],
        sensitive_features=blocks[1],
    )
    whole = OptimalSteeringTransformer(random_state=0).fit(X, y, sensitive_features=groups)
    assert_same_fit(found, whole)
    steered = distributed.transform(found, features, sensitive_features=blocks[1])
    assert steered.dtype == dtype
    assert steered.shape == X.shape
    expected = whole.transform(X, sensitive_features=groups)
    np.testing.assert_allclose(steered.compute(), expected, rtol=1e-5, atol=1e-5)


def test_empty_partitions_are_ignored(table):
    frame = dd.from_pandas(table, npartitions=6)
    frame = frame[frame["x0"] > table["x0"].iloc[:200].max()]
    kept = frame.compute()
    assert 0 in frame.map_partitions(len).compute().tolist()
    kept_many = dd.concat([frame, dd.from_pandas(table, npartitions=2)])
    found = distributed.fit(steering(), kept_many, "label")
    both = pd.concat([kept, table])
    assert_same_fit(found, in_memory(both))
    steered = distributed.transform(found, kept_many.drop(columns="label")).compute()
    assert len(steered) == len(both)


def test_partitions_without_weight_are_ignored(table):
    weights = pd.Series(np.ones(len(table)), index=table.index)
    weights[200:600] = 0.0  # the second and the third of six partitions
    frame, column = (dd.from_pandas(part, npartitions=6) for part in (table, weights))
    found = distributed.fit(steering(), frame, "label", sample_weight=column)
    assert_same_fit(found, in_memory(table[weights > 0.0]))
    with pytest.raises(ValueError, match="sample_weight is zero in every row"):
        distributed.fit(steering(), frame, "label", sample_weight=0 * column)


@pytest.mark.parametrize(
    "fitted",
    [
        steering(group_strategy="posterior"),
        WithinLabelEraser("group", constraint="equal_opportunity"),
    ],
    ids=["posterior", "eraser"],
)
def test_the_column_of_the_attribute_may_be_absent(table, fitted):
    X = table.drop(columns="label")
    fitted.fit(X, table["label"])
    kept = X.drop(columns="group")
    steered = distributed.transform(fitted, dd.from_pandas(kept, npartitions=3))
    assert list(steered.columns) == list(kept)
    np.testing.assert_allclose(steered.compute(), fitted.transform(kept))


def test_the_channel_draws_by_value_in_every_partition(table):
    X, frame = table.drop(columns="label"), dd.from_pandas(table, npartitions=5)
    parameters = {"label_strategy": "channel", "covariance_type": "tied"}
    found = distributed.fit(steering(**parameters), frame, "label")
    expected = in_memory(table, **parameters)
    assert expected.channel_.blurred.any()
    np.testing.assert_allclose(found.channel_.noise, expected.channel_.noise, atol=1e-8)
    steered = distributed.transform(expected, dd.from_pandas(X, npartitions=3))
    np.testing.assert_allclose(steered.compute(), expected.transform(X))


def test_fit_does_not_modify_the_transformer(table):
    given = steering()
    distributed.fit(given, dd.from_pandas(table, npartitions=3), "label")
    assert not hasattr(given, "steering_")


def test_an_eraser_is_applied_too(table):
    X, frame = table.drop(columns="label"), dd.from_pandas(table, npartitions=3)
    eraser = WithinLabelEraser("group", constraint="equal_opportunity").fit(X, table["label"])
    steered = distributed.transform(eraser, frame.drop(columns="label"))
    np.testing.assert_allclose(steered.compute(), eraser.transform(X))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda t, X: (steering(family="copula"), X, "label"), ValueError, "family='copula'"),
        (lambda t, X: (WithinLabelEraser("group"), X, "label"), TypeError, "WithinLabelEraser"),
        (lambda t, X: (steering(), t, "label"), TypeError, "X is a DataFrame, not a Dask"),
        (lambda t, X: (steering(), X, t["label"]), TypeError, "y is a Series, not a Dask"),
        (
            lambda t, X: (steering(), X, X["label"].repartition(npartitions=2)),
            ValueError,
            "X has 4 partitions, but y has 2",
        ),
        (lambda t, X: (steering(), X, "lable"), ValueError, "y='lable' is not a column of X"),
        (lambda t, X: (steering(), X[["x0", "x1"]].values, "x1"), ValueError, "not a column of X"),
        (lambda t, X: (steering(), X[X["x0"] > 1e9], "label"), ValueError, "no partition of X"),
        (lambda t, X: (steering(), X[X["label"] > 1], "label"), ValueError, "one class only"),
        (lambda t, X: (steering(), X.assign(x1=np.nan), "label"), ValueError, "NaN in column"),
    ],
)
def test_invalid_input_of_fit_is_refused(table, change, error, message):
    frame = dd.from_pandas(table, npartitions=4)
    with pytest.raises(error, match=message):
        distributed.fit(*change(table, frame))


def test_invalid_input_of_transform_is_refused(table):
    frame = dd.from_pandas(table, npartitions=2)
    with pytest.raises(NotFittedError):
        distributed.transform(steering(), frame)
    fitted = in_memory(table)
    with pytest.raises(TypeError, match="X is a DataFrame, not a Dask collection"):
        distributed.transform(fitted, table)
    with pytest.raises(TypeError, match="X and sensitive_features must both be Dask frames"):
        distributed.transform(
            fitted, frame, sensitive_features=da.from_array(table["label"].to_numpy())
        )


def test_without_dask_the_message_names_the_extra():
    code = (
        "import sys; sys.modules['dask'] = None\n"
        "try:\n    import fairsteer.distributed\nexcept ImportError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'fairsteer[dask]'" in done.stdout


def dies_once(part, marker):
    """End the process that first meets these rows."""
    if not os.path.exists(marker):
        with open(marker, "w"):
            pass
        os._exit(1)
    return part


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_worker_that_dies_loses_nothing(table, tmp_path):
    cluster = pytest.importorskip("dask.distributed").LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0", local_directory=tmp_path
    )
    frame = dd.from_pandas(table, npartitions=10)
    marker = str(tmp_path / "died")
    with cluster, cluster.get_client():
        parts = [frame.get_partition(k) for k in range(10)]
        parts[6] = parts[6].map_partitions(dies_once, marker, meta=frame._meta)
        found = distributed.fit(steering(), dd.concat(parts), "label", split_every=2)
    assert os.path.exists(marker)
    assert_same_fit(found, in_memory(table))
