"""Biographies: rows like their embeddings against what is published, texts from made-up files."""

import sys
import types

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

from fairsteer.datasets import _bios, fetch_bias_in_bios, make_bios_like
from fairsteer.datasets._base import cache_folder
from fairsteer.datasets._bios import FEMALE_SHARES, FREQUENCIES, PROFESSIONS
from fairsteer.datasets._bios_like import FIELDS
from fairsteer.metrics import rms_tpr_gap, rms_tpr_gap_floor, tpr_by_label


def test_the_published_shares_belong_together():
    assert len(PROFESSIONS) == 28
    assert list(PROFESSIONS) == sorted(PROFESSIONS)
    assert sorted(name for field in FIELDS for name in field) == sorted(PROFESSIONS)
    assert FREQUENCIES.sum() == pytest.approx(1.0, abs=1e-9)
    # The card of the data set says 46.1 per cent, which the shares of its rows must add up to.
    assert pytest.approx(0.461, abs=5e-4) == FREQUENCIES @ FEMALE_SHARES


def test_rows_occur_as_published():
    sample = make_bios_like(40_000, 4, random_state=0)
    assert sample.data.shape == (40_000, 4)
    assert sample.target_names == list(PROFESSIONS)
    shares = sample.target.value_counts(normalize=True)[list(PROFESSIONS)]
    error = np.sqrt(FREQUENCIES / len(sample.data))
    assert np.all(np.abs(shares - FREQUENCIES) < 5 * error)
    women = (sample.sensitive_features == "female").groupby(sample.target).mean()
    error = np.sqrt(0.25 / (FREQUENCIES * len(sample.data)))
    assert np.all(np.abs(women[list(PROFESSIONS)] - sample.female_shares) < 5 * error)
    assert sample.conventions in sample.DESCR


def test_a_seed_gives_the_same_rows_and_another_one_the_same_geometry():
    one, again, other = (make_bios_like(20_000, 12, random_state=s) for s in (0, 0, 1))
    np.testing.assert_array_equal(one.data, again.data)
    assert not np.array_equal(one.data, other.data)
    means = [s.data[(s.target == "professor").to_numpy()].mean(axis=0) for s in (one, other)]
    np.testing.assert_allclose(*means, atol=0.1)


@pytest.mark.slow
def test_a_linear_model_recognises_them_unequally():
    sample = make_bios_like(12_000, 100, random_state=0)
    model = LogisticRegression(C=0.1, max_iter=300)
    predicted = cross_val_predict(model, sample.data.astype(np.float32), sample.target, cv=3)
    assert 0.7 < np.mean(predicted == sample.target) < 0.85
    women = {"sensitive_features": sample.sensitive_features}
    gap = rms_tpr_gap(sample.target, predicted, **women)
    assert gap > 1.2 * rms_tpr_gap_floor(sample.target, predicted, **women)
    rates = tpr_by_label(sample.target, predicted, **women)
    lead = rates["female"] - rates["male"]
    assert np.corrcoef(lead, sample.female_shares[lead.index])[0, 1] > 0.3


@pytest.mark.parametrize(
    ("sizes", "error", "message"),
    [
        ((0, 8), ValueError, "n_samples == 0, must be >= 1"),
        ((10, 1), ValueError, "n_features == 1, must be >= 2"),
        ((10.0, 8), TypeError, "n_samples must be an instance of int"),
    ],
)
def test_sizes_are_checked(sizes, error, message):
    with pytest.raises(error, match=message):
        make_bios_like(*sizes)


# ------------------------------------------------------------------------------------------ texts


@pytest.fixture
def texts(monkeypatch):
    """Three biographies, as the files have them."""
    monkeypatch.setattr(_bios, "SPLITS", dict.fromkeys(_bios.SPLITS, 3))
    return pd.DataFrame(
        {
            "hard_text": ["She sails.", "He teaches at night.", "She paints, too."],
            "profession": [21, 26, 14],
            "gender": [1, 0, 1],
        }
    )


