"""Biographies by profession and gender: the original data, and rows like their embeddings."""

from __future__ import annotations

import os
from numbers import Integral
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.utils import Bunch, check_random_state, check_scalar

from ._base import cache_folder

HUB = "LabHC/bias_in_bios"
SPLITS = ("train", "dev", "test")
_COLUMNS = ["hard_text", "profession", "gender"]
_GENDERS = ("male", "female")

# Per cent of the biographies, and per cent of women among those of the profession.
_PROFESSIONS = {
    "accountant": (1.42, 36.7), "architect": (2.55, 23.7), "attorney": (8.22, 38.3),
    "chiropractor": (0.67, 26.3), "comedian": (0.71, 21.1), "composer": (1.41, 16.4),
    "dentist": (3.68, 35.4), "dietitian": (1.0, 92.8), "dj": (0.38, 14.2),
    "filmmaker": (1.77, 32.9), "interior_designer": (0.37, 80.9), "journalist": (5.03, 49.5),
    "model": (1.89, 82.7), "nurse": (4.78, 90.8), "painter": (1.95, 45.8),
    "paralegal": (0.45, 84.8), "pastor": (0.64, 24.0), "personal_trainer": (0.36, 45.7),
    "photographer": (6.13, 35.8), "physician": (10.35, 49.4), "poet": (1.77, 49.1),
    "professor": (29.8, 45.1), "psychologist": (4.64, 62.1), "rapper": (0.35, 9.7),
    "software_engineer": (1.74, 15.8), "surgeon": (3.43, 14.8), "teacher": (4.09, 60.2),
    "yoga_teacher": (0.42, 84.5),
}  # fmt: skip
PROFESSIONS = tuple(_PROFESSIONS)
FREQUENCIES = np.array([share for share, _ in _PROFESSIONS.values()]) / 100.0
FEMALE_SHARES = np.array([women for _, women in _PROFESSIONS.values()]) / 100.0
_FIELDS = (
    ("chiropractor", "dentist", "dietitian", "nurse", "physician", "psychologist", "surgeon"),
    ("comedian", "composer", "dj", "model", "rapper"),
    ("filmmaker", "journalist", "painter", "photographer", "poet"),
    ("accountant", "attorney", "paralegal", "software_engineer"),
    ("architect", "interior_designer"),
    ("pastor", "professor", "teacher"),
    ("personal_trainer", "yoga_teacher"),
)
_SIGNAL = 40
"""Most dimensions that know of professions."""

# Calibrated so that benchmarks/bios.py finds what is published of real embeddings.
_FIELD_SPREAD, _OWN_SPREAD, _DISTINCTNESS = 2.2, 2.5, 0.35
_DECAY = 0.75
_LEAN, _ASIDE, _STRETCH, _WIDTH, _SHIFT = 0.2, 0.9, 0.7, 0.1, 0.8


def fetch_bias_in_bios(*, split="train", data_home=None):
    """Fetch Bias in Bios: biographies without the sentence that names the profession.

    Looked for as Parquet files in a folder ``bias_in_bios`` of `data_home`, else of the folder that
    the environment variable ``FAIRSTEER_DATA`` names; otherwise Hugging Face's ``datasets``
    downloads ``LabHC/bias_in_bios`` once into the user's cache folder.

    Parameters
    ----------
    split : {"train", "dev", "test"}, default="train"
        257,478, 39,642 or 99,069 biographies; the version of Ravfogel et al. (2020).
    data_home : str or path-like, optional
        A folder whose folder ``bias_in_bios`` has files named like ``train-00000.parquet``, at any
        depth, with columns ``hard_text``, ``profession`` and ``gender``; it is only read.

    Returns
    -------
    sklearn.utils.Bunch
        ``data`` : Series ``text``. ``target`` : Series ``profession`` of strings.
        ``sensitive_features`` : Series ``gender``, ``"female"`` or ``"male"``. ``target_names`` :
        the professions. ``conventions`` : one sentence. ``DESCR`` : a description.

    Raises
    ------
    ValueError
        If there is no such split, or the files have other columns or values.
    FileNotFoundError
        If no files are there and none can be downloaded.
    ImportError
        If the package that reads or downloads them is not installed.

    References
    ----------
    De-Arteaga et al. (2019), "Bias in Bios: A Case Study of Semantic Representation Bias in a
    High-Stakes Setting", FAT*.
    """
    if split not in SPLITS:
        raise ValueError(f"split must be {', '.join(SPLITS[:-1])} or {SPLITS[-1]}, not {split!r}.")
    home = data_home or os.environ.get("FAIRSTEER_DATA")
    folder = Path(home).expanduser() / "bias_in_bios" if home else None
    files = sorted(folder.rglob(f"{split}-*.parquet")) if folder else []
    if files:
        frame = pd.concat([_read(file) for file in files], ignore_index=True)
    else:
        frame = _download(split, folder)
    return _bunch_of_texts(frame, split)


