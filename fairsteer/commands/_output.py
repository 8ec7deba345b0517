"""Write files completely or not at all, and say what failed in one sentence."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from fairsteer.core.messages import shorten
from fairsteer.exceptions import UsageError


def write_file(path: Path, content: str | bytes) -> bool:
    """Write a file and say so, or say why it cannot be written.

    Parameters
    ----------
    path : Path
        The file; an existing file is replaced.
    content : str or bytes
        Its content.

    Returns
    -------
    bool
        Whether it was written.
    """
    saved = attempt(
        f"write '{path}'", lambda: write_atomically(path, content), "choose another --output"
    )
    if saved:
        print(f"fairsteer: wrote {path}", file=sys.stderr)
    return saved


def write_files(folder: Path, files: Mapping[str, str | bytes]) -> bool:
    """Write files by their names, and return whether all were written."""
    return all([write_file(folder / name, content) for name, content in files.items()])


def attempt(action: str, function, remedy: str) -> bool:
    """Run a function; report an OSError in one sentence and return False.

    Parameters
    ----------
    action : str
        What is done, after "cannot".
    function : callable
        Without arguments.
    remedy : str
        What the user can do.

    Returns
    -------
    bool
        Whether it succeeded.
    """
    try:
        function()
    except OSError as error:
        reason = error.strerror or error
        print(f"fairsteer: cannot {action}: {reason}; {remedy}.", file=sys.stderr)
        return False
    return True


def prepare_folder(folder: Path, names: Iterable[str]) -> None:
    """Create a folder with its parents and check that files can be written there.

    Parameters
    ----------
    folder : Path
        The folder; other files in it are not changed.
    names : iterable of str
        The files that will be written.

    Raises
    ------
    UsageError
        If it cannot be created or written to, or has a folder named like a file to write.
    """
    try:
        for name in names:
            if (folder / name).is_dir():
                raise UsageError(
                    f"'{folder / name}' is a folder: remove it or choose another --output."
                )
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = "it is a file" if os.path.isfile(folder) else error.strerror
        shown = shorten(str(folder), 200)
        raise UsageError(f"the output folder {shown} cannot be used: {reason}.") from error


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file completely or not at all.

    Parameters
    ----------
    path : Path
        The file; an existing file is replaced.
    content : str or bytes
        Its content.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