@pytest.fixture
def home(tmp_path, texts):
    """A folder with two files of the split test."""
    folder = tmp_path / "bias_in_bios" / "data"
    folder.mkdir(parents=True)
    texts.iloc[:2].to_parquet(folder / "test-00000-of-00002.parquet")
    texts.iloc[2:].to_parquet(folder / "test-00001-of-00002.parquet")
    return tmp_path


def test_files_are_read_in_order_and_codes_get_names(home, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    for bunch in (
        fetch_bias_in_bios(split="test", data_home=home),
        monkeypatch.setenv("FAIRSTEER_DATA", str(home)) or fetch_bias_in_bios(split="test"),
    ):
        assert bunch.data.tolist() == ["She sails.", "He teaches at night.", "She paints, too."]
        assert bunch.target.tolist() == ["professor", "teacher", "painter"]
        assert bunch.sensitive_features.tolist() == ["female", "male", "female"]
        assert bunch.data.index.equals(pd.RangeIndex(3))
        assert bunch.conventions.startswith("3 biographies of the split test")


def hub(monkeypatch, load_dataset):
    """Stand in for Hugging Face's package."""
    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))


def test_without_files_they_come_by_the_cache(texts, monkeypatch, tmp_path):
    asked = []

    def load_dataset(name, split, cache_dir):
        asked.append((name, split, cache_dir))
        return types.SimpleNamespace(to_pandas=lambda: texts)

    hub(monkeypatch, load_dataset)
    bunch = fetch_bias_in_bios(data_home=tmp_path)
    assert bunch.target.tolist() == ["professor", "teacher", "painter"]
    assert asked == [("LabHC/bias_in_bios", "train", str(cache_folder() / "huggingface"))]


def test_what_is_not_there_is_a_sentence(monkeypatch, tmp_path):
    monkeypatch.delenv("FAIRSTEER_DATA", raising=False)
    with pytest.raises(ValueError, match="split must be train, dev, test, not 'all'"):
        fetch_bias_in_bios(split="all")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ImportError, match=r"No file train-\*.parquet is in .*bias_in_bios, and"):
        fetch_bias_in_bios(data_home=tmp_path)
    with pytest.raises(ImportError, match=r'No folder is named, .*pip install "fairsteer\[bios\]"'):
        fetch_bias_in_bios()

    def load_dataset(*args, **kwargs):
        raise ConnectionError("no network")

    hub(monkeypatch, load_dataset)
    with pytest.raises(
        FileNotFoundError, match=r"could not be downloaded \(ConnectionError\): get"
    ):
        fetch_bias_in_bios()


def test_parquet_needs_its_package(home, monkeypatch):
    def read_parquet(file):
        raise ImportError("no engine")

    monkeypatch.setattr(pd, "read_parquet", read_parquet)
    with pytest.raises(ImportError, match=r"test-00000-of-00002.parquet needs pyarrow: run pip"):
        fetch_bias_in_bios(split="test", data_home=home)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="gender"), r"train: the column\(s\) \['gender'\] are missing"),
        (
            lambda t: t.assign(profession=[0, 28, 1]),
            "profession has values other than 0 to 27, such",
        ),
        (lambda t: t.assign(gender=[0, 1, -1]), "other than 0 to 1, such as -1 in row 2"),
        (lambda t: t.head(2), "there are 2 rows, expected 3; a file is missing"),
    ],
)
def test_files_of_something_else_are_refused(home, texts, change, message):
    change(texts).to_parquet(home / "bias_in_bios" / "train-0.parquet")
    with pytest.raises(ValueError, match=message):
        fetch_bias_in_bios(data_home=home)


def test_a_file_that_is_no_parquet_is_refused(home):
    (home / "bias_in_bios" / "dev-0.parquet").write_text("text")
    with pytest.raises(ValueError, match="dev-0.parquet cannot be read as a Parquet file"):
        fetch_bias_in_bios(split="dev", data_home=home)
