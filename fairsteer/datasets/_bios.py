"""Bias in Bios: biographies by profession and gender, and their published shares."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from ._base import cache_folder

HUB = "LabHC/bias_in_bios"
SPLITS = {"train": 257_478, "dev": 39_642, "test": 99_069}
"""Biographies of every split."""
GENDERS = ("male", "female")
_COLUMNS = ["hard_text", "profession", "gender"]

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
PROFESSIONS = tuple(_PROFESSIONS)
FREQUENCIES = np.array([share for share, _ in _PROFESSIONS.values()]) / 100.0
FEMALE_SHARES = np.array([women for _, women in _PROFESSIONS.values()]) / 100.0
for _shares in (FREQUENCIES, FEMALE_SHARES):
    _shares.flags.writeable = False


def fetch_bias_in_bios(*, split="train", data_home=None):
    """Fetch Bias in Bios: biographies without the sentence that names the profession.

    Searched as Parquet files in a folder ``bias_in_bios`` of `data_home`, else of the folder that
    the environment variable ``FAIRSTEER_DATA`` names; otherwise Hugging Face's ``datasets``
    downloads ``LabHC/bias_in_bios`` into the user's cache folder and finds it there from then on.

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
        If there is no such split, or the files cannot be read, have other columns or values, or do
        not have all rows of the split.
    FileNotFoundError
        If there are no files and they cannot be downloaded.
    ImportError
        If the package that reads or downloads them is not installed (the extra ``bios``).

    References
    ----------
    De-Arteaga et al. (2019), "Bias in Bios: A Case Study of Semantic Representation Bias in a
    High-Stakes Setting", FAT*. Ravfogel et al. (2020), "Null It Out: Guarding Protected Attributes
    by Iterative Nullspace Projection", ACL.
    """
    if split not in SPLITS:
        raise ValueError(f"split must be {', '.join(SPLITS)}, not {split!r}.")
    home = data_home or os.environ.get("FAIRSTEER_DATA")
    folder = Path(home).expanduser() / "bias_in_bios" if home else None
    files = sorted(folder.rglob(f"{split}-*.parquet")) if folder else []
    if files:
        frame = pd.concat([_read(file) for file in files], ignore_index=True)
    else:
        frame = _download(split, folder)
    return _bunch(frame, split)


def _read(file):
    try:
        return pd.read_parquet(file)
    except ImportError:
        raise ImportError(
            f'Reading {file.name} needs pyarrow: run pip install "fairsteer[bios]".', name="pyarrow"
        ) from None
    except (ValueError, OSError) as error:
        raise ValueError(f"{file} cannot be read as a Parquet file: {error}.") from None


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
            f'"fairsteer[bios]", or {by_hand}',
            name="datasets",
        ) from None
    try:
        rows = load_dataset(HUB, split=split, cache_dir=str(cache_folder() / "huggingface"))
    except OSError as error:
        raise FileNotFoundError(
            f"{absent} they could not be downloaded ({type(error).__name__}): {by_hand}"
        ) from None
    return rows.to_pandas()


def _bunch(frame, split):
    """Put a split together, with names for the codes of professions and genders."""
    where = f"Bias in Bios, {split}"
    missing = [name for name in _COLUMNS if name not in frame]
    if missing:
        raise ValueError(f"{where}: the column(s) {missing} are missing.")
    if len(frame) != SPLITS[split]:
        raise ValueError(
            f"{where}: there are {len(frame):,} rows, expected {SPLITS[split]:,}; a file is "
            "missing, there twice, or of another version."
        )
    for name, values in (("profession", PROFESSIONS), ("gender", GENDERS)):
        known = frame[name].isin(range(len(values)))
        if not known.all():
            raise ValueError(
                f"{where}: {name} has values other than 0 to {len(values) - 1}, such as "
                f"{frame.loc[~known, name].iloc[0]} in row {int(np.argmin(known))}."
            )
    professions = np.array(PROFESSIONS)[frame["profession"].astype(int)]
    genders = np.array(GENDERS)[frame["gender"].astype(int)]
    conventions = (
        f"{len(frame):,} biographies of the split {split}, none dropped, without their first "
        "sentence, which names the profession; no label is favorable, and gaps are those of the "
        "true positive rates of every profession."
    )
    return Bunch(
        data=frame["hard_text"].rename("text"),
        target=pd.Series(professions, name="profession"),
        sensitive_features=pd.Series(genders, name="gender"),
        target_names=list(PROFESSIONS),
        conventions=conventions,
        DESCR="Bias in Bios, De-Arteaga et al. (2019): " + conventions,
    )