def make_bios_like(n_samples=60_000, n_features=768, *, random_state=None):
    """Draw rows like embeddings of biographies: 28 professions, two genders.

    How often a profession and a woman in it occur is as published for Bias in Bios. The geometry
    is made up, the same for every seed, and such that linear classifiers show what is published of
    real embeddings: they tell professions apart in about four rows of five, their true positive
    rates of a profession differ between genders the more the fewer women or men it has, erasing
    the gender linearly hardly helps, and matching means and covariances between the genders
    helps by a third to a half.

    Parameters
    ----------
    n_samples : int, default=60000
        Number of rows. How many fall to each profession and gender is multinomial.
    n_features : int, default=768
        Dimensions, at least 2. What is known of professions lies in the first 40 axes or half of
        them all, which a reflection spreads over every feature.
    random_state : int, RandomState instance or None, default=None
        Seed of the rows.

    Returns
    -------
    sklearn.utils.Bunch
        ``data`` : ndarray of shape (n_samples, n_features). ``target`` : Series ``profession`` of
        strings. ``sensitive_features`` : Series ``gender``, ``"female"`` or ``"male"``.
        ``target_names`` : the professions. ``female_shares`` : Series by profession, published.
        ``conventions`` : one sentence. ``DESCR`` : a description.

    Raises
    ------
    ValueError
        If a size is too small.
    TypeError
        If a size is not an integer.

    Notes
    -----
    Within a profession and gender rows follow a multivariate t law with 6 degrees of freedom. On
    some axes women's rows are stretched and on others men's, centres included. Women's centres
    lean, against men's, towards professions of their neighbourhood with more women, and somewhere
    of their own. One more axis separates the genders alike in all professions.

    References
    ----------
    De-Arteaga et al. (2019), "Bias in Bios: A Case Study of Semantic Representation Bias in a
    High-Stakes Setting", FAT*, for the shares of women; the card of the data set
    ``LabHC/bias_in_bios`` for the frequencies (in the version of Ravfogel et al., 2020).

    Examples
    --------
    >>> from fairsteer.datasets import make_bios_like
    >>> sample = make_bios_like(1000, 64, random_state=0)
    >>> sample.data.shape
    (1000, 64)
    >>> sample.target.value_counts().index[0]
    'professor'
    """
    check_scalar(n_samples, "n_samples", Integral, min_val=1)
    check_scalar(n_features, "n_features", Integral, min_val=2)
    rng = check_random_state(random_state)
    profession = rng.choice(len(PROFESSIONS), size=n_samples, p=FREQUENCIES / FREQUENCIES.sum())
    woman = rng.uniform(size=n_samples) < FEMALE_SHARES[profession]
    X = rng.normal(size=(n_samples, n_features))
    X /= np.sqrt(rng.chisquare(6, size=(n_samples, 1)) / 4)

    world = _Geometry(min(_SIGNAL, n_features // 2), n_features)
    side = np.where(woman, 0.5, -0.5)[:, None]
    inner = X[:, : world.n_signal]
    inner += world.centres[profession]
    inner[:] = (inner @ world.axes * world.stretch**side) @ world.axes.T
    inner += side * world.leans[profession]
    outer = X[:, world.n_signal :]
    outer *= world.scales * world.widths**side
    outer[:, :1] += world.shift * side
    for normal in world.reflections:
        X -= np.outer(X @ (2.0 * normal), normal)

    names = np.array(PROFESSIONS)
    conventions = (
        f"{n_samples:,} rows drawn, none dropped; no label is favourable, and gaps are those of "
        "the true positive rates of every profession."
    )
    return Bunch(
        data=X,
        target=pd.Series(names[profession], name="profession"),
        sensitive_features=pd.Series(np.where(woman, "female", "male"), name="gender"),
        target_names=list(PROFESSIONS),
        female_shares=pd.Series(FEMALE_SHARES, index=names, name="female share"),
        conventions=conventions,
        DESCR="Rows like embeddings of biographies: " + conventions,
    )


def _read(file):
    try:
        return pd.read_parquet(file, columns=_COLUMNS)
    except ImportError:
        raise ImportError(
            f'Reading {file.name} needs pyarrow: run pip install "fairsteer[llm]".', name="pyarrow"
        ) from None
    except (ValueError, KeyError, OSError) as error:
        raise ValueError(f"{file} has not the columns {', '.join(_COLUMNS)} ({error}).") from None


def _download(split, folder):
    """Return a split from the cache of Hugging Face's datasets, or from the hub."""
    absent = (
        f"No file {split}-*.parquet is in {folder}, and" if folder else "No folder is named, and"
    )
    by_hand = (
        f"get the Parquet files of https://huggingface.co/datasets/{HUB} and put them into a "
        "folder bias_in_bios of the one that the environment variable FAIRSTEER_DATA names."
    )
    try:
        from datasets import load_dataset
    except ImportError:
        raise ImportError(
            f"{absent} downloading them needs Hugging Face's datasets: run pip install "
            f'"fairsteer[llm]", or {by_hand}',
            name="datasets",
        ) from None
    try:
        rows = load_dataset(HUB, split=split, cache_dir=str(cache_folder() / "huggingface"))
    except OSError as error:
        raise FileNotFoundError(
            f"{absent} they could not be downloaded ({type(error).__name__}): {by_hand}"
        ) from None
    return rows.to_pandas()


def _bunch_of_texts(frame, split):
    """Put a split together, with names for the codes of professions and genders."""
    missing = [name for name in _COLUMNS if name not in frame]
    if missing:
        raise ValueError(f"Bias in Bios, {split}: the column(s) {missing} are missing.")
    for name, values in (("profession", PROFESSIONS), ("gender", _GENDERS)):
        known = frame[name].isin(range(len(values)))
        if not known.all():
            raise ValueError(
                f"Bias in Bios, {split}: {name} has values other than 0 to {len(values) - 1}, such "
                f"as {frame.loc[~known, name].iloc[0]} in row {int(np.argmin(known))}."
            )
    professions = np.array(PROFESSIONS)[frame["profession"].astype(int)]
    genders = np.array(_GENDERS)[frame["gender"].astype(int)]
    conventions = (
        f"{len(frame):,} biographies of the split {split}, none dropped, without their "
        "first sentence, which names the profession; no label is favourable, and gaps are those "
        "of the true positive rates of every profession."
    )
    return Bunch(
        data=frame["hard_text"].rename("text"),
        target=pd.Series(professions, name="profession"),
        sensitive_features=pd.Series(genders, name="gender"),
        target_names=list(PROFESSIONS),
        conventions=conventions,
        DESCR="Bias in Bios, De-Arteaga et al. (2019): " + conventions,
    )


class _Geometry:
    """What all rows have in common, drawn once and for all.

    Distances are in standard deviations within a profession and gender.
    """

    def __init__(self, n_signal: int, n_features: int) -> None:
        rng = np.random.default_rng(0)
        field = [next(k for k, of in enumerate(_FIELDS) if name in of) for name in PROFESSIONS]
        fields = _FIELD_SPREAD * rng.normal(size=(len(_FIELDS), n_signal))
        # Rarer professions are the more distinctive ones.
        own = _OWN_SPREAD * (FREQUENCIES[:, None] / 0.02) ** -_DISTINCTNESS
        centres = fields[field] + own * rng.normal(size=(len(PROFESSIONS), n_signal))
        self.n_signal = n_signal
        self.centres = (centres - FREQUENCIES @ centres) / np.sqrt(n_signal)
        self.leans = _LEAN * self._towards_women() + _ASIDE * _unit(rng, len(PROFESSIONS), n_signal)
        self.axes = np.linalg.qr(rng.normal(size=(n_signal, n_signal))).Q
        self.stretch = np.exp(_STRETCH * rng.normal(size=n_signal))
        n_outer = n_features - n_signal
        self.scales = (1.0 + np.arange(n_outer)) ** -_DECAY
        self.widths = np.exp(_WIDTH * rng.normal(size=n_outer))
        self.shift = _SHIFT
        self.reflections = _unit(rng, 6, n_features)

    def _towards_women(self):
        """Return, for every profession, the way to its neighbours with more women, on average 0."""
        between = self.centres - self.centres[:, None]
        near = np.exp(-(between**2).sum(axis=2) / (3.0 * _OWN_SPREAD**2))
        np.fill_diagonal(near, 0.0)
        near /= near.sum(axis=1, keepdims=True)
        towards = near * (FEMALE_SHARES - FEMALE_SHARES[:, None])
        ways = 2.0 * np.einsum("ij,ijk->ik", towards, between)
        mixed = FREQUENCIES * FEMALE_SHARES * (1.0 - FEMALE_SHARES)
        return ways - mixed @ ways / mixed.sum()


def _unit(rng, n, d):
    vectors = rng.normal(size=(n, d))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
