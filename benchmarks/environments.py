"""Environments of their own for packages that do not install beside fairsteer's versions."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path


class EnvironmentFailed(RuntimeError):
    """An environment could not be made; the message has the reason."""


def python_with(requirements: tuple[str, ...], folder: Path) -> Path:
    """Return the interpreter of an environment that has the requirements, made if need be.

    Parameters
    ----------
    requirements : tuple of str
        For pip.
    folder : Path
        Where the environment is kept. It counts as made once everything is installed.

    Returns
    -------
    Path
        Its interpreter.

    Raises
    ------
    EnvironmentFailed
        When pip fails; with its last line.
    """
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    made = folder / "installed.txt"
    wanted = "\n".join(requirements) + "\n"
    if made.exists() and made.read_text() == wanted:
        return python
    venv.create(folder, clear=True, with_pip=True)
    done = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", *requirements],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["no message"]
        raise EnvironmentFailed(f"pip could not install {', '.join(requirements)}: {said[-1]}")
    made.write_text(wanted)
    return python
