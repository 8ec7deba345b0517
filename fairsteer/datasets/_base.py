"""Where an original file comes from, and the Bunch that every data set is handed over in."""

import hashlib
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from sklearn.utils import Bunch


@dataclass(frozen=True)
class OriginalFile:
    """A file in a public archive, pinned by its digest."""

    name: str
    url: str
    sha256: str


def locate(file, data_home=None):
    """Return the path of an original file whose SHA-256 has been checked.

    Looked for in `data_home`, else in the folder that the environment variable ``FAIRSTEER_DATA``
    names; then in the cache folder; then downloaded into the cache folder. Nothing is ever
    written to `data_home` or ``FAIRSTEER_DATA``, and no file already there is changed.

    Parameters
    ----------
    file : OriginalFile
        The file.
    data_home : str or path-like, optional
        A folder to look in first.

    Returns
    -------
    pathlib.Path
        Where the file lies.

    Raises
    ------
    ValueError
        If a file of that name is there (or was downloaded) with another digest.
    FileNotFoundError
        If the file is in no folder and cannot be downloaded.
    ImportError
        If the file is in no folder and pooch, which downloads it, is not installed.
    """
    cache = cache_folder()
    home = data_home or os.environ.get("FAIRSTEER_DATA")
    folders = [Path(home).expanduser(), cache] if home else [cache]
    for folder in folders:
        path = folder / file.name
        if path.is_file():
            found = _sha256(path)
            if found != file.sha256:
                raise ValueError(
                    f"{path} is not the original {file.name}: its SHA-256 is {found}, expected "
                    f"{file.sha256}; replace it by the file at {file.url} or move it elsewhere."
                )
            return path
    _fetch(file, folders)
    return cache / file.name


def cache_folder():
    """Return the user's cache folder, the one ``pooch.os_cache("fairsteer")`` names.

    Computed here so that a cached file is found where pooch is not installed.
    """
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
        return Path(local) / "fairsteer" / "fairsteer" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "fairsteer"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fairsteer"


def _fetch(file, folders):
    """Download a file into the last folder: all of it, with the right digest, or nothing."""
    cache = folders[-1]
    places = " nor in ".join(str(folder) for folder in folders)
    absent = f"{file.name} is {'not' if len(folders) == 1 else 'neither'} in {places}"
    by_hand = (
        f"{file.url} and put it into {cache} or into the folder that the environment variable "
        "FAIRSTEER_DATA names."
    )
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix=".download-") as folder:
            part = Path(folder) / file.name
            _download(file.url, part)
            found = _sha256(part)
            if found != file.sha256:
                raise ValueError(
                    f"{file.url} did not give the original {file.name}: its SHA-256 is {found}, "
                    f"expected {file.sha256}; nothing was kept, so try again later or put an "
                    f"original copy into {cache}."
                )
            part.replace(cache / file.name)
    except ImportError:
        raise ImportError(
            f"{absent}, and downloading it needs pooch: run "
            f'pip install "fairsteer[compare]", or download it yourself from {by_hand}',
            name="pooch",
        ) from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise FileNotFoundError(
            f"{absent}, and it could not be downloaded ({reason}): get it from {by_hand}"
        ) from None


def _download(url, path):
    import pooch

    pooch.HTTPDownloader(progressbar=False)(url, str(path), None)


def _sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def check_sensitive(sensitive, choices):
    """Raise a ValueError that lists the choices unless `sensitive` is one of them."""
    if sensitive not in choices:
        names = " or ".join(f'"{name}"' for name in choices)
        raise ValueError(f"sensitive must be {names}, not {sensitive!r}.")


def make_bunch(data, target, sensitive, **described):
    """Put a data set together from its frame, its labels and the name of a sensitive column.

    Parameters
    ----------
    data : pandas.DataFrame
        Features and sensitive columns.
    target : pandas.Series
        Labels on the index of `data`; its name becomes the last column of ``frame``.
    sensitive : str
        The column of `data` that holds the sensitive attribute.
    **described
        What else the Bunch says about itself.

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
