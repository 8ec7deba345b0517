"""Original files, found locally or downloaded, and the Bunch of every data set."""

import hashlib
import os
import sys
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from sklearn.datasets import fetch_file
from sklearn.utils import Bunch


@dataclass(frozen=True)
class OriginalFile:
    """A file in a public archive, identified by its digest."""

    name: str
    url: str
    sha256: str


def locate(file, data_home=None):
    """Return the path of an original file whose SHA-256 has been checked.

    Searched in `data_home`, else in the folder that the environment variable ``FAIRSTEER_DATA``
    names; then in the cache folder; then downloaded into the cache folder. No file is written to
    `data_home` or ``FAIRSTEER_DATA``, and no existing file is changed.

    Parameters
    ----------
    file : OriginalFile
        The file.
    data_home : str or path-like, optional
        A folder to look in first.

    Returns
    -------
    pathlib.Path
        The path of the file.

    Raises
    ------
    ValueError
        If a folder has a file of that name with another digest.
    FileNotFoundError
        If the file is in no folder and cannot be downloaded.
    """
    cache = cache_folder()
    home = data_home or os.environ.get("FAIRSTEER_DATA")
    folders = [Path(home).expanduser(), cache] if home else [cache]
    for folder in folders:
        path = folder / file.name
        if path.is_file():
            found = hashlib.sha256(path.read_bytes()).hexdigest()
            if found != file.sha256:
                raise ValueError(
                    f"{path} is not the original {file.name}: its SHA-256 is {found}, expected "
                    f"{file.sha256}; replace it by the file at {file.url} or move it elsewhere."
                )
            return path
    return _download(file, folders)


def cache_folder():
    """Return the user's cache folder, by the conventions of the operating system."""
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
        return Path(local) / "fairsteer" / "fairsteer" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "fairsteer"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fairsteer"


def _download(file, folders):
    """Download a file into the last folder, the cache, completely or not at all."""
    cache = folders[-1]
    try:
        cache.mkdir(parents=True, exist_ok=True)
        return fetch_file(
            file.url, folder=cache, local_filename=file.name, sha256=file.sha256, n_retries=0
        )
    except (OSError, HTTPException) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        searched = " or ".join(str(folder) for folder in folders)
        raise FileNotFoundError(
            f"{file.name} is not in {searched}, and it could not be downloaded ({reason}): get it "
            f"from {file.url} and put it into {cache} or into the folder that the environment "
            "variable FAIRSTEER_DATA names."
        ) from None


def check_sensitive(sensitive, choices):
    """Raise a ValueError that lists the choices unless `sensitive` is one of them."""
    if sensitive not in choices:
        names = " or ".join(f'"{name}"' for name in choices)
        raise ValueError(f"sensitive must be {names}, not {sensitive!r}.")


def make_bunch(data, target, sensitive, **described):
    """Make the Bunch of a data set from features, labels and the name of a sensitive column.

    Parameters
    ----------
    data : pandas.DataFrame
        Features and sensitive columns.
    target : pandas.Series
        Labels with the index of `data`; its name becomes the last column of ``frame``.
    sensitive : str
        The sensitive column of `data`.
    **described
        Further entries of the Bunch.

    Returns
    -------
    sklearn.utils.Bunch
        With ``data``, ``target``, ``sensitive_features``, ``frame``, ``feature_names`` and
        `described`.
    """
    return Bunch(
        data=data,
        target=target,
        sensitive_features=data[sensitive].copy(),
        frame=data.assign(**{target.name: target}),
        feature_names=list(data.columns),
        **described,
    )
